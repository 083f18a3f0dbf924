package sqlstore_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/vault"
	"whither/internal/world/worldtest"
)

// TestRecordsAreSealed: what a record says stands nowhere in clear, opens in its
// own place only, and moves to the next generation of keys with the mappings.
func TestRecordsAreSealed(t *testing.T) {
	folder := t.TempDir()
	if _, err := sqlstore.MakeKeys(folder); err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	path := filepath.Join(files, "dp.db")
	open := func() *sqlstore.Directory {
		keys, err := sqlstore.LoadKeys(folder)
		if err != nil {
			t.Fatal(err)
		}
		return openDirectory(t, sqlstore.Options{Path: path, Keys: keys})
	}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	alice := worldtest.CSI(t, "mailto:alice@example.org")
	secret := []byte("carol claims the address of alice")
	record := func(n byte, kind directory.RecordKind) directory.Record {
		return directory.Record{ID: directory.RecordID{n}, Kind: kind, Until: now.Add(time.Hour), Body: append(bytes.Clone(secret), n)}
	}
	d := open()
	put := directory.Write{Put: []directory.Record{record(1, docket.RecordClaim), record(2, docket.RecordProof)}}
	if err := d.Apply(t.Context(), alice, directory.Case{}, put, now); err != nil {
		t.Fatal(err)
	}
	closeDirectory(t, d)
	if bytes.Contains(readAll(t, files), secret[:8]) {
		t.Error("a record stands in clear")
	}
	if n, err := vault.MakeGeneration(folder); n != 2 || err != nil {
		t.Fatalf("generation %d, %v", n, err)
	}
	d = open()
	if n, err := d.Rewrap(t.Context(), 10); n != 2 || err != nil {
		t.Errorf("rewrapped %d, %v", n, err)
	}
	closeDirectory(t, d)
	if err := os.Remove(filepath.Join(folder, "kek", "1.key")); err != nil {
		t.Fatal(err)
	}
	d = open()
	if r, err := d.Record(t.Context(), directory.RecordID{1}); err != nil || !bytes.Equal(r.Body, record(1, 0).Body) {
		t.Errorf("%q, %v", r.Body, err)
	}
	if report, err := d.Fsck(t.Context(), nil); err != nil || !report.Sound() || report.Records != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	closeDirectory(t, d)

	for name, change := range map[string]string{
		"its kind":     "UPDATE records SET kind = 4 WHERE kind = 1",
		"its label":    "UPDATE records SET label = zeroblob(32) WHERE kind = 2",
		"two swapped":  "UPDATE records SET body = (SELECT body FROM records r WHERE r.id <> records.id), key = (SELECT key FROM records r WHERE r.id <> records.id)",
		"its last bit": "UPDATE records SET body = substr(body, 1, length(body) - 1) || x'00'",
	} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		d = open()
		report, err := d.Fsck(t.Context(), nil)
		if err != nil || report.Sound() {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		_, err1 := d.Record(t.Context(), directory.RecordID{1})
		_, err2 := d.Record(t.Context(), directory.RecordID{2})
		if !errors.Is(errors.Join(err1, err2), vault.ErrSeal) {
			t.Errorf("%s: read: %v, %v", name, err1, err2)
		}
		closeDirectory(t, d)
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
