// Package ring computes in R = Z_Q[X]/(X^2048+1), the ring of the packing step
// of private lookups (docs/spec/private.md, section 3).
//
// Q = 2^50 - 16383 is prime and 1 mod 4096, so R splits into 2048 copies of
// Z_Q, one for each odd exponent e of a primitive 4096-th root of unity w. The
// values of a polynomial at w^e are kept in orbit order: position h*1024 + i
// holds e = (-1)^h * 5^i mod 4096. In that order the automorphism X -> X^(5^j)
// is a rotation by j within each half and X -> X^-1 swaps the halves, which is
// what makes packing one sequential stream over memory.
//
// Every function is defined on fully reduced values, and every [Unit] returns
// the same bits. Nothing here branches on, or indexes by, a coefficient, so
// secrets may pass through. Q just below 2^50 leaves room for lazy sums under
// 4Q in the 52-bit lanes of AVX-512 IFMA; its shape makes the portable
// reduction two multiplications by 16383.
//
// The package does not check that its inputs are reduced: decoders do.
package ring

import "math/bits"

const (
	// LogN is the binary logarithm of [N].
	LogN = 11
	// N is the degree of the ring and the number of coefficients of a [Poly].
	N = 1 << LogN
	// Half is the length of one orbit of 5 in (Z/4096)*.
	Half = N / 2
	// LogQ is the number of bits of a reduced coefficient.
	LogQ = 50
	// Q is the modulus.
	Q = 1<<LogQ - fold

	fold = 16383 // 2^50 mod Q
	low  = 1<<LogQ - 1
)

// Poly is an element of R: coefficients, or values in orbit order, each less
// than [Q].
type Poly [N]uint64

// lessQ brings v < 2Q below Q without a branch.
func lessQ(v uint64) uint64 {
	d, borrow := bits.Sub64(v, Q, 0)
	return d + Q&-borrow
}

// reduce128 returns hi*2^64 + lo mod Q, for hi < 2^50.
func reduce128(hi, lo uint64) uint64 {
	// 2^64 = 2^14 * 2^50, so the upper word is folded at weight 2^14.
	h, l := bits.Mul64(hi<<14|lo>>LogQ, fold)
	l, c := bits.Add64(l, lo&low, 0)
	h += c // below 2^14, again at weight 2^14 of 2^50
	l = (h<<14|l>>LogQ)*fold + l&low
	return lessQ(l>>LogQ*fold + l&low)
}

// Mul returns a*b mod Q.
func Mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	t := (hi<<14|lo>>LogQ)*fold + lo&low // at most (2^50-1)*2^14
	return lessQ(t>>LogQ*fold + t&low)
}

// Add returns a+b mod Q.
func Add(a, b uint64) uint64 { return lessQ(a + b) }

// Sub returns a-b mod Q.
func Sub(a, b uint64) uint64 { return lessQ(a + Q - b) }

// FromInt returns v mod Q, for |v| < Q.
func FromInt(v int64) uint64 { return uint64(v) + Q&uint64(v>>63) }

// ToInt returns the representative of v in (-Q/2, Q/2).
func ToInt(v uint64) int64 {
	_, borrow := bits.Sub64(Q/2, v, 0)
	return int64(v - Q&-borrow)
}

// power returns a^e mod Q. Its time depends on e, which is public.
func power(a, e uint64) uint64 {
	r := uint64(1)
	for ; e > 0; e >>= 1 {
		if e&1 == 1 {
			r = Mul(r, a)
		}
		a = Mul(a, a)
	}
	return r
}

// Lift returns round(v*Q/2^32) mod Q: it carries a value mod 2^32 over to Q.
func Lift(v uint32) uint64 {
	hi, lo := bits.Mul64(uint64(v), Q)
	return lessQ(hi<<32 | lo>>32 + lo>>31&1)
}

// LiftOverN returns Lift(v)/N mod Q. The trace that packing takes multiplies
// by N; dividing beforehand costs nothing, since it is done offline.
func LiftOverN(v uint32) uint64 { return Mul(Lift(v), inverseN) }

// Switch returns round(v*2^b/Q) mod 2^b, for b <= 32.
func Switch(v uint64, b uint) uint32 {
	// floor((v*2^b + Q/2) / Q). The quotient of v*2^b by 2^50 is too small by
	// at most one, since Q differs from 2^50 by 1 in 2^36.
	hi, lo := bits.Mul64(v, 1<<b)
	lo, c := bits.Add64(lo, Q/2, 0)
	hi += c
	q := hi<<14 | lo>>LogQ
	r := lo - q*Q
	_, borrow := bits.Sub64(r, Q, 0)
	return uint32((q + 1 - borrow) & (1<<b - 1))
}
