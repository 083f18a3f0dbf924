package bare_test

import (
	"path/filepath"
	"sync"
	"testing"

	"whither/internal/sqlstore"
	"whither/internal/sqlstore/bare"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/pgtest"
)

func TestCommit(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { commit(t, sqldb.Options{Path: filepath.Join(t.TempDir(), "dp.db")}) })
	t.Run("postgres", func(t *testing.T) { commit(t, sqldb.Options{URL: pgtest.Schema(t, pgtest.Start(t))}) })
}

// commit commits from several goroutines, and counts the rows.
func commit(t *testing.T, at sqldb.Options) {
	keys, err := sqlstore.MakeKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.OpenDirectory(t.Context(), sqlstore.Options{Path: at.Path, URL: at.URL, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b, err := bare.Open(t.Context(), at, 8)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, n := range []int{1, 5} {
				if err := b.Commit(t.Context(), n, 1000); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if c, err := store.Changes(t.Context(), 0, 1000); err != nil || len(c) != 48 {
		t.Errorf("%d changes, %v", len(c), err)
	}
}
