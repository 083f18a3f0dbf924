package bench

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"whither/internal/bench/cast"
	"whither/internal/dp"
	"whither/internal/dp/directory"
	"whither/internal/pinned"
	"whither/internal/sqlstore"
	"whither/mapping"
	"whither/registry/update"
)

// federation is what the people of a measurement live in.
type federation struct{ *cast.Federation }

func newFederation(now time.Time) (*federation, error) {
	f, err := cast.New(now)
	return &federation{f}, err
}

// stage is a server in the place of the DP, on a socket of its own, with a
// registry that leads there, and the asking MSP's back-end as its client.
type stage struct {
	*federation
	source *update.Source
	client *pinned.Client
	dir    string
	stop   context.CancelFunc
	ended  chan error
}

// serveFunc serves on a listener until the context ends.
type serveFunc func(context.Context, net.Listener) error

// newStage starts what start returns, in a folder of a name.
func (r *run) newStage(ctx context.Context, f *federation, name string, start func(context.Context, *stage) (serveFunc, error)) (*stage, error) {
	s := &stage{federation: f, dir: filepath.Join(r.dir, name), ended: make(chan error, 1)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if s.source, err = f.Registry(s.dir, "https://"+l.Addr().String()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	serve, err := start(ctx, s)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.client = pinned.NewClient(s.source.Snapshot, f.Parties[cast.Asker].TLS, time.Now)
	ctx, s.stop = context.WithCancel(ctx)
	go func() { s.ended <- serve(ctx, l) }()
	return s, nil
}

// close ends the server and waits for it. Without a stage it does nothing.
func (s *stage) close() error {
	if s == nil {
		return nil
	}
	s.client.Close()
	s.stop()
	return <-s.ended
}

// post sends an encoded message to the DP's path.
func (s *stage) post(ctx context.Context, path string, message []byte) ([]byte, error) {
	return s.client.Post(ctx, s.Parties[cast.DP].ID, path, "", message)
}

// people is a DP with its store.
type people struct {
	*stage
	dp    *dp.DP
	store *sqlstore.Directory
	rows  int

	mu  sync.Mutex
	now func() time.Time // the DP's clock
}

// clock is the DP's clock.
func (p *people) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now()
}

// advance puts the DP's clock forward.
func (p *people) advance(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.now
	p.now = func() time.Time { return before().Add(by) }
}

// newPeople starts a DP whose store is empty. Its due work is done when asked.
func (r *run) newPeople(ctx context.Context, f *federation, name string) (*people, error) {
	p := &people{now: time.Now}
	var err error
	p.stage, err = r.newStage(ctx, f, name, func(ctx context.Context, s *stage) (serveFunc, error) {
		keys, err := sqlstore.MakeKeys(s.dir)
		if err != nil {
			return nil, err
		}
		p.store, err = sqlstore.OpenDirectory(ctx, sqlstore.Options{Path: filepath.Join(s.dir, "dp.db"), Keys: keys})
		if err != nil {
			return nil, err
		}
		own := f.Parties[cast.DP]
		p.dp, err = dp.New(dp.Config{
			Party: own.ID, Key: own.Sign, TLS: own.TLS, Offers: f.Secret, Store: p.store, Registry: s.source,
			Tick: 365 * 24 * time.Hour, Now: p.clock, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nil, errors.Join(err, p.store.Close())
		}
		return func(ctx context.Context, l net.Listener) error { return p.dp.Serve(ctx, l, nil) }, nil
	})
	return p, err
}

// close ends the DP and its store.
func (p *people) close() error {
	if p == nil || p.stage == nil {
		return nil
	}
	return errors.Join(p.stage.close(), p.store.Close())
}

// writers is how many admissions are under way at once: enough that the store
// commits many together.
const writers = 64

// fill admits the mappings of people 0 … n−1, and puts those of the first few
// into small as well.
func (r *run) fill(ctx context.Context, large *people, n int, small *people, few int) error {
	snapshot := large.source.Snapshot()
	large.rows = n
	if small != nil {
		small.rows = few
	}
	return each(ctx, writers, n, func(ctx context.Context, i int) error {
		if i%10_000 == 0 {
			r.say("%d of %d mappings", i, n)
		}
		v, err := large.Mapping(snapshot, cast.Mail, i)
		if err != nil {
			return err
		}
		if small != nil && i < few {
			if err := admit(ctx, small.store, v); err != nil {
				return err
			}
		}
		return admit(ctx, large.store, v)
	})
}

func admit(ctx context.Context, s directory.Store, v mapping.Verified) error {
	return s.Admit(ctx, v, nil, v.Admitted().Add(time.Hour), v.Admitted())
}
