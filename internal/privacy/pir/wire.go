package pir

import (
	"fmt"

	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

// Queries and answers begin alike: version, ID of the table, flags. A query
// goes on with two keys and the words, an answer with the masks if the query
// asked for them and one body a group. Their lengths follow from the
// parameters and the flags.

const (
	headerSize = 1 + len(ID{}) + 1
	flagMasks  = 1

	keySize = ring.N * ring.LogQ / 8
)

// QuerySize returns the length of every query to the table.
func (p *Params) QuerySize() int {
	return headerSize + 2*keySize + packed(p.Cols(), p.QueryBits)
}

// AnswerSize returns the length of an answer, and of one that brings the masks.
func (p *Params) AnswerSize() (plain, withMasks int) {
	return p.answerSize(false), p.answerSize(true)
}

func (p *Params) answerSize(masks bool) int {
	n := headerSize + p.Groups()*packed(ring.N, bodyBits)
	if masks {
		n += p.maskSize()
	}
	return n
}

func (p *Params) maskSize() int { return p.Groups() * packed(ring.N, maskBits) }

func appendHeader(b []byte, id ID, masks bool) []byte {
	b = append(b, version)
	b = append(b, id[:]...)
	if masks {
		return append(b, flagMasks)
	}
	return append(b, 0)
}

// parseHeader returns what follows the header. Length and table are checked
// before anything else, so a wrong message costs nothing.
func parseHeader(b []byte, p *Params, masks bool, size int, malformed error) ([]byte, error) {
	if len(b) != size {
		return nil, fmt.Errorf("%w: %d bytes, want %d", malformed, len(b), size)
	}
	if b[0] != version {
		return nil, fmt.Errorf("%w: version %d", malformed, b[0])
	}
	if ID(b[1:1+len(ID{})]) != p.ID() {
		return nil, fmt.Errorf("%w: not %.8x", ErrTable, p.ID())
	}
	if want := appendHeader(nil, ID{}, masks); b[headerSize-1] != want[headerSize-1] {
		return nil, fmt.Errorf("%w: flags %#x", malformed, b[headerSize-1])
	}
	return b[headerSize:], nil
}

// Query is a decoded query. It holds nothing secret.
type Query struct {
	masks bool
	key   *packing.Key
	words []uint32
}

// parseQuery decodes a query for the table of p. Its work is bounded by the
// table, and the length is checked first.
func parseQuery(p *Params, u ring.Unit, b []byte) (*Query, error) {
	q := &Query{masks: len(b) == p.QuerySize() && b[headerSize-1] == flagMasks}
	body, err := parseHeader(b, p, q.masks, p.QuerySize(), ErrQuery)
	if err != nil {
		return nil, err
	}
	var keys [2]ring.Poly
	for i := range keys {
		unpack(keys[i][:], body[:keySize], ring.LogQ)
		body = body[keySize:]
		for _, v := range keys[i] {
			if v >= ring.Q {
				return nil, fmt.Errorf("%w: coefficient of a key not reduced", ErrQuery)
			}
		}
		u.Forward(&keys[i])
	}
	q.key = packing.NewKey(&keys[0], &keys[1])
	q.words = make([]uint32, p.Cols())
	unpack(q.words, body, p.QueryBits)
	for i := range q.words {
		q.words[i] <<= 32 - p.QueryBits
	}
	return q, nil
}
