package msp_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/internal/msp"
)

// TestBudgetIsKept: whatever an account does in any time, it gets no more than
// one hour's budget and what grew back since.
func TestBudgetIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perHour := rapid.IntRange(1, 2000).Draw(t, "perHour")
		b := msp.NewBudget(perHour)
		start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		now, got := start, 0
		for range rapid.IntRange(1, 50).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "wait")))
			n := rapid.IntRange(1, 1000).Draw(t, "n")
			if !b.Take("alice", n, now) {
				continue
			}
			if rapid.IntRange(0, 3).Draw(t, "failed") == 0 {
				b.GiveBack("alice", n, now)
				continue
			}
			got += n
			if most := float64(perHour) * (1 + now.Sub(start).Hours()); float64(got) > most+1e-6 {
				t.Fatalf("%d CSIs in %s, at most %f", got, now.Sub(start), most)
			}
		}
		if !b.Take("bob", perHour, now) {
			t.Fatal("another account pays")
		}
	})
}

// TestBudgetForgets: memory is held for accounts below their budget only, and a
// clock that goes back gives nothing.
func TestBudgetForgets(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	b := msp.NewBudget(60)
	if !b.Take("alice", 60, now) || !b.Take("bob", 1, now) {
		t.Fatal("refused")
	}
	if b.Take("alice", 1, now.Add(-time.Hour)) {
		t.Error("a clock that goes back fills the budget")
	}
	if left := b.Sweep(now.Add(2 * time.Minute)); left != 1 {
		t.Errorf("%d accounts after two minutes", left)
	}
	if left := b.Sweep(now.Add(time.Hour)); left != 0 {
		t.Errorf("%d accounts after an hour", left)
	}
}
