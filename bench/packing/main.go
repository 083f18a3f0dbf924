// Command packing compares the packing of a private lookup with that of
// lattigo, the library that offers ring packing in Go: the time to turn 2,048
// ciphertexts into one, ours inside of an answer, where the tables come from
// memory. It lives in a module of its own, so that the library is no
// dependency of the product.
//
//	go run -C bench ./packing --json
package main

import (
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tuneinsight/lattigo/v6/core/rlwe"
	"github.com/tuneinsight/lattigo/v6/utils"

	"whither/internal/bench/private"
	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/pages"
	"whither/internal/privacy/pir/ring"
)

func main() {
	asJSON := flag.Bool("json", false, "print JSON")
	rounds := flag.Int("rounds", 11, "number of rounds")
	flag.Parse()
	res, err := run(*rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "packing:", err)
		os.Exit(1)
	}
	if *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(res)
	} else {
		_, err = fmt.Printf("pack_over_lattigo 1/%.0f (1/%.0f to 1/%.0f), ours %.2f ms, lattigo %.1f ms\n",
			1/res.Ratios["pack_over_lattigo"].Median, 1/res.Ratios["pack_over_lattigo"].Max, 1/res.Ratios["pack_over_lattigo"].Min,
			res.Figures["pack_ms"], res.Figures["lattigo_ms"])
	}
	if err != nil {
		os.Exit(1)
	}
}

const (
	rows    = 8192 // four groups
	columns = 16384
)

func run(rounds int) (*private.Result, error) {
	if rounds < 1 {
		return nil, fmt.Errorf("%d rounds", rounds)
	}
	theirs, err := lattigo()
	if err != nil {
		return nil, err
	}
	ours, err := answer()
	if err != nil {
		return nil, err
	}
	var a, b, ratio []float64
	for range rounds {
		start := time.Now()
		ours()
		middle := time.Now()
		if err := theirs(); err != nil {
			return nil, err
		}
		a = append(a, middle.Sub(start).Seconds()/(rows/ring.N))
		b = append(b, time.Since(middle).Seconds())
		ratio = append(ratio, a[len(a)-1]/b[len(b)-1])
	}
	for _, v := range [][]float64{a, b, ratio} {
		slices.Sort(v)
	}
	return &private.Result{
		Name:    "packing",
		Machine: private.Here(),
		Ratios: map[string]private.Spread{
			"pack_over_lattigo": {Median: ratio[rounds/2], Min: ratio[0], Max: ratio[rounds-1], Rounds: rounds},
		},
		Figures: map[string]float64{"pack_ms": 1e3 * a[rounds/2], "lattigo_ms": 1e3 * b[rounds/2], "pack_min_ms": 1e3 * a[0], "lattigo_min_ms": 1e3 * b[0]},
	}, nil
}

// answer returns a function that does the packing half of an answer.
func answer() (func(), error) {
	e := pir.Engine{Kernel: kernel.Best(), Unit: ring.Best(), Workers: 1}
	e.Alloc = func(n int) ([]byte, error) {
		m, err := pages.New(n)
		if err != nil {
			return nil, err
		}
		return m.Bytes(), nil // for the life of the process
	}
	p := &pir.Params{Identity: pir.Identity{DP: "dp.example"}, QueryBits: 25, Bands: []pir.Band{{Rows: rows, Cols: columns}}}
	b, err := pir.NewBuilder(p, e)
	if err != nil {
		return nil, err
	}
	b.Fill(func(_, _ int, dst []byte) { _, _ = rand.Read(dst) })
	s := b.Build()
	q, err := pir.Ask(rand.Reader, s.Params(), []int{1}, nil)
	if err != nil {
		return nil, err
	}
	decoded, err := s.Decode(q.Query())
	if err != nil {
		return nil, err
	}
	queries := []*pir.Query{decoded}
	sums := s.Scan(e, queries)
	return func() { s.Pack(e, queries, sums) }, nil
}

// lattigo returns a function that packs 2,048 ciphertexts of dimension 2,048,
// with one modulus of 55 bits and digits of 19 bits: its fastest setting of
// comparable noise.
func lattigo() (func() error, error) {
	params, err := rlwe.NewParametersFromLiteral(rlwe.ParametersLiteral{LogN: ring.LogN, LogQ: []int{55}, NTTFlag: true})
	if err != nil {
		return nil, err
	}
	sk := rlwe.NewKeyGenerator(params).GenSecretKeyNew()
	keys := rlwe.RingPackingEvaluationKey{Parameters: map[int]rlwe.ParameterProvider{ring.LogN: &params}}
	keys.GenRepackEvaluationKeys(&params, sk, rlwe.EvaluationKeyParameters{BaseTwoDecomposition: utils.Pointy(19)})
	eval := rlwe.NewRingPackingEvaluator(&keys)
	encrypt := rlwe.NewEncryptor(params, sk)
	fresh := make(map[int]*rlwe.Ciphertext, ring.N)
	for i := range ring.N {
		ct, err := encrypt.EncryptNew(rlwe.NewPlaintext(params, params.MaxLevel()))
		if err != nil {
			return nil, err
		}
		fresh[i] = ct
	}
	return func() error {
		// Pack works in the map that it is given.
		cts := make(map[int]*rlwe.Ciphertext, len(fresh))
		for i, ct := range fresh {
			cts[i] = ct
		}
		_, err := eval.Pack(cts, ring.LogN, true)
		return err
	}, nil
}
