package possession_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/observe"
	"whither/registry"
)

// mint is a federation in which receipts are forged: those that honest provers
// signed for the holder, and those of everybody else.
type mint struct {
	*scene
	snapshot *registry.Snapshot
	question possession.Question
	honest   map[string]statement // by bytes: what honest provers and observers said of this holder
	base     [][]byte             // a set that holds
	pool     [][]byte             // good statements by others, for others, and of before
}

// newMint makes the statements of one family about its CSI.
func newMint(t *testing.T, f family, id string) *mint {
	s := newScene(t, id)
	for _, name := range []string{"prover-dp.example", "prover-expelled.example"} {
		s.Add(name, registry.RoleProver, nil)
	}
	s.Grant("prover-dp.example").Operator = s.Grant(worldtest.DP).Operator
	s.Grant("prover-expelled.example").Standing = registry.Standing{State: registry.Expelled, Since: s.Now.Unix() - 60}
	m := &mint{scene: s, snapshot: s.Snapshot(), question: s.question(), honest: make(map[string]statement)}
	m.question.Barred = []registry.Operator{s.Grant(worldtest.DP).Operator, s.Grant(worldtest.MSPA).Operator}
	first, second := statement{
		prover: worldtest.ProverA, operator: "a", kind: f.asked[0], level: f.best, artefact: 1, keySeen: 1,
	}, statement{prover: worldtest.ProverB, operator: "b", kind: f.witness[0], level: f.best, artefact: 1, keySeen: 1}
	m.base = [][]byte{m.say(first), m.say(second)}
	// What the honest say of another artefact, another key, and a weaker level.
	for _, x := range []statement{first, second} {
		for _, k := range f.kinds() {
			x.kind = k
			for _, bend := range []func(*statement){
				func(*statement) {}, func(x *statement) { x.artefact = 2 }, func(x *statement) { x.keySeen = 2 }, func(x *statement) { x.level = 1 },
			} {
				m.pool = append(m.pool, m.say(x.with(bend)))
			}
		}
	}
	if f.word != 0 {
		for _, w := range words(f.word) {
			m.pool = append(m.pool, m.say(w))
		}
	}
	m.foreign(f)
	return m
}

// say signs a statement that an honest party makes about the holder.
func (m *mint) say(x statement) []byte {
	b := m.sign(x, nil)
	m.honest[string(b)] = x
	return b
}

func (m *mint) sign(x statement, bend func(*possession.Receipt)) []byte {
	if x.word != 0 {
		return m.wordOf(x)
	}
	return m.receipt(x.kind, x.prover, func(r *possession.Receipt) {
		r.Level, r.Artefact, r.KeySeen = x.level, [32]byte{x.artefact}, [32]byte{x.keySeen}
		if bend != nil {
			bend(r)
		}
	})
}

// foreign adds what must not help: receipts by parties that are no provers, are
// barred or expelled; for another CSI and key; from another time; and of kinds of
// another scheme.
func (m *mint) foreign(f family) {
	x := statement{kind: f.witness[0], level: f.best, artefact: 1, keySeen: 1}
	for _, x.prover = range []string{worldtest.MSPA, worldtest.DP, "prover-dp.example", "prover-expelled.example", observerC, "mallory.example"} {
		m.pool = append(m.pool, m.sign(x, nil))
	}
	x.prover = worldtest.ProverB
	other := possession.SubjectOf(worldtest.CSI(m.t, address), worldtest.Key(m.t, "mallory").Public())
	for _, bend := range []func(*possession.Receipt){
		func(r *possession.Receipt) { r.Subject = other },
		func(r *possession.Receipt) { r.Signed = m.Now.Add(time.Hour) },
		func(r *possession.Receipt) { r.Signed = m.Now.Add(-72 * time.Hour); r.Evidence = r.Signed },
		func(r *possession.Receipt) { r.Kind = 200 },
	} {
		m.pool = append(m.pool, m.sign(x, bend))
	}
	if f.word != 0 {
		for _, name := range []string{worldtest.ProverA, worldtest.DP, "mallory.example"} {
			m.pool = append(m.pool, m.wordOf(statement{prover: name, word: f.word, keySeen: 1}))
		}
	}
}

// resign signs the payload of a statement again by somebody else, or under
// another label, as a party could that has keys of its own.
func (m *mint) resign(w worldtest.Mutator, b []byte) []byte {
	u, err := cose.Parse1(b, observe.MaxWord)
	if err != nil {
		return b
	}
	signer := worldtest.Pick(w, []string{worldtest.MSPA, worldtest.DP, "prover-dp.example", "mallory.example", observerC})
	label := worldtest.Pick(w, []key.Label{key.LabelReceipt, key.LabelObservation, key.LabelMapping})
	out, err := cose.Sign1(label, u.Payload, worldtest.Key(m.t, signer), true, u.Signature.Params)
	if err != nil {
		m.t.Fatal(err)
	}
	if label == key.LabelObservation && signer == observerC {
		// An observer signs what it will; what is no observation is none.
		if x, ok := m.honest[string(b)]; ok && x.word != 0 {
			x.prover, x.operator = observerC, "c"
			m.honest[string(out)] = x
		}
	}
	return out
}

// edit changes one member of a receipt's payload and keeps the signature.
func (m *mint) edit(w worldtest.Mutator, b []byte) []byte {
	u, err := cose.Parse1(b, observe.MaxWord)
	if err != nil {
		return b
	}
	var payload map[int64]any
	if canon.Unmarshal(u.Payload, observe.MaxWord, &payload) != nil {
		return b
	}
	switch n := int64(1 + w.IntN(7)); v := payload[n].(type) {
	case uint64:
		payload[n] = v + 1 - 2*w.Uint64N(2)
	case int64:
		payload[n] = v + 1 - 2*w.Int64N(2)
	case []byte:
		payload[n] = w.Bend(v, m.pool...)
	case string:
		payload[n] = worldtest.Pick(w, []string{"example.net", issuerURL, "mail." + v})
	default:
		payload[n] = uint64(w.IntN(4))
	}
	changed, err := canon.Marshal(payload)
	if err != nil {
		return b
	}
	return bytes.Replace(b, u.Payload, changed, 1)
}

// mutate changes a set: its members, their order, their number.
func (m *mint) mutate(w worldtest.Mutator) [][]byte {
	set := slices.Clone(m.base)
	for range 1 + w.IntN(3) {
		if len(set) == 0 {
			return set
		}
		i := w.IntN(len(set))
		switch w.IntN(9) {
		case 0, 1:
			set[i] = w.Bend(set[i], m.pool...)
		case 2, 3:
			set[i] = m.edit(w, set[i])
		case 4:
			set[i] = m.resign(w, set[i])
		case 5:
			set[i] = worldtest.Pick(w, m.pool)
		case 6:
			set = append(set, worldtest.Pick(w, m.pool))
		case 7:
			set = slices.Insert(set, i, set[w.IntN(len(set))])
		default:
			set = slices.Delete(set, i, i+1)
		}
	}
	return set
}

// TestR05MutatedSets changes valid sets of receipts of each family, with all that
// parties of the federation could sign beside: what is accepted was said by
// honest provers and observers about this CSI and this key, in these bytes, and
// is worth what the words of the specification say. 5,000 sets a family, 500,000
// with WHITHER_LONG=1.
func TestR05MutatedSets(t *testing.T) {
	for i, f := range families {
		id := address
		if f.name == "code" || f.name == "stir" {
			id = phone
		}
		t.Run(f.name, func(t *testing.T) {
			m := newMint(t, f, id)
			if a, err := judge(m.snapshot, m.question, m.base); err != nil || a.Level != f.best {
				t.Fatalf("the set itself: level %d, %v", a.Level, err)
			}
			worldtest.Mutations(t, uint64(i), func(w worldtest.Mutator) worldtest.Outcome { return m.try(w) })
		})
	}
}

func (m *mint) try(w worldtest.Mutator) worldtest.Outcome {
	set := m.mutate(w)
	a, err := judge(m.snapshot, m.question, set)
	if err != nil {
		return worldtest.Refused
	}
	var said []statement
	for _, b := range set {
		x, ok := m.honest[string(b)]
		if !ok {
			m.t.Logf("nobody said %x", b)
			return worldtest.Forged
		}
		said = append(said, x)
	}
	if a.Level != want(said) {
		m.t.Logf("level %d, want %d: %v", a.Level, want(said), said)
		return worldtest.Forged
	}
	if a.Level == possession.Level1 {
		return worldtest.Refused // never enough
	}
	return worldtest.Same
}
