// Package every makes each of the measurements by its name, and lays out what it
// gave for people.
package every

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"whither/internal/bench"
	"whither/internal/bench/lifecycle"
	"whither/internal/bench/private"
)

// Order says what to measure, and how much of it.
type Order struct {
	Name  string // of package bench, or lifecycle, private, oprf
	Quick bool   // for less than a minute
	// Rows is how many mappings there are; zero is the measurement's own default.
	Rows int
	// Program and what is appended to it, the path of a settings file, start a DP.
	Program  []string
	Now      func() time.Time
	Progress func(what string) // nil is nobody
}

// Measured is what came out.
type Measured struct {
	Result  any // ready for JSON
	Ratios  map[string]bench.Spread
	Figures map[string]float64
}

// Names returns what can be measured.
func Names() []string { return append(bench.Names(), "lifecycle", "private", "oprf") }

// Run measures.
func Run(ctx context.Context, o Order) (*Measured, error) {
	switch o.Name {
	case "lifecycle":
		return ofLifecycle(ctx, o)
	case "private", "oprf":
		return ofPrivate(ctx, o)
	}
	options := bench.Full()
	if o.Quick {
		options = bench.Quick()
	}
	options.Rows, options.Progress = o.Rows, o.Progress
	r, err := bench.Run(ctx, o.Name, options)
	if err != nil {
		return nil, err
	}
	return &Measured{r, r.Ratios, r.Figures}, nil
}

func ofLifecycle(ctx context.Context, o Order) (*Measured, error) {
	options := lifecycle.Full()
	if o.Quick {
		options = lifecycle.Quick()
	}
	if o.Rows != 0 {
		options.Rows = o.Rows
	}
	options.Program, options.Progress = o.Program, o.Progress
	r, err := lifecycle.Run(ctx, options)
	if err != nil {
		return nil, err
	}
	return &Measured{r, r.Ratios, r.Figures}, nil
}

// ofPrivate measures the private road: the retrieval engine over a table of 256
// MiB, or the oblivious PRF over batches.
func ofPrivate(ctx context.Context, o Order) (*Measured, error) {
	if o.Rows != 0 {
		return nil, fmt.Errorf("%w: a number of rows does not go with %s", bench.ErrOptions, o.Name)
	}
	inputs, rounds, options := 500, 11, private.Full(256<<20, o.Now)
	if o.Quick {
		inputs, rounds, options = 100, 3, private.Quick(o.Now)
	}
	measure := func() (*private.Result, error) { return private.Run(ctx, options) }
	if o.Name == "oprf" {
		measure = func() (*private.Result, error) { return private.OPRF(ctx, inputs, rounds, o.Now) }
	}
	r, err := measure()
	if err != nil {
		return nil, err
	}
	m := &Measured{Result: r, Ratios: make(map[string]bench.Spread), Figures: r.Figures}
	for k, v := range r.Ratios {
		m.Ratios[k] = bench.Spread(v)
	}
	return m, nil
}

// Table lays the ratios and figures out, with heads.
func (m *Measured) Table() [][]string {
	rows := [][]string{{"RATIO", "MEDIAN", "MIN", "MAX", "ROUNDS"}}
	for _, k := range slices.Sorted(maps.Keys(m.Ratios)) {
		v := m.Ratios[k]
		rows = append(rows, []string{k, fmt.Sprintf("%.2f", v.Median), fmt.Sprintf("%.2f", v.Min), fmt.Sprintf("%.2f", v.Max), strconv.Itoa(v.Rounds)})
	}
	rows = append(rows, []string{"", "", "", "", ""}, []string{"FIGURE", "", "", "", ""})
	for _, k := range slices.Sorted(maps.Keys(m.Figures)) {
		rows = append(rows, []string{k, strconv.FormatFloat(m.Figures[k], 'f', 1, 64), "", "", ""})
	}
	return rows
}
