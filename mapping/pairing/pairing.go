// Package pairing is how two devices of one person learn that they talk to each
// other before one key joins or follows the other (docs/spec/mapping.md, section
// "Lineages"): both show a code of six digits, and the person compares.
//
//	newer device                          older device
//	Pairing.Commitment ────────────────▶
//	                   ◀──────────────── Nonce
//	Pairing (key, Random) ─────────────▶ Pairing.Opens(commitment)
//	Pairing.Code(…)  ══ compare ══  Pairing.Code(…)
//
// Whoever stands between the devices has to commit to a key before he knows the
// nonce, so that he guesses a code once in a million times, and cannot search
// for a key that has it.
//
// What the devices say to each other travels over whatever there is: a code to
// photograph, a text to copy.
package pairing

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"whither/internal/canon"
	"whither/key"
	"whither/mapping"
)

// ErrChanged: what the other device showed is not what it had committed to.
var ErrChanged = errors.New("pairing: the other device has changed its mind; begin again")

// Pairing is what the newer device keeps.
type Pairing struct {
	Newer  key.Public
	Random [32]byte
}

// New starts on the newer device.
func New(random io.Reader, newer key.Public) (Pairing, error) {
	p := Pairing{Newer: newer}
	if _, err := io.ReadFull(random, p.Random[:]); err != nil {
		return Pairing{}, fmt.Errorf("pairing: %w", err)
	}
	return p, nil
}

// Commitment is what the newer device shows first.
func (p Pairing) Commitment() [sha256.Size]byte {
	return pairingHash("commit", p.Newer, p.Random[:])
}

// Opens checks what the newer device showed in the end against what it showed
// first.
func (p Pairing) Opens(commitment [sha256.Size]byte) error {
	own := p.Commitment()
	if subtle.ConstantTimeCompare(own[:], commitment[:]) != 1 {
		return ErrChanged
	}
	return nil
}

// Code is what both devices show, six digits.
func (p Pairing) Code(older key.Public, l mapping.Lineage, nonce mapping.Nonce) string {
	h := pairingHash("code", p.Newer, p.Random[:], older.Bytes(), l[:], nonce[:])
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(h[:])%1_000_000)
}

// pairingHash is SHA-256 over the canonical CBOR array [label, use, COSE_Key of
// the newer device, parts].
func pairingHash(use string, newer key.Public, parts ...[]byte) [sha256.Size]byte {
	b, err := canon.Marshal(struct {
		_     struct{} `cbor:",toarray"`
		Label key.Label
		Use   string
		Newer key.Public
		Parts [][]byte
	}{Label: key.LabelPairing, Use: use, Newer: newer, Parts: parts})
	if err != nil {
		panic("pairing: " + err.Error()) // text and bytes
	}
	return sha256.Sum256(b)
}
