package msp

import (
	"sync"
	"time"
)

// budget bounds the CSIs that an account may look up: perHour at once, and
// growing back over an hour. It lives in memory; a restart fills it. There are
// never more entries than accounts, since only signed-in accounts get one.
type budget struct {
	perHour int

	mu   sync.Mutex
	left map[string]level // accounts that are below perHour; owned by mu
}

type level struct {
	csis float64
	at   time.Time
}

func newBudget(perHour int) *budget { return &budget{perHour: perHour, left: make(map[string]level)} }

// now returns an account's level at a time.
func (b *budget) levelAt(account string, now time.Time) float64 {
	l, ok := b.left[account]
	if !ok {
		return float64(b.perHour)
	}
	grown := float64(b.perHour) * max(0, now.Sub(l.at).Hours())
	return min(float64(b.perHour), l.csis+grown)
}

// take takes n CSIs off an account's budget, or nothing and returns false.
func (b *budget) take(account string, n int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	have := b.levelAt(account, now)
	if have < float64(n) {
		return false
	}
	b.left[account] = level{csis: have - float64(n), at: now}
	return true
}

// giveBack returns what was taken for a request that never reached the DP.
func (b *budget) giveBack(account string, n int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left[account] = level{csis: b.levelAt(account, now) + float64(n), at: now}
}

// sweep forgets accounts whose budget is full again.
func (b *budget) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for account := range b.left {
		if b.levelAt(account, now) >= float64(b.perHour) {
			delete(b.left, account)
		}
	}
}
