package sqlstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest"
	"whither/internal/world/worldtest"
	"whither/mapping"
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
	storetest.Directory(t, 10, func(t testing.TB, fault func(string) sqldb.Fault) (directory.Store, func()) {
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

// TestTwoProcessesRace has two processes of a DP on one file claim the same
// people at once: each person is had once.
func TestTwoProcessesRace(t *testing.T) {
	o := sqlstore.Options{Path: filepath.Join(t.TempDir(), "dp.db"), Keys: newKeys(t)}
	f := worldtest.New(t)
	const people = 20
	var claims [2][people]mapping.Verified
	for p := range 2 {
		for i := range people {
			claims[p][i] = f.Mapping(fmt.Sprintf("user-%d@example.org", i), fmt.Sprint("process ", p), worldtest.MSPA)
		}
	}
	processes := [2]*sqlstore.Directory{openDirectory(t, o), openDirectory(t, o)}
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for p, d := range processes {
		wg.Go(func() {
			for _, v := range claims[p] {
				switch err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, directory.ErrRaced):
					lost.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if won.Load() != people || lost.Load() != people {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	if report, err := processes[0].Fsck(t.Context(), nil); err != nil || !report.Sound() || report.Mappings != people {
		t.Errorf("%+v, %v", report, err)
	}
	for _, d := range processes {
		closeDirectory(t, d)
	}
}
