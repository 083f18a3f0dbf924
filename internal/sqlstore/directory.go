package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
	"whither/registry"
)

// Admit implements [directory.Store]. When several of its errors apply it
// returns the first of ErrRaced, ErrOfferUsed, ErrIDTaken.
func (d *Directory) Admit(ctx context.Context, v mapping.Verified, saw []mapping.ID, nonceUntil, now time.Time) error {
	r, err := d.sealMapping(v)
	if err != nil {
		return err
	}
	want := slices.Clone(saw)
	slices.SortFunc(want, compareID)
	want = slices.Compact(want)
	return d.DB.Write(ctx, "admit", func(ctx context.Context, t *sqldb.Tx) error {
		live, err := liveIDs(ctx, t, r.label, now)
		if err != nil {
			return err
		}
		if !slices.Equal(live, want) {
			return directory.ErrRaced
		}
		if err := useNonce(ctx, t, v.Claims().DPNonce, nonceUntil, now); err != nil {
			return err
		}
		if err := insertMapping(ctx, t, r); err != nil {
			return err
		}
		return note(ctx, t, directory.Admitted, now, r.id)
	})
}

// Replace implements [directory.Store].
func (d *Directory) Replace(ctx context.Context, v mapping.Verified, nonceUntil, now time.Time) error {
	r, err := d.sealMapping(v)
	if err != nil {
		return err
	}
	c := v.Claims()
	return d.DB.Write(ctx, "replace", func(ctx context.Context, t *sqldb.Tx) error {
		if err := replaceMapping(ctx, t, r, c.Predecessor, now); err != nil {
			return err
		}
		return useNonce(ctx, t, c.DPNonce, nonceUntil, now)
	})
}

// replaceMapping puts r in the place of the mapping that it follows, or returns
// ErrRaced.
func replaceMapping(ctx context.Context, t *sqldb.Tx, r mappingRow, predecessor mapping.Digest, now time.Time) error {
	n, err := t.Affect(ctx, "UPDATE mappings SET digest = $1, until = $2, expires = $3, generation = $4, key = $5, body = $6 "+
		"WHERE id = $7 AND label = $8 AND digest = $9 AND expires > $10",
		r.digest[:], r.until, r.expires, r.Generation, r.Key, r.Body, r.id[:], r.label[:], predecessor[:], sqldb.Milliseconds(now))
	if err != nil {
		return err
	}
	if n == 0 {
		return directory.ErrRaced
	}
	return note(ctx, t, directory.Replaced, now, r.id)
}

// Renew implements [directory.Store].
func (d *Directory) Renew(ctx context.Context, renewed []mapping.Verified, now time.Time) error {
	rows := make([]mappingRow, len(renewed))
	for i, v := range renewed {
		var err error
		if rows[i], err = d.sealMapping(v); err != nil {
			return err
		}
	}
	return d.DB.Write(ctx, "renew", func(ctx context.Context, t *sqldb.Tx) error {
		done := make([]mapping.ID, 0, len(rows))
		for i, r := range rows {
			have, lives, err := d.stored(ctx, t, r, now)
			if err != nil {
				return err
			}
			if !lives || lacks(renewed[i], have) {
				continue
			}
			n, err := t.Affect(ctx, "UPDATE mappings SET until = $1, generation = $2, key = $3, body = $4 "+
				"WHERE id = $5 AND label = $6 AND digest = $7 AND expires > $8",
				r.until, r.Generation, r.Key, r.Body, r.id[:], r.label[:], r.digest[:], sqldb.Milliseconds(now))
			if err != nil {
				return err
			}
			if n != 0 {
				done = append(done, r.id)
			}
		}
		return note(ctx, t, directory.Renewed, now, done...)
	})
}

// End implements [directory.Store].
func (d *Directory) End(ctx context.Context, v mapping.Verified, now time.Time) error {
	r, err := d.sealMapping(v)
	if err != nil {
		return err
	}
	return d.DB.Write(ctx, "end", func(ctx context.Context, t *sqldb.Tx) error {
		have, lives, err := d.stored(ctx, t, r, now)
		switch {
		case err != nil:
			return err
		case !lives:
			return directory.ErrUnknown
		case lacks(v, have), have.Until.After(v.Until()):
			return directory.ErrRaced
		}
		err = t.Exec(ctx, "UPDATE mappings SET until = $1, generation = $2, key = $3, body = $4 WHERE id = $5 AND label = $6",
			r.until, r.Generation, r.Key, r.Body, r.id[:], r.label[:])
		if err != nil {
			return err
		}
		return note(ctx, t, directory.Renewed, now, r.id)
	})
}

// stored reads the live mapping with the id and the payload of r.
func (d *Directory) stored(ctx context.Context, t *sqldb.Tx, r mappingRow, now time.Time) (have directory.Stored, lives bool, err error) {
	err = t.Each(ctx, func(row sqldb.Row) (err error) {
		lives = true
		_, have, err = d.openMapping(row)
		return err
	}, "SELECT "+mappingColumns+" FROM mappings WHERE id = $1 AND label = $2 AND digest = $3 AND expires > $4",
		r.id[:], r.label[:], r.digest[:], sqldb.Milliseconds(now))
	return have, lives, err
}

// lacks reports whether an entry has ended in the stored mapping and not in v.
func lacks(v mapping.Verified, have directory.Stored) bool {
	return slices.ContainsFunc(have.Ended, func(p registry.PartyID) bool {
		return slices.ContainsFunc(v.Living(), func(e mapping.Entry) bool { return e.Provider == p })
	})
}

// Withdraw implements [directory.Store].
func (d *Directory) Withdraw(ctx context.Context, id mapping.ID, digest mapping.Digest, now time.Time) error {
	return d.DB.Write(ctx, "withdraw", func(ctx context.Context, t *sqldb.Tx) error {
		n, err := t.Affect(ctx, "DELETE FROM mappings WHERE id = $1 AND digest = $2 AND expires > $3", id[:], digest[:], sqldb.Milliseconds(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return directory.ErrUnknown
		}
		return bury(ctx, t, directory.Withdrawn, now, id)
	})
}

// Sweep implements [directory.Store]. Nonces go in portions of max, each in a
// transaction of its own, until none is left whose time has passed.
func (d *Directory) Sweep(ctx context.Context, now time.Time, max int) (int, error) {
	if max <= 0 {
		return 0, nil
	}
	d.DB.Tidy()
	var expired []mapping.ID
	err := d.DB.Write(ctx, "sweep", func(ctx context.Context, t *sqldb.Tx) error {
		expired = expired[:0]
		err := t.Each(ctx, scanID(&expired), "DELETE FROM mappings WHERE id IN "+
			"(SELECT id FROM mappings WHERE expires <= $1 ORDER BY expires, id LIMIT $2) RETURNING id", sqldb.Milliseconds(now), max)
		if err != nil {
			return err
		}
		slices.SortFunc(expired, compareID)
		return bury(ctx, t, directory.Expired, now, expired...)
	})
	if err != nil {
		return 0, err
	}
	for n := int64(max); n == int64(max); {
		err := d.DB.Write(ctx, "sweep nonces", func(ctx context.Context, t *sqldb.Tx) (err error) {
			n, err = t.Affect(ctx, "DELETE FROM nonces WHERE nonce IN "+
				"(SELECT nonce FROM nonces WHERE until <= $1 ORDER BY until LIMIT $2)", sqldb.Milliseconds(now), max)
			return err
		})
		if err != nil {
			return len(expired), err
		}
	}
	return len(expired), d.sweepRecords(ctx, now, max)
}

// insertMapping adds a row, or returns ErrIDTaken. It looks itself whether the
// id is taken: where rows lie in partitions by label, no index of the engine's
// does.
func insertMapping(ctx context.Context, t *sqldb.Tx, r mappingRow) error {
	taken, err := t.Has(ctx, "SELECT 1 FROM mappings WHERE id = $1 UNION ALL SELECT 1 FROM tombstones WHERE id = $1", r.id[:])
	if err != nil {
		return err
	}
	if taken {
		return directory.ErrIDTaken
	}
	return t.Exec(ctx, "INSERT INTO mappings ("+mappingColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		r.id[:], r.label[:], r.digest[:], r.until, r.expires, r.Generation, r.Key, r.Body)
}

// liveIDs returns the ids of a CSI's live mappings, sorted.
func liveIDs(ctx context.Context, t *sqldb.Tx, l vault.Label, now time.Time) ([]mapping.ID, error) {
	var ids []mapping.ID
	err := t.Each(ctx, scanID(&ids), "SELECT id FROM mappings WHERE label = $1 AND expires > $2", l[:], sqldb.Milliseconds(now))
	slices.SortFunc(ids, compareID)
	return ids, err
}

// useNonce marks a nonce used. One whose time has passed counts as unused,
// swept or not: its offer is refused for its age.
func useNonce(ctx context.Context, t *sqldb.Tx, nonce mapping.Nonce, until, now time.Time) error {
	n, err := t.Affect(ctx, "INSERT INTO nonces (nonce, until) VALUES ($1, $2) "+
		"ON CONFLICT (nonce) DO UPDATE SET until = excluded.until WHERE nonces.until <= $3", nonce[:], sqldb.CeilMilliseconds(until), sqldb.Milliseconds(now))
	if err != nil {
		return err
	}
	if n == 0 {
		return directory.ErrOfferUsed
	}
	return nil
}

// bury leaves a tombstone for each mapping that has ended, and notes the end.
func bury(ctx context.Context, t *sqldb.Tx, kind directory.ChangeKind, now time.Time, ids ...mapping.ID) error {
	for _, id := range ids {
		if err := t.Exec(ctx, "INSERT INTO tombstones (id) VALUES ($1)", id[:]); err != nil {
			return err
		}
	}
	return note(ctx, t, kind, now, ids...)
}

// note puts a line for each id into the change feed. The numbers come from one
// row, which stays locked until the commit: a reader that has seen a number
// will see none below it that it has not seen.
func note(ctx context.Context, t *sqldb.Tx, kind directory.ChangeKind, now time.Time, ids ...mapping.ID) error {
	if len(ids) == 0 {
		return nil
	}
	var last int64
	err := t.Each(ctx, func(r sqldb.Row) error { return r.Scan(&last) }, "UPDATE feed SET seq = seq + $1 RETURNING seq", len(ids))
	if err != nil {
		return err
	}
	for i, id := range ids {
		seq := last - int64(len(ids)-1-i)
		if err := t.Exec(ctx, "INSERT INTO changes (seq, kind, id, at) VALUES ($1, $2, $3, $4)", seq, kind, id[:], sqldb.Milliseconds(now)); err != nil {
			return err
		}
	}
	return nil
}

func scanID(ids *[]mapping.ID) func(sqldb.Row) error {
	return func(r sqldb.Row) error {
		var b sql.RawBytes
		if err := r.Scan(&b); err != nil {
			return err
		}
		id, err := idOf(b)
		*ids = append(*ids, id)
		return err
	}
}

// idOf takes a column that holds an id.
func idOf(b []byte) (mapping.ID, error) {
	if len(b) != len(mapping.ID{}) {
		return mapping.ID{}, fmt.Errorf("%w: id", sealed.ErrCorrupt)
	}
	return mapping.ID(b), nil
}

func compareID(a, b mapping.ID) int { return bytes.Compare(a[:], b[:]) }
