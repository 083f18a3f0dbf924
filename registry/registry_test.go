package registry_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/key"
	"whither/registry"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func testKey(t testing.TB, b byte) key.Private {
	t.Helper()
	k, err := key.Generate(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func party(t testing.TB, name string) registry.PartyID {
	t.Helper()
	p, err := registry.ParsePartyID(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fixture is a record of a DP and an MSP that tests bend before signing.
type fixture struct {
	record registry.Record
	selfs  []registry.Self
	opKeys []key.Private
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{record: registry.Record{
		Version: 3, Federation: "test.example", Issued: now, Expires: now.Add(24 * time.Hour),
		Policy: registry.Policy{Levels: map[string]uint8{"mailto": 3}},
	}}
	bit := uint16(0)
	for i, p := range []struct {
		name string
		role registry.Role
		bit  *uint16
	}{{"dp.example", registry.RoleDP, nil}, {"msp.example", registry.RoleMSP, &bit}} {
		n := byte(i + 1)
		op, err := registry.ParseOperator("op" + p.name)
		if err != nil {
			t.Fatal(err)
		}
		f.opKeys = append(f.opKeys, testKey(t, 10*n))
		f.record.Parties = append(f.record.Parties, registry.Entry{Grant: registry.Grant{
			ID: party(t, p.name), Operator: op, OperatorKey: testKey(t, 10*n).Public(), Roles: []registry.Role{p.role},
			Jurisdictions: []string{"CH"}, Bit: p.bit, Standing: registry.Standing{State: registry.Active, Since: now.Unix()},
		}})
		f.selfs = append(f.selfs, registry.Self{
			ID: party(t, p.name), Issued: now.Unix(), Endpoint: "https://127.0.0.1:8443",
			Pins: [][]byte{bytes.Repeat([]byte{n}, 32)},
			Keys: []registry.Key{{Role: p.role, Public: testKey(t, 10*n+1).Public(), From: now.Unix()}},
		})
	}
	return f
}

func (f *fixture) sign(t testing.TB) []byte {
	t.Helper()
	for i := range f.selfs {
		var err error
		if f.record.Parties[i].Self, err = registry.SignSelf(f.selfs[i], f.opKeys[i]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := f.record.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(b []byte, at time.Time) (*registry.Snapshot, error) {
	r, digest, err := registry.ParseRecord(b)
	if err != nil {
		return nil, err
	}
	return registry.Assemble(r, digest, nil, at)
}

func TestVerify(t *testing.T) {
	f := newFixture(t)
	s, err := open(f.sign(t), now)
	if err != nil {
		t.Fatal(err)
	}
	if s.Version() != 3 || len(s.Parties(registry.RoleDP)) != 1 || len(s.Parties(registry.RoleProver)) != 0 || s.BitLength() != 1 {
		t.Errorf("unexpected snapshot: %+v", s)
	}
	signer, ok := s.Signer(testKey(t, 11).Public().ID())
	if !ok || signer.Party.ID != party(t, "dp.example") || !signer.InForce(now) || signer.InForce(now.Add(-time.Second)) {
		t.Errorf("signer %+v, %v", signer, ok)
	}
	if p, ok := s.ByPin([32]byte(bytes.Repeat([]byte{2}, 32))); !ok || p.ID != party(t, "msp.example") {
		t.Error("pin")
	}
}

func TestTimes(t *testing.T) {
	tests := []struct {
		name string
		at   time.Time
		want error
	}{
		{"expired", now.Add(24 * time.Hour), registry.ErrExpired},
		{"future", now.Add(-3 * time.Minute), registry.ErrNotYet},
		{"skew", now.Add(-time.Minute), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := open(newFixture(t).sign(t), test.at); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestContentRefused(t *testing.T) {
	bit := uint16(0)
	tests := []struct {
		name string
		bend func(*fixture)
	}{
		{"party twice", func(f *fixture) {
			f.record.Parties[1].Grant.ID = f.record.Parties[0].Grant.ID
			f.selfs[1].ID = f.selfs[0].ID
		}},
		{"DP with a bit", func(f *fixture) { f.record.Parties[0].Grant.Bit = &bit }},
		{"MSP without a bit", func(f *fixture) { f.record.Parties[1].Grant.Bit = nil }},
		{"unknown role", func(f *fixture) { f.record.Parties[0].Grant.Roles = []registry.Role{"king"} }},
		{"unsorted roles", func(f *fixture) { f.record.Parties[0].Grant.Roles = []registry.Role{"prover", "dp"} }},
		{"self of another", func(f *fixture) { f.selfs[0].ID = f.selfs[1].ID }},
		{"self signed by another", func(f *fixture) { f.opKeys[0] = f.opKeys[1] }},
		{"self from the future", func(f *fixture) { f.selfs[0].Issued += 500 }},
		{"plain http", func(f *fixture) { f.selfs[0].Endpoint = "http://127.0.0.1" }},
		{"endpoint with path", func(f *fixture) { f.selfs[0].Endpoint = "https://127.0.0.1/x" }},
		{"no pin", func(f *fixture) { f.selfs[0].Pins = nil }},
		{"short disclosure digest", func(f *fixture) { f.selfs[0].Disclosure = []byte{1} }},
		{"short pin", func(f *fixture) { f.selfs[0].Pins = [][]byte{{1}} }},
		{"shared pin", func(f *fixture) { f.selfs[0].Pins = f.selfs[1].Pins }},
		{"shared key", func(f *fixture) { f.selfs[0].Keys[0].Public = f.selfs[1].Keys[0].Public }},
		{"standing", func(f *fixture) { f.record.Parties[0].Grant.Standing.State = "fine" }},
		{"jurisdiction", func(f *fixture) { f.record.Parties[0].Grant.Jurisdictions = []string{"ch"} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			test.bend(f)
			if _, err := open(f.sign(t), now); !errors.Is(err, registry.ErrContent) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAuthorityFromGrantAlone: a self record may list a key for any role; it
// counts only where the grant gives the role.
func TestAuthorityFromGrantAlone(t *testing.T) {
	f := newFixture(t)
	f.selfs[0].Keys = append(f.selfs[0].Keys, registry.Key{Role: registry.RoleProver, Public: testKey(t, 50).Public(), From: now.Unix()})
	s, err := open(f.sign(t), now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Signer(testKey(t, 50).Public().ID()); ok {
		t.Error("a role was taken, not granted")
	}
}

func TestRollback(t *testing.T) {
	f := newFixture(t)
	old, err := open(f.sign(t), now)
	if err != nil {
		t.Fatal(err)
	}
	f.record.Federation = "other.example"
	forked, _ := open(f.sign(t), now)
	f.record.Version = 4
	next, _ := open(f.sign(t), now)
	if err := next.Succeeds(old); err != nil {
		t.Error(err)
	}
	if err := old.Succeeds(next); !errors.Is(err, registry.ErrRollback) {
		t.Error("rollback accepted")
	}
	if err := forked.Succeeds(old); !errors.Is(err, registry.ErrRollback) {
		t.Error("fork accepted")
	}
	if err := old.Succeeds(nil); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "example", "Dp.example", "a..example", ".example", "-a.example", "a-.example", "ä.example", "a_b.example", "a.example."} {
		if _, err := registry.ParsePartyID(bad); !errors.Is(err, registry.ErrName) {
			t.Errorf("%q accepted", bad)
		}
	}
}

// FuzzParseRecord: what is read is written again as the same bytes, and what is
// assembled of it has no party without the word of its operator.
func FuzzParseRecord(f *testing.F) {
	fx := newFixture(f)
	f.Add(fx.sign(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, digest, err := registry.ParseRecord(b)
		if err != nil {
			return
		}
		if again, err := r.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("encoded otherwise: %v", err)
		}
		if s, err := registry.Assemble(r, digest, nil, now); err == nil && s.Digest() != digest {
			t.Error("another digest")
		}
	})
}
