package vectors_test

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/problem"
)

// withdrawalCase makes one vector.
type withdrawalCase struct {
	name, why string
	after     time.Duration // looked at so long after the mapping was made
	statement []byte
	expect    problem.Kind // empty: accepted
}

func (m *maker) key(name string) key.Private { return worldtest.Key(m.t, name) }
func (m *maker) holder() key.Private         { return m.key(holder) }

// statement is a withdrawal before it is signed, for cases to bend.
type statement struct {
	t       testing.TB
	body    tree
	label   key.Label
	key     key.Private
	named   bool
	params  cose.Params
	message func([]byte) []byte
}

// withdrawals makes the withdrawals of a mapping.
func withdrawals(m *maker, b mapping.Bundle) []withdrawalCase {
	u, err := mapping.Parse(b)
	if err != nil {
		m.t.Fatal(err)
	}
	id, digest := u.Claims().ID, u.Digest()
	sign := func(bend func(*statement)) []byte {
		s := statement{
			body: tree{1: bytes.Clone(id[:]), 2: bytes.Clone(digest[:])}, label: key.LabelWithdrawal, key: m.holder(), named: true,
			params: cose.Params{Role: 1, Time: m.Now.Add(time.Hour).Unix()}, message: func(b []byte) []byte { return b },
		}
		bend(&s)
		out, err := cose.Sign1(s.label, m.marshal(s.body), s.key, s.named, s.params)
		if err != nil {
			m.t.Fatal(err)
		}
		return s.message(out)
	}
	other := sha256.Sum256([]byte("another payload"))
	const foreign, malformed = problem.WithdrawalForeign, problem.MappingMalformed
	return []withdrawalCase{
		{"good", "By the holder, for this mapping.", time.Hour, sign(func(*statement) {}), ""},
		{"at the time of issue", "Not before iat.", time.Hour, sign(func(s *statement) { s.params.Time = m.Now.Unix() }), ""},
		{"clock behind", "Two minutes of skew are allowed.", time.Hour - 2*time.Minute, sign(func(*statement) {}), ""},
		{"much later", "A mapping that has expired can still be ended.", 400 * day, sign(func(*statement) {}), ""},
		{"by another key", "Only the holder ends a mapping.", time.Hour, sign(func(s *statement) { s.key = m.key("mallory") }), foreign},
		{"by the DP", "Only the holder ends a mapping.", time.Hour, sign(func(s *statement) { s.key = m.key(worldtest.DP) }), foreign},
		{"by the MSP", "Only the holder ends a mapping.", time.Hour, sign(func(s *statement) { s.key = m.key(mspName) }), foreign},
		{"another mapping id", "For this mapping alone.", time.Hour, sign(func(s *statement) { s.body[1] = make([]byte, 16) }), foreign},
		{"another payload", "For this sequence alone.", time.Hour, sign(func(s *statement) { s.body[2] = other[:] }), foreign},
		{"under the label of a mapping", "A signature made for one purpose is none for another.", time.Hour, sign(func(s *statement) { s.label = key.LabelMapping }), foreign},
		{"before the mapping", "Dated before iat.", time.Hour, sign(func(s *statement) { s.params.Time = m.Now.Unix() - 1 }), foreign},
		{"signature broken", "The last bit.", time.Hour, sign(func(s *statement) {
			s.message = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}), foreign},
		{"dated in the future", "More than 120 seconds.", time.Hour - 2*time.Minute - time.Second, sign(func(*statement) {}), problem.TimeFuture},
		{"without a kid", "The kid says whose it is.", time.Hour, sign(func(s *statement) { s.named = false }), malformed},
		{"in the role of an MSP", "Role 1.", time.Hour, sign(func(s *statement) { s.params.Role = 2 }), malformed},
		{"with a CSI", "Nothing beside id and digest.", time.Hour, sign(func(s *statement) { s.body[3] = "mailto:" + address }), malformed},
		{"short mapping id", "15 bytes.", time.Hour, sign(func(s *statement) { s.body[1] = make([]byte, 15) }), malformed},
		{"trailing byte", "One byte after the statement.", time.Hour, sign(func(s *statement) {
			s.message = func(b []byte) []byte { return append(b, 0) }
		}), malformed},
		{"tag of COSE_Sign", "Tag 98 instead of 18.", time.Hour, sign(func(s *statement) {
			s.message = func(b []byte) []byte { return append([]byte{0xd8, 98}, b[1:]...) }
		}), malformed},
		{"larger than 256 bytes", "A bound before anything is read.", time.Hour, sign(func(s *statement) {
			s.message = func(b []byte) []byte { return append(b, make([]byte, 256)...) }
		}), malformed},
	}
}
