package sqlstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"whither/csi"
	"whither/internal/keyfile"
)

// Names that keep the uses of keys and of associated data apart.
const (
	useWrap     = "whither/v1/kek wrap"
	useKEKCheck = "whither/v1/kek check"
	useRowCheck = "whither/v1/row-key check"
	useDataKey  = "whither/v1/row data key"
	useBody     = "whither/v1/row body"
)

// overhead is what sealing adds: a nonce of 12 bytes and a tag of 16.
const overhead = 12 + 16

// wrappedSize is the length of a wrapped data key.
const wrappedSize = keyfile.SecretSize + overhead

// label is how a CSI's rows are looked up.
type label [sha256.Size]byte

// vault seals and opens rows. It is immutable and safe for concurrent use.
type vault struct {
	row     keyfile.Secret
	wraps   map[uint32]cipher.AEAD // by generation
	checks  map[uint32]string      // by generation
	current uint32
}

// newVault prepares the keys. Whether they are a database's own is asked of
// the database, by the check values.
func newVault(k Keys) (*vault, error) {
	v := &vault{row: k.Row, wraps: make(map[uint32]cipher.AEAD), checks: make(map[uint32]string), current: k.Current}
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
	if v.wraps[k.Current] == nil {
		return nil, fmt.Errorf("%w: no key of the current generation %d", ErrKeys, k.Current)
	}
	return v, nil
}

func expand(s keyfile.Secret, use string) ([]byte, error) {
	b, err := hkdf.Expand(sha256.New, s[:], use, keyfile.SecretSize)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: derive %s: %w", use, err)
	}
	return b, nil
}

// check returns a value that tells keys apart and nothing else of them.
func check(s keyfile.Secret, use string) (string, error) {
	b, err := expand(s, use)
	return hex.EncodeToString(b), err
}

// newAEAD returns AES-256-GCM that draws a random nonce and puts it in front.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	return a, nil
}

// label returns HMAC-SHA-256(row key, canonical CSI).
func (v *vault) label(id csi.ID) label {
	h := hmac.New(sha256.New, v.row[:])
	h.Write([]byte(id.Canonical()))
	return label(h.Sum(nil))
}

// sealed is the secret part of a row.
type sealed struct {
	generation uint32
	key        []byte // the row's data key, wrapped under the generation
	body       []byte // what the row says, sealed under the data key
}

// seal seals a row's body under a fresh data key. place is the row's table,
// label and id, which bind both parts to the row; clear are the columns beside,
// which are bound to the body so that they cannot be changed by themselves.
//
// A data key seals one body once. Replaced rows get a new one, so that what
// was replaced is not readable with the key of what replaced it.
func (v *vault) seal(place, clear, body []byte) (sealed, error) {
	var key [keyfile.SecretSize]byte
	if _, err := rand.Read(key[:]); err != nil {
		return sealed{}, fmt.Errorf("sqlstore: %w", err)
	}
	a, err := newAEAD(key[:])
	if err != nil {
		return sealed{}, err
	}
	return sealed{
		generation: v.current,
		key:        v.wraps[v.current].Seal(nil, nil, key[:], keyData(place, v.current)),
		body:       a.Seal(nil, nil, body, bodyData(place, clear)),
	}, nil
}

// open returns a row's body.
func (v *vault) open(place, clear []byte, s sealed) ([]byte, error) {
	key, err := v.unwrap(place, s)
	if err != nil {
		return nil, err
	}
	a, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	body, err := a.Open(nil, nil, s.body, bodyData(place, clear))
	if err != nil {
		return nil, fmt.Errorf("%w: seal", ErrCorrupt)
	}
	return body, nil
}

func (v *vault) unwrap(place []byte, s sealed) ([]byte, error) {
	wrap := v.wraps[s.generation]
	if wrap == nil {
		return nil, fmt.Errorf("%w: %d", ErrGeneration, s.generation)
	}
	key, err := wrap.Open(nil, nil, s.key, keyData(place, s.generation))
	if err != nil || len(key) != keyfile.SecretSize {
		return nil, fmt.Errorf("%w: data key", ErrCorrupt)
	}
	return key, nil
}

// rewrap wraps a row's data key under the current generation. The body, sealed
// under the data key, stays as it is.
func (v *vault) rewrap(place []byte, s sealed) (sealed, error) {
	key, err := v.unwrap(place, s)
	if err != nil {
		return sealed{}, err
	}
	s.generation, s.key = v.current, v.wraps[v.current].Seal(nil, nil, key, keyData(place, v.current))
	return s, nil
}

// place encodes where a row is: each part behind its length, so that no two
// places are the same bytes.
func place(table string, label label, id []byte) []byte {
	b := make([]byte, 0, 128)
	for _, part := range [][]byte{[]byte(table), label[:], id} {
		b = append(b, byte(len(part)))
		b = append(b, part...)
	}
	return b
}

func keyData(place []byte, generation uint32) []byte {
	b := append([]byte(useDataKey), place...)
	return binary.BigEndian.AppendUint32(b, generation)
}

func bodyData(place, clear []byte) []byte {
	b := append([]byte(useBody), place...)
	return append(b, clear...)
}
