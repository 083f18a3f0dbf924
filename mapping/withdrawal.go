package mapping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
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
	m, err := cose.Parse1(b, MaxWithdrawal)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var body withdrawalBody
	if err := canon.Unmarshal(m.Payload, MaxWithdrawal, &body); err != nil {
		return Withdrawal{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(body.ID) != len(ID{}) || len(body.Payload) != sha256.Size || m.Signature.Role != roleHolder || !m.Signature.HasKID ||
		m.Signature.Until != 0 || m.Signature.Found != 0 || m.Signature.Admitted != 0 {
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
