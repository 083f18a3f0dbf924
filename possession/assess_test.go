package possession_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/observe"
	"whither/registry"
)

// proverB2 is a second prover of prover B's operator, observerB an observer of
// his, observerC one of its own operator.
const (
	proverB2  = "prover-b2.example"
	observerB = "observer-b.example"
	observerC = "observer-c.example"
	issuerURL = "https://op.example.org"
)

// scene is a federation, a CSI and a key about which receipts are made.
type scene struct {
	*worldtest.Federation
	t      testing.TB
	id     csi.ID
	holder key.Public
}

func newScene(t testing.TB, id string) *scene {
	f := worldtest.New(t)
	f.Add(proverB2, registry.RoleProver, nil)
	f.Add(observerB, registry.RoleObserver, nil)
	f.Add(observerC, registry.RoleObserver, nil)
	for _, name := range []string{proverB2, observerB} {
		f.Grant(name).Operator = f.Grant(worldtest.ProverB).Operator
	}
	f.Record.Policy.Evidence.Issuers = []registry.Issuer{{
		URL: issuerURL, Clients: []string{"whither"}, Domains: []string{"example.org"}, Handle: "handle",
	}}
	return &scene{Federation: f, t: t, id: worldtest.CSI(t, id), holder: worldtest.Key(t, "alice").Public()}
}

// receipt is a good receipt, bent, and signed by a prover.
func (s *scene) receipt(kind possession.Kind, prover string, bend func(*possession.Receipt)) []byte {
	r := s.Receipt(s.id, s.holder, kind, s.Now)
	if bend != nil {
		bend(&r)
	}
	return s.SignReceipt(r, prover)
}

// word is an observer's about a key that was last seen at a time.
func (s *scene) word(observer string, k observe.Key, last time.Time) []byte {
	s.t.Helper()
	o := observe.Observation{Key: k, First: s.Now.Add(-48 * time.Hour), Last: last, Signed: s.Now}
	b, err := o.Sign(worldtest.Key(s.t, observer))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *scene) pair() [][]byte {
	return [][]byte{s.receipt(possession.MailReply, worldtest.ProverA, nil), s.receipt(possession.MailWitness, worldtest.ProverB, nil)}
}

func (s *scene) question() possession.Question {
	return possession.Question{CSI: s.id, Holder: s.holder, Before: s.Now, Now: s.Now}
}

func (s *scene) assess(q possession.Question, set ...[]byte) (possession.Assessment, error) {
	s.t.Helper()
	return possession.Assess(s.Snapshot(), parse(s.t, set...), q)
}

func parse(t testing.TB, set ...[]byte) []possession.Unverified {
	t.Helper()
	var out []possession.Unverified
	for _, b := range set {
		u, err := possession.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

// assessCase is a question and a set of receipts about it.
type assessCase struct {
	name string
	bend func(*scene, *possession.Question) [][]byte
	want error
}

// assessCases are those about mail that pass with level 4 or are refused, each
// with its own error: one receipt that does not hold spoils the set.
func assessCases() []assessCase {
	// with replaces the witness's receipt.
	with := func(prover string, bend func(*possession.Receipt)) func(*scene, *possession.Question) [][]byte {
		return func(s *scene, _ *possession.Question) [][]byte {
			return [][]byte{s.pair()[0], s.receipt(possession.MailWitness, prover, bend)}
		}
	}
	ask := func(edit func(*scene, *possession.Question)) func(*scene, *possession.Question) [][]byte {
		return func(s *scene, q *possession.Question) [][]byte { edit(s, q); return s.pair() }
	}
	standing := func(state registry.State, since time.Duration) func(*scene, *possession.Question) [][]byte {
		return ask(func(s *scene, _ *possession.Question) {
			s.Grant(worldtest.ProverB).Standing = registry.Standing{State: state, Since: s.Now.Add(since).Unix()}
		})
	}
	operator := func(s *scene, name string) registry.Operator { return s.Grant(name).Operator }
	return []assessCase{
		{"as it should be", ask(func(*scene, *possession.Question) {}), nil},
		{"no receipt", func(*scene, *possession.Question) [][]byte { return nil }, possession.ErrNoReceipts},
		{"nine receipts", func(s *scene, _ *possession.Question) [][]byte {
			var set [][]byte
			for i := range 9 {
				set = append(set, s.receipt(possession.MailReply, worldtest.ProverA, func(r *possession.Receipt) { r.Artefact[0] = byte(i) }))
			}
			return set
		}, possession.ErrTooMany},
		{"one twice", func(s *scene, _ *possession.Question) [][]byte { return append(s.pair(), s.pair()[0]) }, possession.ErrRepeated},
		{"of another CSI", ask(func(s *scene, q *possession.Question) { q.CSI = worldtest.CSI(s.t, "mailto:bob@example.org") }), possession.ErrForeign},
		{"of another key", ask(func(s *scene, q *possession.Question) { q.Holder = worldtest.Key(s.t, "bob").Public() }), possession.ErrForeign},
		{"one of another key", with(worldtest.ProverB, func(r *possession.Receipt) { r.Subject[31]++ }), possession.ErrForeign},
		{"unknown kind", with(worldtest.ProverB, func(r *possession.Receipt) { r.Kind = 99 }), possession.ErrKindUnknown},
		{"kind 0", with(worldtest.ProverB, func(r *possession.Receipt) { r.Kind = 0 }), possession.ErrKindUnknown},
		{"kind of another scheme", with(worldtest.ProverB, func(r *possession.Receipt) { r.Kind = possession.CodeCall }), possession.ErrUnfitKind},
		{"by a stranger", with("stranger.example", nil), possession.ErrUnknown},
		{"by an MSP", with(worldtest.MSPA, nil), possession.ErrUnknown},
		{"by a DP", with(worldtest.DP, nil), possession.ErrUnknown},
		{"by a party whose role was taken", ask(func(s *scene, _ *possession.Question) {
			s.Grant(worldtest.ProverB).Roles = []registry.Role{registry.RoleObserver}
		}), possession.ErrUnknown},
		{"before the key was listed", with(worldtest.ProverB, func(r *possession.Receipt) {
			r.Signed = r.Signed.Add(-49 * time.Hour)
			r.Evidence = r.Signed
		}), possession.ErrUnknown},
		{"after the key was given up", ask(func(s *scene, _ *possession.Question) {
			s.Selfs[worldtest.ProverB].Keys[0].Until = s.Now.Unix()
		}), possession.ErrUnknown},
		{"in the last second of the key", ask(func(s *scene, _ *possession.Question) {
			s.Selfs[worldtest.ProverB].Keys[0].Until = s.Now.Unix() + 1
		}), nil},
		{"signature of another label", func(s *scene, _ *possession.Question) [][]byte {
			b := good(s.t)
			b[7] = s.Now.Unix()
			return [][]byte{sign(s.t, b, key.LabelMapping, true, paramsAt(s.Now))}
		}, possession.ErrSignature},
		{"signature broken", func(s *scene, _ *possession.Question) [][]byte {
			set := s.pair()
			set[1][len(set[1])-1] ^= 1
			return set
		}, possession.ErrSignature},
		{"content changed", func(s *scene, _ *possession.Question) [][]byte {
			set := s.pair()
			set[1] = bytes.Replace(set[1], []byte{0x04, 0x04, 0x05}, []byte{0x04, 0x03, 0x05}, 1)
			return set
		}, possession.ErrSignature},
		{"of the DP's operator", ask(func(s *scene, q *possession.Question) {
			q.Barred = []registry.Operator{operator(s, worldtest.ProverB)}
		}), possession.ErrDependent},
		{"of a listed MSP's operator", ask(func(s *scene, q *possession.Question) {
			q.Barred = []registry.Operator{operator(s, worldtest.DP), operator(s, worldtest.MSPA), operator(s, worldtest.ProverA)}
		}), possession.ErrDependent},
		{"others are barred", ask(func(s *scene, q *possession.Question) {
			q.Barred = []registry.Operator{operator(s, worldtest.DP), operator(s, worldtest.MSPA)}
		}), nil},
		{"evidence after the receipt", with(worldtest.ProverB, func(r *possession.Receipt) { r.Evidence = r.Signed.Add(time.Second) }), possession.ErrOrder},
		{"signed after the holder", with(worldtest.ProverB, func(r *possession.Receipt) { r.Signed = r.Signed.Add(time.Second) }), possession.ErrOrder},
		{"in the future", func(s *scene, q *possession.Question) [][]byte {
			q.Before = s.Now.Add(time.Hour)
			return with(worldtest.ProverB, func(r *possession.Receipt) { r.Signed = r.Signed.Add(121 * time.Second) })(s, q)
		}, possession.ErrOrder},
		{"as far in the future as clocks differ", func(s *scene, q *possession.Question) [][]byte {
			q.Before = s.Now.Add(time.Hour)
			return with(worldtest.ProverB, func(r *possession.Receipt) { r.Signed = r.Signed.Add(120 * time.Second) })(s, q)
		}, nil},

		{"prover closed before", standing(registry.Closed, -time.Hour), possession.ErrStanding},
		{"prover closed that second", standing(registry.Closed, 0), possession.ErrStanding},
		{"prover closed since", standing(registry.Closed, time.Hour), nil},
		{"prover expelled before", standing(registry.Expelled, -time.Hour), possession.ErrStanding},
		{"prover expelled, nobody saw the receipt before", func(s *scene, q *possession.Question) [][]byte {
			q.Now = s.Now.Add(2 * time.Hour)
			return standing(registry.Expelled, time.Hour)(s, q)
		}, possession.ErrStanding},
		{"prover expelled, another operator saw the receipt before", func(s *scene, q *possession.Question) [][]byte {
			q.Now, q.Witnessed, q.WitnessedBy = s.Now.Add(2*time.Hour), s.Now.Add(time.Minute), operator(s, worldtest.DP)
			return standing(registry.Expelled, time.Hour)(s, q)
		}, nil},
		{"prover expelled, its own operator saw the receipt before", func(s *scene, q *possession.Question) [][]byte {
			q.Now, q.Witnessed, q.WitnessedBy = s.Now.Add(2*time.Hour), s.Now.Add(time.Minute), operator(s, worldtest.ProverB)
			return standing(registry.Expelled, time.Hour)(s, q)
		}, possession.ErrStanding},
		{"prover expelled before another operator saw the receipt", func(s *scene, q *possession.Question) [][]byte {
			q.Now, q.Witnessed, q.WitnessedBy = s.Now.Add(2*time.Hour), s.Now.Add(time.Hour), operator(s, worldtest.DP)
			return standing(registry.Expelled, time.Hour)(s, q)
		}, possession.ErrStanding},
	}
}

// TestR05AssessRefuses runs every case.
func TestR05AssessRefuses(t *testing.T) {
	for _, c := range assessCases() {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, "mailto:alice@example.org")
			q := s.question()
			set := c.bend(s, &q)
			a, err := s.assess(q, set...)
			if !errors.Is(err, c.want) || c.want == nil && a.Level != possession.Level4 {
				t.Errorf("level %d, %v; want %v", a.Level, err, c.want)
			}
		})
	}
}

func TestAssessment(t *testing.T) {
	s := newScene(t, "mailto:alice@example.org")
	old := func(r *possession.Receipt) { r.Evidence = r.Evidence.Add(-time.Hour) }
	a, err := s.assess(s.question(), s.receipt(possession.MailReply, worldtest.ProverA, old), s.pair()[1])
	if err != nil {
		t.Fatal(err)
	}
	if !a.Oldest.Equal(s.Now.Add(-time.Hour)) || !a.Newest.Equal(a.Oldest) {
		t.Errorf("evidence from %s to %s", a.Oldest, a.Newest)
	}
	var vouchers []string
	for _, v := range a.Vouchers {
		vouchers = append(vouchers, fmt.Sprintf("%s %s %s", v.Prover, v.Operator, v.Kind))
	}
	want := []string{"prover-a.example op-prover-a.example mail-reply", "prover-b.example op-prover-b.example mail-witness"}
	if !slices.Equal(vouchers, want) {
		t.Errorf("vouchers %q", vouchers)
	}
}

// statement is what the level depends on, of one receipt or word.
type statement struct {
	prover   string
	operator string
	kind     possession.Kind
	level    possession.Level
	artefact byte
	keySeen  byte // 0: none
	// word is an observer's: the place of the key, 0 for receipts. late: it was
	// last seen before the evidence.
	word observe.Kind
	late bool
}

func (x statement) String() string {
	if x.word != 0 {
		return fmt.Sprintf("word %d of %s, key %d, late %t", x.word, x.prover, x.keySeen, x.late)
	}
	return fmt.Sprintf("%s %s level %d, artefact %d, key %d", x.prover, x.kind, x.level, x.artefact, x.keySeen)
}

// family is what the specification says of the kinds that corroborate each
// other, in other words than the code.
type family struct {
	name     string
	best     possession.Level
	asked    []possession.Kind // by who asked the CSI
	witness  []possession.Kind // vouch for the artefact and the key
	recheck  possession.Kind   // vouches for the artefact alone
	channels bool              // the second is of the other channel
	certs    bool              // the key is in the artefact
	nameless bool              // and need not be named
	word     observe.Kind      // where the key is published
}

var families = []family{
	{name: "mail", best: 4, asked: []possession.Kind{1}, witness: []possession.Kind{2}, recheck: 15, word: observe.DKIM},
	{name: "code", best: 2, asked: []possession.Kind{3}, witness: []possession.Kind{4, 5}, channels: true},
	{name: "stir", best: 4, asked: []possession.Kind{6, 7, 8, 9}, witness: []possession.Kind{10}, certs: true},
	{name: "openid", best: 3, asked: []possession.Kind{11}, witness: []possession.Kind{12}, recheck: 16, word: observe.JWKS},
	{name: "smime", best: 3, asked: []possession.Kind{13}, witness: []possession.Kind{14}, certs: true, nameless: true},
}

// kinds are all of the family.
func (f family) kinds() []possession.Kind {
	all := slices.Concat(f.asked, f.witness)
	if f.recheck != 0 {
		all = append(all, f.recheck)
	}
	return all
}

// want is the level of a set by the words of the specification.
func want(set []statement) possession.Level {
	level := possession.Level1
	for _, f := range families {
		for _, a := range set {
			if a.word != 0 || !slices.Contains(f.asked, a.kind) {
				continue
			}
			for _, b := range set {
				if b.word == 0 && b.operator != a.operator { // one operator is one word
					level = max(level, f.want(a, b, set))
				}
			}
		}
	}
	return level
}

func (f family) want(a, b statement, set []statement) possession.Level {
	both := min(a.level, b.level, f.best)
	switch {
	case !slices.Contains(f.kinds(), b.kind):
		return possession.Level1
	case f.channels:
		if slices.Contains(f.asked, b.kind) {
			return possession.Level1
		}
		return both
	case a.artefact != b.artefact, slices.Contains(f.asked, b.kind) && b.kind != a.kind:
		return possession.Level1
	case f.certs:
		if a.keySeen != b.keySeen || a.keySeen == 0 && !f.nameless {
			return possession.Level1
		}
		return both
	}
	// The key needs two words as well.
	words := 0
	if a.keySeen != 0 && a.keySeen == b.keySeen {
		words++
		if b.kind != f.recheck {
			words++
		}
		for _, w := range set {
			if w.word == f.word && w.keySeen == a.keySeen && !w.late && w.operator != a.operator {
				words++
			}
		}
	}
	switch {
	case words < 2 && b.kind == f.recheck:
		return possession.Level1 // of the key, the first one's word alone
	case words < 2:
		return min(both, possession.Level2)
	}
	return both
}

// bench signs statements once and assesses sets of them.
type bench struct {
	t        testing.TB
	snapshot *registry.Snapshot
	question possession.Question
	receipts map[statement]possession.Unverified
}

func newBench(t testing.TB, id string, universe []statement) *bench {
	s := newScene(t, id)
	b := &bench{t: t, snapshot: s.Snapshot(), question: s.question(), receipts: make(map[statement]possession.Unverified)}
	for _, x := range universe {
		if x.word != 0 {
			b.receipts[x] = parse(t, s.wordOf(x))[0]
			continue
		}
		raw := s.receipt(x.kind, x.prover, func(r *possession.Receipt) {
			r.Level, r.Artefact, r.KeySeen = x.level, [32]byte{x.artefact}, [32]byte{x.keySeen}
		})
		b.receipts[x] = parse(t, raw)[0]
	}
	return b
}

// wordOf signs a statement that is an observer's word.
func (s *scene) wordOf(x statement) []byte {
	k := observe.Key{Kind: observe.DKIM, Name: "example.org", Label: "s1", Digest: [32]byte{x.keySeen}}
	if x.word == observe.JWKS {
		k.Kind, k.Name = observe.JWKS, issuerURL
	}
	last := s.Now
	if x.late {
		last = s.Now.Add(-time.Second)
	}
	return s.word(x.prover, k, last)
}

func (b *bench) level(set []statement) possession.Level {
	var receipts []possession.Unverified
	alone := true
	for _, x := range set {
		receipts = append(receipts, b.receipts[x])
		alone = alone && x.word != 0
	}
	a, err := possession.Assess(b.snapshot, receipts, b.question)
	if alone && errors.Is(err, possession.ErrNoReceipts) {
		return possession.Level1 // words alone are no evidence
	}
	if err != nil {
		b.t.Fatalf("%v: %v", set, err)
	}
	return a.Level
}

func (b *bench) check(set ...statement) {
	b.t.Helper()
	if got := b.level(set); got != want(set) {
		b.t.Errorf("level %d, want %d: %v", got, want(set), set)
	}
}

// provers are three of two operators.
var provers = []statement{
	{prover: worldtest.ProverA, operator: "a"}, {prover: worldtest.ProverB, operator: "b"}, {prover: proverB2, operator: "b"},
}

// universe lists every statement over small sets of values.
func universe(kinds []possession.Kind, levels []possession.Level, artefacts, keys []byte) []statement {
	var all []statement
	for _, x := range provers {
		for _, x.kind = range kinds {
			for _, x.level = range levels {
				for _, x.artefact = range artefacts {
					for _, x.keySeen = range keys {
						all = append(all, x)
					}
				}
			}
		}
	}
	return all
}

// words lists every word of both observers.
func words(places ...observe.Kind) []statement {
	var all []statement
	for _, x := range []statement{{prover: observerB, operator: "b"}, {prover: observerC, operator: "c"}} {
		for _, x.word = range places {
			for _, x.keySeen = range []byte{1, 2} {
				for _, x.late = range []bool{false, true} {
					all = append(all, x)
				}
			}
		}
	}
	return all
}

// TestR05LevelOfAllSmallSets computes the level of every set of one and of two
// receipts, and of every set of three over fewer values.
func TestR05LevelOfAllSmallSets(t *testing.T) {
	const mailto, tel = "mailto:alice@example.org", "tel:+14085550123"
	kinds := func(i int) []possession.Kind { return families[i].kinds() }
	type levels = []possession.Level
	for _, c := range []struct {
		name, id string
		size     int
		universe []statement
	}{
		{"mail, two", mailto, 2, universe(kinds(0), levels{2, 4}, []byte{1, 2}, []byte{0, 1})},
		{"mail, three", mailto, 3, universe(kinds(0), levels{4}, []byte{1, 2}, []byte{1})},
		{"mail and words, three", mailto, 3, slices.Concat(universe(kinds(0), levels{4}, []byte{1}, []byte{1, 2}), words(observe.DKIM))},
		{"code, two", tel, 2, universe(kinds(1), levels{1, 2, 4}, []byte{1, 2}, []byte{0})},
		{"code, three", tel, 3, universe(kinds(1), levels{1, 2}, []byte{1}, []byte{0})},
		{"stir, two", tel, 2, universe(kinds(2), levels{4}, []byte{1, 2}, []byte{0, 1})},
		{"stir and code, three", tel, 3, universe(slices.Concat(kinds(1), kinds(2)), levels{4}, []byte{1}, []byte{1})},
		{"openid, two", mailto, 2, universe(kinds(3), levels{4}, []byte{1, 2}, []byte{0, 1, 2})},
		{"openid and words, three", "acct:alice@op.example.org", 3, slices.Concat(universe(kinds(3), levels{4}, []byte{1}, []byte{0, 1}), words(observe.JWKS))},
		{"smime, two", mailto, 2, universe(kinds(4), levels{4}, []byte{1, 2}, []byte{0, 1, 2})},
		{"all that speaks for addresses, three", mailto, 3, slices.Concat(
			universe(slices.Concat(kinds(0), kinds(3), kinds(4)), levels{4}, []byte{1}, []byte{1}), words(observe.DKIM, observe.JWKS)[:4])},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, n, seen := newBench(t, c.id, c.universe), 0, make(map[possession.Level]int)
			for i, x := range c.universe {
				b.check(x)
				for j, y := range c.universe[i+1:] {
					b.check(x, y)
					n++
					seen[want([]statement{x, y})]++
					if c.size == 3 {
						for _, z := range c.universe[i+1+j+1:] {
							b.check(x, y, z)
							n++
							seen[want([]statement{x, y, z})]++
						}
					}
				}
			}
			t.Logf("%d sets, levels %v", n, seen)
			if seen[possession.Level1] == 0 || len(seen) < 2 {
				t.Errorf("levels %v: the sets show too little", seen)
			}
		})
	}
}

// TestR05LevelProperties: in random sets of up to eight of all kinds, order does
// not matter, one more statement never lowers the level, no set of one operator
// is believed, whatever observers publish, and of two operators none is where one
// is barred.
func TestR05LevelProperties(t *testing.T) {
	for _, c := range []struct {
		id    string
		kinds []possession.Kind
		words []statement
	}{
		{"mailto:alice@example.org", slices.Concat(families[0].kinds(), families[3].kinds(), families[4].kinds()), words(observe.DKIM, observe.JWKS)},
		{"acct:alice@op.example.org", families[3].kinds(), words(observe.JWKS)},
		{"tel:+14085550123", slices.Concat(families[1].kinds(), families[2].kinds()), nil},
	} {
		t.Run(c.id, func(t *testing.T) {
			all := slices.Concat(universe(c.kinds, []possession.Level{1, 2, 3, 4}, []byte{1, 2}, []byte{0, 1, 2}), c.words)
			b := newBench(t, c.id, all)
			rapid.Check(t, func(rt *rapid.T) { b.properties(rt, all) })
		})
	}
}

func (b *bench) properties(rt *rapid.T, all []statement) {
	set := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, possession.MaxReceipts, rapid.ID[statement]).Draw(rt, "set")
	level := b.level(set)
	if level != want(set) {
		rt.Fatalf("level %d, want %d", level, want(set))
	}
	if other := b.level(rapid.Permutation(set).Draw(rt, "order")); other != level {
		rt.Fatalf("level %d in another order, %d in this", other, level)
	}
	if n := len(set) - 1; n > 0 && b.level(set[:n]) > level {
		rt.Fatal("one statement more lowers the level")
	}
	for _, operator := range []string{"a", "b"} {
		// What one operator's provers say, beside every observer's word.
		one := slices.DeleteFunc(slices.Clone(set), func(s statement) bool { return s.word == 0 && s.operator != operator })
		if len(one) > 0 && b.level(one) != possession.Level1 {
			rt.Fatalf("operator %s alone is believed", operator)
		}
	}
	one := slices.DeleteFunc(slices.Clone(set), func(s statement) bool { return s.operator == "b" })
	if len(one) > 0 && len(one) < len(set) {
		barred := *b
		barred.question.Barred = []registry.Operator{operatorOf(b.t, "op-"+worldtest.ProverB)}
		var receipts []possession.Unverified
		for _, x := range set {
			receipts = append(receipts, b.receipts[x])
		}
		if a, err := possession.Assess(barred.snapshot, receipts, barred.question); !errors.Is(err, possession.ErrDependent) {
			rt.Fatalf("a barred operator's word is taken: level %d, %v", a.Level, err)
		}
		if barred.level(one) != possession.Level1 {
			rt.Fatal("one operator is believed beside a barred one")
		}
	}
}

func operatorOf(t testing.TB, name string) registry.Operator {
	t.Helper()
	o, err := registry.ParseOperator(name)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
