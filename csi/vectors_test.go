package csi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
)

var update = flag.Bool("update", false, "rewrite vectors/csi/numbering.json from the tables")

const vectorDir = "../vectors/csi"

// reasons is every reason that the package can give, with its name in vectors.
var reasons = []csi.Reason{
	csi.ErrScheme, csi.ErrOverlong, csi.ErrControl, csi.ErrNonASCII, csi.ErrEscape, csi.ErrParameter,
	csi.ErrNotGlobal, csi.ErrNumber, csi.ErrLength, csi.ErrCountryCode,
	csi.ErrNoAt, csi.ErrTwoAt, csi.ErrEmptyLocal, csi.ErrQuoted, csi.ErrLocal, csi.ErrDomain, csi.ErrConfusable,
	csi.ErrNotCanonical, csi.ErrRefused,
}

type acceptVector struct {
	Name      string     `json:"name"`
	Input     string     `json:"input"`
	Canonical string     `json:"canonical"`
	Scheme    csi.Scheme `json:"scheme"`
	Home      []string   `json:"home"`
	PASSporT  string     `json:"passport"`
	ENUM      string     `json:"enum"`
	CAMARA    string     `json:"camara"`
	Address   string     `json:"address"`
	Domain    string     `json:"domain"`
}

type rejectVector struct {
	Name     string     `json:"name"`
	Input    string     `json:"input"`
	InputHex string     `json:"input_hex"` // for what JSON cannot carry
	Reason   csi.Reason `json:"reason"`
}

func (v rejectVector) text(t testing.TB) string {
	if v.InputHex == "" {
		return v.Input
	}
	b, err := hex.DecodeString(v.InputHex)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return string(b)
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

func TestR08AcceptVectors(t *testing.T) {
	for _, v := range load[acceptVector](t, "accept.json") {
		t.Run(v.Name, func(t *testing.T) {
			id, err := csi.Parse(v.Input)
			if err != nil {
				t.Fatal(err)
			}
			if id.Canonical() != v.Canonical || id.Scheme() != v.Scheme {
				t.Errorf("got %s of scheme %s, want %s", id.Canonical(), id.Scheme(), v.Canonical)
			}
			if got := id.Home(); !slices.Equal(got, v.Home) {
				t.Errorf("home %v, want %v", got, v.Home)
			}
			for _, f := range []struct{ name, want, got string }{
				{"PASSporT", v.PASSporT, id.PASSporTDigits()},
				{"ENUM", v.ENUM, id.ENUM()},
				{"CAMARA", v.CAMARA, id.CAMARA()},
				{"address", v.Address, id.Address()},
				{"domain", v.Domain, id.Domain()},
			} {
				if f.want != "" && f.got != f.want {
					t.Errorf("%s is %q, want %q", f.name, f.got, f.want)
				}
			}
			strict, err := csi.ParseCanonical(v.Input)
			switch {
			case v.Input == v.Canonical && (err != nil || strict != id):
				t.Errorf("ParseCanonical of the canonical form: %v", err)
			case v.Input != v.Canonical && !isReason(err, csi.ErrNotCanonical):
				t.Errorf("ParseCanonical of another spelling: %v, want not-canonical", err)
			}
		})
	}
}

func TestRejectVectors(t *testing.T) {
	used := map[csi.Reason]bool{csi.ErrNotCanonical: true, csi.ErrRefused: true} // these two need other tests
	for _, v := range load[rejectVector](t, "reject.json") {
		used[v.Reason] = true
		t.Run(v.Name, func(t *testing.T) {
			input := v.text(t)
			for name, parse := range map[string]func(string) (csi.ID, error){"Parse": csi.Parse, "ParseCanonical": csi.ParseCanonical} {
				id, err := parse(input)
				if !isReason(err, v.Reason) {
					t.Errorf("%s: %v, want reason %s", name, err, v.Reason.Error())
				}
				if !id.IsZero() {
					t.Errorf("%s: an ID beside an error", name)
				}
			}
		})
	}
	for _, r := range reasons {
		if !used[r] {
			t.Errorf("no reject vector for %q", string(r))
		}
	}
}

// TestSpecNamesEveryReason keeps docs/spec/csi.md and the code together.
func TestSpecNamesEveryReason(t *testing.T) {
	spec, err := os.ReadFile("../docs/spec/csi.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reasons {
		if !strings.Contains(string(spec), "| `"+string(r)+"` |") {
			t.Errorf("docs/spec/csi.md has no row for %q", string(r))
		}
		if text := r.Error(); len(text) < 20 || !strings.Contains(text, ": ") {
			t.Errorf("%q does not say what to do next: %q", string(r), text)
		}
	}
	if len(regexp.MustCompile("(?m)^\\| `[a-z-]+` \\|").FindAll(spec, -1)) != len(reasons) {
		t.Error("docs/spec/csi.md has rows for reasons that do not exist")
	}
}

// TestNumberingVector holds the file that other implementers read to the tables.
func TestNumberingVector(t *testing.T) {
	want := csi.NumberingTables()
	want.Spec, want.Version = "docs/spec/csi.md", 1
	path := filepath.Join(vectorDir, "numbering.json")
	if *update {
		b, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got csi.Numbering
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("run go test ./csi -update (-tables +file):\n%s", d)
	}
}
