package observer

import (
	"sync"
	"time"

	"whither/internal/endpoint"
	"whither/registry"
)

// Bounds are caps on what others can make an observer do.
type Bounds struct {
	// PerParty is how many looks one party may ask for in an hour.
	PerParty int
	// People is how many everybody who is no party may ask for in an hour,
	// together: nobody knows them apart.
	People int
	// Places is how many places are remembered.
	Places int
}

// DefaultBounds returns caps for an observer of a small federation.
func DefaultBounds() Bounds { return Bounds{PerParty: 2000, People: 5000, Places: 50_000} }

// Valid reports whether every cap is set.
func (b Bounds) Valid() bool { return min(b.PerParty, b.People, b.Places) > 0 }

// caps counts looks: for each caller a bucket that fills within an hour. It is
// safe for concurrent use, and keeps nothing of what was asked for.
type caps struct {
	bounds Bounds

	mu      sync.Mutex
	people  bucket
	parties map[registry.PartyID]*bucket // only parties of the registry
}

// bucket holds looks; a new one is full.
type bucket struct {
	used float64
	at   time.Time
}

func newCaps(b Bounds) *caps { return &caps{bounds: b, parties: make(map[registry.PartyID]*bucket)} }

// take counts a look, or returns ErrLimited and counts nothing.
func (c *caps) take(who endpoint.Caller, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !who.IsParty {
		return c.people.take(c.bounds.People, now)
	}
	b, ok := c.parties[who.Party.ID]
	if !ok {
		b = new(bucket)
		c.parties[who.Party.ID] = b
	}
	return b.take(c.bounds.PerParty, now)
}

func (b *bucket) take(perHour int, now time.Time) error {
	if passed := now.Sub(b.at); passed > 0 {
		b.used = max(0, b.used-float64(perHour)*passed.Hours())
		b.at = now
	}
	if b.used+1 > float64(perHour) {
		return ErrLimited
	}
	b.used++
	return nil
}
