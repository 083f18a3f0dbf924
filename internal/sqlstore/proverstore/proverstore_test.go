// The contract of the store is tested in package internal/prover.
package proverstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/prover"
	"whither/internal/sqlstore/proverstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/vault"
	"whither/internal/world/worldtest"
	"whither/possession"
)

func open(t testing.TB, folder string, keys vault.Keys) *proverstore.Store {
	t.Helper()
	s, err := proverstore.Open(t.Context(), sealed.Options{Path: filepath.Join(folder, "prover.db"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t testing.TB, s *proverstore.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStolenFilesTellNothing looks for what a challenge says in the files, and
// opens them again, with keys of a new generation.
func TestStolenFilesTellNothing(t *testing.T) {
	keyFolder, folder := t.TempDir(), t.TempDir()
	keys, err := vault.MakeKeys(keyFolder)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := prover.Challenge{
		ID: prover.ID([]byte("id of sixteen by")), Mailbox: prover.Mailbox([]byte("mailbox with 16b")), Kind: possession.MailReply,
		Purpose: possession.PurposeEnrol, CSI: worldtest.CSI(t, "mailto:alice@example.org"), Holder: worldtest.Key(t, "alice").Public(),
		Nonce: [possession.NonceSize]byte(bytes.Repeat([]byte("nonce 8."), 6)), Started: now, Expires: now.Add(time.Hour), State: prover.Waiting, Next: now,
	}
	s := open(t, folder, keys)
	if err := s.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Prove(t.Context(), c.ID, prover.Proof{Receipt: []byte("the receipt"), Artefact: []byte("From: the raw mail")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prover.db", "prover.db-wal"} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{
			c.ID[:], c.Mailbox[:], []byte(c.Mailbox.Local()), []byte("alice"), []byte("example.org"), c.Holder.Bytes(), []byte("nonce 8."),
			[]byte("the receipt"), []byte("raw mail"),
		} {
			if bytes.Contains(b, secret) {
				t.Errorf("%q stands in clear in %s", secret, name)
			}
		}
	}
	closed(t, s)

	if _, err := vault.MakeGeneration(keyFolder); err != nil {
		t.Fatal(err)
	}
	if keys, err = vault.LoadKeys(keyFolder); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder, keys)
	if n, err := s.Rewrap(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("rewrapped %d, %v", n, err)
	}
	closed(t, s)
	delete(keys.Generations, 1)
	s = open(t, folder, keys)
	defer closed(t, s)
	if got, err := s.ByMailbox(t.Context(), c.Mailbox); err != nil || got.ID != c.ID || string(got.Receipt) != "the receipt" {
		t.Errorf("receipt %q, %v", got.Receipt, err)
	}
}
