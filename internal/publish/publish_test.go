package publish_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/party"
	"whither/internal/publish"
	"whither/internal/world/worldtest"
	"whither/registry"
	"whither/registry/update"
)

// apply makes a party's folder and puts its application among the members.
func apply(t *testing.T, federation, name string, role registry.Role) {
	t.Helper()
	dir, now := t.TempDir(), time.Now()
	if _, err := party.Make(dir, worldtest.Party(t, name), now); err != nil {
		t.Fatal(err)
	}
	operator, err := registry.ParseOperator("op-" + name)
	if err != nil {
		t.Fatal(err)
	}
	application, err := publish.Apply(dir, worldtest.Party(t, name), operator, role, "https://127.0.0.1:8443", []string{"CH"}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(application, filepath.Join(federation, publish.MembersFolder, name)); err != nil {
		t.Fatal(err)
	}
}

func TestFederationByHand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "federation")
	if err := publish.Init(dir, "federation.example", publish.Count{Keys: 3, Threshold: 2}, publish.Count{Keys: 1, Threshold: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Sign(dir, time.Now()); !errors.Is(err, publish.ErrEmpty) {
		t.Errorf("no members: %v", err)
	}
	apply(t, dir, "dp.example", registry.RoleDP)
	apply(t, dir, "msp-b.example", registry.RoleMSP)
	first, err := publish.Sign(dir, time.Now())
	if err != nil || first.Version() != 1 {
		t.Fatal(err)
	}
	apply(t, dir, "msp-a.example", registry.RoleMSP)
	second, err := publish.Sign(dir, time.Now())
	if err != nil || second.Version() != 2 {
		t.Fatal(err)
	}
	// Positions stay, whoever comes.
	for i, name := range []string{"msp-b.example", "msp-a.example"} {
		if id, ok := second.Bit(uint16(i)); !ok || id.String() != name {
			t.Errorf("bit %d is %s", i, id)
		}
	}
	source, err := update.OpenFiles(filepath.Join(dir, publish.RegistryFile), filepath.Join(dir, publish.RootFile), time.Now())
	if err != nil || source.Snapshot().Digest() != second.Digest() {
		t.Errorf("as others read it: %v", err)
	}
}

func TestBadApplicationsAreNotPublished(t *testing.T) {
	for name, bend := range map[string]func(grant string) string{
		"unknown key": func(g string) string { return g + "\nfriend = true\n" },
		"other id":    func(g string) string { return strings.Replace(g, "dp.example", "dp-2.example", 1) },
		"other role":  func(g string) string { return strings.Replace(g, `["dp"]`, `["king"]`, 1) },
		"no key":      func(g string) string { return strings.Replace(g, "operator_key = \"", "operator_key = \"AA", 1) },
		"state":       func(g string) string { return strings.Replace(g, `"active"`, `"fine"`, 1) },
	} {
		dir := filepath.Join(t.TempDir(), "federation")
		if err := publish.Init(dir, "federation.example", publish.Count{Keys: 3, Threshold: 2}, publish.Count{Keys: 1, Threshold: 1}, time.Now()); err != nil {
			t.Fatal(err)
		}
		apply(t, dir, "dp.example", registry.RoleDP)
		path := filepath.Join(dir, publish.MembersFolder, "dp.example", publish.GrantFile)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bent := bend(string(b))
		if bent == string(b) {
			t.Fatalf("%s: nothing was bent in %s", name, b)
		}
		if err := os.WriteFile(path, []byte(bent), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := publish.Sign(dir, time.Now()); err == nil {
			t.Errorf("%s: published", name)
		}
		if _, err := os.Stat(filepath.Join(dir, publish.RegistryFile)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a registry was written", name)
		}
	}
}
