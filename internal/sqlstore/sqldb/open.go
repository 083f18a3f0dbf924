package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// product stands before the role in the table meta.
const product = "whither "

// Names in the table meta that are this package's own.
const (
	metaRole   = "role"
	metaSchema = "schema"
	metaOldest = "oldest" // schema that a release must know to work on this one
)

const setMeta = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

// SetMeta leaves a note in the database for Config.Accept.
func (t *Tx) SetMeta(ctx context.Context, name, value string) error {
	return t.Exec(ctx, setMeta, name, value)
}

// DropMeta removes a note.
func (t *Tx) DropMeta(ctx context.Context, name string) error {
	return t.Exec(ctx, "DELETE FROM meta WHERE name = $1", name)
}

// prepare looks at the database before it changes anything, and migrates it.
func (d *DB) prepare(ctx context.Context, c Config) (*sql.Conn, error) {
	steps, err := readSteps(c.Schema, d.dialect.steps)
	if err != nil {
		return nil, err
	}
	conn, err := d.writers.Conn(ctx)
	if err == nil {
		if err = d.ready(ctx, conn, c, steps); err == nil {
			return conn, nil
		}
		err = errors.Join(err, conn.Close())
	}
	switch {
	case d.dialect.foreign(err):
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	case d.dialect.lost(err):
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	default:
		return nil, err
	}
}

func (d *DB) ready(ctx context.Context, conn *sql.Conn, c Config, steps []step) error {
	release, err := d.dialect.alone(ctx, conn)
	if err != nil {
		return err
	}
	defer release()
	have, err := d.identify(ctx, conn, c, len(steps))
	if err == nil {
		err = d.dialect.prepare(ctx, conn)
	}
	if err != nil {
		return err
	}
	return d.migrate(ctx, conn, c.Role, have, steps)
}

// identify returns the number of the database's schema, 0 if it is empty, and
// refuses a database that is not this role's or that this release is too old for.
func (d *DB) identify(ctx context.Context, c *sql.Conn, config Config, known int) (int, error) {
	var tables int
	if err := c.QueryRowContext(ctx, d.dialect.tables).Scan(&tables); err != nil {
		return 0, fmt.Errorf("sqldb: read the database: %w", err)
	}
	meta, have := map[string]string{}, 0
	if tables != 0 {
		var err error
		if meta, err = readMeta(ctx, c); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrForeign, err)
		}
		if want := product + config.Role; meta[metaRole] != want {
			return 0, fmt.Errorf("%w: it says %q, not %q", ErrForeign, meta[metaRole], want)
		}
		if have, err = strconv.Atoi(meta[metaSchema]); err != nil || have < 1 {
			return 0, fmt.Errorf("%w: schema number %q", ErrForeign, meta[metaSchema])
		}
	}
	if oldest, err := strconv.Atoi(meta[metaOldest]); have > known && (err != nil || oldest > known) {
		return 0, fmt.Errorf("%w: its schema is %d, this release knows %d", ErrNewer, have, known)
	}
	if config.Accept != nil {
		return have, config.Accept(meta)
	}
	return have, nil
}

func readMeta(ctx context.Context, c *sql.Conn) (map[string]string, error) {
	rows, err := c.QueryContext(ctx, "SELECT name, value FROM meta")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	meta := make(map[string]string)
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		meta[name] = value
	}
	return meta, rows.Err()
}

// step is one file of a schema.
type step struct {
	script string
	// oldest is the lowest schema that a release must know to go on working when
	// this step was made.
	oldest int
}

// migrate makes the steps that the database lacks, each in a transaction that
// also notes its number. A crash leaves a database from which opening goes on.
func (d *DB) migrate(ctx context.Context, c *sql.Conn, role string, have int, steps []step) error {
	for i := have; i < len(steps); i++ {
		script := []string{d.dialect.begin}
		if i == 0 {
			script = append(script,
				"CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
				"INSERT INTO meta (name, value) VALUES ('"+metaRole+"', '"+product+role+"'), ('"+metaSchema+"', '0')")
		} else if d.dialect.turn != "" { // those who write wait here, and not half way
			script = append(script, d.dialect.turn)
		}
		script = append(script, steps[i].script,
			"UPDATE meta SET value = '"+strconv.Itoa(i+1)+"' WHERE name = '"+metaSchema+"'",
			"INSERT INTO meta (name, value) VALUES ('"+metaOldest+"', '"+strconv.Itoa(steps[i].oldest)+"')"+
				" ON CONFLICT (name) DO UPDATE SET value = excluded.value",
			"COMMIT")
		for _, s := range script {
			if _, err := c.ExecContext(ctx, s); err != nil {
				_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // the engine may have done so already
				return fmt.Errorf("sqldb: migrate to schema %d: %s: %w", i+1, strings.SplitN(s, "\n", 2)[0], err)
			}
		}
	}
	return nil
}

// readSteps returns the steps of a schema in order, each in the words of a
// dialect if it has a file in that dialect's folder.
func readSteps(schema fs.FS, dialect string) ([]step, error) {
	names, err := readNames(schema, ".")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("sqldb: schema: no file")
	}
	own, err := readNames(schema, stepsPostgres)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range own {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("sqldb: schema: %s/%s stands for no file", stepsPostgres, name)
		}
	}
	steps := make([]step, len(names))
	for i, name := range names {
		if want := fmt.Sprintf("%04d.sql", i+1); name != want {
			return nil, fmt.Errorf("sqldb: schema: found %s, want %s", name, want)
		}
		if dialect != "" && slices.Contains(own, name) {
			name = dialect + "/" + name
		}
		b, err := fs.ReadFile(schema, name)
		if err != nil {
			return nil, fmt.Errorf("sqldb: schema: %w", err)
		}
		if steps[i], err = readStep(string(b), i+1); err != nil {
			return nil, fmt.Errorf("sqldb: schema: %s: %w", name, err)
		}
	}
	return steps, nil
}

// readNames lists the files of a folder, sorted.
func readNames(schema fs.FS, folder string) ([]string, error) {
	entries, err := fs.ReadDir(schema, folder)
	if err != nil {
		return nil, fmt.Errorf("sqldb: schema: %w", err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() || e.Name() != stepsPostgres {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// oldestMark begins a step which only adds, such that releases that know no more
// than the schema with that number go on working beside newer ones.
const oldestMark = "-- oldest: "

func readStep(script string, number int) (step, error) {
	s := step{script: script, oldest: number}
	if rest, ok := strings.CutPrefix(script, oldestMark); ok {
		var err error
		if s.oldest, err = strconv.Atoi(strings.SplitN(rest, "\n", 2)[0]); err != nil || s.oldest < 1 || s.oldest > number {
			return step{}, fmt.Errorf("%q names no schema up to %d", oldestMark, number)
		}
	}
	return s, nil
}
