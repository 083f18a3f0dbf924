// The contract of the store is tested in package internal/observer.
package observerstore_test

import (
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/observer"
	"whither/internal/sqlstore/observerstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/vault"
	"whither/possession/observe"
)

func open(t *testing.T, folder string, keys vault.Keys) *observerstore.Store {
	t.Helper()
	s, err := observerstore.Open(t.Context(), sealed.Options{Path: filepath.Join(folder, "observer.db"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGenerations: what is remembered is read again under keys of a new
// generation, and with the keys of another database not at all.
func TestGenerations(t *testing.T) {
	folder := t.TempDir()
	keys, err := vault.MakeKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	look := observer.Look{
		Place: observer.Place{Kind: observe.DKIM, Name: "example.org", Selector: "s1"}, At: now, Next: now.Add(time.Hour), Forget: now.Add(48 * time.Hour),
		Seen: []observer.Sight{{Label: "s1", Digest: sha256.Sum256([]byte("key")), DNSSEC: observe.Secure}}, Room: 10,
	}
	s := open(t, folder, keys)
	if _, err := s.See(t.Context(), look); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := vault.MakeKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := observerstore.Open(t.Context(), sealed.Options{Path: filepath.Join(folder, "observer.db"), Keys: other}); !errors.Is(err, vault.ErrKeys) {
		t.Errorf("other keys: %v", err)
	}
	if _, err := vault.MakeGeneration(folder); err != nil {
		t.Fatal(err)
	}
	if keys, err = vault.LoadKeys(folder); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder, keys)
	if n, err := s.Rewrap(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("rewrapped %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	delete(keys.Generations, 1)
	s = open(t, folder, keys)
	look.At = now.Add(time.Hour)
	runs, err := s.See(t.Context(), look)
	if err != nil || len(runs) != 1 || !runs[0].First.Equal(now) || runs[0].DNSSEC != observe.Secure {
		t.Errorf("%+v, %v", runs, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
