package update_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/registry"
	"whither/registry/update"
)

func TestStep(t *testing.T) {
	f := worldtest.New(t)
	path := filepath.Join(t.TempDir(), "registry.cose")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := f.File()
	write(first)
	s, err := update.Open(path, f.Root, f.Now)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := s.Step(f.Now); changed || err != nil {
		t.Errorf("unchanged file: %v, %v", changed, err)
	}
	f.Record.Version = 2
	write(f.File())
	if changed, err := s.Step(f.Now); !changed || err != nil || s.Snapshot().Version() != 2 {
		t.Errorf("newer file: %v, %v", changed, err)
	}
	write(first)
	if _, err := s.Step(f.Now); !errors.Is(err, registry.ErrRollback) || s.Snapshot().Version() != 2 {
		t.Errorf("rollback: %v", err)
	}
	write([]byte("nonsense"))
	if _, err := s.Step(f.Now); err == nil || s.Snapshot().Version() != 2 {
		t.Errorf("nonsense: %v", err)
	}
	f.Record.Version, f.Record.Expires = 3, f.Now.Add(time.Minute)
	write(f.File())
	if _, err := s.Step(f.Now.Add(time.Hour)); !errors.Is(err, registry.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
}

func TestRootFile(t *testing.T) {
	f := worldtest.New(t)
	b := update.FormatRoot(f.Root)
	back, err := update.ParseRoot(b)
	if err != nil || back.Threshold != 1 || back.Keys[0] != f.Root.Keys[0] {
		t.Fatalf("%s: %+v, %v", b, back, err)
	}
	for name, bad := range map[string]string{
		"empty":       "",
		"unknown key": "threshold = 1\nkeys = []\nx = 1\n",
		"threshold":   "threshold = 2\nkeys = [\"" + "AAAA" + "\"]\n",
		"no TOML":     "{",
		"short key":   "threshold = 1\nkeys = [\"AAAA\"]\n",
	} {
		if _, err := update.ParseRoot([]byte(bad)); !errors.Is(err, update.ErrRoot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	f.Add(string(update.FormatRoot(worldtest.New(f).Root)))
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := update.ParseRoot([]byte(s)); err == nil && (r.Threshold < 1 || r.Threshold > len(r.Keys)) {
			t.Error("threshold out of bounds")
		}
	})
}
