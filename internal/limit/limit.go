// Package limit bounds how often something is asked about people, in given
// time: challenges by CSI, by what the CSI belongs to, by the key that asks,
// and in all. It keeps no clock, no goroutine and no CSI longer than the window.
package limit

import (
	"errors"
	"strings"
	"sync"
	"time"

	"whither/csi"
	"whither/key"
)

// ErrReached refuses what is over a bound.
var ErrReached = errors.New("limit: too many in the last hour")

// Bounds are caps on what is done within an hour. Total also bounds the memory
// that counting takes.
type Bounds struct {
	PerCSI    int // protects a mailbox from being flooded
	PerDomain int // protects a mail domain, and what it thinks of us; of numbers: a block of a thousand
	// PerCountry bounds what toll fraud can earn in one country's network; zero: Total.
	PerCountry int
	PerKey     int
	Total      int
}

// DefaultBounds returns caps for a prover of a small federation.
func DefaultBounds() Bounds {
	return Bounds{PerCSI: 5, PerDomain: 500, PerCountry: 1000, PerKey: 10, Total: 2000}
}

// Valid reports whether every cap is set.
func (l Bounds) Valid() bool {
	return l.PerCSI > 0 && l.PerDomain > 0 && l.PerCountry > 0 && l.PerKey > 0 && l.Total > 0
}

// Window is how long something counts.
const Window = time.Hour

// event is one thing that was done.
type event struct {
	at      time.Time
	id      csi.ID
	domain  string
	country string
	holder  key.Public
}

// Caps counts exactly what was done within the last hour. It is safe for
// concurrent use.
type Caps struct {
	limits Bounds

	mu        sync.Mutex
	events    []event // oldest first; at most limits.Total
	csis      map[csi.ID]int
	domains   map[string]int
	countries map[string]int
	keys      map[key.Public]int
}

// New returns caps under which nothing has been done yet.
func New(l Bounds) *Caps {
	return &Caps{limits: l, csis: make(map[csi.ID]int), domains: make(map[string]int), countries: make(map[string]int), keys: make(map[key.Public]int)}
}

// Error is ErrReached with the bound that was: total, csi, domain, country or
// key.
type Error struct{ Bound string }

// Error says no more than ErrReached: what the bounds are is nobody's business.
func (Error) Error() string { return ErrReached.Error() }

// Unwrap returns ErrReached.
func (Error) Unwrap() error { return ErrReached }

// blockDigits is how many digits of a number tell the numbers of one block
// apart.
const blockDigits = 3

// eventOf classes a CSI: a mail address by its domain, a handle by its host, a
// number by its block and by the country, or countries, of its prefix.
func eventOf(id csi.ID, holder key.Public, at time.Time) event {
	e := event{at: at, id: id, holder: holder}
	if number := id.CAMARA(); number != "" {
		e.domain = number[:len(number)-blockDigits]
		e.country = strings.Join(id.Home(), " ")
		return e
	}
	_, host, _ := strings.Cut(id.Canonical(), "@")
	e.domain = string(id.Scheme()) + " " + host
	e.country = e.domain
	return e
}

// Take counts one more for a CSI and a key, or returns ErrReached and counts
// nothing.
func (c *Caps) Take(id csi.ID, holder key.Public, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
	e := eventOf(id, holder, now)
	l := c.limits
	for _, bound := range []struct {
		name      string
		have, max int
	}{
		{"total", len(c.events), l.Total},
		{"csi", c.csis[e.id], l.PerCSI},
		{"domain", c.domains[e.domain], l.PerDomain},
		{"country", c.countries[e.country], l.PerCountry},
		{"key", c.keys[e.holder], l.PerKey},
	} {
		if bound.have >= bound.max {
			return Error{bound.name}
		}
	}
	c.add(e)
	return nil
}

// Restore counts what was done before a restart, oldest first, as far as there
// is room; bounds may have been lowered.
func (c *Caps) Restore(id csi.ID, holder key.Public, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) < c.limits.Total {
		c.add(eventOf(id, holder, at))
	}
}

func (c *Caps) add(e event) {
	c.events = append(c.events, e)
	c.csis[e.id]++
	c.domains[e.domain]++
	c.countries[e.country]++
	c.keys[e.holder]++
}

// forget drops what is over an hour old.
func (c *Caps) forget(now time.Time) {
	n := 0
	for ; n < len(c.events) && now.Sub(c.events[n].at) >= Window; n++ {
		e := c.events[n]
		less(c.csis, e.id)
		less(c.domains, e.domain)
		less(c.countries, e.country)
		less(c.keys, e.holder)
	}
	if n > 0 {
		c.events = append(c.events[:0], c.events[n:]...)
	}
}

func less[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}
