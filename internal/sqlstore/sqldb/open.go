package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// product stands before the role in the table meta.
const product = "whither "

// Names in the table meta that are this package's own.
const (
	metaRole   = "role"
	metaSchema = "schema"
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
	steps, err := readSteps(c.Schema)
	if err != nil {
		return nil, err
	}
	conn, err := d.writers.Conn(ctx)
	var have int
	if err == nil {
		have, err = d.identify(ctx, conn, c, len(steps))
	}
	if err == nil {
		err = d.dialect.prepare(ctx, conn)
	}
	if err == nil {
		err = d.migrate(ctx, conn, c.Role, have, steps)
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
	if have > known {
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

// migrate makes the steps that the database lacks, each in a transaction that
// also notes its number. A crash leaves a database from which opening goes on.
func (d *DB) migrate(ctx context.Context, c *sql.Conn, role string, have int, steps []string) error {
	for i := have; i < len(steps); i++ {
		script := []string{d.dialect.begin}
		if i == 0 {
			script = append(script,
				"CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
				"INSERT INTO meta (name, value) VALUES ('"+metaRole+"', '"+product+role+"'), ('"+metaSchema+"', '0')")
		}
		script = append(script, steps[i],
			"UPDATE meta SET value = '"+strconv.Itoa(i+1)+"' WHERE name = '"+metaSchema+"'",
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

// readSteps returns the steps of a schema in order.
func readSteps(schema fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(schema, ".") // sorted by name
	if err != nil {
		return nil, fmt.Errorf("sqldb: schema: %w", err)
	}
	var steps []string
	for i, e := range entries {
		if want := fmt.Sprintf("%04d.sql", i+1); e.Name() != want {
			return nil, fmt.Errorf("sqldb: schema: found %s, want %s", e.Name(), want)
		}
		b, err := fs.ReadFile(schema, e.Name())
		if err != nil {
			return nil, fmt.Errorf("sqldb: schema: %w", err)
		}
		steps = append(steps, string(b))
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("sqldb: schema: no file")
	}
	return steps, nil
}
