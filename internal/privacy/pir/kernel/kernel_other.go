//go:build !amd64 || purego

package kernel

// Kernels lists the kernels of this machine, the slowest first.
func Kernels() []Kernel { return []Kernel{Portable} }

func scanVNNI(_, _ *byte, _ *uint32, _, _ int)           { panic(absent) }
func streamVNNI(_, _ *byte, _ *uint32, _, _ int)         { panic(absent) }
func shareVNNI(_, _ *byte, _ *uint32, _, _ int, _ *byte) { panic(absent) }
func scanAVX2(_, _ *byte, _ *uint32, _, _ int)           { panic(absent) }

// Read loads all of b, in the fastest way there is, and returns a word that
// depends on every bit. It is the measure of what a scan could be.
func Read(b []byte) uint64 { return readPortable(b) }

const absent = "kernel: this build has no vector kernels"
