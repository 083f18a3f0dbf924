// Package keyword is a private map from keys to values on top of package pir:
// the presence and record tables of the private road (docs/spec/private.md,
// section 7; design section 6).
//
// A key is an output of the oblivious PRF. A hash of it, salted after the
// content is frozen, names a column; a column is a run of equal slots; what
// does not fit goes to a small second band, the stash. A question reads one
// column of each, always. Each value is sealed under its own key (package slot),
// so whoever reads a column can open only what he could have asked for.
//
// Promises: not found is a normal answer and looks, to the server and in time,
// like found; a slot that a server altered is not found; a value that comes
// back is one that was sealed for this key, table and epoch.
//
// Not promised: that a server shows what it holds. A missing value may have
// been hidden, and an earlier value of the same epoch may be shown again.
package keyword

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/slot"
)

// Errors.
var (
	// ErrFull means that an entry fits neither into its column nor into the stash.
	ErrFull = errors.New("keyword: no room")
	// ErrTwice means that a key was given twice.
	ErrTwice = errors.New("keyword: key given twice")
	// ErrShape means that a table's layout is out of bounds, or not one of a
	// keyword table.
	ErrShape = errors.New("keyword: unusable shape")
)

// Key is an output of the oblivious PRF.
type Key = slot.Key

// Entry is a key and its value.
type Entry = slot.Entry

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
	if !slot.ValidSize(s.SlotSize) || s.Slots < 1 || s.Slots > 1<<12 || s.StashSlots < 1 || s.StashSlots > 1<<12 {
		return fmt.Errorf("%w: %d and %d slots of %d bytes", ErrShape, s.Slots, s.StashSlots, s.SlotSize)
	}
	return nil
}

// MaxValue returns the length of the longest value.
func (s *Shape) MaxValue() int { return slot.MaxValue(s.SlotSize) }

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

const labelColumn = "whither/v1/private/column"

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
