package tnauth_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/internal/vectortest"
	"whither/possession/stir/tnauth"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorFile = "../../../vectors/stir/tnauth.json"

// vectors is tnauth.json; see the README there.
type vectors struct {
	Lists  []listVector  `json:"lists"`
	Scopes []scopeVector `json:"scopes"`
}

type listVector struct {
	Name    string        `json:"name"`
	DER     string        `json:"der"`
	Expect  string        `json:"expect"`
	Entries []entryVector `json:"entries,omitempty"`
}

type entryVector struct {
	Code   string `json:"code,omitempty"`
	Number string `json:"number,omitempty"`
	Count  uint64 `json:"count,omitempty"`
}

type scopeVector struct {
	Name        string   `json:"name"`
	Parent      string   `json:"parent"`
	Child       string   `json:"child"`
	Encompasses bool     `json:"encompasses"`
	Covers      []string `json:"covers"` // numbers that the parent covers by itself
	CoversNot   []string `json:"does_not_cover"`
}

func entries(l tnauth.List) []entryVector {
	var out []entryVector
	for _, e := range l {
		out = append(out, entryVector(e))
	}
	return out
}

// refusals are encodings that must not be read, by name, hexadecimal with
// spaces.
func refusals() []listVector {
	return []listVector{
		{Name: "empty", DER: "", Expect: "encoding"},
		{Name: "no entries", DER: "3000", Expect: "encoding"},
		{Name: "not a sequence", DER: "3106 a004 1602 3132", Expect: "encoding"},
		{Name: "cut off", DER: "3008 a006 1604 313233", Expect: "encoding"},
		{Name: "trailing byte", DER: "3008 a006 1604 31323334 00", Expect: "encoding"},
		{Name: "trailing byte in an entry", DER: "3009 a007 1604 31323334 00", Expect: "encoding"},
		{Name: "length not shortest", DER: "308108 a006 1604 31323334", Expect: "encoding"},
		{Name: "indefinite length", DER: "3080 a006 1604 31323334 0000", Expect: "encoding"},
		{Name: "implicit tag", DER: "3006 8004 31323334", Expect: "encoding"},
		{Name: "primitive tag", DER: "3008 8006 1604 31323334", Expect: "encoding"},
		{Name: "unknown choice", DER: "3008 a306 1604 31323334", Expect: "encoding"},
		{Name: "code as UTF8String", DER: "3008 a006 0c04 31323334", Expect: "encoding"},
		{Name: "code as PrintableString", DER: "3008 a006 1304 31323334", Expect: "encoding"},
		{Name: "empty code", DER: "3004 a002 1600", Expect: "code"},
		{Name: "code with a control character", DER: "3006 a004 1602 310a", Expect: "code"},
		{Name: "code not ASCII", DER: "3006 a004 1602 c3a9", Expect: "code"},
		{Name: "code too long", DER: "3025 a023 1621 " + strings.Repeat("31", 33), Expect: "code"},
		{Name: "empty number", DER: "3004 a202 1600", Expect: "number"},
		{Name: "number with plus", DER: "3007 a205 1603 2b3132", Expect: "number"},
		{Name: "number with letter", DER: "3006 a204 1602 3161", Expect: "number"},
		{Name: "number of 16 digits", DER: "3014 a212 1610 " + strings.Repeat("31", 16), Expect: "number"},
		{Name: "range of none", DER: "300c a10a 3008 1603 313030 020100", Expect: "range"},
		{Name: "range of one", DER: "300c a10a 3008 1603 313030 020101", Expect: "range"},
		{Name: "range of minus one", DER: "300c a10a 3008 1603 313030 0201ff", Expect: "encoding"},
		{Name: "range count not shortest", DER: "300d a10b 3009 1603 313030 02020002", Expect: "encoding"},
		{Name: "range with star", DER: "300c a10a 3008 1603 2a3130 020102", Expect: "range"},
		{Name: "range past its length (RFC 8226 section 9)", DER: "300b a109 3007 1602 3130 02015b", Expect: "range"},
		{Name: "range up to 99 (RFC 8226 section 9, formally)", DER: "300b a109 3007 1602 3130 02015a", Expect: "range"},
		{Name: "range that overflows", DER: "3014 a112 3010 1603 313030 0209 00ffffffffffffffff", Expect: "range"},
		{Name: "range count over 64 bits", DER: "3014 a112 3010 1603 313030 0209 01ffffffffffffffff", Expect: "encoding"},
		{Name: "range with an extension", DER: "300f a10d 300b 1603 313030 020102 020101", Expect: "encoding"},
		{Name: "range without count", DER: "3009 a107 3005 1603 313030", Expect: "encoding"},
	}
}

func composeVectors(t *testing.T) vectors {
	var v vectors
	encode := func(l tnauth.List) string {
		der, err := l.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(der)
	}
	for _, a := range []struct {
		name string
		list tnauth.List
	}{
		{"code", tnauth.List{{Code: "1234"}}},
		{"code of 32 characters", tnauth.List{{Code: strings.Repeat("X", 32)}}},
		{"number", tnauth.List{{Number: "12015550100"}}},
		{"number of 15 digits", tnauth.List{{Number: strings.Repeat("9", 15)}}},
		{"number with star and hash", tnauth.List{{Number: "*67#"}}},
		{"range", tnauth.List{{Number: "12125551000", Count: 1000}}},
		{"longest range", tnauth.List{{Number: "10", Count: 89}}},
		{"leading zeros", tnauth.List{{Number: "000", Count: 200}}},
		{"code, range and number", tnauth.List{{Code: "bogus"}, {Number: "5715551212", Count: 788}, {Number: "7035551212"}}},
		{"the same twice", tnauth.List{{Number: "100"}, {Number: "100"}}},
	} {
		v.Lists = append(v.Lists, listVector{Name: a.name, DER: encode(a.list), Expect: "accept", Entries: entries(a.list)})
	}
	for _, r := range refusals() {
		r.DER = strings.ReplaceAll(r.DER, " ", "")
		v.Lists = append(v.Lists, r)
	}
	block := tnauth.List{{Number: "12125551000", Count: 1000}}
	for _, s := range []struct {
		name          string
		parent, child tnauth.List
		in, out       []string
	}{
		{"range in range (RFC 9060 section 4)", block, tnauth.List{{Number: "12125551500", Count: 100}}, []string{"12125551000", "12125551999"}, []string{"12125550999", "12125552000", "2125551500"}},
		{"number in range (RFC 9060 section 4)", block, tnauth.List{{Number: "12125551824"}}, nil, nil},
		{"range that ends after", block, tnauth.List{{Number: "12125551999", Count: 2}}, nil, nil},
		{"code under numbers", block, tnauth.List{{Code: "1234"}}, nil, nil},
		{"number under a code (RFC 9060 section 4.1)", tnauth.List{{Code: "1234"}}, tnauth.List{{Number: "12125551824"}}, nil, []string{"12125551824", "1234"}},
		{"other code", tnauth.List{{Code: "1234"}}, tnauth.List{{Code: "123"}}, nil, nil},
		{"across two that touch", tnauth.List{{Number: "150", Count: 10}, {Number: "140", Count: 10}}, tnauth.List{{Number: "145", Count: 10}}, []string{"140", "159"}, []string{"139", "160", "0150"}},
		{"across two with a gap", tnauth.List{{Number: "140", Count: 9}, {Number: "150", Count: 10}}, tnauth.List{{Number: "145", Count: 10}}, []string{"148", "150"}, []string{"149"}},
	} {
		v.Scopes = append(v.Scopes, scopeVector{
			Name: s.name, Parent: encode(s.parent), Child: encode(s.child), Encompasses: s.parent.Encompasses(s.child),
			Covers: append([]string{}, s.in...), CoversNot: append([]string{}, s.out...),
		})
	}
	return v
}

// TestVectorsAreCurrent composes the vectors again; with -update it writes them.
func TestVectorsAreCurrent(t *testing.T) {
	dir, name := filepath.Split(vectorFile)
	vectortest.Current(t, dir, map[string][]byte{name: vectortest.JSON(t, composeVectors(t))}, *update)
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	var v vectors
	if vectortest.Read(t, vectorFile, &v); len(v.Lists) == 0 || len(v.Scopes) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	missing := kinds()
	for _, c := range v.Lists {
		t.Run(c.Name, func(t *testing.T) {
			want, known := kinds()[c.Expect]
			if !known {
				t.Fatalf("unknown kind %q", c.Expect)
			}
			list, err := tnauth.Parse(unhex(t, c.DER))
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if diff := cmp.Diff(c.Entries, entries(list)); err == nil && diff != "" {
				t.Error(diff)
			}
		})
		delete(missing, c.Expect)
	}
	delete(missing, "too-large") // its vector would be larger than all others together
	for name := range missing {
		t.Errorf("no vector is refused as %q", name)
	}
	for _, c := range v.Scopes {
		t.Run(c.Name, func(t *testing.T) {
			parent, err := tnauth.Parse(unhex(t, c.Parent))
			if err != nil {
				t.Fatal(err)
			}
			child, err := tnauth.Parse(unhex(t, c.Child))
			if err != nil {
				t.Fatal(err)
			}
			if got := parent.Encompasses(child); got != c.Encompasses {
				t.Errorf("encompasses: %v", got)
			}
			for _, n := range c.Covers {
				if !parent.Covers(n) {
					t.Errorf("does not cover %s", n)
				}
			}
			for _, n := range c.CoversNot {
				if parent.Covers(n) {
					t.Errorf("covers %s", n)
				}
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	if _, err := tnauth.Parse(make([]byte, tnauth.MaxSize+1)); !errors.Is(err, tnauth.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	many := unhex(t, "30 82 1b 5f"+strings.Repeat("a2 05 16 03 31 30 30", 1001))
	if _, err := tnauth.Parse(many); !errors.Is(err, tnauth.ErrTooLarge) {
		t.Errorf("1001 entries: %v", err)
	}
}
