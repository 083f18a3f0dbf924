package main

import (
	"context"
	"log/slog"

	"whither/internal/demo"
)

type demoCommand struct {
	Once bool `help:"Do everything once, check every result, and exit with 0 or 1."`
	Logs bool `help:"Show the parties' logs."`
}

// Run starts a whole federation, shows a discovery in it, and stays up unless
// told not to. With --dir it keeps the federation's folder.
func (c demoCommand) Run(ctx context.Context, s *session) error {
	config := demo.Config{Command: run, Once: c.Once, Log: slog.New(slog.DiscardHandler), Out: s.Out, Now: s.Now}
	if s.dirGiven {
		config.Dir = s.dir
	}
	if c.Logs {
		config.Log = slog.New(slog.NewTextHandler(s.ErrOut, nil))
	}
	return demo.Run(ctx, config)
}
