package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/registry"
)

// Part is something that a role does until ctx ends.
type Part func(ctx context.Context) error

// All does every part at once. The first that ends ends all; All returns when
// the last has.
func All(ctx context.Context, parts ...Part) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, len(parts))
	for _, part := range parts {
		go func() { done <- part(ctx) }()
	}
	var err error
	for range parts {
		err = errors.Join(err, <-done)
		stop()
	}
	return err
}

// Ticking has a role's step done every so often. It is the one place with a
// timer: all work is in the steps, which take the time from outside.
func Ticking(every time.Duration, now func() time.Time, log *slog.Logger, step func(context.Context, time.Time) error) Part {
	return func(ctx context.Context) error {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				if err := step(ctx, now()); err != nil && ctx.Err() == nil {
					log.ErrorContext(ctx, "due work failed", slog.Any("error", err))
				}
			}
		}
	}
}

// ServeOperations answers on the operations address.
func ServeOperations(l net.Listener, ready func() error, metrics ...prometheus.Collector) Part {
	return func(ctx context.Context) error {
		g := prometheus.NewRegistry()
		for _, m := range metrics {
			if err := g.Register(m); err != nil {
				return fmt.Errorf("endpoint: metrics: %w", err)
			}
		}
		return Serve(ctx, l, nil, Operations(ready, g))
	}
}

// Source is where a role has its registry from.
type Source interface {
	Snapshot() *registry.Snapshot
	Step(ctx context.Context, now time.Time) (changed bool, err error)
}

// Follow looks for a newer registry. Trouble is logged; what was known stays in
// force until it expires.
func Follow(ctx context.Context, s Source, now time.Time, log *slog.Logger) {
	changed, err := s.Step(ctx, now)
	if err != nil {
		log.WarnContext(ctx, "registry not taken over", slog.Any("error", err))
	}
	if changed {
		log.InfoContext(ctx, "registry taken over", slog.Uint64("version", s.Snapshot().Version()))
	}
}
