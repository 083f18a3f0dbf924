package ring

import (
	"encoding/binary"
	"math/bits"
)

// Unit says with which instructions a computation is done. All units give the
// same bits. The zero Unit is not valid; use [Best], or one of [Units].
type Unit uint8

const (
	// Portable is plain Go.
	Portable Unit = iota + 1
	// IFMA needs AVX-512 with the 52-bit multiply-add and byte permutes.
	IFMA
)

// String returns the name of the unit as it stands in metrics.
func (u Unit) String() string {
	switch u {
	case Portable:
		return "portable"
	case IFMA:
		return "avx512-ifma"
	}
	return "invalid"
}

// Best returns the fastest unit of this machine.
func Best() Unit {
	all := Units()
	return all[len(all)-1]
}

// Units lists the units of this machine, the slowest first.
func Units() []Unit {
	if hasIFMA {
		return []Unit{Portable, IFMA}
	}
	return []Unit{Portable}
}

// Forward replaces the coefficients in p by the values in orbit order.
func (u Unit) Forward(p *Poly) {
	if u == IFMA {
		forwardIFMA(p)
		return
	}
	portable.forward(p)
}

// Inverse replaces the values in orbit order in p by the coefficients.
func (u Unit) Inverse(p *Poly) {
	if u == IFMA {
		inverseIFMA(p)
		return
	}
	portable.inverse(p)
}

// SubMul subtracts x*y from dst, element by element. The three have one
// length, a multiple of 8.
func (u Unit) SubMul(dst, x, y []uint64) {
	x, y = x[:len(dst)], y[:len(dst)]
	if u == IFMA {
		subMulIFMA(dst, x, y)
		return
	}
	for i, v := range dst {
		dst[i] = Sub(v, Mul(x[i], y[i]))
	}
}

// DigitShift is the number of low bits that [Unit.Digits] drops.
const DigitShift = 25

// Digits replaces each coefficient, taken in (-Q/2, Q/2), by the nearest
// multiple of 2^25 divided by 2^25. This is the whole gadget decomposition:
// one digit, and an error of at most 2^24.
func (u Unit) Digits(p *Poly) {
	if u == IFMA {
		digitsIFMA(p)
		return
	}
	for i, v := range p {
		p[i] = FromInt((ToInt(v) + 1<<(DigitShift-1)) >> DigitShift)
	}
}

// Sum is a sum of at most [MaxTerms] products of polynomials, reduced only in
// the end. Its content depends on the unit, so one unit must do all its work.
// The zero Sum is empty.
type Sum struct{ lo, hi [N]uint64 }

// MaxTerms is the number of products that a [Sum] and a [Unit.Dot] can hold.
const MaxTerms = 4095

// Clear empties s.
func (s *Sum) Clear() { *s = Sum{} }

// AddMul adds x*y to s, element by element.
func (u Unit) AddMul(s *Sum, x, y *Poly) {
	if u == IFMA {
		addMulIFMA(s, x, y)
		return
	}
	for i := range s.lo {
		h, l := bits.Mul64(x[i], y[i])
		var c uint64
		s.lo[i], c = bits.Add64(s.lo[i], l, 0)
		s.hi[i] += h + c
	}
}

// Settle writes the reduced sum to dst.
func (u Unit) Settle(dst *Poly, s *Sum) {
	if u == IFMA {
		settleIFMA(dst[:], s.lo[:], s.hi[:])
		return
	}
	for i := range dst {
		dst[i] = reduce128(s.hi[i], s.lo[i])
	}
}

// Lanes is the number of results of one [Unit.Dot].
const Lanes = 32

// RowBytes is the length of one row of digits: [Lanes] words of 52 bits, two in
// 13 bytes, little-endian.
const RowBytes = Lanes * 52 / 8

// PutRow stores the first [Lanes] values of v as a row.
func PutRow(row []byte, v []uint64) {
	row, v = row[:RowBytes], v[:Lanes]
	for len(v) > 0 {
		binary.LittleEndian.PutUint64(row, v[0]|v[1]<<52)
		binary.LittleEndian.PutUint32(row[8:], uint32(v[1]>>12))
		row[12] = byte(v[1] >> 44)
		row, v = row[13:], v[2:]
	}
}

// Dot multiplies a matrix of digits, stored row by row, with sliding windows
// of keys: out[j] = sum over the keys k, and s from 0 to len(k)-Lanes, of
// digits[row][j] * k[s+j], where row counts on through all keys. It panics if
// digits are short.
func (u Unit) Dot(out *[Lanes]uint64, digits []byte, keys ...[]uint64) {
	if u == IFMA {
		dotIFMA(out, digits, keys)
		return
	}
	dotPortable(out, digits, keys)
}

// wide is a sum of products of 128 bits.
type wide struct{ hi, lo uint64 }

// add returns w + x*y.
func (w wide) add(x, y uint64) wide {
	h, l := bits.Mul64(x, y)
	l, c := bits.Add64(w.lo, l, 0)
	h, _ = bits.Add64(w.hi, h, c)
	return wide{h, l}
}

func dotPortable(out *[Lanes]uint64, digits []byte, keys [][]uint64) {
	// The rows are taken in runs that stay in the first-level cache while the
	// lanes pass over them.
	const run = 64
	var sums [Lanes]wide
	for _, k := range keys {
		for len(k) >= Lanes {
			n := min(run, len(k)-Lanes+1)
			// Each pass asks for its share of the next run.
			next := digits[min(len(digits), n*RowBytes):]
			for j := 0; j < Lanes; j += 2 {
				const share = run * RowBytes / (Lanes / 2)
				at := min(j/2*share, len(next))
				touch(next[at:min(at+share, len(next))])
				sums[j], sums[j+1] = dotPair(sums[j], sums[j+1], digits[j/2*13:], k[j:j+n+1]) //nolint:gosec // j+1 < Lanes
			}
			digits, k = digits[n*RowBytes:], k[n:]
		}
	}
	for j, s := range sums {
		out[j] = reduce128(s.hi, s.lo)
	}
}

// touch loads a byte of every cache line, so that the next run is on its way
// while this one is worked on: Go has no prefetch. Being a call of its own keeps
// the loads from being removed.
//
//go:noinline
func touch(b []byte) (x byte) {
	for len(b) >= 64 {
		x |= b[0]
		b = b[64:]
	}
	return x
}

// dotPair adds two lanes, of which the digits begin each row. Two sums, two
// slices and the operands of a multiplication are what fits into registers.
func dotPair(s, t wide, rows []byte, key []uint64) (wide, wide) {
	x := key[0]
	for i, y := range key[1:] {
		d := (*[13]byte)(rows[i*RowBytes:])
		s = s.add(binary.LittleEndian.Uint64(d[0:])&(1<<52-1), x)
		t = t.add(binary.LittleEndian.Uint64(d[5:])>>12, y)
		x = y
	}
	return s, t
}
