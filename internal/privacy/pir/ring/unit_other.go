//go:build !amd64 || purego

package ring

const hasIFMA = false

func forwardIFMA(*Poly)                          { panic(absent) }
func inverseIFMA(*Poly)                          { panic(absent) }
func subMulIFMA(_, _, _ []uint64)                { panic(absent) }
func digitsIFMA(*Poly)                           { panic(absent) }
func addMulIFMA(*Sum, *Poly, *Poly)              { panic(absent) }
func settleIFMA(_, _, _ []uint64)                { panic(absent) }
func dotIFMA(*[Lanes]uint64, []byte, [][]uint64) { panic(absent) }

const absent = "ring: this build has no AVX-512 unit"
