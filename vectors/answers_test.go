package vectors_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
)

// answerFile is the form of answers.json: what a holder says of a mapping that
// lives.
type answerFile struct {
	Spec      string         `json:"spec"`
	Version   int            `json:"version"`
	Registry  string         `json:"registry"`
	Mapping   string         `json:"mapping"` // of all vectors
	Receipts  []string       `json:"receipts"`
	Reproofs  []answerVector `json:"reproofs"`
	Questions []answerVector `json:"questions"`
}

type answerVector struct {
	Name      string   `json:"name"`
	Why       string   `json:"why"`
	Now       int64    `json:"now"`
	Expect    string   `json:"expect"`
	Statement string   `json:"statement"`
	Receipts  []string `json:"receipts,omitempty"`
	Level     uint8    `json:"level,omitempty"`
}

// answerCase makes one vector.
type answerCase struct {
	name, why string
	after     time.Duration // looked at so long after the mapping was made
	bend      func(*statement)
	receipts  func([][]byte) [][]byte // those that are sent beside; nil: those that are named
	named     func(*maker, *possession.Receipt)
	expect    problem.Kind // empty: accepted
}

func hexed(all [][]byte) []string {
	var out []string
	for _, b := range all {
		out = append(out, hex.EncodeToString(b))
	}
	return out
}

func reproofCases() []answerCase {
	const foreign, malformed = problem.ReproofForeign, problem.MappingMalformed
	by := func(name string) func(*statement) { return func(s *statement) { s.key = worldtest.Key(s.t, name) } }
	return []answerCase{
		{name: "good", why: "By the holder, for this mapping, by receipts made for it."},
		{name: "clock behind", why: "Two minutes of skew are allowed.", after: -2 * time.Minute},
		{name: "by another key", why: "Only the holder proves for herself.", bend: by("mallory"), expect: foreign},
		{name: "by the DP", why: "Only the holder proves for herself.", bend: by(worldtest.DP), expect: foreign},
		{name: "another mapping id", why: "For this mapping alone.", bend: func(s *statement) { s.body[1] = make([]byte, 16) }, expect: foreign},
		{name: "another payload", why: "For this sequence alone.", bend: func(s *statement) { s.body[2] = make([]byte, 32) }, expect: foreign},
		{name: "under the label of a withdrawal", why: "A signature made for one purpose is none for another.", bend: func(s *statement) { s.label = key.LabelWithdrawal }, expect: foreign},
		{name: "receipts of an enrolment", why: "Made for something else.", named: func(_ *maker, r *possession.Receipt) { r.Purpose = possession.PurposeEnrol }, expect: foreign},
		{name: "receipts of another key", why: "She proves with her own key.", named: func(m *maker, r *possession.Receipt) {
			r.Subject = possession.SubjectOf(m.id, m.key("mallory").Public())
		}, expect: problem.ReceiptForeign},
		{name: "a receipt after it", why: "It is dated before what it rests on.", named: func(_ *maker, r *possession.Receipt) { r.Signed = r.Signed.Add(time.Second) }, expect: problem.ReceiptOrder},
		{name: "a receipt less", why: "Two are named.", receipts: func(r [][]byte) [][]byte { return r[:1] }, expect: problem.ReceiptSet},
		{name: "receipts swapped", why: "In the order in which they are named.", receipts: func(r [][]byte) [][]byte { return [][]byte{r[1], r[0]} }, expect: problem.ReceiptSet},
		{name: "dated in the future", why: "More than 120 seconds.", after: -2*time.Minute - time.Second, expect: problem.TimeFuture},
		{name: "without a kid", why: "The kid says whose it is.", bend: func(s *statement) { s.named = false }, expect: malformed},
		{name: "no receipt named", why: "One at least.", bend: func(s *statement) { s.body[3] = []any{} }, receipts: func([][]byte) [][]byte { return nil }, expect: malformed},
		{name: "trailing byte", why: "One byte after the statement.", bend: func(s *statement) {
			s.message = func(b []byte) []byte { return append(b, 0) }
		}, expect: malformed},
	}
}

func questionCases() []answerCase {
	const foreign, malformed = problem.StatusForeign, problem.MappingMalformed
	return []answerCase{
		{name: "good", why: "By the holder, for this mapping, now."},
		{name: "two minutes old", why: "As old as clocks may differ.", after: 2 * time.Minute},
		{name: "two minutes ahead", why: "Likewise.", after: -2 * time.Minute},
		{name: "older", why: "Nobody asks with what he overheard.", after: 2*time.Minute + time.Second, expect: foreign},
		{name: "further ahead", why: "Likewise.", after: -2*time.Minute - time.Second, expect: foreign},
		{name: "by another key", why: "Only the holder asks.", bend: func(s *statement) { s.key = worldtest.Key(s.t, "mallory") }, expect: foreign},
		{name: "another mapping id", why: "For this mapping alone.", bend: func(s *statement) { s.body[1] = make([]byte, 16) }, expect: foreign},
		{name: "under the label of a withdrawal", why: "A signature made for one purpose is none for another.", bend: func(s *statement) { s.label = key.LabelWithdrawal }, expect: foreign},
		{name: "with a digest", why: "Nothing beside the id.", bend: func(s *statement) { s.body[2] = make([]byte, 32) }, expect: malformed},
	}
}

// sign makes a holder's statement, bent.
func (m *maker) sign(s statement, bend func(*statement)) []byte {
	s.t, s.key, s.named = m.t, m.holder(), true
	s.params, s.message = cose.Params{Role: 1, Time: m.Now.Unix()}, func(b []byte) []byte { return b }
	if bend != nil {
		bend(&s)
	}
	out, err := cose.Sign1(s.label, m.marshal(s.body), s.key, s.named, s.params)
	if err != nil {
		m.t.Fatal(err)
	}
	return s.message(out)
}

func (c answerCase) vector(m *maker, statement []byte) answerVector {
	v := answerVector{Name: c.name, Why: c.why, Now: m.Now.Add(c.after).Unix(), Expect: "accept", Statement: hex.EncodeToString(statement)}
	if c.expect != "" {
		v.Expect = string(c.expect)
	}
	return v
}

func composeAnswers(t *testing.T) answerFile {
	m := newMaker(t)
	b := m.draft(mspName).bundle()
	u, err := mapping.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	id, digest := u.Claims().ID, u.Digest()
	f := answerFile{
		Spec: "docs/spec/mapping.md", Version: 1, Registry: "registry/members.cbor",
		Mapping: hex.EncodeToString(b.Mapping), Receipts: hexed(b.Receipts),
	}
	for _, c := range reproofCases() {
		var receipts [][]byte
		digests := []any{}
		for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
			r := m.receipt(kind, []string{worldtest.ProverA, worldtest.ProverB}[i], func(r *possession.Receipt) {
				r.Purpose = possession.PurposeReprove
				if c.named != nil {
					c.named(m, r)
				}
			})
			d := possession.Digest(r)
			receipts, digests = append(receipts, r), append(digests, bytes.Clone(d[:]))
		}
		v := c.vector(m, m.sign(statement{body: tree{1: bytes.Clone(id[:]), 2: bytes.Clone(digest[:]), 3: digests}, label: key.LabelReproof}, c.bend))
		if c.receipts != nil {
			receipts = c.receipts(receipts)
		}
		v.Receipts = hexed(receipts)
		if c.expect == "" {
			v.Level = uint8(possession.Level4)
		}
		f.Reproofs = append(f.Reproofs, v)
	}
	for _, c := range questionCases() {
		s := m.sign(statement{body: tree{1: bytes.Clone(id[:])}, label: key.LabelStatus}, c.bend)
		f.Questions = append(f.Questions, c.vector(m, s))
	}
	return f
}

// TestR19AnswerVectors runs every re-proof and every question against the mapping.
func TestR19AnswerVectors(t *testing.T) {
	var f answerFile
	if err := json.Unmarshal(readMapping(t, "answers.json"), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Reproofs) == 0 || len(f.Questions) == 0 {
		t.Fatal("no vectors")
	}
	u, err := mapping.Parse(mapping.Bundle{Mapping: unhex(t, f.Mapping), Receipts: unhexed(t, f.Receipts)})
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot(t, f.Registry, u.Claims().Issued)
	for _, v := range f.Reproofs {
		t.Run("re-proof/"+v.Name, func(t *testing.T) {
			var a possession.Assessment
			r, err := mapping.ParseReproof(unhex(t, v.Statement), unhexed(t, v.Receipts))
			if err == nil {
				a, err = mapping.PolicyAt(s, time.Unix(v.Now, 0)).VerifyReproof(r, u)
			}
			if got := kindOf(t, err); got != v.Expect || uint8(a.Level) != v.Level {
				t.Errorf("got %s (%v), level %d; want %s, level %d", got, err, a.Level, v.Expect, v.Level)
			}
		})
	}
	for _, v := range f.Questions {
		t.Run("question/"+v.Name, func(t *testing.T) {
			q, err := mapping.ParseQuestion(unhex(t, v.Statement))
			if err == nil {
				err = q.Authorises(u, time.Unix(v.Now, 0))
			}
			if got := kindOf(t, err); got != v.Expect {
				t.Errorf("got %s (%v), want %s", got, err, v.Expect)
			}
		})
	}
}

func unhexed(t *testing.T, all []string) [][]byte {
	var out [][]byte
	for _, s := range all {
		out = append(out, unhex(t, s))
	}
	return out
}
