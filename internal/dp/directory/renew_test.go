package directory_test

import (
	"fmt"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/registry"
)

// TestStepIsBounded: a step does a little, a pass does all, and what cannot be
// renewed keeps nobody behind it waiting.
func TestStepIsBounded(t *testing.T) {
	b := newBench(t)
	snapshot := b.Snapshot()
	b.Directory.Snapshot = func() *registry.Snapshot { return snapshot }
	admit := func(msp string, n int, at time.Time) {
		t.Helper()
		policy := mapping.PolicyAt(snapshot, at)
		for i := range n {
			name := fmt.Sprintf("%s-%d", msp, i)
			id, k := worldtest.CSI(t, "mailto:"+name+"@example.org"), worldtest.Key(t, name)
			p, err := policy.VerifyProposal(b.Propose(b.Claims(id, k.Public(), name, msp), k, b.MailReceipts(id, k.Public(), b.Now)))
			if err != nil {
				t.Fatal(err)
			}
			v, err := p.Finish(worldtest.Key(t, worldtest.DP), at, at.Add(mapping.MaxDPLife), mapping.FoundFirst)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.store.Admit(t.Context(), v, nil, at.Add(time.Hour), at); err != nil {
				t.Fatal(err)
			}
		}
	}
	const refused, good = 100, 70
	admit(worldtest.MSPA, refused, b.Now)
	admit(worldtest.MSPB, good, b.Now.Add(time.Second))
	b.Grant(worldtest.MSPA).Standing = registry.Standing{State: registry.Expelled, Since: 1}
	b.Record.Version++
	b.Now = b.Now.Add(4 * 24 * time.Hour)
	snapshot = b.Snapshot()
	var all directory.Work
	steps := 0
	for more := true; more; steps++ {
		w, err := b.Step(t.Context(), b.Now)
		if err != nil {
			t.Fatal(err)
		}
		if done := w.Renewed + w.Refused; done > 64 {
			t.Errorf("a step judged %d mappings", done)
		}
		all.Add(w)
		more = w.More
	}
	if want := (directory.Work{Renewed: good, Refused: refused}); all != want || steps < 3 {
		t.Errorf("%+v in %d steps, want %+v", all, steps, want)
	}
	// The next pass begins from the start.
	if w, err := b.Step(t.Context(), b.Now); err != nil || w.Refused == 0 || w.Renewed != 0 {
		t.Errorf("next pass: %+v, %v", w, err)
	}
}
