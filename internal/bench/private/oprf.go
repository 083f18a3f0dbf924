package private

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cloudflare/circl/group"

	"whither/internal/privacy/oprf"
)

// OPRF measures a server's evaluation of a batch against the two
// multiplications an input that it cannot do without: the value, and its part
// of the proof.
func OPRF(ctx context.Context, inputs, rounds int, now func() time.Time) (*Result, error) {
	if inputs < 1 || inputs > oprf.MaxBatch || rounds < 1 || now == nil {
		return nil, fmt.Errorf("%w: %d rounds of %d inputs", ErrOptions, rounds, inputs)
	}
	secret, err := oprf.Generate(rand.Reader)
	if err != nil {
		return nil, err
	}
	server := oprf.NewServer()
	if err := server.Advance(1, secret); err != nil {
		return nil, err
	}
	in := make([][]byte, inputs)
	for i := range in {
		in[i] = binary.BigEndian.AppendUint32(nil, uint32(i))
	}
	element, scalar := group.Ristretto255.RandomElement(rand.Reader), group.Ristretto255.RandomScalar(rand.Reader)
	out := group.Ristretto255.NewElement()
	c := &clock{now: now, times: map[string][]float64{}}
	for range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var (
			q                 *oprf.Question
			request, response []byte
		)
		c.time("blind", func() { q, request, err = oprf.Blind(secret.Public(), 1, in) })
		if err != nil {
			return nil, err
		}
		c.time("evaluate", func() { response, err = server.Evaluate(request) })
		if err != nil {
			return nil, err
		}
		c.time("finalize", func() { _, err = q.Finalize(response) })
		if err != nil {
			return nil, err
		}
		c.time("multiply", func() {
			for range 2 * inputs {
				out.Mul(element, scalar)
			}
		})
	}
	res := newResult("oprf")
	res.Ratios["oprf_batch_over_2n_mults"] = c.ratio("evaluate", "multiply", 1)
	per := 1e6 / float64(inputs)
	res.Figures["inputs"] = float64(inputs)
	res.Figures["evaluate_us_per_input"] = per * c.median("evaluate")
	res.Figures["blind_us_per_input"] = per * c.median("blind")
	res.Figures["finalize_us_per_input"] = per * c.median("finalize")
	res.Figures["request_bytes"] = float64(7 + 32*inputs)
	return res, nil
}
