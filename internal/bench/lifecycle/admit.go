package lifecycle

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"whither/internal/bench/cast"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/bare"
	"whither/internal/sqlstore/sqldb"
	"whither/mapping"
	"whither/registry"
)

// callers admit at the same time; connections are how many of PostgreSQL's bare
// transactions run at once.
const callers, connections = 32, 16

// pair is a store and, beside it in the same engine, the bare tables.
type pair struct {
	engine string
	store  *sqlstore.Directory
	bare   *bare.DB
}

// newPair makes both. The bare tables are made by a store, too.
func (r *run) newPair(ctx context.Context, engine string) (*pair, error) {
	at := func(name string) (sqldb.Options, error) {
		if engine == "sqlite" {
			return sqldb.Options{Path: filepath.Join(r.dir, name+".db")}, nil
		}
		u, err := r.server.Schema(ctx, name)
		return sqldb.Options{URL: u}, err
	}
	keys, err := sqlstore.MakeKeys(filepath.Join(r.dir, engine))
	if err != nil {
		return nil, err
	}
	open := func(at sqldb.Options) (*sqlstore.Directory, error) {
		return sqlstore.OpenDirectory(ctx, sqlstore.Options{Path: at.Path, URL: at.URL, Keys: keys})
	}
	tables, err := at("bare")
	if err != nil {
		return nil, err
	}
	made, err := open(tables)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	own, err := at("admit")
	if err != nil {
		return nil, err
	}
	p := &pair{engine: engine}
	if p.store, err = open(own); err != nil {
		return nil, err
	}
	if p.bare, err = bare.Open(ctx, tables, connections); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	return p, nil
}

func (p *pair) close() error { return errors.Join(p.store.Close(), p.bare.Close()) }

// admissions measures the stores against bare transactions.
func (r *run) admissions(ctx context.Context) (err error) {
	f, err := cast.New(time.Now())
	if err != nil {
		return err
	}
	source, err := f.Registry(r.dir, "https://127.0.0.1:1")
	if err != nil {
		return err
	}
	var pairs []*pair
	for _, engine := range []string{"sqlite", "postgres"} {
		p, err := r.newPair(ctx, engine)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close()) }()
		pairs = append(pairs, p)
	}
	var all []mapping.Verified
	sides := r.admitSides(ctx, pairs, &all)
	return r.rounds(ctx, "admissions", func(n int, order []int) (err error) {
		if all, err = r.prepare(ctx, f, source.Snapshot(), n*r.Admissions); err != nil {
			return err
		}
		for _, i := range order {
			if err := sides[i](); err != nil {
				return err
			}
		}
		return nil
	}, len(sides))
}

// admitSides are what is measured in turn, with the mappings of the round.
func (r *run) admitSides(ctx context.Context, pairs []*pair, all *[]mapping.Verified) []func() error {
	rate := func(name string, times, rows int, op func(context.Context, int) error) func() error {
		return func() error {
			began := time.Now()
			err := each(ctx, callers, times, op)
			r.note(name, float64(times*rows)/time.Since(began).Seconds())
			return err
		}
	}
	body := func() int { return (*all)[0].Bundle().Size() + 150 }
	var sides []func() error
	for _, p := range pairs {
		sides = append(sides,
			rate("admit_"+p.engine, r.Admissions, 1, func(ctx context.Context, i int) error {
				v := (*all)[i]
				return p.store.Admit(ctx, v, nil, v.Admitted().Add(time.Hour), v.Admitted())
			}),
			rate("bare_"+p.engine, r.Admissions, 1, func(ctx context.Context, _ int) error { return p.bare.Commit(ctx, 1, body()) }))
		if p.engine == "sqlite" {
			sides = append(sides, rate("shared_sqlite", r.Admissions/callers, callers, func(ctx context.Context, _ int) error {
				return p.bare.Commit(ctx, callers, body())
			}))
		}
	}
	return sides
}

// prepare makes the mappings of a round, of people from first on.
func (r *run) prepare(ctx context.Context, f *cast.Federation, s *registry.Snapshot, first int) ([]mapping.Verified, error) {
	all := make([]mapping.Verified, r.Admissions)
	err := each(ctx, 4, len(all), func(_ context.Context, i int) (err error) {
		all[i], err = f.Mapping(s, cast.Mail, first+i)
		return err
	})
	return all, err
}
