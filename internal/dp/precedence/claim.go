package precedence

import (
	"slices"
	"time"

	"whither/key"
	"whither/mapping"
	"whither/possession"
)

// Phase is how far a claim is.
type Phase uint8

// The phases. From Stopped on, a claim is closed.
const (
	// Held: the incumbents are asked, and served unchanged.
	Held Phase = iota + 1
	// Reviewed: people decide; until then nothing changes.
	Reviewed
	// Leaving: the claim has won; those who were asked and were silent end by
	// their own terms.
	Leaving
	// Stopped: an incumbent has proved again, or reviewers found for it.
	Stopped
	// Lapsed: the newcomer has expired, withdrawn, was overtaken by an event, or
	// does not verify any more.
	Lapsed
	// Joined: the newcomer is the same person, as a key of the incumbent says.
	Joined
	// Done: the newcomer lives, and nobody is left who was asked.
	Done
)

// String returns the phase's name.
func (p Phase) String() string {
	names := [...]string{Held: "held", Reviewed: "review", Leaving: "leaving", Stopped: "stopped", Lapsed: "lapsed", Joined: "joined", Done: "done"}
	if int(p) < len(names) && names[p] != "" {
		return names[p]
	}
	return "none"
}

// Open reports whether something may still become of a claim.
func (p Phase) Open() bool { return p == Held || p == Reviewed || p == Leaving }

// Asked is an incumbent that was asked to prove again.
type Asked struct {
	Lineage  mapping.Lineage
	At       time.Time     // when, on the served clock
	Hold     time.Duration // how long the newcomer waits for it
	Term     time.Duration // by when it ends, if it is silent: its holder's own word
	Answered bool          // with sufficient evidence, in time
}

// held is when the newcomer's waiting for it ends.
func (a Asked) held() time.Time { return a.At.Add(a.Hold) }

// Ends is when it ends if it stays silent, on the served clock.
func (a Asked) Ends() time.Time { return a.At.Add(max(a.Hold, a.Term)) }

// Claim is a newcomer that was not decided at once. A claim without a lineage
// has no newcomer: it is a question, asked on the word of somebody who has no
// authority to end anything.
type Claim struct {
	ID      mapping.ID
	Lineage mapping.Lineage
	Holder  key.ID
	Family  string
	Proof   Proof
	Expires time.Time // of the claimed mapping
	Row     Row
	Round   int       // one more than the claims which the same incumbents stopped before
	Opened  time.Time // an answer rests on evidence dated after it
	Need    possession.Level
	Phase   Phase
	Since   time.Time // of the phase, on the served clock
	Lives   bool      // the claimed mapping has been admitted
	Asked   []Asked
}

// open starts a claim against every rival of a newcomer.
func open(k Case, n Newcomer, row Row, hold time.Duration, t Clock) *Claim {
	c := &Claim{
		ID: n.ID, Lineage: n.Lineage, Holder: n.Holder, Family: n.Family, Proof: n.Proof, Expires: n.Expires,
		Row: row, Opened: t.Now, Need: n.Proof.Level, Phase: Held, Since: t.Served,
	}
	rivals := k.rivals(n.Lineage)
	c.Round = 1 + k.stoppedBy(rivals, t)
	c.ask(rivals, hold, t)
	return c
}

func (c *Claim) ask(rivals []Lineage, hold time.Duration, t Clock) {
	for _, l := range rivals {
		c.Asked = append(c.Asked, Asked{Lineage: l.ID, At: t.Served, Hold: hold, Term: l.Term})
	}
}

// stoppedBy counts the claims that lineages have stopped of late.
func (k Case) stoppedBy(rivals []Lineage, t Clock) int {
	n := 0
	for _, c := range k.Claims {
		if c.Phase == Stopped && c.Lineage != (mapping.Lineage{}) && c.Opened.After(t.Now.Add(-Memory)) &&
			slices.ContainsFunc(rivals, func(l Lineage) bool { return c.answered(l.ID) }) {
			n++
		}
	}
	return n
}

func (c Claim) answered(l mapping.Lineage) bool {
	return slices.ContainsFunc(c.Asked, func(a Asked) bool { return a.Lineage == l && a.Answered })
}

// Question asks the incumbents to prove again, on an event that is not
// believed. Without incumbents, or with an event that ends nothing, there is none.
func Question(k Case, id mapping.ID, e Event, t Clock) (Claim, bool) {
	c := Claim{ID: id, Row: RowEvent, Round: 1, Opened: t.Now, Need: possession.Level2, Phase: Held, Since: t.Served}
	if e.Kind == Ported || e.Believed {
		return Claim{}, false
	}
	for _, l := range k.rivals(mapping.Lineage{}) {
		late := !slices.ContainsFunc(l.Proofs, func(p Proof) bool { return !p.At.Before(e.At) })
		asked := slices.ContainsFunc(k.Claims, func(c Claim) bool {
			return c.Phase.Open() && slices.ContainsFunc(c.Asked, func(a Asked) bool { return a.Lineage == l.ID })
		})
		if late && !asked { // one question at a time is enough
			c.ask([]Lineage{l}, HoldStricter, t)
		}
	}
	return c, len(c.Asked) > 0
}

// Answer returns the claim after a lineage has proved again. It counts when the
// evidence is dated after the claim, as strong as the claim asks for, and the
// lineage was asked. It says whether it counts.
func (c Claim) Answer(l mapping.Lineage, p Proof) (Claim, bool) {
	if (c.Phase != Held && c.Phase != Leaving) || !p.At.After(c.Opened) || p.Level < c.Need {
		return c, false
	}
	c.Asked = slices.Clone(c.Asked)
	counts := false
	for i := range c.Asked {
		if c.Asked[i].Lineage == l {
			c.Asked[i].Answered, counts = true, true
		}
	}
	return c, counts
}

// Ending is a lineage that ends, and by whose word.
type Ending struct {
	Lineage mapping.Lineage
	ByEvent bool // else by its holder's own signed term
}

// Effect is what has become of a claim.
type Effect struct {
	Admit bool              // the claimed mapping lives from now on
	Ends  []Ending          // lineages that end with it
	Asks  []mapping.Lineage // incumbents to be asked from now on
}

// Advance returns a claim as it stands at a time, and what follows from it.
// Advancing what was advanced changes nothing.
func Advance(k Case, c Claim, t Clock) (Claim, Effect) {
	c.Asked = slices.Clone(c.Asked)
	lived := c.Lives
	var e Effect
	for _, l := range k.Overtaken() {
		e.Ends = append(e.Ends, Ending{l, true})
	}
	// Who has gone by himself need not be asked any more.
	c.Asked = slices.DeleteFunc(c.Asked, func(a Asked) bool { return !k.lives(a.Lineage) })
	if c.Phase == Held {
		c.hold(k, t, &e)
	}
	if c.Phase == Leaving {
		if lived && !k.lives(c.Lineage) {
			c.enter(Lapsed, t) // who won has gone: nobody need yield to him
		} else {
			c.leave(t, &e)
		}
	}
	if c.Phase == Reviewed {
		c.review(k, t, &e)
	}
	return c, e
}

// lives reports whether a lineage is there and no event has ended it.
func (k Case) lives(id mapping.Lineage) bool {
	return slices.ContainsFunc(k.Lineages, func(l Lineage) bool { return l.ID == id && !k.overtaken(l) })
}

func (c *Claim) enter(p Phase, t Clock) { c.Phase, c.Since = p, t.Served }

// hold is what time brings while the incumbents are asked.
func (c *Claim) hold(k Case, t Clock, e *Effect) {
	if c.Lineage == (mapping.Lineage{}) {
		c.question(t)
		return
	}
	if !t.Now.Before(c.Expires) || k.barred(c.Proof) {
		c.enter(Lapsed, t)
		return
	}
	// Somebody else may have been accepted meanwhile, and is the incumbent now.
	fresh := slices.DeleteFunc(k.rivals(c.Lineage), func(l Lineage) bool {
		return slices.ContainsFunc(c.Asked, func(a Asked) bool { return a.Lineage == l.ID })
	})
	if len(fresh) > 0 {
		if c.Proof.Level < strongest(fresh) {
			c.enter(Stopped, t)
			return
		}
		hold := HoldStricter
		if c.Proof.Level == strongest(fresh) {
			hold = HoldEqual
		}
		c.ask(fresh, hold, t)
		for _, l := range fresh {
			// Who has won later may have proved later, too: that is an answer.
			answered := false
			for _, p := range l.Proofs {
				var counts bool
				*c, counts = c.Answer(l.ID, p)
				answered = answered || counts
			}
			if !answered {
				e.Asks = append(e.Asks, l.ID)
			}
		}
	}
	until := t.Served
	for _, a := range c.Asked {
		if a.Answered {
			if c.Round > 1 {
				c.Row = RowSecondRound
				c.enter(Reviewed, t)
			} else {
				c.enter(Stopped, t)
			}
			return
		}
		if a.held().After(until) {
			until = a.held()
		}
	}
	if !t.Served.Before(until) {
		e.Admit, c.Lives = true, true
		c.enter(Leaving, t)
	}
}

// question is a hold without a newcomer: each incumbent answers for itself.
func (c *Claim) question(t Clock) {
	silent := slices.ContainsFunc(c.Asked, func(a Asked) bool { return !a.Answered })
	switch {
	case !silent:
		c.enter(Stopped, t)
	case !t.Served.Before(c.Asked[0].held()):
		c.Asked = slices.DeleteFunc(c.Asked, func(a Asked) bool { return a.Answered })
		c.enter(Leaving, t)
	}
}

// leave ends those who stay silent for as long as they said that they would not.
func (c *Claim) leave(t Clock, e *Effect) {
	if slices.ContainsFunc(c.Asked, func(a Asked) bool { return a.Answered }) {
		if c.Lineage == (mapping.Lineage{}) {
			c.Asked = slices.DeleteFunc(c.Asked, func(a Asked) bool { return a.Answered })
		} else {
			c.Row = RowSecondRound // late, but within its own word: both have proved
			c.enter(Reviewed, t)
			return
		}
	}
	c.Asked = slices.DeleteFunc(c.Asked, func(a Asked) bool {
		if t.Served.Before(a.Ends()) {
			return false
		}
		e.Ends = append(e.Ends, Ending{a.Lineage, false})
		return true
	})
	if len(c.Asked) == 0 {
		c.enter(Done, t)
	}
}

// review ends a case that nobody decides, or in which nobody is left to object.
func (c *Claim) review(k Case, t Clock, e *Effect) {
	gone := !c.Lives && (!t.Now.Before(c.Expires) || k.barred(c.Proof))
	switch {
	case gone:
		c.enter(Lapsed, t)
	case len(k.rivals(c.Lineage)) == 0:
		e.Admit, c.Lives = !c.Lives, true
		c.enter(Done, t)
	case !t.Served.Before(c.Since.Add(MaxReview)):
		c.enter(Stopped, t)
	}
}

// Judge returns the claim after reviewers have decided. Who loses is asked once
// more: he ends by his own signed term, unless he shows stricter evidence than
// the winner has. So it stays true that only holders and CSIPs end mappings.
func (c Claim) Judge(k Case, newcomer bool, t Clock) (Claim, Effect) {
	var e Effect
	if c.Phase != Reviewed {
		return c, e
	}
	c.Asked = nil
	if !newcomer && !c.Lives {
		c.enter(Stopped, t)
		return c, e
	}
	winners, losers := Case{Events: k.Events}, Case{Events: k.Events}
	for _, l := range k.Lineages {
		if (l.ID == c.Lineage) == newcomer {
			winners.Lineages = append(winners.Lineages, l)
		} else {
			losers.Lineages = append(losers.Lineages, l)
		}
	}
	best := strongest(winners.rivals(mapping.Lineage{}))
	if newcomer {
		best = max(best, c.Proof.Level)
		e.Admit, c.Lives = !c.Lives, true
	}
	c.Need, c.Opened = best+1, t.Now
	c.ask(losers.rivals(mapping.Lineage{}), 0, t)
	for _, a := range c.Asked {
		e.Asks = append(e.Asks, a.Lineage)
	}
	c.enter(Leaving, t)
	return c, e
}

// Next is when, on the served clock, time alone changes an open claim.
func (c Claim) Next() time.Time {
	switch c.Phase {
	case Held:
		var next time.Time
		for _, a := range c.Asked {
			if a.held().After(next) {
				next = a.held()
			}
		}
		return next
	case Leaving:
		var next time.Time
		for _, a := range c.Asked {
			if next.IsZero() || a.Ends().Before(next) {
				next = a.Ends()
			}
		}
		return next
	case Reviewed:
		return c.Since.Add(MaxReview)
	default:
		return time.Time{}
	}
}
