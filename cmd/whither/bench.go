package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"whither/internal/bench"
	"whither/internal/bench/every"
	"whither/internal/console"
	"whither/internal/dp"
)

// benchCommand measures on this machine what a DP costs.
type benchCommand struct {
	Name  string `arg:"" help:"What to measure: direct (look-ups), enrol, verify, renew, lifecycle (SQLite and PostgreSQL), private (retrieval) or oprf." enum:"direct,enrol,verify,renew,lifecycle,private,oprf"`
	Quick bool   `help:"Measure for less than a minute."`
	Rows  int    `help:"Mappings in the large store, or, for enrol, of a round." placeholder:"N"`
}

// Run measures and prints.
func (c benchCommand) Run(ctx context.Context, s *session) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o := every.Order{Name: c.Name, Quick: c.Quick, Rows: c.Rows, Now: s.Now, Program: []string{program, "bench-dp"}}
	if !s.JSON {
		o.Progress = func(what string) { _, _ = fmt.Fprintln(s.ErrOut, what) }
	}
	m, err := every.Run(ctx, o)
	if errors.Is(err, bench.ErrOptions) {
		return fmt.Errorf("%w: %w", console.ErrUsage, err)
	}
	if err != nil {
		return err
	}
	return s.Table(m.Result, m.Table())
}

// benchDPCommand is a DP that is measured.
type benchDPCommand struct {
	Config string `arg:"" help:"Settings file."`
}

// Run serves until it is told to end.
func (c benchDPCommand) Run(ctx context.Context, s *session) error {
	return dp.Run(ctx, c.Config, dp.Options{Now: s.Now, Log: slog.New(slog.NewJSONHandler(s.ErrOut, nil))})
}
