package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
)

// never is the time of what is not due: the end of the year 9999.
const never = 253402300799999

// recordRow is a row of the table records.
type recordRow struct {
	id         directory.RecordID
	label      vault.Label
	kind       directory.RecordKind
	revision   uint64
	due, until int64
	vault.Sealed
}

func (r *recordRow) place() vault.Place {
	return vault.Place{Table: tableRecords, Label: r.label, ID: r.id[:]}
}

// columns encodes what the body is bound to. When a record is due says only
// when to look at it: the times that a decision rests on are in the body.
func (r *recordRow) columns() []byte { return []byte{byte(r.kind)} }

func dueOf(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return sqldb.CeilMilliseconds(t)
}

func (d *Directory) sealRecord(l vault.Label, r directory.Record) (recordRow, error) {
	row := recordRow{
		id: r.ID, label: l, kind: r.Kind, revision: r.Revision + 1, due: dueOf(r.Due), until: sqldb.CeilMilliseconds(r.Until),
	}
	var err error
	row.Sealed, err = d.Vault.Seal(row.place(), row.columns(), r.Body)
	return row, err
}

// recordColumns are the columns that openRecord takes, in its order.
const recordColumns = "id, label, kind, revision, due, until, generation, key, body"

func (d *Directory) openRecord(row sqldb.Row) (directory.Record, error) {
	var r recordRow
	var id, label, key, body sql.RawBytes
	if err := row.Scan(&id, &label, &r.kind, &r.revision, &r.due, &r.until, &r.Generation, &key, &body); err != nil {
		return directory.Record{}, fmt.Errorf("%w: %w", sealed.ErrCorrupt, err)
	}
	if len(id) != len(r.id) || len(label) != len(r.label) {
		return directory.Record{}, fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
	}
	r.id, r.label = directory.RecordID(id), vault.Label(label)
	r.Key, r.Body = key, body
	plain, err := d.Vault.Open(r.place(), r.columns(), r.Sealed)
	if err != nil {
		return directory.Record{ID: r.id}, fmt.Errorf("record %s: %w", r.id, err)
	}
	out := directory.Record{ID: r.id, Kind: r.kind, Revision: r.revision, Until: sqldb.Time(r.until), Body: plain}
	if r.due != never {
		out.Due = sqldb.Time(r.due)
	}
	return out, nil
}

// takeRecord collects the records of a query.
func (d *Directory) takeRecord(to *[]directory.Record) func(sqldb.Row) error {
	return func(row sqldb.Row) error {
		r, err := d.openRecord(row)
		*to = append(*to, r)
		return err
	}
}

// Case implements [directory.CaseReader].
func (d *Directory) Case(ctx context.Context, id csi.ID, now time.Time) (directory.Case, error) {
	l := d.label(id)
	var c directory.Case
	err := d.DB.View(ctx, func(v sqldb.View) error {
		c = directory.Case{}
		q, args := d.findQuery([]vault.Label{l}, now)
		err := v.Each(ctx, func(row sqldb.Row) error {
			_, s, err := d.openMapping(row)
			c.Live = append(c.Live, s)
			return err
		}, q, args...)
		if err != nil {
			return err
		}
		return v.Each(ctx, d.takeRecord(&c.Records), "SELECT "+recordColumns+" FROM records WHERE label = $1 AND kind <> $2",
			l[:], docket.RecordNotice)
	})
	if err != nil {
		return directory.Case{}, fmt.Errorf("sqlstore: case: %w", err)
	}
	slices.SortFunc(c.Live, func(a, b directory.Stored) int { return compareID(a.ID, b.ID) })
	slices.SortFunc(c.Records, func(a, b directory.Record) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return c, nil
}

// Record implements [directory.CaseReader].
func (d *Directory) Record(ctx context.Context, id directory.RecordID) (directory.Record, error) {
	var found []directory.Record
	if err := d.DB.Each(ctx, d.takeRecord(&found), "SELECT "+recordColumns+" FROM records WHERE id = $1", id[:]); err != nil {
		return directory.Record{}, fmt.Errorf("sqlstore: record: %w", err)
	}
	if len(found) == 0 {
		return directory.Record{}, directory.ErrUnknown
	}
	return found[0], nil
}

// Records implements [directory.CaseReader].
func (d *Directory) Records(ctx context.Context, kind directory.RecordKind, after directory.RecordID, max int) ([]directory.Record, error) {
	var found []directory.Record
	err := d.DB.Each(ctx, d.takeRecord(&found), "SELECT "+recordColumns+" FROM records WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3",
		kind, after[:], max)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: records: %w", err)
	}
	return found, nil
}

// RecordsDue implements [directory.CaseReader].
func (d *Directory) RecordsDue(ctx context.Context, now time.Time, max int) ([]directory.Record, error) {
	var found []directory.Record
	err := d.DB.Each(ctx, d.takeRecord(&found), "SELECT "+recordColumns+" FROM records WHERE due <= $1 ORDER BY due, id LIMIT $2",
		sqldb.Milliseconds(now), max)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: records due: %w", err)
	}
	return found, nil
}

// Apply implements [directory.CaseStore]. When several of its errors apply it
// returns the first of ErrRaced, ErrOfferUsed, ErrIDTaken.
func (d *Directory) Apply(ctx context.Context, id csi.ID, saw directory.Case, w directory.Write, now time.Time) error {
	p, err := d.prepare(id, w)
	if err != nil {
		return err
	}
	want := seen(saw)
	return d.DB.Write(ctx, "apply", func(ctx context.Context, t *sqldb.Tx) error {
		have, err := see(ctx, t, p.label, now)
		if err != nil {
			return err
		}
		if !slices.Equal(have, want) {
			return directory.ErrRaced
		}
		if !w.NonceUntil.IsZero() {
			if err := useNonce(ctx, t, w.Nonce, w.NonceUntil, now); err != nil {
				return err
			}
		}
		return p.write(ctx, t, w, now)
	})
}

// seen is what a case rests on, as see finds it: names with their versions.
func seen(c directory.Case) []string {
	var out []string
	for _, s := range c.Live {
		out = append(out, string(s.ID[:])+string(s.Digest[:]))
	}
	for _, r := range c.Records {
		out = append(out, fmt.Sprintf("%s %d", r.ID, r.Revision))
	}
	slices.Sort(out)
	return out
}

func see(ctx context.Context, t *sqldb.Tx, l vault.Label, now time.Time) ([]string, error) {
	var out []string
	err := t.Each(ctx, func(row sqldb.Row) error {
		var id, digest sql.RawBytes
		err := row.Scan(&id, &digest)
		out = append(out, string(id)+string(digest))
		return err
	}, "SELECT id, digest FROM mappings WHERE label = $1 AND expires > $2", l[:], sqldb.Milliseconds(now))
	if err != nil {
		return nil, err
	}
	err = t.Each(ctx, func(row sqldb.Row) error {
		var id sql.RawBytes
		var revision uint64
		err := row.Scan(&id, &revision)
		out = append(out, fmt.Sprintf("%x %d", []byte(id), revision))
		return err
	}, "SELECT id, revision FROM records WHERE label = $1 AND kind <> $2", l[:], docket.RecordNotice)
	slices.Sort(out)
	return out, err
}

// prepared is a write whose rows are sealed.
type prepared struct {
	label          vault.Label
	admit, replace mappingRow
	put            []recordRow
}

func (d *Directory) prepare(id csi.ID, w directory.Write) (prepared, error) {
	p := prepared{label: d.label(id)}
	for _, one := range []struct {
		v   mapping.Verified
		row *mappingRow
	}{{w.Admit, &p.admit}, {w.Replace, &p.replace}} {
		if one.v.IsZero() {
			continue
		}
		if one.v.Claims().CSI != id {
			return prepared{}, fmt.Errorf("sqlstore: apply: a mapping of another CSI")
		}
		var err error
		if *one.row, err = d.sealMapping(one.v); err != nil {
			return prepared{}, err
		}
	}
	for _, r := range w.Put {
		row, err := d.sealRecord(p.label, r)
		if err != nil {
			return prepared{}, err
		}
		p.put = append(p.put, row)
	}
	return p, nil
}

// write makes the changes, after their conditions are found true.
func (p prepared) write(ctx context.Context, t *sqldb.Tx, w directory.Write, now time.Time) error {
	if !w.Admit.IsZero() {
		if err := insertMapping(ctx, t, p.admit); err != nil {
			return err
		}
		if err := note(ctx, t, directory.Admitted, now, p.admit.id); err != nil {
			return err
		}
	}
	if !w.Replace.IsZero() {
		if err := replaceMapping(ctx, t, p.replace, w.Replace.Claims().Predecessor, now); err != nil {
			return err
		}
	}
	if err := endMappings(ctx, t, p.label, w.Ends, now); err != nil {
		return err
	}
	for _, r := range p.put {
		if err := putRecord(ctx, t, r); err != nil {
			return err
		}
	}
	for _, id := range w.Drop {
		if err := t.Exec(ctx, "DELETE FROM records WHERE id = $1 AND label = $2", id[:], p.label[:]); err != nil {
			return err
		}
	}
	return nil
}

func endMappings(ctx context.Context, t *sqldb.Tx, l vault.Label, ids []mapping.ID, now time.Time) error {
	var ended []mapping.ID
	for _, id := range ids {
		n, err := t.Affect(ctx, "DELETE FROM mappings WHERE id = $1 AND label = $2 AND expires > $3", id[:], l[:], sqldb.Milliseconds(now))
		if err != nil {
			return err
		}
		if n != 0 {
			ended = append(ended, id)
		}
	}
	return bury(ctx, t, directory.Withdrawn, now, ended...)
}

func putRecord(ctx context.Context, t *sqldb.Tx, r recordRow) error {
	if r.revision == 1 {
		n, err := t.Affect(ctx, "INSERT INTO records ("+recordColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
			r.id[:], r.label[:], r.kind, r.revision, r.due, r.until, r.Generation, r.Key, r.Body)
		if err == nil && n == 0 {
			return directory.ErrIDTaken
		}
		return err
	}
	n, err := t.Affect(ctx, "UPDATE records SET revision = $1, due = $2, until = $3, generation = $4, key = $5, body = $6 "+
		"WHERE id = $7 AND label = $8 AND kind = $9 AND revision = $10",
		r.revision, r.due, r.until, r.Generation, r.Key, r.Body, r.id[:], r.label[:], r.kind, r.revision-1)
	if err == nil && n == 0 {
		return directory.ErrRaced
	}
	return err
}

// Postpone implements [directory.CaseStore].
func (d *Directory) Postpone(ctx context.Context, id directory.RecordID, revision uint64, due time.Time) error {
	return d.DB.Write(ctx, "postpone", func(ctx context.Context, t *sqldb.Tx) error {
		if due.IsZero() {
			return t.Exec(ctx, "DELETE FROM records WHERE id = $1 AND revision = $2", id[:], revision)
		}
		return t.Exec(ctx, "UPDATE records SET due = $1 WHERE id = $2 AND revision = $3", dueOf(due), id[:], revision)
	})
}

// Clock implements [directory.CaseReader].
func (d *Directory) Clock(ctx context.Context) (directory.Tick, error) {
	var c directory.Tick
	err := d.DB.Each(ctx, func(row sqldb.Row) error {
		var seen, stood int64
		err := row.Scan(&seen, &stood)
		if seen != 0 {
			c.Seen = sqldb.Time(seen)
		}
		c.Stood = time.Duration(stood) * time.Millisecond
		return err
	}, "SELECT seen, stood FROM clock")
	if err != nil {
		return directory.Tick{}, fmt.Errorf("sqlstore: clock: %w", err)
	}
	return c, nil
}

// Tick implements [directory.CaseStore].
func (d *Directory) Tick(ctx context.Context, was, is directory.Tick) error {
	seen := func(t directory.Tick) int64 {
		if t.Seen.IsZero() {
			return 0
		}
		return sqldb.Milliseconds(t.Seen)
	}
	return d.DB.Write(ctx, "tick", func(ctx context.Context, t *sqldb.Tx) error {
		n, err := t.Affect(ctx, "UPDATE clock SET seen = $1, stood = $2 WHERE seen = $3 AND stood = $4",
			seen(is), is.Stood.Milliseconds(), seen(was), was.Stood.Milliseconds())
		if err == nil && n == 0 {
			return directory.ErrRaced
		}
		return err
	})
}

// sweepRecords removes records whose time is over, in portions.
func (d *Directory) sweepRecords(ctx context.Context, now time.Time, max int) error {
	for n := int64(max); n == int64(max); {
		err := d.DB.Write(ctx, "sweep records", func(ctx context.Context, t *sqldb.Tx) (err error) {
			n, err = t.Affect(ctx, "DELETE FROM records WHERE id IN "+
				"(SELECT id FROM records WHERE until <= $1 ORDER BY until, id LIMIT $2)", sqldb.Milliseconds(now), max)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
