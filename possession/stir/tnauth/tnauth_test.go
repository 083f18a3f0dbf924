package tnauth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"whither/possession/stir/tnauth"
)

// kinds names the refusals in vectors.
func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "too-large": tnauth.ErrTooLarge, "encoding": tnauth.ErrEncoding,
		"code": tnauth.ErrCode, "number": tnauth.ErrNumber, "range": tnauth.ErrRange,
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestForeignVectors: encodings that others made.
func TestForeignVectors(t *testing.T) {
	// A test of the ASN.1 modules of RFC 8226 in another language.
	mixed, err := base64.StdEncoding.DecodeString("MCugBxYFYm9ndXOhEjAQFgo1NzE1NTUxMjEyAgIDFKIMFgo3MDM1NTUxMjEy")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		der  []byte
		want tnauth.List
	}{
		"code":   {unhex(t, "30 08 A0 06 16 04 31 32 33 34"), tnauth.List{{Code: "1234"}}},
		"number": {unhex(t, "30 0F A2 0D 16 0B 31 32 30 31 35 35 35 30 31 30 30"), tnauth.List{{Number: "12015550100"}}},
		"mixed":  {mixed, tnauth.List{{Code: "bogus"}, {Number: "5715551212", Count: 788}, {Number: "7035551212"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tnauth.Parse(c.der)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if der, err := c.want.Marshal(); err != nil || !bytes.Equal(der, c.der) {
				t.Errorf("%x, %v", der, err)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	list := tnauth.List{{Code: "1234"}, {Number: "12155551000", Count: 100}, {Number: "12155552000"}, {Number: "*67"}}
	for number, want := range map[string]bool{
		"12155551000": true, "12155551099": true, "12155550999": false, "12155551100": false,
		"12155552000": true, "12155552001": false, "*67": true, "#67": false,
		"012155551000": false, "2155551000": false, "1234": false, "": false, "+12155551000": false, "1215555100x": false,
	} {
		if got := list.Covers(number); got != want {
			t.Errorf("%s: %v", number, got)
		}
	}
	if (tnauth.List{{Number: "100", Count: 50}}).Covers("0120") {
		t.Error("a range holds numbers of another length")
	}
	if tnauth.List(nil).Covers("100") {
		t.Error("no list covers a number")
	}
}

func TestEncompasses(t *testing.T) {
	block := tnauth.List{{Number: "12125551000", Count: 1000}}
	for name, c := range map[string]struct {
		parent, child tnauth.List
		want          bool
	}{
		// The examples of RFC 9060 section 4.
		"range in range":                {block, tnauth.List{{Number: "12125551500", Count: 100}}, true},
		"number in range":               {block, tnauth.List{{Number: "12125551824"}}, true},
		"the same":                      {block, block, true},
		"range that begins before":      {block, tnauth.List{{Number: "12125550999", Count: 2}}, false},
		"range that ends after":         {block, tnauth.List{{Number: "12125551999", Count: 2}}, false},
		"number outside":                {block, tnauth.List{{Number: "12125552000"}}, false},
		"one of two outside":            {block, tnauth.List{{Number: "12125551824"}, {Number: "13125551824"}}, false},
		"longer number":                 {block, tnauth.List{{Number: "012125551824"}}, false},
		"code under numbers":            {block, tnauth.List{{Code: "1234"}}, false},
		"same code":                     {tnauth.List{{Code: "1234"}}, tnauth.List{{Code: "1234"}}, true},
		"other code":                    {tnauth.List{{Code: "1234"}}, tnauth.List{{Code: "123"}}, false},
		"number under a code":           {tnauth.List{{Code: "1234"}}, tnauth.List{{Number: "12125551824"}}, true},
		"number beside a code":          {append(tnauth.List{{Code: "1234"}}, block...), tnauth.List{{Number: "13125551824"}}, true},
		"across two that touch":         {tnauth.List{{Number: "150", Count: 10}, {Number: "140", Count: 10}}, tnauth.List{{Number: "145", Count: 10}}, true},
		"across range and number":       {tnauth.List{{Number: "150"}, {Number: "151"}, {Number: "152", Count: 3}}, tnauth.List{{Number: "150", Count: 5}}, true},
		"across two with a gap":         {tnauth.List{{Number: "140", Count: 9}, {Number: "150", Count: 10}}, tnauth.List{{Number: "145", Count: 10}}, false},
		"ranges that overlap":           {tnauth.List{{Number: "100", Count: 90}, {Number: "120", Count: 10}}, tnauth.List{{Number: "180", Count: 5}}, true},
		"star number":                   {tnauth.List{{Number: "*67"}}, tnauth.List{{Number: "*67"}}, true},
		"other star number":             {tnauth.List{{Number: "*67"}}, tnauth.List{{Number: "*68"}}, false},
		"number that a longer one is":   {tnauth.List{{Number: "1000", Count: 1000}}, tnauth.List{{Number: "100"}}, false},
		"numbers of two lengths":        {tnauth.List{{Number: "10"}, {Number: "100"}}, tnauth.List{{Number: "100"}, {Number: "10"}}, true},
		"nothing in nothing (no entry)": {nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.parent.Encompasses(c.child); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestEncompassesAsSets compares with plain sets of numbers of two digits.
func TestEncompassesAsSets(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) tnauth.List {
		var list tnauth.List
		for range rapid.IntRange(1, 5).Draw(t, "entries") {
			first := rapid.IntRange(10, 97).Draw(t, "first")
			count := rapid.IntRange(1, 99-first).Draw(t, "count")
			e := tnauth.Entry{Number: strconv.Itoa(first), Count: uint64(count)}
			if count == 1 {
				e.Count = 0
			}
			list = append(list, e)
		}
		return list
	})
	numbers := func(l tnauth.List) map[string]bool {
		set := make(map[string]bool)
		for n := range 100 {
			if s := fmt.Sprintf("%02d", n); l.Covers(s) {
				set[s] = true
			}
		}
		return set
	}
	rapid.Check(t, func(t *rapid.T) {
		parent, child := draw.Draw(t, "parent"), draw.Draw(t, "child")
		if _, err := parent.Marshal(); err != nil {
			t.Fatal(err)
		}
		mine, want := numbers(parent), true
		for n := range numbers(child) {
			want = want && mine[n]
		}
		if got := parent.Encompasses(child); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestRedaction: a list with one number is a person's number.
func TestRedaction(t *testing.T) {
	list := tnauth.List{{Code: "1234"}, {Number: "12155551000", Count: 100}, {Number: "12155552000"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{list, list[0], list[1], &list[2], list[2].LogValue(), list.LogValue()} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "1215555") || strings.Contains(s, "1234") {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	many := make(tnauth.List, tnauth.MaxEntries+1)
	for i := range many {
		many[i].Number = "100"
	}
	wide := make(tnauth.List, tnauth.MaxEntries)
	for i := range wide {
		wide[i].Code = strings.Repeat("c", tnauth.MaxCode)
	}
	for name, c := range map[string]struct {
		list tnauth.List
		want error
	}{
		"empty":               {nil, tnauth.ErrEncoding},
		"too many":            {many, tnauth.ErrTooLarge},
		"too large":           {wide, tnauth.ErrTooLarge},
		"no entry":            {tnauth.List{{}}, tnauth.ErrNumber},
		"code and number":     {tnauth.List{{Code: "1", Number: "1"}}, tnauth.ErrEncoding},
		"code and count":      {tnauth.List{{Code: "1", Count: 2}}, tnauth.ErrEncoding},
		"range of one":        {tnauth.List{{Number: "100", Count: 1}}, tnauth.ErrRange},
		"range with a star":   {tnauth.List{{Number: "*10", Count: 2}}, tnauth.ErrRange},
		"number with a plus":  {tnauth.List{{Number: "+10"}}, tnauth.ErrNumber},
		"code with a space":   {tnauth.List{{Code: "1 2"}}, tnauth.ErrCode},
		"code with an accent": {tnauth.List{{Code: "é"}}, tnauth.ErrCode},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.list.Marshal(); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f).Lists {
		f.Add(unhex(f, v.DER))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		list, err := tnauth.Parse(der)
		if err != nil {
			return
		}
		again, err := list.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x is written as %x, %v", der, again, err)
		}
		if !list.Encompasses(list) {
			t.Error("a list is beyond itself")
		}
		for _, e := range list {
			if e.Code == "" && !list.Covers(e.Number) {
				t.Error("a list does not cover its own number")
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	list := make(tnauth.List, 100)
	for i := range list {
		list[i] = tnauth.Entry{Number: strconv.Itoa(12155550000 + 10*i), Count: 10}
	}
	der, err := list.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("100ranges", func(b *testing.B) {
		b.SetBytes(int64(len(der)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tnauth.Parse(der); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Encompasses100in100", func(b *testing.B) {
		for b.Loop() {
			if !list.Encompasses(list) {
				b.Fatal("beyond itself")
			}
		}
	})
}
