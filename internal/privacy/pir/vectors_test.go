package pir_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"whither/internal/privacy/pir"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorPath = "../../../vectors/private/retrieval.json"

// vector is one exchange. The client's random bytes are SHAKE128 of ClientSeed,
// the cells SHAKE128 of CellSeed, column by column, band by band.
type vector struct {
	Name       string `json:"name"`
	Params     []byte `json:"params"`
	ID         string `json:"id"`
	CellSeed   string `json:"cell_seed"`
	ClientSeed string `json:"client_seed"`
	// The first 16 bytes of the public streams: words of block 0, keys.
	Block0  []uint32 `json:"block_0"`
	Columns []int    `json:"columns"`
	Query   []byte   `json:"query"`
	Answer  []byte   `json:"answer"`
	Result  []string `json:"result"`
	Rejects []reject `json:"rejects"`
}

// reject is a message that differs in one byte, or in length.
type reject struct {
	Message string `json:"message"` // params, query or answer
	Offset  int    `json:"offset"`
	Xor     byte   `json:"xor"`
	Cut     int    `json:"cut"` // bytes off the end
	Expect  string `json:"expect"`
}

var kinds = map[string]error{"params": pir.ErrParams, "query": pir.ErrQuery, "table": pir.ErrTable, "answer": pir.ErrAnswer}

func stream(seed string) *sha3.SHAKE {
	h := sha3.NewSHAKE128()
	h.Write([]byte(seed))
	return h
}

// run computes a vector from its name, bands, bits and columns.
func run(t *testing.T, v *vector, p *pir.Params) {
	t.Helper()
	b, err := pir.NewBuilder(p, pir.BestEngine(1))
	if err != nil {
		t.Fatal(err)
	}
	cells := stream(v.CellSeed)
	for i, band := range p.Bands {
		for c := range band.Cols {
			col := make([]byte, band.Rows)
			cells.Read(col)
			if err := b.Put(i, c, 0, col); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := b.Build()
	if v.Params, err = s.Params().Marshal(); err != nil {
		t.Fatal(err)
	}
	id := s.Params().ID()
	v.ID = hex.EncodeToString(id[:])
	v.Block0 = pir.Block(p.Identity, 0)[:4]
	q, err := pir.Ask(stream(v.ClientSeed), s.Params(), v.Columns, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Query = q.Query()
	decoded, err := s.Decode(v.Query)
	if err != nil {
		t.Fatal(err)
	}
	v.Answer = s.Answer(pir.BestEngine(1), []*pir.Query{decoded})[0]
	columns, _, err := q.Open(v.Answer)
	if err != nil {
		t.Fatal(err)
	}
	v.Result = nil
	for _, c := range columns {
		v.Result = append(v.Result, hex.EncodeToString(c))
	}
	for _, r := range v.Rejects {
		v.check(t, s, r)
	}
}

func (v *vector) check(t *testing.T, s *pir.Snapshot, r reject) {
	t.Helper()
	alter := func(b []byte) []byte {
		b = bytes.Clone(b[:len(b)-r.Cut])
		b[r.Offset] ^= r.Xor
		return b
	}
	var err error
	switch r.Message {
	case "params":
		_, err = pir.ParseParams(alter(v.Params))
	case "query":
		_, err = s.Decode(alter(v.Query))
	case "answer":
		var q *pir.Question
		if q, err = pir.Ask(stream(v.ClientSeed), s.Params(), v.Columns, nil); err != nil {
			t.Fatal(err)
		}
		_, _, err = q.Open(alter(v.Answer))
	default:
		t.Fatalf("no message %q", r.Message)
	}
	if want := kinds[r.Expect]; want == nil || !errors.Is(err, want) {
		t.Errorf("%s: %+v: %v", v.Name, r, err)
	}
}

func TestVectors(t *testing.T) {
	var want []vector
	if *update {
		rejects := []reject{
			{Message: "params", Offset: 0, Xor: 1, Expect: "params"},
			{Message: "params", Cut: 1, Expect: "params"},
			{Message: "params", Offset: 1, Xor: 0x80, Expect: "params"},
			{Message: "query", Offset: 0, Xor: 2, Expect: "query"},
			{Message: "query", Offset: 1, Xor: 1, Expect: "table"},
			{Message: "query", Offset: 33, Xor: 2, Expect: "query"},
			{Message: "query", Cut: 1, Expect: "query"},
			{Message: "answer", Offset: 0, Xor: 1, Expect: "answer"},
			{Message: "answer", Offset: 32, Xor: 1, Expect: "table"},
			{Message: "answer", Offset: 33, Xor: 1, Expect: "answer"},
			{Message: "answer", Offset: 34, Xor: 1, Expect: "table"},
			{Message: "answer", Cut: 1, Expect: "answer"},
		}
		want = []vector{
			{Name: "one band", CellSeed: "cells 1", ClientSeed: "client 1", Columns: []int{63}, Rejects: rejects},
			{Name: "three bands", CellSeed: "cells 2", ClientSeed: "client 2", Columns: []int{0, 64, 191}, Rejects: rejects},
		}
		bands := [][]pir.Band{{{Rows: 16, Cols: 64}}, {{Rows: 8, Cols: 128}, {Rows: 8, Cols: 128}, {Rows: 4, Cols: 192}}}
		for i := range want {
			run(t, &want[i], &pir.Params{Identity: testID, QueryBits: 22 + i, Bands: bands[i], Info: []byte("info")})
		}
		raw, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorPath, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range want {
		t.Run(v.Name, func(t *testing.T) {
			p, err := pir.ParseParams(v.Params)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Rejects) == 0 {
				t.Error("nothing to reject")
			}
			got := v
			run(t, &got, p)
			a, _ := json.Marshal(v)
			b, _ := json.Marshal(got)
			if !bytes.Equal(a, b) {
				t.Error("this client or server computes something else")
			}
		})
	}
}
