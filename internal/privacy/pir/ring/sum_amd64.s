//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Throughout: Z31 = Q, Z30 = 2Q, Z28 = 4Q, Z29 = 2^52-1.

#define CONSTANTS \
	MOVQ $const_Q, AX \
	VPBROADCASTQ AX, Z31 \
	VPADDQ Z31, Z31, Z30 \
	VPADDQ Z30, Z30, Z28 \
	MOVQ $0xfffffffffffff, AX \
	VPBROADCASTQ AX, Z29

// y = v*w mod Q in [0, 2Q), for v < 2^52; t and u are free.
#define MULLAZY(v, y, w, ws, t, u) \
	VPXORQ t, t, t \
	VPMADD52HUQ ws, v, t \
	VPXORQ u, u, u \
	VPMADD52LUQ w, v, u \
	VPXORQ y, y, y \
	VPMADD52LUQ Z31, t, y \
	VPSUBQ y, u, y \
	VPANDQ Z29, y, y

#define CUT(x, m, t) \
	VPSUBQ m, x, t \
	VPMINUQ t, x, x

// func subMul(dst, x, y *uint64, n int, consts *[6]uint64)
TEXT ·subMul(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ consts+32(FP), BX
	CONSTANTS
	VPBROADCASTQ (BX), Z20
	VPBROADCASTQ 8(BX), Z21

loop:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 (DX), Z1
	VMOVDQU64 (DI), Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPMADD52LUQ Z1, Z0, Z3
	VPMADD52HUQ Z1, Z0, Z4
	MULLAZY(Z4, Z5, Z20, Z21, Z6, Z7) // the upper half, at weight 2^52
	VPADDQ Z5, Z3, Z3                 // less than 2^52 + 2Q < 8Q
	CUT(Z3, Z28, Z6)
	CUT(Z3, Z30, Z6)
	CUT(Z3, Z31, Z6)
	VPSUBQ Z3, Z2, Z2
	VPADDQ Z31, Z2, Z6
	VPMINUQ Z6, Z2, Z2                // a negative difference is huge
	VMOVDQU64 Z2, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $8, CX
	JNZ  loop
	VZEROUPPER
	RET

// func addMul(s *Sum, x, y *Poly)
TEXT ·addMul(SB), NOSPLIT, $0-24
	MOVQ s+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DX
	MOVQ $(const_N/8), CX

loop:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 (DX), Z1
	VMOVDQU64 (DI), Z2
	VMOVDQU64 (const_N*8)(DI), Z3
	VPMADD52LUQ Z1, Z0, Z2
	VPMADD52HUQ Z1, Z0, Z3
	VMOVDQU64 Z2, (DI)
	VMOVDQU64 Z3, (const_N*8)(DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func settle(dst, lo, hi *uint64, n int, consts *[6]uint64)
TEXT ·settle(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ lo+8(FP), SI
	MOVQ hi+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ consts+32(FP), BX
	CONSTANTS
	VPBROADCASTQ (BX), Z20
	VPBROADCASTQ 8(BX), Z21
	VPBROADCASTQ 16(BX), Z22
	VPBROADCASTQ 24(BX), Z23
	VPBROADCASTQ 32(BX), Z24
	VPBROADCASTQ 40(BX), Z25

loop:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 (DX), Z1
	VPSRLQ $52, Z0, Z2
	VPADDQ Z2, Z1, Z1
	VPANDQ Z29, Z0, Z0      // digit of weight 1
	VPSRLQ $52, Z1, Z2      // digit of weight 2^104
	VPANDQ Z29, Z1, Z1      // digit of weight 2^52
	MULLAZY(Z0, Z3, Z24, Z25, Z6, Z7)
	MULLAZY(Z1, Z4, Z20, Z21, Z6, Z7)
	MULLAZY(Z2, Z5, Z22, Z23, Z6, Z7)
	VPADDQ Z4, Z3, Z3
	VPADDQ Z5, Z3, Z3       // less than 6Q
	CUT(Z3, Z28, Z6)
	CUT(Z3, Z30, Z6)
	CUT(Z3, Z31, Z6)
	VMOVDQU64 Z3, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $8, CX
	JNZ  loop
	VZEROUPPER
	RET

// func digits(p *Poly)
TEXT ·digits(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), DI
	MOVQ $(const_N/8), CX
	MOVQ $const_Q, AX
	VPBROADCASTQ AX, Z31
	VPSRLQ $1, Z31, Z30     // (Q-1)/2
	MOVQ $(1<<(const_DigitShift-1)), AX
	VPBROADCASTQ AX, Z29
	VPXORQ Z28, Z28, Z28

loop:
	VMOVDQU64 (DI), Z0
	VPCMPUQ $6, Z30, Z0, K1 // above Q/2
	VPSUBQ Z31, Z0, K1, Z0
	VPADDQ Z29, Z0, Z0
	VPSRAQ $const_DigitShift, Z0, Z0
	VPCMPQ $1, Z28, Z0, K1  // negative
	VPADDQ Z31, Z0, K1, Z0
	VMOVDQU64 Z0, (DI)
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// Eight words of 52 bits: each is moved to the low end of its lane by bytes,
// then by half a byte. What remains above, the multiplication ignores.
#define UNPACK(z) \
	VPERMB z, Z16, z \
	VPSRLVQ Z17, z, z

// func dot(digits *byte, key *uint64, steps int, lo, hi *[Lanes]uint64, shuffle *[16]uint64, ahead int)
//
// Digits are asked for twice: into the second-level cache four times as far
// ahead as into the first. Prefetches may run past the digits: they cannot fault.
//
// The window moves by one word per row, so all but one in eight loads of the
// key cross a cache line; they are hidden behind the stream of digits.
TEXT ·dot(SB), NOSPLIT, $0-56
	MOVQ digits+0(FP), SI
	MOVQ key+8(FP), DI
	MOVQ steps+16(FP), CX
	MOVQ lo+24(FP), R8
	MOVQ hi+32(FP), R9
	MOVQ shuffle+40(FP), BX
	MOVQ ahead+48(FP), R10
	VMOVDQU64 (BX), Z16
	VMOVDQU64 64(BX), Z17
	MOVQ $0xfffffffffffff, AX // 52 bytes: not beyond the last row
	KMOVQ AX, K1
	VMOVDQU64 (R8), Z0
	VMOVDQU64 64(R8), Z1
	VMOVDQU64 128(R8), Z2
	VMOVDQU64 192(R8), Z3
	VMOVDQU64 (R9), Z4
	VMOVDQU64 64(R9), Z5
	VMOVDQU64 128(R9), Z6
	VMOVDQU64 192(R9), Z7

loop:
	PREFETCHT1 (SI)(R10*4)
	PREFETCHT1 64(SI)(R10*4)
	PREFETCHT1 128(SI)(R10*4)
	PREFETCHT1 192(SI)(R10*4)
	PREFETCHT0 (SI)(R10*1)
	PREFETCHT0 64(SI)(R10*1)
	PREFETCHT0 128(SI)(R10*1)
	PREFETCHT0 192(SI)(R10*1)
	VMOVDQU64 (DI), Z8
	VMOVDQU64 64(DI), Z9
	VMOVDQU64 128(DI), Z10
	VMOVDQU64 192(DI), Z11
	VMOVDQU64 (SI), Z12
	VMOVDQU64 52(SI), Z13
	VMOVDQU64 104(SI), Z14
	VMOVDQU8.Z 156(SI), K1, Z15
	UNPACK(Z12)
	UNPACK(Z13)
	UNPACK(Z14)
	UNPACK(Z15)
	VPMADD52LUQ Z8, Z12, Z0
	VPMADD52HUQ Z8, Z12, Z4
	VPMADD52LUQ Z9, Z13, Z1
	VPMADD52HUQ Z9, Z13, Z5
	VPMADD52LUQ Z10, Z14, Z2
	VPMADD52HUQ Z10, Z14, Z6
	VPMADD52LUQ Z11, Z15, Z3
	VPMADD52HUQ Z11, Z15, Z7
	ADDQ $208, SI
	ADDQ $8, DI
	DECQ CX
	JNZ  loop

	VMOVDQU64 Z0, (R8)
	VMOVDQU64 Z1, 64(R8)
	VMOVDQU64 Z2, 128(R8)
	VMOVDQU64 Z3, 192(R8)
	VMOVDQU64 Z4, (R9)
	VMOVDQU64 Z5, 64(R9)
	VMOVDQU64 Z6, 128(R9)
	VMOVDQU64 Z7, 192(R9)
	VZEROUPPER
	RET

// func maker() uint32
TEXT ·maker(SB), NOSPLIT, $0-4
	XORL AX, AX
	CPUID
	MOVL BX, ret+0(FP)
	RET
