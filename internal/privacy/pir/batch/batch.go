// Package batch asks for a whole address book in one exchange: a private map
// whose columns lie in buckets, one question a bucket, with one secret and one
// pair of keys for all (docs/spec/private.md, section 8).
//
// Each entry is in three buckets. A client that has n keys finds a bucket of
// its own for each, among its three, and asks the other buckets for a random
// column: a server sees as many questions as there are buckets, whatever the
// address book holds. With 1.5 buckets a key, all keys find one but with
// probability 2^-40; the rest are reported, to be asked in another exchange.
//
// An entry that does not fit into a column of one of its buckets is listed in
// the [Stash] instead, which is public, sealed, and fetched whole.
//
// Promises and limits are those of package keyword. That n is at most what the
// table is made for is all that an exchange tells.
package batch

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/slot"
)

// Errors.
var (
	// ErrFull means that the stash would be too long.
	ErrFull = errors.New("batch: no room")
	// ErrTwice means that a key was given twice.
	ErrTwice = errors.New("batch: key given twice")
	// ErrShape means that a layout is out of bounds, or not one of a bucket table.
	ErrShape = errors.New("batch: unusable shape")
	// ErrStash means that a stash is malformed or of another table.
	ErrStash = errors.New("batch: malformed stash")
	// ErrTooMany means more keys than one exchange can take.
	ErrTooMany = errors.New("batch: too many keys")
)

// Shape is the layout of a table.
type Shape struct {
	SlotSize int // bytes of a slot
	Buckets  int
	Columns  int // of a bucket
	Slots    int // of a column
}

const (
	// Copies is the number of buckets of an entry.
	Copies = 3
	// MaxStash is the greatest number of entries of a stash.
	MaxStash = 1 << 12

	saltSize    = 16
	infoVersion = 2 // told apart from keyword's
	infoSize    = 1 + 4 + 2 + 2 + saltSize + sha256.Size
	markSize    = 8
)

// ShapeFor returns the shape for n entries and exchanges of up to contacts
// keys. It does not aim at the fewest bytes: it keeps the stash short.
func ShapeFor(n, contacts, slotSize int) Shape {
	s := Shape{SlotSize: slotSize, Buckets: max(Copies, (contacts*3+1)/2), Columns: 64, Slots: 16}
	// Up to half full on the average: an excess of eight over eight is rare.
	for s.Columns < 1024 && n*Copies > s.Buckets*s.Columns*s.Slots/2 {
		s.Columns *= 2
	}
	for n*Copies > s.Buckets*s.Columns*s.Slots/2 {
		s.Slots += 4
	}
	return s
}

// Capacity returns the number of keys of one exchange.
func (s *Shape) Capacity() int { return s.Buckets * 2 / 3 }

func (s *Shape) check() error {
	if !slot.ValidSize(s.SlotSize) || s.Slots < 1 || s.Slots > 1<<12 ||
		s.Buckets < Copies || s.Buckets > pir.MaxBands || s.Columns < 1 {
		return fmt.Errorf("%w: %+v", ErrShape, *s)
	}
	return nil
}

func (s *Shape) bands() []pir.Band {
	out := make([]pir.Band, s.Buckets)
	for i := range out {
		out[i] = pir.Band{Rows: s.Slots * s.SlotSize, Cols: s.Columns}
	}
	return out
}

// Layout is what both sides know of a table. It travels as the info of
// [pir.Params].
type Layout struct {
	Shape
	KeyEpoch uint32 // of the PRF
	salt     [saltSize]byte
	stash    [sha256.Size]byte // digest
}

// info: version, key epoch, slot size, slots, salt, digest of the stash.
func (l *Layout) info() []byte {
	b := binary.BigEndian.AppendUint32([]byte{infoVersion}, l.KeyEpoch)
	b = binary.BigEndian.AppendUint16(b, uint16(l.SlotSize))
	b = binary.BigEndian.AppendUint16(b, uint16(l.Slots))
	b = append(b, l.salt[:]...)
	return append(b, l.stash[:]...)
}

// ParseLayout reads the layout of a bucket table from its parameters.
func ParseLayout(p *pir.Params) (*Layout, error) {
	b := p.Info
	if len(b) != infoSize || b[0] != infoVersion || len(p.Bands) == 0 {
		return nil, fmt.Errorf("%w: not a bucket table", ErrShape)
	}
	l := &Layout{KeyEpoch: binary.BigEndian.Uint32(b[1:])}
	l.SlotSize = int(binary.BigEndian.Uint16(b[5:]))
	l.Slots = int(binary.BigEndian.Uint16(b[7:]))
	copy(l.salt[:], b[9:])
	copy(l.stash[:], b[9+saltSize:])
	l.Buckets, l.Columns = len(p.Bands), p.Bands[0].Cols
	if err := l.check(); err != nil {
		return nil, err
	}
	for i, band := range l.bands() {
		if p.Bands[i] != band {
			return nil, fmt.Errorf("%w: slots do not fill bucket %d", ErrShape, i)
		}
	}
	return l, nil
}

const labelBucket = "whither/v1/private/bucket"

// places is where an entry is: a column in each of three buckets, and its mark
// in the stash.
type places struct {
	bucket, column [Copies]int
	mark           [markSize]byte
}

// places takes words of SHA-512(label, salt, key): three buckets, each among
// those that are left, three columns, the mark.
func (l *Layout) places(k *slot.Key) (p places) {
	h := sha512.New()
	h.Write([]byte(labelBucket))
	h.Write(l.salt[:])
	h.Write(k[:])
	sum := h.Sum(nil)
	word := func(i, n int) int {
		v, _ := bits.Mul64(binary.BigEndian.Uint64(sum[8*i:]), uint64(n))
		return int(v)
	}
	a, b, c := word(0, l.Buckets), word(1, l.Buckets-1), word(2, l.Buckets-2)
	if b >= a {
		b++
	}
	low, high := min(a, b), max(a, b)
	if c >= low {
		c++
	}
	if c >= high {
		c++
	}
	p.bucket = [Copies]int{a, b, c}
	for i := range p.column {
		p.column[i] = word(Copies+i, l.Columns)
	}
	copy(p.mark[:], sum[2*Copies*8:])
	return p
}

// Stash holds the entries that are not in all of their buckets, by their marks.
type Stash struct {
	bytes  []byte
	record int
}

// ParseStash checks b against the digest in the parameters: marks and sealed
// slots, by ascending marks.
func ParseStash(p *pir.Params, b []byte) (*Stash, error) {
	l, err := ParseLayout(p)
	if err != nil {
		return nil, err
	}
	return l.parseStash(b)
}

func (l *Layout) parseStash(b []byte) (*Stash, error) {
	record := markSize + l.SlotSize
	if len(b)%record != 0 || len(b)/record > MaxStash {
		return nil, fmt.Errorf("%w: %d bytes", ErrStash, len(b))
	}
	if sha256.Sum256(b) != l.stash {
		return nil, fmt.Errorf("%w: digest", ErrStash)
	}
	for at := record; at < len(b); at += record {
		if bytes.Compare(b[at-record:][:markSize], b[at:][:markSize]) >= 0 {
			return nil, fmt.Errorf("%w: order", ErrStash)
		}
	}
	return &Stash{bytes: b, record: record}, nil
}

// find returns the slot under a mark, or nil.
func (s *Stash) find(mark []byte) []byte {
	for b := s.bytes; len(b) > 0; b = b[s.record:] {
		if bytes.Equal(b[:markSize], mark) {
			return b[markSize:s.record]
		}
	}
	return nil
}
