package bench

import (
	"context"
	"errors"
	"time"

	"whither/internal/dp/directory"
)

// renewRows is how many mappings fall due in the measurement renew.
const renewRows = 10_000

// renewTerm is after how long signatures fall due: after more than half their life.
const renewTerm = 4 * 24 * time.Hour

// renew measures whether look-ups notice that the DP renews its signatures.
func renew(ctx context.Context, r *run) (err error) {
	rows := r.Rows
	if rows == 0 {
		rows = renewRows
	}
	f, err := newFederation(time.Now())
	if err != nil {
		return err
	}
	p, err := r.newPeople(ctx, f, "dp")
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return err
	}
	if err := r.fill(ctx, p, rows, nil, 0); err != nil {
		return err
	}
	p.advance(renewTerm)
	single, err := ask(5000, 1, 0, rows)
	if err != nil {
		return err
	}
	for _, of := range []string{"p50", "p99"} {
		r.ratio(of+"_renewing_over_idle", "renewing_"+of, "idle_"+of)
		r.figure("renewing_"+of+"_us", "renewing_"+of, 1e6)
		r.figure("idle_"+of+"_us", "idle_"+of, 1e6)
	}
	r.figure("renewed_per_s", "renewed", 1)
	r.figure("refused", "refused", 1)
	return r.rounds(ctx,
		func(ctx context.Context) error { return r.times(ctx, "idle", p.lookup(single)) },
		func(ctx context.Context) error { return r.renewing(ctx, p, single) },
	)
}

// renewing measures look-ups while the DP does what is due, at its own pace.
func (r *run) renewing(ctx context.Context, p *people, single []question) error {
	type outcome struct {
		work directory.Work
		err  error
	}
	work, stop := context.WithCancel(ctx)
	done := make(chan outcome, 1)
	began := time.Now()
	go func() {
		w, err := p.dp.Pass(work)
		done <- outcome{w, err}
	}()
	err := r.times(ctx, "renewing", p.lookup(single))
	stop()
	o := <-done
	if o.err == nil {
		p.advance(renewTerm) // all are renewed, and shall fall due again
	}
	if !errors.Is(o.err, context.Canceled) {
		err = errors.Join(err, o.err)
	}
	r.note("renewed", float64(o.work.Renewed)/time.Since(began).Seconds())
	r.note("refused", float64(o.work.Refused))
	return err
}
