package choice_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"whither/client/choice"
	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

// The places of these tests.
const (
	blue  = "blue.example"
	green = "green.example"
	red   = "red.example"
	dp    = "dp.example"
)

const bob = "tel:+14085550123"

func on(t testing.TB, provider string, tags ...string) choice.Entry {
	return choice.Entry{Provider: party(t, provider), URI: "mimi://" + provider, Tags: tags}
}

// made is mapping number id of the contact.
func made(t testing.TB, id byte, entries ...choice.Entry) choice.Mapping {
	return choice.Mapping{
		ID: mapping.ID{id}, Lineage: mapping.Lineage{1}, Holder: key.ID{1}, DP: party(t, dp),
		Evidence: time.Unix(1793000000+int64(id), 0), Entries: entries,
	}
}

func asks(t testing.TB, own, purpose string) choice.Question {
	q := choice.Question{
		CSI: mustCSI(t, bob), Purpose: purpose,
		Heard: choice.Heard{Answered: []registry.PartyID{party(t, dp)}, Whole: true},
	}
	if own != "" {
		q.Own = party(t, own)
	}
	return q
}

// TestR07Journeys: what a recipient may wish for, how she says so in her tags,
// and where messages of different askers go.
func TestR07Journeys(t *testing.T) {
	type asker struct{ own, purpose, want string } // want: a provider or a reason for none
	for _, j := range []struct {
		wish   string
		set    []choice.Mapping
		askers []asker
	}{
		{
			"found only by users of one MSP",
			[]choice.Mapping{made(t, 1, on(t, blue, blue))},
			[]asker{{blue, "", blue}, {green, "", "not-for-you"}, {"", "", "not-for-you"}, {green, blue, "not-for-you"}},
		},
		{
			"found only on the same app as the sender",
			[]choice.Mapping{made(t, 1, on(t, blue, blue)), made(t, 2, on(t, green, green))},
			[]asker{{blue, "", blue}, {green, "", green}, {red, "", "not-for-you"}, {red, mapping.TagBusiness, "not-for-you"}},
		},
		{
			"never scattered over several apps",
			[]choice.Mapping{made(t, 1, on(t, blue)), made(t, 2, on(t, green, mapping.TagDefault)), made(t, 3, on(t, red))},
			[]asker{{blue, "", green}, {green, "", green}, {red, "", green}, {"", "", green}, {red, mapping.TagBusiness, green}},
		},
		{
			"never scattered, though she says nothing: askers without an app of hers agree",
			[]choice.Mapping{made(t, 1, on(t, blue), on(t, green), on(t, red))},
			[]asker{{"", "", blue}, {"other.example", "", blue}, {"third.example", mapping.TagPersonal, blue}},
		},
		{
			"never duplicated",
			[]choice.Mapping{made(t, 1, on(t, blue, mapping.TagDefault)), made(t, 2, on(t, blue)), made(t, 3, on(t, blue))},
			[]asker{{"", "", blue}, {blue, "", blue}, {green, mapping.TagBusiness, blue}},
		},
		{
			"another app per sender",
			[]choice.Mapping{made(t, 1, on(t, blue, blue)), made(t, 2, on(t, green, green)), made(t, 3, on(t, red, mapping.TagDefault))},
			[]asker{{blue, "", blue}, {green, "", green}, {red, "", red}, {"other.example", "", red}, {"", "", red}},
		},
		{
			"a closed group of senders sees another mapping: others",
			[]choice.Mapping{made(t, 1, on(t, blue, mapping.TagDefault))},
			[]asker{{"", "", blue}, {green, "", blue}, {green, "choir", blue}},
		},
		{
			"a closed group of senders sees another mapping: the group",
			[]choice.Mapping{made(t, 1, on(t, blue, mapping.TagDefault)), audience(made(t, 2, on(t, green, "choir"), on(t, red)))},
			[]asker{{"", "choir", green}, {blue, "choir", green}, {red, "", red}, {green, mapping.TagDefault, red}},
		},
		{
			"an open group (business contacts) sees a designated one",
			[]choice.Mapping{made(t, 1, on(t, blue, mapping.TagDefault)), made(t, 2, on(t, green, mapping.TagBusiness))},
			[]asker{{"", "", blue}, {"", mapping.TagBusiness, green}, {blue, mapping.TagBusiness, green}, {green, "", blue}, {green, mapping.TagPersonal, blue}},
		},
		{
			"registered, and not to be found",
			[]choice.Mapping{made(t, 1)},
			[]asker{{"", "", "unlisted"}, {blue, mapping.TagBusiness, "unlisted"}},
		},
	} {
		t.Run(j.wish, func(t *testing.T) {
			for _, a := range j.askers {
				var memory choice.Scratch
				chooser := choice.Chooser{Memory: &memory}
				for i := range 3 {
					d, err := chooser.Decide(choice.Ask{Question: asks(t, a.own, a.purpose), Mappings: j.set})
					if err != nil {
						t.Fatal(err)
					}
					got := string(d[0].Reason)
					if d[0].Found() {
						got = d[0].Place.Provider.String()
					}
					if got != a.want || d[0].Changed != "" {
						t.Errorf("asker at %q for %q, message %d: %s (%s), want %s", a.own, a.purpose, i+1, got, d[0].Reason, a.want)
					}
				}
			}
		})
	}
}

func audience(m choice.Mapping) choice.Mapping {
	m.Audience = true
	return m
}

// TestR07OnceAndRemembered follows one conversation for years.
func TestR07OnceAndRemembered(t *testing.T) {
	var memory choice.Scratch
	chooser := choice.Chooser{Memory: &memory}
	q := asks(t, "", "")
	step := func(what, place string, reason choice.Reason, changed choice.Change, set ...choice.Mapping) choice.Decision {
		t.Helper()
		d, err := chooser.Decide(choice.Ask{Question: q, Mappings: set})
		if err != nil {
			t.Fatal(err)
		}
		if got := d[0]; got.Place.Provider.String() != place || got.Reason != reason || got.Changed != changed {
			t.Fatalf("%s: %s (%s, %s), want %s (%s, %s)", what, got.Place.Provider, got.Reason, got.Changed, place, reason, changed)
		}
		return d[0]
	}
	both := made(t, 1, on(t, blue), on(t, green))
	step("the first message", blue, choice.Picked, "", both)
	step("the second", blue, choice.Remembered, "", both)
	step("she takes a third app", blue, choice.Remembered, "", both, made(t, 2, on(t, red)))
	d := step("she makes it her default", blue, choice.Remembered, "", both, made(t, 2, on(t, red, mapping.TagDefault)))
	if d.Preferred == nil || d.Preferred.Provider != party(t, red) {
		t.Errorf("her wish is not shown: %+v", d.Preferred)
	}
	set := []choice.Mapping{both, made(t, 2, on(t, red, mapping.TagDefault))}
	if _, err := chooser.Choose(choice.Ask{Question: q, Mappings: set}, *d.Preferred); err != nil {
		t.Fatal(err)
	}
	step("the asker follows it", red, choice.User, "", set...)
	step("she moves her default", red, choice.User, "", made(t, 1, on(t, blue, mapping.TagDefault), on(t, green)), made(t, 2, on(t, red)))
	step("she leaves that app", blue, choice.Default, choice.Gone, made(t, 1, on(t, blue, mapping.TagDefault), on(t, green)))
	step("she moves her default again", green, choice.Default, choice.Steered, made(t, 1, on(t, blue), on(t, green, mapping.TagDefault)))
	step("and says nothing any more", green, choice.Remembered, "", both)
	other := made(t, 9, on(t, green))
	other.Lineage, other.Holder = mapping.Lineage{2}, key.ID{2}
	d = step("the number has another holder", green, choice.Only, choice.Claimant, other)
	if d.Was != party(t, green) {
		t.Errorf("was at %s", d.Was)
	}
	if err := memory.Forget(q.CSI); err != nil {
		t.Fatal(err)
	}
	step("forgotten", blue, choice.Picked, "", both)
}

func TestChooseOffersWhatIsThere(t *testing.T) {
	q := asks(t, blue, "")
	dead := on(t, "dead.example")
	dead.Dead = true
	late := made(t, 9, on(t, red))
	late.Lineage, late.Holder = mapping.Lineage{2}, key.ID{2}
	doubtful := late
	doubtful.Holder, doubtful.Provisional = key.ID{3}, true
	set := []choice.Mapping{made(t, 1, on(t, blue, blue), on(t, green, green), on(t, red), dead), late, doubtful}
	var got []string
	for _, p := range choice.Options(q, set) {
		got = append(got, fmt.Sprint(p.Provider, p.Holder[0]))
	}
	slices.Sort(got)
	if want := []string{blue + " 1", red + " 1", red + " 2"}; !slices.Equal(got, want) {
		t.Errorf("offered %v, want %v", got, want)
	}
	for _, p := range []choice.Place{{}, {Provider: party(t, green), Lineage: mapping.Lineage{1}, Holder: key.ID{1}}, {Provider: party(t, red), Lineage: mapping.Lineage{1}, Holder: key.ID{2}}} {
		if _, err := choice.Choose(q, set, p); !errors.Is(err, choice.ErrNotOffered) {
			t.Errorf("%s: %v", p.Provider, err)
		}
	}
	d, err := choice.Choose(q, set, choice.Place{Provider: party(t, red), Lineage: mapping.Lineage{2}, Holder: key.ID{2}})
	if err != nil || d.Place.Mapping != late.ID || d.Note.Memo.By != choice.ByUser || !d.Contested {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestR07FromVerified takes real mappings through verification to a choice.
func TestR07FromVerified(t *testing.T) {
	f := worldtest.New(t)
	s := f.Snapshot()
	v := f.Mapping("bob@example.org", "bob", worldtest.MSPA)
	m := choice.From(v, s)
	claims := v.Claims()
	if m.ID != claims.ID || m.Lineage != claims.Lineage || m.Holder != claims.Holder.ID() || m.DP != claims.DP || !m.Evidence.Equal(v.Evidence().Oldest) ||
		m.Provisional != (v.Found() == mapping.FoundProvisional) || len(m.Entries) != 1 || m.Entries[0].Dead {
		t.Errorf("%+v", m)
	}
	q := choice.Question{CSI: claims.CSI, Heard: choice.Hear([]wire.AskedDP{{DP: claims.DP, Outcome: wire.AskedAnswered}}, nil, 0)}
	if d := choice.Decide(q, []choice.Mapping{m}, choice.Past{}); d.Place.Provider != party(t, worldtest.MSPA) || d.Reason != choice.Default || d.Note == nil {
		t.Errorf("%+v", d)
	}
	f.Grant(worldtest.MSPA).Standing.State = registry.Closed
	if m := choice.From(v, f.Snapshot()); !m.Entries[0].Dead {
		t.Error("an MSP that has closed is reachable")
	}
}

func TestHear(t *testing.T) {
	a, b := party(t, "a.example"), party(t, "b.example")
	for _, c := range []struct {
		name    string
		asked   []wire.AskedDP
		filter  []registry.PartyID
		refused int
		want    int
		whole   bool
	}{
		{"nobody", nil, nil, 0, 0, false},
		{"all", []wire.AskedDP{{DP: a, Outcome: wire.AskedAnswered}, {DP: b, Outcome: wire.AskedAnswered}}, nil, 0, 2, true},
		{"one fell silent", []wire.AskedDP{{DP: a, Outcome: wire.AskedAnswered}, {DP: b, Outcome: wire.AskedTimedOut}}, nil, 0, 1, false},
		{"one was not asked", []wire.AskedDP{{DP: a, Outcome: wire.AskedAnswered}, {DP: b, Outcome: wire.AskedNot}}, nil, 0, 1, false},
		{"with a filter", []wire.AskedDP{{DP: a, Outcome: wire.AskedAnswered}}, []registry.PartyID{b}, 0, 0, false},
		{"a mapping that did not verify", []wire.AskedDP{{DP: a, Outcome: wire.AskedAnswered}}, nil, 1, 0, false},
	} {
		if got := choice.Hear(c.asked, c.filter, c.refused); len(got.Answered) != c.want || got.Whole != c.whole {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// failing is a memory that fails where it is told to.
type failing struct {
	choice.Scratch
	recall, remember error
}

func (f *failing) Recall(id csi.ID, purpose string) (choice.Past, error) {
	if f.recall != nil {
		return choice.Past{}, f.recall
	}
	return f.Scratch.Recall(id, purpose)
}

func (f *failing) Remember(notes ...choice.Note) error {
	if f.remember != nil {
		return f.remember
	}
	return f.Scratch.Remember(notes...)
}

// TestMemoryThatFails: a choice that cannot be remembered is none.
func TestMemoryThatFails(t *testing.T) {
	broken := errors.New("broken")
	ask := choice.Ask{Question: asks(t, "", ""), Mappings: []choice.Mapping{made(t, 1, on(t, blue), on(t, green))}}
	for _, memory := range []*failing{{recall: broken}, {remember: broken}} {
		chooser := choice.Chooser{Memory: memory}
		if d, err := chooser.Decide(ask, ask); !errors.Is(err, broken) || d != nil {
			t.Errorf("decided %+v, %v", d, err)
		}
	}
	chooser := choice.Chooser{Memory: &failing{remember: broken}}
	if _, err := chooser.Choose(ask, choice.Options(ask.Question, ask.Mappings)[0]); !errors.Is(err, broken) {
		t.Errorf("chose: %v", err)
	}
}

func ExampleChooser() {
	id, _ := csi.Parse("tel:+442079460148")
	msp, _ := registry.ParsePartyID("blue.example")
	dp, _ := registry.ParsePartyID("dp.example")
	found := choice.Mapping{ // choice.From makes it of a verified mapping
		ID: mapping.ID{1}, Lineage: mapping.Lineage{1}, Holder: key.ID{1}, DP: dp,
		Entries: []choice.Entry{{Provider: msp, URI: "mimi://blue.example", Tags: []string{mapping.TagDefault}}},
	}
	chooser := choice.Chooser{Memory: &choice.Scratch{}} // or choice.OpenFolder
	question := choice.Question{CSI: id, Heard: choice.Hear([]wire.AskedDP{{DP: dp, Outcome: wire.AskedAnswered}}, nil, 0)}
	d, err := chooser.Decide(choice.Ask{Question: question, Mappings: []choice.Mapping{found}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d[0].Place.URI, d[0].Reason)
	// Output: mimi://blue.example default
}

func BenchmarkDecide(b *testing.B) {
	q := asks(b, "", mapping.TagBusiness)
	set := []choice.Mapping{made(b, 1, on(b, blue), on(b, green, mapping.TagDefault)), made(b, 2, on(b, red, mapping.TagBusiness))}
	b.ReportAllocs()
	for b.Loop() {
		choice.Decide(q, set, choice.Past{})
	}
}
