package csi_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"whither/csi"
)

func isReason(err error, r csi.Reason) bool { return errors.Is(err, r) }

func mustParse(t testing.TB, s string) csi.ID {
	t.Helper()
	id, err := csi.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestZeroID(t *testing.T) {
	var id csi.ID
	if !id.IsZero() || id.Canonical() != "" || id.Scheme() != "" || id.Home() != nil || id.Address() != "" || id.ENUM() != "" {
		t.Error("the zero ID names somebody")
	}
	if mustParse(t, "tel:+14085550123").IsZero() {
		t.Error("a parsed ID is zero")
	}
}

func TestOtherSchemesAccessorsAreEmpty(t *testing.T) {
	tel, mail, handle := mustParse(t, "tel:+14085550123"), mustParse(t, "mailto:bob@example.org"), mustParse(t, "acct:bob@example.org")
	if tel.Address() != "" || tel.Domain() != "" || mail.PASSporTDigits() != "" || mail.ENUM() != "" || mail.CAMARA() != "" ||
		handle.Address() != "" || handle.Domain() != "" || handle.PASSporTDigits() != "" {
		t.Error("an accessor answered for another scheme")
	}
}

func TestIDsCompare(t *testing.T) {
	a, b := mustParse(t, "mailto:Bob@Example.ORG"), mustParse(t, "mailto:bob@example.org")
	if a != b || !a.Equal(b) || map[csi.ID]int{a: 7}[b] != 7 {
		t.Error("two spellings of one address are two IDs")
	}
	if a == mustParse(t, "mailto:alice@example.org") {
		t.Error("two addresses are one ID")
	}
	if a == mustParse(t, "acct:bob@example.org") {
		t.Error("a mailbox and an account are one ID")
	}
}

// checkAccepted holds an accepted input to all that the package promises.
func checkAccepted(t rapid.TB, input string, id csi.ID) {
	c := id.Canonical()
	if again, err := csi.Parse(c); err != nil || again != id {
		t.Fatalf("Parse of the canonical form of %q: %v", input, err)
	}
	if again, err := csi.ParseCanonical(c); err != nil || again != id {
		t.Fatalf("ParseCanonical of the canonical form of %q: %v", input, err)
	}
	if _, err := csi.ParseCanonical(input); (err == nil) != (input == c) {
		t.Fatalf("ParseCanonical of %q: %v, canonical is %q", input, err, c)
	}
	if len(c) > csi.MaxCanonical || strings.ContainsFunc(c, func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Fatalf("%q became %q: too long or not printable ASCII", input, c)
	}
	if u, err := url.Parse(c); err != nil || u.String() != c || u.Scheme != string(id.Scheme()) || u.Opaque == "" || u.Fragment+u.RawQuery != "" {
		t.Fatalf("%q became %q, which is no plain URI: %v", input, c, err)
	}
	if !slices.IsSorted(id.Home()) {
		t.Fatalf("home of %q: %v", input, id.Home())
	}
	switch id.Scheme() {
	case csi.Tel:
		if "tel:"+id.CAMARA() != c || "+"+id.PASSporTDigits() != id.CAMARA() || len(id.ENUM()) != 2*len(id.PASSporTDigits())+len("e164.arpa") {
			t.Fatalf("conversions of %q", input)
		}
	case csi.Mailto:
		if "mailto:"+id.Address() != c || !strings.HasSuffix(id.Address(), "@"+id.Domain()) {
			t.Fatalf("parts of %q", input)
		}
	case csi.Acct:
		if id.Address()+id.Domain()+id.CAMARA() != "" {
			t.Fatalf("%q is a handle and has an address or a number", input)
		}
	default:
		t.Fatalf("%q has scheme %q", input, id.Scheme())
	}
}

// checkRefused holds a refusal to the fixed texts, so that no input can be in it.
func checkRefused(t rapid.TB, input string, id csi.ID, err error) {
	var e *csi.Error
	if !errors.As(err, &e) || err.Error() != e.Error() {
		t.Fatalf("error of %q is no *csi.Error: %v", input, err)
	}
	if !slices.Contains(reasons, e.Reason) || e.Scheme != "" && !slices.Contains(csi.Default().Schemes(), e.Scheme) {
		t.Fatalf("error of %q is none of the known ones: %#v", input, e)
	}
	if !id.IsZero() {
		t.Fatalf("%q: an ID beside an error", input)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range load[acceptVector](f, "accept.json") {
		f.Add(v.Input)
	}
	for _, v := range load[rejectVector](f, "reject.json") {
		f.Add(v.text(f))
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := csi.Parse(s)
		if err != nil {
			checkRefused(t, s, id, err)
			if _, err := csi.ParseCanonical(s); err == nil {
				t.Fatalf("ParseCanonical accepts %q, Parse does not", s)
			}
			return
		}
		checkAccepted(t, s, id)
	})
}

// FuzzUnmarshalText: what a message carries is the canonical form, both ways.
func FuzzUnmarshalText(f *testing.F) {
	f.Add([]byte("tel:+14085550123"))
	f.Add([]byte("mailto:bob@example.org"))
	f.Add([]byte("mailto:Bob@example.org"))
	f.Add([]byte("acct:bob@social.example"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c csi.Clear
		if err := c.UnmarshalText(text); err != nil {
			checkRefused(t, string(text), c.ID, err)
			return
		}
		if out, err := c.MarshalText(); err != nil || string(out) != string(text) {
			t.Fatalf("%q came back as %q: %v", text, out, err)
		}
	})
}

// respell returns s with letters in random case.
func respell(t *rapid.T, s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && rapid.Bool().Draw(t, "upper") {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

func TestSpellingsOfMailMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[a-z0-9!$'*+_~-]{1,20}(\.[a-z0-9!$'*+_~-]{1,20}){0,2}`).Draw(t, "local")
		domain := rapid.StringMatching(`[a-z0-9]([a-z0-9]{0,10}[a-z0-9])?(\.[a-z][a-z0-9]{0,8}){1,4}`).Draw(t, "domain")
		want := "mailto:" + local + "@" + domain
		got := mustParseRapid(t, respell(t, want))
		if got.Canonical() != want {
			t.Fatalf("got %q, want %q", got.Canonical(), want)
		}
		checkAccepted(t, want, got)
	})
}

func TestSpellingsOfNumbersMeet(t *testing.T) {
	separators := rapid.SampledFrom([]string{"", "", "", "-", ".", ")", "--"})
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`(1|7|49|44|358|882)[0-9]{6,12}`).Draw(t, "digits")
		spelling := respell(t, "tel:") + "+"
		for _, d := range digits {
			spelling += string(d) + separators.Draw(t, "separator")
		}
		got := mustParseRapid(t, spelling)
		if got.PASSporTDigits() != digits {
			t.Fatalf("%q became %q", spelling, got.Canonical())
		}
		checkAccepted(t, spelling, got)
	})
}

// TestDomainsInUnicodeMeet: a label in Unicode and its A-label are one domain,
// and the A-label is what an independent encoder makes of it.
func TestDomainsInUnicodeMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.OneOf(
			rapid.StringMatching(`[a-zäöüßéñøłž]{1,12}`), rapid.StringMatching(`[а-яё]{1,12}`),
			rapid.StringMatching(`[α-ωςάέή]{1,12}`), rapid.StringMatching(`[一-龥ぁ-んァ-ヴ]{1,10}`), rapid.StringMatching(`[א-ת]{1,12}`),
		).Draw(t, "label")
		if len(label) >= 4 && label[2:4] == "--" {
			t.Skip("reserved label")
		}
		alabel, err := idna.Punycode.ToASCII(label)
		if err != nil {
			t.Skip(err)
		}
		got := mustParseRapid(t, "mailto:bob@"+label+".example")
		if got.Domain() != alabel+".example" || got != mustParseRapid(t, "mailto:bob@"+alabel+".example") {
			t.Fatalf("%q became %q, want %q", label, got.Domain(), alabel)
		}
		checkAccepted(t, "mailto:bob@"+label+".example", got)
	})
}

func mustParseRapid(t *rapid.T, s string) csi.ID {
	id, err := csi.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return id
}

func BenchmarkParse(b *testing.B) {
	for name, s := range map[string]string{
		"tel": "tel:+14085550123", "tel-separators": "tel:+1-408-555-0123",
		"mailto": "mailto:bob@example.org", "mailto-capitals": "mailto:Bob@Example.ORG",
		"mailto-alabel": "mailto:bob@xn--bcher-kva.example", "mailto-ulabel": "mailto:bob@bücher.example",
		"refused": "mailto:bob@example.org@example.net",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = csi.Parse(s)
			}
		})
	}
}
