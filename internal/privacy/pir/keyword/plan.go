package keyword

import (
	"fmt"
	"math"

	"whither/internal/privacy/pir"
)

// Bounds that [Plan] keeps: narrower tables cost more memory for packing than
// the matrix itself, and shorter columns waste more of their slots.
const (
	MinColumns = 16384
	MinSlots   = 24
)

// answerBytes is what one group of 2,048 rows adds to an answer with masks.
const answerBytes = 7680

// Plan returns the shape for n entries in slots of the given size that costs
// the fewest bytes on the wire, such that a salt succeeds in most cases.
func Plan(n, slotSize int) (Shape, error) {
	best, cost := Shape{}, math.Inf(1)
	for groups := 1; groups <= 128; groups++ {
		for _, stash := range []Shape{
			{StashColumns: 512, StashSlots: 4},
			{StashColumns: 512, StashSlots: 8},
			{StashColumns: 1024, StashSlots: 4},
			{StashColumns: 2048, StashSlots: 4},
			{StashColumns: 2048, StashSlots: 8},
		} {
			s := stash
			s.SlotSize = slotSize
			s.Slots = (groups*2048 - s.StashSlots*slotSize) / slotSize
			if s.Slots < MinSlots || s.check() != nil {
				continue
			}
			columns, ok := fewestColumns(n, s)
			if !ok {
				continue
			}
			s.Columns = columns
			bits, ok := pir.QueryBits(columns)
			if !ok {
				continue
			}
			if c := float64((s.Columns+s.StashColumns)*bits/8 + groups*answerBytes); c < cost {
				best, cost = s, c
			}
		}
	}
	if math.IsInf(cost, 1) {
		return Shape{}, fmt.Errorf("%w: %d entries of %d bytes", ErrShape, n, slotSize)
	}
	return best, nil
}

// fewestColumns returns the least multiple of 1,024 from [MinColumns] on for
// which the stash holds what overflows, with a probability of at least a half.
func fewestColumns(n int, s Shape) (int, bool) {
	const unit = 1024
	fits := func(units int) bool {
		columns := float64(units * unit)
		over := columns * overflow(float64(n)/columns, s.Slots)
		stash := float64(s.StashColumns)
		return stash*tail(over/stash, s.StashSlots) < 0.5
	}
	low, high := MinColumns/unit, pir.MaxColumns/unit
	if !fits(high) {
		return 0, false
	}
	for low < high {
		if mid := (low + high) / 2; fits(mid) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low * unit, true
}

// poisson returns the probability of k at mean x.
func poisson(x float64, k int) float64 {
	if x == 0 {
		return 0
	}
	log, _ := math.Lgamma(float64(k) + 1)
	return math.Exp(float64(k)*math.Log(x) - x - log)
}

// tail returns the probability of more than k at mean x: 1 for a mean beyond.
func tail(x float64, k int) float64 {
	if x > float64(k) {
		return 1
	}
	sum := 0.0
	for i := k + 1; i < 2*k+200; i++ {
		sum += poisson(x, i)
	}
	return sum
}

// overflow returns the expected excess over k at mean x: without bound for a
// mean beyond.
func overflow(x float64, k int) float64 {
	if x > float64(k) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := k + 1; i < 2*k+200; i++ {
		sum += float64(i-k) * poisson(x, i)
	}
	return sum
}
