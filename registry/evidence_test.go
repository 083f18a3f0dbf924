package registry_test

import (
	"slices"
	"testing"

	"whither/internal/world/worldtest"
	"whither/registry"
)

// TestR01CodesAreTiedByGrantsAlone: a provider code stands for the ranges of
// active CSIPs that have it, and for nothing else.
func TestR01CodesAreTiedByGrantsAlone(t *testing.T) {
	f := worldtest.New(t)
	for _, name := range []string{"carrier-a.example", "carrier-b.example", "carrier-c.example", "mail.example"} {
		f.Add(name, registry.RoleCSIP, nil)
		f.Grant(name).Codes = []string{"7381"}
	}
	f.Grant("carrier-a.example").Ranges = []string{"+4179", "+4178"}
	f.Grant("carrier-b.example").Ranges = []string{"+1408"}
	f.Grant("carrier-b.example").Standing.State = registry.Expelled
	f.Grant("mail.example").Ranges = []string{"example.org", "41", "+", "+41x"}
	f.Grant(worldtest.ProverA).Codes = []string{"7381"}
	f.Grant(worldtest.ProverA).Ranges = []string{"+49"}
	s := f.Snapshot()
	if got, want := s.NumberRanges("7381"), []string{"4179", "4178"}; !slices.Equal(got, want) {
		t.Errorf("ranges %q, want %q", got, want)
	}
	if got := s.NumberRanges("738"); got != nil {
		t.Errorf("ranges of a code of nobody: %q", got)
	}
}

func TestIssuer(t *testing.T) {
	f := worldtest.New(t)
	named := registry.Issuer{URL: "https://op.example.org", Clients: []string{"whither"}, Domains: []string{"example.org"}}
	f.Record.Policy.Evidence.Issuers = []registry.Issuer{named}
	if got, ok := f.Snapshot().Issuer(named.URL); !ok || !slices.Equal(got.Clients, named.Clients) {
		t.Errorf("issuer %v, %t", got, ok)
	}
	if _, ok := f.Snapshot().Issuer(named.URL + "/"); ok {
		t.Error("an issuer by another spelling")
	}
}
