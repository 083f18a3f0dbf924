package pir

import (
	"crypto/sha3"
	"encoding/binary"

	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

// labelSeed separates the public randomness from every other hash.
const labelSeed = "whither/v1/private/seed"

// Purposes of public randomness.
const (
	seedQuery  = 0 // the uniform half of 2048 words of a query
	seedRotate = 1 // of the key for X -> X^5
	seedSwap   = 2 // of the key for X -> 1/X
)

// stream returns SHAKE128 over label, DP, shard, table, epoch, purpose and
// block. The server has no part in it: one that could repeat a block within a
// query would learn the difference of two columns.
func (id *Identity) stream(purpose byte, block int) *sha3.SHAKE {
	b := append([]byte(labelSeed), byte(len(id.DP)))
	b = append(b, id.DP...)
	b = binary.BigEndian.AppendUint32(b, id.Shard)
	b = append(b, id.Table)
	b = binary.BigEndian.AppendUint64(b, id.Epoch)
	b = append(b, purpose)
	b = binary.BigEndian.AppendUint32(b, uint32(block))
	h := sha3.NewSHAKE128()
	h.Write(b)
	return h
}

// block returns the uniform half of the words [2048*i, 2048*(i+1)) of a query:
// little-endian words of the stream.
func (id *Identity) block(i int) *[ring.N]uint32 {
	var raw [4 * ring.N]byte
	id.stream(seedQuery, i).Read(raw[:])
	out := new([ring.N]uint32)
	for j := range out {
		out[j] = binary.LittleEndian.Uint32(raw[4*j:])
	}
	return out
}

// public returns the uniform halves of the keys, in orbit order.
func (id *Identity) public(u ring.Unit) *packing.Public {
	return &packing.Public{Rotate: id.uniform(u, seedRotate), Swap: id.uniform(u, seedSwap)}
}

// uniform returns coefficients that are little-endian 64-bit words of the
// stream, cut to 50 bits; words from Q on are skipped.
func (id *Identity) uniform(u ring.Unit, purpose byte) (p ring.Poly) {
	h := id.stream(purpose, 0)
	var raw [8]byte
	for i := 0; i < len(p); {
		h.Read(raw[:])
		if v := binary.LittleEndian.Uint64(raw[:]) & (1<<ring.LogQ - 1); v < ring.Q {
			p[i] = v
			i++
		}
	}
	u.Forward(&p)
	return p
}
