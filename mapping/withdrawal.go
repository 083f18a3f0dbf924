package mapping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/mapping/ending"
	"whither/registry"
)

// MaxWithdrawal bounds a withdrawal statement.
const MaxWithdrawal = 256

// ErrWithdrawal refuses a withdrawal that is not the holder's for this mapping.
var ErrWithdrawal = errors.New("mapping: withdrawal is not signed by the mapping's holder for this mapping")

// withdrawalBody names what ends without naming whom.
type withdrawalBody struct {
	ID      []byte `cbor:"1,keyasint"`
	Payload []byte `cbor:"2,keyasint"` // digest of the withdrawn payload
}

// Withdrawal is a parsed statement by which a holder ends a mapping.
type Withdrawal struct {
	ID      ID
	Payload Digest
	Time    time.Time
	message cose.Message1
	raw     []byte
}

// Withdraw returns the statement that ends v.
func (c Claims) Withdraw(holder key.Private, payload Digest, now time.Time) ([]byte, error) {
	at, err := notBefore(now, c.Issued)
	if err != nil {
		return nil, err
	}
	body, err := canon.Marshal(withdrawalBody{ID: c.ID[:], Payload: payload[:]})
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelWithdrawal, body, holder, true, cose.Params{Role: roleHolder, Time: at.Unix()})
}

// ParseWithdrawal reads a statement.
func ParseWithdrawal(b []byte) (Withdrawal, error) {
	var body withdrawalBody
	m, err := parseHolders(b, MaxWithdrawal, &body)
	if err != nil {
		return Withdrawal{}, err
	}
	if len(body.ID) != len(ID{}) || len(body.Payload) != sha256.Size {
		return Withdrawal{}, fmt.Errorf("%w: withdrawal", ErrMalformed)
	}
	return Withdrawal{
		ID: ID(body.ID), Payload: Digest(body.Payload), Time: time.Unix(m.Signature.Time, 0), message: m, raw: b,
	}, nil
}

// Bytes returns the statement as it was parsed.
func (w Withdrawal) Bytes() []byte { return w.raw }

// Authorises checks that the holder of u made this withdrawal for exactly u.
// u need not verify any more: whoever could make a mapping can end it.
func (w Withdrawal) Authorises(u Unverified, now time.Time) error {
	switch {
	case w.ID != u.claims.ID, w.Payload != u.digest, w.message.Signature.KID != u.claims.Holder.ID():
		return ErrWithdrawal
	case w.Time.Before(u.claims.Issued):
		return fmt.Errorf("%w: dated before the mapping", ErrWithdrawal)
	case w.Time.After(now.Add(registry.MaxSkew)):
		return ErrFuture
	}
	if err := w.message.Verify(key.LabelWithdrawal, u.claims.Holder); err != nil {
		return fmt.Errorf("%w: %w", ErrWithdrawal, err)
	}
	return nil
}

// checkEnds verifies ends of entries of u.
func (u Unverified) checkEnds(p Policy, ends ...ending.End) error {
	return ending.Check(p.snapshot, p.now, ending.Subject{ID: u.claims.ID, Payload: u.digest}, u.Signed(), ends)
}

// Ends returns the ends of entries, unverified.
func (u Unverified) Ends() []ending.End { return u.ends }

// Signed returns the entries that have signatures, with their times.
func (u Unverified) Signed() []ending.Signed {
	var out []ending.Signed
	for i, e := range u.claims.Entries[:min(len(u.claims.Entries), max(1, len(u.message.Signatures))-1)] {
		out = append(out, ending.Signed{Provider: e.Provider, Time: time.Unix(u.message.Signatures[i+1].Time, 0)})
	}
	return out
}

// Living returns the entries that their MSPs have not ended.
func (v Verified) Living() []Entry {
	return slices.DeleteFunc(slices.Clone(v.p.u.claims.Entries), func(e Entry) bool {
		return slices.ContainsFunc(v.p.u.ends, func(x ending.End) bool { return x.Provider == e.Provider })
	})
}

// End returns v with one more of its entries ended by that entry's MSP; v itself,
// if that has been done.
func (v Verified) End(e ending.End) (Verified, error) {
	if err := v.p.u.checkEnds(v.p.policy, e); err != nil {
		return Verified{}, err
	}
	v.p.u.ends, v.p.u.bundle.Ends = ending.Add(v.p.u.ends, e, v.p.u.Signed())
	return v, nil
}
