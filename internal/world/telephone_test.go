package world_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// byNumber is the holder by her number.
func (s *scene) byNumber(t *testing.T) person {
	t.Helper()
	p := s.holder
	p.csi = worldtest.CSI(t, "tel:"+people[0].Number)
	return p
}

// enrolNumber enrols the holder's number with what h does for her.
func (s *scene) enrolNumber(t *testing.T, kind possession.Kind, h client.Holder) (mapping.Verified, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w := s.wish(t, s.byNumber(t))
	w.Evidence = kind
	done, err := s.client(t).Enrol(ctx, w, h, &client.Enrolment{}, silent)
	return done.Mapping, err
}

// TestR01NumberByWhoSpeaksForIt enrols a number by what its carrier signs, by a
// certificate that was delegated for it, and by an authority's token: level 4,
// without a message or a call.
func TestR01NumberByWhoSpeaksForIt(t *testing.T) {
	for _, kind := range []possession.Kind{possession.PassportKey, possession.Delegate, possession.TNToken} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newScene(t, nil)
			p := s.byNumber(t)
			v, err := s.enrolNumber(t, kind, desk.NewPerson(s.Desk, p.csi))
			if err != nil {
				t.Fatal(err)
			}
			if v.Evidence().Level != possession.Level4 {
				t.Errorf("level %d", v.Evidence().Level)
			}
			if got := s.ask(t, p.csi); got.Outcome != wire.OutcomeOne || got.Mappings[0].Digest() != v.Digest() {
				t.Errorf("found: %s", got.Outcome)
			}
			if n := s.Operator.Asked(); n != 2 {
				t.Errorf("the number's operator was asked %d times by two provers", n)
			}
		})
	}
}

// forger is a person whose number is another's: what is signed for her names her
// own.
type forger struct {
	*desk.Person
	own string // digits
}

func (f forger) Attest(ctx context.Context, prover registry.PartyID, a client.Attestation) ([]byte, error) {
	a.Number = f.own
	return f.Person.Attest(ctx, prover, a)
}

// TestR01WhoSpeaksForAnotherNumber: what a carrier signs of another number of its
// own proves nothing about this one.
func TestR01WhoSpeaksForAnotherNumber(t *testing.T) {
	s := newScene(t, nil)
	s.Phones.Connect("+41791110000")
	for _, kind := range []possession.Kind{possession.PassportKey, possession.Delegate, possession.TNToken} {
		h := forger{desk.NewPerson(s.Desk, s.byNumber(t).csi), "41791110000"}
		if _, err := s.enrolNumber(t, kind, h); problem.KindOf(err) != problem.STIRNumber {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestR01SIMSwapperEnrolsNothing: who got a number's new SIM card a moment ago can
// read its codes, send from it and call from it, and enrols nothing.
func TestR01SIMSwapperEnrolsNothing(t *testing.T) {
	s := newScene(t, nil)
	s.Phones.ChangeSIM(people[0].Number)
	for _, kind := range []possession.Kind{
		possession.CodeMessage, possession.SignedCall, possession.SIPMessage, possession.PassportKey, possession.TNToken,
	} {
		_, err := s.enrolNumber(t, kind, desk.NewPerson(s.Desk, s.byNumber(t).csi))
		// Her phone may be told before her app is.
		if err == nil || problem.KindOf(err) != problem.SIMChanged && !strings.Contains(err.Error(), problem.SIMChanged.Row().Title) {
			t.Errorf("%s: %v", kind, err)
		}
		s.add(time.Hour) // for the caps on challenges
	}
	if got := s.ask(t, s.byNumber(t).csi); got.Outcome != wire.OutcomeNone {
		t.Errorf("found: %s", got.Outcome)
	}
}
