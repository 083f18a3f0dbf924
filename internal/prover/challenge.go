package prover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/internal/smtpout"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/possession/mail"
	"whither/problem"
	"whither/wire"
)

// How long a delivery may take while a client waits for it, and in the
// background; the gap before the first new try, which no other try of the same
// challenge can fall into.
const (
	deliverTimeout = 10 * time.Second
	firstRetry     = time.Minute
	maxRetry       = time.Hour
	parallel       = 8 // deliveries in the background
)

// challenge starts a challenge (POST /v1/challenges).
func (p *Prover) challenge(ctx context.Context, _ endpoint.Caller, r wire.ChallengeRequest) (wire.Challenge, error) {
	now := p.config.Now()
	if err := p.listed(now); err != nil {
		return wire.Challenge{}, err
	}
	c, err := newChallenge(now)
	if err != nil {
		return wire.Challenge{}, err
	}
	var known bool
	if c.Kind, known = possession.ParseKind(r.Kind); !known {
		return wire.Challenge{}, ErrKind
	}
	c.CSI = r.CSI.ID
	if c.Holder, c.Purpose, err = asked(r.Key, r.Purpose); err != nil {
		return wire.Challenge{}, err
	}
	budget, err := p.budget(r, c, now)
	if err != nil {
		return wire.Challenge{}, err
	}
	if err := budget.Take(c.CSI, c.Holder, now); err != nil {
		p.metrics.limited(err)
		return wire.Challenge{}, err
	}
	if c.Kind == possession.MailReply {
		return p.startMail(ctx, c, now)
	}
	return p.startCode(ctx, c)
}

// budget returns the caps that a challenge counts towards. Who shows a mapping
// of this CSI under this very key is its holder and has a budget of its own:
// else a claimant could spend it for her.
func (p *Prover) budget(r wire.ChallengeRequest, c Challenge, now time.Time) (*limit.Caps, error) {
	if r.Incumbent == nil {
		return p.caps, nil
	}
	u, err := mapping.Parse(r.Incumbent.Unpack())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncumbent, err)
	}
	v, err := mapping.PolicyAt(p.config.Registry.Snapshot(), now).VerifyForRenewal(u)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncumbent, err)
	}
	if claims := v.Claims(); claims.CSI != c.CSI || claims.Holder != c.Holder {
		return nil, ErrIncumbent
	}
	return p.incumbents, nil
}

// startMail starts a challenge by mail.
func (p *Prover) startMail(ctx context.Context, c Challenge, now time.Time) (wire.Challenge, error) {
	if c.CSI.Address() == "" {
		return wire.Challenge{}, ErrKind
	}
	c.Next = now.Add(firstRetry)
	if err := p.config.Store.Start(ctx, c); err != nil {
		return wire.Challenge{}, fmt.Errorf("keep challenge: %w", err)
	}
	// The challenge is durable from here on: if this process dies, the next one
	// delivers it.
	if err := p.deliver(ctx, c, now); err != nil && !errors.Is(err, smtpout.ErrTemporary) {
		return wire.Challenge{}, err
	}
	return wire.Challenge{
		ID: c.ID[:], Nonce: c.Nonce[mail.TokenSize:], From: p.address(c.Mailbox), Expires: c.Expires.Unix(),
	}, nil
}

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

// address returns the reply address of a mailbox.
func (p *Prover) address(m Mailbox) string { return m.Local() + "@" + p.config.Party.String() }

// token returns part 1 of a nonce as it stands in the subject.
func token(nonce [possession.NonceSize]byte) string {
	return mail.Token([mail.TokenSize]byte(nonce[:mail.TokenSize]))
}

// deliver tries once to deliver the mail of a challenge and records how it
// went. The bytes are the same each time. An error has been recorded and
// logged; it says whether there will be another try.
func (p *Prover) deliver(ctx context.Context, c Challenge, now time.Time) error {
	// Whoever asked may hang up; a mail half sent would be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverTimeout)
	defer cancel()
	raw, err := mail.Challenge{
		From: p.address(c.Mailbox), To: c.CSI.Address(), Prover: p.config.Party.String(), Part1: token(c.Nonce),
		Fingerprint: c.Holder.ID().String(), Date: c.Started, Expires: c.Expires,
	}.Message(p.config.Mail.Signing)
	if err == nil {
		err = p.config.Mail.Out.Send(ctx, "", c.CSI.Address(), raw)
	}
	outcome, record := "ok", func() error { return p.config.Store.Delivered(ctx, c.ID) }
	switch {
	case err == nil:
	case errors.Is(err, smtpout.ErrTemporary):
		outcome, record = "later", func() error {
			return p.config.Store.Postpone(ctx, c.ID, problem.CannotDeliver, now.Add(pause(c.Attempts)))
		}
	default:
		outcome, record = "refused", func() error {
			return p.config.Store.Refuse(ctx, c.ID, Refusal{problem.CannotDeliver, Ending})
		}
	}
	p.metrics.deliveries.WithLabelValues(outcome).Inc()
	// A verdict that is not recorded costs a second mail with the same bytes.
	// ErrDecided: the holder was faster than we.
	if storeErr := record(); storeErr != nil && !errors.Is(storeErr, ErrDecided) {
		p.config.Log.ErrorContext(ctx, "delivery not recorded", slog.Any("error", storeErr))
	}
	if err != nil {
		p.config.Log.InfoContext(ctx, "challenge not delivered", slog.String("outcome", outcome), slog.Any("error", err))
	}
	return err
}

// pause returns how long to wait after so many attempts.
func pause(attempts int) time.Duration {
	return min(firstRetry<<min(attempts, 10), maxRetry)
}

// redeliver tries the deliveries that are due, some at a time.
func (p *Prover) redeliver(ctx context.Context, now time.Time) error {
	due, err := p.config.Store.DeliveriesDue(ctx, now, batch)
	if err != nil {
		return fmt.Errorf("deliveries due: %w", err)
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	for _, c := range due {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return ctx.Err()
		}
		wg.Go(func() {
			_ = p.deliver(ctx, c, now) // recorded and logged there
			<-free
		})
	}
	wg.Wait()
	return nil
}

// status says how a challenge stands (POST /v1/status).
func (p *Prover) status(ctx context.Context, _ endpoint.Caller, r wire.StatusRequest) (wire.ChallengeStatus, error) {
	if len(r.ID) != len(ID{}) {
		return wire.ChallengeStatus{}, fmt.Errorf("%w: an id has %d bytes", ErrRequest, len(ID{}))
	}
	c, err := p.config.Store.ByID(ctx, ID(r.ID))
	if err != nil {
		return wire.ChallengeStatus{}, err
	}
	if !p.config.Now().Before(c.Expires) {
		return wire.ChallengeStatus{}, ErrExpired
	}
	answer := wire.ChallengeStatus{State: wire.ChallengeWaiting}
	if c.Problem != "" {
		answer.Problem = c.Problem.URI()
	}
	switch c.State {
	case Proved:
		answer.State, answer.Receipt, answer.Artefact, answer.Nonce = wire.ChallengeProved, c.Receipt, c.Artefact, c.Nonce[:]
	case Failed:
		answer.State = wire.ChallengeFailed
	case Waiting:
	}
	return answer, nil
}
