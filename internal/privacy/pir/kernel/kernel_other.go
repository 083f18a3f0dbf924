//go:build !amd64 || purego

package kernel

// Kernels lists the kernels of this machine, the slowest first.
func Kernels() []Kernel { return []Kernel{Portable} }

func scanVNNI(_, _ *byte, _ *uint32, _, _ int) { panic(absent) }
func scanAVX2(_, _ *byte, _ *uint32, _, _ int) { panic(absent) }

const absent = "kernel: this build has no vector kernels"
