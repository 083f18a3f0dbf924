// Package slot seals one value under one key into a run of bytes of fixed
// length (docs/spec/private.md, section 7.2). It is the unit of both tables of
// the private road.
//
// A slot is a tag and the ciphertext of value, 0x80, zeros. The tag is the MAC
// of the padded value and at the same time the initial counter of the cipher,
// as in a synthetic IV: sealing another value under the same key is safe and
// needs no nonce, and an altered slot does not open.
//
// A slot does not say which key it is for: whoever holds a key tries.
//
// Sizes: slots of up to 64 bytes have a tag of 8, larger ones of 16; a value
// has at most slot - tag - 1 bytes.
package slot

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"whither/internal/privacy/pir"
)

// ErrValue means that a value is too long for a slot.
var ErrValue = errors.New("slot: value too long")

// Bounds of the size of a slot, which is also a multiple of 4.
const (
	MinSize = 16
	MaxSize = 1 << 12

	small = 64
)

// Empty is what each cell of a slot holds that nothing was sealed into.
const Empty = 128

// KeySize is the length of a [Key].
const KeySize = 64

// Key is an output of the oblivious PRF. It opens its value, so it is secret.
type Key [KeySize]byte

// String hides the key.
func (Key) String() string { return "slot.Key(redacted)" }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }

// LogValue hides the key.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Entry is a key and its value.
type Entry struct {
	Key   Key
	Value []byte
}

// ValidSize tells whether slots may have that size.
func ValidSize(size int) bool { return size >= MinSize && size <= MaxSize && size%4 == 0 }

func tagSize(size int) int {
	if size <= small {
		return 8
	}
	return 16
}

// MaxValue returns the length of the longest value of slots of that size.
func MaxValue(size int) int { return size - tagSize(size) - 1 }

// Check returns an error that wraps [ErrValue] if a value does not fit.
func Check(size int, value []byte) error {
	if len(value) > MaxValue(size) {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrValue, len(value), MaxValue(size))
	}
	return nil
}

const label = "whither/v1/private/slot"

// Sealer seals and opens the slots of one key in one table and epoch.
type Sealer struct {
	mac   [32]byte
	block cipher.Block
	size  int
}

// NewSealer derives HKDF-SHA256(key, info = label, table, epoch): 32 bytes for
// the tag, 32 for the cipher, AES-256 in counter mode.
func NewSealer(id *pir.Identity, size int, k *Key) (*Sealer, error) {
	info := binary.BigEndian.AppendUint64(append([]byte(label), id.Table), id.Epoch)
	out, err := hkdf.Key(sha256.New, k[:], nil, string(info), 64)
	if err != nil {
		return nil, fmt.Errorf("slot: derive a key: %w", err)
	}
	defer clear(out)
	s := &Sealer{size: size}
	copy(s.mac[:], out)
	if s.block, err = aes.NewCipher(out[32:]); err != nil {
		return nil, fmt.Errorf("slot: derive a key: %w", err)
	}
	return s, nil
}

func (s *Sealer) tag(padded []byte) []byte {
	h := hmac.New(sha256.New, s.mac[:])
	h.Write(padded)
	return h.Sum(nil)[:tagSize(s.size)]
}

func (s *Sealer) crypt(b, tag []byte) {
	var iv [aes.BlockSize]byte
	copy(iv[:], tag)
	cipher.NewCTR(s.block, iv[:]).XORKeyStream(b, b)
}

// Seal fills a slot. The value has been checked.
func (s *Sealer) Seal(slot, value []byte) {
	slot = slot[:s.size]
	tag, body := slot[:tagSize(s.size)], slot[tagSize(s.size):]
	clear(body)
	body[copy(body, value)] = 0x80
	copy(tag, s.tag(body))
	s.crypt(body, tag)
}

// Open returns the value of a slot, or nil if it is not sealed for this key.
// An empty value is not nil.
func (s *Sealer) Open(slot []byte) []byte {
	tag, body := slot[:tagSize(s.size)], bytes.Clone(slot[tagSize(s.size):s.size])
	s.crypt(body, tag)
	if subtle.ConstantTimeCompare(s.tag(body), tag) != 1 {
		return nil
	}
	end := bytes.LastIndexByte(body, 0x80)
	if end < 0 || len(bytes.TrimLeft(body[end+1:], "\x00")) > 0 {
		return nil
	}
	return body[:end:end]
}

// Find opens every slot of a column and returns the value of the one for this
// key, and its number. All are tried, wherever it is.
func (s *Sealer) Find(column []byte) (value []byte, number int) {
	for i := 0; (i+1)*s.size <= len(column); i++ {
		if v := s.Open(column[i*s.size:]); v != nil && value == nil {
			value, number = v, i
		}
	}
	return value, number
}
