package prover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/internal/endpoint"
	"whither/key"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// Bounds of answers.
const (
	// MaxArtefact is the largest artefact that is taken, in bytes. It must travel
	// once more, to the second prover, in a request of at most wire.MaxBody, as
	// base64 if need be.
	MaxArtefact = 40 << 10
	// MaxCode is the longest code (CAMARA OTPValidation).
	MaxCode = 10
)

// maxAge is how old evidence may be when a receipt is signed (design section 4).
const maxAge = 24 * time.Hour

// decideTimeout bounds the judgement of an answer that a client brings, and the
// storing of its verdict.
const decideTimeout = 10 * time.Second

// answer takes what the client brings (POST /v1/answers). An answer that was
// right stays right when it is sent again.
func (p *Prover) answer(ctx context.Context, _ endpoint.Caller, r wire.AnswerRequest) (wire.ChallengeStatus, error) {
	now := p.config.Now()
	if err := p.listed(now); err != nil {
		return wire.ChallengeStatus{}, err
	}
	if len(r.ID) != len(ID{}) || (r.Code == "") == (len(r.Artefact) == 0) || len(r.Code) > MaxCode {
		return wire.ChallengeStatus{}, fmt.Errorf("%w: id, and code or artefact", ErrRequest)
	}
	if len(r.Artefact) > MaxArtefact {
		return wire.ChallengeStatus{}, ErrTooLarge
	}
	c, err := p.config.Store.ByID(ctx, ID(r.ID))
	if err != nil {
		return wire.ChallengeStatus{}, err
	}
	a, ok := p.challengers[c.Kind].(Answerer)
	switch {
	case !ok:
		return wire.ChallengeStatus{}, ErrKind
	case !now.Before(c.Expires):
		return wire.ChallengeStatus{}, ErrExpired
	case c.State == Failed:
		return wire.ChallengeStatus{}, ErrFailed
	case c.State == Waiting:
		// The verdict must be kept even if whoever asked hangs up: some answers can
		// be compared once.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideTimeout)
		defer cancel()
		err := p.Decide(ctx, c, func(ctx context.Context, now time.Time) (Finding, error) {
			return a.Answer(ctx, c, Answer{Code: r.Code, Artefact: r.Artefact}, now)
		})
		if err != nil {
			return wire.ChallengeStatus{}, err
		}
	}
	return p.status(ctx, endpoint.Caller{}, wire.StatusRequest{ID: r.ID})
}

// Open returns the challenge that an answer from outside, sent to a mailbox, may
// be about: one that has neither run out nor failed.
func (p *Prover) Open(ctx context.Context, m Mailbox) (Challenge, error) {
	c, err := p.config.Store.ByMailbox(ctx, m)
	if err != nil {
		return Challenge{}, err
	}
	if !p.config.Now().Before(c.Expires) {
		return Challenge{}, ErrExpired
	}
	if c.State == Failed {
		return Challenge{}, ErrFailed
	}
	return c, nil
}

// Decide has judge decide about an answer to a challenge, and stores the
// verdict: the receipt for what it found, or the refusal. It returns nil when
// the proof is stored, else the reason.
//
// What a refusal does follows from its problem kind. An error without a kind, or
// an internal one, is ours and changes nothing; nor does a malformed request. One
// that may pass is noted for the client to see; one that says that the challenge
// has ended ends it; any other costs one of MaxTries.
func (p *Prover) Decide(ctx context.Context, c Challenge, judge func(ctx context.Context, now time.Time) (Finding, error)) error {
	now := p.config.Now()
	proof, err := p.prove(ctx, c, judge, now)
	if err == nil {
		// From here on the answer is evidence; the commit point is in the store.
		err = p.config.Store.Prove(ctx, c.ID, proof)
	} else {
		err = p.refuse(ctx, c, err)
	}
	p.metrics.verdict(c.Kind, p.outcome(err))
	return err
}

// prove judges an answer and signs the receipt for it.
func (p *Prover) prove(ctx context.Context, c Challenge, judge func(context.Context, time.Time) (Finding, error), now time.Time) (Proof, error) {
	if err := p.listed(now); err != nil {
		return Proof{}, err
	}
	// Before the judgement, since some answers can be compared once; but the word
	// is for nobody's ears who does not answer rightly.
	sim, err := p.simOf(ctx, c.CSI, now)
	if err != nil {
		return Proof{}, err
	}
	f, err := judge(ctx, now)
	switch {
	case err != nil:
		return Proof{}, err
	case sim.changed:
		return Proof{}, ErrSIMChanged
	}
	receipt, err := p.receipt(f, possession.Receipt{
		Purpose: c.Purpose, Subject: possession.SubjectOf(c.CSI, c.Holder), Kind: c.Kind, Signed: now,
	})
	return Proof{Receipt: receipt, Artefact: f.Artefact, SIM: sim.text(c.CSI)}, err
}

// receipt completes a receipt by what was found, and signs it.
func (p *Prover) receipt(f Finding, r possession.Receipt) ([]byte, error) {
	r.Level, r.Artefact, r.KeySeen, r.Evidence = f.Level, possession.Digest(f.Artefact), f.KeySeen, f.Evidence
	if r.Evidence.IsZero() || r.Evidence.After(r.Signed) {
		r.Evidence = r.Signed
	}
	if r.Signed.Sub(r.Evidence) > maxAge {
		return nil, ErrStale
	}
	b, err := r.Sign(p.config.Key)
	if err != nil {
		return nil, fmt.Errorf("prover: sign receipt: %w", err)
	}
	return b, nil
}

// refuse records why an answer was refused and returns that reason, or the
// trouble of recording it: tries that are not counted would be free ones.
func (p *Prover) refuse(ctx context.Context, c Challenge, why error) error {
	kind := p.Problem(why)
	r := Refusal{Problem: kind, Effect: Counted}
	switch {
	case kind == "", kind == problem.Internal, kind == problem.Malformed:
		return why
	case kind == problem.ChallengeExpired, kind == problem.ChallengeFailed, kind == problem.SIMChanged:
		r.Effect = Ending
	case Passing(kind):
		r.Effect = Noted
		if c.Problem == kind {
			return why // a mail server may try for days
		}
	}
	switch err := p.config.Store.Refuse(ctx, c.ID, r); {
	case err == nil, errors.Is(err, ErrDecided):
		return why
	case errors.Is(err, ErrUnknown):
		return ErrUnknown
	default: // says nothing of the reason, so that it is tried again
		return fmt.Errorf("prover: verdict not stored: %w", err)
	}
}

// Passing reports whether the same answer may be right later.
func Passing(k problem.Kind) bool { return k == "" || k.Row().Retry == problem.RetryLater }

// asked checks the members that challenges and observations share.
func asked(k wire.Bytes, purpose uint8) (key.Public, possession.Purpose, error) {
	holder, err := key.PublicFromBytes(k)
	if err != nil {
		return key.Public{}, 0, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	switch u := possession.Purpose(purpose); u {
	case possession.PurposeEnrol, possession.PurposeReprove:
		return holder, u, nil
	default:
		return key.Public{}, 0, fmt.Errorf("%w: purpose", ErrRequest)
	}
}
