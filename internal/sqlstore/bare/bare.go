// Package bare makes durable transactions of the shape that an admission has,
// and nothing else: the same statements on the same tables of a DP's database,
// with random bytes in them, each transaction by itself on a plain connection.
// No rule is looked at and nothing is sealed. Measurements hold the store
// against it; a database that it has written to is of no other use.
package bare

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"whither/internal/sqlstore/sqldb"
)

// DB is a database that has a DP's tables.
type DB struct {
	db         *sql.DB
	statements []*sql.Stmt
}

// statements are those of an admission, in order; see the store's Admit.
var statements = [...]string{
	"SELECT id FROM mappings WHERE label = $1 AND expires > $2",
	"INSERT INTO nonces (nonce, until) VALUES ($1, $2) ON CONFLICT (nonce) DO UPDATE SET until = excluded.until WHERE nonces.until <= $3",
	"SELECT 1 FROM mappings WHERE id = $1 UNION ALL SELECT 1 FROM tombstones WHERE id = $1",
	"INSERT INTO mappings (id, label, digest, until, expires, generation, key, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
	"UPDATE feed SET seq = seq + $1 RETURNING seq",
	"INSERT INTO changes (seq, kind, id, at) VALUES ($1, $2, $3, $4)",
}

// Open opens a database that a store has made and closed. With PostgreSQL up to
// so many transactions run at once; SQLite has one at a time.
func Open(ctx context.Context, at sqldb.Options, connections int) (*DB, error) {
	// The drivers are those that sqldb registers. The settings are the store's,
	// as far as they make writes durable.
	driver, name := "pgx", at.URL
	if at.Path != "" {
		path, err := filepath.Abs(at.Path)
		if err != nil {
			return nil, fmt.Errorf("bare: %w", err)
		}
		driver, connections = "sqlite", 1
		name = (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() +
			"?_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_pragma=cache_size(-32768)&_txlock=immediate"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	b := &DB{db: db}
	for _, text := range statements {
		s, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // Close does it
		if err != nil {
			return nil, errors.Join(fmt.Errorf("bare: %w", err), b.Close())
		}
		b.statements = append(b.statements, s)
	}
	return b, nil
}

// Close closes the database.
func (b *DB) Close() error {
	var err error
	for _, s := range b.statements {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, b.db.Close())
}

// Commit commits n admissions' worth of rows, whose bodies have so many bytes, in
// one transaction.
func (b *DB) Commit(ctx context.Context, n, body int) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	defer tx.Rollback() // after a commit there is nothing to take back
	for range n {
		if err := b.admit(ctx, tx, body); err != nil {
			return fmt.Errorf("bare: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	return nil
}

// Sizes of columns, and times far off.
const (
	idSize, labelSize, keySize = 16, 32, 60

	now, later = 1, 1 << 41
)

func (b *DB) admit(ctx context.Context, tx *sql.Tx, body int) error {
	random := make([]byte, 2*idSize+2*labelSize+keySize+body)
	_, _ = rand.Read(random) // it ends the process rather than fail
	next := func(n int) []byte {
		part := random[:n]
		random = random[n:]
		return part
	}
	id, nonce, label, digest, key := next(idSize), next(idSize), next(labelSize), next(labelSize), next(keySize)
	var seq int64
	for i, step := range []struct {
		into *int64 // of the one row that there may be
		args []any
	}{
		{new(int64), []any{label, now}},
		{nil, []any{nonce, later, now}},
		{new(int64), []any{id}},
		{nil, []any{id, label, digest, later, later, 1, key, random}},
		{&seq, []any{1}},
		{nil, []any{&seq, 1, id, now}},
	} {
		s := tx.StmtContext(ctx, b.statements[i]) //nolint:sqlclosecheck // it ends with the transaction
		var err error
		if step.into == nil {
			_, err = s.ExecContext(ctx, step.args...)
		} else if err = s.QueryRowContext(ctx, step.args...).Scan(step.into); errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
