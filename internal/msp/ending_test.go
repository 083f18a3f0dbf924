package msp_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"whither/cosigner"
	"whither/internal/msp"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world/worldtest"
)

// TestCloseAccount: the account goes, and what was confirmed for its CSIs is noted
// to be ended; nobody else's.
func TestCloseAccount(t *testing.T) {
	dir := t.TempDir()
	if err := msp.MakeKeys(dir, worldtest.Party(t, worldtest.MSPA), time.Unix(1_800_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	accounts, err := msp.OpenAccountsIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	bob, alice := worldtest.CSI(t, "mailto:bob@example.org"), worldtest.CSI(t, "mailto:alice@example.org")
	token, err := accounts.Add("bob", bob)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.Add("alice", alice); err != nil {
		t.Fatal(err)
	}
	if err := msp.CloseAccount(t.Context(), dir, msp.Settings{}, "carol"); !errors.Is(err, msp.ErrNoName) {
		t.Errorf("an account that is not there: %v", err)
	}
	if err := msp.CloseAccount(t.Context(), dir, msp.Settings{}, "bob"); err != nil {
		t.Fatal(err)
	}
	if changed, err := accounts.Step(); !changed || err != nil {
		t.Fatalf("the accounts are as before: %v", err)
	}
	if l, err := accounts.Link(t.Context(), token, bob); l != cosigner.NoAccount || err != nil {
		t.Errorf("the closed account's token: %v, %v", l, err)
	}
	store, err := mspstore.Open(t.Context(), sqldb.Options{Path: filepath.Join(dir, "msp.db")})
	if err != nil {
		t.Fatal(err)
	}
	leaving, err := store.Leaving(t.Context())
	if err != nil || len(leaving) != 1 {
		t.Errorf("%d CSIs are to go, %v", len(leaving), err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
