package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
)

// schemas holds a folder for each role, and in it numbered files: NNNN.sql
// leads from schema NNNN−1 to NNNN. A released file never changes.
//
//go:embed schema
var schemas embed.FS

// db is one role's open database: connections, keys, and the goroutine that
// writes. The roles' stores are made of it.
type db struct {
	dialect dialect
	vault   *vault
	fault   func(string) Fault
	tables  []string // with sealed rows

	writers, readers *sql.DB
	writer           *writer
	reads            sync.Map // text of a statement → *sql.Stmt
}

// open opens and, if it is new or older, makes or migrates the database of a
// role. ctx bounds the opening.
func open(ctx context.Context, o Options, role string, tables ...string) (*db, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	v, err := newVault(o.Keys)
	if err != nil {
		return nil, err
	}
	d := &db{dialect: sqliteDialect, vault: v, fault: o.Fault, tables: tables}
	if d.writers, d.readers, err = d.dialect.open(o); err != nil {
		return nil, err
	}
	conn, err := d.prepare(ctx, role)
	if err != nil {
		return nil, errors.Join(err, d.readers.Close(), d.writers.Close())
	}
	d.writer = startWriter(d.dialect, conn, o.Queue)
	return d, nil
}

// prepare looks at the database before it changes anything, migrates it, and
// checks that the keys are its own.
func (d *db) prepare(ctx context.Context, role string) (*sql.Conn, error) {
	conn, err := d.writers.Conn(ctx)
	if err == nil {
		err = d.identify(ctx, conn, role)
	}
	if err == nil {
		err = d.dialect.prepare(ctx, conn)
	}
	if err == nil {
		err = d.migrate(ctx, conn, role)
	}
	if err == nil {
		err = d.checkKeys(ctx, conn)
	}
	switch {
	case err == nil:
		return conn, nil
	case d.dialect.foreign(err):
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	default:
		return nil, err
	}
}

// close finishes the writes that wait and closes the connections.
func (d *db) close() error {
	err := d.writer.close()
	d.reads.Range(func(_, s any) bool {
		err = errors.Join(err, s.(*sql.Stmt).Close()) //nolint:errcheck // reads holds nothing else
		return true
	})
	if err = errors.Join(err, d.readers.Close(), d.writers.Close()); err != nil {
		return fmt.Errorf("sqlstore: close: %w", err)
	}
	return nil
}

// write makes a write durable; name is that of the method, for Options.Fault.
func (d *db) write(ctx context.Context, name string, work func(context.Context, *tx) error) error {
	fault := NoFault
	if d.fault != nil {
		fault = d.fault(name)
	}
	if fault == FailBefore {
		return fmt.Errorf("%w: before %s", ErrInjected, name)
	}
	if err := d.writer.do(ctx, fault == RunTwice, work); err != nil {
		return fmt.Errorf("sqlstore: %s: %w", name, err)
	}
	if fault == FailAfter {
		return fmt.Errorf("%w: after %s", ErrInjected, name)
	}
	return nil
}

// read returns a statement for the reading connections, prepared once.
func (d *db) read(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := d.reads.Load(query); ok {
		return s.(*sql.Stmt), nil //nolint:errcheck // reads holds nothing else
	}
	s, err := d.readers.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: prepare: %w", err)
	}
	if first, raced := d.reads.LoadOrStore(query, s); raced {
		return first.(*sql.Stmt), s.Close() //nolint:errcheck // reads holds nothing else
	}
	return s, nil
}

// product stands before the role in the table meta.
const product = "whither "

// Names in the table meta. The check of generation N is metaKEK followed by N.
const (
	metaRole   = "role"
	metaSchema = "schema"
	metaRow    = "row-key"
	metaKEK    = "kek-"
)

// schema returns the number of the database's schema, 0 if it is empty.
func (d *db) schema(ctx context.Context, c *sql.Conn) (int, error) {
	empty, err := d.empty(ctx, c)
	if err != nil || empty {
		return 0, err
	}
	text, err := meta(ctx, c, metaSchema)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: schema number: %w", err)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: schema number %q", ErrForeign, text)
	}
	return n, nil
}

func (d *db) empty(ctx context.Context, c *sql.Conn) (bool, error) {
	var n int
	if err := c.QueryRowContext(ctx, d.dialect.tables).Scan(&n); err != nil {
		return false, fmt.Errorf("sqlstore: read the database: %w", err)
	}
	return n == 0, nil
}

// identify refuses a database that is neither empty nor of this role.
func (d *db) identify(ctx context.Context, c *sql.Conn, role string) error {
	empty, err := d.empty(ctx, c)
	if err != nil || empty {
		return err
	}
	found, err := meta(ctx, c, metaRole)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if want := product + role; found != want {
		return fmt.Errorf("%w: it says %q, not %q", ErrForeign, found, want)
	}
	return nil
}

// migrate brings the schema up to date, one transaction for each step. A crash
// between two steps leaves a database from which opening goes on.
func (d *db) migrate(ctx context.Context, c *sql.Conn, role string) error {
	steps, err := migrations(role)
	if err != nil {
		return err
	}
	have, err := d.schema(ctx, c)
	if err != nil {
		return err
	}
	if have > len(steps) {
		return fmt.Errorf("%w: its schema is %d, this release knows %d", ErrNewer, have, len(steps))
	}
	for i := have; i < len(steps); i++ {
		script := []string{d.dialect.begin}
		if i == 0 {
			script = append(script, "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
				"INSERT INTO meta (name, value) VALUES ('"+metaRole+"', '"+product+role+"')")
		}
		script = append(script, steps[i],
			"INSERT INTO meta (name, value) VALUES ('"+metaSchema+"', '"+strconv.Itoa(i+1)+"') ON CONFLICT (name) DO UPDATE SET value = excluded.value",
			"COMMIT")
		if err := run(ctx, c, script); err != nil {
			return fmt.Errorf("sqlstore: migrate to schema %d: %w", i+1, err)
		}
	}
	return nil
}

// migrations returns a role's steps in order.
func migrations(role string) ([]string, error) {
	folder := "schema/" + role
	entries, err := schemas.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	var steps []string
	for i, e := range entries { // sorted by name
		if want := fmt.Sprintf("%04d.sql", i+1); e.Name() != want {
			return nil, fmt.Errorf("sqlstore: schema folder of %s holds %s, want %s", role, e.Name(), want)
		}
		b, err := fs.ReadFile(schemas, folder+"/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("sqlstore: %w", err)
		}
		steps = append(steps, string(b))
	}
	return steps, nil
}

// checkKeys refuses keys that are not those of the database, and notes the
// current generation. Labels made with another row key would find nobody, and
// "nobody" is an answer that people believe.
func (d *db) checkKeys(ctx context.Context, c *sql.Conn) error {
	row, err := check(d.vault.row, useRowCheck)
	if err != nil {
		return err
	}
	want := map[string]string{metaRow: row}
	for n, value := range d.vault.checks {
		want[kekName(n)] = value
	}
	have, err := metaAll(ctx, c)
	if err != nil {
		return err
	}
	for name, value := range want {
		if found, ok := have[name]; ok && found != value {
			return fmt.Errorf("%w: %s is another one", ErrKeys, name)
		}
	}
	for _, table := range d.tables {
		if err := d.checkGenerations(ctx, c, table); err != nil {
			return err
		}
	}
	for _, name := range []string{metaRow, kekName(d.vault.current)} {
		_, err := c.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, want[name])
		if err != nil {
			return fmt.Errorf("sqlstore: note the keys: %w", err)
		}
	}
	return nil
}

func kekName(n uint32) string { return metaKEK + strconv.FormatUint(uint64(n), 10) }

// checkGenerations refuses a database with rows that no key here opens.
func (d *db) checkGenerations(ctx context.Context, c *sql.Conn, table string) error {
	used, err := generationsOf(ctx, c, table)
	if err != nil {
		return err
	}
	for _, n := range used {
		if d.vault.wraps[n] == nil {
			return fmt.Errorf("%w: %s%d%s", ErrGeneration, kekFolder+"/", n, kekSuffix)
		}
	}
	return nil
}

// generationsOf lists the generations of a table's rows, stepping over the
// index from one to the next: a look at every row would take long.
func generationsOf(ctx context.Context, c *sql.Conn, table string) ([]uint32, error) {
	var used []uint32
	for after := int64(-1); ; {
		var next sql.NullInt64
		err := c.QueryRowContext(ctx, "SELECT min(generation) FROM "+table+" WHERE generation > $1", after).Scan(&next)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: generations: %w", err)
		}
		if !next.Valid {
			return used, nil
		}
		used, after = append(used, uint32(next.Int64)), next.Int64 //nolint:gosec // written from a uint32
	}
}

func meta(ctx context.Context, c *sql.Conn, name string) (string, error) {
	var value string
	err := c.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = $1", name).Scan(&value)
	return value, err
}

func metaAll(ctx context.Context, c *sql.Conn) (map[string]string, error) {
	rows, err := c.QueryContext(ctx, "SELECT name, value FROM meta")
	if err != nil {
		return nil, fmt.Errorf("sqlstore: meta: %w", err)
	}
	defer rows.Close()
	all := make(map[string]string)
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("sqlstore: meta: %w", err)
		}
		all[name] = value
	}
	return all, rows.Err()
}

// run executes statements in order, and rolls back when one fails.
func run(ctx context.Context, c *sql.Conn, script []string) error {
	for _, s := range script {
		if _, err := c.ExecContext(ctx, s); err != nil {
			_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // may have happened already
			return fmt.Errorf("%s: %w", strings.SplitN(s, "\n", 2)[0], err)
		}
	}
	return nil
}
