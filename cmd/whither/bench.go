package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"whither/internal/bench"
	"whither/internal/bench/private"
)

// benchCommand measures on this machine what a DP costs.
type benchCommand struct {
	Name  string `arg:"" help:"What to measure: direct (look-ups), enrol, verify, renew, private (retrieval) or oprf." enum:"direct,enrol,verify,renew,private,oprf"`
	Quick bool   `help:"Measure for less than a minute."`
	Rows  int    `help:"Mappings in the large store, or, for enrol, of a round." placeholder:"N"`
}

// Run measures and prints.
func (c benchCommand) Run(ctx context.Context, s *session) error {
	if c.Name == "private" || c.Name == "oprf" {
		return c.private(ctx, s)
	}
	o := bench.Full()
	if c.Quick {
		o = bench.Quick()
	}
	o.Rows = c.Rows
	if !s.json {
		o.Progress = func(what string) { _, _ = fmt.Fprintln(s.errOut, what) }
	}
	r, err := bench.Run(ctx, c.Name, o)
	if err != nil {
		return err
	}
	return printMeasured(s, r, r.Ratios, r.Figures)
}

// private measures the private road: the retrieval engine over a table of 256
// MiB, or the oblivious PRF over batches.
func (c benchCommand) private(ctx context.Context, s *session) error {
	if c.Rows != 0 {
		return fmt.Errorf("%w: --rows goes with direct, enrol, verify and renew", errUsage)
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
