package world_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"whither/client"
	"whither/client/choice"
	"whither/client/offline"
	"whither/csi"
	"whither/internal/msp"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// close closes the holder's account at an MSP, and lets the world do what is due.
func (s *scene) close(t *testing.T, name string) {
	t.Helper()
	if err := msp.CloseAccount(t.Context(), s.Path(name), msp.Settings{}, people[0].Name); err != nil {
		t.Fatal(err)
	}
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// chosen is where a message to the holder goes.
func (s *scene) chosen(t *testing.T, a client.Answer, snapshot *registry.Snapshot) registry.PartyID {
	t.Helper()
	var set []choice.Mapping
	for _, m := range a.Mappings {
		set = append(set, choice.From(m.Verified, snapshot))
	}
	heard := choice.Heard{Answered: []registry.PartyID{worldtest.Party(t, world.DP)}, Whole: true}
	return choice.Decide(choice.Question{CSI: a.CSI, Heard: heard}, set, choice.Past{}).Place.Provider
}

// TestR09EntriesDieOneByOne: of a person with two MSPs, one closes her account and
// then the other. Look-ups and choice follow each time, and in the end the answer
// is "ended", not "not to be found" and not "nobody".
func TestR09EntriesDieOneByOne(t *testing.T) {
	s := newScene(t, nil)
	both := s.holder
	other := s.person(t, people[0], world.MSPC, both.key)
	w := s.wish(t, both)
	w.MSPs = append(w.MSPs, other.msp)
	w.Tokens[other.msp] = other.token
	done, err := s.client(t).Enrol(t.Context(), w, desk.NewPerson(s.Desk, both.csi), &client.Enrolment{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	snapshot := source.Snapshot()
	if got := s.ask(t, both.csi); got.Outcome != wire.OutcomeSeveral {
		t.Fatalf("with two: %s", got.Outcome)
	}

	s.close(t, world.MSPA)
	got := s.ask(t, both.csi)
	if got.Outcome != wire.OutcomeOne || len(got.Mappings) != 1 || len(got.Mappings[0].Living()) != 1 {
		t.Fatalf("after the first: %s, %d refused", got.Outcome, len(got.Refused))
	}
	if at := s.chosen(t, got, snapshot); at != other.msp {
		t.Errorf("chosen: %s", at)
	}
	if len(s.hints(t, both)) != 1 || s.hints(t, both)[0] != other.msp {
		t.Errorf("compact: %v", s.hints(t, both))
	}
	s.exported(t, got.Mappings[0], other.msp)
	s.add(4 * 24 * time.Hour)
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got = s.ask(t, both.csi); got.Outcome != wire.OutcomeOne || !got.Mappings[0].Until().After(done.Mapping.Until()) || len(got.Mappings[0].Living()) != 1 {
		t.Errorf("renewed: %s", got.Outcome)
	}

	s.close(t, world.MSPC)
	if got = s.ask(t, both.csi); got.Outcome != wire.OutcomeEnded || len(got.Mappings) != 1 || len(got.Mappings[0].Living()) != 0 {
		t.Fatalf("after the second: %s", got.Outcome)
	}
	if at := s.chosen(t, got, snapshot); !at.IsZero() {
		t.Errorf("chosen, though every entry has ended: %s", at)
	}
	if hints := s.hints(t, both); len(hints) != 0 {
		t.Errorf("compact: %v", hints)
	}
	until := got.Mappings[0].Until()
	s.add(4 * 24 * time.Hour)
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got = s.ask(t, both.csi); got.Outcome != wire.OutcomeEnded || !got.Mappings[0].Until().Equal(until) {
		t.Errorf("four days later: %s", got.Outcome)
	}
	if _, err := s.client(t).Refresh(t.Context(), worldtest.Party(t, world.DP), done.Mapping.Claims().ID); !errors.Is(err, problem.Error(problem.EntryEnded)) {
		t.Errorf("renewal of what has ended: %v", err)
	}
	s.add(4 * 24 * time.Hour)
	if got = s.ask(t, both.csi); got.Outcome != wire.OutcomeNone || len(got.Refused) != 0 {
		t.Errorf("when nobody can verify it any more: %s, %d refused", got.Outcome, len(got.Refused))
	}
}

// hints are the MSPs of a compact answer.
func (s *scene) hints(t *testing.T, p person) []registry.PartyID {
	t.Helper()
	answers, err := s.client(t).Lookup(t.Context(), s.asker.msp, s.asker.token, client.Query{CSIs: []csi.ID{p.csi}, Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	return answers.Answers[0].Hint
}

// exported verifies an export of a mapping offline: the end is in it.
func (s *scene) exported(t *testing.T, m client.Located, living registry.PartyID) {
	t.Helper()
	file, err := os.ReadFile(s.RegistryPath())
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(s.RootPath())
	if err != nil {
		t.Fatal(err)
	}
	export, err := offline.New(m.Verified, file).Encode()
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := offline.Verify(export, root, s.now())
	if err != nil || len(v.Living()) != 1 || v.Living()[0].Provider != living {
		t.Errorf("exported: %v, %v", v.Living(), err)
	}
}
