package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"whither/internal/bench"
)

// benchCommand measures on this machine what a DP costs.
type benchCommand struct {
	Name  string `arg:"" help:"What to measure: direct (look-ups), enrol, verify or renew." enum:"direct,enrol,verify,renew"`
	Quick bool   `help:"Measure for less than a minute."`
	Rows  int    `help:"Mappings in the large store, or, for enrol, of a round." placeholder:"N"`
}

// Run measures and prints.
func (c benchCommand) Run(ctx context.Context, s *session) error {
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
	rows := [][]string{{"RATIO", "MEDIAN", "MIN", "MAX", "ROUNDS"}}
	for _, k := range slices.Sorted(maps.Keys(r.Ratios)) {
		v := r.Ratios[k]
		rows = append(rows, []string{k, fmt.Sprintf("%.2f", v.Median), fmt.Sprintf("%.2f", v.Min), fmt.Sprintf("%.2f", v.Max), strconv.Itoa(v.Rounds)})
	}
	rows = append(rows, []string{"", "", "", "", ""}, []string{"FIGURE", "", "", "", ""})
	for _, k := range slices.Sorted(maps.Keys(r.Figures)) {
		rows = append(rows, []string{k, strconv.FormatFloat(r.Figures[k], 'f', 0, 64), "", "", ""})
	}
	return s.table(r, rows)
}
