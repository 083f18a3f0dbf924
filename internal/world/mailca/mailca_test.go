package mailca_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"whither/internal/world/mailca"
	"whither/internal/world/worldtest"
	"whither/possession/smime"
)

// TestSignaturesVerify: what a person signs is what package smime reads, until
// the authority takes the certificate back.
func TestSignaturesVerify(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	a, err := mailca.New("Example Mail CA", clock)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := a.Certify("alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	verify := func() error {
		t.Helper()
		list, err := a.List()
		if err != nil {
			t.Fatal(err)
		}
		status, err := smime.CRLs(now, list)
		if err != nil {
			t.Fatal(err)
		}
		want := smime.Want{
			CSI: worldtest.CSI(t, "mailto:alice@example.org"), Response: [32]byte{1}, Fingerprint: "0000-0001",
			Roots: []*x509.Certificate{a.Certificate}, Status: status, Now: now,
		}
		raw, err := alice.Sign(smime.Content(want.Response, want.Fingerprint))
		if err != nil {
			t.Fatal(err)
		}
		_, err = smime.Verify(raw, want)
		return err
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	a.Revoke(alice)
	if err := verify(); !errors.Is(err, smime.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
}
