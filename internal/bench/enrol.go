package bench

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"whither/internal/sqlstore/sqldb"
	"whither/wire"
)

// Sizes of the measurement enrol.
const (
	enrolRound   = 500 // submissions of a round
	enrolClients = 32
)

// enrol measures submissions against what they cannot do without: the checks of
// four signatures, and a durable commit of as many bytes, from as many callers.
//
// The bare commit is a write to a file and a sync. The DP does better than one
// sync for each submission, since its store takes all that waits into one; so
// beside it stands a harder measure, where the bare side does the same: rows of
// bytes, and nothing else, in a database of the engine that stores mappings.
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
	b, err := newRows(ctx, filepath.Join(r.dir, "bare.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	l, err := newFile(filepath.Join(r.dir, "bare.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.f.Close()) }()
	r.ratio("enrol_over_bare", "enrol", "bare")
	r.ratio("enrol_over_shared_commits", "enrol", "shared")
	r.figure("enrol_per_s", "enrol", 1)
	r.figure("bare_per_s", "bare", 1)
	r.figure("shared_commits_per_s", "shared", 1)
	r.figure("bundle_bytes", "size", 1)
	var e entries
	first := 0
	sides := []side{
		func(ctx context.Context) error { return r.all(ctx, "enrol", enrolClients, n, p.submit(e)) },
		func(ctx context.Context) error { return r.all(ctx, "shared", enrolClients, n, b.commit(e)) },
		func(ctx context.Context) error { return r.all(ctx, "bare", enrolClients, n, l.commit(e)) },
	}
	return r.rounds(ctx, func(ctx context.Context) (err error) {
		if e, err = f.prepare(ctx, first, n); err != nil {
			return err
		}
		first += n
		r.note("size", float64(len(e.random)))
		slices.Reverse(sides)
		for _, s := range sides {
			err = errors.Join(err, s(ctx))
		}
		return err
	})
}

// entries are submissions as they are sent, and taken apart.
type entries struct {
	messages   [][]byte
	signatures [][]signed
	random     []byte // as many as a mapping has with its receipts
}

// verify checks the signatures of submission i.
func (e entries) verify(i int) error {
	for _, s := range e.signatures[i] {
		if err := s.verify(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes n submissions of people from first on.
func (f *federation) prepare(ctx context.Context, first, n int) (entries, error) {
	e := entries{messages: make([][]byte, n), signatures: make([][]signed, n)}
	err := each(ctx, 4, n, func(_ context.Context, i int) error {
		one, err := f.Submission(first + i)
		if err != nil {
			return err
		}
		b := one.Mapping.Bundle()
		if e.signatures[i], err = f.signatures(b, one.Mapping.Claims().Holder); err != nil {
			return err
		}
		if len(e.signatures[i]) != 4 {
			return fmt.Errorf("%w: %d signatures", ErrWrong, len(e.signatures[i]))
		}
		if i == 0 {
			e.random = make([]byte, b.Size())
			_, _ = rand.Read(e.random) // it ends the process rather than fail
		}
		e.messages[i], err = wire.Encode(wire.TypeCBOR, wire.SubmitRequest{Offer: one.Offer, Bundle: wire.BundleOf(b)})
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

// schema is that of the bare database.
//
//go:embed schema
var schema embed.FS

// rows is a database of the engine that stores mappings, with nothing but bytes
// in it: no index, no seal, no feed.
type rows struct{ db *sqldb.DB }

func newRows(ctx context.Context, path string) (*rows, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, sqldb.Config{Options: sqldb.Options{Path: path}, Role: "bench", Schema: steps})
	return &rows{db}, err
}

// commit checks the signatures of a submission and commits as many bytes.
func (b *rows) commit(e entries) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		if err := e.verify(i); err != nil {
			return err
		}
		return b.db.Write(ctx, "rows", func(ctx context.Context, t *sqldb.Tx) error {
			return t.Exec(ctx, "INSERT INTO bare (body) VALUES ($1)", e.random)
		})
	}
}

// file is what bytes are added to durably, one sync for each.
type file struct {
	mu sync.Mutex
	f  *os.File
}

func newFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	return &file{f: f}, err
}

// commit checks the signatures of a submission and syncs as many bytes.
func (l *file) commit(e entries) func(context.Context, int) error {
	return func(_ context.Context, i int) error {
		if err := e.verify(i); err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		_, err := l.f.Write(e.random)
		return errors.Join(err, l.f.Sync())
	}
}
