package packing_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

// lattice is a client of one group, with errors left out: what remains is what
// packing itself adds.
type lattice struct {
	s    [ring.N]int64
	hint [ring.N][ring.N]uint32
	r    *rand.Rand
}

func newLattice(seed byte) *lattice {
	l := &lattice{r: rand.New(rand.NewChaCha8([32]byte{seed}))}
	for i := range l.s {
		l.s[i] = l.r.Int64N(3) - 1
		for j := range l.hint[i] {
			l.hint[i][j] = l.r.Uint32()
		}
	}
	return l
}

func (l *lattice) uniform(u ring.Unit) (p ring.Poly) {
	for i := range p {
		p[i] = l.r.Uint64N(ring.Q)
	}
	u.Forward(&p)
	return p
}

// values returns s(X^j) times factor, in orbit order.
func (l *lattice) values(u ring.Unit, j int, factor int64) (p ring.Poly) {
	for i, v := range l.s {
		if e := i * j % (2 * ring.N); e >= ring.N {
			p[e-ring.N] = ring.FromInt(-v * factor)
		} else {
			p[e] = ring.FromInt(v * factor)
		}
	}
	u.Forward(&p)
	return p
}

// key returns public*s + 2^25*s(X^j).
func (l *lattice) key(u ring.Unit, public *ring.Poly, j int) *ring.Poly {
	s, k := l.values(u, 1, 1), l.values(u, j, 1<<ring.DigitShift)
	for i := range k {
		k[i] = ring.Add(k[i], ring.Mul(public[i], s[i]))
	}
	return &k
}

// TestPackedPhase packs rows with known phases and decrypts: coefficient k of
// the result holds the phase of row k, but for what the digits drop.
func TestPackedPhase(t *testing.T) {
	u := ring.Best()
	l := newLattice(1)
	public := &packing.Public{Rotate: l.uniform(u), Swap: l.uniform(u)}
	table := packing.Table{Digits: make([]byte, packing.DigitBytes)}
	packing.NewBuilder(u, public).Build(&table, func(k int, dst *[ring.N]uint32) { *dst = l.hint[k] })
	key := packing.NewKey(l.key(u, &public.Rotate, 5), l.key(u, &public.Swap, 2*ring.N-1))

	var b, want ring.Poly
	for k := range b {
		// The constant coefficient of hint*s, lifted as packing lifts it.
		v := ring.Mul(ring.Lift(l.hint[k][0]), ring.FromInt(l.s[0]))
		for i := 1; i < ring.N; i++ {
			v = ring.Sub(v, ring.Mul(ring.Lift(l.hint[k][i]), ring.FromInt(l.s[ring.N-i])))
		}
		want[k] = ring.FromInt((l.r.Int64N(256) - 128) << 42)
		b[k] = ring.Add(v, want[k])
	}
	out := table.Pack(u, key, &b)

	mask, s := table.Mask, l.values(u, 1, 1)
	u.Forward(&mask)
	for i := range mask {
		mask[i] = ring.Mul(mask[i], s[i])
	}
	u.Inverse(&mask)
	for k, v := range out {
		miss := ring.ToInt(ring.Sub(ring.Sub(v, mask[k]), want[k]))
		// 2^33.9 is one deviation of what the digits drop; 2^37 is eight.
		if miss < -1<<37 || miss > 1<<37 {
			t.Fatalf("row %d: off by %d", k, miss)
		}
	}
}

// TestBuildersAgree builds one table with every unit.
func TestBuildersAgree(t *testing.T) {
	l := newLattice(2)
	public := &packing.Public{Rotate: l.uniform(ring.Portable), Swap: l.uniform(ring.Portable)}
	var want packing.Table
	for _, u := range ring.Units() {
		got := packing.Table{Digits: make([]byte, packing.DigitBytes)}
		packing.NewBuilder(u, public).Build(&got, func(k int, dst *[ring.N]uint32) { *dst = l.hint[k] })
		for i := 0; i < len(got.Digits); i += 13 {
			if binary.LittleEndian.Uint64(got.Digits[i:])&(1<<52-1) >= ring.Q {
				t.Fatalf("%v: a digit is not reduced", u)
			}
		}
		if want.Digits == nil {
			want = got
			continue
		}
		if !bytes.Equal(got.Digits, want.Digits) || got.Mask != want.Mask {
			t.Errorf("%v builds another table", u)
		}
	}
}

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
