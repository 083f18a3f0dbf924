package choice_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"whither/client/choice"
	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

// Small worlds: few of everything, so that coincidences are frequent.
type world struct {
	providers, dps []registry.PartyID
	contact        csi.ID
}

func newWorld(t testing.TB) world {
	w := world{contact: mustCSI(t, bob)}
	for _, p := range []string{blue, green, red} {
		w.providers = append(w.providers, party(t, p))
	}
	for i := range 2 {
		w.dps = append(w.dps, party(t, fmt.Sprintf("dp%d.example", i)))
	}
	return w
}

func (w world) mapping(t *rapid.T) choice.Mapping {
	who := rapid.SampledFrom([]byte{1, 1, 1, 2, 3}).Draw(t, "who")
	m := choice.Mapping{
		ID: mapping.ID{rapid.ByteRange(1, 3).Draw(t, "id")}, Sequence: rapid.Uint64Range(0, 2).Draw(t, "sequence"),
		Lineage: mapping.Lineage{who}, Holder: key.ID{who}, DP: rapid.SampledFrom(w.dps).Draw(t, "dp"),
		Evidence:    time.Unix(rapid.Int64Range(0, 3).Draw(t, "evidence"), 0),
		Provisional: rapid.Bool().Draw(t, "provisional"), Audience: rapid.SampledFrom([]bool{false, false, true}).Draw(t, "audience"),
	}
	if who == 3 {
		m.Lineage = mapping.Lineage{1} // the contact's lineage under another key
	}
	for _, p := range w.providers {
		if !rapid.Bool().Draw(t, "listed") {
			continue
		}
		e := choice.Entry{Provider: p, URI: "mimi://" + p.String(), Dead: rapid.SampledFrom([]bool{false, false, true}).Draw(t, "dead")}
		if e.Tags = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{mapping.TagBusiness, mapping.TagPersonal, p.String()}), 0, 2, rapid.ID).Draw(t, "tags"); len(e.Tags) == 0 && rapid.Bool().Draw(t, "default") {
			e.Tags = []string{mapping.TagDefault}
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

func (w world) set(t *rapid.T) []choice.Mapping {
	return rapid.SliceOfN(rapid.Custom(w.mapping), 0, 5).Draw(t, "set")
}

func (w world) question(t *rapid.T) choice.Question {
	q := choice.Question{
		CSI: w.contact, Purpose: rapid.SampledFrom([]string{"", "", mapping.TagBusiness, mapping.TagDefault, blue}).Draw(t, "purpose"),
		Own:   rapid.SampledFrom(append(slices.Clone(w.providers), registry.PartyID{})).Draw(t, "own"),
		Heard: choice.Heard{Whole: rapid.Bool().Draw(t, "whole")},
	}
	if q.Heard.Whole || rapid.Bool().Draw(t, "answered") {
		q.Heard.Answered = w.dps[:rapid.IntRange(1, len(w.dps)).Draw(t, "dps")]
	}
	return q
}

// the slot in which a question's choice is remembered.
func slot(purpose string) string {
	if purpose == mapping.TagDefault {
		return ""
	}
	return purpose
}

func decide(t *rapid.T, memory choice.Memory, q choice.Question, set []choice.Mapping) choice.Decision {
	t.Helper()
	d, err := choice.Chooser{Memory: memory}.Decide(choice.Ask{Question: q, Mappings: set})
	if err != nil || len(d) != 1 {
		t.Fatalf("%d decisions, %v", len(d), err)
	}
	return d[0]
}

// TestR07Properties takes a contact through a random history and looks at each
// decision.
func TestR07Properties(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		var memory choice.Scratch
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			q, set := w.question(t), w.set(t)
			options := choice.Options(q, set)
			if len(options) > 0 && rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "the asker speaks") {
				w.speak(t, &memory, q, set, options)
				continue
			}
			past := recall(t, &memory, q)
			d := decide(t, &memory, q, set)
			checkPlace(t, d, options)
			checkMemory(t, d, past, q, options)
			checkClaimant(t, d, past, q)

			// Stable: no order of the answer matters, and the same again says the same.
			shuffled := rapid.Permutation(set).Draw(t, "shuffled")
			if diff := cmp.Diff(expected(choice.Decide(q, set, past)), expected(choice.Decide(q, shuffled, past))); diff != "" {
				t.Fatalf("another order is another decision:\n%s", diff)
			}
			again := decide(t, &memory, q, shuffled)
			if again.Place.Provider != d.Place.Provider || again.Place.Holder != d.Place.Holder || again.Note != nil {
				t.Fatalf("asked again: %+v after %+v", expected(again), expected(d))
			}
			if d.Note != nil && again.Changed != "" {
				t.Fatalf("changed again: %+v after %+v", expected(again), expected(d))
			}
		}
	})
}

func recall(t *rapid.T, memory choice.Memory, q choice.Question) choice.Past {
	past, err := memory.Recall(q.CSI, slot(q.Purpose))
	if err != nil {
		t.Fatal(err)
	}
	return past
}

// speak has the asker choose, and checks that she is heard at once and later.
func (w world) speak(t *rapid.T, memory choice.Memory, q choice.Question, set []choice.Mapping, options []choice.Place) {
	wish := rapid.SampledFrom(options).Draw(t, "wish")
	if _, err := (choice.Chooser{Memory: memory}).Choose(choice.Ask{Question: q, Mappings: set}, wish); err != nil {
		t.Fatal(err)
	}
	if d := decide(t, memory, q, set); d.Place.Provider != wish.Provider || d.Place.Holder != wish.Holder || d.Reason != choice.User || d.Changed != "" {
		t.Fatalf("wished %s, got %+v", wish.Provider, expected(d))
	}
}

// checkPlace: one place that is offered, or a reason for none.
func checkPlace(t *rapid.T, d choice.Decision, options []choice.Place) {
	offered := func(p choice.Place) bool {
		return slices.ContainsFunc(options, func(o choice.Place) bool { return cmp.Equal(o, p, cmp.AllowUnexported(registry.PartyID{})) })
	}
	none := slices.Contains([]choice.Reason{choice.NoMapping, choice.Incomplete, choice.Unlisted, choice.Ended, choice.NotForYou, choice.Unconfirmed}, d.Reason)
	switch {
	case d.Found() == none:
		t.Fatalf("place and reason: %+v", expected(d))
	case d.Found() && !offered(d.Place), d.Preferred != nil && !offered(*d.Preferred):
		t.Fatalf("not offered: %+v", expected(d))
	case d.Note != nil && (!d.Found() || d.Tentative || d.Note.Memo.Provider != d.Place.Provider):
		t.Fatalf("remembered without a place: %+v", expected(d))
	case (d.Changed != "") && d.Was.IsZero():
		t.Fatalf("changed from nowhere: %+v", expected(d))
	}
}

// checkMemory: what is remembered and still there stays, unless it followed a
// tag; and what replaces it says why.
func checkMemory(t *rapid.T, d choice.Decision, past choice.Past, q choice.Question, options []choice.Place) {
	memo := past.Purpose
	if memo == nil {
		if d.Reason == choice.Purpose || d.Note != nil && d.Note.Purpose != "" {
			return // the first message for this purpose
		}
		if memo = past.General; memo == nil {
			return
		}
		if slot(q.Purpose) != "" && d.Changed == "" && d.Place.Provider != memo.Provider {
			return // likewise, not remembered yet
		}
	}
	there := slices.ContainsFunc(options, func(p choice.Place) bool {
		return p.Provider == memo.Provider && p.Lineage == memo.Lineage && p.Holder == memo.Holder
	})
	same := d.Place.Provider == memo.Provider && d.Place.Holder == memo.Holder && d.Place.Lineage == memo.Lineage
	switch {
	case there && !same && (d.Changed != choice.Steered || memo.By != choice.ByTag):
		t.Fatalf("left a place that is there (%s by %s): %+v", memo.Provider, memo.By, expected(d))
	case there && same && d.Changed != "":
		t.Fatalf("stayed and changed: %+v", expected(d))
	case !there && d.Changed == "" && d.Reason != choice.Unconfirmed:
		t.Fatalf("changed without a word (%s by %s): %+v", memo.Provider, memo.By, expected(d))
	case (d.Changed == choice.Gone || d.Changed == choice.Claimant) && !slices.Contains(q.Heard.Answered, memo.DP):
		t.Fatalf("gone, and nobody said so: %+v", expected(d))
	}
}

// checkClaimant: nobody new is written to without a word, nor while anybody is
// silent who may know the old one.
func checkClaimant(t *rapid.T, d choice.Decision, past choice.Past, q choice.Question) {
	known := slices.Clone(past.Others)
	for _, m := range []*choice.Memo{past.Purpose, past.General} {
		if m != nil {
			known = append(known, *m)
		}
	}
	if !d.Found() || len(known) == 0 || slices.ContainsFunc(known, func(m choice.Memo) bool { return m.Lineage == d.Place.Lineage && m.Holder == d.Place.Holder }) {
		return
	}
	silent := slices.ContainsFunc(known, func(m choice.Memo) bool { return !slices.Contains(q.Heard.Answered, m.DP) })
	if d.Changed != choice.Claimant && d.Changed != choice.Outranked || d.Changed == choice.Claimant && silent {
		t.Fatalf("somebody new: %+v", expected(d))
	}
}

// TestR07AskersAgree: askers with the same app choose alike, whatever devices
// they have and whatever order they are answered in.
func TestR07AskersAgree(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		q, set := w.question(t), w.set(t)
		one := choice.Decide(q, set, choice.Past{})
		other := choice.Decide(q, rapid.Permutation(set).Draw(t, "shuffled"), choice.Past{})
		if d := cmp.Diff(expected(one), expected(other)); d != "" {
			t.Fatal(d)
		}
	})
}
