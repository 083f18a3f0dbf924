package docket

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/dp/precedence"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

// Errors of decisions.
var (
	ErrDecision = errors.New("docket: not a decision of a reviewer")
	ErrClosed   = errors.New("docket: the case is not under review")
)

// Bounds of a decision.
const (
	MaxDecision = 1024 // bytes
	MaxReason   = 512  // bytes
)

// Decision is what a reviewer says of a case, with his signature.
type Decision struct {
	Case     mapping.ID
	Newcomer bool   // he finds for the newcomer, else for the incumbents
	Reason   string // for those who read the records later
	Time     time.Time
	Reviewer key.ID

	message cose.Message1
}

type decisionBody struct {
	Case     []byte `cbor:"1,keyasint"`
	Newcomer bool   `cbor:"2,keyasint,omitempty"`
	Reason   string `cbor:"3,keyasint"`
}

// roleReviewer is the role in a decision's header.
const roleReviewer uint8 = 1

// Sign returns a decision's bytes.
func (d Decision) Sign(reviewer key.Private, now time.Time) ([]byte, error) {
	payload, err := canon.Marshal(decisionBody{Case: d.Case[:], Newcomer: d.Newcomer, Reason: d.Reason})
	if err != nil {
		return nil, err
	}
	if len(d.Reason) == 0 || len(d.Reason) > MaxReason {
		return nil, fmt.Errorf("%w: a reason of 1 to %d bytes is needed", ErrDecision, MaxReason)
	}
	return cose.Sign1(key.LabelDecision, payload, reviewer, true, cose.Params{Role: roleReviewer, Time: now.Unix()})
}

// ParseDecision reads a decision.
func ParseDecision(b []byte) (Decision, error) {
	m, err := cose.Parse1(b, MaxDecision)
	if err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrDecision, err)
	}
	var body decisionBody
	if err := canon.Unmarshal(m.Payload, MaxDecision, &body); err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrDecision, err)
	}
	sig := m.Signature
	if len(body.Case) != len(mapping.ID{}) || len(body.Reason) == 0 || len(body.Reason) > MaxReason || sig.Role != roleReviewer ||
		!sig.HasKID || sig.Until != 0 || sig.Found != 0 || sig.Admitted != 0 {
		return Decision{}, fmt.Errorf("%w: a member is out of bounds", ErrDecision)
	}
	return Decision{
		Case: mapping.ID(body.Case), Newcomer: body.Newcomer, Reason: body.Reason, Time: time.Unix(sig.Time, 0), Reviewer: sig.KID, message: m,
	}, nil
}

// verify checks that one of the reviewers has made the decision, by now.
func (d Decision) verify(reviewers []key.Public, now time.Time) error {
	i := slices.IndexFunc(reviewers, func(k key.Public) bool { return k.ID() == d.Reviewer })
	if i < 0 {
		return fmt.Errorf("%w: key %s is no reviewer's", ErrDecision, d.Reviewer)
	}
	if d.Time.After(now.Add(registry.MaxSkew)) {
		return fmt.Errorf("%w: dated in the future", ErrDecision)
	}
	if err := d.message.Verify(key.LabelDecision, reviewers[i]); err != nil {
		return fmt.Errorf("%w: %w", ErrDecision, err)
	}
	return nil
}

// Review takes a reviewer's decision on a case. Each reviewer has one voice, the
// last that he gave; the case is decided when as many as the quorum agree. It
// returns the write, and whether the case is decided by it.
func (k *Docket) Review(c Claim, statement []byte, reviewers []key.Public, quorum int, finish Finish) (Write, bool, error) {
	d, err := ParseDecision(statement)
	if err != nil {
		return Write{}, false, err
	}
	if err := d.verify(reviewers, k.Clock.Now); err != nil {
		return Write{}, false, err
	}
	if d.Case != c.ID || c.Phase != precedence.Reviewed {
		return Write{}, false, ErrClosed
	}
	voices := [][]byte{statement}
	agree := 1
	for _, raw := range c.Decisions {
		other, err := ParseDecision(raw)
		if err != nil || other.Reviewer == d.Reviewer || other.verify(reviewers, k.Clock.Now) != nil {
			continue
		}
		voices = append(voices, raw)
		if other.Newcomer == d.Newcomer {
			agree++
		}
	}
	w, err := k.judge(c, voices, agree >= quorum, d.Newcomer, finish)
	return w, agree >= quorum, err
}
