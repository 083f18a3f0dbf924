// Package sqlstore keeps what the roles must not forget in SQL databases. Its
// spec is docs/spec/storage.md. Each role opens a database of its own, with
// only its own tables in it: [OpenDirectory] for a DP, [OpenProver] for a
// prover, [OpenMSP] for an MSP.
//
// Package sqldb below makes writes durable; package vault seals. This package
// knows what is stored, and promises that nothing about a person stands in a
// database in clear: a CSI is looked up by a label, which is an HMAC of it, and
// all else that is said about somebody is sealed.
//
// What it does not check: whether a mapping is true (package mapping, before),
// which one has precedence (package internal/dp/directory), and whether the
// whole file was put back to an older state.
//
// Times are milliseconds since 1970 in the database; lengths are bytes.
package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
)

// ErrCorrupt is returned for a row that is not what this package writes.
var ErrCorrupt = errors.New("sqlstore: a row is damaged; run fsck, and restore a backup")

// Keys open what a database holds; see [LoadKeys].
type Keys = vault.Keys

// Fault is what shall go wrong with a write in a test; see package sqldb.
type Fault = sqldb.Fault

// Options open a database.
type Options struct {
	Path string // of the database file; made with mode 0600 if it is not there
	Keys Keys   // not used by OpenMSP, whose database names nobody

	Readers int // connections that read; 0 means 4
	Queue   int // writes that wait before callers do; 0 means 256

	// Fault is a seam for tests, nil in production. It is called once for each
	// write with the method's name in lower case, from the caller's goroutine.
	Fault func(write string) Fault
}

// schemas holds a folder of numbered steps for each role.
//
//go:embed schema
var schemas embed.FS

func (o Options) config(role string) (sqldb.Config, error) {
	schema, err := fs.Sub(schemas, "schema/"+role)
	if err != nil {
		return sqldb.Config{}, fmt.Errorf("sqlstore: %w", err)
	}
	return sqldb.Config{Path: o.Path, Role: role, Schema: schema, Readers: o.Readers, Queue: o.Queue, Fault: o.Fault}, nil
}

// store is a database with sealed rows, of which each role's store is made.
type store struct {
	db    *sqldb.DB
	vault *vault.Vault
	table string // with the sealed rows: id, label, generation, key, body
}

// Names in the table meta. The check of generation N is metaKEK followed by N.
const (
	metaRow = "row-key"
	metaKEK = "kek-"
)

func kekName(n uint32) string { return metaKEK + strconv.FormatUint(uint64(n), 10) }

// open opens a database with sealed rows. Keys that are not its own are
// refused: labels made with another row key would find nobody, and "nobody" is
// an answer that people believe.
func open(ctx context.Context, o Options, role, table string) (store, error) {
	v, err := vault.New(o.Keys)
	if err != nil {
		return store{}, err
	}
	row, err := v.RowCheck()
	if err != nil {
		return store{}, err
	}
	c, err := o.config(role)
	if err != nil {
		return store{}, err
	}
	var have map[string]string
	c.Accept = func(meta map[string]string) error {
		have = meta
		return acceptKeys(v, row, meta)
	}
	s := store{vault: v, table: table}
	if s.db, err = sqldb.Open(ctx, c); err != nil {
		return store{}, err
	}
	current := kekName(v.Current())
	if have[metaRow] == "" || have[current] == "" {
		err = s.db.Write(ctx, "note keys", func(ctx context.Context, t *sqldb.Tx) error {
			return errors.Join(t.SetMeta(ctx, metaRow, row), t.SetMeta(ctx, current, v.Checks()[v.Current()]))
		})
	}
	if err == nil {
		err = s.checkGenerations(ctx)
	}
	if err != nil {
		return store{}, errors.Join(err, s.db.Close())
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
func (s store) Close() error { return s.db.Close() }

// Generations returns the key-encryption generations that rows are wrapped
// under, lowest first. Those that are not among them are not needed any more.
func (s store) Generations(ctx context.Context) ([]uint32, error) {
	var used []uint32
	// From one to the next over the index: looking at every row would take long.
	for after, more := int64(-1), true; more; {
		err := s.db.Each(ctx, func(r sqldb.Row) error {
			var next *int64
			if err := r.Scan(&next); err != nil {
				return err
			}
			if more = next != nil; more {
				used, after = append(used, uint32(*next)), *next //nolint:gosec // written from a uint32
			}
			return nil
		}, "SELECT min(generation) FROM "+s.table+" WHERE generation > $1", after)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: generations: %w", err)
		}
	}
	return used, nil
}

// checkGenerations refuses a database with rows that no key here opens.
func (s store) checkGenerations(ctx context.Context) error {
	used, err := s.Generations(ctx)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(used, s.vault.Has)
	if len(missing) == 0 {
		return nil
	}
	var names []string
	for _, n := range missing {
		names = append(names, kekFolder+"/"+strconv.FormatUint(uint64(n), 10)+kekSuffix)
	}
	return fmt.Errorf("%w: %s", vault.ErrGeneration, strings.Join(names, ", "))
}

// Rewrap wraps the data keys of at most max rows that are under another
// generation under the current one, and returns how many it has wrapped; fewer
// than max means that none is left.
func (s store) Rewrap(ctx context.Context, max int) (int, error) {
	type wrapped struct {
		id       []byte
		old, new vault.Sealed
	}
	var rows []wrapped
	err := s.db.Each(ctx, func(r sqldb.Row) error {
		var one wrapped
		var label []byte
		if err := r.Scan(&one.id, &label, &one.old.Generation, &one.old.Key); err != nil {
			return err
		}
		if len(label) != vault.LabelSize {
			return fmt.Errorf("%w: label", ErrCorrupt)
		}
		var err error
		one.new, err = s.vault.Rewrap(vault.Place{Table: s.table, Label: vault.Label(label), ID: one.id}, one.old)
		rows = append(rows, one)
		return err
	}, "SELECT id, label, generation, key FROM "+s.table+" WHERE generation < $1 OR generation > $1 LIMIT $2", s.vault.Current(), max)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: rewrap: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	return len(rows), s.db.Write(ctx, "rewrap", func(ctx context.Context, t *sqldb.Tx) error {
		for _, r := range rows {
			// A row that was written meanwhile has another key, and is passed over.
			err := t.Exec(ctx, "UPDATE "+s.table+" SET generation = $1, key = $2 WHERE id = $3 AND key = $4",
				r.new.Generation, r.new.Key, r.id, r.old.Key)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// floor and ceil round to milliseconds. A clock is rounded down and an end up:
// nothing ends early.
func floor(t time.Time) int64 { return t.UnixMilli() }

func ceil(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
