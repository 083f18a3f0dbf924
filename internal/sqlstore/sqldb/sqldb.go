// Package sqldb opens an SQL database for one role, migrates it, and makes
// writes durable in groups. It knows engines and transactions, and nothing of
// what is stored; the stores of the roles are in the package above.
//
// What it promises:
//
//   - A write that returned nil is durable, whatever crashes. One that returned
//     an error was made whole or not at all; if its context ended while it
//     waited, not at all.
//   - Writes happen one after the other. A read sees all writes that were
//     answered before it began.
//   - A database of another product, another role or a newer release is refused
//     before anything in it is changed.
//
// Engines differ in a [dialect], a handful of values. SQLite is embedded: a file,
// its write-ahead log beside it, one connection that writes and several that
// read without waiting for it. It needs a local file system. PostgreSQL is a
// server that several processes share; what they write still happens one after
// the other, over all of them.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// Errors.
var (
	ErrForeign = errors.New("sqldb: not a database of this role; give the path of the right one, nothing was changed")
	ErrNewer   = errors.New("sqldb: written by a newer release; run that release, or restore the backup from before the upgrade")
	ErrClosed  = errors.New("sqldb: closed")
	ErrURL     = errors.New("sqldb: unusable URL of a database")
	// ErrUnreachable comes where a server does not answer or turns us away.
	ErrUnreachable = errors.New("sqldb: the database cannot be reached; see that it runs, and that host, user and password file are right")
	ErrReadOnly    = errors.New("sqldb: the database is read-only; name its primary, or all its servers together with target_session_attrs=read-write")
	ErrUnsafe      = errors.New("sqldb: the database would lose in a power cut what it has acknowledged; turn its fsync on")
	// ErrUncertain comes where a connection broke while a write was committed.
	ErrUncertain = errors.New("sqldb: whether the write was made is unknown; make it again, which is safe")
	// ErrInjected is what a [Fault] lets a write return.
	ErrInjected = errors.New("sqldb: fault injected by a test")
)

// Options are the choices of whoever runs a role.
type Options struct {
	Path    string // of an SQLite file; made with mode 0600 if it is not there
	URL     string // of a PostgreSQL database, instead of Path: postgres://user@host/database?passfile=…
	Readers int    // connections that read; 0 means 4 to a file and 8 to a server
	Queue   int    // writes that wait before callers do; 0 means 256

	// Fault is a seam for tests, nil in production. It is called once for each
	// write with the write's name, from the caller's goroutine.
	Fault func(write string) Fault
}

// Config is what opening needs.
type Config struct {
	Options
	Role   string // that the database belongs to
	Schema fs.FS  // NNNN.sql leads from schema NNNN−1 to NNNN; a released file never changes

	// Accept judges the notes that the role left in the database (see
	// [Tx.SetMeta]), before anything is changed. A new database has none.
	Accept func(meta map[string]string) error
}

// Fault is what shall go wrong with a write in a test.
type Fault uint8

// The faults.
const (
	NoFault Fault = iota
	// FailBefore returns ErrInjected and writes nothing.
	FailBefore
	// FailAfter writes durably and returns ErrInjected all the same, as when a
	// connection breaks between a commit and its answer.
	FailAfter
	// RunTwice runs the work, takes it back and runs it again, as when an engine
	// asks for a repetition (SQLSTATE 40001).
	RunTwice
)

// Milliseconds rounds a clock down to what is stored, CeilMilliseconds an end
// up: nothing ends early.
func Milliseconds(t time.Time) int64 { return t.UnixMilli() }

// CeilMilliseconds rounds up.
func CeilMilliseconds(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// Time is what was stored as milliseconds, in UTC.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect dialect
	fault   func(string) Fault

	writers, readers *sql.DB
	writer           *writer
	reads            sync.Map // text of a statement → *sql.Stmt
}

// Open opens a role's database, and makes or migrates it where needed. ctx
// bounds the opening alone.
func Open(ctx context.Context, c Config) (*DB, error) {
	if (c.Path == "") == (c.URL == "") || c.Readers < 0 || c.Queue < 0 {
		return nil, fmt.Errorf("sqldb: path %q or URL, %d readers, queue of %d", c.Path, c.Readers, c.Queue)
	}
	d := &DB{dialect: sqlite, fault: c.Fault}
	var err error
	if c.URL != "" {
		if d.dialect, err = dialectOf(c.URL); err != nil {
			return nil, err
		}
	}
	if d.writers, d.readers, err = d.dialect.open(c); err != nil {
		return nil, err
	}
	conn, err := d.prepare(ctx, c)
	if err != nil {
		return nil, errors.Join(err, d.readers.Close(), d.writers.Close())
	}
	d.writer = startWriter(d.dialect, d.writers, conn, c.Queue)
	return d, nil
}

// Close finishes the writes that wait and closes the connections.
func (d *DB) Close() error {
	err := d.writer.close()
	if err = errors.Join(err, d.readers.Close(), d.writers.Close()); err != nil {
		return fmt.Errorf("sqldb: close: %w", err)
	}
	return nil
}

// Write has work made durably. name is for people and for Config.Fault.
func (d *DB) Write(ctx context.Context, name string, work Work) error {
	fault := NoFault
	if d.fault != nil {
		fault = d.fault(name)
	}
	if fault == FailBefore {
		return fmt.Errorf("%w: before %s", ErrInjected, name)
	}
	if err := d.writer.do(ctx, fault == RunTwice, work); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if fault == FailAfter {
		return fmt.Errorf("%w: after %s", ErrInjected, name)
	}
	return nil
}

// Tidy asks for the engine's housekeeping after the next write. A role asks for
// it together with its sweeping: what was deleted stands in the log of writes
// until then.
func (d *DB) Tidy() { d.writer.tidy.Store(true) }

// Each runs a query and hands each row to scan. One query sees one state. One
// whose connection breaks before the first row is run again over another.
func (d *DB) Each(ctx context.Context, scan func(Row) error, query string, args ...any) error {
	begun := false
	return d.insist(ctx, &begun, func() error {
		return d.each(ctx, func(r Row) error { begun = true; return scan(r) }, query, args)
	})
}

// insist runs read again over other connections as long as they break and it has
// not begun to hand something over.
func (d *DB) insist(ctx context.Context, begun *bool, read func() error) error {
	for n := 1; ; n++ {
		err := read()
		switch {
		case err == nil || ctx.Err() != nil || !d.dialect.lost(err):
			return err
		case *begun || n == maxRuns:
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		pause(ctx, n)
	}
}

func (d *DB) each(ctx context.Context, scan func(Row) error, query string, args []any) error {
	s, err := d.stmt(ctx, query)
	if err != nil {
		return err
	}
	return each(ctx, s, scan, args)
}

// View is one state of the database, as it was at the first query.
type View struct {
	db    *DB
	tx    *sql.Tx
	begun *bool     // set when something was handed over
	fresh *[]string // statements that are not prepared yet
}

// View calls look with one state of the database; again, if the connection
// breaks before a row was handed over.
func (d *DB) View(ctx context.Context, look func(View) error) error {
	begun, fresh := false, []string(nil)
	err := d.insist(ctx, &begun, func() error {
		t, err := d.readers.BeginTx(ctx, &d.dialect.view)
		if err != nil {
			return fmt.Errorf("sqldb: %w", err)
		}
		defer t.Rollback() // nothing was written
		return look(View{db: d, tx: t, begun: &begun, fresh: &fresh})
	})
	for _, query := range fresh { // for the next ones
		if _, ahead := d.stmt(ctx, query); ahead != nil { //nolint:sqlclosecheck // reads keeps it
			break // who needs it will see
		}
	}
	return err
}

// Each runs a query and hands each row to scan.
func (v View) Each(ctx context.Context, scan func(Row) error, query string, args ...any) error {
	take := func(r Row) error { *v.begun = true; return scan(r) }
	if s, ok := v.db.reads.Load(query); ok {
		return each(ctx, v.tx.StmtContext(ctx, s.(*sql.Stmt)), take, args) //nolint:errcheck // reads holds nothing else
	}
	// To prepare it for all takes a further connection, for which many views that
	// hold one each would wait for one another.
	*v.fresh = append(*v.fresh, query)
	s, err := v.tx.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = s.Close() }() // it ends with the transaction
	return each(ctx, s, take, args)
}

// Damage returns what the engine finds broken below the rows, nothing if all
// is well or it cannot be asked.
func (v View) Damage(ctx context.Context) ([]string, error) {
	if v.db.dialect.integrity == "" {
		return nil, nil
	}
	var found []string
	err := v.Each(ctx, func(r Row) error {
		var line string
		if err := r.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			found = append(found, line)
		}
		return nil
	}, v.db.dialect.integrity)
	return found, err
}

// stmt returns a statement for the reading connections, prepared once.
func (d *DB) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := d.reads.Load(query); ok {
		return s.(*sql.Stmt), nil //nolint:errcheck // reads holds nothing else
	}
	s, err := d.readers.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if first, raced := d.reads.LoadOrStore(query, s); raced {
		return first.(*sql.Stmt), s.Close() //nolint:errcheck,sqlclosecheck // reads holds nothing else; closed here
	}
	return s, nil
}
