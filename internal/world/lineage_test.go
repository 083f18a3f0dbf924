package world_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"whither/client"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/wire"
)

// day is one of the days that these stories let pass.
const day = 24 * time.Hour

// newStory is a scene in which days pass.
func newStory(t *testing.T) *scene {
	t.Helper()
	return newSceneWith(t, func(c *world.Config) { c.Grace = 2 * day })
}

// pass lets days go by, on each of which every party does what is due.
func (s *scene) pass(t *testing.T, days int) {
	t.Helper()
	for range days {
		s.add(day)
		if err := s.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func newKey(t *testing.T) key.Private {
	t.Helper()
	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// standing is how a person's mapping stands.
func (s *scene) standing(t *testing.T, p person, id mapping.ID) client.Standing {
	t.Helper()
	st, err := s.client(t).Standing(t.Context(), worldtest.Party(t, world.DP), id, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// reprove has a person prove again.
func (s *scene) reprove(t *testing.T, p person, v mapping.Verified) (client.Reproof, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return s.client(t).Reprove(ctx, v, p.key, 0, desk.NewPerson(s.Desk, p.csi), &client.Enrolment{}, silent)
}

// claim enrols a person who is held.
func (s *scene) claim(t *testing.T, p person) *client.Held {
	t.Helper()
	_, err := s.enrol(t, p, &client.Enrolment{})
	var held *client.Held
	if !errors.As(err, &held) {
		t.Fatalf("a claim: %v", err)
	}
	return held
}

// found are the holders that an asker finds.
func (s *scene) found(t *testing.T, p person) []key.Public {
	t.Helper()
	a := s.ask(t, p.csi)
	if len(a.Refused) > 0 {
		t.Errorf("an answer held what is not true: %v", a.Refused[0].Reason)
	}
	var out []key.Public
	for _, m := range a.Mappings {
		out = append(out, m.Claims().Holder)
	}
	return out
}

func (s *scene) wantFound(t *testing.T, when string, p person, want ...person) {
	t.Helper()
	got := s.found(t, p)
	ok := len(got) == len(want)
	for _, w := range want {
		there := false
		for _, k := range got {
			there = there || k == w.key.Public()
		}
		ok = ok && there
	}
	if !ok {
		t.Errorf("%s: %d mappings are found, want %d of others", when, len(got), len(want))
	}
}

// TestR19SecondAppJoins: bob's second app joins the lineage of the first on the
// word of both, with nothing proved again. Both live, nobody is asked, and each
// can be withdrawn without the other.
func TestR19SecondAppJoins(t *testing.T) {
	s := newStory(t)
	first, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	second := s.person(t, people[0], world.MSPC, newKey(t))
	proposal, err := mapping.Propose(mapping.Join, s.holder.csi, first.Claims().Lineage, s.holder.key, second.key.Public(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := mapping.ParseProposal(proposal)
	if err != nil {
		t.Fatal(err)
	}
	w := s.wish(t, second)
	w.Beside = &first
	if w.Statement, err = p.Accept(second.key, s.now()); err != nil {
		t.Fatal(err)
	}
	done, err := s.client(t).Enrol(t.Context(), w, nil, &client.Enrolment{}, silent)
	if err != nil {
		t.Fatal(err)
	}
	if c := done.Mapping.Claims(); c.Lineage != first.Claims().Lineage || c.Expires.After(first.Claims().Expires) {
		t.Error("the second app starts a lineage of its own, or outlives its evidence")
	}
	s.wantFound(t, "joined", s.holder, s.holder, second)
	if st := s.standing(t, s.holder, first.Claims().ID); len(st.Claims) != 0 || st.State != wire.StateAdmitted {
		t.Errorf("the first is asked: %+v", st)
	}
	if err := s.client(t).Withdraw(t.Context(), first, s.holder.key); err != nil {
		t.Fatal(err)
	}
	s.wantFound(t, "the first withdrawn", s.holder, second)
	// It can be replaced by its own key, with the same evidence.
	w.Replaces, w.Beside, w.Statement, w.Tags = &done.Mapping, nil, nil, nil
	if _, err := s.client(t).Enrol(t.Context(), w, nil, &client.Enrolment{}, silent); err != nil {
		t.Errorf("replaced: %v", err)
	}
}

// TestR19KeyIsHandedOver: after a hand-over the new key has the mapping, and the
// old one nothing.
func TestR19KeyIsHandedOver(t *testing.T) {
	s := newStory(t)
	old, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	was := s.holder
	s.holder.key = newKey(t)
	proposal, err := mapping.Propose(mapping.HandOver, was.csi, old.Claims().Lineage, was.key, s.holder.key.Public(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := mapping.ParseProposal(proposal)
	if err != nil {
		t.Fatal(err)
	}
	w := s.wish(t, s.holder)
	w.Replaces = &old
	if w.Statement, err = p.Accept(s.holder.key, s.now()); err != nil {
		t.Fatal(err)
	}
	done, err := s.client(t).Enrol(t.Context(), w, nil, &client.Enrolment{}, silent)
	if err != nil {
		t.Fatal(err)
	}
	if c := done.Mapping.Claims(); c.ID != old.Claims().ID || c.Sequence != 1 {
		t.Error("not the next of the same mapping")
	}
	s.wantFound(t, "handed over", s.holder, s.holder)
	w = s.wish(t, was)
	w.Replaces = &old
	if _, err := s.client(t).Enrol(t.Context(), w, nil, &client.Enrolment{}, silent); err == nil {
		t.Error("the old key replaces the mapping")
	}
	if _, err := s.client(t).Standing(t.Context(), worldtest.Party(t, world.DP), old.Claims().ID, was.key); err == nil {
		t.Error("the old key is told how the mapping stands")
	}
	if err := s.client(t).Withdraw(t.Context(), done.Mapping, s.holder.key); err != nil {
		t.Error(err)
	}
}

// TestR19KeyIsLost: bob has lost his key. He proves possession anew; the lost key
// is asked for seven days, stays silent, and he is found again under the new one.
func TestR19KeyIsLost(t *testing.T) {
	s := newStory(t)
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err != nil {
		t.Fatal(err)
	}
	lost := s.holder
	s.holder.key = newKey(t)
	began := s.now().Add(-time.Second) // the DP's times are whole seconds
	held := s.claim(t, s.holder)
	if d := held.Until.Sub(began); d < 7*day || d > 8*day {
		t.Errorf("held for %s", d)
	}
	s.wantFound(t, "while it is held", s.holder, lost)
	if st := s.standing(t, s.holder, held.ID); st.State != wire.StateHeld || !st.Mapping.IsZero() {
		t.Errorf("while it is held: %+v", st.State)
	}
	s.pass(t, 8)
	st := s.standing(t, s.holder, held.ID)
	if st.State != wire.StateAdmitted || st.Mapping.IsZero() {
		t.Fatalf("after the hold: %s", st.State)
	}
	s.wantFound(t, "after the hold", s.holder, s.holder)
}

// TestR17HospitalStay: bob cannot be reached for three weeks, and somebody else
// with the same evidence claims his address. While his app is online and says
// nothing it is no answer; he comes back too late, and has the same right to claim
// it back.
func TestR17HospitalStay(t *testing.T) {
	s := newStory(t)
	v, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	other := s.holder
	other.key = newKey(t)
	held := s.claim(t, other)
	for range 3 { // his client polls, as it does daily; nobody looks at it
		s.pass(t, 2)
		if st := s.standing(t, s.holder, v.Claims().ID); len(st.Claims) != 1 || st.Claims[0].Answered {
			t.Fatalf("he is told: %+v", st.Claims)
		}
		s.wantFound(t, "while he is asked", s.holder, s.holder)
	}
	s.pass(t, 15)
	if st := s.standing(t, other, held.ID); st.State != wire.StateAdmitted {
		t.Errorf("after three weeks of silence: %s", st.State)
	}
	s.wantFound(t, "after three weeks", s.holder, other)
	if _, err := s.reprove(t, s.holder, v); err == nil {
		t.Error("a re-proof of what has ended")
	}
	// He is well again, and still has the address.
	back := s.claim(t, s.holder)
	s.pass(t, 8)
	if n := len(s.mails(t, "somebody else says")); n != 2 {
		t.Errorf("%d messages to the address", n)
	}
	if st := s.standing(t, s.holder, back.ID); st.State != wire.StateAdmitted {
		t.Errorf("his own claim: %s", st.State)
	}
}

// TestR17ReprovingIncumbentStays: bob proves again while he is asked; the claim
// comes to nothing, and nothing of it is left in what askers see. As often as he is
// claimed against, he stays or people decide.
func TestR17ReprovingIncumbentStays(t *testing.T) {
	s := newStory(t)
	v, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	s.pass(t, 10)
	v = s.standing(t, s.holder, v.Claims().ID).Mapping
	other := s.holder
	other.key = newKey(t)
	held := s.claim(t, other)
	s.pass(t, 1)
	r, err := s.reprove(t, s.holder, v)
	if err != nil || r.Answered != 1 {
		t.Fatalf("re-proof: %+v, %v", r.Answered, err)
	}
	if st := s.standing(t, other, held.ID); st.State != wire.StateRefused {
		t.Errorf("the claim: %s", st.State)
	}
	s.wantFound(t, "stopped", s.holder, s.holder)
	again := s.claim(t, other)
	s.pass(t, 1)
	if _, err := s.reprove(t, s.holder, v); err != nil {
		t.Fatal(err)
	}
	if st := s.standing(t, other, again.ID); st.State != wire.StateReview {
		t.Errorf("in the second round: %s", st.State)
	}
	s.pass(t, 8)
	s.wantFound(t, "under review", s.holder, s.holder)
}
