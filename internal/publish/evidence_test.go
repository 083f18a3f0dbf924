package publish_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/publish"
	"whither/internal/world/mailca"
	"whither/registry"
)

// TestEvidenceByHand: what federation.toml says of evidence stands in the
// registry, in its order.
func TestEvidenceByHand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "federation")
	if err := publish.Init(dir, "federation.example", publish.Count{Keys: 1, Threshold: 1}, publish.Count{Keys: 1, Threshold: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	apply(t, dir, "dp.example", registry.RoleDP)
	authority, err := mailca.New("Mailboxes", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mail.pem"), authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, publish.FederationFile)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	with := func(more string) (*registry.Snapshot, error) {
		// Tables come last, so what is not one goes to the front.
		if err := os.WriteFile(file, []byte("refused = [\"tn-token\", \"delegate\"]\n"+string(before)+more), 0o600); err != nil {
			t.Fatal(err)
		}
		return publish.Sign(dir, time.Now())
	}
	s, err := with(`
[[issuer]]
url = "https://login.example.net"
clients = ["z", "a"]
handle = "preferred_username"

[[issuer]]
url = "https://id.example.org"
clients = ["whither-possession"]
domains = ["example.org"]

[[mail_authority]]
certificates = "mail.pem"

[[carrier]]
certificates = "mail.pem"
prefixes = ["49", "41"]
`)
	if err != nil {
		t.Fatal(err)
	}
	e := s.Policy().Evidence
	if strings.Join(e.Refused, " ") != "delegate tn-token" || len(e.Issuers) != 2 || e.Issuers[0].URL != "https://id.example.org" ||
		strings.Join(e.Issuers[1].Clients, " ") != "a z" || len(e.Mail) != 1 || string(e.Mail[0].Digest) != string(authority.Digest()) ||
		len(e.Carriers) != 1 || strings.Join(e.Carriers[0].Prefixes, " ") != "41 49" {
		t.Errorf("%+v", e)
	}
	for name, more := range map[string]string{
		"issuer without a client": "[[issuer]]\nurl = \"https://id.example.org\"\nclients = []\ndomains = [\"example.org\"]\n",
		"issuer over plain HTTP":  "[[issuer]]\nurl = \"http://id.example.org\"\nclients = [\"a\"]\ndomains = [\"example.org\"]\n",
		"issuer for nobody":       "[[issuer]]\nurl = \"https://id.example.org\"\nclients = [\"a\"]\n",
		"no such file":            "[[mail_authority]]\ncertificates = \"nothing.pem\"\n",
		"no certificate":          "[[mail_authority]]\ncertificates = \"root.json\"\n",
		"an unknown key":          "[[mail_authority]]\ncertificates = \"mail.pem\"\nname = \"x\"\n",
		"a root twice":            "[[mail_authority]]\ncertificates = \"mail.pem\"\n[[mail_authority]]\ncertificates = \"mail.pem\"\n",
	} {
		if _, err := with(more); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}
