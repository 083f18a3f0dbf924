// Package vault seals the rows of a database, so that whoever steals the file
// learns nothing about a person, and whoever changes it is noticed. The
// formats are in docs/spec/storage.md, section "Sealing".
//
// A row is sealed with AES-256-GCM under a data key of its own, and the data
// key is wrapped with AES-256-GCM under the key-encryption key of a generation:
//
//	key  = GCM(HKDF(kek[generation]), data key; table, label, id, generation)
//	body = GCM(data key, what the row says;     table, label, id, columns in clear)
//
// Destroying a generation erases what is wrapped under it, wherever copies of
// the database lie (design section 9).
//
// It promises that a row opens only in its own place and beside its own columns
// in clear. It does not notice rows that are missing, or that the row was put
// back to an older state of itself.
//
// Every nonce is 96 random bits. A data key seals one body once; a
// key-encryption key wraps at most 2^32 data keys before its nonces could repeat
// with a probability of 2^-33, and is replaced weekly. Sizes are bytes.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"whither/internal/keyfile"
)

// Errors.
var (
	ErrKeys       = errors.New("vault: keys are missing, malformed or not those of this database; restore the keys and kek folders that belong to it")
	ErrGeneration = errors.New("vault: rows need a key-encryption generation that is not there; restore its file from where it is kept")
	ErrSeal       = errors.New("vault: a row's seal is broken; run fsck, and restore a backup")
)

// Keys open what a database holds. They lie outside of it and of its backups.
// Each prints as a redaction.
type Keys struct {
	// Row makes labels. It lives as long as the database.
	Row keyfile.Secret
	// Generations are the key-encryption keys by number, from 1.
	Generations map[uint32]keyfile.Secret
	// Current is the generation under which new rows are wrapped.
	Current uint32
}

// Names that keep the uses of keys and of associated data apart. None is a
// prefix of another.
const (
	useWrap     = "whither/v1/kek wrap"
	useKEKCheck = "whither/v1/kek check"
	useRowCheck = "whither/v1/row-key check"
	useDataKey  = "whither/v1/row data key"
	useBody     = "whither/v1/row body"
)

// LabelSize is the length of a label.
const LabelSize = sha256.Size

// Label is how rows are looked up by what they must not show.
type Label [LabelSize]byte

// Place is where a row is: it binds the row's two sealed parts to it.
type Place struct {
	Table string
	Label Label
	ID    []byte
}

// Sealed is the secret part of a row.
type Sealed struct {
	Generation uint32
	Key        []byte // the row's data key, wrapped under the generation
	Body       []byte // what the row says, sealed under the data key
}

// Vault seals and opens rows. It is immutable and safe for concurrent use.
type Vault struct {
	row     keyfile.Secret
	wraps   map[uint32]cipher.AEAD
	checks  map[uint32]string
	current uint32
}

// New prepares the keys. Whether they are a database's own is told by their
// checks, which the database keeps.
func New(k Keys) (*Vault, error) {
	v := &Vault{row: k.Row, wraps: make(map[uint32]cipher.AEAD), checks: make(map[uint32]string), current: k.Current}
	if k.Row == (keyfile.Secret{}) {
		return nil, fmt.Errorf("%w: no row key", ErrKeys)
	}
	for n, kek := range k.Generations {
		if n == 0 || kek == (keyfile.Secret{}) {
			return nil, fmt.Errorf("%w: generation %d", ErrKeys, n)
		}
		wrap, err := expand(kek, useWrap)
		if err != nil {
			return nil, err
		}
		if v.wraps[n], err = newAEAD(wrap); err != nil {
			return nil, err
		}
		if v.checks[n], err = check(kek, useKEKCheck); err != nil {
			return nil, err
		}
	}
	if !v.Has(k.Current) {
		return nil, fmt.Errorf("%w: no key of the current generation %d", ErrKeys, k.Current)
	}
	return v, nil
}

// Format prints a redaction for every verb.
func (Vault) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.Vault(redacted)") }

// Current is the generation under which rows are sealed.
func (v *Vault) Current() uint32 { return v.current }

// Has reports whether the key of a generation is there.
func (v *Vault) Has(generation uint32) bool { return v.wraps[generation] != nil }

// RowCheck returns a value that tells row keys apart and nothing else of them.
func (v *Vault) RowCheck() (string, error) { return check(v.row, useRowCheck) }

// Checks returns such a value for each generation.
func (v *Vault) Checks() map[uint32]string { return v.checks }

func expand(s keyfile.Secret, use string) ([]byte, error) {
	b, err := hkdf.Expand(sha256.New, s[:], use, keyfile.SecretSize)
	if err != nil {
		return nil, fmt.Errorf("vault: derive %s: %w", use, err)
	}
	return b, nil
}

func check(s keyfile.Secret, use string) (string, error) {
	b, err := expand(s, use)
	return hex.EncodeToString(b), err
}

// newAEAD returns AES-256-GCM that draws a random nonce and puts it in front:
// 28 bytes more than what it seals.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return a, nil
}

// Label returns HMAC-SHA-256(row key, what).
func (v *Vault) Label(what []byte) Label {
	h := hmac.New(sha256.New, v.row[:])
	h.Write(what)
	return Label(h.Sum(nil))
}

// Seal seals a row's body under a fresh data key. columns are those that stand
// beside it in clear: they are bound to the body, so that they cannot be
// changed by themselves.
//
// A row that is written again gets a new data key: what it said before does
// not open with the key of what it says now.
func (v *Vault) Seal(p Place, columns, body []byte) (Sealed, error) {
	var key [keyfile.SecretSize]byte
	if _, err := rand.Read(key[:]); err != nil {
		return Sealed{}, fmt.Errorf("vault: %w", err)
	}
	a, err := newAEAD(key[:])
	if err != nil {
		return Sealed{}, err
	}
	return Sealed{
		Generation: v.current,
		Key:        v.wraps[v.current].Seal(nil, nil, key[:], p.keyData(v.current)), //nolint:gosec // the AEAD draws the nonce
		Body:       a.Seal(nil, nil, body, p.bodyData(columns)),                     //nolint:gosec // likewise
	}, nil
}

// Open returns a row's body.
func (v *Vault) Open(p Place, columns []byte, s Sealed) ([]byte, error) {
	key, err := v.unwrap(p, s)
	if err != nil {
		return nil, err
	}
	a, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	body, err := a.Open(nil, nil, s.Body, p.bodyData(columns))
	if err != nil {
		return nil, fmt.Errorf("%w: body", ErrSeal)
	}
	return body, nil
}

// Rewrap wraps a row's data key under the current generation. The body, sealed
// under the data key, stays as it is.
func (v *Vault) Rewrap(p Place, s Sealed) (Sealed, error) {
	key, err := v.unwrap(p, s)
	if err != nil {
		return Sealed{}, err
	}
	s.Generation, s.Key = v.current, v.wraps[v.current].Seal(nil, nil, key, p.keyData(v.current)) //nolint:gosec // likewise
	return s, nil
}

func (v *Vault) unwrap(p Place, s Sealed) ([]byte, error) {
	wrap := v.wraps[s.Generation]
	if wrap == nil {
		return nil, fmt.Errorf("%w: %d", ErrGeneration, s.Generation)
	}
	key, err := wrap.Open(nil, nil, s.Key, p.keyData(s.Generation))
	if err != nil || len(key) != keyfile.SecretSize {
		return nil, fmt.Errorf("%w: data key", ErrSeal)
	}
	return key, nil
}

// keyData is the associated data of a data key, bodyData that of a body.
func (p Place) keyData(generation uint32) []byte {
	return binary.BigEndian.AppendUint32(p.append(useDataKey), generation)
}

func (p Place) bodyData(columns []byte) []byte { return append(p.append(useBody), columns...) }

// append encodes a place. Table and id stand behind their lengths, so that no
// two places are the same bytes.
func (p Place) append(use string) []byte {
	b := make([]byte, 0, 192)
	b = append(b, use...)
	b = append(b, byte(len(p.Table)))
	b = append(b, p.Table...)
	b = append(b, p.Label[:]...)
	b = append(b, byte(len(p.ID)))
	return append(b, p.ID...)
}
