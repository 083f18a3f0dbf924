package worldtest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// Outcome is what became of one mutation of valid evidence.
type Outcome uint8

// The outcomes.
const (
	// Refused: it is no evidence.
	Refused Outcome = iota
	// Same: it is accepted, and says what the evidence said from which it was made.
	Same
	// Forged: it is accepted as different evidence.
	Forged
)

// Mutations tries mutations of valid evidence of one kind, 5,000 of them, 500
// with -short and 500,000 with WHITHER_LONG=1, and fails at the first one that is accepted as
// different evidence. The seed is fixed: a failure comes again. Where more than
// half of the mutations change nothing, or all are alike, they test nothing, and
// that is a failure too.
func Mutations(t *testing.T, seed uint64, try func(m Mutator) Outcome) {
	t.Helper()
	rounds := 5_000
	switch {
	case os.Getenv("WHITHER_LONG") != "":
		rounds = 500_000
	case testing.Short():
		rounds = 500
	}
	m := Mutator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // to be drawn again when it fails
	count := make(map[Outcome]int)
	for i := range rounds {
		o := try(m)
		if count[o]++; o == Forged || t.Failed() {
			t.Fatalf("mutation %d of seed %d", i, seed)
		}
	}
	t.Logf("%d mutations: %d refused, %d accepted for what was said, %d as different evidence",
		rounds, count[Refused], count[Same], count[Forged])
	if count[Refused] < rounds/2 {
		t.Errorf("%d of %d mutations refused: the others test nothing", count[Refused], rounds)
	}
}

// Mutator draws at random.
type Mutator struct{ *rand.Rand }

// Pick returns one of some values.
func Pick[T any](m Mutator, from []T) T { return from[m.IntN(len(from))] }

// Bend returns b with one to three changes: bits, bytes, losses, doublings,
// pieces in another place, and pieces of the same length out of other evidence.
func (m Mutator) Bend(b []byte, others ...[]byte) []byte {
	b = bytes.Clone(b)
	for range 1 + m.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := m.IntN(len(b))
		end := min(len(b), at+1+m.IntN(4))
		switch m.IntN(6) {
		case 0:
			b[at] ^= 1 << m.IntN(8)
		case 1:
			b[at] = byte(m.IntN(256))
		case 2:
			b = slices.Delete(b, at, end)
		case 3:
			b = slices.Insert(b, at, bytes.Clone(b[at:end])...)
		case 4: // a piece of itself, over another one
			copy(b[at:], bytes.Clone(b[m.IntN(len(b)):]))
		default: // a piece of another, where it stood there
			if len(others) == 0 {
				b[at]++
				continue
			}
			if o := Pick(m, others); at < len(o) {
				copy(b[at:min(len(b), at+1+m.IntN(96))], o[at:])
			}
		}
	}
	return b
}
