package choice

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"whither/mapping"
)

// claimant is somebody who says that the identifier is hers, with her mappings.
type claimant struct {
	claim
	mappings    []Mapping // the newest of each id
	evidence    time.Time // the oldest
	provisional bool      // all her mappings are
	outranked   bool      // that is so, and another claimant has a settled one
}

// claimants sorts mappings by who made them, the earliest first and the settled
// before the provisional (design section 7: older mappings take precedence).
func claimants(set []Mapping) []claimant {
	var out []claimant
	for _, m := range newest(set) {
		i := slices.IndexFunc(out, func(c claimant) bool { return c.claim == m.claim() })
		if i < 0 {
			i = len(out)
			out = append(out, claimant{claim: m.claim(), evidence: m.Evidence, provisional: true})
		}
		c := &out[i]
		c.mappings = append(c.mappings, m)
		c.provisional = c.provisional && m.Provisional
		if m.Evidence.Before(c.evidence) {
			c.evidence = m.Evidence
		}
	}
	slices.SortFunc(out, func(a, b claimant) int {
		return cmp.Or(falseFirst(a.provisional, b.provisional), a.evidence.Compare(b.evidence), a.compare(b.claim))
	})
	for i := range out {
		out[i].outranked = out[i].provisional && !out[0].provisional
	}
	return out
}

// newest drops what a later sequence of the same mapping has replaced; a DP that
// is behind may still show it. What is left is in an order that does not depend
// on the answer's: where two mappings list one MSP, the first is taken.
func newest(set []Mapping) []Mapping {
	type name struct {
		claim
		mapping.ID
	}
	set = slices.Clone(set)
	slices.SortFunc(set, func(a, b Mapping) int {
		return cmp.Or(
			cmp.Compare(b.Sequence, a.Sequence),
			falseFirst(b.Audience, a.Audience), falseFirst(a.Provisional, b.Provisional), a.Evidence.Compare(b.Evidence),
			bytes.Compare(a.ID[:], b.ID[:]), a.claim().compare(b.claim()), cmp.Compare(a.DP.String(), b.DP.String()),
			slices.CompareFunc(a.Entries, b.Entries, compareEntries),
		)
	})
	seen := make(map[name]bool)
	set = slices.DeleteFunc(set, func(m Mapping) bool {
		again := seen[name{m.claim(), m.ID}]
		seen[name{m.claim(), m.ID}] = true
		return again
	})
	slices.SortStableFunc(set, func(a, b Mapping) int {
		return cmp.Or(falseFirst(b.Audience, a.Audience), falseFirst(a.Provisional, b.Provisional), a.Evidence.Compare(b.Evidence), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return set
}

func compareEntries(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Provider.String(), b.Provider.String()), cmp.Compare(a.URI, b.URI), slices.Compare(a.Tags, b.Tags), falseFirst(a.Dead, b.Dead))
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// places lists where the claimant can be reached, each MSP once.
func (c claimant) places() []Place {
	var out []Place
	for _, m := range c.mappings {
		for _, e := range m.Entries {
			if !e.Dead && !slices.ContainsFunc(out, func(p Place) bool { return p.Provider == e.Provider }) {
				out = append(out, Place{e.Provider, e.URI, e.Tags, m.ID, m.Lineage, m.Holder, m.DP, m.Audience})
			}
		}
	}
	return out
}

// purpose is the tag asked for. Default is what is taken without one.
func (q Question) purpose() string {
	if q.Purpose == mapping.TagDefault {
		return ""
	}
	return q.Purpose
}

// meant tells whether a place is tagged with the purpose. The name of the MSP is
// no purpose: it is for those who are there.
func (q Question) meant(p Place) bool {
	purpose := q.purpose()
	return purpose != "" && purpose != p.Provider.String() && slices.Contains(p.Tags, purpose)
}

// sameApp tells whether a place is tagged with its own MSP's name: for users of
// that MSP, and nobody else but those whom another tag names.
func sameApp(p Place) bool { return slices.Contains(p.Tags, p.Provider.String()) }

// open lists the claimant's places that are for this asker, in the order that
// [rank] gives.
func (q Question) open(c claimant) []Place {
	out := slices.DeleteFunc(c.places(), func(p Place) bool { return sameApp(p) && p.Provider != q.Own && !q.meant(p) })
	slices.SortFunc(out, func(a, b Place) int {
		x, y := rank(q.CSI, a.Provider), rank(q.CSI, b.Provider)
		return bytes.Compare(x[:], y[:])
	})
	return out
}

// view is an answer as one asker sees it.
type view struct {
	question  Question
	claimants []claimant
	chosen    claimant // whose places count; zero if there is none
	open      []Place  // of the chosen claimant
	slot      string   // the purpose for which the choice is remembered
	memo      *Memo    // what counts of what is remembered
	general   *Memo    // what is remembered for no purpose in particular
	memos     []Memo   // all that is remembered
}

func look(q Question, set []Mapping, past Past) view {
	v := view{question: q, claimants: claimants(set), general: past.General}
	v.memos = past.all()
	v.chosen = v.choose()
	v.open = q.open(v.chosen)
	// A purpose of which the contact says nothing is none: the choice is that for
	// all messages, unless the asker or the contact once said otherwise.
	if past.Purpose != nil || slices.ContainsFunc(v.open, q.meant) {
		v.slot, v.memo = q.purpose(), past.Purpose
	} else {
		v.memo = past.General
	}
	if v.memo == nil && len(v.memos) > 0 && !v.known(v.chosen.claim) {
		// The first message for a purpose, and to somebody else than the others:
		// that is a change, not a beginning.
		v.memo = &v.memos[0]
	}
	return v
}

// all lists the memos, the one for the question's purpose first.
func (p Past) all() []Memo {
	var out []Memo
	for _, m := range []*Memo{p.Purpose, p.General} {
		if m != nil {
			out = append(out, *m)
		}
	}
	others := slices.Clone(p.Others)
	slices.SortFunc(others, func(a, b Memo) int {
		return cmp.Or(a.claim().compare(b.claim()), cmp.Compare(a.Provider.String(), b.Provider.String()), cmp.Compare(a.DP.String(), b.DP.String()))
	})
	return append(out, others...)
}

// known tells whether the asker has written to a claimant.
func (v view) known(c claim) bool {
	return slices.ContainsFunc(v.memos, func(m Memo) bool { return m.claim() == c })
}

// choose takes the first claimant who is remembered and whose claim stands, and
// else the earliest.
func (v view) choose() claimant {
	for _, m := range v.memos {
		if i := slices.IndexFunc(v.claimants, func(c claimant) bool { return c.claim == m.claim() && !c.outranked }); i >= 0 {
			return v.claimants[i]
		}
	}
	if len(v.claimants) == 0 {
		return claimant{}
	}
	return v.claimants[0]
}

// pick is a choice made without memory.
type pick struct {
	place  Place
	reason Reason
	by     By
}

func (p pick) found() bool { return p.by != "" }

// fresh chooses as if nothing were remembered: the first kind of place that
// there is, in the order of docs/spec/choice.md.
func (v view) fresh() pick {
	open, mappings := v.open, v.chosen.mappings
	if slices.ContainsFunc(mappings, func(m Mapping) bool { return m.Audience }) {
		// A group that the asker belongs to sees that mapping, and no other.
		mappings = slices.DeleteFunc(slices.Clone(mappings), func(m Mapping) bool { return !m.Audience })
		open = slices.DeleteFunc(slices.Clone(open), func(p Place) bool { return !p.Audience })
	}
	if len(open) == 0 {
		return pick{reason: v.none(mappings)}
	}
	for _, kind := range []struct {
		reason Reason
		is     func(Place) bool
	}{
		{Purpose, v.question.meant},
		{SameApp, sameApp},
		{Default, func(p Place) bool { return slices.Contains(p.Tags, mapping.TagDefault) }},
		{Picked, func(p Place) bool { return len(p.Tags) == 0 }},
		{Picked, func(Place) bool { return true }},
	} {
		these := slices.DeleteFunc(slices.Clone(open), func(p Place) bool { return !kind.is(p) })
		switch {
		case len(these) == 0:
		case len(these) == 1 && kind.reason != Picked:
			return pick{these[0], kind.reason, ByTag}
		case len(open) == 1:
			return pick{these[0], Only, ByTag}
		default:
			return pick{v.oneOf(these), Picked, ByPick}
		}
	}
	return pick{} // not reached: the last kind takes every place
}

// oneOf picks among places that the contact left open: where she is written to
// otherwise, on the asker's own app, or the first in rank.
func (v view) oneOf(these []Place) Place {
	for _, first := range []func(Place) bool{v.general.is, func(p Place) bool { return p.Provider == v.question.Own }} {
		if i := slices.IndexFunc(these, first); i >= 0 {
			return these[i]
		}
	}
	return these[0]
}

// none says why there is no place for the asker in these mappings.
func (v view) none(mappings []Mapping) Reason {
	alive := func(m Mapping) bool { return slices.ContainsFunc(m.Entries, func(e Entry) bool { return !e.Dead }) }
	switch {
	case len(mappings) == 0 && !v.question.Heard.Whole:
		return Incomplete
	case len(mappings) == 0:
		return NoMapping
	case slices.ContainsFunc(mappings, alive):
		return NotForYou
	case slices.ContainsFunc(mappings, func(m Mapping) bool { return len(m.Entries) == 0 }):
		return Unlisted
	default:
		return Ended
	}
}

// death says why the remembered place is not among those open to the asker.
func (v view) death() Change {
	i := slices.IndexFunc(v.claimants, func(c claimant) bool { return c.claim == v.memo.claim() })
	switch {
	case len(v.claimants) == 0:
		return Gone
	case i < 0:
		return Claimant
	case v.claimants[i].outranked:
		return Outranked
	case slices.ContainsFunc(v.claimants[i].places(), v.memo.is):
		return Withheld
	}
	for _, m := range v.claimants[i].mappings {
		if slices.ContainsFunc(m.Entries, func(e Entry) bool { return e.Provider == v.memo.Provider }) {
			return Unreachable
		}
	}
	return Gone
}
