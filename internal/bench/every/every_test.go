package every_test

import (
	"errors"
	"slices"
	"testing"

	"whither/internal/bench"
	"whither/internal/bench/every"
)

func TestTable(t *testing.T) {
	m := every.Measured{
		Ratios:  map[string]bench.Spread{"b_over_a": {Median: 1.5, Min: 1, Max: 2, Rounds: 3}, "a_over_b": {Median: 0.5}},
		Figures: map[string]float64{"a_per_s": 12.34},
	}
	got := m.Table()
	want := [][]string{
		{"RATIO", "MEDIAN", "MIN", "MAX", "ROUNDS"},
		{"a_over_b", "0.50", "0.00", "0.00", "0"},
		{"b_over_a", "1.50", "1.00", "2.00", "3"},
		{"", "", "", "", ""},
		{"FIGURE", "", "", "", ""},
		{"a_per_s", "12.3", "", "", ""},
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOrders(t *testing.T) {
	for _, o := range []every.Order{{Name: "nothing"}, {Name: "private", Rows: 1}, {Name: "oprf", Rows: 1}, {Name: "lifecycle"}, {Name: "verify", Rows: -1}} {
		if _, err := every.Run(t.Context(), o); !errors.Is(err, bench.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
