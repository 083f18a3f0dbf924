package precedence_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/internal/dp/precedence"
	"whither/key"
	"whither/mapping"
	"whither/possession"
)

// history is one CSI, kept by the rules, with what must be true of every step.
type history struct {
	k      precedence.Case
	now    time.Time
	stood  time.Duration
	last   uint64       // number of mappings ever made
	judged []mapping.ID // claims that people have decided
	trail  []string
	checks func(string, ...any)
}

func (h *history) clock() precedence.Clock {
	return precedence.Clock{Now: h.now, Served: h.now.Add(-h.stood)}
}

// clone copies h, so that two futures can follow.
func (h *history) clone() *history {
	c := *h
	c.k.Lineages = slices.Clone(h.k.Lineages)
	for i := range c.k.Lineages {
		c.k.Lineages[i].Proofs = slices.Clone(c.k.Lineages[i].Proofs)
	}
	c.k.Claims, c.k.Events = slices.Clone(h.k.Claims), slices.Clone(h.k.Events)
	c.trail = append(h.trail[:len(h.trail):len(h.trail)], "")[:len(h.trail)]
	return &c
}

func (h *history) say(format string, args ...any) {
	h.trail = append(h.trail, fmt.Sprintf(format, args...))
}

func (h *history) fail(format string, args ...any) {
	h.checks("%s\nafter: %v", fmt.Sprintf(format, args...), h.trail)
}

func (h *history) lineage(id mapping.Lineage) *precedence.Lineage {
	for i := range h.k.Lineages {
		if h.k.Lineages[i].ID == id {
			return &h.k.Lineages[i]
		}
	}
	return nil
}

// claim submits a mapping of a new lineage by one of a few people.
func (h *history) claim(who byte, level possession.Level, appeal bool) {
	h.last++
	id := mapping.Lineage{who, byte(h.last >> 8), byte(h.last)}
	n := precedence.Newcomer{
		ID: mapping.ID(id), Lineage: id, Holder: key.ID{who}, Family: "code",
		Proof: precedence.Proof{Level: level, At: h.now}, Expires: h.now.Add(365 * day), Appeal: appeal,
	}
	best := possession.Level(0)
	for _, l := range h.k.Lineages {
		for _, p := range l.Proofs {
			if !slices.Contains(h.k.Overtaken(), l.ID) {
				best = max(best, p.Level)
			}
		}
	}
	d := precedence.Decide(h.k, n, h.clock())
	h.say("%c claims with %d: row %d, %s", 'A'+who, level, d.Row, d.Verdict)
	h.end(d.Ends, true, nil)
	switch d.Verdict {
	case precedence.Accept, precedence.Provisional:
		if len(h.k.Lineages) != 0 {
			h.fail("accepted beside an incumbent")
		}
		h.admit(id, n.Proof)
	case precedence.Hold:
		if level < best {
			h.fail("weaker evidence is held, not refused")
		}
		h.k.Claims = append(h.k.Claims, *d.Claim)
	case precedence.Review:
		h.k.Claims = append(h.k.Claims, *d.Claim)
	case precedence.Refuse:
	}
}

func (h *history) admit(id mapping.Lineage, p precedence.Proof) {
	h.k.Lineages = append(h.k.Lineages, precedence.Lineage{ID: id, Proofs: []precedence.Proof{p}, Term: 7 * day})
}

// end removes lineages, and checks that somebody who may has ended each.
func (h *history) end(gone []mapping.Lineage, byEvent bool, c *precedence.Claim) {
	for _, id := range gone {
		l := h.lineage(id)
		if l == nil {
			continue
		}
		if byEvent {
			for _, p := range l.Proofs {
				if !slices.ContainsFunc(h.k.Events, func(e precedence.Event) bool {
					return e.Believed && e.Kind != precedence.Ported && e.At.After(p.At)
				}) {
					h.fail("an event has ended a lineage with evidence newer than every event")
				}
			}
		} else {
			h.ended(l, c)
		}
		h.k.Lineages = slices.DeleteFunc(h.k.Lineages, func(l precedence.Lineage) bool { return l.ID == id })
	}
}

// ended checks an end by silence against c as it stood before.
func (h *history) ended(l *precedence.Lineage, c *precedence.Claim) {
	i := slices.IndexFunc(c.Asked, func(a precedence.Asked) bool { return a.Lineage == l.ID })
	if i < 0 {
		h.fail("ended, and was never asked")
		return
	}
	if h.clock().Served.Before(c.Asked[i].At.Add(l.Term)) {
		h.fail("ended before its own signed term")
	}
	for _, p := range l.Proofs {
		if p.Level >= c.Need && p.At.After(c.Opened) {
			h.fail("ended, though it has proved again with what was asked for")
		}
	}
	if strong := l.Proofs[0].Level; c.Lineage != (mapping.Lineage{}) && !slices.Contains(h.judged, c.ID) && c.Need < strong {
		h.fail("weaker evidence has displaced stricter")
	}
}

// prove is a re-proof of a lineage.
func (h *history) prove(i int, level possession.Level) {
	if i >= len(h.k.Lineages) {
		return
	}
	l := &h.k.Lineages[i]
	p := precedence.Proof{Level: level, At: h.now}
	h.say("%c proves with %d", 'A'+l.ID[0], level)
	l.Proofs = append(l.Proofs, p)
	for i, c := range h.k.Claims {
		h.k.Claims[i], _ = c.Answer(l.ID, p)
	}
	h.settle()
}

func (h *history) withdraw(i int) {
	if i < len(h.k.Lineages) {
		h.say("%c withdraws", 'A'+h.k.Lineages[i].ID[0])
		h.k.Lineages = slices.Delete(h.k.Lineages, i, i+1)
		h.settle()
	}
}

func (h *history) event(believed bool, ago time.Duration) {
	e := precedence.Event{Kind: precedence.ChangedHands, At: h.now.Add(-ago), Believed: believed}
	h.say("event of %s ago, believed %v", ago, believed)
	if !believed {
		h.last++
		if q, ok := precedence.Question(h.k, mapping.ID{255, byte(h.last >> 8), byte(h.last)}, e, h.clock()); ok {
			h.k.Claims = append(h.k.Claims, q)
		}
		return
	}
	h.k.Events = append(h.k.Events, e)
	h.settle()
}

func (h *history) wait(d time.Duration) {
	h.say("%s pass", d)
	h.now = h.now.Add(d)
	h.settle()
}

// judge decides the first case under review.
func (h *history) judge(newcomer bool) {
	for i, c := range h.k.Claims {
		if c.Phase == precedence.Reviewed {
			h.say("reviewers decide, for the newcomer: %v", newcomer)
			h.judged = append(slices.Clip(h.judged), c.ID)
			judged, e := c.Judge(h.k, newcomer, h.clock())
			h.k.Claims[i] = judged
			h.effect(c, e)
			h.settle()
			return
		}
	}
}

// settle advances every claim until nothing changes, and checks each step.
func (h *history) settle() {
	h.end(h.k.Overtaken(), true, nil)
	for range 8 {
		changed := false
		for i := range h.k.Claims {
			before := h.k.Claims[i]
			after, e := precedence.Advance(h.k, before, h.clock())
			h.k.Claims[i] = after
			h.effect(before, e)
			if again, more := precedence.Advance(h.k, after, h.clock()); more.Admit || again.Phase != after.Phase {
				h.fail("advancing twice is not advancing once: %s, %s", after.Phase, again.Phase)
			}
			changed = changed || after.Phase != before.Phase || len(e.Ends) > 0
			if after.Phase.Open() && !after.Next().After(h.clock().Served) {
				h.fail("a %s claim is over its time", after.Phase)
			}
		}
		if !changed {
			return
		}
	}
	h.fail("claims chase each other")
}

func (h *history) effect(c precedence.Claim, e precedence.Effect) {
	for _, one := range e.Ends {
		h.end([]mapping.Lineage{one.Lineage}, one.ByEvent, &c)
	}
	if e.Admit {
		for _, a := range c.Asked {
			l := h.lineage(a.Lineage)
			if c.Phase == precedence.Held && l != nil && a.Answered {
				h.fail("admitted beside an incumbent that has proved again")
			}
		}
		h.admit(c.Lineage, c.Proof)
	}
}

// steps is the alphabet of the explorer.
func steps() []func(*history) {
	return []func(*history){
		func(h *history) { h.claim(1, 2, false) },
		func(h *history) { h.claim(1, 3, false) },
		func(h *history) { h.claim(2, 3, true) },
		func(h *history) { h.prove(0, 2) },
		func(h *history) { h.prove(0, 3) },
		func(h *history) { h.prove(1, 3) },
		func(h *history) { h.withdraw(0) },
		func(h *history) { h.event(true, time.Hour) },
		func(h *history) { h.event(false, time.Hour) },
		func(h *history) { h.wait(3 * day) },
		func(h *history) { h.wait(7 * day) },
		func(h *history) { h.judge(true) },
	}
}

// silence lets everybody be silent for long, and checks who is left: a claim
// that was held, and that nobody answered, has won.
func (h *history) silence() {
	var held []precedence.Claim
	for _, c := range h.k.Claims {
		if c.Phase == precedence.Held && c.Lineage != (mapping.Lineage{}) &&
			!slices.ContainsFunc(c.Asked, func(a precedence.Asked) bool { return a.Answered }) {
			held = append(held, c)
		}
	}
	open := func(h *history) bool {
		return slices.ContainsFunc(h.k.Claims, func(c precedence.Claim) bool { return c.Phase.Open() })
	}
	if !open(h) {
		return
	}
	// Claims wait for each other in turn, and each case for people once.
	future := h.clone()
	for n := 0; n < 8*(len(h.k.Claims)+1) && open(future); n++ {
		future.wait(7 * day)
	}
	for _, c := range h.k.Claims {
		i := slices.IndexFunc(future.k.Claims, func(f precedence.Claim) bool { return f.ID == c.ID })
		if c.Phase.Open() && future.k.Claims[i].Phase.Open() {
			h.fail("a claim is open for ever")
		}
	}
	pending := 0
	for _, c := range h.k.Claims {
		if c.Phase.Open() {
			pending++
		}
	}
	if len(held) == 1 && pending == 1 && len(h.k.Lineages) == 1 { // no other claim is in its way
		if len(future.k.Lineages) != 1 || future.k.Lineages[0].ID != held[0].Lineage {
			h.fail("a silent incumbent has not yielded: %v", future.k.Lineages)
		}
	}
}

// state is a hash of where a history is.
func (h *history) state() uint64 {
	f := fnv.New64a()
	put := func(b ...byte) { _, _ = f.Write(b) }
	when := func(t time.Time) { put(binary.BigEndian.AppendUint64(nil, uint64(t.Unix()))...) }
	when(h.now)
	for _, l := range h.k.Lineages {
		put(l.ID[:3]...)
		for _, p := range l.Proofs {
			put(byte(p.Level))
			when(p.At)
		}
	}
	for _, e := range h.k.Events {
		put('e')
		when(e.At)
	}
	for _, c := range h.k.Claims {
		put(c.Lineage[0], byte(c.Phase), byte(c.Round), byte(c.Need), byte(c.Row), byte(len(c.Asked)))
		when(c.Opened)
		when(c.Since)
		for _, a := range c.Asked {
			put(a.Lineage[:3]...)
			when(a.At)
			put(byte(a.Hold/time.Hour), map[bool]byte{true: 1}[a.Answered])
		}
	}
	return f.Sum64()
}

// depth is how long the histories are that the explorer goes through.
const depth = 6

// TestR17EveryShortHistory goes through all histories of six steps, from one
// incumbent of level 2, and from one of level 3.
func TestR17EveryShortHistory(t *testing.T) {
	count, seen := 0, make(map[uint64]int)
	var explore func(h *history, left int)
	explore = func(h *history, left int) {
		if t.Failed() {
			return
		}
		// States that were met with as many steps left have the same futures.
		state := h.state()
		if seen[state] >= left+1 {
			return
		}
		seen[state] = left + 1
		count++
		h.silence()
		if left == 0 {
			return
		}
		for _, step := range steps() {
			next := h.clone()
			next.now = next.now.Add(time.Minute) // evidence is dated after what it follows
			step(next)
			explore(next, left-1)
		}
	}
	length := depth
	if testing.Short() {
		length = 4
	}
	for _, level := range []possession.Level{2, 3} {
		h := &history{now: start, checks: t.Errorf}
		h.k.Complete = true
		h.claim(0, level, false)
		explore(h, length)
	}
	t.Logf("%d different states", count)
	if count < 1000 {
		t.Error("the explorer has seen next to nothing")
	}
}

// TestR17RandomHistories plays long ones, with more people, times and stops of
// the served clock.
func TestR17RandomHistories(t *testing.T) {
	for range 20 { // what is rare takes thousands
		rapid.Check(t, randomHistory)
	}
}

func randomHistory(t *rapid.T) {
	h := &history{now: start, checks: t.Fatalf}
	h.k.Complete = true
	for range rapid.IntRange(1, 40).Draw(t, "length") {
		h.now = h.now.Add(time.Second)
		who, level := rapid.ByteRange(0, 3).Draw(t, "who"), possession.Level(rapid.IntRange(2, 4).Draw(t, "level"))
		hours := time.Duration(rapid.IntRange(0, 400).Draw(t, "hours")) * time.Hour
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0, 1:
			h.claim(who, level, hours%2 == 0)
		case 2, 3:
			h.prove(int(who), level)
		case 4:
			h.withdraw(int(who))
		case 5:
			h.event(who%2 == 0, hours)
		case 6:
			h.stood += hours // the DP was down
			h.wait(hours)
		case 7:
			h.judge(who%2 == 0)
		default:
			h.wait(hours)
		}
		h.silence()
	}
}
