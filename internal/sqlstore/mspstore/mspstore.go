// Package mspstore remembers in an SQL database which offers of an MSP were
// used, keeps what DPs have to tell its users, and what the MSP has confirmed. Its spec is
// docs/spec/storage.md. It names nobody, so nothing in it is sealed.
//
// Times are milliseconds since 1970 in the database.
package mspstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"whither/cosigner"
	"whither/internal/sqlstore/sqldb"
	"whither/mapping"
)

// ErrCorrupt is returned for a row that this package has not written.
var ErrCorrupt = errors.New("mspstore: a row is damaged; restore a backup")

// Store is the store of an MSP.
type Store struct{ db *sqldb.DB }

var _ cosigner.Used = (*Store)(nil)

// steps are the schema; NNNN.sql leads from schema NNNN−1 to NNNN.
//
//go:embed schema
var steps embed.FS

// Open opens an MSP's database, and makes it if there is none. ctx bounds the
// opening alone.
func Open(ctx context.Context, o sqldb.Options) (*Store, error) {
	schema, err := fs.Sub(steps, "schema")
	if err != nil {
		return nil, fmt.Errorf("mspstore: %w", err)
	}
	d, err := sqldb.Open(ctx, sqldb.Config{Options: o, Role: "msp", Schema: schema})
	if err != nil {
		return nil, err
	}
	return &Store{db: d}, nil
}

// Close finishes the writes that wait and closes the database.
func (m *Store) Close() error { return m.db.Close() }

// Use implements [cosigner.Used].
func (m *Store) Use(ctx context.Context, u cosigner.Use) (time.Time, error) {
	var signed time.Time
	err := m.db.Write(ctx, "use", func(ctx context.Context, t *sqldb.Tx) error {
		n, err := t.Affect(ctx, "INSERT INTO uses (nonce, digest, signed, until) VALUES ($1, $2, $3, $4) ON CONFLICT (nonce) DO NOTHING",
			u.Nonce[:], u.Digest[:], sqldb.Milliseconds(u.Signed), sqldb.CeilMilliseconds(u.Until))
		if err != nil {
			return err
		}
		signed = u.Signed
		if n != 0 {
			return nil
		}
		return t.Each(ctx, func(row sqldb.Row) error {
			var digest sql.RawBytes
			var at int64
			if err := row.Scan(&digest, &at); err != nil {
				return err
			}
			if len(digest) != len(u.Digest) {
				return fmt.Errorf("%w: digest", ErrCorrupt)
			}
			if mapping.Digest(digest) != u.Digest {
				return cosigner.ErrOfferUsed
			}
			signed = sqldb.Time(at)
			return nil
		}, "SELECT digest, signed FROM uses WHERE nonce = $1", u.Nonce[:])
	})
	if err != nil {
		return time.Time{}, err
	}
	return signed, nil
}

// forgetBatch is how many uses are forgotten in one transaction.
const forgetBatch = 512

// Forget drops what need not be remembered any more at time now.
func (m *Store) Forget(ctx context.Context, now time.Time) error {
	m.db.Tidy()
	for n := int64(forgetBatch); n == forgetBatch; {
		err := m.db.Write(ctx, "forget", func(ctx context.Context, t *sqldb.Tx) (err error) {
			n, err = t.Affect(ctx, "DELETE FROM uses WHERE nonce IN "+
				"(SELECT nonce FROM uses WHERE until <= $1 ORDER BY until LIMIT $2)", sqldb.Milliseconds(now), forgetBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := m.forgetConfirmed(ctx, now); err != nil {
		return err
	}
	return m.forgetNotices(ctx, now)
}
