package vectors_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/problem"
)

// endFile is the form of ends.json.
type endFile struct {
	Spec     string      `json:"spec"`
	Version  int         `json:"version"`
	Mapping  string      `json:"mapping"` // the mapping of all vectors, at two MSPs
	Receipts []string    `json:"receipts"`
	Vectors  []endVector `json:"vectors"`
}

type endVector struct {
	Name   string   `json:"name"`
	Why    string   `json:"why"`
	Now    int64    `json:"now"`
	Expect string   `json:"expect"`
	Ends   []string `json:"ends"`
	Living []string `json:"living,omitempty"` // on accept: the providers whose entries have not ended
}

// endCase makes one vector.
type endCase struct {
	name, why string
	after     time.Duration // looked at so long after the mapping was made
	ends      [][]byte
	living    []string
	expect    problem.Kind // empty: accepted
}

// ends makes the ends of a mapping at two MSPs.
func ends(m *maker, b mapping.Bundle) []endCase {
	u, err := mapping.Parse(b)
	if err != nil {
		m.t.Fatal(err)
	}
	id, digest := u.Claims().ID, u.Digest()
	sign := func(provider string, bend func(*statement)) []byte {
		s := statement{
			body: tree{1: bytes.Clone(id[:]), 2: bytes.Clone(digest[:]), 3: provider}, label: key.LabelEntryEnd, key: m.key(provider), named: true,
			params: cose.Params{Role: 2, Time: m.Now.Add(time.Hour).Unix()}, message: func(b []byte) []byte { return b },
		}
		if bend != nil {
			bend(&s)
		}
		out, err := cose.Sign1(s.label, m.marshal(s.body), s.key, s.named, s.params)
		if err != nil {
			m.t.Fatal(err)
		}
		return s.message(out)
	}
	const a, other = mspName, worldtest.MSPB
	one := func(bend func(*statement)) [][]byte { return [][]byte{sign(a, bend)} }
	payload := sha256.Sum256([]byte("another payload"))
	const foreign, malformed, hour = problem.EndForeign, problem.MappingMalformed, time.Hour
	return []endCase{
		{"none", "Nobody has ended an entry.", hour, nil, []string{a, other}, ""},
		{"the first", "By its MSP, for this mapping; the other one stays.", hour, one(nil), []string{other}, ""},
		{"the second", "The other one stays.", hour, [][]byte{sign(other, nil)}, []string{a}, ""},
		{"both", "The mapping is dead, which is not the same as not to be found.", hour, [][]byte{sign(a, nil), sign(other, nil)}, nil, ""},
		{"when the MSP signed", "Not before its signature.", hour, one(func(s *statement) { s.params.Time = m.Now.Unix() }), []string{other}, ""},
		{"clock behind", "Two minutes of skew are allowed.", hour - 2*time.Minute, one(nil), []string{other}, ""},
		{"out of order", "In the order of the entries.", hour, [][]byte{sign(other, nil), sign(a, nil)}, nil, foreign},
		{"twice", "Each entry's once.", hour, [][]byte{sign(a, nil), sign(a, nil)}, nil, foreign},
		{"more than entries", "Each entry's once.", hour, [][]byte{sign(a, nil), sign(other, nil), sign(other, nil)}, nil, foreign},
		{"by the other MSP", "Nobody ends another's entry.", hour, one(func(s *statement) { s.key = m.key(other) }), nil, foreign},
		{"by the DP", "Nobody ends another's entry.", hour, one(func(s *statement) { s.key = m.key(worldtest.DP) }), nil, foreign},
		{"by the holder", "She withdraws.", hour, one(func(s *statement) { s.key = m.holder() }), nil, foreign},
		{"of no entry", "The provider is none of the mapping's.", hour, one(func(s *statement) { s.body[3] = "msp-c.example" }), nil, foreign},
		{"another mapping id", "For this mapping alone.", hour, one(func(s *statement) { s.body[1] = make([]byte, 16) }), nil, foreign},
		{"another payload", "For this sequence alone.", hour, one(func(s *statement) { s.body[2] = payload[:] }), nil, foreign},
		{"under the label of a withdrawal", "A signature made for one purpose is none for another.", hour, one(func(s *statement) { s.label = key.LabelWithdrawal }), nil, foreign},
		{"before the MSP signed", "What it signs later is not ended.", hour, one(func(s *statement) { s.params.Time = m.Now.Unix() - 1 }), nil, foreign},
		{"signature broken", "The last bit.", hour, one(func(s *statement) {
			s.message = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}), nil, foreign},
		{"dated in the future", "More than 120 seconds.", hour - 2*time.Minute - time.Second, one(nil), nil, problem.TimeFuture},
		{"without a kid", "The kid says whose it is.", hour, one(func(s *statement) { s.named = false }), nil, malformed},
		{"in the role of a holder", "Role 2.", hour, one(func(s *statement) { s.params.Role = 1 }), nil, malformed},
		{"with a CSI", "Nothing beside id, digest and provider.", hour, one(func(s *statement) { s.body[4] = "mailto:" + address }), nil, malformed},
		{"trailing byte", "One byte after the statement.", hour, one(func(s *statement) {
			s.message = func(b []byte) []byte { return append(b, 0) }
		}), nil, malformed},
		{"larger than 512 bytes", "A bound before anything is read.", hour, one(func(s *statement) {
			s.message = func(b []byte) []byte { return append(b, make([]byte, 512)...) }
		}), nil, malformed},
	}
}

func composeEnds(t *testing.T) endFile {
	m := newMaker(t)
	b := m.draft(mspName, worldtest.MSPB).bundle()
	f := endFile{Spec: "docs/spec/mapping.md", Version: 1, Mapping: hex.EncodeToString(b.Mapping)}
	for _, r := range b.Receipts {
		f.Receipts = append(f.Receipts, hex.EncodeToString(r))
	}
	for _, c := range ends(m, b) {
		v := endVector{Name: c.name, Why: c.why, Now: m.Now.Add(c.after).Unix(), Expect: string(c.expect), Ends: []string{}, Living: c.living}
		if c.expect == "" {
			v.Expect = "accept"
		}
		for _, e := range c.ends {
			v.Ends = append(v.Ends, hex.EncodeToString(e))
		}
		f.Vectors = append(f.Vectors, v)
	}
	return f
}

// TestR21EndVectors verifies the mapping with every set of ends beside it.
func TestR21EndVectors(t *testing.T) {
	var f endFile
	if err := json.Unmarshal(readMapping(t, "ends.json"), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	snapshot := newMaker(t).Snapshot()
	for _, v := range f.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			b := mapping.Bundle{Mapping: unhex(t, f.Mapping)}
			for _, r := range f.Receipts {
				b.Receipts = append(b.Receipts, unhex(t, r))
			}
			for _, e := range v.Ends {
				b.Ends = append(b.Ends, unhex(t, e))
			}
			var found mapping.Verified
			u, err := mapping.Parse(b)
			if err == nil {
				found, err = mapping.PolicyAt(snapshot, time.Unix(v.Now, 0)).Verify(u)
			}
			if got := kindOf(t, err); got != v.Expect {
				t.Fatalf("got %s (%v), want %s", got, err, v.Expect)
			}
			var living []string
			if err == nil {
				for _, e := range found.Living() {
					living = append(living, e.Provider.String())
				}
			}
			if diff := cmp.Diff(v.Living, living, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
