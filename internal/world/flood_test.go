package world_test

import (
	"context"
	"errors"
	"testing"

	"whither/client"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// TestR16NewOwnerIsNotLockedOut is the story of Signal-Android #14763 and #12595:
// the old owner's phone has no number any more and stays online over Wi-Fi. It
// polls each day, which is no answer: it cannot read a code. The new owner waits for
// the hold and no longer.
func TestR16NewOwnerIsNotLockedOut(t *testing.T) {
	s := newStory(t)
	old := s.byNumber(t)
	v, err := s.byCodes(t, old)
	if err != nil {
		t.Fatal(err)
	}
	s.pass(t, 3)
	next := s.newHolder(t)
	if _, err := s.byCodes(t, next); err == nil {
		t.Fatal("two owners at once")
	}
	for range 8 {
		s.wantFound(t, "within the hold", old, old)
		s.standing(t, old, v.Claims().ID) // online
		if _, err := s.client(t).Refresh(t.Context(), worldtest.Party(t, world.DP), v.Claims().ID); err != nil {
			t.Fatal(err)
		}
		s.pass(t, 1)
		if a := s.ask(t, old.csi); len(a.Mappings) == 1 && a.Mappings[0].Claims().Holder == next.key.Public() {
			break
		}
	}
	s.wantFound(t, "after the hold", old, next)
	// #5558: the old registration does not work any more, not even when shown again.
	if _, err := s.client(t).Refresh(t.Context(), worldtest.Party(t, world.DP), v.Claims().ID); problem.KindOf(err) != problem.MappingUnknown {
		t.Errorf("the old one is renewed: %v", err)
	}
}

// TestR16BindingCanBeErased is the story of Sydent #485 and Synapse #4540: who has
// lost everything but the address proves that it is his, and what stood there ends,
// by the silence of who can prove nothing, never without being asked.
func TestR16BindingCanBeErased(t *testing.T) {
	s := newStory(t)
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err != nil {
		t.Fatal(err)
	}
	lost := s.holder
	s.holder.key = newKey(t)
	held := s.claim(t, s.holder)
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.mails(t, "somebody else says")); n != 1 {
		t.Errorf("asked by %d mails", n)
	}
	s.pass(t, 8)
	st := s.standing(t, s.holder, held.ID)
	if st.Mapping.IsZero() {
		t.Fatalf("after the hold: %s", st.State)
	}
	if err := s.client(t).Withdraw(t.Context(), st.Mapping, s.holder.key); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeNone {
		t.Errorf("something is left: %s", got.Outcome)
	}
	if _, err := s.client(t).Standing(t.Context(), worldtest.Party(t, world.DP), held.ID, lost.key); err == nil {
		t.Error("the lost key is told how the new mapping stands")
	}
}

// TestR17SIMSwapperIsHeld: somebody got a SIM card for bob's number by a trick, and
// waited until its operator says no more that it is new. His codes are as strong as
// bob's: bob is asked on his app, and once he has his number back, he answers.
func TestR17SIMSwapperIsHeld(t *testing.T) {
	s := newStory(t)
	bob := s.byNumber(t)
	v, err := s.byCodes(t, bob)
	if err != nil {
		t.Fatal(err)
	}
	s.pass(t, 1)
	s.Phones.ChangeSIM(people[0].Number)
	swapper := s.newHolder(t)
	if _, err := s.byCodes(t, swapper); problem.KindOf(err) != problem.SIMChanged {
		t.Fatalf("with a new card: %v", err)
	}
	s.pass(t, 10)
	if _, err := s.byCodes(t, swapper); err == nil {
		t.Fatal("the swapper has the number at once")
	}
	s.pass(t, 1)
	if st := s.standing(t, bob, v.Claims().ID); len(st.Claims) != 1 {
		t.Fatalf("bob is not asked: %+v", st)
	}
	r, err := s.client(t).Reprove(t.Context(), s.standing(t, bob, v.Claims().ID).Mapping, bob.key, possession.CodeMessage, desk.NewPerson(s.Desk, bob.csi), &client.Enrolment{}, silent)
	if err != nil || r.Answered != 1 {
		t.Fatalf("bob's answer: %+v, %v", r.Answered, err)
	}
	s.pass(t, 9)
	s.wantFound(t, "in the end", bob, bob)
}

// TestR17ChallengeFlood: somebody spends all challenges that a number may get. bob
// shows his mapping, has a budget of his own, and proves again.
func TestR17ChallengeFlood(t *testing.T) {
	s := newStory(t)
	bob := s.byNumber(t)
	v, err := s.byCodes(t, bob)
	if err != nil {
		t.Fatal(err)
	}
	s.pass(t, 1)
	claimant := s.newHolder(t)
	if _, err := s.byCodes(t, claimant); err == nil {
		t.Fatal("two holders at once")
	}
	s.pass(t, 1)
	limited := false
	for range 40 {
		stranger := s.newHolder(t)
		w := s.codes(t, stranger)
		_, err := s.client(t).Enrol(t.Context(), w, deaf{desk.NewPerson(s.Desk, stranger.csi)}, &client.Enrolment{}, silent)
		if problem.KindOf(err) == problem.Limited {
			limited = true
			break
		}
	}
	if !limited {
		t.Fatal("a flood of challenges without end")
	}
	r, err := s.client(t).Reprove(t.Context(), v, bob.key, possession.CodeMessage, desk.NewPerson(s.Desk, bob.csi), &client.Enrolment{}, silent)
	if err != nil || r.Answered != 1 {
		t.Errorf("in the flood: %+v, %v", r.Answered, err)
	}
	s.wantFound(t, "after the flood", bob, bob)
}

// errDeaf is what comes of a code that nobody reads.
var errDeaf = errors.New("nobody reads the code")

// deaf is somebody who asks for codes and answers none.
type deaf struct{ *desk.Person }

func (deaf) Code(context.Context, registry.PartyID, possession.Kind) (string, error) {
	return "", errDeaf
}
