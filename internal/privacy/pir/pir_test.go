package pir_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"testing"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/ring"
)

var testID = pir.Identity{DP: "dp.example", Shard: 3, Table: 1, Epoch: 77}

// table is a snapshot with the columns that it must give.
type table struct {
	builder  *pir.Builder
	snapshot *pir.Snapshot
	columns  [][][]byte // band, column
}

// newTable builds bands with cells from fill.
func newTable(t testing.TB, e pir.Engine, bits int, bands []pir.Band, fill func(b []byte)) *table {
	t.Helper()
	b, err := pir.NewBuilder(&pir.Params{Identity: testID, QueryBits: bits, Bands: bands}, e)
	if err != nil {
		t.Fatal(err)
	}
	out := &table{builder: b, columns: make([][][]byte, len(bands))}
	for i, band := range bands {
		for range band.Cols {
			col := make([]byte, band.Rows)
			fill(col)
			out.columns[i] = append(out.columns[i], col)
		}
	}
	b.Fill(func(band, col int, dst []byte) { copy(dst, out.columns[band][col]) })
	out.snapshot = b.Build()
	return out
}

func sealed(b []byte) {
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
}

// hostile fills cells with the values that make most noise.
func hostile(b []byte) {
	sealed(b)
	for i := range b {
		b[i] = byte(int8(b[i]) >> 7)
	}
}

func portable(workers int) pir.Engine {
	return pir.Engine{Kernel: kernel.Portable, Unit: ring.Portable, Workers: workers}
}

// ask runs one whole exchange and compares the columns.
func (x *table) ask(t testing.TB, e pir.Engine, columns []int) *pir.Masks {
	t.Helper()
	p := x.snapshot.Params()
	q, err := pir.Ask(rand.Reader, p, columns, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Query()) != p.QuerySize() {
		t.Fatalf("query of %d bytes, want %d", len(q.Query()), p.QuerySize())
	}
	decoded, err := x.snapshot.Decode(q.Query())
	if err != nil {
		t.Fatal(err)
	}
	got, masks, err := q.Open(x.snapshot.Answer(e, []*pir.Query{decoded})[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range columns {
		if !bytes.Equal(got[i], x.columns[i][c]) {
			t.Fatalf("band %d, column %d: wrong bytes", i, c)
		}
	}
	return masks
}

func pick(bands []pir.Band) []int {
	out := make([]int, len(bands))
	for i, b := range bands {
		out[i] = mathrand.IntN(b.Cols)
	}
	return out
}

func TestWholePath(t *testing.T) {
	for _, c := range []struct {
		name  string
		bits  int
		bands []pir.Band
		fill  func([]byte)
	}{
		{"one band", 24, []pir.Band{{Rows: 64, Cols: 2048}}, sealed},
		{"two bands", 24, []pir.Band{{Rows: 2044, Cols: 4096}, {Rows: 16, Cols: 512}}, sealed},
		{"small bands", 23, []pir.Band{{Rows: 8, Cols: 64}, {Rows: 4, Cols: 128}, {Rows: 12, Cols: 1024}, {Rows: 8, Cols: 960}, {Rows: 8, Cols: 960}}, sealed},
		{"hostile cells", 24, []pir.Band{{Rows: 2048, Cols: 4096}}, hostile},
	} {
		t.Run(c.name, func(t *testing.T) {
			fast := newTable(t, pir.BestEngine(2), c.bits, c.bands, c.fill)
			for range 3 {
				fast.ask(t, pir.BestEngine(2), pick(c.bands))
			}
			for _, k := range kernel.Kernels() {
				for _, u := range ring.Units() {
					fast.ask(t, pir.Engine{Kernel: k, Unit: u, Workers: 1}, pick(c.bands))
				}
			}
		})
	}
}

// TestEnginesAgree builds and answers with every engine: one set of bytes.
func TestEnginesAgree(t *testing.T) {
	bands := []pir.Band{{Rows: 48, Cols: 2048}, {Rows: 8, Cols: 64}}
	stream := func() func([]byte) {
		r := mathrand.NewChaCha8([32]byte{1})
		return func(b []byte) { r.Read(b) }
	}
	want := newTable(t, portable(1), 24, bands, stream())
	q, err := pir.Ask(rand.Reader, want.snapshot.Params(), []int{1999, 63}, nil)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := want.snapshot.Decode(q.Query())
	if err != nil {
		t.Fatal(err)
	}
	answer := want.snapshot.Answer(portable(1), []*pir.Query{decoded})[0]
	for _, u := range ring.Units() {
		for _, workers := range []int{1, 3} {
			e := pir.Engine{Unit: u, Workers: workers}
			x := newTable(t, e, 24, bands, stream())
			if x.snapshot.Params().ID() != want.snapshot.Params().ID() {
				t.Fatalf("%v: another table", u)
			}
			for _, e.Kernel = range kernel.Kernels() {
				for i, got := range x.snapshot.Answer(e, []*pir.Query{decoded, decoded, decoded}) {
					if !bytes.Equal(got, answer) {
						t.Fatalf("%v, %v, %d workers: answer %d differs", e.Kernel, u, workers, i)
					}
				}
			}
		}
	}
}

func TestR14SecretServesOnce(t *testing.T) {
	x := newTable(t, pir.BestEngine(1), 24, []pir.Band{{Rows: 4, Cols: 64}}, sealed)
	q, err := pir.Ask(rand.Reader, x.snapshot.Params(), []int{5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Open(nil); !errors.Is(err, pir.ErrAnswer) {
		t.Fatalf("empty answer: %v", err)
	}
	decoded, err := x.snapshot.Decode(q.Query())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Open(x.snapshot.Answer(pir.BestEngine(1), []*pir.Query{decoded})[0]); !errors.Is(err, pir.ErrSpent) {
		t.Fatalf("second answer: %v", err)
	}
}
