package update_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/registry/tuf"
	"whither/registry/update"
)

// TestStep follows a publication in a folder, over restarts.
func TestStep(t *testing.T) {
	f, dir, state := worldtest.New(t), t.TempDir(), filepath.Join(t.TempDir(), "registry", "known")
	root := f.Publish(dir)
	open := func(at time.Time) *update.Source {
		t.Helper()
		s, err := update.Open(t.Context(), update.Options{Root: root, State: state, Fetch: update.Folder(dir)}, at)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(f.Now)
	if changed, err := s.Step(t.Context(), f.Now); changed || err != nil {
		t.Errorf("nothing new: %v, %v", changed, err)
	}
	before := os.DirFS(dir)
	older := t.TempDir()
	if err := os.CopyFS(older, before); err != nil {
		t.Fatal(err)
	}

	f.Now = f.Now.Add(time.Hour)
	f.Record.Policy.EvidenceHours = 12
	f.Publish(dir)
	if changed, err := s.Step(t.Context(), f.Now); !changed || err != nil || s.Snapshot().Version() != 2 {
		t.Errorf("newer: %v, %v", changed, err)
	}

	// A restart remembers, and is not led back.
	s, err := update.Open(t.Context(), update.Options{Root: root, State: state, Fetch: update.Folder(older)}, f.Now)
	if err != nil || s.Snapshot().Version() != 2 {
		t.Fatalf("after a restart: %v", err)
	}
	if _, err := s.Step(t.Context(), f.Now); !errors.Is(err, tuf.ErrRollback) || s.Snapshot().Version() != 2 {
		t.Errorf("rollback after a restart: %v", err)
	}
	// So it is when what it knew has expired long since: it says so, and stays.
	late := f.Now.AddDate(3, 0, 0)
	s, err = update.Open(t.Context(), update.Options{Root: root, State: state, Fetch: update.Folder(older)}, late)
	if err != nil || s.Snapshot().Version() != 2 || s.Snapshot().Expires().After(late) {
		t.Errorf("expired: %v", err)
	}
	if _, err := s.Step(t.Context(), late); err == nil {
		t.Error("a step after all has expired")
	}

	if err := os.WriteFile(state, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := update.Open(t.Context(), update.Options{Root: root, State: state, Fetch: update.Folder(dir)}, f.Now); !errors.Is(err, update.ErrState) {
		t.Errorf("a damaged state: %v", err)
	}
}

// TestFile follows a file that is put there by hand.
func TestFile(t *testing.T) {
	f, dir, public := worldtest.New(t), t.TempDir(), t.TempDir()
	put := func() []byte {
		t.Helper()
		root := f.Publish(public)
		known, err := update.Open(t.Context(), update.Options{Root: root, Fetch: update.Folder(public)}, f.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "root.json"), root, 0o600), os.WriteFile(filepath.Join(dir, "registry.set"), known.File(), 0o600)); err != nil {
			t.Fatal(err)
		}
		return known.File()
	}
	first := put()
	s, err := update.OpenFiles(filepath.Join(dir, "registry.set"), filepath.Join(dir, "root.json"), f.Now)
	if err != nil {
		t.Fatal(err)
	}
	f.Now = f.Now.Add(time.Minute)
	f.Record.Policy.EvidenceHours = 12
	put()
	if changed, err := s.Step(t.Context(), f.Now); !changed || err != nil || s.Snapshot().Version() != 2 {
		t.Errorf("newer file: %v, %v", changed, err)
	}
	for name, b := range map[string][]byte{"older": first, "nonsense": []byte("nonsense")} {
		if err := os.WriteFile(filepath.Join(dir, "registry.set"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Step(t.Context(), f.Now); err == nil || s.Snapshot().Version() != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Take(first, f.Now); !errors.Is(err, tuf.ErrRollback) {
		t.Errorf("handed on: %v", err)
	}
	if _, err := update.OpenFiles(filepath.Join(dir, "none"), filepath.Join(dir, "root.json"), f.Now); err == nil {
		t.Error("no file")
	}
	if _, err := update.Open(t.Context(), update.Options{}, f.Now); !errors.Is(err, update.ErrNone) {
		t.Errorf("nothing at all: %v", err)
	}
}

// TestServer fetches over TLS, and refuses what a server may do to it.
func TestServer(t *testing.T) {
	f, dir := worldtest.New(t), t.TempDir()
	root := f.Publish(dir)
	mode := ""
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.TLS.Version < 0x0304:
			w.WriteHeader(http.StatusUpgradeRequired)
		case mode == "broken":
			w.WriteHeader(http.StatusInternalServerError)
		case mode == "endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case mode == "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	fetch, err := update.Server(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
	if err != nil {
		t.Fatal(err)
	}
	s, err := update.Open(t.Context(), update.Options{Root: root, Fetch: fetch}, f.Now)
	if err != nil || s.Snapshot().Version() != 1 {
		t.Fatalf("fetch: %v", err)
	}
	for _, mode = range []string{"broken", "endless", "moved"} {
		if _, err := s.Step(t.Context(), f.Now); err == nil {
			t.Errorf("%s: no error", mode)
		}
	}
	mode = ""
	strangers, err := update.Server(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := update.Open(t.Context(), update.Options{Root: root, Fetch: strangers}, f.Now); err == nil {
		t.Error("a certificate of nobody we know was taken")
	}
	for _, bad := range []string{"", "http://registry.example", "https://", "https://a@registry.example", "https://registry.example?x"} {
		if _, err := update.Server(bad, nil); err == nil {
			t.Errorf("%q taken as an address", bad)
		}
	}
}
