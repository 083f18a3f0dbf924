// Package kernel multiplies a byte matrix with a vector of 32-bit words, mod
// 2^32: the scan of a private lookup, and nearly all of its cost
// (docs/spec/private.md, section 5).
//
// A matrix lies in bands of at most [Tile] columns. Within a tile, rows come in
// groups of four, and a group in steps of 64 columns: four times 64 bytes, row
// by row. So a scan reads memory as one stream, and one record, which is a run
// of rows in one column, touches one byte in each of its rows.
//
// Every [Kernel] gives the same sums: they are exact mod 2^32. Time depends on
// sizes alone. Sizes are not checked beyond what memory safety needs; the
// caller has fixed them when it laid out the matrix.
package kernel

import "encoding/binary"

const (
	// Step is the number of columns that are taken at once.
	Step = 64
	// Group is the number of rows that are taken at once.
	Group = 4
	// Tile is the number of columns after which the next rows follow. At 1,024
	// a group is one page of 4 KiB and its part of the query stays in cache;
	// wider tiles cost bandwidth.
	Tile = 1024
)

// Kernel says with which instructions a scan is done. The zero Kernel is not
// valid; use [Best], or one of [Kernels].
type Kernel uint8

const (
	// Portable is plain Go.
	Portable Kernel = iota + 1
	// AVX2 multiplies 16-bit halves of the query.
	AVX2
	// VNNI needs AVX-512 and multiplies bytes: the query in four planes.
	VNNI
	// VNNIAhead is VNNI with software prefetch. It reads up to half faster on
	// Intel's cores and half as fast on AMD's.
	VNNIAhead
)

// String returns the name of the kernel as it stands in metrics.
func (k Kernel) String() string {
	switch k {
	case Portable:
		return "portable"
	case AVX2:
		return "avx2"
	case VNNI:
		return "avx512-vnni"
	case VNNIAhead:
		return "avx512-vnni-ahead"
	}
	return "invalid"
}

// Best returns the fastest kernel of this machine.
func Best() Kernel {
	all := Kernels()
	return all[len(all)-1]
}

// Planes is a query in the form that one kernel wants: 256 bytes a step.
type Planes struct {
	kernel Kernel
	data   []byte
}

// planeBytes is the length of one step of a query, in every form.
const planeBytes = 4 * Step

// Prepare brings the words of a query, a multiple of [Step], into planes.
func (k Kernel) Prepare(q []uint32) Planes {
	out := make([]byte, planeBytes*(len(q)/Step))
	for at := 0; at+Step <= len(q); at += Step {
		k.prepare((*[planeBytes]byte)(out[4*at:]), (*[Step]uint32)(q[at:]))
	}
	return Planes{kernel: k, data: out}
}

// prepare writes one step. Digits of the query are balanced: a byte from 128 on
// is worth 256 less, and the next digit one more; what carries out of the last
// is 2^32. Adding half a digit to all but the last makes the carries, and
// flipping the same bits takes the halves off again.
func (k Kernel) prepare(step *[planeBytes]byte, q *[Step]uint32) {
	switch k {
	case VNNI, VNNIAhead:
		const halves = 0x00808080
		for i, w := range q {
			w = w + halves ^ halves
			step[i] = byte(w)
			step[Step+i] = byte(w >> 8)
			step[2*Step+i] = byte(w >> 16)
			step[3*Step+i] = byte(w >> 24)
		}
	case AVX2:
		const half = 0x8000
		for i, w := range q {
			w = w + half ^ half
			binary.LittleEndian.PutUint16(step[2*i:], uint16(w))
			binary.LittleEndian.PutUint16(step[2*Step+2*i:], uint16(w>>16))
		}
	default:
		for i, w := range q {
			binary.LittleEndian.PutUint32(step[4*i:], w)
		}
	}
}

// Slice returns the planes of the columns from first to first+n, multiples of
// [Step].
func (p Planes) Slice(first, n int) Planes {
	return Planes{kernel: p.kernel, data: p.data[first/Step*planeBytes:][:n/Step*planeBytes]}
}

// Scan adds to acc[r], for each row r of one tile or a run of its groups, the
// sum over its bytes of byte times word. len(acc) is a multiple of [Group], and
// matrix holds len(acc) times as many bytes as p has columns.
func (p Planes) Scan(acc []uint32, matrix []byte) {
	ScanAll([]Planes{p}, [][]uint32{acc}, matrix, nil)
}

// ScanAll is [Planes.Scan] for several queries of one kernel, which do best if
// matrix fits into half of a first-level cache. next is what the following
// call will read, or nil.
func ScanAll(queries []Planes, acc [][]uint32, matrix, next []byte) {
	for i, p := range queries {
		steps, groups := len(p.data)/planeBytes, len(acc[i])/Group
		if steps == 0 || groups == 0 {
			return
		}
		cells := matrix[:groups*steps*Group*Step]
		switch {
		case p.kernel == VNNIAhead && len(queries) == 1:
			streamVNNI(&cells[0], &p.data[0], &acc[i][0], steps, groups)
		case p.kernel == VNNIAhead && len(next) > 0:
			part := next[len(next)/len(queries)*i:]
			shareVNNI(&cells[0], &p.data[0], &acc[i][0], steps, groups, &part[0])
		case p.kernel == VNNI || p.kernel == VNNIAhead:
			scanVNNI(&cells[0], &p.data[0], &acc[i][0], steps, groups)
		case p.kernel == AVX2:
			scanAVX2(&cells[0], &p.data[0], &acc[i][0], steps, groups)
		default:
			scanPortable(cells, p.data, acc[i], steps)
		}
	}
}

func scanPortable(matrix, planes []byte, acc []uint32, steps int) {
	for g := 0; g < len(acc); g += Group {
		var a0, a1, a2, a3 uint32
		for s := range steps {
			q := (*[planeBytes]byte)(planes[s*planeBytes:])
			d := (*[Group * Step]byte)(matrix)
			// Four columns at a time; constant indices need no bounds checks.
			for j := 0; j < Step; j += 4 {
				w := (*[16]byte)(q[4*j:])
				d0, d1 := (*[4]byte)(d[j:]), (*[4]byte)(d[Step+j:])
				d2, d3 := (*[4]byte)(d[2*Step+j:]), (*[4]byte)(d[3*Step+j:])
				w0, w1 := binary.LittleEndian.Uint32(w[0:]), binary.LittleEndian.Uint32(w[4:])
				w2, w3 := binary.LittleEndian.Uint32(w[8:]), binary.LittleEndian.Uint32(w[12:])
				a0 += w0*uint32(d0[0]) + w1*uint32(d0[1]) + w2*uint32(d0[2]) + w3*uint32(d0[3])
				a1 += w0*uint32(d1[0]) + w1*uint32(d1[1]) + w2*uint32(d1[2]) + w3*uint32(d1[3])
				a2 += w0*uint32(d2[0]) + w1*uint32(d2[1]) + w2*uint32(d2[2]) + w3*uint32(d2[3])
				a3 += w0*uint32(d3[0]) + w1*uint32(d3[1]) + w2*uint32(d3[2]) + w3*uint32(d3[3])
			}
			matrix = matrix[Group*Step:]
		}
		acc[g] += a0
		acc[g+1] += a1
		acc[g+2] += a2
		acc[g+3] += a3
	}
}

func readPortable(b []byte) uint64 {
	var x, y uint64
	for len(b) >= 16 {
		x ^= binary.LittleEndian.Uint64(b)
		y ^= binary.LittleEndian.Uint64(b[8:16])
		b = b[16:]
	}
	return x ^ y
}
