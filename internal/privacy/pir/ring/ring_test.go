package ring_test

import (
	"crypto/rand"
	"encoding/binary"
	"math/big"
	"testing"

	"whither/internal/privacy/pir/ring"
)

var modulus = new(big.Int).SetUint64(ring.Q)

func uniform(t testing.TB) *ring.Poly {
	t.Helper()
	var raw [8 * ring.N]byte
	if _, err := rand.Read(raw[:]); err != nil {
		t.Fatal(err)
	}
	p := new(ring.Poly)
	for i := range p {
		p[i] = binary.LittleEndian.Uint64(raw[8*i:]) % ring.Q
	}
	return p
}

// extreme returns polynomials at whose values reductions go wrong first.
func extreme() []*ring.Poly {
	var all []*ring.Poly
	for _, v := range []uint64{0, 1, ring.Q - 1, ring.Q / 2, ring.Q/2 + 1, 1 << 24, 1<<24 - 1, ring.Q - 1<<24} {
		p := new(ring.Poly)
		for i := range p {
			p[i] = v
		}
		all = append(all, p)
	}
	one := new(ring.Poly)
	one[1] = 1
	return append(all, one)
}

func TestModulus(t *testing.T) {
	if !modulus.ProbablyPrime(40) {
		t.Error("Q is not prime")
	}
	if ring.Q%(2*ring.N) != 1 {
		t.Error("Q is not 1 mod 2N")
	}
	if got := uint64(ring.Q); got != 1125899906826241 {
		t.Errorf("Q = %d", got)
	}
}

func TestScalars(t *testing.T) {
	p, q := uniform(t), uniform(t)
	for _, e := range extreme() {
		copy(p[:], e[:16])
		copy(q[16:], e[:16])
	}
	for i := range p {
		a, b := new(big.Int).SetUint64(p[i]), new(big.Int).SetUint64(q[i])
		if got, want := ring.Mul(p[i], q[i]), new(big.Int).Mod(new(big.Int).Mul(a, b), modulus); got != want.Uint64() {
			t.Fatalf("Mul(%v, %v) = %d, want %v", a, b, got, want)
		}
		if got, want := ring.Sub(p[i], q[i]), new(big.Int).Mod(new(big.Int).Sub(a, b), modulus); got != want.Uint64() {
			t.Fatalf("Sub(%v, %v) = %d, want %v", a, b, got, want)
		}
		if got := ring.FromInt(ring.ToInt(p[i])); got != p[i] {
			t.Fatalf("FromInt(ToInt(%v)) = %d", a, got)
		}
		for _, b := range []uint{13, 17, 32} {
			// floor((2*v*2^b + Q) / 2Q) mod 2^b
			x := new(big.Int).Lsh(a, b+1)
			x.Add(x, modulus).Div(x, new(big.Int).Lsh(modulus, 1))
			want := uint32(x.Uint64() & (1<<b - 1))
			if got := ring.Switch(p[i], b); got != want {
				t.Fatalf("Switch(%v, %d) = %d, want %d", a, b, got, want)
			}
		}
		w := uint32(p[i])
		x := new(big.Int).Mul(big.NewInt(int64(w)), modulus)
		x.Add(x, big.NewInt(1<<31)).Rsh(x, 32)
		if got := ring.Lift(w); got != x.Uint64() {
			t.Fatalf("Lift(%d) = %d, want %v", w, got, x)
		}
		if got := ring.Mul(ring.LiftOverN(w), ring.N); got != ring.Lift(w) {
			t.Fatalf("LiftOverN(%d) * N = %d", w, got)
		}
	}
}

// TestOrbitOrder pins the one property on which packing stands.
func TestOrbitOrder(t *testing.T) {
	p := uniform(t)
	five, minus := new(ring.Poly), new(ring.Poly)
	for i, v := range p {
		put := func(dst *ring.Poly, e int) {
			if e %= 2 * ring.N; e >= ring.N {
				dst[e-ring.N] = ring.Sub(0, v)
			} else {
				dst[e] = v
			}
		}
		put(five, i*5)
		put(minus, i*(2*ring.N-1))
	}
	for _, u := range ring.Units() {
		a, b, c := *p, *five, *minus
		u.Forward(&a)
		u.Forward(&b)
		u.Forward(&c)
		for i := range ring.Half {
			for h := range 2 {
				at, next := h*ring.Half+i, h*ring.Half+(i+1)%ring.Half
				if b[at] != a[next] {
					t.Fatalf("%v: X -> X^5 is not a rotation at %d", u, at)
				}
				if c[at] != a[(1-h)*ring.Half+i] {
					t.Fatalf("%v: X -> 1/X does not swap halves at %d", u, at)
				}
			}
		}
	}
}

func TestTransformMultiplies(t *testing.T) {
	p, q := uniform(t), new(ring.Poly)
	q[3], q[2000] = 7, ring.Q-2
	want := new(ring.Poly)
	for i, v := range p {
		for _, m := range []struct {
			by uint64
			at int
		}{{7, i + 3}, {ring.Q - 2, i + 2000}} {
			w := ring.Mul(v, m.by)
			if m.at >= ring.N {
				want[m.at-ring.N] = ring.Sub(want[m.at-ring.N], w)
			} else {
				want[m.at] = ring.Add(want[m.at], w)
			}
		}
	}
	for _, u := range ring.Units() {
		a, b := *p, *q
		u.Forward(&a)
		u.Forward(&b)
		var s ring.Sum
		u.AddMul(&s, &a, &b)
		u.Settle(&a, &s)
		u.Inverse(&a)
		if a != *want {
			t.Fatalf("%v: wrong product", u)
		}
	}
}

// TestUnitsAgree holds every unit against the portable one, bit for bit.
func TestUnitsAgree(t *testing.T) {
	inputs := append(extreme(), uniform(t), uniform(t))
	for _, u := range ring.Units() {
		for i, p := range inputs {
			q := inputs[len(inputs)-1-i]
			same := func(what string, f func(u ring.Unit, p *ring.Poly)) {
				t.Helper()
				want, got := *p, *p
				f(ring.Portable, &want)
				f(u, &got)
				if got != want {
					t.Errorf("%v: %s of input %d differs", u, what, i)
				}
			}
			same("forward", func(u ring.Unit, p *ring.Poly) { u.Forward(p) })
			same("inverse", func(u ring.Unit, p *ring.Poly) { u.Inverse(p) })
			same("digits", func(u ring.Unit, p *ring.Poly) { u.Digits(p) })
			same("submul", func(u ring.Unit, p *ring.Poly) { u.SubMul(p[:], q[:], inputs[8][:]) })
			same("sum", func(u ring.Unit, p *ring.Poly) {
				var s ring.Sum
				for range 3 {
					u.AddMul(&s, p, q)
				}
				u.Settle(p, &s)
			})
			same("full sum", func(u ring.Unit, p *ring.Poly) {
				if i > 2 {
					return
				}
				var s ring.Sum
				for range ring.MaxTerms {
					u.AddMul(&s, p, q)
				}
				u.Settle(p, &s)
			})
			same("dot", func(u ring.Unit, p *ring.Poly) {
				const steps = ring.N / 2
				rows := make([]byte, 2*steps*ring.RowBytes)
				for j := range 2 * steps {
					ring.PutRow(rows[j*ring.RowBytes:], q[j*31%(ring.N-ring.Lanes):])
				}
				var out [ring.Lanes]uint64
				u.Dot(&out, rows, p[:steps+ring.Lanes-1], p[7:steps+ring.Lanes+6])
				*p = ring.Poly{}
				copy(p[:], out[:])
			})
		}
	}
}

func TestDigits(t *testing.T) {
	p := uniform(t)
	d := *p
	ring.Portable.Digits(&d)
	for i := range d {
		miss := ring.ToInt(ring.Sub(p[i], ring.Mul(d[i], 1<<ring.DigitShift)))
		if miss < -1<<24 || miss > 1<<24 {
			t.Fatalf("digit of %d misses by %d", p[i], miss)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	for _, u := range ring.Units() {
		b.Run(u.String(), func(b *testing.B) {
			p := uniform(b)
			for b.Loop() {
				u.Forward(p)
			}
		})
	}
}

func BenchmarkInverse(b *testing.B) {
	for _, u := range ring.Units() {
		b.Run(u.String(), func(b *testing.B) {
			p := uniform(b)
			for b.Loop() {
				u.Inverse(p)
			}
		})
	}
}

func BenchmarkDigits(b *testing.B) {
	for _, u := range ring.Units() {
		b.Run(u.String(), func(b *testing.B) {
			p := uniform(b)
			for b.Loop() {
				u.Digits(p)
			}
		})
	}
}
