package prover

import (
	"errors"
	"sync"
	"time"

	"whither/csi"
	"whither/key"
)

// ErrLimited refuses what is over a cap.
var ErrLimited = errors.New("prover: too many challenges in the last hour")

// Limits are caps on what is done within an hour. Total also bounds the memory
// that counting takes.
type Limits struct {
	PerCSI    int // protects a mailbox from being flooded
	PerDomain int // protects a mail domain, and what it thinks of us
	PerKey    int
	Total     int
}

// DefaultLimits returns caps for a prover of a small federation.
func DefaultLimits() Limits { return Limits{PerCSI: 5, PerDomain: 500, PerKey: 10, Total: 2000} }

// valid reports whether every cap is set.
func (l Limits) valid() bool { return l.PerCSI > 0 && l.PerDomain > 0 && l.PerKey > 0 && l.Total > 0 }

// window is how long something counts.
const window = time.Hour

// event is one thing that was done.
type event struct {
	at     time.Time
	id     csi.ID
	domain string
	holder key.Public
}

// caps counts exactly what was done within the last hour. It is safe for
// concurrent use.
type caps struct {
	limits Limits

	mu      sync.Mutex
	events  []event // oldest first; at most limits.Total
	csis    map[csi.ID]int
	domains map[string]int
	keys    map[key.Public]int
}

func newCaps(l Limits) *caps {
	return &caps{limits: l, csis: make(map[csi.ID]int), domains: make(map[string]int), keys: make(map[key.Public]int)}
}

// take counts one more for a CSI and a key, or returns ErrLimited and counts
// nothing.
func (c *caps) take(id csi.ID, holder key.Public, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
	e := event{at: now, id: id, domain: id.Domain(), holder: holder}
	l := c.limits
	if len(c.events) >= l.Total || c.csis[e.id] >= l.PerCSI || c.domains[e.domain] >= l.PerDomain || c.keys[e.holder] >= l.PerKey {
		return ErrLimited
	}
	c.add(e)
	return nil
}

// restore counts what was done before a restart, oldest first, as far as there
// is room; caps may have been lowered.
func (c *caps) restore(started []Challenge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range started {
		if len(c.events) < c.limits.Total {
			c.add(event{at: s.Started, id: s.CSI, domain: s.CSI.Domain(), holder: s.Holder})
		}
	}
}

func (c *caps) add(e event) {
	c.events = append(c.events, e)
	c.csis[e.id]++
	c.domains[e.domain]++
	c.keys[e.holder]++
}

// forget drops what is over an hour old.
func (c *caps) forget(now time.Time) {
	n := 0
	for ; n < len(c.events) && now.Sub(c.events[n].at) >= window; n++ {
		e := c.events[n]
		less(c.csis, e.id)
		less(c.domains, e.domain)
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
