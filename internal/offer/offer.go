// Package offer makes and checks the offers of DPs and MSPs without storing
// them: an offer is an authenticated note that its maker gives away and gets
// back. Making offers costs no write, so that nobody can fill a disk with
// them; that each is used once is the business of whoever stores what came of
// it, under the offer's nonce.
//
// Layout: expiry (8 bytes, seconds, big-endian) ‖ random (16) ‖
// HMAC-SHA-256(secret, label ‖ party ‖ 0 ‖ subject ‖ expiry ‖ random) (32),
// where subject is the hash that receipts use for CSI and holder key. The
// nonce that enters a mapping is SHA-256(offer)[:16].
package offer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// Life of an offer (design section 13).
const Life = 24 * time.Hour

// Size of an offer in bytes.
const Size = 8 + 16 + sha256.Size

// SecretSize is the size of a maker's secret in bytes.
const SecretSize = 32

// Errors.
var (
	ErrUnknown = errors.New("offer: not made here, or for another CSI or key")
	ErrExpired = errors.New("offer: expired")
	ErrNonce   = errors.New("offer: the mapping carries another nonce")
)

// Maker makes and recognises the offers of one party.
type Maker struct {
	party  registry.PartyID
	secret [SecretSize]byte
	life   time.Duration
}

// NewMaker returns the maker of a party. Processes that share the secret
// recognise each other's offers.
func NewMaker(party registry.PartyID, secret [SecretSize]byte) *Maker {
	return &Maker{party: party, secret: secret, life: Life}
}

// For returns a maker whose offers live for another time than [Life].
func (m *Maker) For(life time.Duration) *Maker {
	out := *m
	out.life = life
	return &out
}

// Life is how long its offers live.
func (m *Maker) Life() time.Duration { return m.life }

// String never shows the secret.
func (m *Maker) String() string { return "offer.Maker(" + m.party.String() + ")" }

// Make returns a new offer for a CSI and a holder key.
func (m *Maker) Make(id csi.ID, holder key.Public, now time.Time) ([]byte, error) {
	b := make([]byte, Size-sha256.Size, Size)
	binary.BigEndian.PutUint64(b, uint64(now.Add(m.life).Unix()))
	if _, err := io.ReadFull(rand.Reader, b[8:]); err != nil {
		return nil, fmt.Errorf("offer: %w", err)
	}
	return append(b, m.mac(b, id, holder)...), nil
}

func (m *Maker) mac(head []byte, id csi.ID, holder key.Public) []byte {
	subject := possession.SubjectOf(id, holder)
	h := hmac.New(sha256.New, m.secret[:])
	_, _ = io.WriteString(h, "whither/v1/offer")
	_, _ = io.WriteString(h, m.party.String())
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(subject[:])
	_, _ = h.Write(head)
	return h.Sum(nil)
}

// Check reports whether offer was made here for this CSI and key and still
// stands, and whether nonce is the one that goes with it.
func (m *Maker) Check(offer []byte, id csi.ID, holder key.Public, nonce mapping.Nonce, now time.Time) error {
	if len(offer) != Size {
		return ErrUnknown
	}
	head := offer[:Size-sha256.Size]
	if !hmac.Equal(offer[len(head):], m.mac(head, id, holder)) {
		return ErrUnknown
	}
	if !now.Before(Expires(offer)) {
		return ErrExpired
	}
	if Nonce(offer) != nonce {
		return ErrNonce
	}
	return nil
}

// Nonce returns the nonce that goes with an offer.
func Nonce(offer []byte) mapping.Nonce {
	sum := sha256.Sum256(offer)
	return mapping.Nonce(sum[:mapping.NonceSize])
}

// Expires returns when an offer of the right size ends.
func Expires(offer []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(offer)&(1<<62-1)), 0)
}
