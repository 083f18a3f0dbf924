package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whither/internal/pgserver"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/pgtest"
)

func TestPostgres(t *testing.T) {
	server := pgtest.Start(t)
	for _, engine := range []string{"postgres", "distributed"} {
		all := everywhere()
		all["ManyOpenAtOnce"] = manyOpenAtOnce
		for name, test := range all {
			t.Run(engine+"/"+name, func(t *testing.T) {
				test(t, sqldb.Options{URL: pgtest.Schema(t, server) + "&engine=" + engine})
			})
		}
	}
}

func TestURLs(t *testing.T) {
	const verified = "?sslmode=verify-full"
	for raw, want := range map[string]string{
		"mysql://db.example/x": "want postgres://", "dp.db": "want postgres://", "postgres://%zz": "unusable URL",
		"postgres://whither:secret@db.example/x" + verified:           "passfile",
		"postgres://whither@db.example/x?password=secret":             "passfile",
		"postgres://whither@db.example/x":                             "sslmode=verify-full",
		"postgres://whither@db.example/x?sslmode=require":             "sslmode=verify-full",
		"postgres://whither@db.example/x?sslmode=disable":             "sslmode=verify-full",
		"postgres://whither@127.0.0.1,db.example/x":                   "sslmode=verify-full",
		"postgres://whither@localhost/x?engine=oracle":                "engine is",
		"postgres://whither@localhost/x?passfile=&sslmode=no":         "sslmode",
		"postgres://whither@localhost/x?passfile=/nowhere/pgpass":     "password file",
		"postgres://whither@127.0.0.1:1/x?connect_timeout=2":          "cannot be reached",
		"postgres://whither@no.invalid/x" + verified:                  "cannot be reached",
		"postgres:///x?host=/nowhere/at/all&connect_timeout=2&user=x": "cannot be reached",
	} {
		d, err := sqldb.Open(t.Context(), sqldb.Config{Options: sqldb.Options{URL: raw}, Role: "test", Schema: schema()})
		if err == nil {
			t.Errorf("%s: opened", raw)
			closed(t, d)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

// TestServersOfNoUse opens databases on which nothing can be kept.
func TestServersOfNoUse(t *testing.T) {
	primary := pgtest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	u := pgtest.Schema(t, primary)
	closed(t, open(t, config(sqldb.Options{URL: u}, schema())))
	schemaName := u[strings.Index(u, "test_"):]
	standby, err := pgserver.Start(ctx, pgserver.Config{Primary: primary, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	refused := func(what, url string, want error) {
		t.Helper()
		if _, err := sqldb.Open(ctx, config(sqldb.Options{URL: url}, schema())); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	refused("a standby", pgserver.URL(schemaName, standby), sqldb.ErrReadOnly)
	closed(t, open(t, config(sqldb.Options{URL: pgserver.URL(schemaName, standby, primary)}, schema()))) // it finds the primary
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	refused("without fsync", pgserver.URL(schemaName, standby), sqldb.ErrUnsafe)
	if _, err := primary.SQL(ctx, "ALTER ROLE whither SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	refused("a role that only reads", u, sqldb.ErrReadOnly)
	refused("no schema of that name", pgserver.URL("nowhere", primary), sqldb.ErrReadOnly)
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	refused("a dead server", u, sqldb.ErrUnreachable)
}

// TestWaitForStandbyCancelled has somebody cancel a commit's wait for a standby
// that is not there: PostgreSQL then answers with a warning that it is committed,
// here. That is no acknowledgement.
func TestWaitForStandbyCancelled(t *testing.T) {
	server := pgtest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d := open(t, config(sqldb.Options{URL: pgtest.Schema(t, server)}, schema()))
	defer closed(t, d)
	standbys := func(names string) {
		t.Helper()
		if _, err := server.SQL(ctx, "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'"); err != nil {
			t.Fatal(err)
		}
		if _, err := server.SQL(ctx, "SELECT pg_reload_conf()"); err != nil {
			t.Fatal(err)
		}
	}
	standbys("*")
	defer standbys("") // before it is closed
	time.Sleep(100 * time.Millisecond)
	written := make(chan error, 1)
	go func() { written <- d.Write(ctx, "insert", insert(1)) }()
	for n := "0"; n != "1"; {
		var err error
		if n, err = server.SQL(ctx, "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-written; !errors.Is(err, sqldb.ErrUncertain) {
		t.Errorf("%v, want %v", err, sqldb.ErrUncertain)
	}
}

// TestManyProcessesTakeTurns has several processes read and write one row: no
// update is lost.
func TestManyProcessesTakeTurns(t *testing.T) {
	server := pgtest.Start(t)
	for _, engine := range []string{"postgres", "distributed"} {
		t.Run(engine, func(t *testing.T) {
			u := pgtest.Schema(t, server) + "&engine=" + engine
			steps := schema("CREATE TABLE total (one BIGINT PRIMARY KEY, n BIGINT NOT NULL); INSERT INTO total VALUES (1, 0)")
			const processes, writes = 4, 50
			var wg sync.WaitGroup
			var all []*sqldb.DB
			for range processes {
				all = append(all, open(t, config(sqldb.Options{URL: u}, steps)))
			}
			for p, d := range all {
				wg.Go(func() {
					for i := range writes {
						// Reads the sum, and writes what follows from it: lost updates show.
						err := d.Write(t.Context(), "add", func(ctx context.Context, tx *sqldb.Tx) error {
							var n int64
							if err := tx.Each(ctx, func(r sqldb.Row) error { return r.Scan(&n) }, "SELECT n FROM total"); err != nil {
								return err
							}
							if err := insert(p*writes+i)(ctx, tx); err != nil {
								return err
							}
							return tx.Exec(ctx, "UPDATE total SET n = $1", n+1)
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			var n int
			err := all[0].Each(t.Context(), func(r sqldb.Row) error { return r.Scan(&n) }, "SELECT n FROM total")
			if rows := len(keys(t, all[0])); err != nil || n != processes*writes || rows != n {
				t.Error(fmt.Sprint(n, " counted, ", rows, " rows, ", err))
			}
			for _, d := range all {
				closed(t, d)
			}
		})
	}
}

func TestLocate(t *testing.T) {
	for setting, want := range map[string]sqldb.Options{
		"":                         {Path: "/srv/dp/dp.db"},
		"file:other.db":            {Path: "/srv/dp/other.db"},
		"file:/var/dp.db":          {Path: "/var/dp.db"},
		"postgres://u@localhost/x": {URL: "postgres://u@localhost/x"},
		"postgres://u@db.example/x?passfile=keys/pgpass":           {URL: "postgres://u@db.example/x?passfile=%2Fsrv%2Fdp%2Fkeys%2Fpgpass"},
		"postgres://u@db.example/x?passfile=/k&sslrootcert=ca.pem": {URL: "postgres://u@db.example/x?passfile=%2Fk&sslrootcert=%2Fsrv%2Fdp%2Fca.pem"},
		"postgres://u@db.example/x?sslmode=x&sslrootcert=system":   {URL: "postgres://u@db.example/x?sslmode=x&sslrootcert=system"},
		"file:": {}, "file:///dp.db": {}, "dp.db": {}, "mysql://x": {}, "postgres://%": {},
	} {
		got, err := sqldb.Locate(setting, "/srv/dp", "dp.db")
		if (err != nil) != (want.Path == "" && want.URL == "") || got.Path != want.Path || got.URL != want.URL {
			t.Errorf("%q: %+v, %v", setting, got, err)
		}
	}
}

// TestPasswordFile signs in with a password that stands in a file, which nobody
// else may read.
func TestPasswordFile(t *testing.T) {
	server := pgtest.Start(t)
	do := func(statements string) string {
		t.Helper()
		out, err := server.SQL(t.Context(), statements)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	do("CREATE ROLE guarded LOGIN PASSWORD 'open-sesame'; CREATE SCHEMA guarded AUTHORIZATION guarded")
	rules := do("SHOW hba_file")
	if err := os.WriteFile(rules, []byte("local all guarded scram-sha-256\nlocal all whither trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do("SELECT pg_reload_conf()")
	file := filepath.Join(t.TempDir(), "pgpass")
	at := sqldb.Options{URL: strings.Replace(pgserver.URL("guarded", server), "whither@", "guarded@", 1) + "&passfile=" + file}
	for _, c := range []struct {
		password string
		mode     os.FileMode
		want     error
	}{{"wrong-one", 0o600, sqldb.ErrUnreachable}, {"open-sesame", 0o644, sqldb.ErrURL}, {"open-sesame", 0o600, nil}} {
		if err := errors.Join(os.WriteFile(file, []byte("*:*:*:guarded:"+c.password+"\n"), 0o600), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		d, err := sqldb.Open(t.Context(), config(at, schema()))
		if !errors.Is(err, c.want) || (err != nil && strings.Contains(err.Error(), c.password)) {
			t.Errorf("%s, mode %o: %v, want %v", c.password, c.mode, err, c.want)
		}
		if err == nil {
			closed(t, d)
		}
	}
}

// TestTurnTakenBack has a process fall silent while it has the turn: the server
// takes it back after a quarter of a minute, and another one writes.
func TestTurnTakenBack(t *testing.T) {
	if os.Getenv("WHITHER_LONG") != "1" {
		t.Log("a shorter silence than the server's patience; WHITHER_LONG=1 is longer")
	}
	u := pgtest.Schema(t, pgtest.Start(t))
	silent, other := open(t, config(sqldb.Options{URL: u}, schema())), open(t, config(sqldb.Options{URL: u}, schema()))
	silence := 300 * time.Millisecond
	if os.Getenv("WHITHER_LONG") == "1" {
		silence = 25 * time.Second
	}
	var runs atomic.Int32
	has, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- silent.Write(t.Context(), "silent", func(ctx context.Context, tx *sqldb.Tx) error {
			if err := insert(1)(ctx, tx); err != nil {
				return err
			}
			if runs.Add(1) == 1 {
				close(has)
				time.Sleep(silence)
			}
			return nil
		})
	}()
	<-has
	began := time.Now()
	if err := other.Write(t.Context(), "other", insert(2)); err != nil {
		t.Error(err)
	}
	if waited := time.Since(began); waited > 22*time.Second || waited < min(silence/2, 10*time.Second) {
		t.Errorf("the other one waited %s", waited)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := keys(t, other); fmt.Sprint(got) != "[1 2]" {
		t.Errorf("%v after %d runs", got, runs.Load())
	}
	closed(t, silent)
	closed(t, other)
}
