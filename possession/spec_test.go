package possession_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whither/possession"
)

// TestSpecHasTheTable: the table of kinds in the specification is the one that
// the code works from; with -update it is written.
func TestSpecHasTheTable(t *testing.T) {
	path := filepath.Join("..", filepath.FromSlash(specPage))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := possession.Rows()
	before, rest, ok := strings.Cut(string(b), rows[0]+"\n")
	if !ok {
		t.Fatalf("%s has no table that begins with %s", specPage, rows[0])
	}
	_, after, ok := strings.Cut(rest, "\n\n")
	if !ok {
		t.Fatal("the table has no end")
	}
	want := before + strings.Join(rows, "\n") + "\n\n" + after
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(b) {
		t.Errorf("the table of kinds in %s is another than the code's: look, then run go test ./possession -update", specPage)
	}
}
