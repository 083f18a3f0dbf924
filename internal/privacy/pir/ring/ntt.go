package ring

import "math/bits"

// inverseN is 1/N mod Q. Since N*k = Q-1 for some k, -k is the inverse.
const inverseN = Q - (Q-1)/N

// tables holds the powers of the root in the order in which the butterflies
// want them, and the positions of the orbits.
type tables struct {
	fwd, fwdShoup [N]uint64 // w^bitrev(i), and floor(fwd*2^64/Q)
	inv, invShoup [N]uint64 // w^-bitrev(i)
	orbit         [N]int    // orbit[p] = index among bit-reversed values of orbit position p
}

var portable = newTables()

// root returns w: the power (Q-1)/4096 of the least g >= 2 for which it has
// order 4096. The order of values is internal, so no document depends on it.
func root() uint64 {
	for g := uint64(2); ; g++ {
		if w := power(g, (Q-1)/(2*N)); power(w, N) == Q-1 {
			return w
		}
	}
}

func shoup(w uint64) uint64 {
	q, _ := bits.Div64(w, 0, Q)
	return q
}

func reversed(i int) int { return int(bits.Reverse16(uint16(i)) >> (16 - LogN)) }

func newTables() *tables {
	t := new(tables)
	w := root()
	inv := power(w, 2*N-1)
	p, pi := uint64(1), uint64(1)
	for i := range N {
		r := reversed(i)
		t.fwd[r], t.fwdShoup[r] = p, shoup(p)
		t.inv[r], t.invShoup[r] = pi, shoup(pi)
		p, pi = Mul(p, w), Mul(pi, inv)
	}
	// The bit-reversed transform leaves the value at w^(2k+1) at reversed(k).
	e := 1
	for i := range Half {
		t.orbit[i] = reversed((e - 1) / 2)
		t.orbit[Half+i] = reversed((2*N - e - 1) / 2)
		e = e * 5 % (2 * N)
	}
	return t
}

// mulLazy returns x*w mod Q in [0, 2Q), for any x.
func mulLazy(x, w, ws uint64) uint64 {
	hi, _ := bits.Mul64(x, ws)
	return x*w - hi*Q
}

// lessTwoQ brings v < 4Q below 2Q.
func lessTwoQ(v uint64) uint64 {
	d, borrow := bits.Sub64(v, 2*Q, 0)
	return d + (2*Q)&-borrow
}

func (t *tables) forward(a *Poly) {
	v := *a
	span := N
	for m := 1; m < N; m <<= 1 {
		span >>= 1
		for i := range m {
			w, ws := t.fwd[m+i], t.fwdShoup[m+i]
			x := v[2*i*span:][:span]
			y := v[2*i*span+span:][:len(x)]
			for j, u := range x {
				u = lessTwoQ(u)
				z := mulLazy(y[j], w, ws)
				x[j] = u + z
				y[j] = u - z + 2*Q
			}
		}
	}
	for i, at := range t.orbit {
		a[i] = lessQ(lessTwoQ(v[at&(N-1)]))
	}
}

func (t *tables) inverse(a *Poly) {
	var v Poly
	for i, at := range t.orbit {
		v[at&(N-1)] = a[i]
	}
	span := 1
	for m := Half; m >= 1; m >>= 1 {
		for i := range m {
			w, ws := t.inv[m+i], t.invShoup[m+i]
			x := v[2*i*span:][:span]
			y := v[2*i*span+span:][:len(x)]
			for j, u := range x {
				z := y[j]
				x[j] = lessTwoQ(u + z)
				y[j] = mulLazy(u-z+2*Q, w, ws)
			}
		}
		span <<= 1
	}
	for i, u := range v {
		a[i] = Mul(lessQ(u), inverseN)
	}
}
