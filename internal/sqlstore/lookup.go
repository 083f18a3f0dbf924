package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
)

// maxLabels is how many labels one statement asks for. More are asked for in
// several, which see one state together.
const maxLabels = 1024

// findQueries returns the statements that ask for the live rows of 1, 4, 16 …
// maxLabels labels: a handful serves every number. The sum keeps engines from
// reading an index for all that has not expired yet, which is nearly everything.
func findQueries() []string {
	var all []string
	for n := 1; n <= maxLabels; n *= 4 {
		var q strings.Builder
		q.WriteString("SELECT " + mappingColumns + " FROM mappings WHERE expires + 0 > $1 AND label IN ($2")
		for i := range n - 1 {
			q.WriteString(", $" + strconv.Itoa(i+3))
		}
		q.WriteByte(')')
		all = append(all, q.String())
	}
	return all
}

// findQuery returns the smallest statement for labels, and its arguments: the
// last label is repeated to fill it up.
func (d *Directory) findQuery(labels []vault.Label, now time.Time) (string, []any) {
	which, n := 0, 1
	for n < len(labels) {
		which, n = which+1, n*4
	}
	args := make([]any, 0, n+1)
	args = append(args, sqldb.Milliseconds(now))
	for i := range n {
		args = append(args, labels[min(i, len(labels)-1)][:])
	}
	return d.find[which], args
}

// Find implements [directory.Reader]. The mappings of one CSI come in the
// order of their ids, which says nothing about their age.
func (d *Directory) Find(ctx context.Context, ids []csi.ID, now time.Time) ([][]directory.Stored, error) {
	found := make([][]directory.Stored, len(ids))
	asked := make(map[vault.Label][]int, len(ids)) // a CSI may be asked for twice
	labels := make([]vault.Label, 0, len(ids))
	for i, id := range ids {
		l := d.label(id)
		if asked[l] == nil {
			labels = append(labels, l)
		}
		asked[l] = append(asked[l], i)
	}
	take := func(row sqldb.Row) error {
		label, s, err := d.openMapping(row)
		for _, i := range asked[label] {
			found[i] = append(found[i], s)
		}
		return err
	}
	if err := d.eachOf(ctx, labels, now, take); err != nil {
		return nil, fmt.Errorf("sqlstore: find: %w", err)
	}
	for _, s := range found {
		slices.SortFunc(s, func(a, b directory.Stored) int { return compareID(a.ID, b.ID) })
	}
	return found, nil
}

// eachOf hands the live rows of labels to take, as of one point in time.
func (d *Directory) eachOf(ctx context.Context, labels []vault.Label, now time.Time, take func(sqldb.Row) error) error {
	if len(labels) == 0 {
		return nil
	}
	if len(labels) <= maxLabels {
		q, args := d.findQuery(labels, now)
		return d.DB.Each(ctx, take, q, args...)
	}
	return d.DB.View(ctx, func(v sqldb.View) error {
		for part := range slices.Chunk(labels, maxLabels) {
			q, args := d.findQuery(part, now)
			if err := v.Each(ctx, take, q, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// ByID implements [directory.Reader].
func (d *Directory) ByID(ctx context.Context, id mapping.ID, now time.Time) (directory.Stored, error) {
	var s directory.Stored
	found := false
	err := d.DB.Each(ctx, func(row sqldb.Row) (err error) {
		found = true
		_, s, err = d.openMapping(row)
		return err
	}, "SELECT "+mappingColumns+" FROM mappings WHERE id = $1 AND expires > $2", id[:], sqldb.Milliseconds(now))
	if err != nil {
		return directory.Stored{}, fmt.Errorf("sqlstore: by id: %w", err)
	}
	if !found {
		return directory.Stored{}, directory.ErrUnknown
	}
	return s, nil
}

// Changes implements [directory.Reader].
func (d *Directory) Changes(ctx context.Context, after uint64, max int) ([]directory.Change, error) {
	if max <= 0 || after > math.MaxInt64 {
		return nil, nil
	}
	var changes []directory.Change
	err := d.DB.Each(ctx, func(row sqldb.Row) error {
		var c directory.Change
		var id sql.RawBytes
		var at int64
		err := row.Scan(&c.Seq, &c.Kind, &id, &at)
		if err == nil {
			c.ID, err = idOf(id)
		}
		c.At = sqldb.Time(at)
		changes = append(changes, c)
		return err
	}, "SELECT seq, kind, id, at FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2", after, max)
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
	var due []directory.Due
	err := d.DB.Each(ctx, func(row sqldb.Row) error {
		var until int64
		var id sql.RawBytes
		err := row.Scan(&until, &id)
		one := directory.Due{Until: sqldb.Time(until)}
		if err == nil {
			one.ID, err = idOf(id)
		}
		due = append(due, one)
		return err
	}, "SELECT until, id FROM mappings WHERE (until, id) > ($1, $2) AND until < $3 AND until < expires ORDER BY until, id LIMIT $4",
		sqldb.Milliseconds(after.Until), after.ID[:], sqldb.CeilMilliseconds(t), max)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: renewals due: %w", err)
	}
	return due, nil
}
