// Package bench measures a discovery provider against what it is made of, so
// that its own part of the cost is known: look-ups against bare reads of the
// store and against an echo over the same TLS, enrolments against the bare
// signature checks and a durable commit, the verification of a mapping against
// its five signatures, and look-ups while signatures are renewed.
//
// Machines differ and neighbours disturb, so what counts are ratios: both sides
// run in one process, in turn, round by round, and a ratio is taken within each
// round. Figures in absolute units stand beside them for the reader. Everything
// is real: mappings with all their signatures, the store on a disk, sockets on
// loopback with mutual TLS. Clients share the processors with the DP, so a DP
// on a machine of its own does better than what is printed here.
//
// Results are in docs/bench. The private road is measured by package private.
package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrOptions refuses a name or a size that cannot be measured.
var ErrOptions = errors.New("bench: unusable options")

// Options say how much is measured.
type Options struct {
	// Rows is how many mappings the large store has; zero is the measurement's
	// own default.
	Rows int
	// Budget is how long the rounds may take together, Total how long all may
	// take together with what is prepared before; zero is no bound. There are at
	// least [MinRounds], however long they take.
	Budget, Total time.Duration
	// Slice is how long one side of a ratio runs in a round.
	Slice time.Duration
	// Dir is where stores are made; empty is the system's temporary folder.
	Dir string
	// Progress is told what is being done; nil is nobody.
	Progress func(what string)
}

// MinRounds is the fewest rounds of a ratio.
const MinRounds = 3

// Full measures for two minutes.
func Full() Options { return Options{Budget: 2 * time.Minute, Slice: time.Second} }

// Quick measures for less than 50 seconds on two processors that nobody disturbs.
func Quick() Options {
	return Options{Budget: 10 * time.Second, Total: 42 * time.Second, Slice: 120 * time.Millisecond}
}

// Spread is what the rounds gave.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

// SpreadOf returns the spread of the values of rounds, of which there is one at least.
func SpreadOf(v []float64) Spread {
	v = slices.Sorted(slices.Values(v))
	return Spread{Median: v[len(v)/2], Min: v[0], Max: v[len(v)-1], Rounds: len(v)}
}

// Machine is where it was measured.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu,omitempty"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
	// Load is the system's load average of the last minute before the start;
	// on a quiet machine it is 0.
	Load float64 `json:"load"`
}

// Result is a measurement, ready for JSON.
type Result struct {
	Name    string             `json:"name"`
	Machine Machine            `json:"machine"`
	Ratios  map[string]Spread  `json:"ratios"`
	Figures map[string]float64 `json:"figures"`
}

// measurements are what can be measured, by name.
var measurements = map[string]func(context.Context, *run) error{
	"direct": direct,
	"enrol":  enrol,
	"renew":  renew,
	"verify": verify,
}

// Names returns the names of the measurements.
func Names() []string { return slices.Sorted(maps.Keys(measurements)) }

// Run makes the measurement of a name.
func Run(ctx context.Context, name string, o Options) (*Result, error) {
	measure, ok := measurements[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q is none of %s", ErrOptions, name, strings.Join(Names(), ", "))
	}
	if o.Rows < 0 || o.Budget < 0 || o.Slice <= 0 {
		return nil, fmt.Errorf("%w: %d rows, budget of %s, slices of %s", ErrOptions, o.Rows, o.Budget, o.Slice)
	}
	dir, err := os.MkdirTemp(o.Dir, "whither-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	r := &run{Options: o, began: time.Now(), dir: dir, values: make(map[string][]float64), ratios: make(map[string][2]string), machine: Here()}
	err = errors.Join(measure(ctx, r), os.RemoveAll(dir))
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", name, err)
	}
	return r.result(name), nil
}

// Here describes the machine.
func Here() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	// Where these files are missing or in another form, the description is shorter.
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		minute, _, _ := strings.Cut(string(b), " ")
		m.Load, _ = strconv.ParseFloat(minute, 64)
	}
	return m
}
