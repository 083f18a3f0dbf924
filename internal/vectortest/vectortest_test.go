package vectortest_test

import (
	"os"
	"path/filepath"
	"testing"

	"whither/internal/vectortest"
)

// failures counts what a test would have failed with.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Errorf(string, ...any) { f.n++ }
func (f *failures) Helper()               {}

func TestWhole(t *testing.T) {
	dir := t.TempDir()
	composed := map[string][]byte{"a.json": vectortest.JSON(t, map[string]string{"name": "<a>"}), "more/b.cbor": {1}}
	check := func(rewrite bool, want int) {
		t.Helper()
		f := &failures{TB: t}
		vectortest.Whole(f, dir, composed, rewrite)
		if f.n != want {
			t.Errorf("%d failures, want %d", f.n, want)
		}
	}
	check(false, 2) // neither is there
	check(true, 0)
	check(false, 0)
	for _, name := range []string{"README.md", "old.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check(false, 1) // old.json is nobody's
	composed["more/b.cbor"] = []byte{2}
	check(false, 2) // and b.cbor has changed
	check(true, 0)
	check(false, 0)
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		t.Error("a person's page is gone")
	}
	var read struct {
		Name string `json:"name"`
	}
	if vectortest.Read(t, filepath.Join(dir, "a.json"), &read); read.Name != "<a>" {
		t.Errorf("read %q", read.Name)
	}
}
