package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
	"whither/registry"
)

// maxProblems is how many problems a report describes; it counts all.
const maxProblems = 100

// Report is what [Directory.Fsck] found. It names mappings and nobody.
type Report struct {
	Mappings   int // that live, or have expired and are not swept yet
	Tombstones int
	Nonces     int
	Changes    int
	Records    int
	Refused    int      // mappings that judge refused; they are stored well
	Problems   []string // the first hundred
	Damaged    int      // all problems
}

// Sound reports whether nothing is damaged.
func (r Report) Sound() bool { return r.Damaged == 0 }

// Fsck reads the whole database, as it is at one point in time, and checks
// that every row opens and says what its mapping says, that what lives and what
// has ended is what the change feed tells, and that the engine finds no damage
// below. It changes nothing, and may run beside the DP.
//
// judge, if it is not nil, judges each mapping, for instance by the policy of a
// registry's snapshot: a mapping can be stored well and not hold any more.
//
// The error is that of reading; what is wrong is in the report.
func (d *Directory) Fsck(ctx context.Context, judge func(mapping.Unverified) error) (Report, error) {
	f := &fsck{d: d, judge: judge, told: make(map[mapping.ID]bool)}
	err := d.DB.View(ctx, func(v sqldb.View) error {
		for _, check := range []func(context.Context, sqldb.View) error{f.changes, f.mappings, f.tombstones, f.nonces, f.records, f.engine} {
			if err := check(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("sqlstore: fsck: %w", err)
	}
	for id := range f.told {
		f.problem("mapping %s: the change feed tells of it, and it is gone without a trace", id)
	}
	return f.report, nil
}

// fsck is a check in progress.
type fsck struct {
	d      *Directory
	judge  func(mapping.Unverified) error
	report Report
	// told is what the change feed tells and was not found yet: that a mapping
	// lives (true) or has ended.
	told map[mapping.ID]bool
}

func (f *fsck) problem(format string, args ...any) {
	if f.report.Damaged++; f.report.Damaged <= maxProblems {
		f.report.Problems = append(f.report.Problems, fmt.Sprintf(format, args...))
	}
}

// changes replays the change feed.
func (f *fsck) changes(ctx context.Context, v sqldb.View) error {
	var last int64
	err := v.Each(ctx, func(row sqldb.Row) error {
		var seq int64
		var kind directory.ChangeKind
		var raw sql.RawBytes
		if err := row.Scan(&seq, &kind, &raw); err != nil {
			return err
		}
		f.report.Changes++
		last = seq
		id, err := idOf(raw)
		if err != nil {
			f.problem("change %d: id", seq)
			return nil //nolint:nilerr // noted; the rest is read on
		}
		lives, known := f.told[id]
		if kind == directory.Admitted && known || kind != directory.Admitted && !lives {
			f.problem("change %d of kind %d: mapping %s is not in a state for it", seq, kind, id)
		}
		f.told[id] = kind != directory.Withdrawn && kind != directory.Expired
		return nil
	}, "SELECT seq, kind, id FROM changes ORDER BY seq")
	if err != nil {
		return err
	}
	return v.Each(ctx, func(row sqldb.Row) error {
		var head int64
		if err := row.Scan(&head); err != nil {
			return err
		}
		if head < last {
			f.problem("the change feed's head is %d, its last number %d", head, last)
		}
		return nil
	}, "SELECT seq FROM feed")
}

// mappings opens every row.
func (f *fsck) mappings(ctx context.Context, v sqldb.View) error {
	return v.Each(ctx, func(row sqldb.Row) error {
		f.report.Mappings++
		label, s, err := f.d.openMapping(row)
		var u mapping.Unverified
		if err == nil {
			u, err = f.d.examine(label, s)
		}
		if err != nil {
			f.problem("%v", err)
		} else if f.judge != nil && f.judge(u) != nil {
			f.report.Refused++
		}
		f.settle(s.ID, true)
		return nil
	}, "SELECT "+mappingColumns+" FROM mappings")
}

// examine holds what a row says against the mapping in it.
func (d *Directory) examine(label vault.Label, s directory.Stored) (mapping.Unverified, error) {
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return u, fmt.Errorf("mapping %s: %w", s.ID, err)
	}
	c := u.Claims()
	var providers []registry.PartyID
	for _, e := range c.Entries {
		providers = append(providers, e.Provider)
	}
	var ended []registry.PartyID
	for _, e := range u.Ends() {
		ended = append(ended, e.Provider)
	}
	same := label == d.label(c.CSI) && s.ID == c.ID && s.Digest == u.Digest() && s.Holder == c.Holder.ID() &&
		s.Lineage == c.Lineage && s.Sequence == c.Sequence && s.Audience == c.Audience &&
		slices.Equal(s.Providers, providers) && slices.Equal(s.Ended, ended) && s.Expires.Equal(c.Expires) && !s.Until.After(s.Expires)
	if !same {
		return u, fmt.Errorf("mapping %s: the row says something else than the mapping in it", s.ID)
	}
	return u, nil
}

// settle compares what was found with what the change feed told.
func (f *fsck) settle(id mapping.ID, lives bool) {
	if told, known := f.told[id]; !known || told != lives {
		f.problem("mapping %s: the change feed tells otherwise of it", id)
	}
	delete(f.told, id)
}

func (f *fsck) tombstones(ctx context.Context, v sqldb.View) error {
	return v.Each(ctx, func(row sqldb.Row) error {
		f.report.Tombstones++
		var raw sql.RawBytes
		if err := row.Scan(&raw); err != nil {
			return err
		}
		id, err := idOf(raw)
		if err != nil {
			f.problem("tombstone: id")
			return nil //nolint:nilerr // noted; the rest is read on
		}
		f.settle(id, false)
		return nil
	}, "SELECT id FROM tombstones")
}

func (f *fsck) nonces(ctx context.Context, v sqldb.View) error {
	return v.Each(ctx, func(row sqldb.Row) error { return row.Scan(&f.report.Nonces) }, "SELECT count(*) FROM nonces")
}

// records opens every record.
func (f *fsck) records(ctx context.Context, v sqldb.View) error {
	return v.Each(ctx, func(row sqldb.Row) error {
		f.report.Records++
		if _, err := f.d.openRecord(row); err != nil {
			f.problem("%v", err)
		}
		return nil
	}, "SELECT "+recordColumns+" FROM records")
}

// engine asks SQLite or its like about its own structures.
func (f *fsck) engine(ctx context.Context, v sqldb.View) error {
	damage, err := v.Damage(ctx)
	for _, line := range damage {
		f.problem("database: %s", line)
	}
	return err
}
