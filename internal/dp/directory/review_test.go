package directory_test

import (
	"errors"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/wire"
)

// decide signs a reviewer's decision and hands it in.
func (s *story) decide(id mapping.ID, reviewer string, newcomer bool) (bool, error) {
	s.t.Helper()
	statement, err := docket.Decision{Case: id, Newcomer: newcomer, Reason: "seen both"}.Sign(worldtest.Key(s.t, reviewer), s.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.Judge(s.t.Context(), statement, s.Now)
}

// appeal is a claim by weaker evidence, of which its holder asks that people look
// at it: the federation counts level 2, and the incumbent has 4.
func (s *story) appeal(holder string) (directory.Result, mapping.Unverified, error) {
	s.t.Helper()
	o, u := s.propose(s.t, holder, nil, worldtest.MSPA)
	id := u.Claims().CSI
	var receipts [][]byte
	for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
		r := s.Receipt(id, worldtest.Key(s.t, holder).Public(), kind, s.Now)
		r.Level = possession.Level2
		receipts = append(receipts, s.SignReceipt(r, []string{worldtest.ProverA, worldtest.ProverB}[i]))
	}
	c := u.Claims()
	u = s.Propose(c, worldtest.Key(s.t, holder), receipts)
	if _, err := s.Submit(s.t.Context(), o, u.Bundle(), s.Now); !errors.Is(err, directory.ErrWeaker) {
		s.t.Errorf("without an appeal: %v", err)
	}
	r, err := s.Appeal(s.t.Context(), o, u.Bundle(), s.Now)
	return r, u, err
}

// TestR17ReviewNeedsTwo: a case between two with valid evidence, by the
// two-person rule, for each side.
func TestR17ReviewNeedsTwo(t *testing.T) {
	for _, newcomer := range []bool{false, true} {
		s := newStory(t)
		s.Record.Policy.Levels["mailto"] = 2
		s.Reviewers = []key.Public{worldtest.Key(t, "rita").Public(), worldtest.Key(t, "ralf").Public()}
		s.Quorum = 2
		old := s.enrol("bob")
		s.run(time.Hour)
		r, u, err := s.appeal("carol")
		if err != nil || !r.Review || r.Held {
			t.Fatalf("%+v, %v", r, err)
		}
		id := u.Claims().ID
		s.stands(id, "carol", wire.StateReview)
		files, err := s.Reviews(t.Context(), s.Now)
		if err != nil || len(files) != 1 || files[0].Row != precedence.RowWeaker || len(files[0].Incumbent) != 1 ||
			len(files[0].Incumbent[0].Bundles) != 1 || len(files[0].Newcomer.Bundles) != 1 || files[0].Incumbent[0].Proofs[0].Level != 4 {
			t.Fatalf("%+v, %v", files, err)
		}
		if _, err := s.decide(id, "mallory", newcomer); !errors.Is(err, docket.ErrDecision) {
			t.Errorf("a stranger decides: %v", err)
		}
		if _, err := s.decide(old.Claims().ID, "rita", newcomer); !errors.Is(err, directory.ErrUnknown) {
			t.Errorf("a decision on no case: %v", err)
		}
		for range 2 { // one voice, however often
			if decided, err := s.decide(id, "rita", newcomer); decided || err != nil {
				t.Fatal(decided, err)
			}
		}
		s.stands(id, "carol", wire.StateReview)
		if decided, err := s.decide(id, "ralf", !newcomer); decided || err != nil {
			t.Fatal(decided, err)
		}
		if f, err := s.CaseFile(t.Context(), id, s.Now); err != nil || len(f.Decisions) != 2 {
			t.Errorf("%+v, %v", f, err)
		}
		if decided, err := s.decide(id, "ralf", newcomer); !decided || err != nil {
			t.Fatal(decided, err)
		}
		if _, err := s.decide(id, "ralf", newcomer); !errors.Is(err, docket.ErrClosed) {
			t.Errorf("a decision on a closed case: %v", err)
		}
		if !newcomer {
			s.stands(id, "carol", wire.StateRefused)
			s.run(10 * day)
			s.lives("bob")
			continue
		}
		// Nobody but herself or the CSIP ends her mapping: she ends by her own word.
		s.lives("bob", "carol")
		s.stands(old.Claims().ID, "bob", wire.StateLeaving)
		s.run(7*day + time.Hour)
		s.lives("carol")
	}
}
