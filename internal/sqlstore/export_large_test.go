package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
)

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
