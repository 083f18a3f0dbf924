// Package stir is the evidence that a person holds a telephone number, signed
// by the telephone world itself: Secure Telephone Identity Revisited (RFC 8224,
// 8225, 8226). Its spec is docs/spec/stir.md, its levels are those of design
// section 4.
//
// A prover collects an [Artefact]: what was signed, with the certificates of the
// signer. Anybody who has it and the roots verifies it again, offline and for
// ever. The forms:
//
//	message   SIP MESSAGE of the plain sentence and the response, under a "msg"
//	          PASSporT (RFC 9475) whose msgi covers it                    level 4
//	key       PASSporT whose mky is the response                         level 4
//	delegate  the same, signed under a delegate certificate (RFC 9060)
//	          that names the number itself                               level 4
//	token     authority token (RFC 9448) over the number for the
//	          fingerprint of the holder's key                            level 4
//	call      "shaken" PASSporT with attestation A (RFC 8588): a call to
//	          the prover, whose keypad code is a share                   level 2
//
// The response is the hash of {label, CSI, holder key, nonce} of package
// possession. In all forms the signer's certificates lead to configured roots,
// were valid when the signer says it signed, and cover the number; a service
// provider code covers what the registry's grants tie to it, and nothing else.
//
// What it does not do: fetch certificates, ask whether they were revoked, see to
// it that a nonce is used once, run calls, or ask an operator whether the SIM was
// swapped. The prover does (internal/prover). It does not compute what a set of
// receipts is worth either: package possession does.
//
// Everything is a pure function of its arguments. Times are seconds, sizes are
// bytes. Neither errors nor printed values name numbers.
package stir

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/possession/stir/chain"
	"whither/possession/stir/passport"
)

// MaxSkew is how far in the future a signer's time may lie.
const MaxSkew = 120 * time.Second

// Errors, one a reason. Where another package of this folder found the reason,
// its error is wrapped as well.
var (
	ErrWant             = errors.New("stir: what to verify against is incomplete")
	ErrArtefact         = errors.New("stir: malformed artefact, or one of another form")
	ErrPassport         = errors.New("stir: PASSporT is malformed")
	ErrWrongExtension   = errors.New("stir: PASSporT of another extension than this evidence needs")
	ErrWrongNumber      = errors.New("stir: signed for another calling number")
	ErrWrongDestination = errors.New("stir: not to the prover alone")
	ErrAttestation      = errors.New("stir: the carrier does not fully attest the caller (attestation A)")
	ErrStale            = errors.New("stir: signed too long ago")
	ErrFuture           = errors.New("stir: signed in the future; check the clocks")
	ErrCertificate      = errors.New("stir: certificate of the signer is refused")
	ErrAuthority        = errors.New("stir: the signer does not speak for this number")
	ErrSignature        = errors.New("stir: signature does not verify")
	ErrMessageHash      = errors.New("stir: the PASSporT does not cover this message")
	ErrContent          = errors.New("stir: the message is not exactly the sentence and the response")
	ErrWrongResponse    = errors.New("stir: response or key is another")
	ErrNoResponse       = errors.New("stir: mky does not name the response")
	ErrNotDelegate      = errors.New("stir: not signed under a delegate certificate that names the number")
	ErrToken            = errors.New("stir: authority token is malformed")
	ErrExpired          = errors.New("stir: authority token has expired")
	ErrWrongKey         = errors.New("stir: authority token is for another key")
)

// Trust is whom a verifier believes, and on what.
type Trust struct {
	// Roots anchor the certificates that sign PASSporTs.
	Roots chain.Roots
	// Authorities anchor those that sign authority tokens. They are a set of
	// their own: a token authority has no TNAuthList, so it is believed for every
	// number, and no carrier is. Empty: tokens do not count.
	Authorities chain.Roots
	// Ranges tie service provider codes to numbers, from the registry's grants.
	// Nil: codes do not count.
	Ranges chain.Ranges
}

// Want is what an artefact is verified against.
type Want struct {
	// CSI is the telephone number in question.
	CSI csi.ID
	// Holder is the key that is to answer for it.
	Holder key.Public
	// Nonce is the challenge's. Tokens and calls do not carry it.
	Nonce [possession.NonceSize]byte
	// Dest is the prover's number or URI, as PASSporTs write it. Tokens have no
	// destination.
	Dest passport.Party
	// Now is the time of the judgement. Who verifies old evidence gives the time
	// of its receipt.
	Now time.Time
	// MaxAge is how long before Now the signer may have signed.
	MaxAge time.Duration
}

// Report is what a verified artefact says.
type Report struct {
	CSI csi.ID
	// Form is what kind of evidence it is, Level what it can reach at most.
	Form  Form
	Level possession.Level
	// Evidence is the time inside the signature: iat.
	Evidence time.Time
	// ArtefactDigest is SHA-256 of the artefact's bytes.
	ArtefactDigest [sha256.Size]byte
	// KeySeen names the signer: SHA-256 of its certificate in DER.
	KeySeen [sha256.Size]byte
}

// Verify checks an artefact of any form.
func Verify(a Artefact, t Trust, w Want) (Report, error) {
	switch a.Form {
	case FormMessage:
		return VerifyMessage(a, t, w)
	case FormKey:
		return VerifyKey(a, t, w)
	case FormDelegate:
		return VerifyDelegate(a, t, w)
	case FormToken:
		return VerifyToken(a, t, w)
	case FormCall:
		return VerifyCall(a, t, w)
	}
	return Report{}, ErrArtefact
}

// CheckClaims checks of a message or a call all that needs no certificates, so
// that a prover fetches none for what could not count. It says nothing about who
// signed.
func CheckClaims(a Artefact, w Want) error {
	var err error
	switch a.Form {
	case FormMessage:
		_, err = a.openMessage(w)
	case FormCall:
		_, err = a.open(FormCall, w, passport.Shaken)
	default:
		err = ErrArtefact
	}
	return err
}

// VerifyMessage checks a message: its whole body is the sentence and the
// response, and the carrier of the number signed it.
func VerifyMessage(a Artefact, t Trust, w Want) (Report, error) {
	p, err := a.openMessage(w)
	if err != nil {
		return Report{}, err
	}
	_, report, err := a.judge(p, t, w)
	return report, err
}

// openMessage reads the PASSporT of a message and checks its claims and the body.
func (a Artefact) openMessage(w Want) (passport.Passport, error) {
	p, err := a.open(FormMessage, w, passport.Message)
	if err != nil {
		return passport.Passport{}, err
	}
	if err := p.Claims.CheckMessage(a.Body); err != nil {
		return passport.Passport{}, fmt.Errorf("%w: %w", ErrMessageHash, err)
	}
	return p, checkBody(a.Body, w.response(), w.Holder.ID().String())
}

// VerifyKey checks a PASSporT whose mky is the response: the carrier of the
// number signed it as the fingerprint of a key in use there.
func VerifyKey(a Artefact, t Trust, w Want) (Report, error) {
	_, report, err := a.verifyKey(FormKey, t, w)
	return report, err
}

// VerifyDelegate checks the same under a delegate certificate that names the
// number itself. Certificates of this infrastructure have P-256 keys (RFC 8226
// section 4), holders Ed25519 ones; so the delegate's key, which the person who
// has the number was given, signs for the holder's.
func VerifyDelegate(a Artefact, t Trust, w Want) (Report, error) {
	path, report, err := a.verifyKey(FormDelegate, t, w)
	if err != nil {
		return Report{}, err
	}
	if !path.Delegated() || !path.List().Covers(w.CSI.PASSporTDigits()) {
		return Report{}, ErrNotDelegate
	}
	return report, nil
}

func (a Artefact) verifyKey(form Form, t Trust, w Want) (chain.Path, Report, error) {
	p, err := a.open(form, w, passport.Base, passport.Shaken)
	if err != nil {
		return chain.Path{}, Report{}, err
	}
	if !p.Claims.HasMediaKey(passport.SHA256Key(w.response())) {
		return chain.Path{}, Report{}, ErrNoResponse
	}
	return a.judge(p, t, w)
}

// VerifyCall checks that the carrier of the number attests a call to the
// prover. It shows nothing of the holder's key: the code that the caller entered
// does, to the prover, and together they are one share (design section 4).
func VerifyCall(a Artefact, t Trust, w Want) (Report, error) {
	p, err := a.open(FormCall, w, passport.Shaken)
	if err != nil {
		return Report{}, err
	}
	_, report, err := a.judge(p, t, w)
	return report, err
}

// valid tells whether w has what a form needs.
func (w Want) valid(form Form) bool {
	if w.CSI.Scheme() != csi.Tel || w.Now.IsZero() || w.MaxAge <= 0 {
		return false
	}
	if form != FormCall && w.Holder.IsZero() {
		return false
	}
	nonce, dest := w.Nonce != [possession.NonceSize]byte{}, w.Dest != passport.Party{}
	switch form {
	case FormToken:
		return true
	case FormCall:
		return dest
	default:
		return dest && nonce
	}
}

func (w Want) response() [sha256.Size]byte { return possession.Response(w.CSI, w.Holder, w.Nonce) }

// fresh checks the time at which something was signed.
func (w Want) fresh(signed time.Time) error {
	switch {
	case signed.After(w.Now.Add(MaxSkew)):
		return ErrFuture
	case signed.Before(w.Now.Add(-w.MaxAge)):
		return ErrStale
	}
	return nil
}

// open reads the PASSporT of an artefact and checks its claims: all that costs
// no signature.
func (a Artefact) open(form Form, w Want, extensions ...passport.Extension) (passport.Passport, error) {
	if !w.valid(form) {
		return passport.Passport{}, ErrWant
	}
	if err := a.check(form); err != nil {
		return passport.Passport{}, err
	}
	p, err := passport.Parse(a.Token)
	if err != nil {
		return passport.Passport{}, fmt.Errorf("%w: %w", ErrPassport, err)
	}
	return p, w.checkClaims(p, extensions)
}

func (w Want) checkClaims(p passport.Passport, extensions []passport.Extension) error {
	known := false
	for _, e := range extensions {
		known = known || e == p.Extension
	}
	if !known {
		return ErrWrongExtension
	}
	if p.Claims.Orig.TN != w.CSI.PASSporTDigits() {
		return ErrWrongNumber
	}
	if dest, only := p.Claims.Dest.Only(); !only || dest != w.Dest {
		return ErrWrongDestination
	}
	// Shaken always attests; where another PASSporT does, its word counts too.
	if p.Claims.Attest != "A" && p.Claims.Attest != "" {
		return ErrAttestation
	}
	return w.fresh(p.Claims.IssuedAt)
}

// judge checks who signed the PASSporT.
func (a Artefact) judge(p passport.Passport, t Trust, w Want) (chain.Path, Report, error) {
	certificates, err := a.certificates(p.X5C)
	if err != nil {
		return chain.Path{}, Report{}, err
	}
	path, err := chain.Verify(certificates, t.Roots, p.Claims.IssuedAt)
	if err != nil {
		return chain.Path{}, Report{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := path.Covers(w.CSI.PASSporTDigits(), t.Ranges); err != nil {
		return chain.Path{}, Report{}, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	if err := path.Allows(p.Claim); err != nil {
		return chain.Path{}, Report{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := p.Verify(path.Signer()); err != nil {
		return chain.Path{}, Report{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	report, err := a.report(w, path, p.Claims.IssuedAt)
	return path, report, err
}

func (a Artefact) report(w Want, path chain.Path, signed time.Time) (Report, error) {
	b, err := a.Marshal()
	if err != nil {
		return Report{}, err
	}
	return Report{
		CSI: w.CSI, Form: a.Form, Level: a.Form.Level(), Evidence: signed,
		ArtefactDigest: sha256.Sum256(b), KeySeen: path.Digest(),
	}, nil
}
