package pir_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"whither/internal/privacy/pir"
)

func small(t testing.TB) *table {
	return newTable(t, pir.BestEngine(1), 24, []pir.Band{{Rows: 8, Cols: 128}}, sealed)
}

func question(t testing.TB, p *pir.Params) *pir.Question {
	t.Helper()
	q, err := pir.Ask(rand.Reader, p, []int{77}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (x *table) answer(t testing.TB, query []byte) []byte {
	t.Helper()
	decoded, err := x.snapshot.Decode(query)
	if err != nil {
		t.Fatal(err)
	}
	return x.snapshot.Answer(pir.BestEngine(1), []*pir.Query{decoded})[0]
}

func TestMalformedQueries(t *testing.T) {
	x := small(t)
	for _, c := range []struct {
		name  string
		alter func(b []byte) []byte
		want  error
	}{
		{"untouched", func(b []byte) []byte { return b }, nil},
		{"empty", func([]byte) []byte { return nil }, pir.ErrQuery},
		{"short", func(b []byte) []byte { return b[:len(b)-1] }, pir.ErrQuery},
		{"long", func(b []byte) []byte { return append(b, 0) }, pir.ErrQuery},
		{"oversized", func(b []byte) []byte { return append(b, make([]byte, 1<<22)...) }, pir.ErrQuery},
		{"version", func(b []byte) []byte { b[0] = 2; return b }, pir.ErrQuery},
		{"flags", func(b []byte) []byte { b[pir.HeaderSize-1] = 2; return b }, pir.ErrQuery},
		{"other table", func(b []byte) []byte { b[1] ^= 1; return b }, pir.ErrTable},
		{"first key not reduced", func(b []byte) []byte {
			copy(b[pir.HeaderSize:], bytes.Repeat([]byte{255}, 7))
			return b
		}, pir.ErrQuery},
		{"second key not reduced", func(b []byte) []byte {
			copy(b[pir.HeaderSize+2*pir.KeySize-7:], bytes.Repeat([]byte{255}, 7))
			return b
		}, pir.ErrQuery},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := x.snapshot.Decode(c.alter(bytes.Clone(question(t, x.snapshot.Params()).Query())))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestHostileKeysAreHarmless answers a query whose keys and words are noise.
func TestHostileKeysAreHarmless(t *testing.T) {
	x := small(t)
	b := question(t, x.snapshot.Params()).Query()
	for i := range b[pir.HeaderSize:] {
		b[pir.HeaderSize+i] = 0
	}
	x.answer(t, b)
	sealed(b[pir.HeaderSize+2*pir.KeySize:])
	x.answer(t, b)
}

func TestReplayGivesTheSameAnswer(t *testing.T) {
	x := small(t)
	q := question(t, x.snapshot.Params())
	if !bytes.Equal(x.answer(t, q.Query()), x.answer(t, q.Query())) {
		t.Error("a replay shows something new")
	}
}

// TestR14ServerCannotMixEpochs gives answers of other versions of a table.
func TestR14ServerCannotMixEpochs(t *testing.T) {
	x := small(t)
	q := question(t, x.snapshot.Params())
	good := x.answer(t, q.Query())
	y := small(t) // other content, the same identity
	other := y.answer(t, question(t, y.snapshot.Params()).Query())
	for _, c := range []struct {
		name   string
		answer []byte
		want   error
	}{
		{"another version", other, pir.ErrTable},
		{"bodies of another version", append(bytes.Clone(good[:pir.HeaderSize]), other[pir.HeaderSize:]...), pir.ErrTable},
		{"masks altered", func() []byte { b := bytes.Clone(good); b[pir.HeaderSize+9] ^= 4; return b }(), pir.ErrTable},
		{"short", good[:len(good)-1], pir.ErrAnswer},
		{"without masks", append(bytes.Clone(good[:pir.HeaderSize]), good[pir.HeaderSize+4352:]...), pir.ErrAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question(t, x.snapshot.Params())
			if _, _, err := q.Open(c.answer); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if q.Secret() != nil {
				t.Error("the secret is not burned")
			}
		})
	}
}

// TestR14AlteredBodyIsNoError: whatever a server writes into the bodies, the
// client gets bytes and no error that could show in what it does next.
func TestR14AlteredBodyIsNoError(t *testing.T) {
	x := small(t)
	q := question(t, x.snapshot.Params())
	answer := x.answer(t, q.Query())
	for i := len(answer) - 3328; i < len(answer); i++ {
		answer[i] ^= 0x5a
	}
	got, _, err := q.Open(answer)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got[0], x.columns[0][77]) {
		t.Error("the alteration did nothing")
	}
}

// TestR14SeedsDoNotRepeat holds that every field, and every block, changes the
// public randomness: a repeated block would show the difference of columns.
func TestR14SeedsDoNotRepeat(t *testing.T) {
	base := pir.Identity{DP: "dp.example", Shard: 1, Table: 2, Epoch: 3}
	ids := []pir.Identity{base}
	for _, change := range []func(*pir.Identity){
		func(i *pir.Identity) { i.DP = "dq.example" }, func(i *pir.Identity) { i.DP += "\x00" },
		func(i *pir.Identity) { i.Shard++ }, func(i *pir.Identity) { i.Table++ }, func(i *pir.Identity) { i.Epoch++ },
		func(i *pir.Identity) { i.Epoch += 1 << 32 },
	} {
		id := base
		change(&id)
		ids = append(ids, id)
	}
	seen := map[uint64]string{}
	for _, id := range ids {
		for purpose := range byte(3) {
			for block := range 64 {
				name := fmt.Sprint(id, purpose, block)
				w := pir.SeedWord(id, purpose, block)
				if other, ok := seen[w]; ok {
					t.Errorf("%s repeats %s", name, other)
				}
				seen[w] = name
			}
		}
	}
	if slices.Equal(pir.Block(base, 0), pir.Block(base, 1)) {
		t.Error("blocks repeat")
	}
}

func TestSecretsAreFreshAndHidden(t *testing.T) {
	x := small(t)
	a, b := question(t, x.snapshot.Params()), question(t, x.snapshot.Params())
	if slices.Equal(a.Secret(), b.Secret()) || bytes.Equal(a.Query()[pir.HeaderSize:], b.Query()[pir.HeaderSize:]) {
		t.Error("two questions share a secret")
	}
	s, g := a.Describe()
	for _, text := range []string{s, g} {
		if !strings.Contains(text, "redacted") {
			t.Errorf("shows %s", text)
		}
	}
}

func TestMasksAreKept(t *testing.T) {
	x := small(t)
	masks := x.ask(t, pir.BestEngine(1), []int{3})
	q, err := pir.Ask(rand.Reader, x.snapshot.Params(), []int{4}, masks)
	if err != nil {
		t.Fatal(err)
	}
	answer := x.answer(t, q.Query())
	if plain, _ := x.snapshot.Params().AnswerSize(); len(answer) != plain {
		t.Errorf("%d bytes, want %d", len(answer), plain)
	}
	got, _, err := q.Open(answer)
	if err != nil || !bytes.Equal(got[0], x.columns[0][4]) {
		t.Errorf("wrong bytes: %v", err)
	}
	if _, err := pir.NewMasks(x.snapshot.Params(), x.snapshot.Masks()); err != nil {
		t.Errorf("masks fetched ahead: %v", err)
	}
}

func TestOutsideTheMatrix(t *testing.T) {
	x := small(t)
	for _, columns := range [][]int{nil, {-1}, {128}, {0, 0}} {
		if _, err := pir.Ask(rand.Reader, x.snapshot.Params(), columns, nil); !errors.Is(err, pir.ErrRange) {
			t.Errorf("%v: %v", columns, err)
		}
	}
	for _, c := range [][4]int{{1, 0, 0, 1}, {-1, 0, 0, 1}, {0, 128, 0, 1}, {0, -1, 0, 1}, {0, 0, 8, 1}, {0, 0, -1, 1}, {0, 0, 5, 4}} {
		if err := x.builder.Put(c[0], c[1], c[2], make([]byte, c[3])); !errors.Is(err, pir.ErrRange) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestRefusedParams(t *testing.T) {
	for name, change := range map[string]func(*pir.Params){
		"no DP":               func(p *pir.Params) { p.DP = "" },
		"long DP":             func(p *pir.Params) { p.DP = strings.Repeat("a", 254) },
		"no bands":            func(p *pir.Params) { p.Bands = nil },
		"few bits":            func(p *pir.Params) { p.QueryBits = 21 },
		"many bits":           func(p *pir.Params) { p.QueryBits = 33 },
		"noisy":               func(p *pir.Params) { p.Bands[0].Cols = 32768 },
		"odd rows":            func(p *pir.Params) { p.Bands[0].Rows = 6 },
		"no rows":             func(p *pir.Params) { p.Bands[0].Rows = 0 },
		"many rows":           func(p *pir.Params) { p.Bands[0].Rows = 1 << 30 },
		"odd columns":         func(p *pir.Params) { p.Bands[0].Cols = 100 },
		"odd tiles":           func(p *pir.Params) { p.Bands[0].Cols = 1088 },
		"many columns":        func(p *pir.Params) { p.Bands[0].Cols = 1 << 30; p.QueryBits = 32 },
		"many columns in all": func(p *pir.Params) { p.Bands = slices.Repeat([]pir.Band{{Rows: 4, Cols: 4096}}, 200) },
		"long info":           func(p *pir.Params) { p.Info = make([]byte, pir.MaxInfo+1) },
	} {
		p := &pir.Params{Identity: testID, QueryBits: 24, Bands: []pir.Band{{Rows: 8, Cols: 128}}}
		change(p)
		if _, err := p.Marshal(); !errors.Is(err, pir.ErrParams) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParams(f *testing.F) {
	for _, bands := range [][]pir.Band{
		{{Rows: 8, Cols: 128}}, slices.Repeat([]pir.Band{{Rows: 8, Cols: 128}}, 700), {{Rows: 8, Cols: 64}, {Rows: 12, Cols: 64}, {Rows: 8, Cols: 64}},
	} {
		b, err := (&pir.Params{Identity: testID, QueryBits: 24, Bands: bands, Info: []byte("info")}).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := pir.ParseParams(b)
		if err != nil {
			if !errors.Is(err, pir.ErrParams) {
				t.Errorf("unexpected error %v", err)
			}
			return
		}
		if again, err := p.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("parsed and encoded again: %v", err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	x := small(f)
	whole := question(f, x.snapshot.Params()).Query()
	f.Add(0, []byte{1})
	f.Add(pir.HeaderSize, []byte{255, 255, 255, 255, 255, 255, 255})
	f.Add(len(whole), []byte{0})
	f.Fuzz(func(t *testing.T, at int, patch []byte) {
		if at < 0 || at > len(whole) {
			return
		}
		b := append(bytes.Clone(whole[:at]), patch...)
		if len(b) < len(whole) {
			b = append(b, whole[len(b):]...)
		}
		q, err := x.snapshot.Decode(b)
		if err != nil {
			return
		}
		if len(b) != len(whole) {
			t.Fatalf("accepted %d bytes", len(b))
		}
		x.snapshot.Answer(pir.BestEngine(1), []*pir.Query{q})
	})
}

func FuzzAnswer(f *testing.F) {
	x := small(f)
	good := x.answer(f, question(f, x.snapshot.Params()).Query())
	f.Add(good)
	f.Add(good[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, _, err := question(t, x.snapshot.Params()).Open(b); err == nil && len(got[0]) != 8 {
			t.Error("a column of another length")
		}
	})
}

func FuzzOpen(f *testing.F) {
	x := small(f)
	b := stored(f, x.snapshot)
	f.Add(b[:4096])
	f.Fuzz(func(t *testing.T, head []byte) {
		// Only an untouched file may open, and this one lacks its end.
		if _, err := pir.Open(append(bytes.Clone(head), b[min(len(head), len(b)):len(b)-1]...)); !errors.Is(err, pir.ErrFile) {
			t.Errorf("opened: %v", err)
		}
	})
}

func FuzzBits(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuv"), 13)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		if width < 1 || width > 56 {
			return
		}
		n := len(b) * 8 / width / 8 * 8
		b = b[:n*width/8]
		if got := pir.PackBits(pir.UnpackBits(b, n, width), width); !bytes.Equal(got, b) {
			t.Errorf("%d bits: %x became %x", width, b, got)
		}
	})
}
