// Package lifecycle measures what it costs to keep mappings, on SQLite and on
// PostgreSQL: admissions against bare durable transactions of the same shape,
// and the processor time of a look-up while one DP process serves, and while
// four share a database.
//
// An admission is the store's: the decision and the signatures before it are
// measured by package bench. Its bare side (package sqlstore/bare) executes the
// same statements on the same tables, from as many callers, each transaction by
// itself; on SQLite beside it stands a harder one, which takes as many rows into
// a transaction as there are callers, as the store does.
//
// Stores are on a disk. PostgreSQL is a private server of this machine, over a
// socket; DPs are processes of their own, asked over HTTPS with mutual TLS, each
// as often in a second whether there is one or four. Their processor time and
// that of the database server is read from /proc, so look-ups are measured on
// Linux alone. Both sides of a ratio run in turn, round by round.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"whither/internal/bench"
	"whither/internal/pgserver"
)

// ErrWrong means that what was measured does not do what it should.
var ErrWrong = errors.New("lifecycle: a wrong answer")

// Options say how much is measured.
type Options struct {
	// Budget is how long the rounds of each of the two parts may take together;
	// there are at least [bench.MinRounds].
	Budget time.Duration
	// Admissions are those of a round; Rows are the mappings that are looked up.
	Admissions, Rows int
	// Slice is how long look-ups are made in a round.
	Slice time.Duration
	// Dir is where stores are made; empty is the system's temporary folder.
	Dir string
	// Program and what is appended to it, the path of a settings file, start a DP.
	Program []string
	// Progress is told what is being done; nil is nobody.
	Progress func(what string)
}

// Full measures for five minutes.
func Full() Options {
	return Options{Budget: 100 * time.Second, Admissions: 2000, Rows: 50_000, Slice: 3 * time.Second}
}

// Quick measures for less than 50 seconds on two processors that nobody disturbs.
func Quick() Options {
	return Options{Budget: 10 * time.Second, Admissions: 400, Rows: 2000, Slice: 1200 * time.Millisecond}
}

// run is a measurement under way.
type run struct {
	Options
	dir    string
	server *pgserver.Server
	values map[string][]float64 // one of each round
}

// Run measures.
func Run(ctx context.Context, o Options) (_ *bench.Result, err error) {
	if o.Admissions <= 0 || o.Rows <= 0 || o.Slice <= 0 || len(o.Program) == 0 {
		return nil, fmt.Errorf("%w: %d admissions, %d rows, slices of %s, program %q", bench.ErrOptions, o.Admissions, o.Rows, o.Slice, o.Program)
	}
	machine := bench.Here()
	r := &run{Options: o, values: make(map[string][]float64)}
	if r.dir, err = os.MkdirTemp(o.Dir, "whither-bench-"); err != nil {
		return nil, fmt.Errorf("lifecycle: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	parent := o.Dir
	if parent == "" {
		parent = os.TempDir() // a disk, unlike what the server takes by itself
	}
	r.server, err = pgserver.Start(ctx, pgserver.Config{Parent: parent, Settings: map[string]string{"shared_buffers": "256MB"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.server.Stop()) }()
	if err = r.admissions(ctx); err == nil {
		err = r.lookups(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("lifecycle: %w", err)
	}
	return r.result(machine), nil
}

func (r *run) say(format string, args ...any) {
	if r.Progress != nil {
		r.Progress(fmt.Sprintf(format, args...))
	}
}

func (r *run) note(name string, value float64) { r.values[name] = append(r.values[name], value) }

// rounds runs round until the time is spent. Every second one is asked to take
// its sides backwards, so that none always follows the same other.
func (r *run) rounds(ctx context.Context, part string, round func(n int, sides []int) error, sides int) error {
	order := make([]int, sides)
	for i := range order {
		order[i] = i
	}
	began := time.Now()
	for n := 0; n < bench.MinRounds || time.Since(began) < r.Budget; n++ {
		r.say("%s, round %d", part, n+1)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := round(n, order); err != nil {
			return err
		}
		slices.Reverse(order)
	}
	return nil
}

// each runs op for 0 … n−1 from several goroutines; the first error ends it.
func each(ctx context.Context, workers, n int, op func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < n && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				if err := op(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// result takes ratios within each round.
func (r *run) result(machine bench.Machine) *bench.Result {
	res := &bench.Result{Name: "lifecycle", Machine: machine, Ratios: make(map[string]bench.Spread), Figures: make(map[string]float64)}
	for key, of := range map[string][2]string{
		"admit_over_bare_sqlite":     {"admit_sqlite", "bare_sqlite"},
		"admit_over_shared_sqlite":   {"admit_sqlite", "shared_sqlite"},
		"admit_over_bare_postgres":   {"admit_postgres", "bare_postgres"},
		"cpu_per_lookup_4_over_1":    {"cpu_4", "cpu_1"},
		"dp_cpu_per_lookup_4_over_1": {"dp_cpu_4", "dp_cpu_1"},
	} {
		n, d := r.values[of[0]], r.values[of[1]]
		v := make([]float64, min(len(n), len(d)))
		for i := range v {
			v[i] = n[i] / d[i]
		}
		res.Ratios[key] = bench.SpreadOf(v)
	}
	for key, of := range map[string]struct {
		name   string
		factor float64
	}{
		"admit_sqlite_per_s": {"admit_sqlite", 1}, "bare_sqlite_per_s": {"bare_sqlite", 1}, "shared_sqlite_per_s": {"shared_sqlite", 1},
		"admit_postgres_per_s": {"admit_postgres", 1}, "bare_postgres_per_s": {"bare_postgres", 1},
		"cpu_per_lookup_1_us": {"cpu_1", 1e6}, "cpu_per_lookup_4_us": {"cpu_4", 1e6},
		"dp_cpu_per_lookup_1_us": {"dp_cpu_1", 1e6}, "dp_cpu_per_lookup_4_us": {"dp_cpu_4", 1e6},
	} {
		res.Figures[key] = of.factor * bench.SpreadOf(r.values[of.name]).Median
	}
	return res
}
