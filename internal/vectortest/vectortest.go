// Package vectortest holds the vectors of this tree against what the tests that
// compose them make, and reads them as another implementation would.
package vectortest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// JSON is v as a file of vectors has it.
func JSON(t testing.TB, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Current compares the files below a folder with what is composed; with rewrite
// it writes them first.
func Current(t testing.TB, dir string, composed map[string][]byte, rewrite bool) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(composed)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if rewrite {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // vectors are for everybody
				t.Fatal(err)
			}
			if err := os.WriteFile(path, composed[name], 0o644); err != nil { //nolint:gosec // likewise
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, composed[name]) {
			t.Errorf("%s is not what the test composes: look, then run it with -update (%v)", path, err)
		}
	}
}

// Whole is [Current] for a folder in which nothing else lies, so that no vector
// is forgotten. README.md is a person's.
func Whole(t testing.TB, dir string, composed map[string][]byte, rewrite bool) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || name == "README.md" || composed[name] != nil:
			return err
		case rewrite:
			return os.Remove(filepath.Join(dir, filepath.FromSlash(name)))
		}
		t.Errorf("%s: nobody makes this file", name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	Current(t, dir, composed, rewrite)
}

// Read reads a file of vectors, strictly.
func Read(t testing.TB, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
