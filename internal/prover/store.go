package prover

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/problem"
)

// ID names a challenge to the client that started it. Whoever has it learns
// how the challenge stands, so it is as secret as the receipt.
type ID [16]byte

// Mailbox is the name under which a challenge gets answers from outside: the
// local part of a mail address, or the user part of a SIP URI. It is as random
// as the id and not secret: nobody else gets anything there, and whoever knows
// it learns nothing.
type Mailbox [16]byte

// letters is base32 in lower case: local parts are compared so.
var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Local returns the mailbox as text, 26 characters.
func (m Mailbox) Local() string { return letters.EncodeToString(m[:]) }

// ParseMailbox reads what Local writes.
func ParseMailbox(local string) (Mailbox, bool) {
	b, err := letters.DecodeString(local)
	if err != nil || len(b) != len(Mailbox{}) {
		return Mailbox{}, false
	}
	m := Mailbox(b)
	return m, m.Local() == local // no spare bits, so that there is one spelling
}

// State is how a challenge stands.
type State uint8

// The states. Only a waiting challenge changes.
const (
	Waiting State = 1
	Proved  State = 2
	Failed  State = 3
)

// Challenge is all that a prover keeps of a challenge.
type Challenge struct {
	ID      ID
	Mailbox Mailbox
	Kind    possession.Kind
	Purpose possession.Purpose
	CSI     csi.ID
	Holder  key.Public
	Nonce   [possession.NonceSize]byte
	Started time.Time // in whole seconds
	Expires time.Time // in whole seconds

	State   State
	Problem problem.Kind // why the last answer, or the delivery, was refused; "" = nothing was
	Tries   int          // answers refused for good

	// Memo is what the kind of evidence remembers of the challenge, in UTF-8 and
	// at most MaxMemo bytes.
	Memo string
	// Incumbent tells that it was asked for by who showed a mapping; it counts
	// towards the incumbents' budget.
	Incumbent bool

	Delivered bool      // or there is nothing to deliver
	Attempts  int       // deliveries that may succeed later
	Next      time.Time // when to deliver, until Delivered

	Proof // of a proved challenge
}

// Proof is what a proved challenge leaves to the client.
type Proof struct {
	Receipt  []byte
	Artefact []byte // the raw evidence
	SIM      string // what its operator says of a number's SIM card, as in wire.ChallengeStatus
}

// Refusal says why an answer or a delivery is refused and what follows.
type Refusal struct {
	Problem problem.Kind
	Effect  Effect
}

// Effect is what a refusal does to a challenge.
type Effect uint8

// The effects.
const (
	Noted   Effect = 1 // nothing but that the client sees the problem
	Counted Effect = 2 // one try less; the last one ends the challenge
	Ending  Effect = 3 // the challenge has failed
)

// MaxMemo bounds what a kind of evidence remembers of a challenge, in bytes.
const MaxMemo = 1 << 10

// MaxTries is how many answers may be refused before a challenge has failed.
const MaxTries = 5

// MarkDelivered notes that the challenge is on its way.
func (c *Challenge) MarkDelivered() {
	c.Delivered = true
	if c.Problem == problem.CannotDeliver {
		c.Problem = ""
	}
}

// Postpone notes an attempt to deliver that may succeed later.
func (c *Challenge) Postpone(why problem.Kind, next time.Time) error {
	if c.State != Waiting {
		return ErrDecided
	}
	c.Attempts++
	c.Problem, c.Next = why, next
	return nil
}

// Refuse notes a refusal; the last of MaxTries ends the challenge.
func (c *Challenge) Refuse(r Refusal) error {
	if c.State != Waiting {
		return ErrDecided
	}
	c.Problem = r.Problem
	if r.Effect == Counted {
		c.Tries++
	}
	if r.Effect == Ending || c.Tries >= MaxTries {
		c.State = Failed
	}
	return nil
}

// Prove ends a waiting challenge well. A challenge that the same artefact has
// proved keeps its first proof.
func (c *Challenge) Prove(p Proof) error {
	switch {
	case c.State == Proved && bytes.Equal(c.Artefact, p.Artefact):
		return nil
	case c.State != Waiting:
		return ErrDecided
	}
	c.State, c.Problem, c.Proof = Proved, "", p
	return nil
}

// redacted is all that is ever printed of a challenge: it holds a CSI and a
// nonce.
const redacted = "prover.Challenge(redacted)"

// Format prints a redaction for every verb.
func (c Challenge) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs a redaction.
func (c Challenge) LogValue() slog.Value { return slog.StringValue(redacted) }

// Errors of a Store.
var (
	ErrUnknown = errors.New("prover: no such challenge")
	ErrDecided = errors.New("prover: the challenge is decided")
	ErrTaken   = errors.New("prover: another challenge has this id or mailbox")
)

// Store keeps challenges until they end. Each writing method is one
// transaction: when it returns nil the write is durable, whatever crashes; when
// it returns an error of its own the write has been made whole or not at all,
// and making it again is safe (a refusal may then count twice). A store
// authenticates what it seals. It does not judge whether a challenge has
// expired; until it is swept it is found.
//
// Times come back in UTC or local time, equal to the millisecond.
type Store interface {
	// Start keeps a new waiting challenge, or returns ErrTaken.
	Start(ctx context.Context, c Challenge) error
	// ByID returns a challenge, or ErrUnknown.
	ByID(ctx context.Context, id ID) (Challenge, error)
	// ByMailbox returns the challenge that a mailbox belongs to, or ErrUnknown.
	ByMailbox(ctx context.Context, m Mailbox) (Challenge, error)
	// Delivered, Postpone, Refuse and Prove change one challenge by the method
	// of [Challenge] that does it, and return its error; or they return
	// ErrUnknown.
	Delivered(ctx context.Context, id ID) error
	Postpone(ctx context.Context, id ID, why problem.Kind, next time.Time) error
	Refuse(ctx context.Context, id ID, r Refusal) error
	Prove(ctx context.Context, id ID, p Proof) error
	// DeliveriesDue returns at most max waiting challenges that are not
	// delivered, whose Next is not after now and whose Expires is, by Next.
	DeliveriesDue(ctx context.Context, now time.Time, max int) ([]Challenge, error)
	// StartedSince returns at most max challenges started at t or later, newest
	// first, of whatever state; without their proofs.
	StartedSince(ctx context.Context, t time.Time, max int) ([]Challenge, error)
	// Sweep removes at most max challenges whose Expires is not after now, with
	// all that was kept of them, and returns how many went.
	Sweep(ctx context.Context, now time.Time, max int) (int, error)
}

// newChallenge draws the random parts of a challenge.
func newChallenge(now time.Time) (Challenge, error) {
	var random [len(ID{}) + len(Mailbox{}) + possession.NonceSize]byte
	if _, err := io.ReadFull(rand.Reader, random[:]); err != nil {
		return Challenge{}, fmt.Errorf("prover: %w", err)
	}
	started := now.Truncate(time.Second)
	return Challenge{
		ID: ID(random[:16]), Mailbox: Mailbox(random[16:32]), Nonce: [possession.NonceSize]byte(random[32:]),
		Started: started, Expires: started.Add(Life), State: Waiting, Next: started,
	}, nil
}
