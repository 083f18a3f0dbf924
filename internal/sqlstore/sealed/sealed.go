// Package sealed is a database with one table of sealed rows, of which the
// stores of a DP and of a prover are made: it brings together package sqldb,
// which makes writes durable, and package vault, which seals.
//
// It promises that a database is opened with its own keys only, and that no row
// is left that they do not open: labels made with another row key would find
// nobody, and "nobody" is an answer that people believe.
package sealed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
)

// ErrCorrupt is returned for a row that is not what a store writes.
var ErrCorrupt = errors.New("sealed: a row is damaged; run fsck, and restore a backup")

// Options open a database.
type Options struct {
	Path string // of the database file, or
	URL  string // of a PostgreSQL database; see [sqldb.Options], also for these:
	Keys vault.Keys

	Readers, Queue int

	// Fault is a seam for tests, nil in production. It is called once for each
	// write with the method's name in lower case, from the caller's goroutine.
	Fault func(write string) sqldb.Fault
}

// Schema is what a role keeps.
type Schema struct {
	Role  string
	Steps fs.FS // see [sqldb.Config]
	// Table has the sealed rows. Its columns id, label, generation, key and body
	// are those of [vault.Place] and [vault.Sealed]; id is its primary key.
	Table string
	Also  []string // further ones
}

// Store is an open database.
type Store struct {
	DB     *sqldb.DB
	Vault  *vault.Vault
	tables []string
}

// Names in the table meta. The check of generation N is metaKEK followed by N.
const (
	metaRow = "row-key"
	metaKEK = "kek-"
)

func kekName(n uint32) string { return metaKEK + strconv.FormatUint(uint64(n), 10) }

// Open opens a database, and makes it if there is none. ctx bounds the opening
// alone.
func Open(ctx context.Context, o Options, schema Schema) (*Store, error) {
	v, err := vault.New(o.Keys)
	if err != nil {
		return nil, err
	}
	row, err := v.RowCheck()
	if err != nil {
		return nil, err
	}
	have := make(map[string]string)
	db, err := sqldb.Open(ctx, sqldb.Config{
		Options: sqldb.Options{Path: o.Path, URL: o.URL, Readers: o.Readers, Queue: o.Queue, Fault: o.Fault},
		Role:    schema.Role, Schema: schema.Steps,
		Accept: func(meta map[string]string) error {
			have = meta
			return acceptKeys(v, row, meta)
		},
	})
	if err != nil {
		return nil, err
	}
	s := &Store{DB: db, Vault: v, tables: append([]string{schema.Table}, schema.Also...)}
	current := kekName(v.Current())
	if have[metaRow] == "" || have[current] == "" {
		err = db.Write(ctx, "note keys", func(ctx context.Context, t *sqldb.Tx) error {
			// Another process may have noted its own since.
			meta := make(map[string]string)
			if err := t.Each(ctx, func(r sqldb.Row) error {
				var name, value string
				err := r.Scan(&name, &value)
				meta[name] = value
				return err
			}, "SELECT name, value FROM meta"); err != nil {
				return err
			}
			if err := acceptKeys(v, row, meta); err != nil {
				return err
			}
			return errors.Join(t.SetMeta(ctx, metaRow, row), t.SetMeta(ctx, current, v.Checks()[v.Current()]))
		})
	}
	if err == nil {
		err = s.checkGenerations(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// acceptKeys refuses keys whose checks are not those that the database keeps.
func acceptKeys(v *vault.Vault, row string, meta map[string]string) error {
	if kept := meta[metaRow]; kept != "" && kept != row {
		return fmt.Errorf("%w: %s", vault.ErrKeys, metaRow)
	}
	for n, check := range v.Checks() {
		if kept := meta[kekName(n)]; kept != "" && kept != check {
			return fmt.Errorf("%w: %s", vault.ErrKeys, kekName(n))
		}
	}
	return nil
}

// Close finishes the writes that wait and closes the database.
func (s *Store) Close() error { return s.DB.Close() }

// Generations returns the key-encryption generations that rows are wrapped
// under, lowest first. A key that is neither among them nor the current one is
// needed for backups alone.
func (s *Store) Generations(ctx context.Context) ([]uint32, error) {
	var used []uint32
	for _, table := range s.tables {
		some, err := s.generations(ctx, table)
		if err != nil {
			return nil, err
		}
		used = append(used, some...)
	}
	slices.Sort(used)
	return slices.Compact(used), nil
}

func (s *Store) generations(ctx context.Context, table string) ([]uint32, error) {
	var used []uint32
	// From one to the next over the index: looking at every row would take long.
	for after, more := int64(-1), true; more; {
		err := s.DB.Each(ctx, func(r sqldb.Row) error {
			var next *int64
			if err := r.Scan(&next); err != nil {
				return err
			}
			if more = next != nil; more {
				used, after = append(used, uint32(*next)), *next
			}
			return nil
		}, "SELECT min(generation) FROM "+table+" WHERE generation > $1", after)
		if err != nil {
			return nil, fmt.Errorf("sealed: generations: %w", err)
		}
	}
	return used, nil
}

// checkGenerations refuses a database with rows that no key here opens.
func (s *Store) checkGenerations(ctx context.Context) error {
	used, err := s.Generations(ctx)
	if err != nil {
		return err
	}
	if missing := slices.DeleteFunc(used, s.Vault.Has); len(missing) != 0 {
		return fmt.Errorf("%w: %d", vault.ErrGeneration, missing)
	}
	return nil
}

// Rewrap wraps the data keys of at most max rows that are under another
// generation under the current one, and returns how many it looked at; fewer
// than max means that none is left. What is sealed under the data keys stays.
func (s *Store) Rewrap(ctx context.Context, max int) (int, error) {
	looked := 0
	for _, table := range s.tables {
		n, err := s.rewrap(ctx, table, max-looked)
		if looked += n; err != nil || looked >= max {
			return looked, err
		}
	}
	return looked, nil
}

func (s *Store) rewrap(ctx context.Context, table string, max int) (int, error) {
	if max <= 0 {
		return 0, nil
	}
	type wrapped struct {
		id       []byte
		old, new vault.Sealed
	}
	var rows []wrapped
	err := s.DB.Each(ctx, func(r sqldb.Row) error {
		var one wrapped
		var label []byte
		if err := r.Scan(&one.id, &label, &one.old.Generation, &one.old.Key); err != nil {
			return err
		}
		if len(label) != vault.LabelSize {
			return fmt.Errorf("%w: label", ErrCorrupt)
		}
		var err error
		one.new, err = s.Vault.Rewrap(vault.Place{Table: table, Label: vault.Label(label), ID: one.id}, one.old)
		rows = append(rows, one)
		return err
	}, "SELECT id, label, generation, key FROM "+table+" WHERE generation < $1 OR generation > $1 LIMIT $2", s.Vault.Current(), max)
	if err != nil {
		return 0, fmt.Errorf("sealed: rewrap: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	err = s.DB.Write(ctx, "rewrap", func(ctx context.Context, t *sqldb.Tx) error {
		for _, r := range rows {
			// A row that was written meanwhile has another key, and is passed over.
			err := t.Exec(ctx, "UPDATE "+table+" SET generation = $1, key = $2 WHERE id = $3 AND key = $4",
				r.new.Generation, r.new.Key, r.id, r.old.Key)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return len(rows), err
}
