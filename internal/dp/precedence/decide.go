package precedence

import (
	"fmt"
	"time"

	"whither/mapping"
	"whither/possession"
)

// Verdict is what becomes of a newcomer.
type Verdict uint8

// The verdicts.
const (
	// Accept: it lives from now on.
	Accept Verdict = iota + 1
	// Provisional: it lives, and yields to an older lineage that a DP still to
	// be heard may hold.
	Provisional
	// Hold: the incumbents are asked first.
	Hold
	// Refuse: it does not live, and nobody is asked.
	Refuse
	// Review: people decide.
	Review
)

// String returns the verdict's name.
func (v Verdict) String() string {
	switch v {
	case Accept:
		return "accept"
	case Provisional:
		return "provisional"
	case Hold:
		return "hold"
	case Refuse:
		return "refuse"
	case Review:
		return "review"
	default:
		return "none"
	}
}

// Row names a row of the table. 1 to 9 are those of design section 7.
type Row uint8

// The rows. RowSecondRound is reached by a claim under way, see [Advance].
const (
	RowFirst       Row = 1
	RowSuccessor   Row = 2
	RowMember      Row = 3
	RowEnded       Row = 4
	RowEvent       Row = 5
	RowStricter    Row = 6
	RowEqual       Row = 7
	RowWeaker      Row = 8
	RowSecondRound Row = 9
	RowStale       Row = 10
	RowBarred      Row = 11
	RowTooMany     Row = 12
)

// Decision is a verdict, with the row that it comes from.
type Decision struct {
	Row     Row
	Verdict Verdict
	Reason  string            // in words for people
	Ends    []mapping.Lineage // which events have ended
	Need    possession.Level  // that would have been heard, where refused as weaker
	Claim   *Claim            // opened, for Hold and Review
}

// facts are what the conditions of the table look at.
type facts struct {
	relation Relation
	stale    bool // older than fresh evidence may be
	barred   bool // older than a believed event
	known    int  // lineages that live, or that an event has ended and nobody has swept
	ended    int  // of these, those that an event has ended
	rivals   int  // of these, those that stand
	stricter bool // than every rival
	equal    bool // to the strongest rival
	tooMany  bool
}

func look(k Case, n Newcomer, t Clock) facts {
	rivals := k.rivals(n.Lineage)
	best := strongest(rivals)
	fresh := n.FreshFor
	if fresh == 0 {
		fresh = FreshFor
	}
	return facts{
		relation: n.Relation, stale: n.Proof.At.Before(t.Now.Add(-fresh)), barred: k.barred(n.Proof),
		known: len(k.Lineages), ended: len(k.Overtaken()), rivals: len(rivals),
		stricter: n.Proof.Level > best, equal: n.Proof.Level == best, tooMany: k.tooMany(n, t),
	}
}

func strongest(set []Lineage) possession.Level {
	var best possession.Level
	for _, l := range set {
		best = max(best, l.level())
	}
	return best
}

// tooMany reports whether a key has used up its claims of a kind. A claim that
// is stronger than all of them, or that follows a believed event, is heard.
func (k Case) tooMany(n Newcomer, t Clock) bool {
	count := 0
	for _, c := range k.Claims {
		if c.Holder != n.Holder || c.Family != n.Family || c.Lineage == (mapping.Lineage{}) || !c.Opened.After(t.Now.Add(-Memory)) {
			continue
		}
		if n.Proof.Level > c.Proof.Level {
			continue
		}
		heard := false
		for _, e := range k.Events {
			heard = heard || e.Believed && e.Kind != Ported && e.At.After(c.Opened)
		}
		if !heard {
			count++
		}
	}
	return count >= MaxClaims
}

// rule is one row.
type rule struct {
	row     Row
	what    string // the case, in words
	when    func(facts) bool
	verdict Verdict
	outcome string // in words
	hold    time.Duration
}

// table is the order in which rows are looked at; the first that applies counts.
func table() []rule {
	return []rule{
		{
			RowSuccessor, "the same lineage: the next sequence of its mapping",
			func(f facts) bool { return f.relation == Successor }, Accept, "accept; it expires by its evidence", 0,
		},
		{
			RowMember, "the same lineage: a key of it, or one that it has joined or handed over to",
			func(f facts) bool { return f.relation == Member }, Accept, "accept into the lineage", 0,
		},
		{
			RowStale, "evidence older than fresh evidence may be",
			func(f facts) bool { return f.stale }, Refuse, "refuse: prove again", 0,
		},
		{
			RowBarred, "a believed event of the CSIP is newer than the newcomer's evidence",
			func(f facts) bool { return f.barred }, Refuse, "refuse: prove again", 0,
		},
		{
			RowFirst, "no lineage lives",
			func(f facts) bool { return f.known == 0 }, Accept, "accept as first; provisional until every DP has answered", 0,
		},
		{
			RowEvent, "a believed event says that the CSI changed hands after the incumbents' evidence, and the newcomer's is later",
			func(f facts) bool { return f.ended > 0 && f.rivals == 0 }, Accept, "accept at once; the incumbents have ended", 0,
		},
		{
			RowEnded, "every lineage was withdrawn, has expired or has ended",
			func(f facts) bool { return f.rivals == 0 }, Accept, "accept", 0,
		},
		{
			RowWeaker, "weaker evidence than an incumbent's",
			func(f facts) bool { return !f.stricter && !f.equal }, Refuse, "refuse, and name the level that is needed; on appeal, review", 0,
		},
		{
			RowTooMany, "as many claims of this key by this kind of evidence as are heard, and none of them weaker or before an event",
			func(f facts) bool { return f.tooMany }, Refuse, "refuse: too many claims", 0,
		},
		{
			RowStricter, "stricter evidence than every incumbent's",
			func(f facts) bool { return f.stricter }, Hold, "hold; a re-proof at the newcomer's level stops it, silence accepts", HoldStricter,
		},
		{
			RowEqual, "evidence as strong as the strongest incumbent's",
			func(f facts) bool { return f.equal }, Hold, "hold; a re-proof at the newcomer's level stops it, silence accepts", HoldEqual,
		},
	}
}

// Rule is a row of the table in words, for the spec.
type Rule struct {
	Row           Row
	Case, Outcome string
	Hold          time.Duration
}

// Rules returns the table in the order in which its rows are looked at.
func Rules() []Rule {
	var out []Rule
	for _, r := range table() {
		out = append(out, Rule{Row: r.row, Case: r.what, Outcome: r.outcome, Hold: r.hold})
	}
	return out
}

// Decide applies the table to a newcomer.
func Decide(k Case, n Newcomer, t Clock) Decision {
	f := look(k, n, t)
	for _, r := range table() {
		if r.when(f) {
			return r.decide(k, n, t)
		}
	}
	panic("precedence: no row applies") // stricter, equal and weaker are all that there is
}

func (r rule) decide(k Case, n Newcomer, t Clock) Decision {
	d := Decision{Row: r.row, Verdict: r.verdict, Reason: r.what, Ends: k.Overtaken()}
	switch {
	case r.row == RowFirst && !k.Complete:
		d.Verdict = Provisional
	case r.row == RowWeaker:
		d.Need = strongest(k.rivals(n.Lineage))
		d.Reason = fmt.Sprintf("%s: needs level %d", r.what, d.Need)
		if n.Appeal && !look(k, n, t).tooMany {
			d.Verdict, d.Claim = Review, open(k, n, r.row, 0, t)
			d.Claim.Phase = Reviewed
		}
	case r.verdict == Hold:
		d.Claim = open(k, n, r.row, r.hold, t)
	}
	return d
}
