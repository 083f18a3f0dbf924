// Package observerstore keeps what an observer remembers in an SQL database of
// its own: places with the keys seen there, what goes into the next daily lists,
// and the lists. Its spec is docs/spec/storage.md.
//
// It promises what [observer.Store] asks for, and that no name that somebody
// asked for stands in the database in clear, save for the popular ones, which are
// in the settings and the lists. It does not judge looks.
//
// Times are milliseconds since 1970 in the database, and seconds inside of
// bodies; days are days since 1970; lengths are bytes.
package observerstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"whither/internal/canon"
	"whither/internal/observer"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/possession/observe"
)

// Store is the store of an observer.
type Store struct{ *sealed.Store }

var _ observer.Store = (*Store)(nil)

// steps are the schema; NNNN.sql leads from schema NNNN−1 to NNNN.
//
//go:embed schema
var steps embed.FS

// tablePlaces has the sealed rows.
const tablePlaces = "places"

// Open opens an observer's database, and makes it if there is none. ctx bounds
// the opening alone.
func Open(ctx context.Context, o sealed.Options) (*Store, error) {
	schema, err := fs.Sub(steps, "schema")
	if err != nil {
		return nil, fmt.Errorf("observerstore: %w", err)
	}
	s, err := sealed.Open(ctx, o, sealed.Schema{Role: "observer", Steps: schema, Table: tablePlaces})
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// placeRow is a row of the table places.
type placeRow struct {
	id, name     vault.Label
	due, expires int64
	vault.Sealed
}

// placeBody is what a row's body says.
type placeBody struct {
	Kind     observe.Kind `cbor:"1,keyasint"`
	Name     string       `cbor:"2,keyasint"`
	Selector string       `cbor:"3,keyasint,omitempty"`
	Runs     []runBody    `cbor:"4,keyasint"`
}

type runBody struct {
	_           struct{} `cbor:",toarray"`
	Label       string
	Digest      [sha256.Size]byte
	DNSSEC      observe.DNSSEC
	First, Last int64 // seconds
}

// maxBody bounds a body: as many keys as a set may have, with the longest names.
const maxBody = 1024 + observe.MaxKeys*400

func (p *Store) row(at observer.Place) placeRow {
	// Kinds are below 256; no name and no selector has an octet of zero.
	name := append([]byte("name "), byte(at.Kind))
	name = append(name, at.Name...)
	place := append([]byte("place "), byte(at.Kind))
	place = append(append(append(place, at.Name...), 0), at.Selector...)
	return placeRow{id: p.Vault.Label(place), name: p.Vault.Label(name)}
}

func (r *placeRow) place() vault.Place {
	return vault.Place{Table: tablePlaces, Label: r.name, ID: r.id[:]}
}

// columns encodes the columns that the body is bound to.
func (r *placeRow) columns() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(r.due)), uint64(r.expires))
}

// seal makes the row of a memory.
func (p *Store) seal(m observer.Memory) (placeRow, error) {
	r := p.row(m.Place)
	r.due, r.expires = sqldb.Milliseconds(m.Next), sqldb.CeilMilliseconds(m.Forget)
	b := placeBody{Kind: m.Place.Kind, Name: m.Place.Name, Selector: m.Place.Selector}
	for _, run := range m.Runs {
		b.Runs = append(b.Runs, runBody{Label: run.Label, Digest: run.Digest, DNSSEC: run.DNSSEC, First: run.First.Unix(), Last: run.Last.Unix()})
	}
	plain, err := canon.Marshal(b)
	if err != nil {
		return placeRow{}, fmt.Errorf("observerstore: %w", err)
	}
	r.Sealed, err = p.Vault.Seal(r.place(), r.columns(), plain)
	return r, err
}

const placeColumns = "id, label, due, expires, generation, key, body"

// scan reads and opens a row.
func (p *Store) scan(row sqldb.Row) (observer.Memory, error) {
	var r placeRow
	var id, name sql.RawBytes
	if err := row.Scan(&id, &name, &r.due, &r.expires, &r.Generation, &r.Key, &r.Body); err != nil {
		return observer.Memory{}, err
	}
	if len(id) != len(r.id) || len(name) != len(r.name) {
		return observer.Memory{}, fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
	}
	r.id, r.name = vault.Label(id), vault.Label(name)
	plain, err := p.Vault.Open(r.place(), r.columns(), r.Sealed)
	if err != nil {
		return observer.Memory{}, err
	}
	var b placeBody
	if err := canon.Unmarshal(plain, maxBody, &b); err != nil {
		return observer.Memory{}, fmt.Errorf("%w: %w", sealed.ErrCorrupt, err)
	}
	m := observer.Memory{
		Place: observer.Place{Kind: b.Kind, Name: b.Name, Selector: b.Selector},
		Next:  sqldb.Time(r.due), Forget: sqldb.Time(r.expires),
	}
	for _, run := range b.Runs {
		m.Runs = append(m.Runs, observer.Run{
			Sight: observer.Sight{Label: run.Label, Digest: run.Digest, DNSSEC: run.DNSSEC},
			First: time.Unix(run.First, 0).UTC(), Last: time.Unix(run.Last, 0).UTC(),
		})
	}
	return m, nil
}

// read reads a place within a write; found is false if it is unknown.
func (p *Store) read(ctx context.Context, t *sqldb.Tx, id vault.Label) (m observer.Memory, found bool, err error) {
	err = t.Each(ctx, func(row sqldb.Row) (err error) {
		found = true
		m, err = p.scan(row)
		return err
	}, "SELECT "+placeColumns+" FROM places WHERE id = $1", id[:])
	return m, found, err
}

// See implements [observer.Store].
func (p *Store) See(ctx context.Context, l observer.Look) ([]observer.Run, error) {
	id := p.row(l.Place).id
	var runs []observer.Run
	err := p.DB.Write(ctx, "see", func(ctx context.Context, t *sqldb.Tx) error {
		m, known, err := p.read(ctx, t, id)
		if err != nil {
			return err
		}
		m.Place = l.Place
		m.Apply(l)
		runs = m.Runs
		if l.Listed {
			if err := putDown(ctx, t, l); err != nil {
				return err
			}
		}
		switch {
		case len(m.Runs) == 0:
			return t.Exec(ctx, "DELETE FROM places WHERE id = $1", id[:])
		case known:
			return p.write(ctx, t, m)
		}
		room, err := p.room(ctx, t, l)
		if err != nil || !room {
			return err
		}
		return p.write(ctx, t, m)
	})
	if err != nil {
		return nil, err
	}
	return runs, nil
}

// room reports whether a new place may be begun.
func (p *Store) room(ctx context.Context, t *sqldb.Tx, l observer.Look) (bool, error) {
	name := p.row(l.Place).name
	var all, same int64
	err := errors.Join(
		t.Each(ctx, func(row sqldb.Row) error { return row.Scan(&all) }, "SELECT count(*) FROM places"),
		t.Each(ctx, func(row sqldb.Row) error { return row.Scan(&same) }, "SELECT count(*) FROM places WHERE label = $1", name[:]),
	)
	return all < int64(l.Room) && same < observer.MaxPlaces, err
}

// write writes a place.
func (p *Store) write(ctx context.Context, t *sqldb.Tx, m observer.Memory) error {
	r, err := p.seal(m)
	if err != nil {
		return err
	}
	return t.Exec(ctx, "INSERT INTO places ("+placeColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET "+
		"due = excluded.due, expires = excluded.expires, generation = excluded.generation, key = excluded.key, body = excluded.body",
		r.id[:], r.name[:], r.due, r.expires, r.Generation, r.Key, r.Body)
}

// putDown notes the keys of a look for the list of its day.
func putDown(ctx context.Context, t *sqldb.Tx, l observer.Look) error {
	for _, s := range l.Seen {
		err := t.Exec(ctx, "INSERT INTO sightings (day, kind, name, label, digest, dnssec) VALUES ($1, $2, $3, $4, $5, $6) "+
			"ON CONFLICT (day, kind, name, label, digest) DO UPDATE SET dnssec = excluded.dnssec",
			int64(observe.DayOf(l.At)), int64(l.Place.Kind), []byte(l.Place.Name), []byte(s.Label), s.Digest[:], int64(s.DNSSEC))
		if err != nil {
			return err
		}
	}
	return nil
}

// Failed implements [observer.Store].
func (p *Store) Failed(ctx context.Context, at observer.Place, next time.Time) error {
	id := p.row(at).id
	return p.DB.Write(ctx, "failed", func(ctx context.Context, t *sqldb.Tx) error {
		m, known, err := p.read(ctx, t, id)
		if err != nil || !known {
			return err
		}
		m.Next = next
		return p.write(ctx, t, m)
	})
}

// Due implements [observer.Store].
func (p *Store) Due(ctx context.Context, now time.Time, max int) ([]observer.Place, error) {
	var found []observer.Place
	err := p.DB.Each(ctx, func(row sqldb.Row) error {
		m, err := p.scan(row)
		found = append(found, m.Place)
		return err
	}, "SELECT "+placeColumns+" FROM places WHERE due <= $1 ORDER BY due, id LIMIT $2", sqldb.Milliseconds(now), max)
	if err != nil {
		return nil, fmt.Errorf("observerstore: places: %w", err)
	}
	return found, nil
}

// Forget implements [observer.Store].
func (p *Store) Forget(ctx context.Context, now time.Time, max int) (int, error) {
	p.DB.Tidy()
	var n int64
	err := p.DB.Write(ctx, "forget", func(ctx context.Context, t *sqldb.Tx) (err error) {
		n, err = t.Affect(ctx, "DELETE FROM places WHERE id IN "+
			"(SELECT id FROM places WHERE expires <= $1 ORDER BY expires LIMIT $2)", sqldb.Milliseconds(now), max)
		return err
	})
	return int(n), err
}
