package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/mapping"
)

// maxLabels is how many labels one statement asks for. More are asked for in
// several, within one transaction.
const maxLabels = 1024

// Find implements [directory.Reader]. The mappings of one CSI come in the
// order of their ids, which says nothing about their age.
func (d *Directory) Find(ctx context.Context, ids []csi.ID, now time.Time) ([][]directory.Stored, error) {
	found := make([][]directory.Stored, len(ids))
	asked := make(map[label][]int, len(ids)) // a CSI may be asked for twice
	labels := make([]label, 0, len(ids))
	for i, id := range ids {
		l := d.db.vault.label(id)
		if asked[l] == nil {
			labels = append(labels, l)
		}
		asked[l] = append(asked[l], i)
	}
	take := func(rows *sql.Rows) error {
		var r mappingRow
		if err := scanMapping(rows, &r); err != nil {
			return err
		}
		s, err := d.openMapping(&r)
		if err != nil {
			return err
		}
		for _, i := range asked[r.label] {
			found[i] = append(found[i], s)
		}
		return nil
	}
	if err := d.eachOf(ctx, labels, now, take); err != nil {
		return nil, fmt.Errorf("sqlstore: find: %w", err)
	}
	for _, s := range found {
		slices.SortFunc(s, func(a, b directory.Stored) int { return compareID(a.ID, b.ID) })
	}
	return found, nil
}

// eachOf hands the live rows of labels to take, as of one point in time: one
// statement sees one state by itself, several need a transaction around them.
func (d *Directory) eachOf(ctx context.Context, labels []label, now time.Time, take func(*sql.Rows) error) error {
	switch {
	case len(labels) == 0:
		return nil
	case len(labels) <= maxLabels:
		q, args := findQuery(labels, now)
		s, err := d.db.read(ctx, q)
		if err != nil {
			return err
		}
		return each(ctx, s, take, args...)
	}
	t, err := d.db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer t.Rollback()
	for part := range slices.Chunk(labels, maxLabels) {
		q, args := findQuery(part, now)
		s, err := d.db.read(ctx, q)
		if err != nil {
			return err
		}
		if err := each(ctx, t.StmtContext(ctx, s), take, args...); err != nil {
			return err
		}
	}
	return nil
}

// findQuery asks for the live rows of labels. The number of its parameters is
// the next power of four, the last label repeated, so that a handful of
// statements serves every number of labels.
func findQuery(labels []label, now time.Time) (string, []any) {
	n := 1
	for n < len(labels) {
		n *= 4
	}
	args := make([]any, 0, n+1)
	args = append(args, floor(now))
	var q strings.Builder
	q.WriteString("SELECT " + mappingColumns + " FROM mappings WHERE expires > $1 AND label IN (")
	for i := range n {
		if i > 0 {
			q.WriteByte(',')
		}
		q.WriteByte('$')
		q.WriteString(strconv.Itoa(i + 2))
		args = append(args, labels[min(i, len(labels)-1)][:])
	}
	q.WriteByte(')')
	return q.String(), args
}

// ByID implements [directory.Reader].
func (d *Directory) ByID(ctx context.Context, id mapping.ID, now time.Time) (directory.Stored, error) {
	s, err := d.db.read(ctx, "SELECT "+mappingColumns+" FROM mappings WHERE id = $1 AND expires > $2")
	if err != nil {
		return directory.Stored{}, err
	}
	var r mappingRow
	found := false
	err = each(ctx, s, func(rows *sql.Rows) error { found = true; return scanMapping(rows, &r) }, id[:], floor(now))
	if err != nil {
		return directory.Stored{}, fmt.Errorf("sqlstore: by id: %w", err)
	}
	if !found {
		return directory.Stored{}, directory.ErrUnknown
	}
	stored, err := d.openMapping(&r)
	if err != nil {
		return directory.Stored{}, fmt.Errorf("sqlstore: by id: %w", err)
	}
	return stored, nil
}

// Changes implements [directory.Reader].
func (d *Directory) Changes(ctx context.Context, after uint64, max int) ([]directory.Change, error) {
	if max <= 0 {
		return nil, nil
	}
	s, err := d.db.read(ctx, "SELECT seq, kind, id, at FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2")
	if err != nil {
		return nil, err
	}
	var changes []directory.Change
	err = each(ctx, s, func(rows *sql.Rows) error {
		var c directory.Change
		var id sql.RawBytes
		var at int64
		if err := rows.Scan(&c.Seq, &c.Kind, &id, &at); err != nil {
			return err
		}
		c.At = fromMilli(at)
		c.ID, err = idOf(id)
		changes = append(changes, c)
		return err
	}, min(after, 1<<63-1), max)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: changes: %w", err)
	}
	return changes, nil
}

// RenewalsDue implements [directory.Reader]. A signature that lasts as long as
// its mapping is not due: a fresh one would end no later.
func (d *Directory) RenewalsDue(ctx context.Context, after directory.Due, t time.Time, max int) ([]directory.Due, error) {
	if max <= 0 {
		return nil, nil
	}
	s, err := d.db.read(ctx, "SELECT until, id FROM mappings WHERE (until, id) > ($1, $2) AND until < $3 AND until < expires "+
		"ORDER BY until, id LIMIT $4")
	if err != nil {
		return nil, err
	}
	var due []directory.Due
	err = each(ctx, s, func(rows *sql.Rows) error {
		var until int64
		var id sql.RawBytes
		if err := rows.Scan(&until, &id); err != nil {
			return err
		}
		one := directory.Due{Until: fromMilli(until)}
		one.ID, err = idOf(id)
		due = append(due, one)
		return err
	}, floor(after.Until), after.ID[:], ceil(t), max)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: renewals due: %w", err)
	}
	return due, nil
}
