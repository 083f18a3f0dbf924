package prover

import (
	"bytes"
	"context"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"whither/internal/endpoint"
	"whither/possession"
	"whither/possession/mail"
	"whither/registry"
	"whither/wire"
)

// maxAge is how old evidence may be when it is witnessed (design section 4).
const maxAge = 24 * time.Hour

// maxObservations bounds the observations under way. There is no cap by CSI or
// domain: nobody gets a mail of them, and a stranger could use it up.
const maxObservations = 64

// observe checks another prover's artefact by the same rules, with a look-up of
// its own, and signs what it saw (POST /v1/observations). It keeps nothing: the
// same request gives an equivalent receipt again, for the CSI and key that the
// response in the artefact binds and for no other.
func (p *Prover) observe(ctx context.Context, _ endpoint.Caller, r wire.ObservationRequest) (wire.Observation, error) {
	now := p.config.Now()
	if err := p.listed(now); err != nil {
		return wire.Observation{}, err
	}
	holder, purpose, err := asked(r.Key, r.Purpose)
	if err != nil {
		return wire.Observation{}, err
	}
	if r.Kind != possession.MailWitness.String() || r.CSI.Address() == "" {
		return wire.Observation{}, ErrKind
	}
	if len(r.Nonce) != possession.NonceSize {
		return wire.Observation{}, fmt.Errorf("%w: a nonce has %d bytes", ErrRequest, possession.NonceSize)
	}
	if err := p.mayWitness(r.Challenger); err != nil {
		return wire.Observation{}, err
	}
	select {
	case p.observing <- struct{}{}:
		defer func() { <-p.observing }()
	default:
		return wire.Observation{}, ErrBusy
	}
	replyTo, err := recipient(r.Artefact, r.Challenger)
	if err != nil {
		return wire.Observation{}, err
	}
	nonce := [possession.NonceSize]byte(r.Nonce)
	report, err := mail.Verify(r.Artefact, mail.Want{
		Address: r.CSI.Address(), ReplyTo: replyTo, Part1: token(nonce),
		Response: possession.Response(r.CSI.ID, holder, nonce), Fingerprint: holder.ID().String(), Now: now,
	}, p.record(ctx))
	if err != nil {
		return wire.Observation{}, err
	}
	if !report.SignedAt.IsZero() && now.Sub(report.SignedAt) > maxAge {
		return wire.Observation{}, ErrStale
	}
	receipt, err := possession.Receipt{
		Purpose: purpose, Subject: possession.SubjectOf(r.CSI.ID, holder), Kind: possession.MailWitness, Level: possession.Level4,
		Artefact: report.ArtefactDigest, KeySeen: report.KeyDigest,
		Evidence: evidenceTime(report.SignedAt, now.Add(-maxAge), now), Signed: now,
	}.Sign(p.config.Key)
	if err != nil {
		return wire.Observation{}, fmt.Errorf("prover: sign receipt: %w", err)
	}
	return wire.Observation{Receipt: receipt}, nil
}

// mayWitness checks that the challenger is an active prover, and of another
// operator: two receipts of one operator are one word.
func (p *Prover) mayWitness(challenger registry.PartyID) error {
	s := p.config.Registry.Snapshot()
	other, ok := s.Party(challenger)
	if !ok || !other.Has(registry.RoleProver) || other.Standing.State != registry.Active {
		return ErrChallenger
	}
	if own, ok := s.Party(p.config.Party); !ok || own.Operator == other.Operator {
		return ErrOwnOperator
	}
	return nil
}

// recipient returns the address that a reply went to, if it is one of the
// challenger's. It is read kindly here: [mail.Verify] reads it again, strictly,
// and wants exactly this one.
func recipient(raw []byte, challenger registry.PartyID) (string, error) {
	if len(raw) > mail.MaxSize {
		return "", mail.ErrTooLarge
	}
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", mail.ErrMalformed // the parser's words may quote the message
	}
	to, err := netmail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return "", mail.ErrWrongRecipient
	}
	address := strings.ToLower(to.Address)
	if local, domain, ok := strings.Cut(address, "@"); !ok || domain != challenger.String() || !isMailbox(local) {
		return "", mail.ErrWrongRecipient
	}
	return address, nil
}

// isMailbox reports whether a local part is of the form that provers make.
func isMailbox(local string) bool {
	_, ok := parseMailbox(local)
	return ok
}
