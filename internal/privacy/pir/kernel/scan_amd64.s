//go:build !purego

#include "textflag.h"

// One row of a step: its bytes (unsigned) against the four planes (signed).
// VPDPBUSD wraps; the saturating form must not be used.
#define ROW(row, a, b, c, d) \
	VPDPBUSD Z16, row, a \
	VPDPBUSD Z17, row, b \
	VPDPBUSD Z18, row, c \
	VPDPBUSD Z19, row, d

// a += b<<8 + c<<16 + d<<24
#define JOIN(a, b, c, d) \
	VPSLLD $8, b, b \
	VPSLLD $16, c, c \
	VPSLLD $24, d, d \
	VPADDD b, a, a \
	VPADDD d, c, c \
	VPADDD c, a, a

// Four rows times four planes fill 16 accumulators: four loads of planes and
// four of bytes feed 16 multiplications.
#define CLEAR \
	MOVQ DX, DI \
	MOVQ R9, CX \
	VPXORD Z0, Z0, Z0 \
	VPXORD Z1, Z1, Z1 \
	VPXORD Z2, Z2, Z2 \
	VPXORD Z3, Z3, Z3 \
	VPXORD Z4, Z4, Z4 \
	VPXORD Z5, Z5, Z5 \
	VPXORD Z6, Z6, Z6 \
	VPXORD Z7, Z7, Z7 \
	VPXORD Z8, Z8, Z8 \
	VPXORD Z9, Z9, Z9 \
	VPXORD Z10, Z10, Z10 \
	VPXORD Z11, Z11, Z11 \
	VPXORD Z12, Z12, Z12 \
	VPXORD Z13, Z13, Z13 \
	VPXORD Z14, Z14, Z14 \
	VPXORD Z15, Z15, Z15

#define STEP \
	VMOVDQU64 (DI), Z16 \
	VMOVDQU64 64(DI), Z17 \
	VMOVDQU64 128(DI), Z18 \
	VMOVDQU64 192(DI), Z19 \
	VMOVDQU64 (SI), Z20 \
	VMOVDQU64 64(SI), Z21 \
	VMOVDQU64 128(SI), Z22 \
	VMOVDQU64 192(SI), Z23 \
	ROW(Z20, Z0, Z1, Z2, Z3) \
	ROW(Z21, Z4, Z5, Z6, Z7) \
	ROW(Z22, Z8, Z9, Z10, Z11) \
	ROW(Z23, Z12, Z13, Z14, Z15) \
	ADDQ $256, SI \
	ADDQ $256, DI

// Adds the sum of the lanes of each row to its word of acc.
#define FINISH \
	JOIN(Z0, Z1, Z2, Z3) \
	JOIN(Z4, Z5, Z6, Z7) \
	JOIN(Z8, Z9, Z10, Z11) \
	JOIN(Z12, Z13, Z14, Z15) \
	VPUNPCKLDQ Z4, Z0, Z1 \
	VPUNPCKHDQ Z4, Z0, Z2 \
	VPADDD Z2, Z1, Z1 \
	VPUNPCKLDQ Z12, Z8, Z3 \
	VPUNPCKHDQ Z12, Z8, Z5 \
	VPADDD Z5, Z3, Z3 \
	VPUNPCKLQDQ Z3, Z1, Z0 \
	VPUNPCKHQDQ Z3, Z1, Z2 \
	VPADDD Z2, Z0, Z0 \
	VEXTRACTI64X4 $1, Z0, Y1 \
	VPADDD Y1, Y0, Y0 \
	VEXTRACTI128 $1, Y0, X1 \
	VPADDD X1, X0, X0 \
	VPADDD (R8), X0, X0 \
	VMOVDQU X0, (R8) \
	ADDQ $16, R8

#define ARGUMENTS \
	MOVQ matrix+0(FP), SI \
	MOVQ planes+8(FP), DX \
	MOVQ acc+16(FP), R8 \
	MOVQ steps+24(FP), R9 \
	MOVQ groups+32(FP), R10

// func scanVNNI(matrix, planes *byte, acc *uint32, steps, groups int)
TEXT ·scanVNNI(SB), NOSPLIT, $0-40
	ARGUMENTS

group:
	CLEAR

step:
	STEP
	DECQ CX
	JNZ  step
	FINISH
	DECQ R10
	JNZ  group
	VZEROUPPER
	RET

// func streamVNNI(matrix, planes *byte, acc *uint32, steps, groups int)
//
// The same, asking twice for what comes: half a page ahead into the first-level
// cache, two pages ahead into the second. Prefetches may run past the matrix:
// they cannot fault.
TEXT ·streamVNNI(SB), NOSPLIT, $0-40
	ARGUMENTS

group:
	CLEAR

step:
	PREFETCHT1 8192(SI)
	PREFETCHT1 8256(SI)
	PREFETCHT1 8320(SI)
	PREFETCHT1 8384(SI)
	PREFETCHT0 2048(SI)
	PREFETCHT0 2112(SI)
	PREFETCHT0 2176(SI)
	PREFETCHT0 2240(SI)
	STEP
	DECQ CX
	JNZ  step
	FINISH
	DECQ R10
	JNZ  group
	VZEROUPPER
	RET

// func shareVNNI(matrix, planes *byte, acc *uint32, steps, groups int, next *byte)
//
// The same for bytes that are in cache, asking for one line of next a step.
TEXT ·shareVNNI(SB), NOSPLIT, $0-48
	ARGUMENTS
	MOVQ next+40(FP), R11

group:
	CLEAR

step:
	PREFETCHT0 (R11)
	ADDQ $64, R11
	STEP
	DECQ CX
	JNZ  step
	FINISH
	DECQ R10
	JNZ  group
	VZEROUPPER
	RET

// One row of 16 columns: widened bytes against both halves of the words.
#define ROW16(at, a, b) \
	VPMOVZXBW at, Y10 \
	VPMADDWD Y8, Y10, Y11 \
	VPADDD Y11, a, a \
	VPMADDWD Y9, Y10, Y11 \
	VPADDD Y11, b, b

#define COLUMNS16(i) \
	VMOVDQU (32*i)(DI), Y8 \
	VMOVDQU (128+32*i)(DI), Y9 \
	ROW16((16*i)(SI), Y0, Y1) \
	ROW16((64+16*i)(SI), Y2, Y3) \
	ROW16((128+16*i)(SI), Y4, Y5) \
	ROW16((192+16*i)(SI), Y6, Y7)

#define JOIN16(a, b) \
	VPSLLD $16, b, b \
	VPADDD b, a, a

// func scanAVX2(matrix, planes *byte, acc *uint32, steps, groups int)
//
// A product of a byte and a signed half has 24 bits, so the pairwise sums of
// VPMADDWD cannot overflow; VPMADDUBSW would saturate.
TEXT ·scanAVX2(SB), NOSPLIT, $0-40
	MOVQ matrix+0(FP), SI
	MOVQ planes+8(FP), DX
	MOVQ acc+16(FP), R8
	MOVQ steps+24(FP), R9
	MOVQ groups+32(FP), R10

group:
	MOVQ DX, DI
	MOVQ R9, CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7

step:
	COLUMNS16(0)
	COLUMNS16(1)
	COLUMNS16(2)
	COLUMNS16(3)
	ADDQ $256, SI
	ADDQ $256, DI
	DECQ CX
	JNZ  step

	JOIN16(Y0, Y1)
	JOIN16(Y2, Y3)
	JOIN16(Y4, Y5)
	JOIN16(Y6, Y7)
	VPHADDD Y2, Y0, Y0
	VPHADDD Y6, Y4, Y4
	VPHADDD Y4, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD X1, X0, X0
	VPADDD (R8), X0, X0
	VMOVDQU X0, (R8)
	ADDQ $16, R8
	DECQ R10
	JNZ  group
	VZEROUPPER
	RET

// func readAVX512(b *byte, n int) uint64
TEXT ·readAVX512(SB), NOSPLIT, $0-24
	MOVQ b+0(FP), SI
	MOVQ n+8(FP), CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3

read:
	VPXORQ (SI), Z0, Z0
	VPXORQ 64(SI), Z1, Z1
	VPXORQ 128(SI), Z2, Z2
	VPXORQ 192(SI), Z3, Z3
	ADDQ $256, SI
	SUBQ $256, CX
	JNZ  read

	VPXORQ Z1, Z0, Z0
	VPXORQ Z3, Z2, Z2
	VPXORQ Z2, Z0, Z0
	VEXTRACTI64X4 $1, Z0, Y1
	VPXORQ Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPXORQ X1, X0, X0
	VPEXTRQ $1, X0, AX
	VMOVQ X0, BX
	XORQ BX, AX
	MOVQ AX, ret+16(FP)
	VZEROUPPER
	RET

// func vendor() uint32
TEXT ·vendor(SB), NOSPLIT, $0-4
	XORL AX, AX
	CPUID
	MOVL BX, ret+0(FP)
	RET
