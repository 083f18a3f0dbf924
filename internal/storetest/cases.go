package storetest

import (
	"context"
	"errors"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/mapping"
)

// record makes a record by number.
func (s *stage) record(n byte, kind directory.RecordKind, due time.Duration) directory.Record {
	r := directory.Record{ID: directory.RecordID{n}, Kind: kind, Until: s.now.Add(24 * time.Hour), Body: []byte{n, 1, 2, 3}}
	if due != 0 {
		r.Due = s.now.Add(due)
	}
	return r
}

// stored is a record as it comes back from its nth writing.
func stored(r directory.Record, n uint64) directory.Record {
	r.Revision = n
	return r
}

// caseOf reads the case of a CSI and checks its records.
func (s *stage) caseOf(v mapping.Verified, want ...directory.Record) directory.Case {
	s.t.Helper()
	k, err := s.store.Case(s.ctx(), v.Claims().CSI, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	if d := diff(want, k.Records); d != "" {
		s.t.Errorf("records (-want +got):\n%s", d)
	}
	return k
}

func (s *stage) apply(v mapping.Verified, saw directory.Case, w directory.Write) error {
	return s.store.Apply(s.ctx(), v.Claims().CSI, saw, w, s.now)
}

// testApply makes writes of all kinds, and each on a case that is another now.
func testApply(s *stage) {
	a, b := s.first(s.t, alice, "1", nil), s.first(s.t, alice, "2", nil)
	claim, notice := s.record(1, docket.RecordClaim, time.Hour), s.record(2, docket.RecordNotice, time.Minute)
	empty := s.caseOf(a)
	s.check("admit", s.apply(a, empty, directory.Write{Admit: a, Nonce: a.Claims().DPNonce, NonceUntil: s.hour(), Put: []directory.Record{claim, notice}}), nil)
	s.check("seen before it lived", s.apply(a, empty, directory.Write{Admit: b}), directory.ErrRaced)
	one := s.caseOf(a, stored(claim, 1)) // notices are no part of it
	s.same("case", one.Live, []mapping.Verified{a})
	s.check("its offer again", s.apply(a, one, directory.Write{Admit: b, Nonce: a.Claims().DPNonce, NonceUntil: s.hour()}), directory.ErrOfferUsed)
	s.check("its id again", s.apply(a, one, directory.Write{Put: []directory.Record{claim}}), directory.ErrIDTaken)
	changed := stored(claim, 1)
	changed.Body, changed.Due = []byte("changed"), time.Time{}
	s.check("change", s.apply(a, one, directory.Write{Put: []directory.Record{changed}}), nil)
	s.check("seen before it changed", s.apply(a, one, directory.Write{Ends: []mapping.ID{a.Claims().ID}}), directory.ErrRaced)
	two := s.caseOf(a, stored(changed, 2))
	next := s.next(s.t, a, alice, "3", nil)
	gone := []mapping.ID{b.Claims().ID} // that never lived: passed over
	s.check("replace", s.apply(a, two, directory.Write{Replace: next, Ends: gone}), nil)
	s.check("seen before it was replaced", s.apply(a, two, directory.Write{Drop: []directory.RecordID{claim.ID}}), directory.ErrRaced)
	three := s.caseOf(a, stored(changed, 2))
	w := directory.Write{Admit: b, Ends: []mapping.ID{a.Claims().ID}, Drop: []directory.RecordID{claim.ID}}
	s.check("end, admit and drop", s.apply(a, three, w), nil)
	s.caseOf(a)
	s.holds(s.now, a.Claims().CSI, b)
	s.history(s.change(directory.Admitted, a, s.now), s.change(directory.Replaced, a, s.now),
		s.change(directory.Admitted, b, s.now), s.change(directory.Withdrawn, a, s.now))
	_, err := s.store.Record(s.ctx(), claim.ID)
	s.check("dropped", err, directory.ErrUnknown)
	other := s.first(s.t, bob, "1", nil)
	if err := s.apply(a, s.caseOf(a), directory.Write{Admit: other}); err == nil || errors.Is(err, directory.ErrRaced) {
		s.t.Errorf("a mapping of another CSI: %v", err)
	}
}

// testRecords reads records by id, by kind, by when they are due, and forgets
// those whose time is over.
func testRecords(s *stage) {
	a := s.first(s.t, alice, "1", nil)
	var all []directory.Record
	for i, kind := range []directory.RecordKind{docket.RecordClaim, docket.RecordProof, docket.RecordNotice, docket.RecordClaim} {
		r := s.record(byte(i+1), kind, time.Duration(4-i)*time.Hour)
		r.Until = s.now.Add(time.Duration(i+1) * 24 * time.Hour)
		all = append(all, r)
	}
	all[1].Due = time.Time{}
	s.check("put", s.apply(a, directory.Case{}, directory.Write{Put: all}), nil)
	for i := range all {
		all[i].Revision = 1
	}
	due := func(after time.Duration, max int, want ...directory.Record) {
		s.t.Helper()
		got, err := s.store.RecordsDue(s.ctx(), s.now.Add(after), max)
		if d := diff(want, got); d != "" || err != nil {
			s.t.Errorf("due after %s: %v (-want +got):\n%s", after, err, d)
		}
	}
	due(time.Hour-time.Millisecond, 9)
	due(time.Hour, 9, all[3])
	due(100*time.Hour, 2, all[3], all[2])
	due(100*time.Hour, 9, all[3], all[2], all[0])
	got, err := s.store.Records(s.ctx(), docket.RecordClaim, directory.RecordID{1}, 9)
	if d := diff([]directory.Record{all[3]}, got); d != "" || err != nil {
		s.t.Errorf("claims: %v\n%s", err, d)
	}
	s.check("postpone another revision", s.store.Postpone(s.ctx(), all[3].ID, 2, s.now), nil)
	s.check("postpone", s.store.Postpone(s.ctx(), all[2].ID, 1, s.now.Add(5*time.Hour)), nil)
	s.check("remove", s.store.Postpone(s.ctx(), all[3].ID, 1, time.Time{}), nil)
	all[2].Due = s.now.Add(5 * time.Hour)
	due(100*time.Hour, 9, all[0], all[2])
	if _, err := s.store.Sweep(s.ctx(), s.now.Add(2*24*time.Hour), 1); err != nil {
		s.t.Error(err)
	}
	due(100*time.Hour, 9, all[2])
}

// testTick moves the served clock; of several at once one does.
func testTick(s *stage) {
	was, err := s.store.Clock(s.ctx())
	if err != nil || was != (directory.Tick{}) {
		s.t.Fatalf("%+v, %v", was, err)
	}
	is := directory.Tick{Seen: s.now, Stood: time.Hour}
	ends := Together(Racers, func(int) error { return s.store.Tick(s.ctx(), was, is) })
	if ends[nil] != 1 || ends[directory.ErrRaced] != Racers-1 {
		s.t.Errorf("ends: %v", ends)
	}
	if got, err := s.store.Clock(context.WithoutCancel(s.ctx())); err != nil || !got.Seen.Equal(is.Seen) || got.Stood != is.Stood {
		s.t.Errorf("%+v, %v", got, err)
	}
}
