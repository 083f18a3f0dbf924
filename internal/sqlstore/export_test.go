package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
)

// Fill stores v's content n times, under the labels of as many people.
func (d *Directory) Fill(ctx context.Context, v mapping.Verified, n int) error {
	const portion = 1000
	for from := 0; from < n; from += portion {
		var rows []mappingRow
		for i := from; i < min(n, from+portion); i++ {
			id, err := csi.Parse(Person(i))
			if err != nil {
				return err
			}
			r, err := d.sealAs(v, id, i)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		err := d.DB.Write(ctx, "fill", func(ctx context.Context, t *sqldb.Tx) error {
			for _, r := range rows {
				if err := insertMapping(ctx, t, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Person is the CSI of the ith person of Fill.
func Person(i int) string { return fmt.Sprintf("mailto:user-%d@example.org", i) }

func (d *Directory) sealAs(v mapping.Verified, id csi.ID, i int) (mappingRow, error) {
	s := directory.StoredOf(v)
	binary.BigEndian.PutUint64(s.ID[:], uint64(i)*0x9e3779b97f4a7c15) // spread, as random ids are
	return d.seal(d.label(id), s)
}

// Reseal seals v and opens it again, so that both can be measured.
func (d *Directory) Reseal(v mapping.Verified) (open func() error, err error) {
	r, err := d.sealMapping(v)
	return func() error { _, _, err := d.openMapping(rowOf{&r}); return err }, err
}

// rowOf is a row as the database would return it.
type rowOf struct{ *mappingRow }

func (r rowOf) Scan(dest ...any) error {
	raw := [][]byte{r.id[:], r.label[:], r.digest[:], nil, nil, nil, r.Key, r.Body}
	for i, d := range dest {
		switch d := d.(type) {
		case *sql.RawBytes:
			*d = raw[i]
		case *int64:
			*d = map[int]int64{3: r.until, 4: r.expires}[i]
		case *uint32:
			*d = r.Generation
		}
	}
	return nil
}

// The codec of bodies.
var (
	AppendBody = appendBody
	ParseBody  = parseBody
)

// Empty removes all rows, and has the change feed begin anew.
func (d *Directory) Empty(ctx context.Context) error {
	return d.DB.Write(ctx, "empty", func(ctx context.Context, t *sqldb.Tx) error {
		for _, table := range []string{"mappings", "tombstones", "nonces", "changes", "records"} {
			if err := t.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		if err := t.Exec(ctx, "UPDATE clock SET seen = 0, stood = 0"); err != nil {
			return err
		}
		return t.Exec(ctx, "UPDATE feed SET seq = 0")
	})
}

// FillInOrder is Fill in the order of labels and ids, for very many: indexes then
// grow at their ends. Their pages are fuller than after years of admissions.
func (d *Directory) FillInOrder(ctx context.Context, v mapping.Verified, n int, progress func(done int)) error {
	type place struct {
		label vault.Label
		who   int
	}
	all := make([]place, n)
	for i := range all {
		id, err := csi.Parse(Person(i))
		if err != nil {
			return err
		}
		all[i] = place{d.label(id), i}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(bytes.Compare(a.label[:], b.label[:]), a.who-b.who) })
	const portion = 5000
	for from := 0; from < n; from += portion {
		to := min(n, from+portion)
		rows := make([]mappingRow, 0, portion)
		for i := from; i < to; i++ {
			s := directory.StoredOf(v)
			binary.BigEndian.PutUint64(s.ID[:], uint64(i)*(math.MaxUint64/uint64(n)))
			r, err := d.seal(all[i].label, s)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		err := d.DB.Write(ctx, "fill", func(ctx context.Context, t *sqldb.Tx) error {
			for _, r := range rows {
				if err := insertMapping(ctx, t, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		progress(to)
	}
	return nil
}
