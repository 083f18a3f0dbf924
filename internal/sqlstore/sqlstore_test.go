package sqlstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest"
)

// newKeys makes the keys of a database in a folder of the test's.
func newKeys(t testing.TB) sqlstore.Keys {
	t.Helper()
	keys, err := sqlstore.MakeKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func openDirectory(t testing.TB, o sqlstore.Options) *sqlstore.Directory {
	t.Helper()
	d, err := sqlstore.OpenDirectory(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func closeDirectory(t testing.TB, d *sqlstore.Directory) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// empty returns the bytes of an empty database. Copies of it open faster than
// new ones are made.
func empty(t testing.TB, keys sqlstore.Keys) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	closeDirectory(t, openDirectory(t, sqlstore.Options{Path: path, Keys: keys}))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStore(t *testing.T) {
	keys := newKeys(t)
	b := empty(t, keys)
	storetest.Directory(t, func(t testing.TB, fault func(string) sqldb.Fault) (directory.Store, func()) {
		folder, err := os.MkdirTemp(t.TempDir(), "store")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "dp.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d := openDirectory(t, sqlstore.Options{Path: path, Keys: keys, Fault: fault})
		return d, func() {
			closeDirectory(t, d)
			if err := os.RemoveAll(folder); err != nil {
				t.Error(err)
			}
		}
	})
}
