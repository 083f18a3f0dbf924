package keyword_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/keyword"
	"whither/internal/privacy/pir/slot"
)

var (
	presence = keyword.Shape{SlotSize: 32, Columns: 256, Slots: 8, StashColumns: 64, StashSlots: 4}
	record   = keyword.Shape{SlotSize: 1536, Columns: 64, Slots: 2, StashColumns: 64, StashSlots: 2}
)

// key returns a key as the PRF would: uniform, and the same for the same i.
func key(i int) (k keyword.Key) {
	for j := 0; j < len(k); j += 8 {
		binary.BigEndian.PutUint64(k[j:], uint64(i+1)*0x9e3779b97f4a7c15*uint64(j+1)^uint64(j)<<32)
	}
	return k
}

func entries(n, size int) []keyword.Entry {
	out := make([]keyword.Entry, n)
	for i := range out {
		out[i] = keyword.Entry{Key: key(i), Value: bytes.Repeat([]byte{byte(i)}, i%(size+1))}
	}
	return out
}

func config(s keyword.Shape) keyword.Config {
	return keyword.Config{
		Identity: pir.Identity{DP: "dp.example", Shard: 1, Table: 2, Epoch: 3},
		KeyEpoch: 4, Shape: s, Engine: pir.BestEngine(2), Rand: rand.Reader,
	}
}

func build(t testing.TB, c keyword.Config, e []keyword.Entry) *keyword.Table {
	t.Helper()
	x, err := keyword.Build(c, e)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// get runs one whole lookup.
func get(t testing.TB, s *pir.Snapshot, k keyword.Key) ([]byte, bool) {
	t.Helper()
	q, err := keyword.Ask(rand.Reader, s.Params(), k, nil)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := s.Decode(q.Query())
	if err != nil {
		t.Fatal(err)
	}
	v, found, _, err := q.Open(s.Answer(pir.BestEngine(1), []*pir.Query{decoded})[0])
	if err != nil {
		t.Fatal(err)
	}
	return v, found
}

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape keyword.Shape
		n     int
	}{{"presence", presence, 1500}, {"record", record, 80}, {"empty", presence, 0}} {
		t.Run(c.name, func(t *testing.T) {
			e := entries(c.n, c.shape.MaxValue())
			s := build(t, config(c.shape), e).Snapshot()
			for i := 0; i < c.n; i += c.n/6 + 1 {
				v, found := get(t, s, e[i].Key)
				if !found || !bytes.Equal(v, e[i].Value) {
					t.Errorf("entry %d: found %v, %d bytes", i, found, len(v))
				}
			}
			for i := range 3 {
				if v, found := get(t, s, key(1<<20+i)); found || v != nil {
					t.Errorf("found what is not there: %x", v)
				}
			}
		})
	}
}

// TestStashServes overfills columns so that some entries must be in the stash,
// and looks all of them up.
func TestStashServes(t *testing.T) {
	s := keyword.Shape{SlotSize: 16, Columns: 64, Slots: 1, StashColumns: 64, StashSlots: 3}
	e := entries(40, s.MaxValue())
	x := build(t, config(s), e).Snapshot()
	for i := 0; i < len(e); i += 4 {
		if v, found := get(t, x, e[i].Key); !found || !bytes.Equal(v, e[i].Value) {
			t.Fatalf("entry %d: found %v", i, found)
		}
	}
}

func TestSetInPlace(t *testing.T) {
	e := entries(200, record.MaxValue())[:25]
	x := build(t, config(record), e)
	x.Snapshot()
	long := bytes.Repeat([]byte("x"), record.MaxValue())
	for _, step := range []error{
		x.Set(e[3].Key, long), x.Set(key(777), []byte{}), x.Delete(e[4].Key), x.Delete(key(778)), x.Set(e[5].Key, nil),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if err := x.Set(e[3].Key, append(long, 0)); !errors.Is(err, slot.ErrValue) {
		t.Errorf("too long: %v", err)
	}
	s := x.Snapshot()
	for _, c := range []struct {
		k     keyword.Key
		want  []byte
		found bool
	}{{e[3].Key, long, true}, {key(777), nil, true}, {e[4].Key, nil, false}, {e[5].Key, nil, true}, {e[6].Key, e[6].Value, true}} {
		if v, found := get(t, s, c.k); found != c.found || !bytes.Equal(v, c.want) {
			t.Errorf("found %v with %d bytes, want %v with %d", found, len(v), c.found, len(c.want))
		}
	}
}

func TestFullIsAnError(t *testing.T) {
	s := keyword.Shape{SlotSize: 16, Columns: 64, Slots: 1, StashColumns: 64, StashSlots: 1}
	if _, err := keyword.Build(config(s), entries(129, 1)); !errors.Is(err, keyword.ErrFull) {
		t.Errorf("build: %v", err)
	}
	x := build(t, config(s), nil)
	var err error
	for i := 0; err == nil && i < 129; i++ {
		err = x.Set(key(i), nil)
	}
	if !errors.Is(err, keyword.ErrFull) {
		t.Errorf("set: %v", err)
	}
}

func TestRefused(t *testing.T) {
	e := entries(3, 1)
	if _, err := keyword.Build(config(presence), append(e, e[1])); !errors.Is(err, keyword.ErrTwice) {
		t.Errorf("twice: %v", err)
	}
	e[0].Value = make([]byte, presence.MaxValue()+1)
	if _, err := keyword.Build(config(presence), e); !errors.Is(err, slot.ErrValue) {
		t.Errorf("too long: %v", err)
	}
	for _, s := range []keyword.Shape{{}, {SlotSize: 18, Columns: 64, Slots: 4, StashColumns: 64, StashSlots: 1}} {
		if _, err := keyword.Build(config(s), nil); !errors.Is(err, keyword.ErrShape) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	p := &pir.Params{Identity: config(presence).Identity, QueryBits: 24, Bands: []pir.Band{{Rows: 4, Cols: 64}}}
	if _, err := keyword.Ask(rand.Reader, p, key(1), nil); !errors.Is(err, keyword.ErrShape) {
		t.Errorf("not a keyword table: %v", err)
	}
}

// TestFloodIsSpread plays a catch-all domain that knows the salt of one table
// and enrols only addresses of one column. The next salt spreads them.
func TestFloodIsSpread(t *testing.T) {
	first := build(t, config(presence), nil).Snapshot()
	var flood []keyword.Entry
	for i := 0; len(flood) < 200; i++ {
		if keyword.ColumnOf(first.Params(), key(i)) == 7 {
			flood = append(flood, keyword.Entry{Key: key(i)})
		}
	}
	second := build(t, config(presence), flood).Snapshot()
	fill := map[int]int{}
	for _, e := range flood {
		fill[keyword.ColumnOf(second.Params(), e.Key)]++
	}
	for col, n := range fill {
		if n > presence.Slots {
			t.Errorf("column %d holds %d", col, n)
		}
	}
	if v, found := get(t, second, flood[0].Key); !found || len(v) != 0 {
		t.Error("not found")
	}
}

// TestR14AlteredSlotIsNotFound plays a server that changes cells. The client gets
// a normal answer: it cannot react, so there is nothing to learn from it.
func TestR14AlteredSlotIsNotFound(t *testing.T) {
	e := []keyword.Entry{{Key: key(1), Value: []byte("value")}}
	x := build(t, config(presence), e)
	b := keyword.BuilderOf(x)
	band, col, offset := keyword.PlaceOf(x, e[0].Key)
	for at := range presence.SlotSize {
		cell := make([]byte, 1)
		if err := b.Get(cell, band, col, offset+at); err != nil {
			t.Fatal(err)
		}
		old := cell[0]
		for _, v := range []byte{old ^ 1, old ^ 0x80} {
			if err := b.Put(band, col, offset+at, []byte{v}); err != nil {
				t.Fatal(err)
			}
			if keyword.Find(x, e[0].Key) {
				t.Errorf("byte %d altered, still found", at)
			}
		}
		if err := b.Put(band, col, offset+at, []byte{old}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Put(band, col, offset, []byte{0, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if v, found := get(t, x.Snapshot(), e[0].Key); found || v != nil {
		t.Error("found an altered slot")
	}
}

// TestSlotsAreBound moves sealed slots to where they do not belong.
func TestSlotsAreBound(t *testing.T) {
	c := config(presence)
	e := []keyword.Entry{{Key: key(1), Value: []byte("value")}}
	x := build(t, c, e)
	band, col, offset := keyword.PlaceOf(x, e[0].Key)
	slot := make([]byte, presence.SlotSize)
	if err := keyword.BuilderOf(x).Get(slot, band, col, offset); err != nil {
		t.Fatal(err)
	}
	for _, other := range []func(*keyword.Config){
		func(c *keyword.Config) { c.Identity.Epoch++ },
		func(c *keyword.Config) { c.Identity.Table++ },
	} {
		d := c
		other(&d)
		y := build(t, d, nil)
		if err := keyword.PutAtColumn(y, e[0].Key, slot); err != nil {
			t.Fatal(err)
		}
		if keyword.Find(y, e[0].Key) {
			t.Error("a slot of another table or epoch is accepted")
		}
	}
	y := build(t, c, nil)
	if err := keyword.PutAtColumn(y, key(2), slot); err != nil {
		t.Fatal(err)
	}
	if keyword.Find(y, key(2)) {
		t.Error("a slot of another key is accepted")
	}
}

func TestPlan(t *testing.T) {
	for _, c := range []struct{ n, slot, wire int }{{1 << 20, 256, 180_000}, {1 << 18, 1536, 300_000}, {1 << 20, 32, 110_000}} {
		s, err := keyword.Plan(c.n, c.slot)
		if err != nil {
			t.Fatal(err)
		}
		if s.Columns < keyword.MinColumns || s.Slots < keyword.MinSlots {
			t.Errorf("%+v", s)
		}
		p, err := keyword.Describe(config(s))
		if err != nil {
			t.Fatal(err)
		}
		_, answer := p.AnswerSize()
		if wire := p.QuerySize() + answer; wire > c.wire {
			t.Errorf("%d entries of %d bytes: %d bytes on the wire", c.n, c.slot, wire)
		} else {
			t.Logf("%d entries of %d bytes: %+v, %d bytes on the wire", c.n, c.slot, s, wire)
		}
	}
	if _, err := keyword.Plan(1<<40, 1536); !errors.Is(err, keyword.ErrShape) {
		t.Errorf("too many: %v", err)
	}
}

func FuzzParseLayout(f *testing.F) {
	x, err := keyword.Build(config(presence), nil)
	if err != nil {
		f.Fatal(err)
	}
	p := x.Snapshot().Params()
	f.Add(p.Info)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, info []byte) {
		q := *p
		q.Info = info
		l, err := keyword.ParseLayout(&q)
		if err != nil {
			return
		}
		if !bytes.Equal(keyword.Info(l), info) {
			t.Error("another encoding")
		}
	})
}
