// Package packing turns 2048 LWE ciphertexts under one secret into one ring
// ciphertext, with two key-switch keys and everything that does not depend on
// the query done beforehand (docs/spec/private.md, section 6).
//
// For row k of a group let (ahat_k, b_k) be its ciphertext mod Q, ahat_k a
// public polynomial and b_k the constant coefficient. With the automorphisms
// t: X -> X^j over all odd j, the sum over k of X^k * sum_t t(ahat_k / N) is a
// linear form in the t(s) whose constant parts are exactly the b_k. Two keys,
// for X -> X^5 and X -> 1/X, fold the 2048 secrets t(s) into s one after the
// other. All of this but the keys is known offline, so what remains online is
//
//	B = sum_k b_k X^k - sum_i D_i * t_i(key)
//
// with 2047 fixed digit polynomials D_i. In orbit order t_i is a rotation: the
// keys stay in the first-level cache while D is streamed once.
//
// A [Table] is valid for exactly one content of the matrix; nothing here can
// notice a stale one, its owner must.
package packing

import "whither/internal/privacy/pir/ring"

const (
	// Steps is the number of digit polynomials of a group.
	Steps = ring.N - 1

	chain  = ring.Half - 1 // key switches per half: from rotation 1023 down to 1
	blocks = ring.N / ring.Lanes

	// DigitBytes is the length of the digits of one [Table].
	DigitBytes = Steps * blocks * ring.RowBytes
)

// Public holds the uniform halves of the two keys, which both sides derive
// from a seed, in orbit order: one for X -> X^5, one for X -> 1/X.
type Public struct{ Rotate, Swap ring.Poly }

// Key holds the client's halves of the two keys, in orbit order.
type Key struct {
	// Each half of the orbits twice in a row, so that every rotation is a slice.
	rotate [2][2 * ring.Half]uint64
	swap   ring.Poly
}

// NewKey prepares the client's halves, given in orbit order.
func NewKey(rotate, swap *ring.Poly) *Key {
	k := &Key{swap: *swap}
	for h := range k.rotate {
		half := rotate[h*ring.Half:][:ring.Half]
		copy(k.rotate[h][:], half)
		copy(k.rotate[h][ring.Half:], half)
	}
	return k
}

// Table is what packing needs of one group of 2048 rows.
type Table struct {
	// Digits holds, for each block of 32 values, the rows of all steps:
	// rotations 1 to 1023 within the half, the same across halves, the swap.
	Digits []byte
	// Mask is the uniform half of every packed ciphertext, as coefficients.
	Mask ring.Poly
}

// Pack returns the second half of the packed ciphertext, as coefficients, for
// the lifted constants b of the rows of the group. Rows are in order.
func (t *Table) Pack(u ring.Unit, k *Key, b *ring.Poly) *ring.Poly {
	out := new(ring.Poly)
	t.PackAll(u, []*Key{k}, []*ring.Poly{b}, []*ring.Poly{out})
	return out
}

// PackAll is [Table.Pack] for several queries, over one pass of the digits.
func (t *Table) PackAll(u ring.Unit, keys []*Key, b, out []*ring.Poly) {
	for blk := range blocks {
		h, at := blk*ring.Lanes/ring.Half, blk*ring.Lanes%ring.Half
		rows := t.Digits[blk*Steps*ring.RowBytes:][:Steps*ring.RowBytes]
		for i, k := range keys {
			u.Dot((*[ring.Lanes]uint64)(out[i][blk*ring.Lanes:]), rows,
				k.rotate[h][at:][:chain+ring.Lanes-1],
				k.rotate[1-h][at:][:chain+ring.Lanes-1],
				k.swap[blk*ring.Lanes:][:ring.Lanes])
		}
	}
	for i := range keys {
		o := out[i]
		u.Inverse(o)
		for j, v := range b[i] {
			o[j] = ring.Sub(v, o[j])
		}
	}
}

// Builder computes tables. It owns about 34 MB of scratch memory and is for
// one goroutine at a time.
type Builder struct {
	unit   ring.Unit
	public Public
	// Twice each half of public.Rotate, so that every rotation is a slice.
	rotate [2][2 * ring.Half]uint64
	// values[f][k] first, then values[f][e]: row f, transformed over k.
	values []ring.Poly
}

// NewBuilder returns a builder for tables under the given public halves.
func NewBuilder(u ring.Unit, p *Public) *Builder {
	k := NewKey(&p.Rotate, &p.Swap)
	return &Builder{unit: u, public: *p, rotate: k.rotate, values: make([]ring.Poly, ring.N)}
}

// Build fills the digits, of length [DigitBytes], and the mask of t for the
// group whose row k has the hint polynomial that hint(k) writes, mod 2^32.
func (b *Builder) Build(t *Table, hint func(k int, dst *[ring.N]uint32)) {
	b.transform(hint)
	// The two halves are independent chains; half 1 is folded in by the swap.
	var end [2]ring.Poly
	for h := range end {
		b.fold(t, h, &end[h])
	}
	last := end[1]
	b.digits(&last)
	put(t.Digits, Steps-1, &last)
	b.unit.SubMul(end[0][:], last[:], b.public.Swap[:])
	b.unit.Inverse(&end[0])
	t.Mask = end[0]
}

// tile is the number of rows that are transposed at once: eight words fill a
// cache line.
const tile = 8

// transform makes values the two-dimensional transform of the hint: over the
// coefficients of each row, then over the rows. After it, the sum over k of
// X^k t_j(ahat_k) has at place e the value values[place j*e][e].
func (b *Builder) transform(hint func(k int, dst *[ring.N]uint32)) {
	var row [ring.N]uint32
	rows := make([]ring.Poly, tile)
	for k := 0; k < ring.N; k += tile {
		for i := range rows {
			hint(k+i, &row)
			for j, v := range row {
				rows[i][j] = ring.LiftOverN(v)
			}
			b.unit.Forward(&rows[i])
		}
		for f := range b.values {
			dst := b.values[f][k:][:tile]
			for i := range dst {
				dst[i] = rows[i][f]
			}
		}
	}
	for f := range b.values {
		b.unit.Forward(&b.values[f])
	}
}

// ahead is the number of diagonals of values that are gathered at once, so
// that a cache line of values serves all that cross it.
const ahead = 32

// gather sets to[n] to the uniform half of rotation first+n, half h: at place
// e, which is rotation i of half g, the value of row (g^h, i+first+n).
func (b *Builder) gather(h, first int, to []ring.Poly) {
	for at := 0; at < ring.N; at += tile {
		g, i := at/ring.Half, at%ring.Half
		for d := range len(to) + tile - 1 {
			f := (g^h)*ring.Half + (first+i+d)%ring.Half
			line := b.values[f][at:][:tile]
			// Place i+j of rotation first+n lies in row i+j+first+n = i+first+d.
			for j := max(0, d-len(to)+1); j <= min(d, tile-1); j++ {
				to[d-j][at+j] = line[j]
			}
		}
	}
}

// fold switches the rotations of half h down to rotation 0, from the highest:
// what is left of rotation i after its digits are taken is added to i-1.
func (b *Builder) fold(t *Table, h int, end *ring.Poly) {
	diagonals := make([]ring.Poly, ahead)
	var rest ring.Poly
	for first := ring.Half - ahead; first >= 0; first -= ahead {
		b.gather(h, first, diagonals)
		for n := ahead - 1; n >= 0; n-- {
			i := first + n
			next := &diagonals[n]
			if i < ring.Half-1 {
				for g := range 2 {
					half := g * ring.Half
					b.unit.SubMul(next[half:half+ring.Half], rest[half:half+ring.Half], b.rotate[g^h][i:i+ring.Half])
				}
			}
			if i == 0 {
				*end = *next
				return
			}
			rest = *next
			b.digits(&rest)
			put(t.Digits, h*chain+i-1, &rest)
		}
	}
}

// digits replaces values by the values of their rounded quotients.
func (b *Builder) digits(p *ring.Poly) {
	b.unit.Inverse(p)
	b.unit.Digits(p)
	b.unit.Forward(p)
}

// put stores the values of one step, block by block.
func put(digits []byte, step int, p *ring.Poly) {
	for blk := range blocks {
		ring.PutRow(digits[(blk*Steps+step)*ring.RowBytes:], p[blk*ring.Lanes:])
	}
}
