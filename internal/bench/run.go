package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// run is one measurement under way.
type run struct {
	Options
	began   time.Time
	dir     string
	machine Machine
	// values has, by name, one value of each round.
	values map[string][]float64
	// ratios has, by key, the names of numerator and denominator.
	ratios  map[string][2]string
	figures []figure
}

// figure is a number for the reader: factor times the median of a name's values.
type figure struct {
	key, name string
	factor    float64
}

func (r *run) say(format string, args ...any) {
	if r.Progress != nil {
		r.Progress(fmt.Sprintf(format, args...))
	}
}

// note keeps a value of this round.
func (r *run) note(name string, value float64) { r.values[name] = append(r.values[name], value) }

// ratio asks for a ratio, taken within each round.
func (r *run) ratio(key, numerator, denominator string) {
	r.ratios[key] = [2]string{numerator, denominator}
}

// figure asks for the median of a name's values, times factor.
func (r *run) figure(key, name string, factor float64) {
	r.figures = append(r.figures, figure{key, name, factor})
}

// side is one of the things that are measured in turn.
type side func(context.Context) error

// rounds runs every side once a round, until the time is spent. Every second
// round goes backwards, so that no side always follows the same other.
func (r *run) rounds(ctx context.Context, sides ...side) error {
	began := time.Now()
	more := func() bool {
		return time.Since(began) < r.Budget && (r.Total == 0 || time.Since(r.began) < r.Total)
	}
	for n := 0; n < MinRounds || more(); n++ {
		r.say("round %d", n+1)
		for _, s := range sides {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s(ctx); err != nil {
				return err
			}
		}
		slices.Reverse(sides)
	}
	return nil
}

func (r *run) result(name string) *Result {
	res := &Result{Name: name, Machine: r.machine, Ratios: make(map[string]Spread), Figures: make(map[string]float64)}
	for key, of := range r.ratios {
		n, d := r.values[of[0]], r.values[of[1]]
		v := make([]float64, min(len(n), len(d)))
		for i := range v {
			v[i] = n[i] / d[i]
		}
		res.Ratios[key] = SpreadOf(v)
	}
	for _, f := range r.figures {
		res.Figures[f.key] = f.factor * SpreadOf(r.values[f.name]).Median
	}
	return res
}

// load runs op again and again from several goroutines for one slice, and keeps
// how many a second there were. op gets a number that no other call has.
func (r *run) load(ctx context.Context, name string, workers int, op func(context.Context, int) error) error {
	var next atomic.Int64
	began := time.Now()
	err := spawn(workers, func() error {
		for time.Since(began) < r.Slice {
			if err := op(ctx, int(next.Add(1)-1)); err != nil {
				return err
			}
		}
		return nil
	})
	r.note(name, float64(next.Load())/time.Since(began).Seconds())
	return err
}

// all runs op for 0 … n−1 from several goroutines, and keeps how many a second
// there were.
func (r *run) all(ctx context.Context, name string, workers, n int, op func(context.Context, int) error) error {
	began := time.Now()
	err := each(ctx, workers, n, op)
	r.note(name, float64(n)/time.Since(began).Seconds())
	return err
}

// each runs op for 0 … n−1 from several goroutines.
func each(ctx context.Context, workers, n int, op func(context.Context, int) error) error {
	var next atomic.Int64
	return spawn(workers, func() error {
		for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := op(ctx, i); err != nil {
				next.Store(int64(n)) // the others stop, too
				return err
			}
		}
		return nil
	})
}

// spawn runs f in n goroutines and returns the first error.
func spawn(n int, f func() error) error {
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for range n {
		wg.Go(func() {
			if err := f(); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	wg.Wait()
	return first
}

// times runs op one after the other for one slice and keeps percentiles of how
// long one took, in seconds, as name_p50 and name_p99.
func (r *run) times(ctx context.Context, name string, op func(context.Context, int) error) error {
	var took []float64
	began := time.Now()
	for i := 0; time.Since(began) < r.Slice || i < 3; i++ {
		start := time.Now()
		if err := op(ctx, i); err != nil {
			return err
		}
		took = append(took, time.Since(start).Seconds())
	}
	slices.Sort(took)
	r.note(name+"_p50", took[len(took)/2])
	r.note(name+"_p99", took[len(took)*99/100])
	return nil
}
