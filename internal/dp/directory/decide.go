package directory

import "whither/mapping"

// Verdict is what becomes of a submitted mapping.
type Verdict uint8

// The verdicts.
const (
	// AcceptFirst: no mapping of the CSI lives; it starts a lineage.
	AcceptFirst Verdict = iota + 1
	// AcceptBeside: the same key adds a mapping, for another MSP, to its lineage.
	AcceptBeside
	// AcceptReplace: the same key replaces its mapping by the next sequence.
	AcceptReplace
	// Repeat: the very same mapping lives already; the answer is given again.
	Repeat
	// Hold: another lineage holds the CSI.
	Hold
	// Refuse: it does not follow what lives here.
	Refuse
)

// Decision is a verdict with its reason in words for people.
type Decision struct {
	Verdict Verdict
	Reason  string
}

// Decide applies the rules of precedence (design section 7) to a newcomer,
// given the live mappings of its CSI. It is a pure function: whether evidence
// is fresh enough is asked before it, and races are the store's to catch.
//
// Until holds are decided by evidence and events, every newcomer of another
// lineage is held, and what lives is never touched: nobody loses a mapping to
// a stranger.
func Decide(live []Stored, newcomer mapping.Claims, digest mapping.Digest) Decision {
	for _, s := range live {
		if s.ID == newcomer.ID {
			return decideSame(s, newcomer, digest)
		}
	}
	if newcomer.Sequence > 0 {
		return Decision{Refuse, "the mapping that it replaces does not live here"}
	}
	if len(live) == 0 {
		if !newcomer.First {
			return Decision{Refuse, "it names a lineage that does not live here"}
		}
		return Decision{AcceptFirst, "no mapping of this CSI lives here"}
	}
	own := false
	for _, s := range live {
		if s.Lineage != newcomer.Lineage {
			return Decision{Hold, "another lineage holds this CSI"}
		}
		own = own || s.Holder == newcomer.Holder.ID()
	}
	switch {
	case !own:
		return Decision{Hold, "the lineage lives under another key, which has not joined this one"}
	case newcomer.First:
		return Decision{Refuse, "its lineage has started already"}
	default:
		return Decision{AcceptBeside, "the lineage's own key adds a mapping"}
	}
}

// decideSame compares a newcomer with the live mapping of its id.
func decideSame(s Stored, newcomer mapping.Claims, digest mapping.Digest) Decision {
	switch {
	case s.Digest == digest:
		return Decision{Repeat, "the same mapping lives here"}
	case s.Holder != newcomer.Holder.ID() || s.Lineage != newcomer.Lineage:
		return Decision{Refuse, "its id belongs to a mapping of another key or lineage"}
	case newcomer.Sequence != s.Sequence+1 || newcomer.Predecessor != s.Digest:
		return Decision{Refuse, "it is not the next sequence of the mapping that lives here"}
	default:
		return Decision{AcceptReplace, "the next sequence, by the same key"}
	}
}
