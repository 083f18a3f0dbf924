package mspstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"

	"whither/cosigner"
	"whither/internal/sqlstore/sqldb"
	"whither/wire"
)

var _ cosigner.Inbox = (*Store)(nil)

// Keep implements [cosigner.Inbox].
func (m *Store) Keep(ctx context.Context, b cosigner.Box, n wire.Notice, now time.Time) (bool, error) {
	var kept bool
	err := m.db.Write(ctx, "keep", func(ctx context.Context, t *sqldb.Tx) error {
		kept = false
		count, again := 0, false
		err := t.Each(ctx, func(row sqldb.Row) error {
			var kind string
			var mapping sql.RawBytes
			var since int64
			err := row.Scan(&kind, &mapping, &since)
			count++
			again = again || kind == n.Kind && bytes.Equal(mapping, n.Mapping) && since == n.Since
			return err
		}, "SELECT kind, mapping, since FROM inbox WHERE box = $1 AND until > $2", b[:], now.Unix())
		if err != nil || again || count >= cosigner.MaxInbox {
			kept = again
			return err
		}
		kept = true
		return t.Exec(ctx, "INSERT INTO inbox (box, kind, mapping, since, until) VALUES ($1, $2, $3, $4, $5) "+
			"ON CONFLICT (box, mapping, kind, since) DO UPDATE SET until = excluded.until", b[:], n.Kind, []byte(n.Mapping), n.Since, n.Until)
	})
	return kept, err
}

// Kept implements [cosigner.Inbox].
func (m *Store) Kept(ctx context.Context, b cosigner.Box, now time.Time) ([]wire.Notice, error) {
	var out []wire.Notice
	err := m.db.Each(ctx, func(row sqldb.Row) error {
		var n wire.Notice
		var mapping sql.RawBytes
		err := row.Scan(&n.Kind, &mapping, &n.Since, &n.Until)
		n.Mapping = bytes.Clone(mapping)
		out = append(out, n)
		return err
	}, "SELECT kind, mapping, since, until FROM inbox WHERE box = $1 AND until > $2 ORDER BY since, mapping, kind", b[:], now.Unix())
	if err != nil {
		return nil, fmt.Errorf("mspstore: inbox: %w", err)
	}
	return out, nil
}

// forgetNotices drops those that have ended.
func (m *Store) forgetNotices(ctx context.Context, now time.Time) error {
	return m.db.Write(ctx, "forget notices", func(ctx context.Context, t *sqldb.Tx) error {
		return t.Exec(ctx, "DELETE FROM inbox WHERE until <= $1", now.Unix())
	})
}
