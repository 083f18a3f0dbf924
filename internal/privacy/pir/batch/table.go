package batch

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/slot"
)

// Config says what table to build.
type Config struct {
	Identity pir.Identity
	KeyEpoch uint32
	Shape    Shape
	Engine   pir.Engine
	// Rand gives the salt: crypto/rand.Reader outside of vectors.
	Rand io.Reader
}

// Build makes a snapshot of entries, and the stash that goes with it.
func Build(c Config, entries []slot.Entry) (*pir.Snapshot, []byte, error) {
	if err := c.Shape.check(); err != nil {
		return nil, nil, err
	}
	bits, ok := pir.QueryBits(c.Shape.Columns)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %d columns", ErrShape, c.Shape.Columns)
	}
	l := &Layout{Shape: c.Shape, KeyEpoch: c.KeyEpoch}
	if _, err := io.ReadFull(c.Rand, l.salt[:]); err != nil {
		return nil, nil, fmt.Errorf("batch: draw a salt: %w", err)
	}
	sealed, stash, err := l.seal(&c.Identity, entries)
	if err != nil {
		return nil, nil, err
	}
	l.stash = sha256.Sum256(stash)
	b, err := pir.NewBuilder(&pir.Params{
		Identity: c.Identity, QueryBits: bits, Bands: c.Shape.bands(), Info: l.info(),
	}, c.Engine)
	if err != nil {
		return nil, nil, err
	}
	var wrong atomic.Bool
	b.Fill(func(band, col int, dst []byte) {
		for i, s := range sealed[band*l.Columns+col] {
			if copy(dst[i*l.SlotSize:], s) != l.SlotSize {
				wrong.Store(true)
			}
		}
	})
	if wrong.Load() {
		return nil, nil, fmt.Errorf("%w: slots beyond a column", ErrShape)
	}
	return b.Build(), stash, nil
}

// seal returns the slots of each column, bucket by bucket, and the stash.
func (l *Layout) seal(id *pir.Identity, entries []slot.Entry) (columns [][][]byte, stash []byte, err error) {
	columns = make([][][]byte, l.Buckets*l.Columns)
	seen := make(map[slot.Key]struct{}, len(entries))
	var over [][]byte
	for i := range entries {
		e := &entries[i]
		if err := slot.Check(l.SlotSize, e.Value); err != nil {
			return nil, nil, err
		}
		if _, twice := seen[e.Key]; twice {
			return nil, nil, ErrTwice
		}
		seen[e.Key] = struct{}{}
		x, err := slot.NewSealer(id, l.SlotSize, &e.Key)
		if err != nil {
			return nil, nil, err
		}
		s := make([]byte, l.SlotSize)
		x.Seal(s, e.Value)
		at, full := l.places(&e.Key), false
		for j, b := range at.bucket {
			if col := &columns[b*l.Columns+at.column[j]]; len(*col) < l.Slots {
				*col = append(*col, s)
			} else {
				full = true
			}
		}
		if full {
			over = append(over, append(at.mark[:], s...))
		}
	}
	if len(over) > MaxStash {
		return nil, nil, fmt.Errorf("%w: %d entries do not fit", ErrFull, len(over))
	}
	slices.SortFunc(over, bytes.Compare)
	return columns, bytes.Join(over, nil), nil
}
