package bench_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"whither/internal/bench"
)

// tiny measures hardly anything: whether it works, not how fast it is.
func tiny(t *testing.T) bench.Options {
	t.Helper()
	return bench.Options{Rows: 300, Slice: 5 * time.Millisecond, Dir: t.TempDir(), Progress: func(string) {}}
}

// TestMeasurements makes every measurement in a tiny size and looks at the shape
// of what it prints. Sizes of ratios are not judged: neighbours disturb.
func TestMeasurements(t *testing.T) {
	want := map[string][]string{
		"direct": {"lookup_over_store", "single_over_echo", "p50_300_over_10k"},
		"enrol":  {"enrol_over_bare"},
		"renew":  {"p50_renewing_over_idle", "p99_renewing_over_idle"},
		"verify": {"verify_over_signatures", "phone_verify_over_signatures", "observed_verify_over_signatures"},
	}
	if len(bench.Names()) != len(want) {
		t.Fatalf("measurements %v", bench.Names())
	}
	for _, name := range bench.Names() {
		t.Run(name, func(t *testing.T) {
			o := tiny(t)
			r, err := bench.Run(t.Context(), name, o)
			if err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(o.Dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			checkShape(t, r, name, want[name])
		})
	}
}

// checkShape reads a result as somebody would who has only the JSON.
func checkShape(t *testing.T, r *bench.Result, name string, keys []string) {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name    string
		Machine map[string]any
		Ratios  map[string]struct {
			Median, Min, Max float64
			Rounds           int
		}
		Figures map[string]float64
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != name || got.Machine["cpus"] == nil || len(got.Figures) == 0 {
		t.Errorf("%s", b)
	}
	for _, k := range keys {
		if _, ok := got.Ratios[k]; !ok {
			t.Errorf("no ratio %s", k)
		}
	}
	for k, v := range got.Ratios {
		if v.Rounds < bench.MinRounds || v.Min <= 0 || v.Min > v.Median || v.Median > v.Max || v.Max > 1000 {
			t.Errorf("%s: %+v", k, v)
		}
	}
}

func TestRefusesOptions(t *testing.T) {
	for name, o := range map[string]bench.Options{
		"nothing": tiny(t),
		"verify":  {},
		"direct":  {Rows: -1, Slice: time.Millisecond},
	} {
		if _, err := bench.Run(t.Context(), name, o); !errors.Is(err, bench.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
