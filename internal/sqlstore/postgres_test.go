package sqlstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"whither/internal/dp/directory"
	"whither/internal/pgserver"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/internal/storetest"
	"whither/internal/storetest/pgtest"
)

// engines are the dialects for PostgreSQL, as URLs ask for them.
var engines = []string{"postgres", "distributed"}

// schemas are opened stores on schemas of their own, to be used one after the
// other: making sixty tables and indexes takes longer than emptying them.
type schemas struct {
	server *pgserver.Server
	engine string
	keys   sqlstore.Keys
	idle   chan *schema
}

// schema is a store, with what is to go wrong with the writes of whoever has it.
type schema struct {
	store *sqlstore.Directory
	fault func(string) sqldb.Fault
}

// take returns an empty store.
func (s *schemas) take(t testing.TB, fault func(string) sqldb.Fault) (directory.Store, func()) {
	var one *schema
	select {
	case one = <-s.idle:
		if err := one.store.Empty(t.Context()); err != nil {
			t.Fatal(err)
		}
	default:
		one = &schema{}
		one.store = openDirectory(t, sqlstore.Options{
			URL: pgtest.Schema(t, s.server) + "&engine=" + s.engine, Keys: s.keys,
			Fault: func(write string) sqldb.Fault {
				if one.fault == nil { // while it is opened and emptied
					return sqldb.NoFault
				}
				return one.fault(write)
			},
		})
	}
	one.fault = fault
	return one.store, func() {
		one.fault = nil
		s.idle <- one
	}
}

// close closes all stores, of which none is in use any more.
func (s *schemas) close(t testing.TB) {
	close(s.idle)
	for one := range s.idle {
		closeDirectory(t, one.store)
	}
}

func TestStoreOnPostgres(t *testing.T) {
	server := pgtest.Start(t)
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			s := &schemas{server: server, engine: engine, keys: newKeys(t), idle: make(chan *schema, 100)}
			t.Cleanup(func() { s.close(t) })
			storetest.Directory(t, 2, s.take)
		})
	}
}

// TestBrokenConnections lets the connection break before and after the commit of
// every write.
func TestBrokenConnections(t *testing.T) {
	server := pgtest.Start(t)
	cutter, keys := pgtest.NewCutter(t, server), newKeys(t)
	storetest.Connections(t, cutter, func(t testing.TB, fault func(string) sqldb.Fault) (directory.Store, func()) {
		d := openDirectory(t, sqlstore.Options{URL: cutter.URL(t, pgtest.Schema(t, server)), Keys: keys, Fault: fault})
		return d, func() { closeDirectory(t, d) }
	})
}

// TestReleaseBefore runs the suite on a database that a newer release has
// migrated by a step which only adds: this release goes on working beside it.
func TestReleaseBefore(t *testing.T) {
	server, keys := pgtest.Start(t), newKeys(t)
	next := fstest.MapFS{}
	files, err := filepath.Glob("schema/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	more, err := filepath.Glob("schema/postgres/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(slices.Clone(files), more...) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		next[strings.TrimPrefix(name, "schema/")] = &fstest.MapFile{Data: b}
	}
	next[fmt.Sprintf("%04d.sql", len(files)+1)] = &fstest.MapFile{Data: fmt.Appendf(nil, "-- oldest: %d\n"+
		"ALTER TABLE mappings ADD COLUMN since BIGINT NOT NULL DEFAULT 0;\n"+
		"ALTER TABLE nonces ADD COLUMN kind SMALLINT;\n"+
		"CREATE INDEX mappings_since ON mappings (since);\n"+
		"CREATE TABLE more (id BYTEA NOT NULL PRIMARY KEY);\n", len(files))}
	storetest.Directory(t, 0, func(t testing.TB, fault func(string) sqldb.Fault) (directory.Store, func()) {
		u := pgtest.Schema(t, server)
		newer, err := sqldb.Open(t.Context(), sqldb.Config{Options: sqldb.Options{URL: u}, Role: "directory", Schema: next})
		if err != nil {
			t.Fatal(err)
		}
		if err := newer.Close(); err != nil {
			t.Fatal(err)
		}
		d := openDirectory(t, sqlstore.Options{URL: u, Keys: keys, Fault: fault})
		return d, func() { closeDirectory(t, d) }
	})
}

// TestFirstKeysWin starts processes with different keys on an empty database at
// once: it is one's, and the others are turned away.
func TestFirstKeysWin(t *testing.T) {
	server := pgtest.Start(t)
	for range 3 {
		u := pgtest.Schema(t, server)
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			keys := newKeys(t)
			wg.Go(func() {
				d, err := sqlstore.OpenDirectory(t.Context(), sqlstore.Options{URL: u, Keys: keys})
				switch {
				case err == nil:
					won.Add(1)
					closeDirectory(t, d)
				case errors.Is(err, vault.ErrKeys):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 3 {
			t.Errorf("%d won, %d lost", won.Load(), lost.Load())
		}
	}
}
