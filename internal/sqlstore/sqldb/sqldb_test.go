package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"whither/internal/sqlstore/sqldb"
)

// schema makes steps, the first of which makes a table t with a key k.
func schema(more ...string) fstest.MapFS {
	fs := fstest.MapFS{"0001.sql": {Data: []byte("CREATE TABLE t (k BIGINT NOT NULL PRIMARY KEY, v TEXT)")}}
	for i, step := range more {
		fs[fmt.Sprintf("%04d.sql", i+2)] = &fstest.MapFile{Data: []byte(step)}
	}
	return fs
}

func config(o sqldb.Options, steps fstest.MapFS) sqldb.Config {
	return sqldb.Config{Options: o, Role: "test", Schema: steps}
}

// everywhere are the tests that every engine must pass, on a new database each.
func everywhere() map[string]func(*testing.T, sqldb.Options) {
	return map[string]func(*testing.T, sqldb.Options){
		"Migrate": migrates, "Meta": notes, "OneFailureSpoilsNoOther": oneFailureSpoilsNoOther, "GivingUp": givingUp, "FullQueue": fullQueue,
		"CloseFinishesWhatWaits": closeFinishesWhatWaits, "TwoProcesses": twoProcesses, "View": view, "Faults": faults,
		"OlderBesideNewer": olderBesideNewer, "ManyViews": manyViews,
	}
}

func file(t testing.TB) sqldb.Options {
	return sqldb.Options{Path: filepath.Join(t.TempDir(), "test.db")}
}

func TestSQLite(t *testing.T) {
	for name, test := range everywhere() {
		t.Run(name, func(t *testing.T) { test(t, file(t)) })
	}
}

func open(t testing.TB, c sqldb.Config) *sqldb.DB {
	t.Helper()
	d, err := sqldb.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func closed(t testing.TB, d *sqldb.DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB, o sqldb.Options) *sqldb.DB {
	t.Helper()
	d := open(t, config(o, schema()))
	t.Cleanup(func() { closed(t, d) })
	return d
}

func insert(k int) sqldb.Work {
	return func(ctx context.Context, t *sqldb.Tx) error { return t.Exec(ctx, "INSERT INTO t (k) VALUES ($1)", k) }
}

// keys returns what table t holds.
func keys(t testing.TB, d *sqldb.DB) []int {
	t.Helper()
	var all []int
	err := d.Each(t.Context(), func(r sqldb.Row) error {
		var k int
		err := r.Scan(&k)
		all = append(all, k)
		return err
	}, "SELECT k FROM t ORDER BY k")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func migrates(t *testing.T, o sqldb.Options) {
	d := open(t, config(o, schema()))
	if err := d.Write(t.Context(), "insert", insert(1)); err != nil {
		t.Fatal(err)
	}
	closed(t, d)

	// A step that fails half way leaves the schema before it.
	const add = "ALTER TABLE t ADD COLUMN w BIGINT NOT NULL DEFAULT 7;\n"
	if _, err := sqldb.Open(t.Context(), config(o, schema(add+"CREATE TABLE t (k BIGINT)"))); err == nil || !strings.Contains(err.Error(), "schema 2") {
		t.Errorf("half a step: %v", err)
	}
	d = open(t, config(o, schema()))
	closed(t, d)

	// Steps follow one another; the first good one stays though the next fails.
	if _, err := sqldb.Open(t.Context(), config(o, schema(add, "nonsense"))); err == nil || !strings.Contains(err.Error(), "schema 3") {
		t.Errorf("second step: %v", err)
	}
	if _, err := sqldb.Open(t.Context(), config(o, schema())); !errors.Is(err, sqldb.ErrNewer) {
		t.Errorf("the old release: %v", err)
	}
	d = open(t, config(o, schema(add, "CREATE TABLE u (k BIGINT);\nINSERT INTO u SELECT w FROM t;")))
	defer closed(t, d)
	got := 0
	if err := d.Each(t.Context(), func(r sqldb.Row) error { return r.Scan(&got) }, "SELECT k FROM u"); err != nil || got != 7 {
		t.Errorf("migrated data: %d, %v", got, err)
	}
}

// olderBesideNewer has a release go on, and start anew, beside one that has
// migrated by steps which only add; and refuses it after one that does more.
func olderBesideNewer(t *testing.T, o sqldb.Options) {
	const adds = "-- oldest: 1\nALTER TABLE t ADD COLUMN w BIGINT NOT NULL DEFAULT 7;\nCREATE TABLE u (k BIGINT)"
	old := open(t, config(o, schema()))
	defer closed(t, old)
	fresh := open(t, config(o, schema(adds, "-- oldest: 1\nCREATE TABLE x (k BIGINT)")))
	defer closed(t, fresh)
	again := open(t, config(o, schema()))
	defer closed(t, again)
	for i, d := range []*sqldb.DB{old, fresh, again} {
		if err := d.Write(t.Context(), "insert", insert(i)); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if got := keys(t, d); len(got) != i+1 {
			t.Errorf("%d sees %v", i, got)
		}
	}
	middle := open(t, config(o, schema(adds)))
	closed(t, middle)
	last := open(t, config(o, schema(adds, "-- oldest: 1\n", "-- oldest: 2\nDROP TABLE x")))
	closed(t, last)
	if _, err := sqldb.Open(t.Context(), config(o, schema())); !errors.Is(err, sqldb.ErrNewer) {
		t.Errorf("a release that is too old: %v", err)
	}
	closed(t, open(t, config(o, schema(adds))))
}

// manyOpenAtOnce has many processes start on an empty database.
func manyOpenAtOnce(t *testing.T, o sqldb.Options) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			d, err := sqldb.Open(t.Context(), config(o, schema("CREATE TABLE u (k BIGINT)")))
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(d.Write(t.Context(), "insert", insert(i)), d.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSchemaFolders(t *testing.T) {
	for name, steps := range map[string]fstest.MapFS{
		"none":      {},
		"a gap":     {"0001.sql": {}, "0003.sql": {}},
		"not one":   {"0002.sql": {}},
		"a stray":   {"0001.sql": {}, "0001.sql~": {}},
		"misspelt":  {"1.sql": {}},
		"two names": {"0001.sql": {}, "0001_more.sql": {}},
		"a folder":  {"0001.sql": {}, "more/0001.sql": {}},
		"for none":  {"0001.sql": {}, "postgres/0002.sql": {}},
		"too old":   {"0001.sql": {Data: []byte("-- oldest: 0\n")}},
		"too new":   {"0001.sql": {Data: []byte("-- oldest: 2\n")}},
		"no number": {"0001.sql": {Data: []byte("-- oldest: one\n")}},
	} {
		if d, err := sqldb.Open(t.Context(), config(file(t), steps)); err == nil {
			t.Errorf("%s: opened", name)
			closed(t, d)
		}
	}
}

// manyViews opens more views at once than there are connections, with statements
// that nobody has asked before.
func manyViews(t *testing.T, o sqldb.Options) {
	d := opened(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg, begun sync.WaitGroup
	begun.Add(4) // as many as a file has readers
	for i := range 24 {
		wg.Go(func() {
			err := d.View(ctx, func(v sqldb.View) error {
				if i < 4 {
					begun.Done()
					begun.Wait()
				}
				return v.Each(ctx, func(sqldb.Row) error { return nil }, fmt.Sprintf("SELECT k FROM t WHERE k = %d", i))
			})
			if err != nil {
				t.Error(err)
			}
		})
		if i == 3 {
			begun.Wait()
		}
	}
	wg.Wait()
}

func notes(t *testing.T, o sqldb.Options) {
	var seen map[string]string
	c := config(o, schema())
	refusal := errors.New("not these keys")
	var refuse error
	c.Accept = func(meta map[string]string) error {
		seen = meta
		return refuse
	}
	d := open(t, c)
	if len(seen) != 0 {
		t.Errorf("a new database has notes: %v", seen)
	}
	err := d.Write(t.Context(), "note", func(ctx context.Context, t *sqldb.Tx) error {
		return errors.Join(t.SetMeta(ctx, "a", "1"), t.SetMeta(ctx, "b", "2"), t.SetMeta(ctx, "a", "3"))
	})
	if err != nil {
		t.Fatal(err)
	}
	closed(t, d)
	refuse = refusal
	if _, err := sqldb.Open(t.Context(), c); !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
	if seen["a"] != "3" || seen["b"] != "2" {
		t.Errorf("notes %v", seen)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]sqldb.Options{
		"no path": {}, "readers": {Path: "x", Readers: -1}, "queue": {Path: "x", Queue: -1},
		"no folder": {Path: filepath.Join(t.TempDir(), "none", "test.db")}, "a folder": {Path: t.TempDir()},
	} {
		if d, err := sqldb.Open(t.Context(), sqldb.Config{Options: o, Role: "test", Schema: schema()}); err == nil {
			t.Errorf("%s: opened", name)
			closed(t, d)
		}
	}
}

// oneFailureSpoilsNoOther puts writes that fail in all ways among others,
// into one transaction.
func oneFailureSpoilsNoOther(t *testing.T, o sqldb.Options) {
	d := opened(t, o)
	mine := errors.New("a reason of the role's")
	block, blocked := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // holds the writer, so that the others come together
		err := d.Write(t.Context(), "hold", func(context.Context, *sqldb.Tx) error {
			close(blocked)
			<-block
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-blocked
	var mu sync.Mutex
	failed := make(map[int]error)
	for i := range 60 {
		wg.Go(func() {
			err := d.Write(t.Context(), "insert", func(ctx context.Context, tx *sqldb.Tx) error {
				if err := insert(i)(ctx, tx); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return mine
				case 2:
					return insert(i)(ctx, tx) // a key twice
				case 3:
					return tx.Exec(ctx, "no SQL")
				default:
					return nil
				}
			})
			mu.Lock()
			defer mu.Unlock()
			failed[i] = err
		})
	}
	time.Sleep(20 * time.Millisecond) // most are in the queue by then; the result is the same if not
	close(block)
	wg.Wait()
	for i, err := range failed {
		if (i%4 == 0) != (err == nil) || (i%4 == 1) != errors.Is(err, mine) {
			t.Errorf("%d: %v", i, err)
		}
	}
	var want []int
	for i := 0; i < 60; i += 4 {
		want = append(want, i)
	}
	if got := keys(t, d); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// givingUp lets contexts end while their writes wait, and while they run.
func givingUp(t *testing.T, o sqldb.Options) {
	d := opened(t, o)
	block, blocked := make(chan struct{}), make(chan struct{})
	running, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := d.Write(running, "first", func(ctx context.Context, tx *sqldb.Tx) error {
			close(blocked)
			<-block
			return insert(1)(ctx, tx)
		})
		if err != nil {
			t.Errorf("a write that had begun: %v", err)
		}
	})
	<-blocked
	waiting, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.Write(waiting, "second", insert(2)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write that waited: %v", err)
	}
	giveUp()
	close(block)
	wg.Wait()
	if err := d.Write(t.Context(), "third", insert(3)); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, d); fmt.Sprint(got) != "[1 3]" {
		t.Errorf("%v", got)
	}
}

// fullQueue checks that callers wait when the queue is full, and can give
// that up, too.
func fullQueue(t *testing.T, o sqldb.Options) {
	c := config(o, schema())
	c.Queue = 1
	d := open(t, c)
	defer closed(t, d)
	block, blocked := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = d.Write(t.Context(), "hold", func(context.Context, *sqldb.Tx) error {
			close(blocked)
			<-block
			return nil
		})
	})
	<-blocked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for i := range 5 {
		wg.Go(func() {
			if err := d.Write(ctx, "insert", insert(i)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	<-ctx.Done()
	time.Sleep(5 * time.Millisecond)
	close(block)
	wg.Wait()
	if got := keys(t, d); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// closeFinishesWhatWaits closes while many write: each write was either
// made, or refused as closed.
func closeFinishesWhatWaits(t *testing.T, o sqldb.Options) {
	d := open(t, config(o, schema()))
	var mu sync.Mutex
	made := 0
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				err := d.Write(t.Context(), "insert", insert(g*1_000_000+i))
				if errors.Is(err, sqldb.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	closed(t, d)
	closed(t, d) // again, which does nothing
	wg.Wait()
	d = open(t, config(o, schema()))
	defer closed(t, d)
	if got := len(keys(t, d)); got != made || made == 0 {
		t.Errorf("%d rows, %d answered", got, made)
	}
}

// twoProcesses writes through two handles on one file, as a role and fsck
// would.
func twoProcesses(t *testing.T, o sqldb.Options) {
	a, b := open(t, config(o, schema())), open(t, config(o, schema()))
	var wg sync.WaitGroup
	for i, d := range []*sqldb.DB{a, b} {
		wg.Go(func() {
			for k := range 50 {
				if err := d.Write(t.Context(), "insert", insert(2*k+i)); err != nil {
					t.Error(err)
				}
				d.Tidy()
			}
		})
	}
	wg.Wait()
	if n := len(keys(t, a)); n != 100 {
		t.Errorf("%d rows", n)
	}
	closed(t, a)
	closed(t, b)
}

// view checks that a view shows one state while others write.
func view(t *testing.T, o sqldb.Options) {
	d := opened(t, o)
	count := func(v sqldb.View) (n int) {
		if err := v.Each(t.Context(), func(r sqldb.Row) error { return r.Scan(&n) }, "SELECT count(*) FROM t"); err != nil {
			t.Error(err)
		}
		return n
	}
	err := d.View(t.Context(), func(v sqldb.View) error {
		before := count(v)
		d.Tidy() // must not wait for us for long
		if err := d.Write(t.Context(), "insert", insert(1)); err != nil {
			return err
		}
		if err := d.Write(t.Context(), "insert", insert(2)); err != nil {
			return err
		}
		if after := count(v); before != 0 || after != 0 {
			t.Errorf("%d rows, then %d", before, after)
		}
		damage, err := v.Damage(t.Context())
		if len(damage) != 0 {
			t.Errorf("damage: %q", damage)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := keys(t, d); len(got) != 2 {
		t.Errorf("%v", got)
	}
	// What a reader asks for cannot write.
	err = d.Each(t.Context(), func(sqldb.Row) error { return nil }, "DELETE FROM t RETURNING k")
	if err == nil || len(keys(t, d)) != 2 {
		t.Errorf("a reader wrote: %v", err)
	}
}

func faults(t *testing.T, o sqldb.Options) {
	c := config(o, schema())
	var fault sqldb.Fault
	var asked []string
	c.Fault = func(name string) sqldb.Fault {
		asked = append(asked, name)
		return fault
	}
	d := open(t, c)
	defer closed(t, d)
	for i, step := range []struct {
		fault sqldb.Fault
		want  error
	}{{sqldb.NoFault, nil}, {sqldb.FailBefore, sqldb.ErrInjected}, {sqldb.FailAfter, sqldb.ErrInjected}, {sqldb.RunTwice, nil}} {
		fault = step.fault
		if err := d.Write(t.Context(), fmt.Sprint("write ", i), insert(i)); !errors.Is(err, step.want) {
			t.Errorf("%d: %v, want %v", i, err, step.want)
		}
	}
	if got := keys(t, d); fmt.Sprint(got) != "[0 2 3]" {
		t.Errorf("%v", got)
	}
	if fmt.Sprint(asked) != "[write 0 write 1 write 2 write 3]" {
		t.Errorf("asked for %q", asked)
	}
}
