package party_test

import (
	"testing"
	"time"

	"whither/internal/party"
	"whither/internal/world/worldtest"
	"whither/registry"
)

func TestMakeLoadSelf(t *testing.T) {
	dir, id, now := t.TempDir(), worldtest.Party(t, "dp.example"), time.Now()
	made, err := party.Make(dir, id, now)
	if err != nil {
		t.Fatal(err)
	}
	k, err := party.Load(dir)
	if err != nil || k.Sign.Public() != made.Sign.Public() || k.TLS.Pin() != made.TLS.Pin() {
		t.Fatalf("load: %v", err)
	}
	if _, err := party.Make(dir, id, now); err == nil {
		t.Error("keys were overwritten")
	}
	f := worldtest.New(t)
	self, err := k.Self(id, registry.RoleDP, "https://127.0.0.1:8443", nil, now, now)
	if err != nil {
		t.Fatal(err)
	}
	f.Record.Parties = f.Record.Parties[:1]
	f.Record.Parties[0].Grant.OperatorKey = k.Operator.Public()
	f.Record.Parties[0].Self = self
	f.Record.Issued, f.Record.Expires = now, now.Add(time.Hour)
	s, err := registry.Assemble(f.Record, [32]byte{}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if signer, ok := s.Signer(k.Sign.Public().ID()); !ok || signer.Party.ID != id {
		t.Error("the registry does not know the signing key")
	}
	if p, ok := s.ByPin(k.TLS.Pin()); !ok || p.ID != id {
		t.Error("the registry does not know the TLS key")
	}
}
