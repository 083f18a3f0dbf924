// Package sample draws the secrets and errors of private lookups
// (docs/spec/private.md, section 4).
//
// Everything is a fixed function of a fixed number of random bytes: no value
// is rejected, none steers a branch or an index. The source is handed in, so
// that vectors can be made; it must be crypto/rand.Reader everywhere else.
package sample

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// Ternary fills dst with values from {-1, 0, 1}. Each is floor(3*x/2^64)-1 for
// 64 random bits x, so none is likelier than another by more than 2^-63.
func Ternary(rand io.Reader, dst []int8) error {
	raw := make([]byte, 8*len(dst))
	defer clear(raw)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return fmt.Errorf("sample: draw a secret: %w", err)
	}
	for i := range dst {
		hi, _ := bits.Mul64(binary.LittleEndian.Uint64(raw[8*i:]), 3)
		dst[i] = int8(hi) - 1
	}
	return nil
}

// Binomial fills dst with centred binomial values: the number of ones among
// 64*words random bits, less half of it. The variance is 16*words, and no
// value is beyond 32*words, which a rounded Gaussian could not promise.
func Binomial(rand io.Reader, dst []int32, words int) error {
	raw := make([]byte, 8*words*min(len(dst), 4096))
	defer clear(raw)
	for len(dst) > 0 {
		part := dst[:min(len(dst), 4096)]
		dst = dst[len(part):]
		if _, err := io.ReadFull(rand, raw[:8*words*len(part)]); err != nil {
			return fmt.Errorf("sample: draw errors: %w", err)
		}
		for i := range part {
			ones := -32 * words
			for w := range words {
				ones += bits.OnesCount64(binary.LittleEndian.Uint64(raw[8*(i*words+w):]))
			}
			part[i] = int32(ones)
		}
	}
	return nil
}
