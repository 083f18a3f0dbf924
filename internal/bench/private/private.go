// Package private measures the private road: the retrieval engine against what
// memory allows, and the oblivious PRF against its multiplications.
//
// Machines differ and neighbours disturb, so what counts are ratios: the parts
// are measured in turn, round by round, in one process, and a ratio is taken
// within each round. Figures in absolute units stand beside them for the
// reader; docs/bench/private.md says what they mean.
//
// Everything runs on one goroutine. Sizes are bytes, GB and MB are 10^9 and
// 10^6 bytes.
package private

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/keyword"
	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/pages"
	"whither/internal/privacy/pir/ring"
)

// ErrOptions means a size or number of rounds that cannot be measured.
var ErrOptions = errors.New("bench: unusable options")

// Options says what to measure.
type Options struct {
	// Rows and Columns give the matrix: a column of Rows bytes.
	Rows, Columns int
	// Rounds is the number of times that everything is measured.
	Rounds int
	// Now is the clock: time.Now.
	Now func() time.Time
	// Progress is told what is being done; nil is nobody.
	Progress func(what string)
}

// Full measures a matrix of size bytes, as 65,536 columns.
func Full(size int, now func() time.Time) Options {
	return Options{Rows: size / 65536, Columns: 65536, Rounds: 11, Now: now}
}

// Quick measures 256 MiB as 65,536 columns of 4 KiB, in less than 50 seconds.
func Quick(now func() time.Time) Options { return Full(256<<20, now) }

// Spread is what the rounds gave.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

func spread(v []float64) Spread {
	v = slices.Sorted(slices.Values(v))
	return Spread{Median: v[len(v)/2], Min: v[0], Max: v[len(v)-1], Rounds: len(v)}
}

// Machine is where it was measured.
type Machine struct {
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	Go     string `json:"go"`
	Kernel string `json:"kernel"`
	Unit   string `json:"unit"`
}

// Result is a measurement, ready for JSON.
type Result struct {
	Name    string             `json:"name"`
	Machine Machine            `json:"machine"`
	Ratios  map[string]Spread  `json:"ratios"`
	Figures map[string]float64 `json:"figures"`
}

// Here returns the machine that this runs on.
func Here() Machine {
	return Machine{
		Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: kernel.Best().String(), Unit: ring.Best().String(),
	}
}

func newResult(name string) *Result {
	return &Result{Name: name, Machine: Here(), Ratios: map[string]Spread{}, Figures: map[string]float64{}}
}

// clock collects times, in seconds, by name.
type clock struct {
	now   func() time.Time
	times map[string][]float64
}

func (c *clock) time(name string, f func()) {
	start := c.now()
	f()
	c.times[name] = append(c.times[name], c.now().Sub(start).Seconds())
}

// ratio returns factor * numerator/denominator, round by round.
func (c *clock) ratio(numerator, denominator string, factor float64) Spread {
	n, d := c.times[numerator], c.times[denominator]
	v := make([]float64, min(len(n), len(d)))
	for i := range v {
		v[i] = factor * n[i] / d[i]
	}
	return spread(v)
}

func (c *clock) median(name string) float64 { return spread(c.times[name]).Median }

// table is the matrix under measurement.
type table struct {
	o        Options
	engine   pir.Engine
	builder  *pir.Builder
	snapshot *pir.Snapshot
	memory   []*pages.Memory
	c        *clock
}

func (t *table) alloc(n int) ([]byte, error) {
	m, err := pages.New(n)
	if err != nil {
		return nil, err
	}
	t.memory = append(t.memory, m)
	return m.Bytes(), nil
}

func (t *table) release() error {
	var all []error
	for _, m := range t.memory {
		all = append(all, m.Release())
	}
	return errors.Join(all...)
}

func (t *table) say(what string) {
	if t.o.Progress != nil {
		t.o.Progress(what)
	}
}

func (t *table) build() error {
	bits, ok := pir.QueryBits(t.o.Columns)
	if !ok {
		return fmt.Errorf("%w: %d columns", ErrOptions, t.o.Columns)
	}
	t.engine = pir.BestEngine(1)
	t.engine.Alloc = t.alloc
	p := &pir.Params{
		Identity: pir.Identity{DP: "dp.example"}, QueryBits: bits,
		Bands: []pir.Band{{Rows: t.o.Rows, Cols: t.o.Columns}},
	}
	var err error
	t.say("fill the matrix")
	if t.builder, err = pir.NewBuilder(p, t.engine); err != nil {
		return err
	}
	// crypto/rand.Read does not fail: it ends the process first.
	t.builder.Fill(func(_, _ int, dst []byte) { _, _ = rand.Read(dst) })
	t.say("build hints and tables")
	t.c.time("build", func() { t.snapshot = t.builder.Build() })
	return nil
}

// questions prepares n queries for random columns.
func (t *table) questions(n int) (columns []int, questions []*pir.Question, queries []*pir.Query, err error) {
	for range n {
		var b [4]byte
		_, _ = rand.Read(b[:])
		col := (int(b[0]) | int(b[1])<<8 | int(b[2])<<16 | int(b[3])<<24) % t.o.Columns
		var q *pir.Question
		t.c.time("ask", func() { q, err = pir.Ask(rand.Reader, t.snapshot.Params(), []int{col}, nil) })
		if err != nil {
			return nil, nil, nil, err
		}
		decoded, err := t.snapshot.Decode(q.Query())
		if err != nil {
			return nil, nil, nil, err
		}
		columns, questions, queries = append(columns, col), append(questions, q), append(queries, decoded)
	}
	return columns, questions, queries, nil
}

// wrong opens answers and counts bytes that differ from the matrix.
func (t *table) wrong(columns []int, questions []*pir.Question, answers [][]byte) (n int, err error) {
	want := make([]byte, t.o.Rows)
	for i, q := range questions {
		var got [][]byte
		t.c.time("open", func() { got, _, err = q.Open(answers[i]) })
		if err != nil {
			return 0, err
		}
		if err := t.builder.Get(want, 0, columns[i], 0); err != nil {
			return 0, err
		}
		if bytes.Equal(got[0], want) {
			continue
		}
		for r := range want {
			if got[0][r] != want[r] {
				n++
			}
		}
	}
	return n, nil
}

// Run measures the retrieval engine.
func Run(ctx context.Context, o Options) (res *Result, err error) {
	if o.Rounds < 1 || o.Rows < 2048 || o.Columns < 2048 || o.Now == nil {
		return nil, fmt.Errorf("%w: %d rounds over %d rows of %d columns", ErrOptions, o.Rounds, o.Rows, o.Columns)
	}
	t := &table{o: o, c: &clock{now: o.Now, times: map[string][]float64{}}}
	defer func() { err = errors.Join(err, t.release()) }()
	if err := t.build(); err != nil {
		return nil, err
	}
	other, err := t.alloc(o.Rows * o.Columns) // for plain reading
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(other); i += 64 {
		other[i] = byte(i >> 6)
	}
	wrong, coefficients := 0, 0
	for round := range o.Rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.say(fmt.Sprintf("round %d of %d", round+1, o.Rounds))
		n, err := t.round(other)
		if err != nil {
			return nil, err
		}
		wrong += n
		coefficients += 16 * o.Rows
	}
	if err := t.portable(); err != nil {
		return nil, err
	}
	res = newResult("private")
	if err := t.report(res); err != nil {
		return nil, err
	}
	res.Figures["wrong_coefficients"] = float64(wrong)
	res.Figures["decoded_coefficients"] = float64(coefficients)
	return res, nil
}

func (t *table) round(other []byte) (wrong int, err error) {
	columns, questions, queries, err := t.questions(16)
	if err != nil {
		return 0, err
	}
	var sums [][]uint32
	var answers [][]byte
	t.c.time("read", func() { kernel.Read(other) })
	t.c.time("scan", func() { sums = t.snapshot.Scan(t.engine, queries[:1]) })
	t.c.time("pack", func() { t.snapshot.Pack(t.engine, queries[:1], sums) })
	t.c.time("answer", func() { t.snapshot.Answer(t.engine, queries[:1]) })
	t.c.time("answer8", func() { t.snapshot.Answer(t.engine, queries[:8]) })
	t.c.time("answer16", func() { answers = t.snapshot.Answer(t.engine, queries) })
	return t.wrong(columns, questions, answers)
}

// portable measures the plain Go paths, over fewer rounds: they are slow.
func (t *table) portable() error {
	t.say("plain Go")
	_, _, queries, err := t.questions(1)
	if err != nil {
		return err
	}
	plain := pir.Engine{Kernel: kernel.Portable, Unit: ring.Portable, Workers: 1}
	for range 3 {
		var sums [][]uint32
		t.c.time("portable scan", func() { sums = t.snapshot.Scan(plain, queries) })
		t.c.time("portable pack", func() { t.snapshot.Pack(plain, queries, sums) })
	}
	return nil
}

func (t *table) report(res *Result) error {
	p := t.snapshot.Params()
	size, groups := float64(p.MatrixBytes()), float64(p.Groups())
	gb := func(name string, queries float64) float64 { return queries * size / t.c.median(name) / 1e9 }
	maps.Copy(res.Ratios, map[string]Spread{
		"scan_over_read":     t.c.ratio("read", "scan", 1),
		"scan_over_answer":   t.c.ratio("scan", "answer", 1),
		"batch8_over_single": t.c.ratio("answer", "answer8", 8),
		// The time of a query in a batch of 16 against one alone.
		"batch16_over_single": t.c.ratio("answer", "answer16", 16),
	})
	digits := groups * packing.DigitBytes
	hints := groups * ring.N * ring.N * 4
	_, answer := p.AnswerSize()
	maps.Copy(res.Figures, map[string]float64{
		"matrix_bytes":             size,
		"read_gb_per_s":            gb("read", 1),
		"scan_gb_per_s":            gb("scan", 1),
		"answer_gb_per_s":          gb("answer", 1),
		"batch8_gb_per_s":          gb("answer8", 8),
		"batch16_gb_per_s":         gb("answer16", 16),
		"answer_ms":                1e3 * t.c.median("answer"),
		"pack_ms_per_group":        1e3 * t.c.median("pack") / groups,
		"build_mb_per_core_s":      size / t.c.median("build") / 1e6,
		"tables_over_matrix":       (digits + hints) / size,
		"served_over_matrix":       digits / size,
		"portable_scan_gb_per_s":   gb("portable scan", 1),
		"portable_pack_ms_a_group": 1e3 * t.c.median("portable pack") / groups,
		"client_ask_ms":            1e3 * t.c.median("ask"),
		"client_open_ms":           1e3 * t.c.median("open"),
		"wire_bytes":               float64(p.QuerySize() + answer),
	})
	// A million records of 256 bytes: keys, query, answer with masks.
	shape, err := keyword.Plan(1<<20, 256)
	if err != nil {
		return err
	}
	million, err := keyword.Describe(keyword.Config{Identity: pir.Identity{DP: "dp.example"}, Shape: shape})
	if err != nil {
		return err
	}
	_, answer = million.AnswerSize()
	res.Figures["wire_bytes_1m_256"] = float64(million.QuerySize() + answer)
	return nil
}
