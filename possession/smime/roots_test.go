package smime_test

import (
	"crypto/sha256"
	"errors"
	"testing"

	"whither/internal/world/worldtest"
	"whither/possession/smime"
	"whither/registry"
)

// TestR01AuthoritiesAreTheRegistrys: an authority counts where the registry
// names it, and nowhere else.
func TestR01AuthoritiesAreTheRegistrys(t *testing.T) {
	m, f := vectorCase{}.build(t), worldtest.New(t)
	want := m.wanted(t)
	roots := want.Roots
	if got := smime.RootsOf(f.Snapshot(), roots); len(got) != 0 {
		t.Errorf("%d authorities that nobody named", len(got))
	}
	for _, r := range roots {
		sum := sha256.Sum256(r.Raw)
		f.Record.Policy.Evidence.Mail = append(f.Record.Policy.Evidence.Mail, registry.Anchor{Digest: sum[:]})
	}
	if len(roots) != 1 {
		t.Fatalf("%d roots in a case that is made for one", len(roots))
	}
	want.Roots = smime.RootsOf(f.Snapshot(), roots)
	if _, err := smime.Verify(m.signature, want); err != nil {
		t.Error(err)
	}
	f.Record.Policy.Evidence.Carriers, f.Record.Policy.Evidence.Mail = f.Record.Policy.Evidence.Mail, nil
	want.Roots = smime.RootsOf(f.Snapshot(), roots)
	if _, err := smime.Verify(m.signature, want); !errors.Is(err, smime.ErrWant) {
		t.Errorf("an authority for numbers signs for mail: %v", err)
	}
}
