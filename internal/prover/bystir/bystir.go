// Package bystir is the method by signatures of the telephone world that the
// client brings (docs/spec/stir.md): a PASSporT whose mky is the response, by the
// carrier or under a delegate certificate, or an authority token over the
// number. It also witnesses those, and SIP messages, that another prover got.
//
// The client gets a nonce over TLS, and with it the one destination that a
// PASSporT must have: a SIP address at this prover, made for this challenge. The
// destination tells a witness to whom the response was given.
//
// It promises that a receipt is for an artefact, complete with its certificates,
// that package possession/stir accepts, under roots that the federation's
// registry names and whose certificates this prover was given; a service provider
// code counts for the ranges that grants tie to it. It fetches nothing, and does
// not ask whether a certificate was revoked: those of this infrastructure are
// short-lived.
package bystir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"whither/internal/prover"
	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Errors.
var (
	// ErrForm refuses an artefact of another form than the challenge is for.
	ErrForm = errors.New("bystir: artefact of another form of evidence")
	// ErrDestination refuses a PASSporT for an address that the challenger does
	// not give out.
	ErrDestination = errors.New("bystir: signed for no address of the challenger")
)

// Config is what the method depends on.
type Config struct {
	Party registry.PartyID
	Trust Trust
}

// Method returns the method.
func Method(c Config) prover.Method {
	return prover.Method{
		Challengers: map[possession.Kind]prover.Challenger{
			possession.PassportKey: challenger{c, stir.FormKey},
			possession.Delegate:    challenger{c, stir.FormDelegate},
			possession.TNToken:     challenger{c, stir.FormToken},
		},
		Quiet:     true,
		Witnesses: map[possession.Kind]prover.Witness{possession.STIRWitness: witness{c}},
		Problem:   Problem,
	}
}

// Trust is whom a prover believes: certificates that it was given, as far as the
// registry names them.
type Trust struct {
	Snapshot func() *registry.Snapshot
	// Certificates are those of roots, in DER: of carriers and of token
	// authorities. The registry says which of them are what, and for which
	// numbers.
	Certificates [][]byte
}

// Now returns the trust of this moment. It is an error that wraps
// [prover.ErrKind] if there are no roots for a form: then no such evidence can
// count here.
func (t Trust) Now(form stir.Form) (stir.Trust, error) {
	s := t.Snapshot()
	anchors := s.Policy().Evidence.Carriers
	if form == stir.FormToken {
		anchors = s.Policy().Evidence.Authorities
	}
	if !slices.ContainsFunc(anchors, t.has) {
		return stir.Trust{}, prover.ErrKind
	}
	trust, err := stir.TrustOf(s, t.Certificates, t.Certificates)
	if err != nil {
		return stir.Trust{}, fmt.Errorf("%w: %w", prover.ErrKind, err)
	}
	return trust, nil
}

// has reports whether the prover was given the certificate of an anchor.
func (t Trust) has(a registry.Anchor) bool {
	return slices.ContainsFunc(t.Certificates, func(der []byte) bool {
		digest := sha256.Sum256(der)
		return bytes.Equal(a.Digest, digest[:])
	})
}

// Address is the SIP address of a challenge at a prover: the one destination of
// whatever is signed for it.
func Address(m prover.Mailbox, at registry.PartyID) string {
	return "sip:" + m.Local() + "@" + at.String()
}

// challenger takes artefacts of one form from the client.
type challenger struct {
	config Config
	form   stir.Form
}

var _ prover.Answerer = challenger{}

// Begin gives the client the nonce and the destination. A token needs neither;
// its challenge is there for caps, receipts and a second prover's sake.
func (h challenger) Begin(_ context.Context, c *prover.Challenge) (wire.Challenge, error) {
	if _, err := h.config.Trust.Now(h.form); err != nil {
		return wire.Challenge{}, err
	}
	told := wire.Challenge{Nonce: c.Nonce[:]}
	if h.form != stir.FormToken {
		told.To = Address(c.Mailbox, h.config.Party)
	}
	return told, nil
}

// Answer judges the artefact that the client brings.
func (h challenger) Answer(_ context.Context, c prover.Challenge, a prover.Answer, now time.Time) (prover.Finding, error) {
	if len(a.Artefact) == 0 {
		return prover.Finding{}, fmt.Errorf("%w: no artefact", prover.ErrRequest)
	}
	artefact, err := stir.Parse(a.Artefact)
	if err != nil {
		return prover.Finding{}, err
	}
	if artefact.Form != h.form {
		return prover.Finding{}, ErrForm
	}
	return Judge(h.config.Trust, artefact, stir.Want{
		CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Dest: passport.Party{URI: Address(c.Mailbox, h.config.Party)}, Now: now,
	}, a.Artefact)
}

// Judge verifies an artefact, of which raw are the bytes, under the trust of this
// moment. The evidence time is the signer's.
func Judge(t Trust, a stir.Artefact, w stir.Want, raw []byte) (prover.Finding, error) {
	trust, err := t.Now(a.Form)
	if err != nil {
		return prover.Finding{}, err
	}
	w.MaxAge = prover.Life
	report, err := stir.Verify(a, trust, w)
	if err != nil {
		return prover.Finding{}, err
	}
	return prover.Finding{Artefact: raw, Level: report.Level, KeySeen: report.KeySeen, Evidence: report.Evidence}, nil
}

// witness judges what another prover got.
type witness struct{ config Config }

var _ prover.Witness = witness{}

// Witness judges an artefact that was signed for an address of the challenger,
// or a token, which has no destination. A call is no artefact for a witness: it
// does not cover the holder's key.
func (w witness) Witness(_ context.Context, t prover.Testimony) (prover.Finding, error) {
	a, err := stir.Parse(t.Artefact)
	if err != nil {
		return prover.Finding{}, err
	}
	want := stir.Want{CSI: t.CSI, Holder: t.Holder, Nonce: t.Nonce, Now: t.Now}
	switch a.Form {
	case stir.FormMessage, stir.FormKey, stir.FormDelegate:
		if want.Dest, err = destination(a.Token, t.Challenger); err != nil {
			return prover.Finding{}, err
		}
	case stir.FormToken:
	default:
		return prover.Finding{}, ErrForm
	}
	return Judge(w.config.Trust, a, want, t.Artefact)
}

// destination returns where a PASSporT says that it goes, if that is an address
// which the challenger may have given out.
func destination(token string, challenger registry.PartyID) (passport.Party, error) {
	p, err := passport.Parse(token)
	if err != nil {
		return passport.Party{}, fmt.Errorf("%w: %w", stir.ErrPassport, err)
	}
	dest, only := p.Claims.Dest.Only()
	user, _ := strings.CutSuffix(strings.TrimPrefix(dest.URI, "sip:"), "@"+challenger.String())
	box, ok := prover.ParseMailbox(user)
	if !only || !ok || dest.URI != Address(box, challenger) {
		return passport.Party{}, ErrDestination
	}
	return dest, nil
}

// table is the table from this method's errors to problem kinds; the first row
// that matches counts.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrForm, problem.STIRArtefact},
	{ErrDestination, problem.STIRDestination},
	{stir.ErrWant, problem.Internal},
	{stir.ErrArtefact, problem.STIRArtefact},
	{stir.ErrPassport, problem.STIRPassport},
	{stir.ErrToken, problem.STIRPassport},
	{stir.ErrWrongExtension, problem.STIRPassport},
	{stir.ErrWrongNumber, problem.STIRNumber},
	{stir.ErrWrongDestination, problem.STIRDestination},
	{stir.ErrAttestation, problem.STIRAttestation},
	{stir.ErrStale, problem.STIRTime},
	{stir.ErrFuture, problem.STIRTime},
	{stir.ErrExpired, problem.STIRTime},
	{stir.ErrCertificate, problem.STIRCertificate},
	{stir.ErrNotDelegate, problem.STIRCertificate},
	{stir.ErrAuthority, problem.STIRAuthority},
	{stir.ErrSignature, problem.STIRSignature},
	{stir.ErrMessageHash, problem.STIRSignature},
	{stir.ErrContent, problem.STIRContent},
	{stir.ErrWrongResponse, problem.STIRResponse},
	{stir.ErrNoResponse, problem.STIRResponse},
	{stir.ErrWrongKey, problem.STIRResponse},
}

// Problem is the method's table, "" for an error that it does not know.
func Problem(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
