package prover_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"whither/internal/prover"
	"whither/problem"
)

// errInjected is what a write that a test lets fail returns.
var errInjected = errors.New("write fails by order of the test")

// memory is a Store that holds its callers to the contract: it complains about
// what a durable store could not keep.
type memory struct {
	complain func(format string, args ...any)

	mu    sync.Mutex
	rows  map[prover.ID]prover.Challenge
	fault func(write string) (before, after bool)
}

var _ prover.Store = (*memory)(nil)

func newMemory(complain func(format string, args ...any)) *memory {
	return &memory{complain: complain, rows: make(map[prover.ID]prover.Challenge)}
}

// failing sets which writes fail, before or after they were made.
func (m *memory) failing(f func(write string) (before, after bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

func (m *memory) write(ctx context.Context, name string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	before, after := false, false
	if m.fault != nil {
		before, after = m.fault(name)
	}
	if before {
		return errInjected
	}
	if err := do(); err != nil {
		return err
	}
	if after {
		return errInjected
	}
	return nil
}

func (m *memory) Start(ctx context.Context, c prover.Challenge) error {
	switch {
	case c.State != prover.Waiting, c.Tries != 0, len(c.Receipt)+len(c.Artefact) != 0, c.Problem != "":
		m.complain("a new challenge has a past: %v", c)
	case c.CSI.IsZero(), c.Holder.IsZero(), c.ID == prover.ID{}, c.Mailbox == prover.Mailbox{}:
		m.complain("a new challenge lacks something")
	case c.Started.Nanosecond() != 0, c.Expires.Nanosecond() != 0, !c.Expires.After(c.Started), c.Next.IsZero():
		m.complain("a new challenge has times %v, %v, %v", c.Started, c.Expires, c.Next)
	}
	return m.write(ctx, "start", func() error {
		for _, other := range m.rows {
			if other.ID == c.ID || other.Mailbox == c.Mailbox {
				return prover.ErrTaken
			}
		}
		c.Next = c.Next.Truncate(time.Millisecond)
		m.rows[c.ID] = c
		return nil
	})
}

func (m *memory) ByID(ctx context.Context, id prover.ID) (prover.Challenge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return prover.Challenge{}, err
	}
	c, ok := m.rows[id]
	if !ok {
		return prover.Challenge{}, prover.ErrUnknown
	}
	c.Receipt, c.Artefact = bytes.Clone(c.Receipt), bytes.Clone(c.Artefact)
	return c, nil
}

func (m *memory) ByMailbox(ctx context.Context, box prover.Mailbox) (prover.Challenge, error) {
	m.mu.Lock()
	for _, c := range m.rows {
		if c.Mailbox == box {
			m.mu.Unlock()
			return m.ByID(ctx, c.ID)
		}
	}
	m.mu.Unlock()
	return prover.Challenge{}, prover.ErrUnknown
}

// change applies f to a challenge.
func (m *memory) change(ctx context.Context, name string, id prover.ID, f func(*prover.Challenge) error) error {
	return m.write(ctx, name, func() error {
		c, ok := m.rows[id]
		if !ok {
			return prover.ErrUnknown
		}
		if err := f(&c); err != nil {
			return err
		}
		c.Next = c.Next.Truncate(time.Millisecond)
		m.rows[id] = c
		return nil
	})
}

func (m *memory) Delivered(ctx context.Context, id prover.ID) error {
	return m.change(ctx, "delivered", id, func(c *prover.Challenge) error {
		c.MarkDelivered()
		return nil
	})
}

func (m *memory) Postpone(ctx context.Context, id prover.ID, why problem.Kind, next time.Time) error {
	return m.change(ctx, "postpone", id, func(c *prover.Challenge) error { return c.Postpone(why, next) })
}

func (m *memory) Refuse(ctx context.Context, id prover.ID, x prover.Refusal) error {
	if x.Problem == "" || x.Effect < prover.Noted || x.Effect > prover.Ending {
		m.complain("refusal %+v", x)
	}
	return m.change(ctx, "refuse", id, func(c *prover.Challenge) error { return c.Refuse(x) })
}

func (m *memory) Prove(ctx context.Context, id prover.ID, proof prover.Proof) error {
	if len(proof.Receipt) == 0 || len(proof.Artefact) == 0 || len(proof.Artefact) > prover.MaxArtefact {
		m.complain("proof with %d and %d bytes", len(proof.Receipt), len(proof.Artefact))
	}
	proof.Receipt, proof.Artefact = bytes.Clone(proof.Receipt), bytes.Clone(proof.Artefact)
	return m.change(ctx, "prove", id, func(c *prover.Challenge) error { return c.Prove(proof) })
}

// all returns every challenge.
func (m *memory) all() []prover.Challenge {
	return m.list(1000, func(prover.Challenge) bool { return true }, func(a, b prover.Challenge) int { return a.Started.Compare(b.Started) })
}

// list returns the challenges that match, in order, at most max.
func (m *memory) list(max int, match func(prover.Challenge) bool, order func(a, b prover.Challenge) int) []prover.Challenge {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []prover.Challenge
	for _, c := range m.rows {
		if match(c) {
			c.Proof = prover.Proof{}
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b prover.Challenge) int {
		return cmp.Or(order(a, b), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out[:min(max, len(out))]
}

func (m *memory) DeliveriesDue(_ context.Context, now time.Time, max int) ([]prover.Challenge, error) {
	return m.list(max, func(c prover.Challenge) bool {
		return c.State == prover.Waiting && !c.Delivered && !c.Next.After(now) && c.Expires.After(now)
	}, func(a, b prover.Challenge) int { return a.Next.Compare(b.Next) }), nil
}

func (m *memory) StartedSince(_ context.Context, t time.Time, max int) ([]prover.Challenge, error) {
	return m.list(max, func(c prover.Challenge) bool { return !c.Started.Before(t) },
		func(a, b prover.Challenge) int { return b.Started.Compare(a.Started) }), nil
}

func (m *memory) Sweep(ctx context.Context, now time.Time, max int) (int, error) {
	n := 0
	err := m.write(ctx, "sweep", func() error {
		for id, c := range m.rows {
			if n < max && !c.Expires.After(now) {
				delete(m.rows, id)
				n++
			}
		}
		return nil
	})
	return n, err
}
