package keyword

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/slot"
)

// attempts is the number of salts that [Build] tries. A salt fails when the
// stash overflows; [Plan] makes that unlikely for each.
const attempts = 16

// Config says what table to build.
type Config struct {
	Identity pir.Identity
	KeyEpoch uint32 // of the PRF, for clients to know which key was used
	Shape    Shape
	Engine   pir.Engine
	// Rand gives the salt: crypto/rand.Reader outside of vectors.
	Rand io.Reader
}

// Table is a table that is being built or changed. It is for one goroutine at
// a time. Snapshots that it returns share its memory.
type Table struct {
	layout  Layout
	id      pir.Identity
	builder *pir.Builder
}

// Build makes a table of entries. The salt is drawn now, when the content is
// fixed, so nobody could choose keys that flood a column.
func Build(c Config, entries []Entry) (*Table, error) {
	if err := c.Shape.check(); err != nil {
		return nil, err
	}
	for i := range entries {
		if err := slot.Check(c.Shape.SlotSize, entries[i].Value); err != nil {
			return nil, err
		}
	}
	if err := distinct(entries); err != nil {
		return nil, err
	}
	t := &Table{layout: Layout{Shape: c.Shape, KeyEpoch: c.KeyEpoch}, id: c.Identity}
	lists, err := t.place(c.Rand, entries)
	if err != nil {
		return nil, err
	}
	p, err := t.layout.params(c.Identity)
	if err != nil {
		return nil, err
	}
	t.builder, err = pir.NewBuilder(p, c.Engine)
	if err != nil {
		return nil, err
	}
	var failed atomic.Pointer[error]
	t.builder.Fill(func(band, col int, dst []byte) {
		for j, i := range lists[band][col] {
			x, err := slot.NewSealer(&t.id, t.layout.SlotSize, &entries[i].Key)
			if err != nil {
				failed.Store(&err)
				return
			}
			x.Seal(dst[j*c.Shape.SlotSize:][:c.Shape.SlotSize], entries[i].Value)
		}
	})
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return t, nil
}

// Describe returns the parameters of a table before it is built: its sizes are
// final, its salt and digest are not.
func Describe(c Config) (*pir.Params, error) {
	if err := c.Shape.check(); err != nil {
		return nil, err
	}
	l := Layout{Shape: c.Shape, KeyEpoch: c.KeyEpoch}
	return l.params(c.Identity)
}

func (l *Layout) params(id pir.Identity) (*pir.Params, error) {
	bits, ok := pir.QueryBits(max(l.Columns, l.StashColumns))
	if !ok {
		return nil, fmt.Errorf("%w: %d columns", ErrShape, l.Columns)
	}
	p := &pir.Params{Identity: id, QueryBits: bits, Bands: l.bands(), Info: l.info()}
	return p, p.Check()
}

func distinct(entries []Entry) error {
	order := make([]int32, len(entries))
	for i := range order {
		order[i] = int32(i)
	}
	compare := func(a, b int32) int { return bytes.Compare(entries[a].Key[:], entries[b].Key[:]) }
	slices.SortFunc(order, compare)
	for i := 1; i < len(order); i++ {
		if compare(order[i-1], order[i]) == 0 {
			return ErrTwice
		}
	}
	return nil
}

// place draws salts until all entries have a place, and returns the entries of
// each column of each band.
func (t *Table) place(rand io.Reader, entries []Entry) ([2][][]int32, error) {
	for range attempts {
		if _, err := io.ReadFull(rand, t.layout.salt[:]); err != nil {
			return [2][][]int32{}, fmt.Errorf("keyword: draw a salt: %w", err)
		}
		if lists, ok := t.try(entries); ok {
			return lists, nil
		}
	}
	return [2][][]int32{}, fmt.Errorf("%w: %d entries, %d salts tried", ErrFull, len(entries), attempts)
}

func (t *Table) try(entries []Entry) (lists [2][][]int32, ok bool) {
	s := &t.layout.Shape
	lists = [2][][]int32{make([][]int32, s.Columns), make([][]int32, s.StashColumns)}
	for i := range entries {
		col := t.layout.columns(&entries[i].Key)
		switch {
		case len(lists[bandMain][col[bandMain]]) < s.Slots:
			to := &lists[bandMain][col[bandMain]]
			*to = append(*to, int32(i))
		case len(lists[bandStash][col[bandStash]]) < s.StashSlots:
			to := &lists[bandStash][col[bandStash]]
			*to = append(*to, int32(i))
		default:
			return lists, false
		}
	}
	return lists, true
}

// Snapshot computes what has changed since the last one, everything the first
// time. It is good until the next Set or Delete.
func (t *Table) Snapshot() *pir.Snapshot { return t.builder.Build() }

// spot is what the table holds for a key.
type spot struct {
	sealer     *slot.Sealer
	numbers    []int    // of the key's columns
	columns    [][]byte // what they hold
	found      bool
	band, slot int // where, if found
}

func (t *Table) look(k *Key) (*spot, error) {
	x, err := slot.NewSealer(&t.id, t.layout.SlotSize, k)
	if err != nil {
		return nil, err
	}
	at := &spot{sealer: x, numbers: t.layout.columns(k)}
	for i, b := range t.layout.bands() {
		col := make([]byte, b.Rows)
		if err := t.builder.Get(col, i, at.numbers[i], 0); err != nil {
			return nil, err
		}
		at.columns = append(at.columns, col)
	}
	for i, col := range at.columns {
		if value, number := x.Find(col); value != nil {
			at.found, at.band, at.slot = true, i, number
		}
	}
	return at, nil
}

// put replaces the slot of a spot.
func (t *Table) put(at *spot, sealed []byte) error {
	return t.builder.Put(at.band, at.numbers[at.band], at.slot*len(sealed), sealed)
}

// Set puts or replaces the value of a key, in place: one slot of one column.
// It fails with [ErrFull] if the table must be built anew.
func (t *Table) Set(k Key, value []byte) error {
	s := &t.layout.Shape
	if err := slot.Check(s.SlotSize, value); err != nil {
		return err
	}
	at, err := t.look(&k)
	if err != nil {
		return err
	}
	if !at.found {
		if at.band, at.slot, err = free(s, at.columns); err != nil {
			return err
		}
	}
	sealed := make([]byte, s.SlotSize)
	at.sealer.Seal(sealed, value)
	return t.put(at, sealed)
}

// Delete empties the slot of a key. It does nothing if there is none.
func (t *Table) Delete(k Key) error {
	at, err := t.look(&k)
	if err != nil || !at.found {
		return err
	}
	return t.put(at, bytes.Repeat([]byte{slot.Empty}, t.layout.SlotSize))
}

// free finds a slot in which nothing was put.
func free(s *Shape, columns [][]byte) (band, number int, err error) {
	empty := bytes.Repeat([]byte{slot.Empty}, s.SlotSize)
	for i, col := range columns {
		for j := 0; (j+1)*s.SlotSize <= len(col); j++ {
			if bytes.Equal(col[j*s.SlotSize:][:s.SlotSize], empty) {
				return i, j, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("%w: column and stash are full", ErrFull)
}

// Question is what a client keeps between a query and its answer. It serves
// once.
type Question struct {
	*pir.Question
	sealer *slot.Sealer
}

// Ask makes a query for a key. See [pir.Ask] for masks and rand.
func Ask(rand io.Reader, p *pir.Params, k Key, masks *pir.Masks) (*Question, error) {
	l, err := ParseLayout(p)
	if err != nil {
		return nil, err
	}
	x, err := slot.NewSealer(&p.Identity, l.SlotSize, &k)
	if err != nil {
		return nil, err
	}
	q, err := pir.Ask(rand, p, l.columns(&k), masks)
	if err != nil {
		return nil, err
	}
	return &Question{Question: q, sealer: x}, nil
}

// Open decodes an answer. found is false if the table has no value for the
// key; that is not an error.
func (q *Question) Open(answer []byte) (value []byte, found bool, masks *pir.Masks, err error) {
	columns, masks, err := q.Question.Open(answer)
	if err != nil {
		return nil, false, nil, err
	}
	for _, col := range columns {
		if v, _ := q.sealer.Find(col); v != nil {
			value = v
		}
	}
	return value, value != nil, masks, nil
}
