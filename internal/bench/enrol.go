package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"whither/wire"
)

// Sizes of the measurement enrol.
const (
	enrolRound   = 1000 // submissions of a round
	enrolClients = 32
)

// enrol measures submissions against what they cannot do without: the checks of
// four signatures, and a durable commit of as many bytes.
func enrol(ctx context.Context, r *run) (err error) {
	n := r.Rows
	if n == 0 {
		n = enrolRound
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
	l, err := newLog(filepath.Join(r.dir, "bare.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r.ratio("enrol_over_bare", "enrol", "bare")
	r.figure("enrol_per_s", "enrol", 1)
	r.figure("bare_per_s", "bare", 1)
	r.figure("bundle_bytes", "size", 1)
	r.figure("bare_commits_together", "together", 1)
	var e entries
	first := 0
	return r.rounds(ctx, func(ctx context.Context) (err error) {
		if e, err = f.prepare(ctx, first, n); err != nil {
			return err
		}
		first += n
		r.note("size", float64(e.size))
		// Both are told apart by order only; every second round goes the other way.
		sides := []func(context.Context) error{
			func(ctx context.Context) error { return r.all(ctx, "enrol", enrolClients, n, p.submit(e)) },
			func(ctx context.Context) error { return r.all(ctx, "bare", enrolClients, n, l.bare(e)) },
		}
		before := l.commits
		if first/n%2 == 0 {
			sides[0], sides[1] = sides[1], sides[0]
		}
		err = errors.Join(sides[0](ctx), sides[1](ctx))
		r.note("together", float64(n)/float64(l.commits-before))
		return err
	})
}

// entries are submissions as they are sent, and taken apart.
type entries struct {
	messages [][]byte
	bare     [][]signed
	size     int // bytes of a mapping with its receipts
}

// prepare makes n submissions of people from first on.
func (f *federation) prepare(ctx context.Context, first, n int) (entries, error) {
	e := entries{messages: make([][]byte, n), bare: make([][]signed, n)}
	err := each(ctx, 4, n, func(_ context.Context, i int) error {
		one, err := f.submission(first + i)
		if err != nil {
			return err
		}
		b := one.u.Bundle()
		if e.bare[i], err = f.signatures(b, one.u.Claims().Holder); err != nil {
			return err
		}
		if len(e.bare[i]) != 4 {
			return fmt.Errorf("%w: %d signatures", ErrWrong, len(e.bare[i]))
		}
		if i == 0 {
			e.size = b.Size()
		}
		e.messages[i], err = wire.Encode(wire.TypeCBOR, wire.SubmitRequest{Offer: one.offer, Bundle: wire.BundleOf(b)})
		return err
	})
	return e, err
}

// submit sends a submission and looks that it was admitted.
func (p *people) submit(e entries) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		b, err := p.post(ctx, wire.PathMappings, e.messages[i])
		if err != nil {
			return err
		}
		var answer wire.SubmitAnswer
		if err := wire.Decode(wire.TypeCBOR, b, wire.MaxAnswer, &answer); err != nil {
			return err
		}
		if answer.State != wire.StateAdmitted {
			return fmt.Errorf("%w: %s", ErrWrong, answer.State)
		}
		return nil
	}
}

// log is a file to which bytes are added durably, those of several callers with
// one sync: the least that a durable commit can cost.
type log struct {
	file *os.File

	mu      sync.Mutex // of the file
	commits int
	waiting *commit
	gate    sync.Mutex // of waiting
}

// commit is one write and sync, for all who came before it began.
type commit struct {
	bytes []byte
	done  bool
	err   error
}

func newLog(path string) (*log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	return &log{file: f, waiting: &commit{}}, err
}

func (l *log) close() error { return l.file.Close() }

// add returns when b is on the disk.
func (l *log) add(b []byte) error {
	l.gate.Lock()
	c := l.waiting
	c.bytes = append(c.bytes, b...)
	l.gate.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.done {
		return c.err // whoever held the file before has written it
	}
	l.gate.Lock()
	l.waiting = &commit{}
	l.gate.Unlock()
	_, c.err = l.file.Write(c.bytes)
	c.err = errors.Join(c.err, l.file.Sync())
	c.done = true
	l.commits++
	return c.err
}

// bare checks the signatures of a submission and commits as many bytes.
func (l *log) bare(e entries) func(context.Context, int) error {
	random := make([]byte, e.size)
	_, _ = rand.Read(random) // it ends the process rather than fail
	return func(_ context.Context, i int) error {
		for _, s := range e.bare[i] {
			if err := s.verify(); err != nil {
				return err
			}
		}
		return l.add(random)
	}
}
