package precedence_test

import (
	"testing"
	"time"

	"whither/internal/dp/precedence"
	"whither/key"
	"whither/mapping"
	"whither/possession"
)

const day = 24 * time.Hour

var (
	start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	older = mapping.Lineage{1}
	newer = mapping.Lineage{2}
	third = mapping.Lineage{3}
)

func at(t time.Time) precedence.Clock { return precedence.Clock{Now: t, Served: t} }

func lineage(id mapping.Lineage, level possession.Level, proved time.Time) precedence.Lineage {
	return precedence.Lineage{ID: id, Proofs: []precedence.Proof{{Level: level, At: proved}}, Term: 7 * day}
}

func newcomer(id mapping.Lineage, level possession.Level, proved time.Time) precedence.Newcomer {
	return precedence.Newcomer{
		ID: mapping.ID(id), Lineage: id, Holder: key.ID(id), Family: "code",
		Proof: precedence.Proof{Level: level, At: proved}, Expires: proved.Add(365 * day),
	}
}

// TestR17TableRowByRow goes through the table: each row, and what stands next
// to its edge.
func TestR17TableRowByRow(t *testing.T) {
	old := start.Add(-100 * day)
	one := []precedence.Lineage{lineage(older, 3, old)}
	event := func(kind precedence.EventKind, at time.Time, believed bool) []precedence.Event {
		return []precedence.Event{{Kind: kind, At: at, Believed: believed}}
	}
	past := func(phase precedence.Phase, level possession.Level, opened time.Time) precedence.Claim {
		return precedence.Claim{
			ID: mapping.ID(newer), Lineage: newer, Holder: key.ID(newer), Family: "code",
			Proof: precedence.Proof{Level: level, At: opened}, Opened: opened, Phase: phase,
		}
	}
	twice := []precedence.Claim{past(precedence.Stopped, 3, start.Add(-30*day)), past(precedence.Stopped, 3, start.Add(-20*day))}
	fresh := newcomer(newer, 3, start)
	with := func(bend func(*precedence.Newcomer)) precedence.Newcomer { n := fresh; bend(&n); return n }
	level := func(l possession.Level) precedence.Newcomer { return newcomer(newer, l, start) }
	tests := []struct {
		name     string
		given    precedence.Case
		newcomer precedence.Newcomer
		row      precedence.Row
		verdict  precedence.Verdict
	}{
		{"nobody", precedence.Case{Complete: true}, fresh, 1, precedence.Accept},
		{"nobody here, and not every DP was heard", precedence.Case{}, fresh, 1, precedence.Provisional},
		{"next sequence", precedence.Case{Lineages: one}, with(func(n *precedence.Newcomer) { n.Relation = precedence.Successor; n.Proof.At = old }), 2, precedence.Accept},
		{"a key of the lineage", precedence.Case{Lineages: one}, with(func(n *precedence.Newcomer) { n.Relation = precedence.Member; n.Proof.At = old }), 3, precedence.Accept},
		{"ended by an event, newcomer proved after it", precedence.Case{Lineages: one, Events: event(precedence.ChangedHands, start.Add(-day), true)}, level(2), 5, precedence.Accept},
		{"released, newcomer proved after it", precedence.Case{Lineages: one, Events: event(precedence.Released, start.Add(-day), true)}, level(2), 5, precedence.Accept},
		{"ported is nobody's end", precedence.Case{Lineages: one, Events: event(precedence.Ported, start.Add(-day), true)}, fresh, 7, precedence.Hold},
		{"an event that nobody vouches for ends nothing", precedence.Case{Lineages: one, Events: event(precedence.ChangedHands, start.Add(-day), false)}, fresh, 7, precedence.Hold},
		{"an event before the incumbent's evidence ends nothing", precedence.Case{Lineages: one, Events: event(precedence.ChangedHands, old, true)}, fresh, 7, precedence.Hold},
		{"an event after both", precedence.Case{Lineages: one, Events: event(precedence.ChangedHands, start.Add(time.Second), true)}, fresh, 11, precedence.Refuse},
		{"an event after the newcomer alone bars it too", precedence.Case{Events: event(precedence.Released, start.Add(time.Second), true), Complete: true}, fresh, 11, precedence.Refuse},
		{"stricter", precedence.Case{Lineages: one}, level(4), 6, precedence.Hold},
		{"equal", precedence.Case{Lineages: one}, level(3), 7, precedence.Hold},
		{"weaker", precedence.Case{Lineages: one}, level(2), 8, precedence.Refuse},
		{"weaker, with an appeal", precedence.Case{Lineages: one}, func() precedence.Newcomer { n := level(2); n.Appeal = true; return n }(), 8, precedence.Review},
		{"stricter than one of two", precedence.Case{Lineages: append(one, lineage(third, 4, old))}, level(4), 7, precedence.Hold},
		{"weaker than a re-proof", precedence.Case{Lineages: []precedence.Lineage{{ID: older, Proofs: []precedence.Proof{{Level: 2, At: old}, {Level: 4, At: start}}}}}, fresh, 8, precedence.Refuse},
		{"evidence of yesterday", precedence.Case{Lineages: one}, newcomer(newer, 4, start.Add(-day)), 6, precedence.Hold},
		{"evidence older than a day", precedence.Case{Lineages: one}, newcomer(newer, 4, start.Add(-day-time.Second)), 10, precedence.Refuse},
		{"evidence older than a day, nobody there", precedence.Case{Complete: true}, newcomer(newer, 4, start.Add(-day-time.Second)), 10, precedence.Refuse},
		{"third claim", precedence.Case{Lineages: one, Claims: twice}, fresh, 12, precedence.Refuse},
		{"third claim, stricter than those before", precedence.Case{Lineages: one, Claims: twice}, level(4), 6, precedence.Hold},
		{"third claim, after an event", precedence.Case{Lineages: []precedence.Lineage{lineage(older, 3, start.Add(-time.Hour))}, Claims: twice, Events: event(precedence.ChangedHands, start.Add(-day), true)}, fresh, 7, precedence.Hold},
		{"third claim, by another kind", precedence.Case{Lineages: one, Claims: twice}, with(func(n *precedence.Newcomer) { n.Family = "stir" }), 7, precedence.Hold},
		{"third claim, by another key", precedence.Case{Lineages: one, Claims: twice}, with(func(n *precedence.Newcomer) { n.Holder = key.ID{9} }), 7, precedence.Hold},
		{"third claim, long after", precedence.Case{Lineages: one, Claims: []precedence.Claim{past(precedence.Stopped, 3, start.Add(-precedence.Memory)), twice[1]}}, fresh, 7, precedence.Hold},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := precedence.Decide(test.given, test.newcomer, at(start))
			if d.Row != test.row || d.Verdict != test.verdict || d.Reason == "" {
				t.Errorf("row %d, %s (%s); want row %d, %s", d.Row, d.Verdict, d.Reason, test.row, test.verdict)
			}
			if held := d.Verdict == precedence.Hold || d.Verdict == precedence.Review; held != (d.Claim != nil) {
				t.Errorf("claim %v", d.Claim)
			}
		})
	}
}

// hold opens a claim of newer at a level against an incumbent of level 3.
func hold(t *testing.T, level possession.Level) (precedence.Case, precedence.Claim) {
	t.Helper()
	k := precedence.Case{Lineages: []precedence.Lineage{lineage(older, 3, start.Add(-100*day))}}
	d := precedence.Decide(k, newcomer(newer, level, start), at(start))
	if d.Claim == nil {
		t.Fatalf("no claim: %s", d.Reason)
	}
	return k, *d.Claim
}

func TestR17HoldEndsInSilence(t *testing.T) {
	for _, test := range []struct {
		level possession.Level
		hold  time.Duration
	}{{4, precedence.HoldStricter}, {3, precedence.HoldEqual}} {
		k, c := hold(t, test.level)
		c, e := precedence.Advance(k, c, at(start.Add(test.hold-time.Second)))
		if c.Phase != precedence.Held || e.Admit || len(e.Ends) != 0 {
			t.Fatalf("level %d: too early: %s %+v", test.level, c.Phase, e)
		}
		c, e = precedence.Advance(k, c, at(start.Add(test.hold)))
		if !e.Admit {
			t.Fatalf("level %d: %s %+v", test.level, c.Phase, e)
		}
		// The incumbent goes by its own word: seven days, whatever the row says.
		if gone := len(e.Ends) == 1; gone != (test.hold >= 7*day) {
			t.Errorf("level %d: ends %+v", test.level, e.Ends)
		}
		k.Lineages = append(k.Lineages, lineage(newer, test.level, start))
		if len(e.Ends) == 0 {
			if c, e = precedence.Advance(k, c, at(start.Add(7*day-time.Second))); len(e.Ends) != 0 {
				t.Errorf("level %d: before its term: %+v", test.level, e.Ends)
			}
			c, e = precedence.Advance(k, c, at(start.Add(7*day)))
		}
		if len(e.Ends) != 1 || e.Ends[0] != (precedence.Ending{Lineage: older}) || c.Phase != precedence.Done {
			t.Errorf("level %d: %s, ends %+v", test.level, c.Phase, e.Ends)
		}
	}
}

func TestR17ReproofStopsAHold(t *testing.T) {
	for _, test := range []struct {
		name  string
		proof precedence.Proof
		want  precedence.Phase
	}{
		{"as strong", precedence.Proof{Level: 3, At: start.Add(time.Second)}, precedence.Stopped},
		{"stronger", precedence.Proof{Level: 4, At: start.Add(time.Second)}, precedence.Stopped},
		{"weaker", precedence.Proof{Level: 2, At: start.Add(time.Second)}, precedence.Done},
		{"dated at the claim", precedence.Proof{Level: 4, At: start}, precedence.Done},
	} {
		k, c := hold(t, 3)
		c, counts := c.Answer(older, test.proof)
		if counts != (test.want == precedence.Stopped) {
			t.Errorf("%s: counts %v", test.name, counts)
		}
		if _, other := c.Answer(third, precedence.Proof{Level: 4, At: start.Add(day)}); other {
			t.Errorf("%s: somebody who was not asked has answered", test.name)
		}
		if c, _ = precedence.Advance(k, c, at(start.Add(7*day))); c.Phase != test.want {
			t.Errorf("%s: %s", test.name, c.Phase)
		}
	}
}

// TestR17LateAnswerWithinItsWord: the newcomer has won after 72 hours, and the
// incumbent proves again within the seven days that it signed for. Nobody ends.
func TestR17LateAnswerWithinItsWord(t *testing.T) {
	k, c := hold(t, 4)
	c, e := precedence.Advance(k, c, at(start.Add(3*day)))
	if !e.Admit || c.Phase != precedence.Leaving {
		t.Fatal(c.Phase)
	}
	k.Lineages = append(k.Lineages, lineage(newer, 4, start))
	c, ok := c.Answer(older, precedence.Proof{Level: 4, At: start.Add(5 * day)})
	if !ok {
		t.Fatal("a late answer was not heard")
	}
	c, e = precedence.Advance(k, c, at(start.Add(20*day)))
	if c.Phase != precedence.Reviewed || len(e.Ends) != 0 {
		t.Errorf("%s, ends %v", c.Phase, e.Ends)
	}
}

func TestR17SecondRoundGoesToPeople(t *testing.T) {
	k, c := hold(t, 3)
	c, _ = c.Answer(older, precedence.Proof{Level: 3, At: start.Add(day)})
	c, _ = precedence.Advance(k, c, at(start.Add(day)))
	k.Claims = []precedence.Claim{c}
	k.Lineages[0].Proofs = append(k.Lineages[0].Proofs, precedence.Proof{Level: 3, At: start.Add(day)})
	again := start.Add(8 * day)
	d := precedence.Decide(k, newcomer(newer, 3, again), at(again))
	if d.Verdict != precedence.Hold || d.Claim.Round != 2 {
		t.Fatalf("%+v", d)
	}
	second, _ := d.Claim.Answer(older, precedence.Proof{Level: 3, At: again.Add(day)})
	second, e := precedence.Advance(k, second, at(again.Add(day)))
	if second.Phase != precedence.Reviewed || second.Row != precedence.RowSecondRound || e.Admit || len(e.Ends) != 0 {
		t.Fatalf("%s %+v", second.Phase, e)
	}
	for _, forNewcomer := range []bool{false, true} {
		judged, e := second.Judge(k, forNewcomer, at(again.Add(2*day)))
		if forNewcomer != e.Admit || forNewcomer != (judged.Phase == precedence.Leaving) {
			t.Errorf("for the newcomer %v: %s %+v", forNewcomer, judged.Phase, e)
		}
		if !forNewcomer {
			continue
		}
		after := k
		after.Lineages = append(after.Lineages[:1:1], lineage(newer, 3, again))
		if early, e := precedence.Advance(after, judged, at(again.Add(9*day-time.Second))); len(e.Ends) != 0 {
			t.Errorf("ended before its word: %s %+v", early.Phase, e)
		}
		if _, counts := judged.Answer(older, precedence.Proof{Level: 3, At: again.Add(3 * day)}); counts {
			t.Error("the loser has answered with no more than before")
		}
		if _, counts := judged.Answer(older, precedence.Proof{Level: 4, At: again.Add(3 * day)}); !counts {
			t.Error("additional verification was not heard")
		}
		if done, e := precedence.Advance(after, judged, at(again.Add(9*day))); len(e.Ends) != 1 || done.Phase != precedence.Done {
			t.Errorf("%s %+v", done.Phase, e)
		}
	}
}

// TestR17ClockStandsStill: what the incumbent could not hear does not count.
func TestR17ClockStandsStill(t *testing.T) {
	k, c := hold(t, 3)
	out := precedence.Clock{Now: start.Add(20 * day), Served: start.Add(7*day - time.Second)}
	if c, e := precedence.Advance(k, c, out); c.Phase != precedence.Held || e.Admit {
		t.Errorf("%s %+v", c.Phase, e)
	}
	if next := c.Next(); !next.Equal(start.Add(7 * day)) {
		t.Errorf("next %s", next)
	}
	back := at(start.Add(-day)) // a clock that was set back
	if c, e := precedence.Advance(k, c, back); c.Phase != precedence.Held || e.Admit {
		t.Errorf("%s %+v", c.Phase, e)
	}
}

func TestR17IncumbentGoesWhileHeld(t *testing.T) {
	_, c := hold(t, 3)
	c, e := precedence.Advance(precedence.Case{}, c, at(start.Add(time.Hour)))
	if !e.Admit || c.Phase != precedence.Done {
		t.Errorf("%s %+v", c.Phase, e)
	}
}

// TestR17WinnerGoes: who won withdraws before the silent incumbent's term.
func TestR17WinnerGoes(t *testing.T) {
	k, c := hold(t, 4)
	c, _ = precedence.Advance(k, c, at(start.Add(3*day)))
	c, e := precedence.Advance(k, c, at(start.Add(4*day)))
	if c.Phase != precedence.Lapsed || len(e.Ends) != 0 {
		t.Errorf("%s %+v", c.Phase, e)
	}
}

// TestR17TwoClaimsInAMillisecond: both are held; the one that is decided first
// becomes the incumbent whom the other one has to ask.
func TestR17TwoClaimsInAMillisecond(t *testing.T) {
	k, first := hold(t, 3)
	d := precedence.Decide(precedence.Case{Lineages: k.Lineages, Claims: []precedence.Claim{first}}, newcomer(third, 3, start), at(start))
	second := *d.Claim
	end := start.Add(7 * day)
	first, e := precedence.Advance(k, first, at(end))
	if !e.Admit || first.Phase != precedence.Done {
		t.Fatal(first.Phase)
	}
	k.Lineages = []precedence.Lineage{lineage(newer, 3, start)}
	second, e = precedence.Advance(k, second, at(end))
	if second.Phase != precedence.Held || e.Admit || len(e.Asks) != 1 || e.Asks[0] != newer || !second.Next().Equal(end.Add(7*day)) {
		t.Errorf("%s %+v next %s", second.Phase, e, second.Next())
	}
}

// TestR17WhoProvedLaterHasAnswered: while a claim is held another newcomer wins, by
// evidence dated after the claim. The claim is stopped, and asks nobody.
func TestR17WhoProvedLaterHasAnswered(t *testing.T) {
	_, c := hold(t, 3)
	now := start.Add(2 * day)
	k := precedence.Case{Lineages: []precedence.Lineage{lineage(third, 3, now)}}
	c, e := precedence.Advance(k, c, at(now))
	if c.Phase != precedence.Stopped || len(e.Asks) != 0 || e.Admit || len(e.Ends) != 0 {
		t.Errorf("%s %+v", c.Phase, e)
	}
}

// TestR16Question: somebody without authority says that a number changed hands.
func TestR16Question(t *testing.T) {
	k, _ := hold(t, 3)
	event := precedence.Event{Kind: precedence.ChangedHands, At: start.Add(-day)}
	c, ok := precedence.Question(k, mapping.ID{7}, event, at(start))
	if !ok {
		t.Fatal("nobody was asked")
	}
	if _, again := precedence.Question(precedence.Case{Lineages: k.Lineages, Claims: []precedence.Claim{c}}, mapping.ID{8}, event, at(start)); again {
		t.Error("asked twice")
	}
	answered, ok := c.Answer(older, precedence.Proof{Level: 2, At: start.Add(time.Second)})
	if !ok {
		t.Fatal("the answer does not count")
	}
	if a, e := precedence.Advance(k, answered, at(start.Add(30*day))); a.Phase != precedence.Stopped || len(e.Ends) != 0 {
		t.Errorf("%s %+v", a.Phase, e)
	}
	s, e := precedence.Advance(k, c, at(start.Add(3*day)))
	if s.Phase != precedence.Leaving || e.Admit || len(e.Ends) != 0 {
		t.Errorf("%s %+v", s.Phase, e)
	}
	if s, e = precedence.Advance(k, s, at(start.Add(7*day))); s.Phase != precedence.Done || len(e.Ends) != 1 || e.Admit {
		t.Errorf("%s %+v", s.Phase, e)
	}
	for name, none := range map[string]precedence.Event{
		"ported":                   {Kind: precedence.Ported, At: start},
		"before the evidence":      {Kind: precedence.ChangedHands, At: start.Add(-100 * day)},
		"believed: ends, not asks": {Kind: precedence.ChangedHands, At: start, Believed: true},
	} {
		if _, ok := precedence.Question(k, mapping.ID{7}, none, at(start)); ok {
			t.Errorf("%s: asked", name)
		}
	}
}
