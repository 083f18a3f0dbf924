package choice

import (
	"errors"
	"slices"
)

// ErrNotOffered is the error of [Choose] for a place that is not there.
var ErrNotOffered = errors.New("choice: the contact cannot be reached there: choose one of the places offered")

// Decide chooses a place, as docs/spec/choice.md defines it.
func Decide(q Question, set []Mapping, past Past) Decision {
	v := look(q, set, past)
	d := Decision{Contested: len(v.claimants) > 1, Tentative: !q.Heard.Whole || v.chosen.provisional}
	fresh := v.fresh()
	if v.memo != nil {
		if i := slices.IndexFunc(v.open, v.memo.is); i >= 0 {
			return v.stay(d, v.open[i], fresh)
		}
		d.Changed, d.Was = v.death(), v.memo.Provider
		if d.Changed.byAbsence() && !v.heard() {
			return v.wait(d, fresh)
		}
	}
	d.Reason = fresh.reason
	if fresh.found() {
		d.Place = fresh.place
		if !d.Tentative {
			d.Note = v.note(fresh.place, fresh.by)
		}
	}
	return d
}

// stay keeps to the remembered place, unless it was remembered by the contact's
// word and her tags now say another one.
func (v view) stay(d Decision, there Place, fresh pick) Decision {
	told := fresh.by == ByTag
	elsewhere := told && fresh.place.Provider != there.Provider
	if elsewhere && v.memo.By == ByTag && !d.Tentative {
		d.Place, d.Reason, d.Changed, d.Was = fresh.place, fresh.reason, Steered, there.Provider
		d.Note = v.note(fresh.place, ByTag)
		return d
	}
	d.Place, d.Reason, d.Tentative = there, Remembered, false
	switch {
	case v.memo.By == ByUser:
		d.Reason = User
	case v.memo.By == ByTag && told && !elsewhere:
		d.Reason = fresh.reason
	}
	if elsewhere {
		d.Preferred = &fresh.place
	}
	if v.memo.DP != there.DP {
		d.Note = v.note(there, v.memo.By)
	}
	return d
}

// wait is the decision while nobody who should know has said that the remembered
// place is gone: a message to another one might be a second thread for the same
// contact, or go to somebody who made the right DP fall silent.
func (v view) wait(d Decision, fresh pick) Decision {
	d.Reason, d.Changed, d.Tentative = Unconfirmed, Same, true
	if fresh.found() {
		d.Preferred = &fresh.place
	}
	return d
}

// heard tells whether those have answered who would know of the remembered
// place; and if nobody is left to whom the asker has written, of all those.
func (v view) heard() bool {
	silent := func(m Memo) bool { return !slices.Contains(v.question.Heard.Answered, m.DP) }
	return !silent(*v.memo) && (v.known(v.chosen.claim) || !slices.ContainsFunc(v.memos, silent))
}

func (v view) note(p Place, by By) *Note {
	return &Note{CSI: v.question.CSI, Purpose: v.slot, Memo: Memo{p.Lineage, p.Holder, p.Provider, p.DP, by}}
}

// byAbsence tells whether a change shows only in something not being there.
func (c Change) byAbsence() bool { return c == Gone || c == Claimant }

// Options lists the places that the asker may choose herself, those of the
// earliest claimant first.
func Options(q Question, set []Mapping) []Place {
	var out []Place
	for _, c := range claimants(set) {
		if !c.outranked {
			out = append(out, q.open(c)...)
		}
	}
	return out
}

// Choose is the asker's word: from now on this place, one of [Options], for
// messages of the question's purpose.
func Choose(q Question, set []Mapping, place Place) (Decision, error) {
	options := Options(q, set)
	i := slices.IndexFunc(options, func(p Place) bool { return p.claim() == place.claim() && p.Provider == place.Provider })
	if i < 0 {
		return Decision{}, ErrNotOffered
	}
	v := view{question: q, slot: q.purpose()}
	return Decision{
		Place: options[i], Reason: User, Contested: len(claimants(set)) > 1, Note: v.note(options[i], ByUser),
	}, nil
}
