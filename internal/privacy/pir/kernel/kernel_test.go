package kernel_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"whither/internal/privacy/pir/kernel"
)

func random(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func words(raw []byte) []uint32 {
	out := make([]uint32, len(raw)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return out
}

// model is the definition, straight from the layout in the package doc.
func model(q []uint32, matrix []byte, rows int) []uint32 {
	out := make([]uint32, rows)
	for r := range rows {
		for c, w := range q {
			at := r/kernel.Group*kernel.Group*len(q) + c/kernel.Step*kernel.Group*kernel.Step + r%kernel.Group*kernel.Step + c%kernel.Step
			out[r] += w * uint32(matrix[at])
		}
	}
	return out
}

func TestKernelsAgreeWithTheModel(t *testing.T) {
	for _, size := range []struct{ rows, cols int }{{4, 64}, {8, 128}, {12, 1024}, {64, 192}} {
		n := size.rows * size.cols
		ones, zeros := slices.Repeat([]byte{255}, n), make([]byte, n)
		queries := map[string][]uint32{
			"random":  words(random(t, 4*size.cols)),
			"all set": words(slices.Repeat([]byte{255}, 4*size.cols)),
			"carries": words(slices.Repeat([]byte{0x80, 0x7f, 0x80, 0x80}, size.cols)),
			"halves":  words(slices.Repeat([]byte{0x00, 0x80, 0xff, 0x7f}, size.cols)),
		}
		for name, q := range queries {
			for _, matrix := range [][]byte{random(t, n), ones, zeros} {
				want := model(q, matrix, size.rows)
				for _, k := range kernel.Kernels() {
					acc := make([]uint32, size.rows)
					p := k.Prepare(q)
					p.Scan(acc, matrix)
					if !slices.Equal(acc, want) {
						t.Errorf("%v, %v, %s: wrong sums", k, size, name)
					}
					p.Scan(acc, matrix)
					for i := range want {
						if acc[i] != 2*want[i] {
							t.Fatalf("%v: Scan does not add", k)
						}
					}
				}
			}
		}
	}
}

func TestSlice(t *testing.T) {
	q := words(random(t, 4*512))
	matrix := random(t, 8*128)
	want := model(q[256:384], matrix, 8)
	for _, k := range kernel.Kernels() {
		acc := make([]uint32, 8)
		k.Prepare(q).Slice(256, 128).Scan(acc, matrix)
		if !slices.Equal(acc, want) {
			t.Errorf("%v: wrong columns", k)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	const rows = 4096
	matrix := random(b, rows*kernel.Tile)
	q := words(random(b, 4*kernel.Tile))
	for _, k := range kernel.Kernels() {
		b.Run(fmt.Sprintf("%v/4MiB", k), func(b *testing.B) {
			p, acc := k.Prepare(q), make([]uint32, rows)
			b.SetBytes(int64(len(matrix)))
			for b.Loop() {
				p.Scan(acc, matrix)
			}
		})
	}
}
