package mapping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/possession"
	"whither/registry"
)

// Bounds of what a holder says of a mapping that lives.
const (
	MaxReproof  = 640 // bytes of a re-proof
	MaxQuestion = 256 // bytes of a question for how a mapping stands
)

// Errors.
var (
	ErrReproof  = errors.New("mapping: re-proof is not signed by the mapping's holder for this mapping, or its receipts are not for a re-proof")
	ErrQuestion = errors.New("mapping: question is not signed by the mapping's holder for this mapping, or is too old")
)

type reproofBody struct {
	ID       []byte   `cbor:"1,keyasint"`
	Payload  []byte   `cbor:"2,keyasint"`
	Receipts [][]byte `cbor:"3,keyasint"` // digests
}

// Reproof is a parsed statement by which a holder proves again that she has the
// CSI of a mapping, without an MSP. It answers a claim; the mapping stays as it is.
type Reproof struct {
	ID       ID
	Payload  Digest
	Time     time.Time
	message  cose.Message1
	receipts []possession.Unverified
}

// Reprove returns the statement by which the holder of u proves again.
func (u Unverified) Reprove(holder key.Private, receipts [][]byte, now time.Time) ([]byte, error) {
	body := reproofBody{ID: u.claims.ID[:], Payload: u.digest[:]}
	at := now
	for _, r := range receipts {
		parsed, err := possession.Parse(r)
		if err != nil {
			return nil, err
		}
		if at, err = notBefore(at, parsed.Signed()); err != nil {
			return nil, err
		}
		d := possession.Digest(r)
		body.Receipts = append(body.Receipts, d[:])
	}
	payload, err := canon.Marshal(body)
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelReproof, payload, holder, true, cose.Params{Role: roleHolder, Time: at.Unix()})
}

// ParseReproof reads a statement and the receipts that it names, in order.
func ParseReproof(statement []byte, receipts [][]byte) (Reproof, error) {
	var body reproofBody
	m, err := parseHolders(statement, MaxReproof, &body)
	if err != nil {
		return Reproof{}, err
	}
	if len(body.ID) != len(ID{}) || len(body.Payload) != sha256.Size || len(body.Receipts) == 0 || len(body.Receipts) > possession.MaxReceipts {
		return Reproof{}, fmt.Errorf("%w: re-proof", ErrMalformed)
	}
	var named [][32]byte
	for _, d := range body.Receipts {
		if len(d) != sha256.Size {
			return Reproof{}, fmt.Errorf("%w: receipt digest", ErrMalformed)
		}
		named = append(named, [32]byte(d))
	}
	r := Reproof{ID: ID(body.ID), Payload: Digest(body.Payload), Time: time.Unix(m.Signature.Time, 0), message: m}
	if r.receipts, err = parseReceipts(receipts, named); err != nil {
		return Reproof{}, err
	}
	return r, nil
}

// parseHolders reads a COSE_Sign1 in the role of a holder.
func parseHolders(statement []byte, max int, body any) (cose.Message1, error) {
	m, err := cose.Parse1(statement, max)
	if err != nil {
		return cose.Message1{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := canon.Unmarshal(m.Payload, max, body); err != nil {
		return cose.Message1{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if m.Signature.Role != roleHolder || !m.Signature.HasKID || m.Signature.Until != 0 || m.Signature.Found != 0 || m.Signature.Admitted != 0 {
		return cose.Message1{}, fmt.Errorf("%w: holder's statement", ErrMalformed)
	}
	return m, nil
}

// VerifyReproof verifies a re-proof of u and returns what its receipts show.
// They are for the holder's own key, and count as those of the mapping would.
func (p Policy) VerifyReproof(r Reproof, u Unverified) (possession.Assessment, error) {
	switch {
	case r.ID != u.claims.ID, r.Payload != u.digest, r.message.Signature.KID != u.claims.Holder.ID():
		return possession.Assessment{}, ErrReproof
	case r.Time.After(p.now.Add(registry.MaxSkew)):
		return possession.Assessment{}, ErrFuture
	}
	if err := r.message.Verify(key.LabelReproof, u.claims.Holder); err != nil {
		return possession.Assessment{}, fmt.Errorf("%w: %w", ErrReproof, err)
	}
	for _, one := range r.receipts {
		if _, word := one.Word(); !word && one.Claims().Purpose != possession.PurposeReprove {
			return possession.Assessment{}, fmt.Errorf("%w: made for something else", ErrReproof)
		}
	}
	return p.assess(u.claims, r.receipts, u.claims.Holder, r.Time, p.now)
}

// Standing returns what the evidence of a stored mapping is worth now, whatever
// has become of its MSPs: who holds a CSI does not depend on them.
func (p Policy) Standing(u Unverified) (possession.Assessment, error) {
	if err := u.checkHolder(); err != nil {
		return possession.Assessment{}, err
	}
	root, err := u.checkLineage()
	if err != nil {
		return possession.Assessment{}, err
	}
	signed := time.Unix(u.message.Signatures[0].Time, 0)
	return p.assess(u.claims, u.receipts, root, signed, signed)
}

// assess judges receipts beside a mapping's claims.
func (p Policy) assess(c Claims, receipts []possession.Unverified, holder key.Public, before, witnessed time.Time) (possession.Assessment, error) {
	var barred []registry.Operator
	add := func(id registry.PartyID) {
		if party, ok := p.snapshot.Party(id); ok {
			barred = append(barred, party.Operator)
		}
	}
	add(c.DP)
	for _, e := range c.Entries {
		add(e.Provider)
	}
	return possession.Assess(p.snapshot, receipts, possession.Question{
		CSI: c.CSI, Holder: holder, Barred: barred, Before: before, Witnessed: witnessed, Now: p.now, Policy: p.evidence,
	})
}

type questionBody struct {
	ID []byte `cbor:"1,keyasint"`
}

// Question is a parsed request of a holder to know how her mapping stands.
type Question struct {
	ID      ID
	Time    time.Time
	message cose.Message1
}

// Ask returns a question about a mapping, signed by its holder.
func Ask(id ID, holder key.Private, now time.Time) ([]byte, error) {
	payload, err := canon.Marshal(questionBody{ID: id[:]})
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelStatus, payload, holder, true, cose.Params{Role: roleHolder, Time: now.Unix()})
}

// ParseQuestion reads a question.
func ParseQuestion(b []byte) (Question, error) {
	var body questionBody
	m, err := parseHolders(b, MaxQuestion, &body)
	if err != nil {
		return Question{}, err
	}
	if len(body.ID) != len(ID{}) {
		return Question{}, fmt.Errorf("%w: question", ErrMalformed)
	}
	return Question{ID: ID(body.ID), Time: time.Unix(m.Signature.Time, 0), message: m}, nil
}

// Authorises checks that the holder of u asks, now.
func (q Question) Authorises(u Unverified, now time.Time) error {
	if q.ID != u.claims.ID || q.message.Signature.KID != u.claims.Holder.ID() || q.message.Verify(key.LabelStatus, u.claims.Holder) != nil {
		return ErrQuestion
	}
	if q.Time.After(now.Add(registry.MaxSkew)) || q.Time.Before(now.Add(-registry.MaxSkew)) {
		return fmt.Errorf("%w: dated %s", ErrQuestion, q.Time)
	}
	return nil
}
