package pir_test

import (
	"crypto/rand"
	"math"
	"os"
	"testing"

	"whither/internal/privacy/pir"
)

// TestParameterTable computes what stands beside each row of the table.
func TestParameterTable(t *testing.T) {
	if len(pir.Sets) == 0 {
		t.Fatal("no parameters")
	}
	cols := 0
	for _, s := range pir.Sets {
		const rows = pir.MaxGroups * 2048
		worst := pir.FailureBits(s.MaxCols, s.QueryBits, rows, pir.WorstCell)
		uniform := pir.FailureBits(s.MaxCols, s.QueryBits, rows, pir.UniformCell)
		t.Logf("%6d columns, %d bits: 2^-%.1f, sealed 2^-%.1f", s.MaxCols, s.QueryBits, worst, uniform)
		if s.Failure != int(worst) || s.FailureUniform != int(uniform) {
			t.Errorf("%d columns: computed %.1f and %.1f, the table says %d and %d", s.MaxCols, worst, uniform, s.Failure, s.FailureUniform)
		}
		if worst < pir.MinFailureBits {
			t.Errorf("%d columns: fails once in 2^%.1f", s.MaxCols, worst)
		}
		if s.Security < 128 {
			t.Errorf("%d columns: %d bits of security", s.MaxCols, s.Security)
		}
		if s.MaxCols <= cols {
			t.Error("rows are not in order")
		}
		cols = s.MaxCols
	}
	if cols != pir.MaxColumns {
		t.Errorf("the table ends at %d columns, the limit is %d", cols, pir.MaxColumns)
	}
}

// TestNoiseFollowsTheModel decodes many coefficients, over sealed and over
// hostile cells: none may be wrong, and the noise is that of the formula.
func TestNoiseFollowsTheModel(t *testing.T) {
	want := 100_000
	if os.Getenv("WHITHER_LONG") == "1" {
		want = 10_000_000
	}
	for _, c := range []struct {
		name string
		cell float64
		fill func([]byte)
	}{{"sealed", pir.UniformCell, sealed}, {"hostile", pir.WorstCell, hostile}} {
		t.Run(c.name, func(t *testing.T) {
			const cols, rows = 8192, 2048
			bits, _ := pir.QueryBits(cols)
			e := pir.BestEngine(2)
			x := newTable(t, e, bits, []pir.Band{{Rows: rows, Cols: cols}}, c.fill)
			n, wrong, square := 0, 0, 0.0
			for ; n < want/2; n += rows {
				col := pick(x.snapshot.Params().Bands)
				q, err := pir.Ask(rand.Reader, x.snapshot.Params(), col, nil)
				if err != nil {
					t.Fatal(err)
				}
				decoded, err := x.snapshot.Decode(q.Query())
				if err != nil {
					t.Fatal(err)
				}
				for r, v := range q.Phases(x.snapshot.Answer(e, []*pir.Query{decoded})[0]) {
					// Noise relative to the threshold of half a byte.
					miss := float64(int16((v-(int32(x.columns[0][col[0]][r])-128)<<9)<<0)) / 256
					square += miss * miss
					if math.Abs(miss) >= 1 {
						wrong++
					}
				}
			}
			got, model := math.Sqrt(square/float64(n)), pir.Noise(cols, bits, c.cell)
			t.Logf("%d coefficients: noise %.4f of the threshold, model %.4f", n, got, model)
			if wrong > 0 {
				t.Errorf("%d of %d coefficients are wrong", wrong, n)
			}
			if math.Abs(got/model-1) > 0.05 {
				t.Errorf("noise %.4f of the threshold, the model says %.4f", got, model)
			}
		})
	}
}
