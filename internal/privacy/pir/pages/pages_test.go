package pages_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"whither/internal/privacy/pir/pages"
)

func TestNew(t *testing.T) {
	for _, n := range []int{0, 1, 4097, 3 << 20} {
		m, err := pages.New(n)
		if err != nil {
			t.Fatal(err)
		}
		b := m.Bytes()
		if len(b) != n {
			t.Fatalf("%d bytes, want %d", len(b), n)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatal("not zeroed")
			}
			b[i] = 1
		}
		if err := m.Release(); err != nil {
			t.Error(err)
		}
		if err := m.Release(); !errors.Is(err, pages.ErrClosed) {
			t.Errorf("released twice: %v", err)
		}
	}
}

func TestMap(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"", "x", string(make([]byte, 5000))} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := pages.Map(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Bytes()) != content {
			t.Error("another content")
		}
		if err := m.Release(); err != nil {
			t.Error(err)
		}
	}
	if _, err := pages.Map(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
