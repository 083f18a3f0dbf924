package attack_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"whither/internal/world/attack"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/internal/world/worldtest"
)

var update = flag.Bool("update", false, "write the tables in docs/trust.md")

func newStage(t *testing.T) *stage.Stage {
	t.Helper()
	s, err := stage.New(worldtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestR04Controls: every strategy succeeds with each set that it needs, and with
// no member of it missing. So what fails elsewhere fails for want of a key.
func TestR04Controls(t *testing.T) {
	trial := attack.Trial{Stage: newStage(t)}
	try := func(s attack.Strategy, owned cast.Set) attack.Outcome {
		o, err := trial.Try(s, owned)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, s := range attack.Strategies() {
		if len(s.Needs) == 0 {
			t.Errorf("%s: nothing with which it succeeds", s)
		}
		for _, need := range s.Needs {
			if o := try(s, need); !o.Done {
				t.Errorf("%s, with %s: refused by %v", s, need, o.Checks)
			}
			for _, p := range need.List() {
				if try(s, need&^cast.Of(p)).Done {
					t.Errorf("%s: with %s, and without %s, it succeeds", s, need, p)
				}
			}
		}
	}
}

// TestR04Coalitions: what each coalition achieves is what the trust rule concedes
// to it, no more and no less; and docs/trust.md says so.
func TestR04Coalitions(t *testing.T) {
	trial := attack.Trial{Stage: newStage(t)}
	all := cast.Coalitions()
	if raced {
		all = slices.DeleteFunc(all, func(s cast.Set) bool { return s.Len() > 1 })
	}
	r, err := run(&trial, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, owned := range r.coalitions {
		conceded, got := expected(owned), r.achieved(i)
		for j, s := range r.strategies {
			if r.outcomes[j][i].Done && !slices.Contains(conceded, s.Effect()) {
				t.Errorf("%s succeeds with: %s", owned, s)
			}
		}
		for _, e := range conceded {
			if !slices.Contains(got, e) {
				t.Errorf("%s: conceded and not achieved: %+v", owned, e)
			}
		}
	}
	if !raced {
		document(t, r.table())
	}
}

// TestR04Remembered: what a trial remembers is what it finds when it tries again, for
// each party alone, and with WHITHER_LONG=1 for every two. By which check an attack is
// refused can differ: claims count at the DP.
func TestR04Remembered(t *testing.T) {
	size := 1
	if os.Getenv("WHITHER_LONG") == "1" {
		size = 2
	}
	coalitions := slices.DeleteFunc(cast.Coalitions(), func(s cast.Set) bool { return s.Len() > size })
	s := newStage(t)
	remembered, err := run(&attack.Trial{Stage: s}, coalitions)
	if err != nil {
		t.Fatal(err)
	}
	again, err := run(&attack.Trial{Stage: s, Whole: true}, coalitions)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range remembered.strategies {
		for j, owned := range coalitions {
			if was, is := remembered.outcomes[i][j].Done, again.outcomes[i][j].Done; was != is {
				t.Errorf("%s, with %s: remembered %t, tried again %t", s, owned, was, is)
			}
		}
	}
}

// TestR05NoDPVouches: whatever else is in its hands, a DP gets no mapping believed
// without two provers, or what stands for them.
func TestR05NoDPVouches(t *testing.T) {
	trial := attack.Trial{Stage: newStage(t)}
	for _, owned := range []cast.Set{
		cast.Of(cast.DP), cast.Of(cast.DP, cast.MSP, cast.ForeignMSP), cast.Of(cast.DP, cast.ProverA, cast.MSP),
		cast.Of(cast.DP, cast.ObserverA, cast.ObserverB, cast.MSP), cast.Of(cast.DP, cast.Archive, cast.Neighbour, cast.MSP, cast.ForeignMSP),
		cast.Of(cast.DP, cast.ProverA, cast.Archive, cast.Neighbour, cast.MSP, cast.ForeignMSP),
	} {
		for _, s := range attack.Strategies() {
			if s.Goal == attack.Revive {
				continue // of what was true once
			}
			o, err := trial.Try(s, owned)
			if err != nil {
				t.Fatal(err)
			}
			if o.Done {
				t.Errorf("%s succeeds with: %s", owned, s)
			}
			if len(o.Checks) == 0 {
				t.Errorf("%s: %s: refused by nothing", owned, s)
			}
		}
	}
}

// TestR05OneProverAndWhomItHandsAKey: an artefact and a key of one prover's making
// become no second word by being judged once more, whatever is said beside them of
// other keys.
func TestR05OneProverAndWhomItHandsAKey(t *testing.T) {
	trial, tried := attack.Trial{Stage: newStage(t)}, 0
	for _, s := range attack.Strategies() {
		if !strings.HasSuffix(s.Name, ", rechecked") {
			continue
		}
		for _, owned := range []cast.Set{cast.Of(cast.ProverA), cast.Of(cast.DP, cast.ProverB, cast.MSP), cast.Of(cast.Archive, cast.ProverX), cast.Of(cast.DP, cast.ObserverA, cast.ObserverB)} {
			o, err := trial.Try(s, owned)
			if err != nil {
				t.Fatal(err)
			}
			if tried++; o.Done {
				t.Errorf("%s succeeds with: %s", owned, s)
			}
		}
	}
	if tried == 0 {
		t.Fatal("nothing was tried")
	}
}

// The marks around the tables in docs/trust.md.
const (
	page  = "../../../docs/trust.md"
	begin = "<!-- coalitions: written by go test ./internal/world/attack -update -->\n"
	end   = "<!-- end of coalitions -->\n"
)

// document holds the page against the tables, or writes them into it.
func document(t *testing.T, tables string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	old, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s: no marks for the tables", page)
	}
	if old == tables {
		return
	}
	if !*update {
		t.Fatalf("%s: the tables are stale: run go test ./internal/world/attack -update", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+tables+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}
