package disclosure_test

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/disclosure"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// good is a document of the DP of package worldtest.
func good(t testing.TB) disclosure.Document {
	t.Helper()
	return disclosure.Document{
		Evidence:  map[string]disclosure.Evidence{"mailto": {Kinds: []string{"mail-reply", "mail-witness"}, Level: 4}, "tel": {Kinds: []string{}, Level: 2}},
		Holds:     disclosure.Holds{Equal: 604800, Review: 2592000, Stricter: 259200},
		Limits:    disclosure.Limits{Body: 65536, CSIs: 10, Mappings: 1, Offer: 86400},
		Lookups:   disclosure.Lookups{Default: wire.FederationNone, Formats: []string{wire.FormatVerbose}, Preferences: disclosure.AsSigned, Visible: 1},
		Provider:  worldtest.Party(t, worldtest.DP),
		Residency: []string{"CH"}, Version: disclosure.Version,
		Retention: disclosure.Retention{Claims: 7776000, Signature: 604800, Tombstones: disclosure.Unlimited},
	}
}

func bytesOf(t testing.TB, d disclosure.Document) []byte {
	t.Helper()
	b, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCanonical: the order of members is that of RFC 8785, which the encoder of
// maps has, too.
func TestCanonical(t *testing.T) {
	b := bytesOf(t, good(t))
	var any map[string]any
	if err := json.Unmarshal(b, &any); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(any)
	if err != nil || string(again) != string(b) {
		t.Errorf("%v\n%s\n%s", err, b, again)
	}
	d, err := disclosure.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(good(t).Limits, d.Limits); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	text := string(bytesOf(t, good(t)))
	for name, pair := range map[string][2]string{
		"space":               {`{"evidence"`, `{ "evidence"`},
		"unknown member":      {`"version":1`, `"version":1,"x":1`},
		"twice":               {`"version":1`, `"version":1,"version":1`},
		"another case":        {`"version"`, `"Version"`},
		"left out":            {`,"version":1`, ``},
		"null":                {`"residency":["CH"]`, `"residency":null`},
		"another version":     {`"version":1`, `"version":2`},
		"fraction":            {`"offer":86400`, `"offer":86400.0`},
		"unsorted":            {`["CH"]`, `["DE","CH"]`},
		"no country":          {`["CH"]`, `["ch"]`},
		"twice in a list":     {`["CH"]`, `["CH","CH"]`},
		"unknown kind":        {`"mail-reply"`, `"mail"`},
		"kind of another":     {`"kinds":[]`, `"kinds":["mail-reply"]`},
		"level 1":             {`"level":2`, `"level":1`},
		"level 5":             {`"level":2`, `"level":5`},
		"more than all":       {`"csis":10`, `"csis":1001`},
		"nothing":             {`"mappings":1`, `"mappings":0`},
		"no time":             {`"claims":7776000`, `"claims":0`},
		"for ever":            {`"claims":7776000`, `"claims":77760000000`},
		"unknown default":     {`"default":"none"`, `"default":"selected"`},
		"unknown format":      {`["verbose"]`, `["html"]`},
		"no format":           {`["verbose"]`, `[]`},
		"unknown preferences": {`as-signed`, `ranked`},
		"no provider":         {`"dp.example"`, `""`},
		"behind it":           {`"version":1}`, `"version":1}{}`},
		"large":               {`{"evidence"`, strings.Repeat(" ", disclosure.MaxSize) + `{"evidence"`},
	} {
		bent := strings.Replace(text, pair[0], pair[1], 1)
		if bent == text {
			t.Fatalf("%s: nothing bent", name)
		}
		if _, err := disclosure.Parse([]byte(bent)); !errors.Is(err, disclosure.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(bytesOf(f, good(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := disclosure.Parse(b)
		if err != nil {
			return
		}
		if again, err := d.Marshal(); err != nil || string(again) != string(b) {
			t.Errorf("%v: %s", err, again)
		}
	})
}

func TestOf(t *testing.T) {
	b := bytesOf(t, good(t))
	digest := disclosure.Digest(b)
	foreign := bytesOf(t, func() disclosure.Document {
		d := good(t)
		d.Provider = worldtest.Party(t, "dp-2.example")
		return d
	}())
	foreignDigest, junk := disclosure.Digest(foreign), disclosure.Digest([]byte("{}"))
	for name, c := range map[string]struct {
		digest, shown []byte
		want          error
	}{
		"good":       {digest[:], b, nil},
		"none":       {nil, b, disclosure.ErrAbsent},
		"another":    {foreignDigest[:], b, disclosure.ErrDigest},
		"of another": {foreignDigest[:], foreign, disclosure.ErrContradicts},
		"no such":    {junk[:], []byte("{}"), disclosure.ErrMalformed},
	} {
		p := registry.Party{Grant: registry.Grant{ID: good(t).Provider}, Self: registry.Self{Disclosure: c.digest}}
		if _, err := disclosure.Of(p, c.shown); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestR11ContradictionsAreFound bends an answer that fits, one thing at a time.
func TestR11ContradictionsAreFound(t *testing.T) {
	f := worldtest.New(t)
	d, id := good(t), worldtest.CSI(t, "mailto:bob@example.org")
	offered := func(bend func(*wire.DPOffer)) disclosure.Answer {
		o := wire.DPOffer{DP: d.Provider, Kinds: []string{"mail-reply"}, Level: 4, Expires: f.Now.Add(24 * time.Hour).Unix(), Residency: []string{"CH"}}
		if bend != nil {
			bend(&o)
		}
		return disclosure.Answer{Offer: &disclosure.Offered{CSI: id, Answer: o, Now: f.Now}}
	}
	asked := func(bend func(*disclosure.Asked)) disclosure.Answer {
		v := f.Mapping("bob@example.org", "bob", worldtest.MSPA)
		found := wire.Found{Bundle: wire.BundleOf(v.Bundle()), At: []registry.PartyID{d.Provider}}
		q := disclosure.Asked{
			Request: wire.LookupRequest{CSIs: []csi.Clear{{ID: id}}, Format: wire.FormatVerbose},
			Answer:  wire.LookupAnswer{Answers: []wire.Answer{{Mappings: []wire.Found{found}}}},
		}
		if bend != nil {
			bend(&q)
		}
		return disclosure.Answer{Lookup: &q}
	}
	admitted := func(bend func(*mapping.Claims)) disclosure.Answer {
		k := worldtest.Key(t, "bob")
		c := f.Claims(id, k.Public(), "bob", worldtest.MSPA)
		if bend != nil {
			bend(&c)
		}
		v := f.Finish(f.Propose(c, k, f.MailReceipts(id, k.Public(), f.Now)), mapping.FoundFirst)
		return disclosure.Answer{Admitted: &disclosure.Admitted{Mapping: v, Snapshot: f.Snapshot(), Now: f.Now}}
	}
	elsewhere := func(c *mapping.Claims) { c.Residency = []string{"DE"} }
	stay := func(*disclosure.Document) {}
	for name, c := range map[string]struct {
		answer disclosure.Answer
		bend   func(*disclosure.Document)
		fits   bool
	}{
		"offer":                   {offered(nil), stay, true},
		"offer of another":        {offered(func(o *wire.DPOffer) { o.DP = worldtest.Party(t, "dp-2.example") }), stay, false},
		"offer: kind":             {offered(func(o *wire.DPOffer) { o.Kinds = []string{"smime"} }), stay, false},
		"offer: level":            {offered(func(o *wire.DPOffer) { o.Level = 3 }), stay, false},
		"offer: life":             {offered(func(o *wire.DPOffer) { o.Expires -= 3600 }), stay, false},
		"offer: residency":        {offered(func(o *wire.DPOffer) { o.Residency = []string{"DE"} }), stay, false},
		"look-up":                 {asked(nil), stay, true},
		"look-up: format":         {asked(func(a *disclosure.Asked) { a.Request.Format = wire.FormatCompact }), stay, false},
		"look-up: too many":       {asked(func(a *disclosure.Asked) { a.Request.CSIs = make([]csi.Clear, 11) }), stay, false},
		"look-up: mappings":       {asked(func(a *disclosure.Asked) { m := &a.Answer.Answers[0].Mappings; *m = append(*m, (*m)[0]) }), stay, false},
		"admitted":                {admitted(nil), stay, true},
		"admitted: residency":     {admitted(elsewhere), stay, false},
		"admitted: refused kinds": {admitted(nil), func(d *disclosure.Document) { d.Evidence["mailto"] = disclosure.Evidence{Kinds: []string{}, Level: 4} }, false},
		"admitted: signature":     {admitted(nil), func(d *disclosure.Document) { d.Retention.Signature = 86400 }, false},
		"admitted elsewhere":      {admitted(nil), func(d *disclosure.Document) { d.Provider = worldtest.Party(t, "dp-2.example") }, false},
	} {
		d := good(t)
		c.bend(&d)
		if err := d.Check(c.answer); (err == nil) != c.fits || err != nil && !errors.Is(err, disclosure.ErrContradicts) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLaxer(t *testing.T) {
	agreed := registry.Policy{Levels: map[string]uint8{"tel": 3}}
	for scheme, lowest := range map[string]possession.Level{"tel": 3, "mailto": 4} {
		for l := possession.Level2; l <= possession.Level4; l++ {
			err := disclosure.Laxer(possession.Demands{Levels: map[string]possession.Level{scheme: l}}, agreed)
			if (l < lowest) != errors.Is(err, disclosure.ErrLaxer) {
				t.Errorf("%s %d: %v", scheme, l, err)
			}
		}
	}
}

// TestPageNamesEveryMember: the CDDL of the page has the members of the document,
// and no others.
func TestPageNamesEveryMember(t *testing.T) {
	b, err := os.ReadFile("../docs/spec/disclosure.md")
	if err != nil {
		t.Fatal(err)
	}
	_, cddl, _ := strings.Cut(string(b), "```cddl")
	cddl, _, _ = strings.Cut(cddl, "```")
	page := make(map[string]int)
	for _, m := range regexp.MustCompile(`(?m)^\s+"([a-z]+)":`).FindAllStringSubmatch(cddl, -1) {
		page[m[1]]++
	}
	code := make(map[string]int)
	count(reflect.TypeFor[disclosure.Document](), code)
	if diff := cmp.Diff(code, page); diff != "" || len(code) < 20 {
		t.Errorf("code (-) and page (+): %s", diff)
	}
}

// count counts the members of a struct and of those in it.
func count(t reflect.Type, names map[string]int) {
	for i := range t.NumField() {
		f := t.Field(i)
		names[f.Tag.Get("json")]++
		inner := f.Type
		if inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[registry.PartyID]() {
			count(inner, names)
		}
	}
}
