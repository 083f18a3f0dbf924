package csi_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"whither/csi"
)

// handle is a scheme of its own, from outside the package: names of one to
// eight letters at one imaginary service.
var handle = csi.Row{
	Scheme: "handle",
	Canonicalise: func(s string) (string, error) {
		s = strings.ToLower(s)
		if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" || len(s) < 1 || len(s) > 8 {
			return "", fmt.Errorf("bad handle %q", s)
		}
		return s, nil
	},
	Home: func(string) []string { return []string{"IS"} },
}

func TestR08FurtherSchemeIsOneRow(t *testing.T) {
	table, err := csi.Default().With(handle)
	if err != nil {
		t.Fatal(err)
	}
	id, err := table.Parse("HANDLE:Bob")
	if err != nil {
		t.Fatal(err)
	}
	if id.Canonical() != "handle:bob" || id.Scheme() != "handle" || !slices.Equal(table.Home(id), []string{"IS"}) {
		t.Errorf("got %s at home in %v", id.Canonical(), table.Home(id))
	}
	if id.String() != "handle:…" {
		t.Errorf("printed as %s", id)
	}
	if _, err := table.ParseCanonical("handle:Bob"); !isReason(err, csi.ErrNotCanonical) {
		t.Errorf("ParseCanonical of another spelling: %v", err)
	}
	if again, err := table.ParseCanonical("handle:bob"); err != nil || again != id {
		t.Errorf("ParseCanonical: %v", err)
	}
	// The built-in schemes are unchanged, and the built-in table knows nothing new.
	if got, err := table.Parse("tel:+14085550123"); err != nil || got != mustParse(t, "tel:+14085550123") {
		t.Errorf("tel in the wider table: %v", err)
	}
	if _, err := csi.Parse("handle:bob"); !isReason(err, csi.ErrScheme) {
		t.Errorf("the default table changed: %v", err)
	}
	if id.Home() != nil {
		t.Error("the default table knows the home of a foreign scheme")
	}
}

// TestR08ThirdKindTookOneRow: handles came as the third kind, after numbers and
// addresses. Taking the row out takes the kind out and leaves the others; and the
// package's code speaks of it in two places, the name and the row.
func TestR08ThirdKindTookOneRow(t *testing.T) {
	if got := csi.Default().Schemes(); !slices.Equal(got, []csi.Scheme{csi.Tel, csi.Mailto, csi.Acct}) {
		t.Fatalf("schemes %v", got)
	}
	id := mustParse(t, "ACCT:Bob@Social.EXAMPLE")
	if id.Canonical() != "acct:bob@social.example" || id.Scheme() != csi.Acct || id.String() != "acct:…" || id.Home() != nil {
		t.Errorf("%s of scheme %s printed %s at home in %v", id.Canonical(), id.Scheme(), id, id.Home())
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var mentions []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if strings.Contains(line, "Acct") {
				mentions = append(mentions, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	want := []string{`Acct Scheme = "acct"`, "{Scheme: Acct, Canonicalise: canonicalAddress},"}
	if !slices.Equal(mentions, want) {
		t.Errorf("the third kind is mentioned in %q", mentions)
	}
}

func TestForeignRowsCannotLeak(t *testing.T) {
	table, err := csi.NewTable(handle,
		csi.Row{Scheme: "blank", Canonicalise: func(string) (string, error) { return "", nil }},
		csi.Row{Scheme: "raw", Canonicalise: func(s string) (string, error) { return s, nil }},
		csi.Row{Scheme: "own", Canonicalise: func(s string) (string, error) { return "", csi.Reason(s) }},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"handle:secret-name", "blank:secret", "raw:secret name", "raw:sécret", "own:secret"} {
		_, err := table.Parse(s)
		var e *csi.Error
		if !errors.As(err, &e) || strings.Contains(fmt.Sprintf("%v %+v %#v %s %q", err, err, e, err, err), "secret") {
			t.Errorf("error of a foreign row: %v", err)
		}
	}
	for _, s := range []string{"handle:secret-name", "blank:x", "raw:a b", "own:secret"} {
		if _, err := table.Parse(s); !isReason(err, csi.ErrRefused) {
			t.Errorf("%v, want refused", err)
		}
	}
}

func TestNewTableRefusesMistakes(t *testing.T) {
	ok := handle.Canonicalise
	for name, rows := range map[string][]csi.Row{
		"no scheme":        {{Canonicalise: ok}},
		"capitals":         {{Scheme: "Handle", Canonicalise: ok}},
		"begins with 1":    {{Scheme: "1handle", Canonicalise: ok}},
		"colon":            {{Scheme: "handle:", Canonicalise: ok}},
		"no function":      {{Scheme: "handle"}},
		"doubled":          {handle, handle},
		"built-in doubled": {{Scheme: csi.Tel, Canonicalise: ok}},
	} {
		if _, err := csi.Default().With(rows...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (csi.Table{}).Parse("tel:+14085550123"); !isReason(err, csi.ErrScheme) {
		t.Errorf("the empty table: %v", err)
	}
}

func TestTablesDoNotShareRows(t *testing.T) {
	rows := []csi.Row{handle}
	table, err := csi.NewTable(rows...)
	if err != nil {
		t.Fatal(err)
	}
	rows[0].Scheme = "other"
	if got := table.Schemes(); !slices.Equal(got, []csi.Scheme{"handle"}) {
		t.Errorf("the table changed under its user: %v", got)
	}
}
