package storetest

import (
	"errors"
	"fmt"
	"sync"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/mapping"
)

// Together runs n calls at once and counts how they end.
func Together(n int, call func(i int) error) map[error]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	ends := make(map[error]int)
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			err := call(i)
			for _, known := range []error{directory.ErrRaced, directory.ErrOfferUsed, directory.ErrIDTaken, directory.ErrUnknown} {
				if errors.Is(err, known) {
					err = known
				}
			}
			mu.Lock()
			defer mu.Unlock()
			ends[err]++
		})
	}
	close(start)
	wg.Wait()
	return ends
}

// Racers is how many race in these tests.
const Racers = 16

// testRaceForCSI has many claim one CSI at once, each having seen nobody.
func testRaceForCSI(s *stage) {
	var all []mapping.Verified
	for i := range Racers {
		all = append(all, s.first(s.t, alice, fmt.Sprint(i), nil))
	}
	ends := Together(Racers, func(i int) error { return s.store.Admit(s.ctx(), all[i], nil, s.hour(), s.now) })
	if ends[nil] != 1 || ends[directory.ErrRaced] != Racers-1 {
		s.t.Errorf("ends: %v", ends)
	}
	s.oneLives(all)
}

// oneLives checks that of mappings of one CSI exactly one lives.
func (s *stage) oneLives(all []mapping.Verified) {
	s.t.Helper()
	found, err := s.store.Find(s.ctx(), []csi.ID{all[0].Claims().CSI}, s.now)
	if err != nil || len(found[0]) != 1 {
		s.t.Errorf("%d live, %v", len(found[0]), err)
	}
	if n := s.lines(); n != 1 {
		s.t.Errorf("%d changes", n)
	}
}

// testRaceForNonce has many take up one offer at once.
func testRaceForNonce(s *stage) {
	var all []mapping.Verified
	for i := range Racers {
		all = append(all, s.first(s.t, fmt.Sprintf("user-%d@example.org", i), "", func(c *mapping.Claims) { c.DPNonce = mapping.Nonce{7} }))
	}
	ends := Together(Racers, func(i int) error { return s.store.Admit(s.ctx(), all[i], nil, s.hour(), s.now) })
	if ends[nil] != 1 || ends[directory.ErrOfferUsed] != Racers-1 {
		s.t.Errorf("ends: %v", ends)
	}
	if n := s.lines(); n != 1 {
		s.t.Errorf("%d changes", n)
	}
}

// testRaceForMapping has many replace and withdraw one mapping at once.
func testRaceForMapping(s *stage) {
	v := s.first(s.t, alice, "1", nil)
	s.admit(v)
	var next []mapping.Verified
	for i := range Racers {
		next = append(next, s.next(s.t, v, alice, fmt.Sprint("next", i), nil))
	}
	ends := Together(2*Racers, func(i int) error {
		if i < Racers {
			return s.store.Replace(s.ctx(), next[i], s.hour(), s.now)
		}
		return s.store.Withdraw(s.ctx(), v.Claims().ID, v.Digest(), s.now)
	})
	lost := ends[directory.ErrRaced] + ends[directory.ErrUnknown]
	if ends[nil] != 1 || lost != 2*Racers-1 {
		s.t.Errorf("ends: %v", ends)
	}
	if n := s.lines(); n != 2 {
		s.t.Errorf("%d changes", n)
	}
}

// testReadersAmongWriters reads while mappings are replaced: each answer is one
// of the states that there were, and none older than one already seen.
func testReadersAmongWriters(s *stage) {
	a, b := s.first(s.t, alice, "1", nil), s.first(s.t, bob, "1", nil)
	s.admit(a)
	s.admit(b)
	ids := []csi.ID{a.Claims().CSI, b.Claims().CSI}
	next := make([]mapping.Verified, 0, 20)
	for i, v := 0, a; i < cap(next); i++ {
		v = s.next(s.t, v, alice, fmt.Sprint("next", i), nil)
		next = append(next, v)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for seen := uint64(0); ; {
				found, err := s.store.Find(s.ctx(), ids, s.now)
				switch {
				case err != nil:
					s.t.Errorf("find: %v", err)
					return
				case len(found[0]) != 1 || len(found[1]) != 1:
					s.t.Errorf("%d and %d found", len(found[0]), len(found[1]))
					return
				case found[0][0].Sequence < seen:
					s.t.Errorf("sequence %d after %d", found[0][0].Sequence, seen)
					return
				}
				seen = found[0][0].Sequence
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for _, v := range next {
		s.check("replace", s.store.Replace(s.ctx(), v, s.hour(), s.now), nil)
		s.holds(s.now, ids[0], v) // what is answered is seen
	}
	close(done)
	wg.Wait()
}
