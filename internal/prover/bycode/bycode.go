// Package bycode is the method by one-time codes (docs/spec/evidence.md): a code
// goes out through an operator's service, by message or by call, and comes back
// from the client.
//
// It promises that a receipt says no more than that the operator found the code
// right. The code itself is never the prover's: whoever reads its memory or its
// store cannot answer for the holder. It does not judge the operator: two
// provers, over different channels, are needed to count (package possession).
package bycode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/internal/camara"
	"whither/internal/prover"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// Life is how long a code can be answered (design section 4).
const Life = 5 * time.Minute

// Courier sends one-time codes over one channel and compares what comes back.
// *camara.OTP is one, and its errors are the contract: ErrCode, ErrExpired,
// ErrTries, ErrNotAllowed, ErrUnavailable.
type Courier interface {
	// Send sends text with a code in the place of camara.Placeholder. It returns
	// the id under which Validate knows the code.
	Send(ctx context.Context, to csi.ID, text string) (id string, err error)
	// Validate returns nil if code is the one sent under id. A code is good once.
	Validate(ctx context.Context, id, code string) error
}

// text is what the holder reads or hears, at most camara.MaxText characters; %s
// is the key's fingerprint.
const text = camara.Placeholder + " lets key %s answer for this number in messaging discovery. Did you not ask? Then give it to nobody."

// Method returns the method that sends codes by these couriers, each for a kind
// of evidence.
func Method(couriers map[possession.Kind]Courier) prover.Method {
	m := prover.Method{Challengers: make(map[possession.Kind]prover.Challenger), Problem: Problem}
	for kind, courier := range couriers {
		m.Challengers[kind] = channel{courier}
	}
	if courier, ok := couriers[possession.CodeMessage]; ok {
		m.Tellers = map[string]prover.Teller{"tel": channel{courier}}
	}
	return m
}

// channel challenges over one channel. What a challenge remembers is the
// courier's id of the code.
type channel struct{ courier Courier }

var _ prover.Answerer = channel{}

// Begin sends the code.
func (ch channel) Begin(ctx context.Context, c *prover.Challenge) (wire.Challenge, error) {
	sent, err := ch.courier.Send(ctx, c.CSI, fmt.Sprintf(text, c.Holder.ID()))
	if err != nil {
		return wire.Challenge{}, fmt.Errorf("send the code: %w", err)
	}
	c.Memo, c.Expires = sent, c.Started.Add(Life)
	return wire.Challenge{}, nil
}

// Answer has the courier compare a code. The artefact is the kind and the
// courier's id, with which its operator finds what it sent.
func (ch channel) Answer(ctx context.Context, c prover.Challenge, a prover.Answer, _ time.Time) (prover.Finding, error) {
	if a.Code == "" {
		return prover.Finding{}, fmt.Errorf("%w: no code", prover.ErrRequest)
	}
	if err := ch.courier.Validate(ctx, c.Memo, a.Code); err != nil {
		return prover.Finding{}, fmt.Errorf("validate the code: %w", err)
	}
	return prover.Finding{Artefact: []byte(c.Kind.String() + " " + c.Memo), Level: possession.Level2}, nil
}

// What the holder of a number reads. The operators' services send nothing
// without a code: here it is a reference, and good for nothing.
const (
	claimed  = "Somebody else claims this number in messaging discovery. If it is yours, open your app and prove it. Reference " + camara.Placeholder
	expiring = "Your number's entry in messaging discovery ends soon. To keep it, open your app and prove it. Reference " + camara.Placeholder
)

var _ prover.Teller = channel{}

// Tell implements [prover.Teller].
func (ch channel) Tell(ctx context.Context, id csi.ID, n prover.Notice) error {
	text := claimed
	if n.Kind == wire.NoticeExpiry {
		text = expiring
	}
	if _, err := ch.courier.Send(ctx, id, text); err != nil {
		return fmt.Errorf("send the notice: %w", err)
	}
	return nil
}

// table is the table from this method's errors to problem kinds.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{camara.ErrCode, problem.CodeWrong},
	{camara.ErrExpired, problem.ChallengeExpired},
	{camara.ErrTries, problem.ChallengeFailed},
	{camara.ErrNotAllowed, problem.CannotDeliver},
	{camara.ErrUnavailable, problem.Unavailable},
}

// Problem is the method's table.
func Problem(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
