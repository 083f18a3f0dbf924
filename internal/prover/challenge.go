package prover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"whither/csi"
	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/mapping"
	"whither/possession"
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
	c.CSI = r.CSI.ID
	c.Kind, _ = possession.ParseKind(r.Kind)
	challenger, ok := p.challengers[c.Kind]
	if !ok || !speaksFor(c.Kind, c.CSI) {
		return wire.Challenge{}, ErrKind
	}
	if c.Holder, c.Purpose, err = asked(r.Key, r.Purpose); err != nil {
		return wire.Challenge{}, err
	}
	budget, err := p.budget(r, &c, now)
	if err != nil {
		return wire.Challenge{}, err
	}
	if err := budget.Take(c.CSI, c.Holder, now); err != nil {
		p.metrics.limited(err)
		return wire.Challenge{}, err
	}
	answer, err := p.begin(ctx, challenger, c, now)
	p.metrics.challenges.WithLabelValues(c.Kind.String(), p.outcome(err)).Inc()
	return answer, err
}

// speaksFor reports whether a kind of evidence is one for this kind of CSI.
func speaksFor(k possession.Kind, id csi.ID) bool {
	return slices.Contains(possession.KindsFor(string(id.Scheme())), k)
}

// budget returns the caps that a challenge counts towards, and marks it. Who
// shows a mapping of this CSI under this very key is its holder and has a budget
// of its own: else a claimant could spend it for her.
func (p *Prover) budget(r wire.ChallengeRequest, c *Challenge, now time.Time) (*limit.Caps, error) {
	if r.Incumbent == nil {
		return p.capsOf(*c), nil
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
	c.Incumbent = true
	return p.capsOf(*c), nil
}

// begin has a challenger start, and keeps the challenge.
func (p *Prover) begin(ctx context.Context, challenger Challenger, c Challenge, now time.Time) (wire.Challenge, error) {
	deliverer, delivers := challenger.(Deliverer)
	c.Delivered, c.Next = !delivers, now.Add(firstRetry)
	end := c.Expires
	answer, err := challenger.Begin(ctx, &c)
	if err != nil {
		return wire.Challenge{}, err
	}
	if len(c.Memo) > MaxMemo || !utf8.ValidString(c.Memo) || c.Expires.After(end) {
		return wire.Challenge{}, ErrMethod
	}
	if err := p.config.Store.Start(ctx, c); err != nil {
		return wire.Challenge{}, fmt.Errorf("keep challenge: %w", err)
	}
	if delivers {
		// The challenge is durable from here on: if this process dies, the next one
		// delivers it.
		if err := p.deliver(ctx, deliverer, c, now); err != nil && !errors.Is(err, ErrLater) {
			return wire.Challenge{}, err
		}
	}
	answer.ID, answer.Expires = c.ID[:], c.Expires.Unix()
	if answer.Nonce == nil {
		answer.Nonce = wire.Bytes{}
	}
	return answer, nil
}

// deliver tries once to deliver a challenge and records how it went. An error
// has been recorded and logged; it says whether there will be another try.
func (p *Prover) deliver(ctx context.Context, d Deliverer, c Challenge, now time.Time) error {
	// Whoever asked may hang up; a mail half sent would be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverTimeout)
	defer cancel()
	err := d.Deliver(ctx, c)
	outcome, record := "ok", func() error { return p.config.Store.Delivered(ctx, c.ID) }
	switch {
	case err == nil:
	case errors.Is(err, ErrLater):
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
			defer func() { <-free }()
			if d, ok := p.challengers[c.Kind].(Deliverer); ok {
				_ = p.deliver(ctx, d, c, now) // recorded and logged there
			}
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
		answer.SIM = c.SIM
	case Failed:
		answer.State = wire.ChallengeFailed
	case Waiting:
	}
	return answer, nil
}
