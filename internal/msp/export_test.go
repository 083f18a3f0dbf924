package msp

import "time"

// TableErrors returns the errors of the table, for the test that walks all
// sentinels.
func TableErrors() []error {
	var out []error
	for _, row := range table {
		out = append(out, row.err)
	}
	return out
}

// Budget is the budget of accounts, by itself.
type Budget struct{ b *budget }

// NewBudget returns a budget of so many CSIs an hour.
func NewBudget(perHour int) Budget { return Budget{newBudget(perHour)} }

// Take takes n CSIs, or none.
func (b Budget) Take(account string, n int, now time.Time) bool { return b.b.take(account, n, now) }

// GiveBack gives n CSIs back.
func (b Budget) GiveBack(account string, n int, now time.Time) { b.b.giveBack(account, n, now) }

// Sweep forgets full accounts and returns how many are left.
func (b Budget) Sweep(now time.Time) int {
	b.b.sweep(now)
	return len(b.b.left)
}

// RewriteAccounts reads an accounts file and writes it again.
func RewriteAccounts(b []byte) ([]byte, error) {
	f, err := parseAccounts(b)
	if err != nil {
		return nil, err
	}
	return f.bytes()
}
