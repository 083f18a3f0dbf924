package packing_test

import (
	"testing"

	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

func BenchmarkPack(b *testing.B) {
	for _, u := range ring.Units() {
		b.Run(u.String()+"/2048rows", func(b *testing.B) {
			t := packing.Table{Digits: make([]byte, packing.DigitBytes)}
			k, v := packing.NewKey(new(ring.Poly), new(ring.Poly)), new(ring.Poly)
			for b.Loop() {
				t.Pack(u, k, v)
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, u := range ring.Units() {
		b.Run(u.String()+"/2048rows", func(b *testing.B) {
			t := packing.Table{Digits: make([]byte, packing.DigitBytes)}
			to := packing.NewBuilder(u, new(packing.Public))
			for b.Loop() {
				to.Build(&t, func(k int, dst *[ring.N]uint32) { dst[k]++ })
			}
		})
	}
}
