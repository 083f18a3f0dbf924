package private_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"
	"sort"
	"os"
	"strconv"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/pages"
)

func env(k string, d int) int { if v, err := strconv.Atoi(os.Getenv(k)); err == nil { return v }; return d }

func TestQuick(t *testing.T) {
	rows, cols := env("ROWS", 4096), env("COLS", 65536)
	e := pir.BestEngine(1)
	e.Alloc = func(n int) ([]byte, error) { m, err := pages.New(n); if err != nil { return nil, err }; return m.Bytes(), nil }
	t0 := time.Now()
	b, err := pir.NewBuilder(&pir.Params{Identity: pir.Identity{DP: "dp.example"}, QueryBits: 26, Bands: []pir.Band{{rows, cols}}}, e)
	if err != nil { t.Fatal(err) }
	fmt.Println("new", time.Since(t0)); t0 = time.Now()
	b.Fill(func(band, col int, dst []byte) { rand.Read(dst) })
	fmt.Println("fill", time.Since(t0)); t0 = time.Now()
	s := b.Build()
	d := time.Since(t0)
	mb := float64(rows)*float64(cols)/1e6
	fmt.Printf("build %v %.1f MB/s\n", d, mb/d.Seconds())
	var qs []*pir.Query
	for range 16 {
		t0 = time.Now()
		q, err := pir.Ask(rand.Reader, s.Params(), []int{7}, nil)
		if err != nil { t.Fatal(err) }
		d1 := time.Since(t0); t0 = time.Now()
		dq, err := s.Decode(q.Query())
		if err != nil { t.Fatal(err) }
		if len(qs) == 15 { fmt.Println("ask", d1, "decode query", time.Since(t0)) }
		qs = append(qs, dq)
	}
	// all bytes of the matrix: scan reads
	buf, _ := e.Alloc(rows*cols); for i := range buf { buf[i] = byte(i) }
	tm := map[string][]float64{}
	run := func(name string, f func()) { t0 := time.Now(); f(); tm[name] = append(tm[name], time.Since(t0).Seconds()*1e3) }
	for range 15 {
		run("read", func() { kernel.Read(buf) })
		run("scan", func() { s.Scan(e, qs[:1]) })
		run("answer", func() { s.Answer(e, qs[:1]) })
		run("answer8", func() { s.Answer(e, qs[:8]) })
		run("scan8", func() { s.Scan(e, qs[:8]) })
		sums := s.Scan(e, qs[:1])
		run("pack", func() { s.Pack(e, qs[:1], sums) })
	}
	for _, k := range []string{"read","scan","answer","pack","scan8","answer8"} { v := tm[k]; sort.Float64s(v); fmt.Printf("%-8s min %.2f med %.2f max %.2f ms; %.1f GB/s\n", k, v[0], v[len(v)/2], v[len(v)-1], mb/v[len(v)/2]) }
}
