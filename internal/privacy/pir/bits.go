package pir

import "encoding/binary"

// Vectors are packed as bit strings: value i takes the bits from i*width on,
// the least significant first, and bit n of a string is bit n%8 of byte n/8.
// All vectors here have a multiple of 64 values, so no byte is shared.

// packed returns the length of n values.
func packed(n, width int) int { return n * width / 8 }

// appendPacked appends the low bits of the values. width is at most 56.
func appendPacked[T uint32 | uint64](dst []byte, values []T, width int) []byte {
	var word uint64
	have := 0
	for _, v := range values {
		word |= uint64(v) << have
		have += width
		for ; have >= 8; have -= 8 {
			dst = append(dst, byte(word))
			word >>= 8
		}
	}
	return dst
}

// unpack fills dst from src, which has exactly its packed length.
func unpack[T uint32 | uint64](dst []T, src []byte, width int) {
	mask := uint64(1)<<width - 1
	for i := range dst {
		bit := i * width
		at := bit / 8
		var word uint64
		if at+8 <= len(src) {
			word = binary.LittleEndian.Uint64(src[at:])
		} else {
			for j := len(src) - 1; j >= at; j-- {
				word = word<<8 | uint64(src[j])
			}
		}
		dst[i] = T(word >> (bit % 8) & mask)
	}
}
