package observerstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"whither/internal/observer"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/possession/observe"
)

// Unlisted implements [observer.Store].
func (p *Store) Unlisted(ctx context.Context, before observe.Day) (observe.Day, []observe.Entry, error) {
	var day int64
	var entries []observe.Entry
	err := p.DB.Each(ctx, func(row sqldb.Row) error {
		var kind, dnssec int64
		var name, label, digest sql.RawBytes
		if err := row.Scan(&day, &kind, &name, &label, &digest, &dnssec); err != nil {
			return err
		}
		if len(digest) != sha256.Size {
			return fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
		}
		entries = append(entries, observe.Entry{
			Key:    observe.Key{Kind: observe.Kind(kind), Name: string(name), Label: string(label), Digest: [sha256.Size]byte(digest)},
			DNSSEC: observe.DNSSEC(dnssec),
		})
		return nil
	}, "SELECT day, kind, name, label, digest, dnssec FROM sightings WHERE day = (SELECT min(day) FROM sightings WHERE day < $1) "+
		"ORDER BY kind, name, label, digest", int64(before))
	if err != nil {
		return 0, nil, fmt.Errorf("observerstore: sightings: %w", err)
	}
	return observe.Day(day), entries, nil
}

// Publish implements [observer.Store].
func (p *Store) Publish(ctx context.Context, l observer.Published) error {
	return p.DB.Write(ctx, "publish", func(ctx context.Context, t *sqldb.Tx) error {
		last, found := observer.Published{}, false
		err := t.Each(ctx, func(row sqldb.Row) (err error) {
			found = true
			last, err = scanList(row)
			return err
		}, "SELECT day, digest, size FROM lists ORDER BY day DESC LIMIT 1")
		if err != nil {
			return err
		}
		if found && last.Day >= l.Day || !bytes.Equal(last.Digest[:], l.Previous[:]) {
			return observer.ErrPublished
		}
		err = t.Exec(ctx, "INSERT INTO lists (day, digest, size, bytes) VALUES ($1, $2, $3, $4)", int64(l.Day), l.Digest[:], int64(l.Size), l.Bytes)
		if err != nil {
			return err
		}
		return t.Exec(ctx, "DELETE FROM sightings WHERE day <= $1", int64(l.Day))
	})
}

// scanList reads all of a list but its bytes.
func scanList(row sqldb.Row) (observer.Published, error) {
	var day, size int64
	var digest sql.RawBytes
	if err := row.Scan(&day, &digest, &size); err != nil {
		return observer.Published{}, err
	}
	if len(digest) != sha256.Size {
		return observer.Published{}, fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
	}
	return observer.Published{Day: observe.Day(day), Digest: [sha256.Size]byte(digest), Size: int(size)}, nil
}

// Drop implements [observer.Store].
func (p *Store) Drop(ctx context.Context, day observe.Day) error {
	return p.DB.Write(ctx, "drop", func(ctx context.Context, t *sqldb.Tx) error {
		return t.Exec(ctx, "DELETE FROM sightings WHERE day <= $1", int64(day))
	})
}

// List implements [observer.Store].
func (p *Store) List(ctx context.Context, day observe.Day) ([]byte, error) {
	var list []byte
	err := p.DB.Each(ctx, func(row sqldb.Row) error { return row.Scan(&list) }, "SELECT bytes FROM lists WHERE day = $1", int64(day))
	if err != nil {
		return nil, fmt.Errorf("observerstore: list: %w", err)
	}
	if list == nil {
		return nil, observer.ErrNoList
	}
	return list, nil
}

// Index implements [observer.Store].
func (p *Store) Index(ctx context.Context) ([]observer.Published, error) {
	var lists []observer.Published
	err := p.DB.Each(ctx, func(row sqldb.Row) error {
		l, err := scanList(row)
		lists = append(lists, l)
		return err
	}, "SELECT day, digest, size FROM lists ORDER BY day")
	if err != nil {
		return nil, fmt.Errorf("observerstore: lists: %w", err)
	}
	return lists, nil
}

// Expire implements [observer.Store].
func (p *Store) Expire(ctx context.Context, before observe.Day) error {
	old := false
	err := p.DB.Each(ctx, func(sqldb.Row) error { old = true; return nil }, "SELECT day FROM lists WHERE day < $1 LIMIT 1", int64(before))
	if err != nil || !old { // no write for nothing: this is asked for every few seconds
		return err
	}
	return p.DB.Write(ctx, "expire", func(ctx context.Context, t *sqldb.Tx) error {
		return t.Exec(ctx, "DELETE FROM lists WHERE day < $1 AND day < (SELECT max(day) FROM lists)", int64(before))
	})
}
