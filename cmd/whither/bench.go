package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"

	"whither/internal/bench"
	"whither/internal/bench/lifecycle"
	"whither/internal/bench/private"
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
	if c.Name == "private" || c.Name == "oprf" {
		return c.private(ctx, s)
	}
	if c.Name == "lifecycle" {
		return c.lifecycle(ctx, s)
	}
	o := bench.Full()
	if c.Quick {
		o = bench.Quick()
	}
	o.Rows, o.Progress = c.Rows, progress(s)
	r, err := bench.Run(ctx, c.Name, o)
	if err != nil {
		return err
	}
	return printMeasured(s, r, r.Ratios, r.Figures)
}

// progress tells people what is being done.
func progress(s *session) func(string) {
	if s.json {
		return nil
	}
	return func(what string) { _, _ = fmt.Fprintln(s.errOut, what) }
}

// lifecycle measures stores of both engines. Its DPs are processes of this program.
func (c benchCommand) lifecycle(ctx context.Context, s *session) error {
	o := lifecycle.Full()
	if c.Quick {
		o = lifecycle.Quick()
	}
	if c.Rows != 0 {
		o.Rows = c.Rows
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o.Program, o.Progress = []string{program, "bench-dp"}, progress(s)
	r, err := lifecycle.Run(ctx, o)
	if err != nil {
		return err
	}
	return printMeasured(s, r, r.Ratios, r.Figures)
}

// benchDPCommand is a DP that is measured.
type benchDPCommand struct {
	Config string `arg:"" help:"Settings file."`
}

// Run serves until it is told to end.
func (c benchDPCommand) Run(ctx context.Context, s *session) error {
	return dp.Run(ctx, c.Config, dp.Options{Now: s.now, Log: slog.New(slog.NewJSONHandler(s.errOut, nil))})
}

// private measures the private road: the retrieval engine over a table of 256
// MiB, or the oblivious PRF over batches.
func (c benchCommand) private(ctx context.Context, s *session) error {
	if c.Rows != 0 {
		return fmt.Errorf("%w: --rows goes with direct, enrol, verify, renew and lifecycle", errUsage)
	}
	inputs, rounds, o := 500, 11, private.Full(256<<20, s.now)
	if c.Quick {
		inputs, rounds, o = 100, 3, private.Quick(s.now)
	}
	measure := func() (*private.Result, error) { return private.Run(ctx, o) }
	if c.Name == "oprf" {
		measure = func() (*private.Result, error) { return private.OPRF(ctx, inputs, rounds, s.now) }
	}
	r, err := measure()
	if err != nil {
		return err
	}
	return printMeasured(s, r, r.Ratios, r.Figures)
}

// printMeasured prints the ratios and figures of a measurement.
func printMeasured[S bench.Spread | private.Spread](s *session, result any, ratios map[string]S, figures map[string]float64) error {
	rows := [][]string{{"RATIO", "MEDIAN", "MIN", "MAX", "ROUNDS"}}
	for _, k := range slices.Sorted(maps.Keys(ratios)) {
		v := bench.Spread(ratios[k])
		rows = append(rows, []string{k, fmt.Sprintf("%.2f", v.Median), fmt.Sprintf("%.2f", v.Min), fmt.Sprintf("%.2f", v.Max), strconv.Itoa(v.Rounds)})
	}
	rows = append(rows, []string{"", "", "", "", ""}, []string{"FIGURE", "", "", "", ""})
	for _, k := range slices.Sorted(maps.Keys(figures)) {
		rows = append(rows, []string{k, strconv.FormatFloat(figures[k], 'f', 1, 64), "", "", ""})
	}
	return s.table(result, rows)
}
