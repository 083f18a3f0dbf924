//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// Kernels lists the kernels of this machine, the slowest first.
func Kernels() []Kernel {
	all := []Kernel{Portable}
	if cpu.X86.HasAVX2 {
		all = append(all, AVX2)
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VNNI {
		if vendor() == intel {
			return append(all, VNNI, VNNIAhead)
		}
		return append(all, VNNIAhead, VNNI)
	}
	return all
}

// intel is the start of the name "GenuineIntel", as CPUID gives it.
const intel = 'G' | 'e'<<8 | 'n'<<16 | 'u'<<24

// vendor returns the first four letters of the name of the maker.
func vendor() uint32

//go:noescape
func streamVNNI(matrix, planes *byte, acc *uint32, steps, groups int)

//go:noescape
func shareVNNI(matrix, planes *byte, acc *uint32, steps, groups int, next *byte)

//go:noescape
func scanVNNI(matrix, planes *byte, acc *uint32, steps, groups int)

//go:noescape
func scanAVX2(matrix, planes *byte, acc *uint32, steps, groups int)

//go:noescape
func readAVX512(b *byte, n int) uint64

// Read loads all of b, in the fastest way there is, and returns a word that
// depends on every bit. It is the measure of what a scan could be.
func Read(b []byte) uint64 {
	n := len(b) &^ 255
	if cpu.X86.HasAVX512F && n > 0 {
		return readAVX512(&b[0], n)
	}
	return readPortable(b)
}
