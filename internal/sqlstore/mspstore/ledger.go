package mspstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"whither/cosigner"
	"whither/internal/sqlstore/sqldb"
	"whither/mapping"
	"whither/registry"
)

var _ cosigner.Ledger = (*Store)(nil)

// Confirm implements [cosigner.Ledger].
func (m *Store) Confirm(ctx context.Context, c cosigner.Confirmation) error {
	return m.db.Write(ctx, "confirm", func(ctx context.Context, t *sqldb.Tx) error {
		return t.Exec(ctx, "INSERT INTO confirmed (box, digest, mapping, dp, signed, expires, ended, due) VALUES ($1, $2, $3, $4, $5, $6, 0, 0) "+
			"ON CONFLICT (box, digest) DO UPDATE SET signed = excluded.signed WHERE confirmed.signed < excluded.signed",
			c.Of[:], c.Digest[:], c.Mapping[:], c.DP.String(), sqldb.Milliseconds(c.Signed), sqldb.CeilMilliseconds(c.Expires))
	})
}

// Leave implements [cosigner.Ledger].
func (m *Store) Leave(ctx context.Context, of cosigner.Box) error {
	return m.db.Write(ctx, "leave", func(ctx context.Context, t *sqldb.Tx) error {
		return t.Exec(ctx, "INSERT INTO leaving (box) VALUES ($1) ON CONFLICT (box) DO NOTHING", of[:])
	})
}

// Leaving implements [cosigner.Ledger].
func (m *Store) Leaving(ctx context.Context) ([]cosigner.Box, error) {
	var out []cosigner.Box
	err := m.db.Each(ctx, func(row sqldb.Row) error {
		var box sql.RawBytes
		if err := row.Scan(&box); err != nil {
			return err
		}
		if len(box) != len(cosigner.Box{}) {
			return fmt.Errorf("%w: box", ErrCorrupt)
		}
		out = append(out, cosigner.Box(box))
		return nil
	}, "SELECT box FROM leaving ORDER BY box")
	if err != nil {
		return nil, fmt.Errorf("mspstore: leaving: %w", err)
	}
	return out, nil
}

// End implements [cosigner.Ledger].
func (m *Store) End(ctx context.Context, of cosigner.Box, at time.Time) error {
	return m.db.Write(ctx, "end", func(ctx context.Context, t *sqldb.Tx) error {
		err := t.Exec(ctx, "UPDATE confirmed SET ended = $1, due = $2 WHERE box = $3 AND ended = 0",
			sqldb.Milliseconds(at), sqldb.Milliseconds(at), of[:])
		if err != nil {
			return err
		}
		return t.Exec(ctx, "DELETE FROM leaving WHERE box = $1", of[:])
	})
}

// EndsDue implements [cosigner.Ledger].
func (m *Store) EndsDue(ctx context.Context, now time.Time, max int) ([]cosigner.Confirmation, error) {
	var out []cosigner.Confirmation
	err := m.db.Each(ctx, func(row sqldb.Row) error {
		var box, digest, id sql.RawBytes
		var dp string
		var signed, expires, ended int64
		if err := row.Scan(&box, &digest, &id, &dp, &signed, &expires, &ended); err != nil {
			return err
		}
		party, err := registry.ParsePartyID(dp)
		if err != nil || len(box) != len(cosigner.Box{}) || len(digest) != len(mapping.Digest{}) || len(id) != len(mapping.ID{}) {
			return fmt.Errorf("%w: confirmation", ErrCorrupt)
		}
		out = append(out, cosigner.Confirmation{
			Of: cosigner.Box(box), Mapping: mapping.ID(id), Digest: mapping.Digest(digest), DP: party,
			Signed: sqldb.Time(signed), Expires: sqldb.Time(expires), Ended: sqldb.Time(ended),
		})
		return nil
	}, "SELECT box, digest, mapping, dp, signed, expires, ended FROM confirmed "+
		"WHERE ended > 0 AND due <= $1 AND expires > $2 ORDER BY due, box, digest LIMIT $3", sqldb.Milliseconds(now), sqldb.Milliseconds(now), max)
	if err != nil {
		return nil, fmt.Errorf("mspstore: ends due: %w", err)
	}
	return out, nil
}

// Postpone implements [cosigner.Ledger].
func (m *Store) Postpone(ctx context.Context, c cosigner.Confirmation, due time.Time) error {
	return m.db.Write(ctx, "postpone", func(ctx context.Context, t *sqldb.Tx) error {
		if due.IsZero() {
			return t.Exec(ctx, "DELETE FROM confirmed WHERE box = $1 AND digest = $2", c.Of[:], c.Digest[:])
		}
		return t.Exec(ctx, "UPDATE confirmed SET due = $1 WHERE box = $2 AND digest = $3", sqldb.CeilMilliseconds(due), c.Of[:], c.Digest[:])
	})
}

// forgetConfirmed drops what has expired.
func (m *Store) forgetConfirmed(ctx context.Context, now time.Time) error {
	return m.db.Write(ctx, "forget confirmed", func(ctx context.Context, t *sqldb.Tx) error {
		return t.Exec(ctx, "DELETE FROM confirmed WHERE expires <= $1", sqldb.Milliseconds(now))
	})
}
