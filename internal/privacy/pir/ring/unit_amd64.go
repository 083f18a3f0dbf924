//go:build !purego

package ring

import (
	"math/bits"

	"golang.org/x/sys/cpu"
)

var hasIFMA = cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ &&
	cpu.X86.HasAVX512BW && cpu.X86.HasAVX512IFMA && cpu.X86.HasAVX512VBMI

// ahead is the distance, in bytes, at which packing asks for its digits. On
// other makers' cores it is zero, which asks for what is loaded anyway: there
// the hardware follows the stream better than software does.
var ahead = distance()

func distance() int {
	const intel = 'G' | 'e'<<8 | 'n'<<16 | 'u'<<24 // "GenuineIntel", as CPUID gives it
	if maker() == intel {
		return 4096
	}
	return 0
}

// maker returns the first four letters of the name of the maker of the CPU.
func maker() uint32

// vectorTables holds the roots in the layout of the assembly, each beside its
// 52-bit quotient floor(w*2^52/Q).
//
// The last three layers of the forward transform run in registers over chunks
// of 16 values, and leave them in the order of chunkOrder; the permutation is
// absorbed by the gather that puts values into orbit order.
type vectorTables struct {
	fwd, inv         [2 * 256]uint64        // root i at 2i, its quotient at 2i+1
	fwdTail, invHead [N / 16 * 6 * 8]uint64 // per chunk: spans 4, 2, 1; eight roots, eight quotients
	orbit            [N]uint32              // orbit position -> index in the scratch array
	scatter          [N]uint32              // index in the scratch array -> orbit position
	overN            [2]uint64              // 1/N
	shuffle          [16]uint64             // how dot unpacks
	settle           [6]uint64              // 2^52, 2^104 and 1
}

// chunkOrder[i] is the index within its chunk of the value at place i after
// the span-1 layer.
var chunkOrder = [16]int{0, 2, 8, 10, 4, 6, 12, 14, 1, 3, 9, 11, 5, 7, 13, 15}

// The blocks to which the eight lanes of a butterfly belong, for spans 4, 2, 1.
var (
	tailBlocks = [3][8]int{{0, 0, 0, 0, 1, 1, 1, 1}, {0, 0, 2, 2, 1, 1, 3, 3}, {0, 1, 4, 5, 2, 3, 6, 7}}
	headBlocks = [3][8]int{{0, 0, 1, 1, 0, 0, 1, 1}, {0, 0, 2, 2, 1, 1, 3, 3}, {0, 1, 4, 5, 2, 3, 6, 7}}
)

var vector = newVectorTables(portable)

func shoup52(w uint64) uint64 {
	q, _ := bits.Div64(w>>12, w<<52, Q)
	return q
}

func newVectorTables(t *tables) *vectorTables {
	v := new(vectorTables)
	for i := range 256 {
		v.fwd[2*i], v.fwd[2*i+1] = t.fwd[i], shoup52(t.fwd[i])
		v.inv[2*i], v.inv[2*i+1] = t.inv[i], shoup52(t.inv[i])
	}
	for chunk := range N / 16 {
		for layer := range 3 {
			first := 256<<layer + chunk*(2<<layer)
			for lane := range 8 {
				at := chunk*48 + layer*16 + lane
				f, i := t.fwd[first+tailBlocks[layer][lane]], t.inv[first+headBlocks[layer][lane]]
				v.fwdTail[at], v.fwdTail[at+8] = f, shoup52(f)
				v.invHead[at], v.invHead[at+8] = i, shoup52(i)
			}
		}
	}
	// Lane i takes 8 bytes from byte 13*i/2 on, and odd lanes lose half a byte.
	for i := range 8 {
		for b := range 8 {
			v.shuffle[i] |= uint64(13*i/2+b) << (8 * b)
		}
		v.shuffle[8+i] = uint64(i % 2 * 4)
	}
	v.overN = [2]uint64{inverseN, shoup52(inverseN)}
	var place [N]int
	for i := range N {
		place[i&^15|chunkOrder[i&15]] = i
	}
	for p, at := range t.orbit {
		v.orbit[p] = uint32(place[at])
		v.scatter[place[at]] = uint32(p)
	}
	for i, w := range []uint64{power(2, 52), power(2, 104), 1} {
		v.settle[2*i], v.settle[2*i+1] = w, shoup52(w)
	}
	return v
}

func forwardIFMA(p *Poly) {
	var scratch Poly
	nttForward(p, &scratch, vector)
}

func inverseIFMA(p *Poly) {
	var scratch Poly
	nttInverse(p, &scratch, vector)
}

func subMulIFMA(dst, x, y []uint64) {
	if len(dst) > 0 {
		subMul(&dst[0], &x[0], &y[0], len(dst), &vector.settle)
	}
}

func digitsIFMA(p *Poly) { digits(p) }

func addMulIFMA(s *Sum, x, y *Poly) { addMul(s, x, y) }

func settleIFMA(dst, lo, hi []uint64) {
	settle(&dst[0], &lo[0], &hi[0], len(dst), &vector.settle)
}

func dotIFMA(out *[Lanes]uint64, digits []byte, keys [][]uint64) {
	var lo, hi [Lanes]uint64
	for _, k := range keys {
		steps := len(k) - Lanes + 1
		if steps <= 0 {
			continue
		}
		_ = digits[steps*RowBytes-1]
		dot(&digits[0], &k[0], steps, &lo, &hi, &vector.shuffle, ahead)
		digits = digits[steps*RowBytes:]
	}
	settleIFMA(out[:], lo[:], hi[:])
}

//go:noescape
func nttForward(a, scratch *Poly, t *vectorTables)

//go:noescape
func nttInverse(a, scratch *Poly, t *vectorTables)

//go:noescape
func subMul(dst, x, y *uint64, n int, consts *[6]uint64)

//go:noescape
func addMul(s *Sum, x, y *Poly)

//go:noescape
func settle(dst, lo, hi *uint64, n int, consts *[6]uint64)

//go:noescape
func digits(p *Poly)

//go:noescape
func dot(digits *byte, key *uint64, steps int, lo, hi *[Lanes]uint64, shuffle *[16]uint64, ahead int)
