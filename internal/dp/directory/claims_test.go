package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/internal/offer"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/wire"
)

const day = 24 * time.Hour

// told collects notices, and can be out of order.
type told struct {
	notices []docket.Notice
	broken  error
}

func (t *told) Tell(_ context.Context, n docket.Notice) error {
	if t.broken == nil {
		t.notices = append(t.notices, n)
	}
	return t.broken
}

// story is a directory with a clock that runs, and somebody who carries notices.
type story struct {
	*bench
	t    *testing.T
	told *told
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{bench: newBench(t), t: t, told: &told{}}
	s.Teller, s.Grace = s.told, 8*time.Hour
	s.beat(false)
	return s
}

func (s *story) beat(stopped bool) {
	s.t.Helper()
	if err := s.Beat(s.t.Context(), stopped, s.Now); err != nil {
		s.t.Fatal(err)
	}
}

// run lets time pass while the DP is at work.
func (s *story) run(d time.Duration) {
	s.t.Helper()
	for end := s.Now.Add(d); s.Now.Before(end); {
		s.Now = s.Now.Add(min(3*time.Hour, end.Sub(s.Now)))
		s.beat(false)
		s.work()
	}
}

// work does what is due.
func (s *story) work() {
	s.t.Helper()
	for range 100 {
		_, more, err := s.StepCases(s.t.Context(), s.Now)
		if err != nil {
			s.t.Fatal(err)
		}
		if !more {
			return
		}
	}
	s.t.Fatal("work without end")
}

// submit makes a fresh mapping of bob's number by a holder, with codes (level 2),
// or of his address by mail (level 4).
func (s *story) submit(holder string, bend func(*mapping.Claims)) (directory.Result, mapping.Unverified, error) {
	s.t.Helper()
	o, u := s.propose(s.t, holder, bend, worldtest.MSPA)
	r, err := s.Submit(s.t.Context(), o, u.Bundle(), s.Now)
	return r, u, err
}

func (s *story) enrol(holder string) mapping.Verified {
	s.t.Helper()
	r, _, err := s.submit(holder, nil)
	if err != nil || r.Held || r.Review {
		s.t.Fatalf("%s: %+v, %v", holder, r, err)
	}
	return s.verified(s.t, r)
}

// claim is a submission that must be held.
func (s *story) claim(holder string) mapping.Unverified {
	s.t.Helper()
	r, u, err := s.submit(holder, nil)
	if err != nil || !r.Held {
		s.t.Fatalf("%s: %+v, %v", holder, r, err)
	}
	return u
}

// reprove is a re-proof by mail.
func (s *story) reprove(v mapping.Verified, holder string) (int, error) {
	s.t.Helper()
	u, err := mapping.Parse(v.Bundle())
	if err != nil {
		s.t.Fatal(err)
	}
	k := worldtest.Key(s.t, holder)
	var receipts [][]byte
	for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
		r := s.Receipt(u.Claims().CSI, k.Public(), kind, s.Now)
		r.Purpose = possession.PurposeReprove
		receipts = append(receipts, s.SignReceipt(r, []string{worldtest.ProverA, worldtest.ProverB}[i]))
	}
	statement, err := u.Reprove(k, receipts, s.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	_, n, err := s.Reprove(s.t.Context(), statement, receipts, s.Now)
	return n, err
}

func (s *story) standing(id mapping.ID, holder string) (wire.StandingAnswer, error) {
	s.t.Helper()
	q, err := mapping.Ask(id, worldtest.Key(s.t, holder), s.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.Standing(s.t.Context(), q, s.Now)
}

// stands checks how a mapping stands, as its holder hears it.
func (s *story) stands(id mapping.ID, holder, want string) wire.StandingAnswer {
	s.t.Helper()
	a, err := s.standing(id, holder)
	got := a.State
	if errors.Is(err, directory.ErrUnknown) {
		got = "unknown"
	} else if err != nil {
		s.t.Fatal(err)
	}
	if got != want {
		s.t.Errorf("%s of %s: stands %q, want %q", id, holder, got, want)
	}
	return a
}

// live returns the holders whose mappings are found, sorted.
func (s *story) live() []string {
	s.t.Helper()
	var out []string
	for _, m := range s.outcome(s.t, directory.Query{}).Mappings {
		u, err := mapping.Parse(m.Bundle.Unpack())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, name := range []string{"bob", "mallory", "carol", "tablet", "phone"} {
			if u.Claims().Holder == worldtest.Key(s.t, name).Public() {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (s *story) lives(want ...string) {
	s.t.Helper()
	if got := s.live(); !slices.Equal(got, want) {
		s.t.Errorf("%s: %v live, want %v", s.Now.Format(time.DateTime), got, want)
	}
}

// TestR17SilentIncumbentYields: the recycled address. The old holder is asked
// three ways, says nothing for seven days, and the new one lives.
func TestR17SilentIncumbentYields(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	s.run(time.Hour)
	held := s.claim("carol")
	s.work()
	a := s.stands(old.Claims().ID, "bob", wire.StateAdmitted)
	if len(a.Claims) != 1 || a.Claims[0].Level != 4 || a.Claims[0].Until != s.Now.Add(7*day).Unix() {
		t.Errorf("the incumbent hears %+v", a.Claims)
	}
	var to []string
	for _, n := range s.told.notices {
		if n.Kind != wire.NoticeClaim || n.Mapping != old.Claims().ID {
			t.Errorf("notice %+v", n)
		}
		to = append(to, n.To.String())
	}
	slices.Sort(to)
	if !slices.Equal(to, []string{"", worldtest.MSPA}) {
		t.Errorf("told %v", to)
	}
	s.stands(held.Claims().ID, "carol", wire.StateHeld)
	s.run(7*day - time.Minute)
	s.lives("bob")
	s.run(time.Minute)
	s.lives("carol")
	s.stands(held.Claims().ID, "carol", wire.StateAdmitted)
	s.stands(old.Claims().ID, "bob", "unknown")
	if r, _, err := s.submit("carol", func(c *mapping.Claims) { c.Lineage, c.First = held.Claims().Lineage, false }); err != nil || r.Held {
		t.Errorf("the new holder's next mapping: %+v, %v", r, err)
	}
}

// TestR17ReprovingIncumbentStays: the SIM swapper. The incumbent proves again.
func TestR17ReprovingIncumbentStays(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	s.run(time.Hour)
	held := s.claim("mallory")
	s.run(3 * day)
	if n, err := s.reprove(old, "bob"); n != 1 || err != nil {
		t.Fatalf("answers %d, %v", n, err)
	}
	if n, err := s.reprove(old, "mallory"); !errors.Is(err, mapping.ErrReproof) {
		t.Errorf("the claimant answers for the incumbent: %d, %v", n, err)
	}
	s.stands(held.Claims().ID, "mallory", wire.StateRefused)
	s.run(30 * day)
	s.lives("bob")
	// A second round goes to people, and nothing changes without them.
	again := s.claim("mallory")
	s.run(time.Hour)
	if n, err := s.reprove(old, "bob"); n != 1 || err != nil {
		t.Fatalf("answers %d, %v", n, err)
	}
	s.stands(again.Claims().ID, "mallory", wire.StateReview)
	// A third one is not heard.
	if _, _, err := s.submit("mallory", nil); !errors.Is(err, directory.ErrTooMany) {
		t.Errorf("a third claim: %v", err)
	}
	s.run(31 * day)
	s.lives("bob")
	s.stands(again.Claims().ID, "mallory", wire.StateRefused)
	// Its evidence is forgotten.
	s.run(precedence.Memory)
	if _, err := s.Sweep(t); err != nil {
		t.Fatal(err)
	}
	s.stands(again.Claims().ID, "mallory", "unknown")
}

// Sweep removes what is over.
func (s *story) Sweep(t *testing.T) (int, error) { return s.store.Sweep(t.Context(), s.Now, 100) }

func TestR17AnswersAreBoundAndFresh(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	s.claim("carol") // in the very second of the old evidence
	if n, err := s.reprove(old, "bob"); n != 0 || err != nil {
		t.Errorf("evidence of the second of the claim: answers %d, %v", n, err)
	}
	s.run(time.Second)
	if n, err := s.reprove(old, "bob"); n != 1 || err != nil {
		t.Errorf("a second later: answers %d, %v", n, err)
	}
	if n, err := s.reprove(old, "bob"); n != 1 || err != nil {
		t.Errorf("the same again: answers %d, %v", n, err)
	}
	s.lives("bob")
}

// TestR17HoldStandsStill: the DP is down for longer than the hold; or its provers
// are. The incumbent loses no hour of its time.
func TestR17HoldStandsStill(t *testing.T) {
	for name, pause := range map[string]func(*story){
		"the DP is down": func(s *story) { s.Now = s.Now.Add(20 * day) },
		"the provers are": func(s *story) {
			for range 20 * 24 {
				s.Now = s.Now.Add(time.Hour / 2)
				s.beat(true)
				s.Now = s.Now.Add(time.Hour / 2)
				s.beat(true)
			}
		},
		"the clock is set forward": func(s *story) { s.Now = s.Now.Add(3 * 365 * day / 12) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			old := s.enrol("bob")
			s.run(time.Hour)
			s.claim("carol")
			s.run(6 * day)
			pause(s)
			s.work()
			s.lives("bob")
			if a := s.stands(old.Claims().ID, "bob", wire.StateAdmitted); len(a.Claims) != 1 || a.Claims[0].Until < s.Now.Add(day-time.Hour).Unix() {
				t.Errorf("the incumbent hears %+v at %d", a.Claims, s.Now.Unix())
			}
			s.beat(false)
			s.run(day - time.Hour)
			s.lives("bob")
			s.run(2 * time.Hour)
			s.lives("carol")
		})
	}
}

// TestR17ClockSetBack: a clock that goes back, and one that was far ahead, lose
// nobody an hour and give nobody one.
func TestR17ClockSetBack(t *testing.T) {
	for name, jumps := range map[string][]time.Duration{
		"back by a day":               {-day},
		"ahead by 200 days, and back": {200 * day, -200 * day},
		"ahead, at work there, back":  {100 * day, 0, -100 * day},
		"back, and ahead again":       {-day, day},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.enrol("bob")
			s.run(time.Hour)
			s.claim("carol")
			s.run(2 * day)
			for _, jump := range jumps {
				s.Now = s.Now.Add(jump)
				s.beat(false)
				s.work()
				s.lives("bob")
			}
			s.run(5*day - time.Hour)
			s.lives("bob")
			s.run(time.Hour + time.Minute)
			s.lives("carol")
		})
	}
}

func TestR17WithdrawnWhileHeld(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	s.run(time.Hour)
	held := s.claim("carol")
	other := s.claim("mallory")
	statement, err := other.Claims().Withdraw(worldtest.Key(t, "mallory"), other.Digest(), s.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), statement, s.Now); err != nil {
		t.Errorf("the claimant withdraws: %v", err)
	}
	if err := s.Withdraw(t.Context(), statement, s.Now); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("and again: %v", err)
	}
	s.stands(other.Claims().ID, "mallory", wire.StateRefused)
	s.withdraw(t, old, "bob", nil)
	s.lives("carol") // at once: nobody is left to be asked
	s.stands(held.Claims().ID, "carol", wire.StateAdmitted)
}

// TestR17SecondAppJoins: the newcomer is the same person.
func TestR17SecondAppJoins(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	s.run(time.Hour)
	held := s.claim("tablet")
	if r, _, err := s.submitJoined(old, "bob", "tablet", mapping.Join, nil); err != nil || r.Held {
		t.Fatalf("%+v, %v", r, err)
	}
	s.lives("bob", "tablet")
	s.stands(held.Claims().ID, "tablet", wire.StateRefused)
	if a := s.stands(old.Claims().ID, "bob", wire.StateAdmitted); len(a.Claims) != 0 {
		t.Errorf("the person is asked still: %+v", a.Claims)
	}
	s.run(30 * day)
	s.lives("bob", "tablet")
	// Either key acts for the lineage.
	if r, _, err := s.submit("tablet", func(c *mapping.Claims) { c.Lineage, c.First = old.Claims().Lineage, false }); err != nil || r.Held {
		t.Errorf("%+v, %v", r, err)
	}
}

// submitJoined submits a mapping of newer's in the lineage of v, on v's receipts.
func (s *story) submitJoined(v mapping.Verified, older, newer string, kind mapping.StatementKind, bend func(*mapping.Claims)) (directory.Result, mapping.Unverified, error) {
	s.t.Helper()
	statement := s.statement(v, older, newer, kind)
	k := worldtest.Key(s.t, newer)
	terms, err := s.Offer(v.Claims().CSI, k.Public(), s.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	c := s.Claims(v.Claims().CSI, k.Public(), fmt.Sprintf("%s %x", newer, terms.Offer), worldtest.MSPB)
	c.DPNonce, c.Lineage, c.First = offer.Nonce(terms.Offer), v.Claims().Lineage, false
	if bend != nil {
		bend(&c)
	}
	u, err := c.Sign(k, v.Bundle().Receipts, s.Now, append(v.Bundle().Lineage, statement)...)
	if err != nil {
		s.t.Fatal(err)
	}
	if u, err = u.AddMSP(worldtest.Key(s.t, worldtest.MSPB), s.Now); err != nil {
		s.t.Fatal(err)
	}
	r, err := s.Submit(s.t.Context(), terms.Offer, u.Bundle(), s.Now)
	return r, u, err
}

func (s *story) statement(v mapping.Verified, older, newer string, kind mapping.StatementKind) []byte {
	s.t.Helper()
	b, err := mapping.Propose(kind, v.Claims().CSI, v.Claims().Lineage, worldtest.Key(s.t, older), worldtest.Key(s.t, newer).Public(), s.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	half, err := mapping.ParseProposal(b)
	if err != nil {
		s.t.Fatal(err)
	}
	if b, err = half.Accept(worldtest.Key(s.t, newer), s.Now); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// TestR19KeyIsHandedOver: the new key replaces the old one's mapping, and the old
// one acts no more.
func TestR19KeyIsHandedOver(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	second := func() mapping.Verified {
		r, _, err := s.submit("bob", func(c *mapping.Claims) { c.Lineage, c.First = old.Claims().Lineage, false })
		if err != nil {
			t.Fatal(err)
		}
		return s.verified(t, r)
	}()
	s.run(40 * day) // the evidence is old; it was admitted
	r, _, err := s.submitJoined(old, "bob", "phone", mapping.HandOver, next(old, nil))
	if err != nil || r.Held {
		t.Fatalf("%+v, %v", r, err)
	}
	s.lives("bob", "phone")
	followed := s.verified(t, r)
	if followed.Claims().Sequence != 1 || len(followed.Bundle().Lineage) != 1 {
		t.Errorf("%+v", followed.Claims())
	}
	for name, try := range map[string]func() error{
		"adds a mapping": func() error {
			_, _, err := s.submit("bob", func(c *mapping.Claims) { c.Lineage, c.First = old.Claims().Lineage, false })
			return err
		},
		"lets another key join": func() error {
			_, _, err := s.submitJoined(second, "bob", "tablet", mapping.Join, nil)
			return err
		},
		"hands over again": func() error {
			_, _, err := s.submitJoined(second, "bob", "mallory", mapping.HandOver, next(second, nil))
			return err
		},
		"proves again": func() error { _, err := s.reprove(second, "bob"); return err },
	} {
		if err := try(); !errors.Is(err, directory.ErrRetired) {
			t.Errorf("the old key %s: %v", name, err)
		}
	}
	if _, err := s.reprove(followed, "phone"); err != nil {
		t.Errorf("the new key proves again: %v", err)
	}
	s.withdraw(t, second, "bob", nil) // what it made, it can end
	s.lives("phone")
}

// TestR17Relations: what does not fit the order of its own lineage is refused,
// whoever sends it.
func TestR17Relations(t *testing.T) {
	s := newStory(t)
	v := s.enrol("bob")
	own := v.Claims()
	in := func(bend func(*mapping.Claims)) func(*mapping.Claims) {
		return func(c *mapping.Claims) { c.Lineage, c.First = own.Lineage, false; bend(c) }
	}
	for _, test := range []struct {
		name, holder string
		bend         func(*mapping.Claims)
	}{
		{"sequence skipped", "bob", next(v, func(c *mapping.Claims) { c.Sequence++ })},
		{"sequence repeated with other content", "bob", next(v, func(c *mapping.Claims) { c.Sequence, c.Predecessor = 0, mapping.Digest{} })},
		{"predecessor of another history", "bob", next(v, func(c *mapping.Claims) { c.Predecessor[0] ^= 1 })},
		{"next sequence by another key", "mallory", next(v, nil)},
		{"next sequence in another lineage", "bob", next(v, func(c *mapping.Claims) { c.Lineage[0] ^= 1 })},
		{"replaces what is not there", "bob", in(func(c *mapping.Claims) { c.Sequence, c.Predecessor = 3, mapping.Digest{1} })},
		{"starts the lineage again", "bob", func(c *mapping.Claims) { c.Lineage = own.Lineage }},
		{"in the lineage, by a key that has not joined", "mallory", in(func(*mapping.Claims) {})},
		{"a lineage that does not live", "mallory", func(c *mapping.Claims) { c.First = false }},
	} {
		if r, _, err := s.submit(test.holder, test.bend); !errors.Is(err, directory.ErrConflict) {
			t.Errorf("%s: %+v, %v", test.name, r, err)
		}
	}
	s.lives("bob")
}

// TestR16EventEndsWhatWasProvedBefore, at once, and nothing else.
func TestR16EventEndsWhatWasProvedBefore(t *testing.T) {
	s := newStory(t)
	id := worldtest.CSI(t, "mailto:"+address)
	hear := func(believed bool, at time.Time, name string) error {
		return s.Hear(t.Context(), id, precedence.Event{Kind: precedence.ChangedHands, At: at, Believed: believed}, []byte(name), "csip.example", s.Now)
	}
	old := s.enrol("bob")
	s.run(time.Hour)
	held := s.claim("mallory")
	s.run(time.Hour)
	if err := hear(true, s.Now.Add(time.Hour), "1"); !errors.Is(err, directory.ErrFutureEvent) {
		t.Errorf("an event of tomorrow: %v", err)
	}
	if err := hear(true, old.Claims().Issued, "2"); err != nil {
		t.Fatal(err)
	}
	s.lives("bob") // proved in the same second, not before
	for range 2 {  // delivered twice
		if err := hear(true, s.Now, "3"); err != nil {
			t.Fatal(err)
		}
	}
	s.lives()
	s.stands(held.Claims().ID, "mallory", wire.StateRefused)
	s.Now = s.Now.Add(-time.Second)
	if _, _, err := s.submit("mallory", nil); !errors.Is(err, directory.ErrBarred) {
		t.Errorf("evidence from before the event: %v", err)
	}
	s.Now = s.Now.Add(2 * time.Second)
	s.enrol("carol")
	s.lives("carol")
	// Nobody vouches for this one: it asks.
	s.run(time.Hour)
	if err := hear(false, s.Now, "4"); err != nil {
		t.Fatal(err)
	}
	s.work()
	s.lives("carol")
	if len(s.told.notices) < 4 {
		t.Errorf("carol was not told: %+v", s.told.notices)
	}
	s.run(7*day - time.Minute)
	s.lives("carol")
	s.run(2 * time.Minute)
	s.lives()
}

// TestR17EventHelpsTheNewHolder: with the CSIP's word the new holder is accepted
// at once.
func TestR17EventHelpsTheNewHolder(t *testing.T) {
	s := newStory(t)
	s.enrol("bob")
	s.run(100 * day)
	held := s.claim("carol")
	s.Now = s.Now.Add(time.Minute)
	if err := s.Hear(t.Context(), held.Claims().CSI, precedence.Event{Kind: precedence.ChangedHands, At: s.Now.Add(-day), Believed: true}, []byte("x"), "csip.example", s.Now); err != nil {
		t.Fatal(err)
	}
	s.lives("carol")
}

func TestNoticesAreToldUntilTheyAreHeard(t *testing.T) {
	s := newStory(t)
	s.enrol("bob")
	s.run(time.Hour)
	s.told.broken = errors.New("out of order")
	s.claim("carol")
	s.run(day)
	if len(s.told.notices) != 0 {
		t.Fatal("told")
	}
	s.told.broken = nil
	s.run(2 * time.Hour)
	if n := len(s.told.notices); n != 2 {
		t.Errorf("%d notices", n)
	}
	s.run(day)
	if n := len(s.told.notices); n != 2 {
		t.Errorf("told again: %d notices", n)
	}
}

func TestStandingTellsTheHolderAlone(t *testing.T) {
	s := newStory(t)
	old := s.enrol("bob")
	s.run(time.Hour)
	held := s.claim("carol")
	for id, stranger := range map[mapping.ID]string{old.Claims().ID: "carol", held.Claims().ID: "bob"} {
		if _, err := s.standing(id, stranger); !errors.Is(err, mapping.ErrQuestion) {
			t.Errorf("%s asks of %s: %v", stranger, id, err)
		}
	}
	if _, err := s.standing(mapping.ID{1}, "bob"); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestR17ClaimSurvivesFailedWrites lets each write of a claim's life fail, before
// it is made and after, and goes on.
func TestR17ClaimSurvivesFailedWrites(t *testing.T) {
	for _, fault := range []sqlstore.Fault{sqlstore.FailBefore, sqlstore.FailAfter} {
		s := newStory(t)
		s.enrol("bob")
		s.run(time.Hour)
		o, u := s.propose(t, "carol", nil, worldtest.MSPA)
		s.fault = fault
		if _, err := s.Submit(t.Context(), o, u.Bundle(), s.Now); err == nil {
			t.Fatal("the write did not fail")
		}
		s.fault = sqlstore.NoFault
		if r, err := s.Submit(t.Context(), o, u.Bundle(), s.Now); err != nil || !r.Held {
			t.Fatalf("again: %+v, %v", r, err)
		}
		s.run(7*day - time.Hour)
		s.lives("bob")
		for range 12 {
			s.Now = s.Now.Add(10 * time.Minute)
			s.beat(false)
			s.fault = fault
			_, _, _ = s.StepCases(t.Context(), s.Now) // what fails comes again
			s.fault = sqlstore.NoFault
		}
		s.run(time.Hour)
		s.lives("carol")
	}
}

// TestHolderIsRemindedBeforeTheEnd: of a mapping that lives for a hundred days,
// twice, by its MSP and by a message; and its status says so.
func TestHolderIsRemindedBeforeTheEnd(t *testing.T) {
	s := newStory(t)
	r, _, err := s.submit("bob", func(c *mapping.Claims) { c.Expires = s.Now.Add(100 * day) })
	if err != nil {
		t.Fatal(err)
	}
	v := s.verified(t, r)
	var heard []int // days before the end
	for range 99 {
		s.Now = s.Now.Add(day)
		s.beat(false)
		for more := true; more; {
			w, err := s.Step(t.Context(), s.Now)
			if err != nil {
				t.Fatal(err)
			}
			more = w.More
		}
		before := len(s.told.notices)
		s.work()
		for range s.told.notices[before:] {
			heard = append(heard, int(v.Claims().Expires.Sub(s.Now)/day))
		}
		left := v.Claims().Expires.Sub(s.Now)
		if a := s.stands(v.Claims().ID, "bob", wire.StateAdmitted); a.Prove != (left <= directory.Remind) {
			t.Errorf("%s before its end: told to prove: %v", left, a.Prove)
		}
	}
	if len(heard) != 4 || heard[0] != heard[1] || heard[0] > 30 || heard[0] < 26 || heard[2] != heard[3] || heard[2] > 7 || heard[2] < 3 {
		t.Errorf("heard %v days before the end", heard)
	}
	for _, n := range s.told.notices {
		if n.Kind != wire.NoticeExpiry || n.Mapping != v.Claims().ID || !n.Until.Equal(v.Claims().Expires) {
			t.Errorf("%+v", n)
		}
	}
}

// TestR17WhatIsWrittenIsWhole: the DP dies right after the write of an event, or of
// a withdrawal. What follows from it is in that write, or is due.
func TestR17WhatIsWrittenIsWhole(t *testing.T) {
	for name, last := range map[string]func(*story, mapping.Verified) error{
		"an event": func(s *story, _ mapping.Verified) error {
			e := precedence.Event{Kind: precedence.ChangedHands, At: s.Now.Add(-day), Believed: true}
			return s.Hear(s.t.Context(), worldtest.CSI(s.t, "mailto:"+address), e, []byte("x"), "csip.example", s.Now)
		},
		"a withdrawal": func(s *story, v mapping.Verified) error {
			statement, err := v.Claims().Withdraw(worldtest.Key(s.t, "bob"), v.Digest(), s.Now)
			if err != nil {
				s.t.Fatal(err)
			}
			return s.Withdraw(s.t.Context(), statement, s.Now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			old := s.enrol("bob")
			s.run(10 * day)
			s.claim("carol")
			s.fault = sqlstore.FailAfter // the first write is made, and nothing after it
			if err := last(s, old); err == nil {
				t.Fatal("the write did not fail")
			}
			s.fault = sqlstore.NoFault
			s.lives()
			s.work()
			s.lives("carol")
		})
	}
}
