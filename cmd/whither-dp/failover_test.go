package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/pgserver"
	"whither/internal/sqlstore"
	"whither/internal/storetest/pgtest"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/problem"
)

// TestFailover kills the primary of a PostgreSQL with a synchronous standby while
// people enrol, over HTTPS with two DP processes, and beside them right into a
// store; and promotes the standby a moment later. Nothing that was acknowledged
// is lost, nothing is there by half, and both go on by themselves.
func TestFailover(t *testing.T) {
	people, direct := 60, 400
	if long() {
		people, direct = 600, 10_000
	}
	c := newCluster(t)
	s := newSeveral(t, 2, pgserver.URL("dp", c.primary, c.standby))
	var waiting []*person
	for i := range people {
		waiting = append(waiting, s.person(fmt.Sprintf("user%d", i)))
	}
	w := c.newWriter(t, direct)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var enrolled, failed atomic.Int64
	var clients sync.WaitGroup
	for i := range submitters {
		clients.Go(func() {
			client := s.client()
			for _, p := range waiting[i*people/submitters : (i+1)*people/submitters] {
				for {
					err := client.submit(ctx, p)
					if err == nil {
						break
					}
					failed.Add(1)
					var d problem.Document
					if errors.As(err, &d) && d.Kind() != problem.Unavailable {
						t.Errorf("an enrolment is refused: %v", err)
					}
					if ctx.Err() != nil {
						t.Error("an enrolment is not admitted in time")
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
				enrolled.Add(1)
				time.Sleep(20 * time.Millisecond) // some are left for the time after
			}
		})
	}
	clients.Go(func() { w.run(ctx) })
	for enrolled.Load() < int64(people/3) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	before := enrolled.Load()
	check(t, c.primary.Kill())
	died := time.Now()
	time.Sleep(3 * time.Second) // whoever decides on the new primary takes his time
	check(t, c.standby.Promote(ctx))
	promoted := time.Now()
	clients.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d of %d had enrolled; the standby was promoted after %.1f s, all were enrolled %.1f s later; %d submissions failed and were repeated; in the store %d of %d writes were uncertain or failed",
		before, people, promoted.Sub(died).Seconds(), time.Since(promoted).Seconds(), failed.Load(), w.failed, direct)
	if before == int64(people) {
		t.Error("nobody enrolled while the primary died")
	}
	for i, v := range s.found(waiting...) {
		if v.IsZero() {
			t.Errorf("person %d was acknowledged and is lost", i)
		}
	}
	w.judge()
	if report := s.fsck(whither(t)); report.Mappings != people {
		t.Errorf("the DPs' store: %+v", report)
	}
}

// cluster is a primary whose commits wait for a standby.
type cluster struct{ primary, standby *pgserver.Server }

func newCluster(t *testing.T) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := &cluster{primary: pgtest.Start(t)}
	for _, schema := range []string{"dp", "direct"} {
		_, err := c.primary.Schema(ctx, schema)
		check(t, err)
	}
	var err error
	c.standby, err = pgserver.Start(ctx, pgserver.Config{Primary: c.primary})
	check(t, err)
	t.Cleanup(func() {
		if err := c.standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	_, err = c.primary.SQL(ctx, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	check(t, err)
	_, err = c.primary.SQL(ctx, "SELECT pg_reload_conf()")
	check(t, err)
	for state := ""; state != "sync"; {
		state, err = c.primary.SQL(ctx, "SELECT sync_state FROM pg_stat_replication")
		check(t, err)
	}
	return c
}

// writer admits mappings into a store, again and again until it is told that
// they are there.
type writer struct {
	t      *testing.T
	f      *worldtest.Federation
	store  *sqlstore.Directory
	all    []mapping.Verified
	failed int
}

func (c *cluster) newWriter(t *testing.T, n int) *writer {
	t.Helper()
	keys, err := sqlstore.MakeKeys(t.TempDir())
	check(t, err)
	w := &writer{t: t, f: worldtest.New(t)}
	w.store, err = sqlstore.OpenDirectory(t.Context(), sqlstore.Options{URL: pgserver.URL("direct", c.primary, c.standby), Keys: keys})
	check(t, err)
	t.Cleanup(func() { check(t, w.store.Close()) })
	for i := range n {
		name := fmt.Sprintf("direct%d@example.org", i)
		w.all = append(w.all, w.f.Mapping(name, name, worldtest.MSPA))
	}
	return w
}

func (w *writer) run(ctx context.Context) {
	for _, v := range w.all {
		for {
			err := w.store.Admit(ctx, v, nil, w.f.Now.Add(time.Hour), w.f.Now)
			if err == nil || errors.Is(err, directory.ErrRaced) { // of one that was made and not acknowledged
				break
			}
			w.failed++
			if ctx.Err() != nil {
				w.t.Errorf("a write is not made in time: %v", err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// judge looks for all that was acknowledged.
func (w *writer) judge() {
	w.t.Helper()
	for i, v := range w.all {
		if _, err := w.store.ByID(w.t.Context(), v.Claims().ID, w.f.Now); err != nil {
			w.t.Errorf("write %d was acknowledged and is lost: %v", i, err)
		}
	}
	report, err := w.store.Fsck(w.t.Context(), nil)
	if err != nil || !report.Sound() || report.Mappings != len(w.all) || report.Changes != len(w.all) {
		w.t.Errorf("the store: %+v, %v", report, err)
	}
}
