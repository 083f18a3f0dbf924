package canon_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"whither/internal/canon"
)

type record struct {
	Name  string         `cbor:"1,keyasint"`
	Count int64          `cbor:"2,keyasint,omitempty"`
	Blob  []byte         `cbor:"3,keyasint,omitempty"`
	List  []string       `cbor:"4,keyasint,omitempty"`
	Inner map[int]string `cbor:"5,keyasint,omitempty"`
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnmarshalRefuses(t *testing.T) {
	tests := []struct {
		name, hex string
		want      error
	}{
		{"empty", "", canon.ErrTruncated},
		{"truncated text", "a1 01 62 61", canon.ErrTruncated},
		{"truncated argument", "a1 01 59 01", canon.ErrTruncated},
		{"length beyond any memory", "5b ff ff ff ff ff ff ff ff", canon.ErrTruncated},
		{"trailing byte", "a1 01 61 61 00", canon.ErrTrailing},
		{"overlong small integer", "a2 01 61 61 02 18 05", canon.ErrNotCanonical},
		{"overlong 16-bit integer", "a2 01 61 61 02 19 00 ff", canon.ErrNotCanonical},
		{"overlong 32-bit integer", "a2 01 61 61 02 1a 00 00 ff ff", canon.ErrNotCanonical},
		{"overlong 64-bit integer", "a2 01 61 61 02 1b 00 00 00 00 ff ff ff ff", canon.ErrNotCanonical},
		{"overlong text length", "a1 01 78 01 61", canon.ErrNotCanonical},
		{"indefinite map", "bf 01 61 61 ff", canon.ErrNotCanonical},
		{"indefinite text", "a1 01 7f 61 61 ff", canon.ErrNotCanonical},
		{"reserved length", "a1 01 7c", canon.ErrNotCanonical},
		{"duplicate key", "a2 01 61 61 01 61 62", canon.ErrDuplicateKey},
		{"keys out of order", "a2 02 01 01 61 61", canon.ErrNotCanonical},
		{"zero value present", "a2 01 61 61 02 00", canon.ErrNotCanonical},
		{"empty list present", "a2 01 61 61 04 80", canon.ErrNotCanonical},
		{"null for text", "a1 01 f6", canon.ErrNotCanonical},
		{"required field missing", "a0", canon.ErrNotCanonical},
		{"unknown field", "a2 01 61 61 06 01", canon.ErrType},
		{"float", "a2 01 61 61 02 f9 3c 00", canon.ErrType},
		{"undefined", "a2 01 61 61 02 f7", canon.ErrType},
		{"bad UTF-8", "a1 01 61 ff", canon.ErrType},
		{"negative beyond int64", "3b ff ff ff ff ff ff ff ff", canon.ErrType},
		{"wrong type", "a1 01 01", canon.ErrType},
		{"bignum tag on an integer", "c3 30", canon.ErrType},
		{"tag inside", "a1 01 c0 61 61", canon.ErrType},
		{"deep nesting", strings.Repeat("81", 40) + "00", canon.ErrDepth},
		{"huge array header", "9a 00 10 00 00", canon.ErrDepth},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var r record
			if err := canon.Unmarshal(unhex(t, test.hex), 1024, &r); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	var r record
	if err := canon.Unmarshal(make([]byte, 100), 99, &r); !errors.Is(err, canon.ErrTooLarge) {
		t.Errorf("oversized: got %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := record{
			Name:  rapid.String().Draw(t, "name"),
			Count: rapid.Int64().Draw(t, "count"),
			Blob:  rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "blob"),
			List:  rapid.SliceOfN(rapid.String(), 1, 30).Draw(t, "list"),
			Inner: rapid.MapOfN(rapid.Int(), rapid.String(), 1, 10).Draw(t, "inner"),
		}
		b, err := canon.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out record
		if err := canon.Unmarshal(b, 1<<20, &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzCheckCanonical(f *testing.F) {
	f.Add(unhex(f, "a2 01 61 61 02 05"))
	f.Add(unhex(f, "d8 62 84 40 a0 41 00 80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if canon.Check(b, 4096) != nil {
			return
		}
		// What Check admits is a fixed point of decoding and encoding.
		var raw canon.Raw
		if err := canon.Unmarshal(b, 4096, &raw); err != nil {
			t.Fatalf("admitted but not decoded: %v", err)
		}
		again, err := canon.Marshal(raw)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not a fixed point: %x, %v", again, err)
		}
		var r record
		if err := canon.Unmarshal(b, 4096, &r); err == nil {
			again, err := canon.Marshal(r)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("record: parse then marshal gives %x, %v", again, err)
			}
		}
	})
}
