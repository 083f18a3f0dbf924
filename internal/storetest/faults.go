package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/pgtest"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

// write is a good call of a writing method, with what is true of the one CSI
// that it is about.
type write struct {
	name          string
	before, after []mapping.Verified // what lives at now
	now           time.Time
	do            func(context.Context) error
	again         error // of the second time
}

// writeOf readies the store for one call of each writing method.
func (s *stage) writeOf(method string) write {
	v, id := s.first(s.t, alice, "1", nil), mapping.ID{}
	s.admit(v)
	id = v.Claims().ID
	w := write{name: method, before: []mapping.Verified{v}, now: s.now}
	switch method {
	case "admit":
		beside := s.first(s.t, alice, "2", nil)
		w.after, w.again = []mapping.Verified{v, beside}, directory.ErrRaced
		w.do = func(ctx context.Context) error {
			return s.store.Admit(ctx, beside, []mapping.ID{id}, s.hour(), s.now)
		}
	case "apply":
		beside := s.first(s.t, alice, "2", nil)
		w.after, w.again = []mapping.Verified{v, beside}, directory.ErrRaced
		saw := s.caseOf(v)
		w.do = func(ctx context.Context) error {
			put := []directory.Record{s.record(1, docket.RecordClaim, time.Hour)}
			return s.store.Apply(ctx, v.Claims().CSI, saw, directory.Write{Admit: beside, Put: put}, s.now)
		}
	case "replace":
		next := s.next(s.t, v, alice, "2", nil)
		w.after, w.again = []mapping.Verified{next}, directory.ErrRaced
		w.do = func(ctx context.Context) error { return s.store.Replace(ctx, next, s.hour(), s.now) }
	case "renew":
		renewed := s.renewed(s.t, v, time.Minute)
		w.after = []mapping.Verified{renewed}
		w.do = func(ctx context.Context) error { return s.store.Renew(ctx, []mapping.Verified{renewed}, s.now) }
	case "end":
		ended := s.ended(s.t, v, worldtest.MSPA)
		w.after = []mapping.Verified{ended}
		w.do = func(ctx context.Context) error { return s.store.End(ctx, ended, s.now) }
	case "withdraw":
		w.again = directory.ErrUnknown
		w.do = func(ctx context.Context) error { return s.store.Withdraw(ctx, id, v.Digest(), s.now) }
	case "sweep":
		short := s.first(s.t, alice, "2", s.living(time.Hour))
		s.admit(short, id)
		w.after = []mapping.Verified{v}
		w.now = s.now.Add(time.Hour)
		w.do = func(ctx context.Context) error {
			_, err := s.store.Sweep(ctx, w.now, 10)
			return err
		}
	}
	return w
}

// each runs a test for every writing method.
func (s *stage) each(run func(*stage, write)) {
	for _, method := range []string{"admit", "apply", "replace", "renew", "end", "withdraw", "sweep"} {
		s.sub(method, func(s *stage) { run(s, s.writeOf(method)) })
	}
}

// lines counts the change feed.
func (s *stage) lines() int {
	s.t.Helper()
	c, err := s.store.Changes(s.ctx(), 0, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(c)
}

// expect checks what lives, and how many lines the change feed has.
func (s *stage) expect(w write, lines int, live ...mapping.Verified) {
	s.t.Helper()
	s.holds(w.now, w.before[0].Claims().CSI, live...)
	if n := s.lines(); n != lines {
		s.t.Errorf("%d changes, want %d", n, lines)
	}
}

// testFaults lets each write fail before it is made, and after.
func testFaults(s *stage) {
	s.each(func(s *stage, w write) {
		lines := s.lines()
		s.fault = sqldb.FailBefore
		s.check("fails before", w.do(s.ctx()), sqldb.ErrInjected)
		if w.name != "sweep" { // expired mappings are not found anyway
			s.expect(w, lines, w.before...)
		} else if n := s.lines(); n != lines {
			s.t.Errorf("%d changes, want %d", n, lines)
		}
		s.fault = sqldb.FailAfter
		s.check("fails after", w.do(s.ctx()), sqldb.ErrInjected)
		s.expect(w, lines+1, w.after...)
		s.fault = sqldb.NoFault
		s.check("again", w.do(s.ctx()), w.again)
		s.holds(w.now, w.before[0].Claims().CSI, w.after...)
	})
}

// testTwice runs the transaction of each write twice, as engines may, and then
// the write itself.
func testTwice(s *stage) {
	s.each(func(s *stage, w write) {
		lines := s.lines()
		s.fault = sqldb.RunTwice
		s.check("run twice", w.do(s.ctx()), nil)
		s.expect(w, lines+1, w.after...)
		s.check("again", w.do(s.ctx()), w.again)
		s.holds(w.now, w.before[0].Claims().CSI, w.after...)
	})
}

// testEndedContext makes calls that nobody waits for any more.
func testEndedContext(s *stage) {
	s.each(func(s *stage, w write) {
		lines := s.lines()
		ctx, cancel := context.WithCancel(s.ctx())
		cancel()
		s.check("ended", w.do(ctx), context.Canceled)
		if n := s.lines(); n != lines {
			s.t.Errorf("%d changes, want %d", n, lines)
		}
		if _, err := s.store.ByID(ctx, w.before[0].Claims().ID, w.now); !errors.Is(err, context.Canceled) {
			s.t.Errorf("read: %v", err)
		}
		s.check("and again", w.do(s.ctx()), nil)
		s.expect(w, lines+1, w.after...)
	})
}

// Connections runs every writing method of stores on PostgreSQL with connections
// that break. open opens an empty store behind the cutter.
func Connections(t *testing.T, cutter *pgtest.Cutter, open OpenDirectory) {
	c := newCast(t)
	for name, one := range map[string]struct {
		cut  pgtest.Cut
		err  error
		made bool
	}{
		"at its beginning":  {pgtest.CutBegin, nil, true}, // it is made over another connection
		"before its commit": {pgtest.CutBefore, sqldb.ErrUncertain, false},
		"after its commit":  {pgtest.CutAfter, sqldb.ErrUncertain, true},
	} {
		t.Run(name, func(t *testing.T) {
			newStage(t, c, open).each(func(s *stage, w write) {
				lines, cuts := s.lines(), cutter.Cuts.Load()
				cutter.Arm(one.cut)
				s.check("cut", w.do(s.ctx()), one.err)
				if n := cutter.Cuts.Load() - cuts; n != 1 {
					s.t.Fatalf("%d connections were cut", n)
				}
				again := w.again
				if one.made {
					s.expect(w, lines+1, w.after...)
				} else if again = nil; s.lines() != lines {
					s.t.Errorf("%d changes, want %d", s.lines(), lines)
				}
				s.check("again", w.do(s.ctx()), again)
				s.holds(w.now, w.before[0].Claims().CSI, w.after...)
			})
		})
	}
}
