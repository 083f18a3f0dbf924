package pir

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"whither/internal/privacy/pir/ring"
	"whither/internal/privacy/pir/sample"
)

// Masks is the part of an answer that is the same for everybody: 17 bits of
// each coefficient of the first half of every packed ciphertext. Whoever asks
// again within an epoch need not fetch it again.
type Masks struct{ packed []byte }

// NewMasks checks b against the digest in the parameters.
func NewMasks(p *Params, b []byte) (*Masks, error) {
	if len(b) != p.maskSize() {
		return nil, fmt.Errorf("%w: %d bytes of masks", ErrAnswer, len(b))
	}
	if sha256.Sum256(b) != p.MaskDigest {
		return nil, fmt.Errorf("%w: masks do not match their digest", ErrTable)
	}
	return &Masks{packed: b}, nil
}

// secret is a ternary polynomial. It is made by [Ask], serves one query and is
// wiped by the first [Question.Open]: two queries under one secret and the same
// public seeds would show the difference of their columns.
type secret struct {
	_ [0]func() // incomparable
	s [ring.N]int8
}

func (*secret) String() string         { return "pir.secret(redacted)" }
func (s *secret) GoString() string     { return s.String() }
func (s *secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// values returns s in orbit order.
func (s *secret) values(u ring.Unit) *ring.Poly {
	p := new(ring.Poly)
	for i, v := range s.s {
		p[i] = ring.FromInt(int64(v))
	}
	u.Forward(p)
	return p
}

// automorphism returns s(X^j), for odd j.
func (s *secret) automorphism(j int) *[ring.N]int8 {
	out := new([ring.N]int8)
	for i, v := range s.s {
		if e := i * j % (2 * ring.N); e >= ring.N {
			out[e-ring.N] = -v
		} else {
			out[e] = v //nolint:gosec // e < ring.N here
		}
	}
	return out
}

// Question is what a client keeps between a query and its answer. It is for
// one goroutine at a time.
type Question struct {
	params *Params
	unit   ring.Unit
	masks  *Masks  // nil: the answer brings them
	secret *secret // nil: spent
	query  []byte
}

// Ask makes a query for one column of each band of the table that p describes.
// Without masks, the answer will bring them. rand must be crypto/rand.Reader
// outside of vectors. All of its work but reading rand takes the same steps
// whatever the columns and the secret are.
func Ask(rand io.Reader, p *Params, columns []int, masks *Masks) (*Question, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if len(columns) != len(p.Bands) {
		return nil, fmt.Errorf("%w: %d columns for %d bands", ErrRange, len(columns), len(p.Bands))
	}
	for i, c := range columns {
		if c < 0 || c >= p.Bands[i].Cols {
			return nil, fmt.Errorf("%w: no such column in band %d", ErrRange, i)
		}
	}
	q := &Question{params: p, unit: ring.Best(), masks: masks, secret: new(secret)}
	if err := sample.Ternary(rand, q.secret.s[:]); err != nil {
		return nil, err
	}
	values := q.secret.values(q.unit)
	defer clear(values[:])

	b := make([]byte, 0, p.QuerySize())
	b = appendHeader(b, p.ID(), masks == nil)
	b, err := q.appendKeys(rand, b, values)
	if err != nil {
		return nil, err
	}
	words := make([]uint32, p.Cols())
	if err := q.encrypt(rand, words, values); err != nil {
		return nil, err
	}
	first := 0
	for i, band := range p.Bands {
		choose(words[first:first+band.Cols], columns[i])
		first += band.Cols
	}
	// Rounding to the bits that are sent is part of the noise model.
	cut := 32 - p.QueryBits
	for i, w := range words {
		words[i] = uint32((uint64(w) + 1<<cut>>1) >> cut & (1<<p.QueryBits - 1))
	}
	q.query = appendPacked(b, words, p.QueryBits)
	return q, nil
}

// choose adds 2^24 to one word. It touches all of them, so that the cache does
// not learn which.
func choose(words []uint32, column int) {
	for c := range words {
		hit := uint32(subtle.ConstantTimeEq(int32(c), int32(column)))
		words[c] += hit << plainShift
	}
}

// Query returns the bytes for the server: [Params.QuerySize] of them.
func (q *Question) Query() []byte { return q.query }

// appendKeys appends, for X -> X^5 and X -> 1/X, the coefficients of
// W*s + e + 2^25*s(X^j), where W is the public half.
func (q *Question) appendKeys(rand io.Reader, b []byte, values *ring.Poly) ([]byte, error) {
	public := q.params.public(q.unit)
	var e [ring.N]int32
	defer clear(e[:])
	for _, key := range []struct {
		public *ring.Poly
		j      int
	}{{&public.Rotate, 5}, {&public.Swap, 2*ring.N - 1}} {
		if err := sample.Binomial(rand, e[:], keyWords); err != nil {
			return nil, err
		}
		product := q.multiply(key.public, values)
		moved := q.secret.automorphism(key.j)
		for i, v := range moved {
			product[i] = ring.Add(product[i], ring.FromInt(int64(v)<<ring.DigitShift+int64(e[i])))
		}
		b = appendPacked(b, product[:], ring.LogQ)
		clear(moved[:])
	}
	return b, nil
}

// multiply returns the coefficients of the product of two polynomials that are
// given in orbit order.
func (q *Question) multiply(x, y *ring.Poly) *ring.Poly {
	var s ring.Sum
	out := new(ring.Poly)
	q.unit.AddMul(&s, x, y)
	q.unit.Settle(out, &s)
	q.unit.Inverse(out)
	return out
}

// encrypt fills words with a*s + e mod 2^32. The product is exact in the ring
// mod Q: a, taken as signed, times ternary s stays below 2^42.
func (q *Question) encrypt(rand io.Reader, words []uint32, values *ring.Poly) error {
	e := make([]int32, len(words))
	defer clear(e)
	if err := sample.Binomial(rand, e, queryWords); err != nil {
		return err
	}
	for block := 0; block*ring.N < len(words); block++ {
		var a ring.Poly
		for i, v := range q.params.block(block) {
			a[i] = ring.FromInt(int64(int32(v)))
		}
		q.unit.Forward(&a)
		product := q.multiply(&a, values)
		at := block * ring.N
		for i := range words[at:min(at+ring.N, len(words))] {
			words[at+i] = uint32(ring.ToInt(product[i])) + uint32(e[at+i])
		}
	}
	return nil
}

// Open decodes an answer into one column of each band and burns the secret,
// also when it fails: asking again is a new question. The masks, for further
// questions, are in the second result.
func (q *Question) Open(answer []byte) ([][]byte, *Masks, error) {
	if q.secret == nil {
		return nil, nil, ErrSpent
	}
	s := q.secret
	q.secret = nil
	defer clear(s.s[:])

	body, err := parseHeader(answer, q.params, q.masks == nil, q.params.answerSize(q.masks == nil), ErrAnswer)
	if err != nil {
		return nil, nil, err
	}
	masks := q.masks
	if masks == nil {
		n := q.params.maskSize()
		if masks, err = NewMasks(q.params, body[:n]); err != nil {
			return nil, nil, err
		}
		body = body[n:]
	}
	rows := make([]byte, q.params.Groups()*ring.N)
	values := s.values(q.unit)
	defer clear(values[:])
	for g := range q.params.Groups() {
		q.decode(rows[g*ring.N:], values,
			masks.packed[g*packed(ring.N, maskBits):][:packed(ring.N, maskBits)],
			body[g*packed(ring.N, bodyBits):][:packed(ring.N, bodyBits)])
	}
	out := make([][]byte, len(q.params.Bands))
	for i, b := range q.params.Bands {
		out[i], rows = rows[:b.Rows:b.Rows], rows[b.Rows:]
	}
	return out, masks, nil
}

// decode computes round(phase / 2^9) + 128 mod 256 for each row of one group.
func (q *Question) decode(dst []byte, values *ring.Poly, mask, body []byte) {
	for i, v := range q.phases(values, mask, body) {
		dst[i] = byte((v+1<<(maskBits-9))>>(maskBits-8)) + center
	}
}

// phases returns 2^4*B - A*s mod 2^17: a centred byte times 2^9, and noise. The
// product is exact, since it stays below 2^28.
func (q *Question) phases(values *ring.Poly, mask, body []byte) *[ring.N]uint32 {
	var a ring.Poly
	out := new([ring.N]uint32)
	unpack(a[:], mask, maskBits)
	unpack(out[:], body, bodyBits)
	q.unit.Forward(&a)
	product := q.multiply(&a, values)
	for i, v := range out {
		out[i] = v<<(maskBits-bodyBits) - uint32(ring.ToInt(product[i]))
	}
	return out
}
