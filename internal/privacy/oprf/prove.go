package oprf

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"github.com/cloudflare/circl/group"
)

// context is the context string of RFC 9497, section 3.1, for this suite in
// verifiable mode.
const context = "OPRFV1-\x01-ristretto255-SHA512"

// prove computes the proof of RFC 9497, section 2.2.1, that evaluated[i] is
// key*blinded[i] for all i. The library's prover encodes every element again,
// which is a tenth of the work of a server; here the encodings, which are on
// the wire anyway, are handed in one behind the other. r is the random scalar of
// the proof and serves once. The library verifies.
func prove(r, key group.Scalar, public []byte, blinded []group.Element, request, response []byte) ([]byte, error) {
	g := group.Ristretto255
	// ComputeCompositesFast: the server knows Z = key*M.
	seed := sha512.New()
	seed.Write(field(nil, public))
	seed.Write(field(nil, []byte("Seed-"+context)))
	prefix := field(nil, seed.Sum(nil))
	m, term := g.Identity(), g.NewElement()
	for i, c := range blinded {
		in := binary.BigEndian.AppendUint16(append([]byte(nil), prefix...), uint16(i))
		in = field(in, request[i*elementSize:][:elementSize])
		in = field(in, response[i*elementSize:][:elementSize])
		in = append(in, "Composite"...)
		m.Add(m, term.Mul(c, hashToScalar(in)))
	}
	z := g.NewElement().Mul(m, key)

	in := field(nil, public)
	for _, e := range []group.Element{m, z, g.NewElement().MulGen(r), g.NewElement().Mul(m, r)} {
		b, err := e.MarshalBinaryCompress()
		if err != nil {
			return nil, fmt.Errorf("oprf: encode an element: %w", err)
		}
		in = field(in, b)
	}
	c := hashToScalar(append(in, "Challenge"...))
	s := g.NewScalar().Mul(c, key)
	s.Sub(r, s)
	var out []byte
	for _, v := range []group.Scalar{c, s} {
		b, err := v.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("oprf: encode a scalar: %w", err)
		}
		out = append(out, b...)
	}
	return out, nil
}

// field appends b with its length before it.
func field(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(b))), b...)
}

func hashToScalar(in []byte) group.Scalar {
	return group.Ristretto255.HashToScalar(in, []byte("HashToScalar-"+context))
}
