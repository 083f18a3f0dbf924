package batch

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/slot"
)

// Result is what the table says of one key.
type Result struct {
	// Asked is false for the rare key that found no bucket: ask again.
	Asked bool
	// Value is nil if the table has none for the key.
	Value []byte
}

// Question is what a client keeps between a query and its answer. It serves
// once.
type Question struct {
	*pir.Question
	stash   *Stash
	sealers []*slot.Sealer
	marks   [][markSize]byte
	bucket  []int // of each key, -1 for none
}

// Ask makes one query for all keys. rand must be crypto/rand.Reader outside of
// vectors; see [pir.Ask] for masks.
func Ask(rand io.Reader, p *pir.Params, stash *Stash, keys []slot.Key, masks *pir.Masks) (*Question, error) {
	l, err := ParseLayout(p)
	if err != nil {
		return nil, err
	}
	if len(keys) > l.Capacity() {
		return nil, fmt.Errorf("%w: %d, at most %d", ErrTooMany, len(keys), l.Capacity())
	}
	q := &Question{stash: stash}
	at := make([]places, len(keys))
	for i := range keys {
		at[i] = l.places(&keys[i])
		x, err := slot.NewSealer(&p.Identity, l.SlotSize, &keys[i])
		if err != nil {
			return nil, err
		}
		q.sealers = append(q.sealers, x)
		q.marks = append(q.marks, at[i].mark)
	}
	columns, err := randomColumns(rand, l)
	if err != nil {
		return nil, err
	}
	q.bucket = match(at, l.Buckets)
	for i, b := range q.bucket {
		for j, own := range at[i].bucket {
			if own == b {
				columns[b] = at[i].column[j]
			}
		}
	}
	if q.Question, err = pir.Ask(rand, p, columns, masks); err != nil {
		return nil, err
	}
	return q, nil
}

func randomColumns(rand io.Reader, l *Layout) ([]int, error) {
	raw := make([]byte, 8*l.Buckets)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return nil, fmt.Errorf("batch: draw columns: %w", err)
	}
	out := make([]int, l.Buckets)
	for i := range out {
		v, _ := bits.Mul64(binary.BigEndian.Uint64(raw[8*i:]), uint64(l.Columns))
		out[i] = int(v)
	}
	return out, nil
}

// match gives each key one of its buckets, as many keys as can be, by
// augmenting paths: a key whose buckets are taken moves their keys on.
func match(at []places, buckets int) []int {
	out, holder := make([]int, len(at)), make([]int, buckets)
	for b := range holder {
		holder[b] = -1
	}
	tried := make([]int, buckets)
	var place func(key, round int) bool
	place = func(key, round int) bool {
		for _, b := range at[key].bucket {
			if tried[b] == round {
				continue
			}
			tried[b] = round
			if holder[b] < 0 || place(holder[b], round) {
				holder[b], out[key] = key, b
				return true
			}
		}
		return false
	}
	for key := range at {
		out[key] = -1
	}
	for key := range at {
		place(key, key+1)
	}
	return out
}

// Open decodes an answer into one result a key, in the order of the keys.
func (q *Question) Open(answer []byte) ([]Result, *pir.Masks, error) {
	columns, masks, err := q.Question.Open(answer)
	if err != nil {
		return nil, nil, err
	}
	out := make([]Result, len(q.sealers))
	for i, x := range q.sealers {
		if s := q.stash.find(q.marks[i][:]); s != nil {
			out[i].Value = x.Open(s)
		}
		if b := q.bucket[i]; b >= 0 {
			out[i].Asked = true
			if v, _ := x.Find(columns[b]); v != nil {
				out[i].Value = v
			}
		}
	}
	return out, masks, nil
}
