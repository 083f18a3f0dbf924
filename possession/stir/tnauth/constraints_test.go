package tnauth_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/possession/stir/tnauth"
)

// foreignConstraints is from a test of the ASN.1 modules of RFC 8226 in another
// language.
const foreignConstraints = "MD2gBzAFFgNmb2+hMjAwMBkWA2ZvbzASDARmb28xDARmb28yDARmb28zMBMWA2JhcjAMDARiYXIxDARiYXIy"

func constraintsExample() tnauth.Constraints {
	return tnauth.Constraints{
		MustInclude: []string{"foo"},
		Permitted: []tnauth.Permitted{
			{Claim: "foo", Values: []string{"foo1", "foo2", "foo3"}},
			{Claim: "bar", Values: []string{"bar1", "bar2"}},
		},
	}
}

func TestForeignConstraints(t *testing.T) {
	der, err := base64.StdEncoding.DecodeString(foreignConstraints)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tnauth.ParseConstraints(der, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(constraintsExample(), got); diff != "" {
		t.Error(diff)
	}
	if again, err := got.Marshal(); err != nil || !bytes.Equal(again, der) {
		t.Errorf("%x, %v", again, err)
	}
	enhanced := got
	enhanced.MustExclude = []string{"rcd"}
	der, err = enhanced.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err = tnauth.ParseConstraints(der, true); err != nil || !cmp.Equal(got, enhanced) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := tnauth.ParseConstraints(der, false); !errors.Is(err, tnauth.ErrConstraints) {
		t.Errorf("exclusion without RFC 9118: %v", err)
	}
}

func TestConstraintsAreEnforced(t *testing.T) {
	c := constraintsExample()
	c.MustExclude = []string{"rcd"}
	for name, test := range map[string]struct {
		claims map[string]any
		want   error
	}{
		"as demanded":          {map[string]any{"foo": "foo2"}, nil},
		"other claims":         {map[string]any{"foo": "foo2", "baz": "x"}, nil},
		"absent":               {map[string]any{"bar": "bar1"}, tnauth.ErrMissing},
		"name in capitals":     {map[string]any{"Foo": "foo2"}, tnauth.ErrMissing},
		"other value":          {map[string]any{"foo": "foo4"}, tnauth.ErrValue},
		"value in capitals":    {map[string]any{"foo": "Foo1"}, tnauth.ErrValue},
		"no string":            {map[string]any{"foo": 1}, tnauth.ErrValue},
		"optional, other":      {map[string]any{"foo": "foo1", "bar": "foo1"}, tnauth.ErrValue},
		"excluded":             {map[string]any{"foo": "foo1", "rcd": 1}, tnauth.ErrForbidden},
		"nothing claimed ever": {nil, tnauth.ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.Check(func(name string) (string, bool, bool) {
				v, present := test.claims[name]
				s, isString := v.(string)
				return s, isString, present
			})
			if !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestConstraintsRefused(t *testing.T) {
	for name, der := range map[string]string{
		"empty":                  "",
		"nothing constrained":    "3000",
		"trailing":               "3009a007300516 03666f6f 00",
		"no names":               "3004a0023000",
		"empty name":             "3006a00430021600",
		"name not IA5":           "3009a00730050c03666f6f",
		"no values":              "300da10b30093007 1603666f6f 3000",
		"wrong order":            "3014 a109300730051603666f6f a007300516 03666f6f",
		"length not shortest":    "308109a00730051603666f6f",
		"value not UTF-8":        "3010a10e300c300a 1603666f6f 3003 0c01ff",
		"implicit tag":           "3007a0051603666f6f",
		"exclusion, not RFC9118": "3009a20730051603666f6f",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := tnauth.ParseConstraints(unhex(t, der), false); !errors.Is(err, tnauth.ErrConstraints) {
				t.Errorf("got %v, %v", c, err)
			}
		})
	}
	if _, err := tnauth.ParseConstraints(make([]byte, tnauth.MaxSize+1), false); !errors.Is(err, tnauth.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	for name, c := range map[string]tnauth.Constraints{
		"nothing":    {},
		"empty name": {MustInclude: []string{""}},
		"no values":  {Permitted: []tnauth.Permitted{{Claim: "foo"}}},
		"too many":   {MustInclude: strings.Split(strings.Repeat("a,", tnauth.MaxConstraints)+"a", ",")},
	} {
		if _, err := c.Marshal(); !errors.Is(err, tnauth.ErrConstraints) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseConstraints(f *testing.F) {
	der, err := base64.StdEncoding.DecodeString(foreignConstraints)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der, false)
	f.Add([]byte("\x30\x09\xa2\x07\x30\x05\x16\x03foo"), true)
	f.Fuzz(func(t *testing.T, der []byte, enhanced bool) {
		c, err := tnauth.ParseConstraints(der, enhanced)
		if err != nil {
			return
		}
		if again, err := c.Marshal(); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x is written as %x, %v", der, again, err)
		}
	})
}
