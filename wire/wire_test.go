package wire_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/registry"
	"whither/wire"
)

func lookup(t testing.TB) wire.LookupRequest {
	t.Helper()
	id, err := csi.Parse("mailto:bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	msp, err := registry.ParsePartyID("msp.example")
	if err != nil {
		t.Fatal(err)
	}
	return wire.LookupRequest{
		CSIs: []csi.Clear{{ID: id}}, MSPs: []registry.PartyID{msp}, Federation: wire.FederationNone, Format: wire.FormatVerbose,
	}
}

var equal = cmp.Options{
	cmp.Comparer(func(a, b csi.Clear) bool { return a.ID == b.ID }),
	cmp.Comparer(func(a, b registry.PartyID) bool { return a == b }),
}

func TestBothEncodings(t *testing.T) {
	in := lookup(t)
	for _, mediaType := range []string{wire.TypeCBOR, wire.TypeJSON} {
		b, err := wire.Encode(mediaType, in)
		if err != nil {
			t.Fatal(err)
		}
		var out wire.LookupRequest
		if err := wire.Decode(mediaType, b, wire.MaxBody, &out); err != nil {
			t.Fatalf("%s: %v", mediaType, err)
		}
		if diff := cmp.Diff(in, out, equal); diff != "" {
			t.Error(diff)
		}
	}
}

func TestJSONRefused(t *testing.T) {
	good := `{"csis":["mailto:bob@example.org"],"federation":"none","format":"verbose"}`
	var r wire.LookupRequest
	if err := wire.Decode(wire.TypeJSON, []byte(good), wire.MaxBody, &r); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"duplicate member":   `{"csis":["mailto:bob@example.org"],"federation":"none","federation":"none","format":"verbose"}`,
		"case-folded member": `{"CSIs":["mailto:bob@example.org"],"federation":"none","format":"verbose"}`,
		"folded duplicate":   `{"csis":["mailto:bob@example.org"],"federation":"none","Federation":"all","format":"verbose"}`,
		"unknown member":     `{"csis":["mailto:bob@example.org"],"federation":"none","format":"verbose","x":1}`,
		"missing member":     `{"csis":["mailto:bob@example.org"],"federation":"none"}`,
		"null":               `{"csis":null,"federation":"none","format":"verbose"}`,
		"empty optional":     `{"csis":["mailto:bob@example.org"],"federation":"none","format":"verbose","msps":[]}`,
		"not canonical CSI":  `{"csis":["mailto:Bob@example.org"],"federation":"none","format":"verbose"}`,
		"trailing":           good + `{}`,
		"cut":                good[:len(good)-1],
		"deep":               strings.Repeat("[", 10000),
		"bad UTF-8":          strings.Replace(good, "none", "no\xffne", 1),
	} {
		if err := wire.Decode(wire.TypeJSON, []byte(bad), wire.MaxBody, &r); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "bob") {
			t.Errorf("%s: the error repeats the input: %v", name, err)
		}
	}
	if err := wire.Decode(wire.TypeJSON, []byte(good), 10, &r); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("size: %v", err)
	}
}

func TestCBORRefused(t *testing.T) {
	var r wire.RenewalRequest
	for name, bad := range map[string]string{
		"duplicate":     "a2 626964 40 626964 40",
		"case-folded":   "a1 624944 40",
		"indefinite":    "bf 626964 40 ff",
		"text for byte": "a1 626964 60",
		"trailing":      "a1 626964 40 00",
		"null":          "a1 626964 f6",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(bad, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Decode(wire.TypeCBOR, b, wire.MaxBody, &r); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBytesInJSON(t *testing.T) {
	var r wire.RenewalRequest
	for text, ok := range map[string]bool{
		`"AQI"`: true, `""`: true, `"AQI="`: false, `"AQJ"`: false, `"+/8"`: false, `"-_8"`: true, `"AQ\nI"`: false, `1`: false,
	} {
		err := wire.Decode(wire.TypeJSON, []byte(`{"id":`+text+`}`), wire.MaxBody, &r)
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	for mediaType, ok := range map[string]bool{
		"application/cbor": true, "application/json": true, "application/json; charset=utf-8": true,
		"": false, "text/plain": false, "application/json; charset=latin1": false, "application/cose": false,
	} {
		if _, err := wire.Accepts(mediaType); (err == nil) != ok {
			t.Errorf("%q: %v", mediaType, err)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	b, err := wire.Encode(wire.TypeJSON, lookup(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, wire.TypeJSON, b) })
}

func FuzzDecodeCBOR(f *testing.F) {
	b, err := wire.Encode(wire.TypeCBOR, lookup(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, wire.TypeCBOR, b) })
}

// roundTrip: whatever decodes encodes again and decodes to the same.
func roundTrip(t *testing.T, mediaType string, b []byte) {
	var first, second wire.LookupRequest
	if wire.Decode(mediaType, b, wire.MaxBody, &first) != nil {
		return
	}
	again, err := wire.Encode(mediaType, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.Decode(mediaType, again, wire.MaxBody, &second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second, equal); diff != "" {
		t.Error(diff)
	}
}
