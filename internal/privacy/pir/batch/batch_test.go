package batch_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"testing"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/batch"
	"whither/internal/privacy/pir/slot"
)

func entries(n int) []slot.Entry {
	r := mathrand.NewChaCha8([32]byte{9})
	out := make([]slot.Entry, n)
	for i := range out {
		r.Read(out[i].Key[:])
		out[i].Value = []byte{byte(i), byte(i >> 8)}
	}
	return out
}

func config(s batch.Shape) batch.Config {
	return batch.Config{
		Identity: pir.Identity{DP: "dp.example", Shard: 1, Table: 1, Epoch: 3},
		KeyEpoch: 4, Shape: s, Engine: pir.BestEngine(2), Rand: rand.Reader,
	}
}

// exchange asks for keys in one exchange.
func exchange(t testing.TB, s *pir.Snapshot, stash []byte, keys []slot.Key) []batch.Result {
	t.Helper()
	parsed, err := batch.ParseStash(s.Params(), stash)
	if err != nil {
		t.Fatal(err)
	}
	q, err := batch.Ask(rand.Reader, s.Params(), parsed, keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Query()) != s.Params().QuerySize() {
		t.Errorf("query of %d bytes for %d keys", len(q.Query()), len(keys))
	}
	decoded, err := s.Decode(q.Query())
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := q.Open(s.Answer(pir.BestEngine(2), []*pir.Query{decoded})[0])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAddressBook(t *testing.T) {
	e := entries(2000)
	for _, c := range []struct {
		name     string
		shape    batch.Shape
		contacts int
	}{
		{"demo", batch.ShapeFor(len(e), 64, 16), 64},
		{"stash in use", batch.Shape{SlotSize: 16, Buckets: 24, Columns: 64, Slots: 5}, 16},
		{"nobody", batch.ShapeFor(len(e), 8, 16), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, stash, err := batch.Build(config(c.shape), e)
			if err != nil {
				t.Fatal(err)
			}
			if c.name == "stash in use" && len(stash) == 0 {
				t.Fatal("the stash is empty")
			}
			keys := make([]slot.Key, c.contacts)
			for i := range keys {
				// Every second contact is not in the table.
				keys[i] = e[i*7].Key
				if i%2 == 1 {
					keys[i][0] ^= 1
				}
			}
			got := exchange(t, s, stash, keys)
			for i, r := range got {
				switch {
				case !r.Asked:
					t.Errorf("contact %d was not asked", i)
				case i%2 == 1 && r.Value != nil:
					t.Errorf("contact %d found, is not there", i)
				case i%2 == 0 && !bytes.Equal(r.Value, e[i*7].Value):
					t.Errorf("contact %d: %x", i, r.Value)
				}
			}
		})
	}
}

// TestMatching fills exchanges to their capacity: hardly a key may be left.
func TestMatching(t *testing.T) {
	e := entries(200_000)
	shape := batch.Shape{SlotSize: 16, Buckets: 750, Columns: 64, Slots: 4}
	left := 0
	for at := 0; at+500 <= len(e); at += 500 {
		left += batch.Unmatched(shape, e[at:at+500])
	}
	if left > 0 {
		t.Errorf("%d of %d keys found no bucket", left, len(e))
	}
}

// TestPlacesAreDistinct holds the derivation of buckets, which a client of
// somebody else must follow.
func TestPlacesAreDistinct(t *testing.T) {
	for buckets := batch.Copies; buckets < 6; buckets++ {
		count := make([]int, buckets)
		for _, e := range entries(2000) {
			b := batch.BucketsOf(batch.Shape{SlotSize: 16, Buckets: buckets, Columns: 64, Slots: 4}, e.Key)
			if b[0] == b[1] || b[0] == b[2] || b[1] == b[2] {
				t.Fatalf("%d buckets: %v", buckets, b)
			}
			for _, v := range b {
				count[v]++
			}
		}
		for b, n := range count {
			if want := 6000 / buckets; n < want-300 || n > want+300 {
				t.Errorf("%d buckets: %d entries in bucket %d, want about %d", buckets, n, b, want)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	shape := batch.Shape{SlotSize: 16, Buckets: 6, Columns: 64, Slots: 4}
	e := entries(40)
	if _, _, err := batch.Build(config(shape), append(e, e[3])); !errors.Is(err, batch.ErrTwice) {
		t.Errorf("twice: %v", err)
	}
	if _, _, err := batch.Build(config(batch.Shape{}), e); !errors.Is(err, batch.ErrShape) {
		t.Errorf("no shape: %v", err)
	}
	if _, _, err := batch.Build(config(batch.Shape{SlotSize: 16, Buckets: 3, Columns: 64, Slots: 1}), entries(6000)); !errors.Is(err, batch.ErrFull) {
		t.Errorf("too many: %v", err)
	}
	s, stash, err := batch.Build(config(shape), e)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := batch.ParseStash(s.Params(), stash)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Ask(rand.Reader, s.Params(), parsed, make([]slot.Key, 5), nil); !errors.Is(err, batch.ErrTooMany) {
		t.Errorf("too many keys: %v", err)
	}
	if _, err := batch.ParseStash(s.Params(), append(stash, make([]byte, 24)...)); !errors.Is(err, batch.ErrStash) {
		t.Errorf("another stash: %v", err)
	}
}

func FuzzParseStash(f *testing.F) {
	shape := batch.Shape{SlotSize: 16, Buckets: 3, Columns: 64, Slots: 4}
	f.Add(make([]byte, 24))
	f.Add([]byte{})
	f.Add(append(make([]byte, 24), bytes.Repeat([]byte{1}, 24)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := batch.ParseOwnStash(shape, b)
		if err == nil && n*24 != len(b) {
			t.Errorf("%d entries in %d bytes", n, len(b))
		}
	})
}
