//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Throughout: Z31 = Q, Z30 = 2Q, Z29 = 2^52-1.

#define CONSTANTS \
	MOVQ $const_Q, AX \
	VPBROADCASTQ AX, Z31 \
	VPADDQ Z31, Z31, Z30 \
	MOVQ $0xfffffffffffff, AX \
	VPBROADCASTQ AX, Z29

// y = v*w mod Q in [0, 2Q), for v < 2^52. v may be y; t and u are free.
#define MULLAZY(v, y, w, ws, t, u) \
	VPXORQ t, t, t \
	VPMADD52HUQ ws, v, t \
	VPXORQ u, u, u \
	VPMADD52LUQ w, v, u \
	VPXORQ y, y, y \
	VPMADD52LUQ Z31, t, y \
	VPSUBQ y, u, y \
	VPANDQ Z29, y, y

// The butterfly of the forward transform: x, y < 4Q before and after.
#define FORWARD(x, y, w, ws, t, u) \
	VPSUBQ Z30, x, t \
	VPMINUQ t, x, x \
	MULLAZY(y, y, w, ws, t, u) \
	VPADDQ Z30, x, t \
	VPADDQ y, x, x \
	VPSUBQ y, t, y

// The butterfly of the inverse transform: x, y < 2Q before and after.
#define INVERSE(x, y, w, ws, t, u, d) \
	VPADDQ Z30, x, d \
	VPSUBQ y, d, d \
	VPADDQ y, x, x \
	VPSUBQ Z30, x, t \
	VPMINUQ t, x, x \
	MULLAZY(d, y, w, ws, t, u)

// Brings x < 4Q below Q.
#define REDUCE(x, t) \
	VPSUBQ Z30, x, t \
	VPMINUQ t, x, x \
	VPSUBQ Z31, x, t \
	VPMINUQ t, x, x

// func nttForward(a, scratch *Poly, t *vectorTables)
TEXT ·nttForward(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), DI
	MOVQ scratch+8(FP), SI
	MOVQ t+16(FP), DX
	CONSTANTS

	// Four passes of two layers each: m = 1, 4, 16, 64 blocks, a quarter of
	// a block has R9 bytes. R8 counts bytes of roots: 16 per root.
	LEAQ vectorTables_fwd(DX), BX
	MOVQ $16, R8
	MOVQ $(512*8), R9

pass:
	MOVQ DI, R10            // first quarter of the block
	LEAQ (BX)(R8*1), R11    // root m+i
	LEAQ (BX)(R8*2), R12    // root 2m+2i
	MOVQ R8, CX             // 16 per block
	LEAQ (R9)(R9*2), R14

block:
	VPBROADCASTQ (R11), Z20
	VPBROADCASTQ 8(R11), Z21
	VPBROADCASTQ (R12), Z22
	VPBROADCASTQ 8(R12), Z23
	VPBROADCASTQ 16(R12), Z24
	VPBROADCASTQ 24(R12), Z25
	MOVQ R9, R13

inner:
	VMOVDQU64 (R10), Z0
	VMOVDQU64 (R10)(R9*1), Z1
	VMOVDQU64 (R10)(R9*2), Z2
	VMOVDQU64 (R10)(R14*1), Z3
	FORWARD(Z0, Z2, Z20, Z21, Z4, Z5)
	FORWARD(Z1, Z3, Z20, Z21, Z6, Z7)
	FORWARD(Z0, Z1, Z22, Z23, Z4, Z5)
	FORWARD(Z2, Z3, Z24, Z25, Z6, Z7)
	VMOVDQU64 Z0, (R10)
	VMOVDQU64 Z1, (R10)(R9*1)
	VMOVDQU64 Z2, (R10)(R9*2)
	VMOVDQU64 Z3, (R10)(R14*1)
	ADDQ $64, R10
	SUBQ $64, R13
	JNZ  inner

	ADDQ R14, R10           // over the other three quarters
	ADDQ $16, R11
	ADDQ $32, R12
	SUBQ $16, CX
	JNZ  block

	SHLQ $2, R8
	SHRQ $2, R9
	CMPQ R9, $16            // after the quarter of 64 bytes
	JNE  pass

	// The last three layers, 16 values at a time.
	LEAQ vectorTables_fwdTail(DX), BX
	MOVQ $(const_N/16), CX
	MOVQ DI, R10
	MOVQ SI, R11

tail:
	VMOVDQU64 (R10), Z0
	VMOVDQU64 64(R10), Z1
	VMOVDQU64 (BX), Z20
	VMOVDQU64 64(BX), Z21
	VMOVDQU64 128(BX), Z22
	VMOVDQU64 192(BX), Z23
	VMOVDQU64 256(BX), Z24
	VMOVDQU64 320(BX), Z25
	VSHUFI64X2 $0x44, Z1, Z0, Z2
	VSHUFI64X2 $0xEE, Z1, Z0, Z3
	FORWARD(Z2, Z3, Z20, Z21, Z4, Z5)
	VSHUFI64X2 $0x88, Z3, Z2, Z0
	VSHUFI64X2 $0xDD, Z3, Z2, Z1
	FORWARD(Z0, Z1, Z22, Z23, Z4, Z5)
	VPUNPCKLQDQ Z1, Z0, Z2
	VPUNPCKHQDQ Z1, Z0, Z3
	FORWARD(Z2, Z3, Z24, Z25, Z4, Z5)
	REDUCE(Z2, Z4)
	REDUCE(Z3, Z5)
	VMOVDQU64 Z2, (R11)
	VMOVDQU64 Z3, 64(R11)
	ADDQ $128, R10
	ADDQ $128, R11
	ADDQ $384, BX
	DECQ CX
	JNZ  tail

	LEAQ vectorTables_orbit(DX), BX
	MOVQ $(const_N/8), CX

gather:
	VMOVDQU (BX), Y0
	KXNORB K1, K1, K1
	VPGATHERDQ (SI)(Y0*8), K1, Z1
	VMOVDQU64 Z1, (DI)
	ADDQ $32, BX
	ADDQ $64, DI
	DECQ CX
	JNZ  gather
	VZEROUPPER
	RET

// func nttInverse(a, scratch *Poly, t *vectorTables)
TEXT ·nttInverse(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), DI
	MOVQ scratch+8(FP), SI
	MOVQ t+16(FP), DX
	CONSTANTS

	// The first three layers, 16 values at a time, straight from the gather.
	LEAQ vectorTables_scatter(DX), R12
	LEAQ vectorTables_invHead(DX), BX
	MOVQ $(const_N/16), CX
	MOVQ SI, R11

head:
	VMOVDQU (R12), Y6
	VMOVDQU 32(R12), Y7
	KXNORB K1, K1, K1
	KXNORB K2, K2, K2
	VPGATHERDQ (DI)(Y6*8), K1, Z0
	VPGATHERDQ (DI)(Y7*8), K2, Z1
	VMOVDQU64 (BX), Z20
	VMOVDQU64 64(BX), Z21
	VMOVDQU64 128(BX), Z22
	VMOVDQU64 192(BX), Z23
	VMOVDQU64 256(BX), Z24
	VMOVDQU64 320(BX), Z25
	INVERSE(Z0, Z1, Z24, Z25, Z4, Z5, Z6)
	VPUNPCKLQDQ Z1, Z0, Z2
	VPUNPCKHQDQ Z1, Z0, Z3
	INVERSE(Z2, Z3, Z22, Z23, Z4, Z5, Z6)
	// Z2 = pairs a01 b01 a45 b45, Z3 = a23 b23 a67 b67
	VSHUFI64X2 $0x44, Z3, Z2, Z0
	VSHUFI64X2 $0xEE, Z3, Z2, Z1
	INVERSE(Z0, Z1, Z20, Z21, Z4, Z5, Z6)
	VSHUFI64X2 $0x88, Z1, Z0, Z2
	VSHUFI64X2 $0xDD, Z1, Z0, Z3
	VMOVDQU64 Z2, (R11)
	VMOVDQU64 Z3, 64(R11)
	ADDQ $128, R11
	ADDQ $64, R12
	ADDQ $384, BX
	DECQ CX
	JNZ  head

	// Four passes of two layers each: 64, 16, 4, 1 blocks.
	LEAQ vectorTables_inv(DX), BX
	MOVQ $1024, R8
	MOVQ $64, R9

pass:
	MOVQ SI, R10
	LEAQ (BX)(R8*1), R11
	LEAQ (BX)(R8*2), R12
	MOVQ R8, CX
	LEAQ (R9)(R9*2), R14

block:
	VPBROADCASTQ (R11), Z20
	VPBROADCASTQ 8(R11), Z21
	VPBROADCASTQ (R12), Z22
	VPBROADCASTQ 8(R12), Z23
	VPBROADCASTQ 16(R12), Z24
	VPBROADCASTQ 24(R12), Z25
	MOVQ R9, R13

inner:
	VMOVDQU64 (R10), Z0
	VMOVDQU64 (R10)(R9*1), Z1
	VMOVDQU64 (R10)(R9*2), Z2
	VMOVDQU64 (R10)(R14*1), Z3
	INVERSE(Z0, Z1, Z22, Z23, Z4, Z5, Z6)
	INVERSE(Z2, Z3, Z24, Z25, Z7, Z8, Z9)
	INVERSE(Z0, Z2, Z20, Z21, Z4, Z5, Z6)
	INVERSE(Z1, Z3, Z20, Z21, Z7, Z8, Z9)
	VMOVDQU64 Z0, (R10)
	VMOVDQU64 Z1, (R10)(R9*1)
	VMOVDQU64 Z2, (R10)(R9*2)
	VMOVDQU64 Z3, (R10)(R14*1)
	ADDQ $64, R10
	SUBQ $64, R13
	JNZ  inner

	ADDQ R14, R10
	ADDQ $16, R11
	ADDQ $32, R12
	SUBQ $16, CX
	JNZ  block

	SHRQ $2, R8
	SHLQ $2, R9
	CMPQ R8, $4             // after the single block
	JNE  pass

	// Divide by N.
	VPBROADCASTQ vectorTables_overN(DX), Z20
	VPBROADCASTQ (vectorTables_overN+8)(DX), Z21
	MOVQ $(const_N/8), CX

scale:
	VMOVDQU64 (SI), Z0
	MULLAZY(Z0, Z1, Z20, Z21, Z2, Z3)
	VPSUBQ Z31, Z1, Z2
	VPMINUQ Z2, Z1, Z1
	VMOVDQU64 Z1, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  scale
	VZEROUPPER
	RET
