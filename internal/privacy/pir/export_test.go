package pir

import (
	"encoding/binary"

	"whither/internal/privacy/pir/ring"
)

// Phases returns the phase of every row before rounding, in units of 1/512 of
// a byte, without burning the secret. Only tests may look at noise.
func (q *Question) Phases(answer []byte) []int32 {
	masks := answer[headerSize:][:q.params.maskSize()]
	body := answer[headerSize+q.params.maskSize():]
	var out []int32
	values := q.secret.values(q.unit)
	for g := range q.params.Groups() {
		m, b := packed(ring.N, maskBits), packed(ring.N, bodyBits)
		for _, v := range q.phases(values, masks[g*m:][:m], body[g*b:][:b]) {
			out = append(out, int32(v<<(32-maskBits))>>(32-maskBits))
		}
	}
	return out[:q.params.Rows()]
}

// Secret returns the secret of a question, and nil once it is burned.
func (q *Question) Secret() []int8 {
	if q.secret == nil {
		return nil
	}
	return q.secret.s[:]
}

// Describe formats what a careless log line would show of a question.
func (q *Question) Describe() (string, string) { return q.secret.String(), q.secret.GoString() }

// SeedWord returns the first word of a stream of public randomness.
func SeedWord(id Identity, purpose byte, block int) uint64 {
	var b [8]byte
	id.stream(purpose, block).Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// Block returns the uniform half of 2048 words of a query.
func Block(id Identity, i int) []uint32 { return id.block(i)[:] }

// PackBits and UnpackBits are the bit strings of the wire.
func PackBits(v []uint64, width int) []byte { return appendPacked(nil, v, width) }

func UnpackBits(b []byte, n, width int) []uint64 {
	out := make([]uint64, n)
	unpack(out, b, width)
	return out
}

// HeaderSize and KeySize are where the parts of a query begin.
const (
	HeaderSize = headerSize
	KeySize    = keySize
)
