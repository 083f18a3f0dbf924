package choice_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/client/choice"
	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

const vectorDir = "../../vectors/choice"

type vector struct {
	Name     string          `json:"name"`
	Why      string          `json:"why"`
	Question vectorQuestion  `json:"question"`
	Mappings []vectorMapping `json:"mappings"`
	Past     struct {
		Purpose *vectorMemo  `json:"purpose"`
		General *vectorMemo  `json:"general"`
		Others  []vectorMemo `json:"others"`
	} `json:"past"`
	Expect expect `json:"expect"`
}

type vectorQuestion struct {
	CSI      string   `json:"csi"`
	Purpose  string   `json:"purpose"`
	Own      string   `json:"own"`
	Answered []string `json:"answered"`
	Whole    bool     `json:"whole"`
}

type vectorMapping struct {
	ID          string        `json:"id"`
	Sequence    uint64        `json:"sequence"`
	Lineage     string        `json:"lineage"`
	Holder      string        `json:"holder"`
	DP          string        `json:"dp"`
	Evidence    int64         `json:"evidence"`
	Provisional bool          `json:"provisional"`
	Audience    bool          `json:"audience"`
	Entries     []vectorEntry `json:"entries"`
}

type vectorEntry struct {
	Provider string   `json:"provider"`
	Tags     []string `json:"tags"`
	Dead     bool     `json:"dead"`
}

type vectorMemo struct {
	Lineage  string    `json:"lineage"`
	Holder   string    `json:"holder"`
	Provider string    `json:"provider"`
	DP       string    `json:"dp"`
	By       choice.By `json:"by"`
}

// expect is a decision; what is empty there is not in it.
type expect struct {
	Reason    choice.Reason `json:"reason"`
	Provider  string        `json:"provider"`
	Lineage   string        `json:"lineage"`
	Mapping   string        `json:"mapping"` // given where two mappings list the provider
	Changed   choice.Change `json:"changed"`
	Was       string        `json:"was"`
	Preferred string        `json:"preferred"`
	Tentative bool          `json:"tentative"`
	Contested bool          `json:"contested"`
	Note      *vectorNote   `json:"note"`
}

type vectorNote struct {
	Purpose string     `json:"purpose"`
	Memo    vectorMemo `json:"memo"`
}

// load reads a vector file strictly and fails if it holds nothing.
func load[V any](t testing.TB, name string) []V {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec    string `json:"spec"`
		Version int    `json:"version"`
		Vectors []V    `json:"vectors"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if file.Version != 1 || len(file.Vectors) == 0 {
		t.Fatalf("%s: version %d with %d vectors; want version 1 with some", name, file.Version, len(file.Vectors))
	}
	return file.Vectors
}

func TestR07Vectors(t *testing.T) {
	reasons := map[choice.Reason]bool{}
	changes := map[choice.Change]bool{}
	for _, v := range load[vector](t, "choice.json") {
		reasons[v.Expect.Reason], changes[v.Expect.Changed] = true, true
		t.Run(v.Name, func(t *testing.T) {
			q, set := v.question(t), v.set(t)
			past := choice.Past{Purpose: v.Past.Purpose.memo(t), General: v.Past.General.memo(t)}
			for _, m := range v.Past.Others {
				past.Others = append(past.Others, *m.memo(t))
			}
			got := expected(choice.Decide(q, set, past))
			if v.Expect.Mapping == "" {
				got.Mapping = ""
			}
			if d := cmp.Diff(v.Expect, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", v.Why, d)
			}
			// The order of the answer says nothing.
			for range 10 {
				rand.Shuffle(len(past.Others), func(i, j int) { past.Others[i], past.Others[j] = past.Others[j], past.Others[i] })
				rand.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
				for _, m := range set {
					rand.Shuffle(len(m.Entries), func(i, j int) { m.Entries[i], m.Entries[j] = m.Entries[j], m.Entries[i] })
				}
				again := expected(choice.Decide(q, set, past))
				if v.Expect.Mapping == "" {
					again.Mapping = ""
				}
				if d := cmp.Diff(got, again); d != "" {
					t.Fatalf("in another order (-before +after):\n%s", d)
				}
			}
		})
	}
	for _, r := range []choice.Reason{
		choice.Purpose, choice.SameApp, choice.Default, choice.Only, choice.Picked, choice.Remembered, choice.User,
		choice.NoMapping, choice.Incomplete, choice.Unlisted, choice.Ended, choice.NotForYou, choice.Unconfirmed,
	} {
		if !reasons[r] {
			t.Errorf("no vector with reason %q", r)
		}
	}
	for _, c := range []choice.Change{
		choice.Gone, choice.Unreachable, choice.Withheld, choice.Claimant, choice.Outranked, choice.Steered,
	} {
		if !changes[c] {
			t.Errorf("no vector with change %q", c)
		}
	}
}

func TestRankVectors(t *testing.T) {
	for _, v := range load[struct{ CSI, Provider, Rank string }](t, "rank.json") {
		got := choice.Rank(mustCSI(t, v.CSI), party(t, v.Provider))
		if hex.EncodeToString(got[:]) != v.Rank {
			t.Errorf("%s of %s: %x", v.Provider, v.CSI, got)
		}
	}
}

// TestSpecNamesEveryWord keeps docs/spec/choice.md and the code together.
func TestSpecNamesEveryWord(t *testing.T) {
	spec, err := os.ReadFile("../../docs/spec/choice.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{string(choice.ByTag), string(choice.ByPick), string(choice.ByUser)}
	for _, v := range load[vector](t, "choice.json") {
		words = append(words, string(v.Expect.Reason))
		if v.Expect.Changed != "" {
			words = append(words, string(v.Expect.Changed))
		}
	}
	for _, w := range words {
		if !strings.Contains(string(spec), "| `"+w+"` |") {
			t.Errorf("docs/spec/choice.md has no row for %q", w)
		}
	}
}

func (v vector) question(t testing.TB) choice.Question {
	q := choice.Question{CSI: mustCSI(t, v.Question.CSI), Purpose: v.Question.Purpose, Heard: choice.Heard{Whole: v.Question.Whole}}
	if v.Question.Own != "" {
		q.Own = party(t, v.Question.Own)
	}
	for _, dp := range v.Question.Answered {
		q.Heard.Answered = append(q.Heard.Answered, party(t, dp))
	}
	return q
}

func (v vector) set(t testing.TB) []choice.Mapping {
	var out []choice.Mapping
	for _, m := range v.Mappings {
		view := choice.Mapping{
			ID: mapping.ID(unhex(t, m.ID)), Sequence: m.Sequence, Lineage: mapping.Lineage(unhex(t, m.Lineage)), Holder: key.ID(unhex(t, m.Holder)),
			DP: party(t, m.DP), Evidence: time.Unix(m.Evidence, 0), Provisional: m.Provisional, Audience: m.Audience,
		}
		for _, e := range m.Entries {
			view.Entries = append(view.Entries, choice.Entry{Provider: party(t, e.Provider), URI: "mimi://" + e.Provider, Tags: e.Tags, Dead: e.Dead})
		}
		out = append(out, view)
	}
	return out
}

func (m *vectorMemo) memo(t testing.TB) *choice.Memo {
	if m == nil {
		return nil
	}
	return &choice.Memo{
		Lineage: mapping.Lineage(unhex(t, m.Lineage)), Holder: key.ID(unhex(t, m.Holder)),
		Provider: party(t, m.Provider), DP: party(t, m.DP), By: m.By,
	}
}

// expected writes a decision as the vectors do.
func expected(d choice.Decision) expect {
	e := expect{
		Reason: d.Reason, Provider: d.Place.Provider.String(), Changed: d.Changed, Was: d.Was.String(),
		Tentative: d.Tentative, Contested: d.Contested,
	}
	if d.Found() {
		e.Lineage, e.Mapping = hex.EncodeToString(d.Place.Lineage[:]), hex.EncodeToString(d.Place.Mapping[:])
	}
	if d.Preferred != nil {
		e.Preferred = d.Preferred.Provider.String()
	}
	if d.Note != nil {
		m := d.Note.Memo
		e.Note = &vectorNote{d.Note.Purpose, vectorMemo{
			hex.EncodeToString(m.Lineage[:]), hex.EncodeToString(m.Holder[:]), m.Provider.String(), m.DP.String(), m.By,
		}}
	}
	return e
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustCSI(t testing.TB, s string) csi.ID {
	t.Helper()
	id, err := csi.ParseCanonical(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func party(t testing.TB, s string) registry.PartyID {
	t.Helper()
	id, err := registry.ParsePartyID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
