// Package precedence decides who has a CSI when several people say that they
// do: the table of design section 7 as data ([Decide]), and what becomes of a
// claim while its hold runs ([Advance], [Claim.Answer], [Claim.Judge]). Its
// spec, of which the tables are generated from here, is docs/spec/precedence.md.
//
//	newcomer ── Decide ──▶ accept, provisional, refuse, review
//	                 │
//	                 └──▶ hold ── Advance ──▶ stopped      an incumbent proved again
//	                              (time)  ──▶ leaving ──▶ done   silence: the newcomer
//	                                      ──▶ review       lives, the incumbent ends
//	                                      ──▶ lapsed       by its own signed term
//
// It promises: only a withdrawal, a believed event of the CSIP, or the holder's
// own signed term after silence ends a lineage; weaker evidence never displaces
// anybody; an incumbent that proves again at the newcomer's level is never
// displaced by that claim; a hold ends within its bound; a silent incumbent
// yields to equal or stricter evidence.
//
// All is pure: facts come in, a decision goes out. It does not check evidence
// (packages mapping and possession), which keys make a lineage (package
// mapping), whether an event is to be believed (the caller says so), or races
// (the store's).
//
// Two clocks run, see [Clock].
package precedence

import (
	"slices"
	"time"

	"whither/key"
	"whither/mapping"
	"whither/possession"
)

// Bounds of the rules.
const (
	// FreshFor is how old evidence may be where it must be fresh, unless the
	// federation agreed on something else.
	FreshFor = 24 * time.Hour
	// HoldStricter and HoldEqual are how long an incumbent is asked.
	HoldStricter = 72 * time.Hour
	HoldEqual    = 7 * 24 * time.Hour
	// Memory is for how long a claim that came to nothing counts against the
	// next one, and for how long its evidence is kept.
	Memory = 90 * 24 * time.Hour
	// MaxClaims is how many claims of one key and kind of evidence are heard
	// within Memory.
	MaxClaims = 2
	// MaxReview is how long a case waits for reviewers; then the older stays.
	MaxReview = 30 * 24 * time.Hour
)

// Clock is the time, twice. Served stands still while an incumbent could not
// answer, as when the DP or the provers are down: holds and terms are counted
// on it. Dates in evidence are compared with Now.
type Clock struct {
	Now    time.Time
	Served time.Time
}

// Proof is what a set of evidence shows: how strongly, and when.
type Proof struct {
	Level possession.Level
	At    time.Time // of the oldest piece that it rests on
}

// Lineage is one person's standing on a CSI.
type Lineage struct {
	ID     mapping.Lineage
	Proofs []Proof       // of its live mappings, and its re-proofs; at least one
	Term   time.Duration // within which it promised to prove again when asked: the longest of its mappings
}

// level is the strongest that the lineage has shown.
func (l Lineage) level() possession.Level {
	var best possession.Level
	for _, p := range l.Proofs {
		best = max(best, p.Level)
	}
	return best
}

// EventKind is what a CSIP says of a CSI.
type EventKind uint8

// The kinds of event.
const (
	// ChangedHands: somebody else has the CSI now.
	ChangedHands EventKind = 1
	// Released: nobody has it; it may be given out again.
	Released EventKind = 2
	// Ported: the same person has it, at another provider. It ends nothing.
	Ported EventKind = 3
)

// Event is the word of a CSIP.
type Event struct {
	Kind EventKind
	At   time.Time // when it happened
	// Believed: it comes from who has the authority to say so. Any other only
	// asks the incumbents to prove again.
	Believed bool
}

// ends reports whether the event ends what was proved at a time.
func (e Event) ends(at time.Time) bool {
	return e.Believed && e.Kind != Ported && at.Before(e.At)
}

// Case is all that is known of one CSI.
type Case struct {
	Lineages []Lineage // that live
	Claims   []Claim   // open, and closed within Memory
	Events   []Event
	// Complete: every DP that may hold a lineage of this CSI has answered.
	Complete bool
}

// Overtaken returns the lineages that a believed event has ended: all that they
// proved, they proved before it.
func (k Case) Overtaken() []mapping.Lineage {
	var out []mapping.Lineage
	for _, l := range k.Lineages {
		if k.overtaken(l) {
			out = append(out, l.ID)
		}
	}
	return out
}

func (k Case) overtaken(l Lineage) bool {
	return slices.ContainsFunc(k.Events, func(e Event) bool {
		return !slices.ContainsFunc(l.Proofs, func(p Proof) bool { return !e.ends(p.At) })
	})
}

// barred reports whether a believed event is newer than a proof.
func (k Case) barred(p Proof) bool {
	return slices.ContainsFunc(k.Events, func(e Event) bool { return e.ends(p.At) })
}

// rivals are the lineages that stand against one: alive, and not overtaken.
func (k Case) rivals(own mapping.Lineage) []Lineage {
	return slices.DeleteFunc(slices.Clone(k.Lineages), func(l Lineage) bool { return l.ID == own || k.overtaken(l) })
}

// Relation is what a newcomer is to the lineage that it names.
type Relation uint8

// The relations.
const (
	// Stranger: the lineage that it names does not live here.
	Stranger Relation = iota
	// Successor: the next sequence of a mapping, by its holder.
	Successor
	// Member: another mapping by a key of the lineage, or by one that a key of
	// it has joined or handed over to.
	Member
)

// Newcomer is a submitted mapping.
type Newcomer struct {
	ID       mapping.ID
	Lineage  mapping.Lineage
	Relation Relation
	Holder   key.ID
	Family   string // kind of evidence
	Proof    Proof
	Expires  time.Time
	// Appeal: where it would be refused as weaker, its holder asks for people
	// to look at it.
	Appeal bool
	// FreshFor is how old its evidence may be; zero: the constant of that name.
	FreshFor time.Duration
}
