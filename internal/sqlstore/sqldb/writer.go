package sqldb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the one goroutine that writes. It takes all that waits into one
// transaction, since the price of a commit is a sync of the disk, and that is
// the same for one write and for a hundred.
//
//	callers ── queue ──▶ BEGIN · SAVEPOINT work RELEASE · … · COMMIT ──▶ answers
//
// A write that fails is rolled back to its savepoint and spoils no other.
// Nobody is answered before the commit, those that failed neither: what they
// saw may have been written in the same transaction, and is true only then.
type writer struct {
	dialect dialect
	pool    *sql.DB              // of which conn is; another one is taken when it breaks
	conn    *sql.Conn            // owned by the goroutine, as are
	stmts   map[string]*sql.Stmt // the statements prepared on it

	queue chan *write
	ended chan struct{} // closed when the goroutine has ended
	tidy  atomic.Bool   // asked for after the next commit

	mu     sync.RWMutex // held for reading while something is put into the queue
	closed bool
}

// Work is what a write does in its transaction. It may be run more than once,
// so what it sets outside the database it sets anew each time. What it returns
// is returned to the caller; an error undoes what it did.
type Work func(context.Context, *Tx) error

// write is one caller's work on its way.
type write struct {
	work  Work
	twice bool // for tests: run, take back, run again
	state atomic.Int32
	err   error // of the last run
	done  chan error
}

// States of a write. A caller whose context ends may give it up while it waits.
const (
	waiting int32 = iota
	taken
	abandoned
)

const defaultQueue = 256

func startWriter(d dialect, pool *sql.DB, conn *sql.Conn, queue int) *writer {
	if queue == 0 {
		queue = defaultQueue
	}
	w := &writer{
		dialect: d, pool: pool, conn: conn, stmts: make(map[string]*sql.Stmt),
		queue: make(chan *write, queue), ended: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do has work made durably, alone or together with others. If ctx ends while
// the work waits, it is not made; once begun, its end is waited for, so that
// the caller knows.
func (w *writer) do(ctx context.Context, twice bool, work Work) error {
	p := &write{work: work, twice: twice, done: make(chan error, 1)}
	if err := w.enqueue(ctx, p); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		if p.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		return <-p.done
	}
}

func (w *writer) enqueue(ctx context.Context, p *write) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.queue <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close refuses new writes, finishes those that wait, and ends the goroutine.
func (w *writer) close() error {
	w.mu.Lock()
	first := !w.closed
	if w.closed = true; first {
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.ended
	if !first {
		return nil
	}
	return w.hangUp()
}

// hangUp closes the connection. Statements of one connection do not end with
// it, and SQLite keeps a connection with statements, and its log, until the
// process ends.
func (w *writer) hangUp() error {
	if w.conn == nil {
		return nil
	}
	var err error
	for _, s := range w.stmts {
		err = errors.Join(err, s.Close())
	}
	err = errors.Join(err, w.conn.Close())
	clear(w.stmts)
	w.conn = nil
	return err
}

func (w *writer) loop() {
	defer close(w.ended)
	batch := make([]*write, 0, w.dialect.group)
	for p := range w.queue {
		// Those who were just answered and write again are about to queue: with
		// four of them, letting them run first makes two fifths more a second.
		runtime.Gosched()
		batch = w.gather(batch[:0], p)
		if len(batch) == 0 {
			continue
		}
		err := w.commit(context.Background(), batch)
		for _, p := range batch {
			if err != nil {
				p.err = err
			}
			p.done <- p.err
		}
		if w.conn != nil && w.tidy.Swap(false) {
			w.dialect.tidy(context.Background(), w.conn)
		}
	}
}

// gather takes first and what waits behind it.
func (w *writer) gather(batch []*write, first *write) []*write {
	for p := first; ; {
		if p.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, p)
		}
		if len(batch) == w.dialect.group {
			return batch
		}
		select {
		case next, ok := <-w.queue:
			if !ok {
				return batch
			}
			p = next
		default:
			return batch
		}
	}
}

// maxRuns bounds how often a transaction is run again, the dialect's patience how
// long that may take together.
const maxRuns = 10

// pause waits before run n+1, twice as long each time and a random part more, so
// that those who collided do not meet again.
func pause(ctx context.Context, n int) {
	var random [1]byte
	_, _ = rand.Read(random[:]) // it ends the process rather than fail
	base := min(time.Millisecond<<n, 512*time.Millisecond)
	t := time.NewTimer(base + base*time.Duration(random[0])/256)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// commit makes a batch. An error means that nothing of it was made, save for
// ErrUncertain. The context is the goroutine's own: ending a statement half way
// would roll back the writes of others.
func (w *writer) commit(ctx context.Context, batch []*write) error {
	if w.dialect.patience != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.dialect.patience)
		defer cancel()
	}
	for n := 1; ; n++ {
		err := w.attempt(ctx, batch)
		if err == nil {
			return nil
		}
		lost := w.dialect.lost(err)
		if lost || errors.Is(err, ErrUncertain) {
			_ = w.hangUp() // it is broken
		} else if w.conn != nil {
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // the engine may have done so already
		}
		switch {
		case errors.Is(err, ErrUncertain):
			return err
		case n < maxRuns && ctx.Err() == nil && (lost || w.dialect.again(err)):
			pause(ctx, n)
		case lost:
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		default:
			return fmt.Errorf("sqldb: %w", err)
		}
	}
}

// attempt runs a batch once.
func (w *writer) attempt(ctx context.Context, batch []*write) (err error) {
	if w.conn == nil {
		if w.conn, err = w.pool.Conn(ctx); err != nil {
			return err
		}
	}
	t := &Tx{w: w}
	if err := w.begin(ctx, t); err != nil {
		return err
	}
	for _, p := range batch {
		if err := w.run(ctx, t, p); err != nil {
			return err
		}
	}
	if w.dialect.commit == nil {
		return t.Exec(ctx, "COMMIT")
	}
	if err = w.dialect.commit(ctx, w.conn); err != nil && w.dialect.lost(err) {
		return fmt.Errorf("%w: %w", ErrUncertain, err) // it may be done, and only the answer be missing
	}
	return err
}

// begin begins a transaction and waits for its turn, in one message.
func (w *writer) begin(ctx context.Context, t *Tx) error {
	if w.dialect.turn == "" {
		return t.Exec(ctx, w.dialect.begin)
	}
	_, err := w.conn.ExecContext(ctx, w.dialect.begin+"; "+w.dialect.turn)
	return err
}

// run makes one write of a batch. It returns an error if the whole batch is
// spoilt by it.
func (w *writer) run(ctx context.Context, t *Tx, p *write) error {
	if err := t.Exec(ctx, "SAVEPOINT work"); err != nil {
		return err
	}
	p.err = p.work(ctx, t)
	if p.twice { // as if the engine had taken it back
		if err := t.Exec(ctx, "ROLLBACK TO SAVEPOINT work"); err != nil {
			return err
		}
		p.err = p.work(ctx, t)
	}
	if p.err != nil {
		if w.dialect.again(p.err) || w.dialect.lost(p.err) {
			return p.err
		}
		if err := t.Exec(ctx, "ROLLBACK TO SAVEPOINT work"); err != nil {
			return fmt.Errorf("%w, after %w", err, p.err)
		}
	}
	return t.Exec(ctx, "RELEASE SAVEPOINT work")
}

// Tx is a transaction in progress.
type Tx struct{ w *writer }

// stmt returns a statement of the writing connection, prepared once.
func (t *Tx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := t.w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.w.stmts[query] = s
	return s, nil
}

// Exec executes a statement.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) error {
	_, err := t.Affect(ctx, query, args...)
	return err
}

// Affect executes a statement and returns how many rows it changed.
func (t *Tx) Affect(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // the writer keeps its statements
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Has reports whether a query has a row.
func (t *Tx) Has(ctx context.Context, query string, args ...any) (bool, error) {
	found := false
	err := t.Each(ctx, func(Row) error { found = true; return nil }, query, args...)
	return found, err
}

// Each runs a query and hands each row to scan.
func (t *Tx) Each(ctx context.Context, scan func(Row) error, query string, args ...any) error {
	s, err := t.stmt(ctx, query)
	if err != nil {
		return err
	}
	return each(ctx, s, scan, args)
}

// Row is one row of an answer. It is valid within the scanning function only.
type Row interface {
	Scan(dest ...any) error
}

func each(ctx context.Context, s *sql.Stmt, scan func(Row) error, args []any) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
