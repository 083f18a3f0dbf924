package storetest

import (
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

const (
	alice = "alice@example.org"
	bob   = "bob@example.org"
	carol = "carol@example.net"
)

func testFind(s *stage) {
	both := func(c *mapping.Claims) {
		entry := c.Entries[0]
		entry.Provider = worldtest.Party(s.t, worldtest.MSPB)
		entry.URI = "mimi://" + worldtest.MSPB
		c.Entries = append(c.Entries, entry)
	}
	none := func(c *mapping.Claims) { c.Entries = nil }
	audience := func(c *mapping.Claims) { c.Audience = true }
	a1, a2, a3 := s.first(s.t, alice, "1", both), s.first(s.t, alice, "2", audience), s.first(s.t, alice, "3", s.living(time.Hour))
	b := s.first(s.t, bob, "1", none)
	s.admit(a1)
	s.admit(a2, a1.Claims().ID)
	s.admit(a3, a2.Claims().ID, a1.Claims().ID)
	s.admit(b)

	idA, idB, idC := a1.Claims().CSI, b.Claims().CSI, worldtest.CSI(s.t, "mailto:"+carol)
	found, err := s.store.Find(s.ctx(), []csi.ID{idB, idC, idA, idB}, s.now)
	if err != nil || len(found) != 4 {
		s.t.Fatalf("%d results, %v", len(found), err)
	}
	s.same("bob", found[0], []mapping.Verified{b})
	s.same("carol", found[1], nil)
	s.same("alice", found[2], []mapping.Verified{a1, a2, a3})
	s.same("bob again", found[3], []mapping.Verified{b})
	if found, err = s.store.Find(s.ctx(), nil, s.now); err != nil || len(found) != 0 {
		s.t.Errorf("nobody: %v, %v", found, err)
	}
	s.holds(s.now.Add(time.Hour-time.Millisecond), idA, a1, a2, a3)
	s.holds(s.now.Add(time.Hour), idA, a1, a2)
}

// testFindMany asks for more than any statement takes at once.
func testFindMany(s *stage) {
	b := s.first(s.t, bob, "1", nil)
	s.admit(b)
	for _, n := range []int{2, 5, 64, 65, 1000, 1025, 5000} {
		ids := make([]csi.ID, n)
		for i := range ids {
			ids[i] = worldtest.CSI(s.t, fmt.Sprintf("mailto:nobody-%d@example.org", i))
		}
		ids[n-1] = b.Claims().CSI
		found, err := s.store.Find(s.ctx(), ids, s.now)
		if err != nil || len(found) != n {
			s.t.Fatalf("%d: %d results, %v", n, len(found), err)
		}
		for i, m := range found[:n-1] {
			if len(m) != 0 {
				s.t.Errorf("%d: found somebody at %d", n, i)
			}
		}
		s.same("the last", found[n-1], []mapping.Verified{b})
	}
}

func testByID(s *stage) {
	v := s.first(s.t, alice, "1", s.living(time.Hour))
	s.admit(v)
	id := v.Claims().ID
	got, err := s.store.ByID(s.ctx(), id, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.same("by id", []directory.Stored{got}, []mapping.Verified{v})
	_, err = s.store.ByID(s.ctx(), id, s.now.Add(time.Hour))
	s.check("expired", err, directory.ErrUnknown)
	_, err = s.store.ByID(s.ctx(), mapping.ID{1}, s.now)
	s.check("another", err, directory.ErrUnknown)
}

func testAdmit(s *stage) {
	v1, v2 := s.first(s.t, alice, "1", s.living(time.Hour)), s.first(s.t, alice, "2", nil)
	id1, id2 := v1.Claims().ID, v2.Claims().ID
	s.check("saw one that is not there", s.store.Admit(s.ctx(), v1, []mapping.ID{id2}, s.hour(), s.now), directory.ErrRaced)
	s.holds(s.now, v1.Claims().CSI)
	s.history()
	s.admit(v1) // the refused attempt has not used its nonce
	s.check("saw nothing", s.store.Admit(s.ctx(), v2, nil, s.hour(), s.now), directory.ErrRaced)
	s.check("saw more", s.store.Admit(s.ctx(), v2, []mapping.ID{id1, id2}, s.hour(), s.now), directory.ErrRaced)
	later := s.now.Add(time.Hour)
	s.check("saw what has expired", s.store.Admit(s.ctx(), v2, []mapping.ID{id1}, later, later), directory.ErrRaced)
	s.holds(s.now, v1.Claims().CSI, v1)

	given := []mapping.ID{id1, id1}
	if err := s.store.Admit(s.ctx(), v2, given, s.hour(), s.now); err != nil {
		s.t.Errorf("saw it twice: %v", err)
	}
	if !slices.Equal(given, []mapping.ID{id1, id1}) {
		s.t.Error("the caller's slice was changed")
	}
	s.holds(s.now, v1.Claims().CSI, v1, v2)
	s.history(s.change(directory.Admitted, v1, s.now), s.change(directory.Admitted, v2, s.now))
}

func testAdmitUsedNonce(s *stage) {
	v := s.first(s.t, alice, "1", nil)
	nonce := v.Claims().DPNonce
	same := func(c *mapping.Claims) { c.DPNonce = nonce }
	other := s.first(s.t, bob, "1", same)
	s.admit(v)
	s.check("same offer", s.store.Admit(s.ctx(), other, nil, s.hour(), s.now), directory.ErrOfferUsed)
	until := s.now.Add(time.Hour)
	s.check("before its end", s.store.Admit(s.ctx(), other, nil, until, until.Add(-time.Millisecond)), directory.ErrOfferUsed)
	next := s.next(s.t, v, alice, "2", same)
	s.check("by a replacement", s.store.Replace(s.ctx(), next, s.hour(), s.now), directory.ErrOfferUsed)
	s.holds(s.now, v.Claims().CSI, v)
	s.holds(s.now, other.Claims().CSI)
	s.check("at its end", s.store.Admit(s.ctx(), other, nil, until.Add(time.Hour), until), nil)
	s.history(s.change(directory.Admitted, v, s.now), s.change(directory.Admitted, other, until))
}

func testAdmitUsedID(s *stage) {
	v := s.first(s.t, alice, "1", s.living(2*time.Hour))
	id := v.Claims().ID
	same := func(c *mapping.Claims) { c.ID = id }
	s.admit(v)
	s.check("lives", s.store.Admit(s.ctx(), s.first(s.t, bob, "1", same), nil, s.hour(), s.now), directory.ErrIDTaken)
	expired := s.now.Add(2 * time.Hour)
	s.check("expired", s.store.Admit(s.ctx(), s.first(s.t, bob, "2", same), nil, expired, expired), directory.ErrIDTaken)
	if n, err := s.store.Sweep(s.ctx(), expired, 10); n != 1 || err != nil {
		s.t.Fatalf("swept %d, %v", n, err)
	}
	again := s.first(s.t, bob, "3", same)
	s.check("swept", s.store.Admit(s.ctx(), again, nil, expired.Add(time.Hour), expired), directory.ErrIDTaken)

	w := s.first(s.t, alice, "4", nil)
	s.admit(w)
	s.check("withdraw", s.store.Withdraw(s.ctx(), w.Claims().ID, w.Digest(), s.now), nil)
	s.check("withdrawn, offer used", s.store.Admit(s.ctx(), w, nil, s.hour(), s.now), directory.ErrOfferUsed)
	late := s.now.Add(time.Hour)
	s.check("withdrawn", s.store.Admit(s.ctx(), w, nil, late.Add(time.Hour), late), directory.ErrIDTaken)
	s.holds(s.now, v.Claims().CSI)
	s.holds(s.now, again.Claims().CSI)
}

func testReplace(s *stage) {
	v0 := s.first(s.t, alice, "0", s.living(time.Hour))
	v1 := s.next(s.t, v0, alice, "1", s.living(3*time.Hour))
	v2 := s.next(s.t, v1, alice, "2", nil)
	at := s.now.Add(time.Minute)
	s.check("nothing lives", s.store.Replace(s.ctx(), v1, s.hour(), s.now), directory.ErrRaced)
	s.admit(v0)
	s.check("one too early", s.store.Replace(s.ctx(), v2, s.hour(), s.now), directory.ErrRaced)
	s.check("expired", s.store.Replace(s.ctx(), v1, s.hour(), s.now.Add(time.Hour)), directory.ErrRaced)
	s.check("in turn", s.store.Replace(s.ctx(), v1, s.hour(), at), nil)
	s.check("again", s.store.Replace(s.ctx(), v1, s.hour(), at), directory.ErrRaced)
	s.holds(s.now.Add(2*time.Hour), v0.Claims().CSI, v1)

	stranger := s.next(s.t, v1, bob, "x", func(c *mapping.Claims) { c.CSI = worldtest.CSI(s.t, "mailto:"+bob) })
	s.check("of another CSI", s.store.Replace(s.ctx(), stranger, s.hour(), at), directory.ErrRaced)
	s.check("next in turn", s.store.Replace(s.ctx(), v2, s.hour(), at), nil)
	s.holds(s.now, v0.Claims().CSI, v2)
	s.history(s.change(directory.Admitted, v0, s.now), s.change(directory.Replaced, v1, at), s.change(directory.Replaced, v2, at))
}

func testRenew(s *stage) {
	a, b := s.first(s.t, alice, "1", nil), s.first(s.t, bob, "1", nil)
	dead, short := s.first(s.t, carol, "1", nil), s.first(s.t, carol, "2", s.living(time.Hour))
	old := s.first(s.t, carol, "3", nil)
	s.admit(a)
	s.admit(b)
	s.admit(dead)
	s.admit(short, dead.Claims().ID)
	s.admit(old, dead.Claims().ID, short.Claims().ID)
	s.check("withdraw", s.store.Withdraw(s.ctx(), dead.Claims().ID, dead.Digest(), s.now), nil)
	replaced := s.next(s.t, old, carol, "4", nil)
	s.check("replace", s.store.Replace(s.ctx(), replaced, s.hour(), s.now), nil)

	later := 2 * time.Hour
	at := s.now.Add(later)
	a2, b2 := s.renewed(s.t, a, later), s.renewed(s.t, b, later)
	batch := []mapping.Verified{a2, s.renewed(s.t, dead, later), s.renewed(s.t, short, time.Minute), s.renewed(s.t, old, later), b2}
	s.check("renew", s.store.Renew(s.ctx(), batch, at), nil)
	s.holds(at, a.Claims().CSI, a2)
	s.holds(at, b.Claims().CSI, b2)
	s.holds(at, dead.Claims().CSI, replaced)
	s.check("none", s.store.Renew(s.ctx(), nil, at), nil)
	s.history(
		s.change(directory.Admitted, a, s.now), s.change(directory.Admitted, b, s.now), s.change(directory.Admitted, dead, s.now),
		s.change(directory.Admitted, short, s.now), s.change(directory.Admitted, old, s.now),
		s.change(directory.Withdrawn, dead, s.now), s.change(directory.Replaced, old, s.now),
		s.change(directory.Renewed, a, at), s.change(directory.Renewed, b, at),
	)
}

// testEnd: an end stays, whoever renews what he read before it; and goes with the
// payload that it is for.
func testEnd(s *stage) {
	both := s.f.Claims(worldtest.CSI(s.t, "mailto:"+alice), worldtest.Key(s.t, alice).Public(), "both", worldtest.MSPA, worldtest.MSPB)
	v := s.finish(s.t, both, worldtest.Key(s.t, alice), mapping.FoundFirst)
	a, b := s.ended(s.t, v, worldtest.MSPA), s.ended(s.t, v, worldtest.MSPB)
	later := s.now.Add(time.Minute)
	s.check("nothing lives", s.store.End(s.ctx(), a, s.now), directory.ErrUnknown)
	s.admit(v)
	s.check("end", s.store.End(s.ctx(), a, s.now), nil)
	s.holds(s.now, both.CSI, a)
	s.check("without the first one", s.store.End(s.ctx(), b, s.now), directory.ErrRaced)
	s.check("renewed from before", s.store.Renew(s.ctx(), []mapping.Verified{s.renewed(s.t, v, time.Minute)}, later), nil)
	s.holds(s.now, both.CSI, a)
	fresh := s.renewed(s.t, a, time.Minute)
	s.check("renewed", s.store.Renew(s.ctx(), []mapping.Verified{fresh}, later), nil)
	s.check("signed for less", s.store.End(s.ctx(), s.ended(s.t, a, worldtest.MSPB), later), directory.ErrRaced)
	all := s.ended(s.t, fresh, worldtest.MSPB)
	s.check("the second one", s.store.End(s.ctx(), all, later), nil)
	s.holds(s.now, both.CSI, all)
	next := s.next(s.t, v, alice, "next", nil)
	s.check("replaced", s.store.Replace(s.ctx(), next, s.hour(), later), nil)
	s.check("of what was replaced", s.store.End(s.ctx(), all, later), directory.ErrUnknown)
	s.holds(s.now, both.CSI, next)
	s.history(s.change(directory.Admitted, v, s.now), s.change(directory.Renewed, v, s.now), s.change(directory.Renewed, v, later),
		s.change(directory.Renewed, v, later), s.change(directory.Replaced, v, later))
}

func testWithdraw(s *stage) {
	v := s.first(s.t, alice, "1", s.living(time.Hour))
	beside := s.first(s.t, alice, "2", nil)
	id, at := v.Claims().ID, s.now.Add(time.Minute)
	s.admit(v)
	s.admit(beside, id)
	s.check("another payload", s.store.Withdraw(s.ctx(), id, beside.Digest(), at), directory.ErrUnknown)
	s.check("another mapping", s.store.Withdraw(s.ctx(), mapping.ID{1}, v.Digest(), at), directory.ErrUnknown)
	s.check("expired", s.store.Withdraw(s.ctx(), id, v.Digest(), s.now.Add(time.Hour)), directory.ErrUnknown)
	s.holds(at, v.Claims().CSI, v, beside)
	s.check("withdraw", s.store.Withdraw(s.ctx(), id, v.Digest(), at), nil)
	s.check("again", s.store.Withdraw(s.ctx(), id, v.Digest(), at), directory.ErrUnknown)
	s.holds(at, v.Claims().CSI, beside)
	_, err := s.store.ByID(s.ctx(), id, at)
	s.check("by id", err, directory.ErrUnknown)
	s.history(s.change(directory.Admitted, v, s.now), s.change(directory.Admitted, beside, s.now), s.change(directory.Withdrawn, v, at))
}

func testSweep(s *stage) {
	var all []mapping.Verified
	var saw []mapping.ID
	for i := range 5 { // with an hour between them
		v := s.first(s.t, alice, fmt.Sprint(i), s.living(time.Duration(i+1)*time.Hour))
		s.admit(v, saw...)
		all, saw = append(all, v), append(saw, v.Claims().ID)
	}
	sweep := func(after time.Duration, max, want int) {
		s.t.Helper()
		if n, err := s.store.Sweep(s.ctx(), s.now.Add(after), max); n != want || err != nil {
			s.t.Errorf("after %s at most %d: swept %d, %v; want %d", after, max, n, err, want)
		}
	}
	sweep(time.Hour-time.Millisecond, 10, 0)
	sweep(time.Hour, 10, 1)
	sweep(time.Hour, 10, 0)
	sweep(4*time.Hour, 0, 0)
	sweep(4*time.Hour, 2, 2) // those that expired first
	sweep(4*time.Hour, 2, 1)
	s.holds(s.now, all[0].Claims().CSI, all[4])
	got, err := s.store.Changes(s.ctx(), 0, 100)
	if err != nil || len(got) != 9 {
		s.t.Fatalf("%d changes, %v", len(got), err)
	}
	expired := make(map[mapping.ID]int)
	for _, c := range got[5:] {
		if c.Kind != directory.Expired {
			s.t.Errorf("change %+v", c)
		}
		expired[c.ID]++
	}
	for i, v := range all {
		want := 1
		if i == 4 {
			want = 0
		}
		if expired[v.Claims().ID] != want {
			s.t.Errorf("mapping %d expired %d times", i, expired[v.Claims().ID])
		}
	}
}

// testSweepNonces checks that sweeping, in portions too, forgets no nonce that
// is still good and does not touch what lives.
func testSweepNonces(s *stage) {
	var all []mapping.Verified
	for i := range 7 {
		v := s.first(s.t, fmt.Sprintf("user-%d@example.org", i), "", nil)
		if err := s.store.Admit(s.ctx(), v, nil, s.now.Add(time.Duration(i+1)*time.Hour), s.now); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, v)
	}
	now := s.now.Add(4 * time.Hour)
	if n, err := s.store.Sweep(s.ctx(), now, 2); n != 0 || err != nil {
		s.t.Fatalf("swept %d, %v", n, err)
	}
	for i, v := range all {
		nonce := v.Claims().DPNonce
		other := s.first(s.t, carol, fmt.Sprint(i), func(c *mapping.Claims) { c.DPNonce = nonce })
		want := directory.ErrOfferUsed
		if i < 4 {
			want = nil
		}
		err := s.store.Admit(s.ctx(), other, nil, now.Add(time.Hour), now)
		s.check(fmt.Sprintf("nonce %d", i), err, want)
		if err == nil {
			s.check("withdraw", s.store.Withdraw(s.ctx(), other.Claims().ID, other.Digest(), now), nil)
		}
		s.holds(now, v.Claims().CSI, v)
	}
}

func testChanges(s *stage) {
	var want []mapping.ID
	for i := range 10 {
		v := s.first(s.t, fmt.Sprintf("user-%d@example.org", i), "", nil)
		s.admit(v)
		want = append(want, v.Claims().ID)
	}
	var got []mapping.ID
	after := uint64(0)
	for len(got) <= len(want) {
		page, err := s.store.Changes(s.ctx(), after, 3)
		if err != nil || len(page) > 3 {
			s.t.Fatalf("%d changes, %v", len(page), err)
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			if c.Seq <= after || c.Kind != directory.Admitted || !c.At.Equal(s.now) {
				s.t.Errorf("after %d: %+v", after, c)
			}
			after = c.Seq
			got = append(got, c.ID)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("ids %v, want %v", got, want)
	}
	for _, none := range []struct {
		after uint64
		max   int
	}{{0, 0}, {0, -1}, {1 << 63, 10}, {1<<64 - 1, 10}} {
		if page, err := s.store.Changes(s.ctx(), none.after, none.max); err != nil || len(page) != 0 {
			s.t.Errorf("%+v: %v, %v", none, page, err)
		}
	}
}

func testRenewalsDue(s *stage) {
	var want []directory.Due
	for i := range 6 { // two at each time
		v := s.first(s.t, fmt.Sprintf("user-%d@example.org", i), "", nil)
		s.admit(v)
		v = s.renewed(s.t, v, time.Duration(i/2)*time.Hour)
		s.check("renew", s.store.Renew(s.ctx(), []mapping.Verified{v}, s.now), nil)
		want = append(want, directory.Due{Until: v.Until(), ID: v.Claims().ID})
	}
	// Its signature lasts as long as itself: nothing is due, ever.
	whole := s.first(s.t, alice, "1", s.living(24*time.Hour))
	s.admit(whole)
	slices.SortFunc(want, compareDue)

	for _, max := range []int{1, 2, 3, 100} {
		var got []directory.Due
		var after directory.Due
		for len(got) <= len(want) {
			page, err := s.store.RenewalsDue(s.ctx(), after, s.now.Add(30*24*time.Hour), max)
			if err != nil || len(page) > max {
				s.t.Fatalf("%d due, %v", len(page), err)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1]
		}
		if d := diff(want, got); d != "" {
			s.t.Errorf("by %d (-want +got):\n%s", max, d)
		}
	}
	end := want[2].Until
	got, err := s.store.RenewalsDue(s.ctx(), directory.Due{}, end, 100)
	if d := diff(want[:2], got); d != "" || err != nil {
		s.t.Errorf("before a time: %v (-want +got):\n%s", err, d)
	}
	if got, err := s.store.RenewalsDue(s.ctx(), directory.Due{}, end, 0); err != nil || len(got) != 0 {
		s.t.Errorf("none: %v, %v", got, err)
	}
}

func compareDue(a, b directory.Due) int {
	if c := a.Until.Compare(b.Until); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}
