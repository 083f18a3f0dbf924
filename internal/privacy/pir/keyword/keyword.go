// Package keyword is a private map from keys to values on top of package pir:
// the presence and record tables of the private road (docs/spec/private.md,
// section 7; design section 6).
//
// A key is an output of the oblivious PRF. A hash of it, salted after the
// content is frozen, names a column; a column is a run of equal slots; what
// does not fit goes to a small second band, the stash. A question reads one
// column of each, always. Each value is sealed under its own key, so whoever
// reads a column can open only what he could have asked for.
//
// Promises: not found is a normal answer and looks, to the server and in time,
// like found; a slot that a server altered is not found; a value that comes
// back is one that was sealed for this key, table and epoch.
//
// Not promised: that a server shows what it holds. A missing value may have
// been hidden, and an earlier value of the same epoch may be shown again.
//
// Sizes: a slot of up to 64 bytes has a tag of 8, a larger one of 16; a value
// has at most slot - tag - 1 bytes.
package keyword

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
	"math/bits"

	"whither/internal/privacy/pir"
)

// Errors.
var (
	// ErrFull means that an entry fits neither into its column nor into the stash.
	ErrFull = errors.New("keyword: no room")
	// ErrTwice means that a key was given twice.
	ErrTwice = errors.New("keyword: key given twice")
	// ErrValue means that a value is too long for a slot.
	ErrValue = errors.New("keyword: value too long")
	// ErrShape means that a table's layout is out of bounds, or not one of a
	// keyword table.
	ErrShape = errors.New("keyword: unusable shape")
)

// KeySize is the length of a [Key].
const KeySize = 64

// Key is an output of the oblivious PRF. It opens its value, so it is secret.
type Key [KeySize]byte

// String hides the key.
func (Key) String() string { return "keyword.Key(redacted)" }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }

// LogValue hides the key.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Shape is the layout of a table.
type Shape struct {
	SlotSize     int // bytes of a slot
	Columns      int // of the main band
	Slots        int // of a column of the main band
	StashColumns int
	StashSlots   int
}

const (
	bandMain  = 0
	bandStash = 1

	saltSize    = 16
	smallSlot   = 64
	maxSlot     = 1 << 12
	minSlot     = 16
	infoVersion = 1
	infoSize    = 1 + 4 + 2 + 2 + 2 + saltSize
)

// Layout is what both sides know of a table: the shape, and what a key's
// column depends on. It travels as the info of [pir.Params].
type Layout struct {
	Shape
	KeyEpoch uint32 // of the PRF
	salt     [saltSize]byte
}

func (s *Shape) bands() []pir.Band {
	return []pir.Band{
		{Rows: s.Slots * s.SlotSize, Cols: s.Columns},
		{Rows: s.StashSlots * s.SlotSize, Cols: s.StashColumns},
	}
}

// check bounds what pir does not know of.
func (s *Shape) check() error {
	if s.SlotSize < minSlot || s.SlotSize > maxSlot || s.SlotSize%4 != 0 ||
		s.Slots < 1 || s.Slots > 1<<12 || s.StashSlots < 1 || s.StashSlots > 1<<12 {
		return fmt.Errorf("%w: %d and %d slots of %d bytes", ErrShape, s.Slots, s.StashSlots, s.SlotSize)
	}
	return nil
}

// tagSize returns the length of the tag of a slot.
func (s *Shape) tagSize() int {
	if s.SlotSize <= smallSlot {
		return 8
	}
	return 16
}

// MaxValue returns the length of the longest value.
func (s *Shape) MaxValue() int { return s.SlotSize - s.tagSize() - 1 }

// info: version, key epoch, slot size, slots of both bands, salt.
func (l *Layout) info() []byte {
	b := binary.BigEndian.AppendUint32([]byte{infoVersion}, l.KeyEpoch)
	b = binary.BigEndian.AppendUint16(b, uint16(l.SlotSize))
	b = binary.BigEndian.AppendUint16(b, uint16(l.Slots))
	b = binary.BigEndian.AppendUint16(b, uint16(l.StashSlots))
	return append(b, l.salt[:]...)
}

// ParseLayout reads the layout of a keyword table from its parameters.
func ParseLayout(p *pir.Params) (*Layout, error) {
	b := p.Info
	if len(b) != infoSize || b[0] != infoVersion || len(p.Bands) != 2 {
		return nil, fmt.Errorf("%w: not a keyword table", ErrShape)
	}
	l := &Layout{KeyEpoch: binary.BigEndian.Uint32(b[1:])}
	l.SlotSize = int(binary.BigEndian.Uint16(b[5:]))
	l.Slots = int(binary.BigEndian.Uint16(b[7:]))
	l.StashSlots = int(binary.BigEndian.Uint16(b[9:]))
	copy(l.salt[:], b[11:])
	l.Columns, l.StashColumns = p.Bands[bandMain].Cols, p.Bands[bandStash].Cols
	if err := l.check(); err != nil {
		return nil, err
	}
	for i, band := range l.bands() {
		if p.Bands[i] != band {
			return nil, fmt.Errorf("%w: slots do not fill band %d", ErrShape, i)
		}
	}
	return l, nil
}

const (
	labelColumn = "whither/v1/private/column"
	labelSlot   = "whither/v1/private/slot"
)

// columns returns the columns of a key in both bands: two words of
// SHA-256(label, salt, key), scaled to the number of columns.
func (l *Layout) columns(k *Key) []int {
	h := sha256.New()
	h.Write([]byte(labelColumn))
	h.Write(l.salt[:])
	h.Write(k[:])
	sum := h.Sum(nil)
	main, _ := bits.Mul64(binary.BigEndian.Uint64(sum), uint64(l.Columns))
	stash, _ := bits.Mul64(binary.BigEndian.Uint64(sum[8:]), uint64(l.StashColumns))
	return []int{int(main), int(stash)}
}

// sealer seals and opens the slots of one key in one table and epoch.
type sealer struct {
	mac   [32]byte
	block cipher.Block
	tag   int
}

// newSealer derives HKDF-SHA256(key, info = label, table, epoch): 32 bytes for
// the tag, 32 for the cipher.
func newSealer(id *pir.Identity, s *Shape, k *Key) (*sealer, error) {
	info := binary.BigEndian.AppendUint64(append([]byte(labelSlot), id.Table), id.Epoch)
	out, err := hkdf.Key(sha256.New, k[:], nil, string(info), 64)
	if err != nil {
		return nil, fmt.Errorf("keyword: derive a key: %w", err)
	}
	defer clear(out)
	x := &sealer{tag: s.tagSize()}
	copy(x.mac[:], out)
	if x.block, err = aes.NewCipher(out[32:]); err != nil {
		return nil, fmt.Errorf("keyword: derive a key: %w", err)
	}
	return x, nil
}

// A slot is tag and ciphertext of value, 0x80, zeros. The tag is the MAC of the
// padded value and at the same time the initial counter, as in a synthetic IV:
// sealing another value under the same key is safe, and needs no nonce.

func (x *sealer) authenticate(padded []byte) []byte {
	h := hmac.New(sha256.New, x.mac[:])
	h.Write(padded)
	return h.Sum(nil)[:x.tag]
}

func (x *sealer) crypt(b, tag []byte) {
	var iv [aes.BlockSize]byte
	copy(iv[:], tag)
	cipher.NewCTR(x.block, iv[:]).XORKeyStream(b, b)
}

// seal fills slot.
func (x *sealer) seal(slot, value []byte) {
	body := slot[x.tag:]
	clear(body)
	copy(body, value)
	body[len(value)] = 0x80
	copy(slot, x.authenticate(body))
	x.crypt(body, slot[:x.tag])
}

// open returns the value of a slot, or nil if it is not sealed for this key.
// An empty value is not nil.
func (x *sealer) open(slot []byte) []byte {
	body := bytes.Clone(slot[x.tag:])
	x.crypt(body, slot[:x.tag])
	if subtle.ConstantTimeCompare(x.authenticate(body), slot[:x.tag]) != 1 {
		return nil
	}
	end := bytes.LastIndexByte(body, 0x80)
	if end < 0 || len(bytes.TrimLeft(body[end+1:], "\x00")) > 0 {
		return nil
	}
	return body[:end:end]
}

// find opens every slot of the columns and returns the place of the one for
// this key: all are tried, wherever it is.
func (x *sealer) find(s *Shape, columns [][]byte) (value []byte, band, slot int) {
	for i, col := range columns {
		for j := 0; (j+1)*s.SlotSize <= len(col); j++ {
			if v := x.open(col[j*s.SlotSize:][:s.SlotSize]); v != nil && value == nil {
				value, band, slot = v, i, j
			}
		}
	}
	return value, band, slot
}
