package pir

import (
	"math"

	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

// The constants of the scheme. The wire format depends on all of them.
const (
	queryWords = 3  // errors mod 2^32: variance 48, deviation 6.93
	keyWords   = 1  // errors mod Q: variance 16, deviation 4
	maskBits   = 17 // bits kept of the first half of a packed ciphertext
	bodyBits   = 13 // bits kept of the second half
	plainShift = 24 // a byte sits in the top eight bits of a word
	center     = 128
)

const (
	// WorstCell is the largest root mean square of the centred cells of a row
	// of the matrix: an attacker filled all of it.
	WorstCell = 128.0
	// UniformCell is that of sealed, hence uniform, cells.
	UniformCell = 73.9
	// MinFailureBits is the least n such that one answer in 2^n may hold a
	// wrong byte.
	MinFailureBits = 40.0
)

// Noise returns the deviation of the noise of a decoded coefficient, as a part
// of the threshold beyond which a byte is wrong, for a band with the given
// number of columns and root mean square of cells. Errors are taken to be
// independent; tests measure that the model holds.
func Noise(cols, queryBits int, cell float64) float64 {
	const threshold = 1 << (plainShift - 1)
	square := func(x float64) float64 { return x * x }
	// The query: its error, and the bits that are not sent.
	step := math.Exp2(float64(32 - queryBits))
	query := float64(cols) * square(cell) * (16*queryWords + (square(step)-1)/12)
	// Packing, in units of 2^32/Q: uniform digits in +-2^24 times key errors,
	// and what the digits drop times the ternary secret.
	digit := square(math.Exp2(ring.DigitShift)) / 12
	pack := packing.Steps * ring.N * digit * (16*keyWords + 2.0/3)
	pack *= square(math.Exp2(32) / ring.Q)
	// The bits of the answer that are not sent.
	mask := square(math.Exp2(32-maskBits)) / 12 * ring.N * 2 / 3
	body := square(math.Exp2(32-bodyBits)) / 12
	return math.Sqrt(query+pack+mask+body) / threshold
}

// FailureBits returns the n for which an answer of that many rows holds a wrong
// byte with probability 2^-n.
func FailureBits(cols, queryBits, rows int, cell float64) float64 {
	// log2(rows * erfc(x)), by the asymptotic series where erfc underflows.
	x := 1 / (Noise(cols, queryBits, cell) * math.Sqrt2)
	log := math.Log2(math.Erfc(x))
	if x > 20 {
		log = -x*x*math.Log2E - math.Log2(x*math.Sqrt(math.Pi))
	}
	return -(log + math.Log2(float64(rows)))
}

// Set is one row of the table of parameters.
type Set struct {
	// MaxCols is the greatest width of a band.
	MaxCols int
	// QueryBits is what to send of each word.
	QueryBits int
	// Failure is the n of 2^-n for the longest answer, over cells that an
	// attacker chose; FailureUniform is the same over sealed ones. Both are
	// rounded down, and a test computes them.
	Failure, FailureUniform int
	// Security is the estimate of bits for the ring of the keys; the layer of
	// the query has more. Both have dimension 2048 and ternary secrets
	// (docs/spec/private.md, section 9, says how it was estimated).
	Security int
}

// Sets is the table of parameters, by growing width. No other are used.
var Sets = []Set{
	{MaxCols: 256, QueryBits: 22, Failure: 67, FailureUniform: 124, Security: 141},
	{MaxCols: 1024, QueryBits: 23, Failure: 67, FailureUniform: 124, Security: 141},
	{MaxCols: 4096, QueryBits: 24, Failure: 66, FailureUniform: 123, Security: 141},
	{MaxCols: 24576, QueryBits: 25, Failure: 46, FailureUniform: 102, Security: 141},
	{MaxCols: 98304, QueryBits: 26, Failure: 42, FailureUniform: 96, Security: 141},
	{MaxCols: 262144, QueryBits: 27, Failure: 46, FailureUniform: 101, Security: 141},
	{MaxCols: 524288, QueryBits: 28, Failure: 44, FailureUniform: 99, Security: 141},
}

// QueryBits returns the precision for bands of at most cols columns, from
// [Sets]; ok is false if they are too wide.
func QueryBits(cols int) (bits int, ok bool) {
	for _, s := range Sets {
		if cols <= s.MaxCols {
			return s.QueryBits, true
		}
	}
	return 0, false
}
