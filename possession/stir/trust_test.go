package stir_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"whither/internal/world/worldtest"
	"whither/possession/stir"
	"whither/registry"
)

// federation names the small telephone world in a registry: both roots, and the
// ranges of both carriers.
func federation(t *testing.T, w *phones) *worldtest.Federation {
	t.Helper()
	f := worldtest.New(t)
	anchor := func(der []byte, prefixes ...string) registry.Anchor {
		sum := sha256.Sum256(der)
		return registry.Anchor{Digest: sum[:], Prefixes: prefixes}
	}
	f.Record.Policy.Evidence = registry.Evidence{
		Carriers:    []registry.Anchor{anchor(w.root.Certificate.Raw, "1")},
		Authorities: []registry.Anchor{anchor(w.authorityRoot.Certificate.Raw)},
	}
	for name, c := range map[string]struct{ code, prefix string }{
		"carrier.example": {"1234", "+1215555"}, "stranger.example": {"5678", "+1312555"},
	} {
		f.Add(name, registry.RoleCSIP, nil)
		f.Grant(name).Codes, f.Grant(name).Ranges = []string{c.code}, []string{c.prefix}
	}
	slices.SortFunc(f.Record.Parties, func(a, b registry.Entry) int {
		return bytes.Compare([]byte(a.Grant.ID.String()), []byte(b.Grant.ID.String()))
	})
	return f
}

// TestR01TrustIsTheRegistrys: with the registry's trust, evidence is judged as
// with the trust of the vectors; and whom the registry does not name, nobody
// believes, whatever files a prover has.
func TestR01TrustIsTheRegistrys(t *testing.T) {
	w := newPhones(t)
	carriers, authorities := [][]byte{w.root.Certificate.Raw}, [][]byte{w.authorityRoot.Certificate.Raw}
	for _, form := range forms() {
		for name, c := range map[string]struct {
			bend func(*worldtest.Federation)
			good bool
		}{
			"as agreed":  {func(*worldtest.Federation) {}, true},
			"no anchors": {func(f *worldtest.Federation) { f.Record.Policy.Evidence = registry.Evidence{} }, false},
			"anchors swapped": {func(f *worldtest.Federation) {
				e := &f.Record.Policy.Evidence
				e.Carriers, e.Authorities = e.Authorities, e.Carriers
			}, false},
			"anchors of another country": {func(f *worldtest.Federation) {
				f.Record.Policy.Evidence.Carriers[0].Prefixes = []string{"41"}
				f.Record.Policy.Evidence.Authorities[0].Prefixes = []string{"41"}
			}, false},
			"code of another range": {func(f *worldtest.Federation) {
				f.Grant("carrier.example").Ranges = []string{"+1312555"}
			}, form == stir.FormToken}, // the token names the number
			"carrier gone": {func(f *worldtest.Federation) {
				f.Grant("carrier.example").Standing.State = registry.Closed
			}, form == stir.FormToken},
			"carrier is no CSIP": {func(f *worldtest.Federation) {
				f.Grant("carrier.example").Roles = []registry.Role{registry.RoleProver}
			}, form == stir.FormToken},
		} {
			f := federation(t, w)
			c.bend(f)
			trust, err := stir.TrustOf(f.Snapshot(), carriers, authorities)
			if err != nil {
				t.Fatal(err)
			}
			d := newDraft(t, w, form)
			report, err := stir.Verify(d.artefact(t), trust, d.want)
			if (err == nil) != c.good {
				t.Errorf("%s, %s: %v", form, name, err)
			}
			if err == nil && report.Level != form.Kind().Best() {
				t.Errorf("%s: level %d", form, report.Level)
			}
		}
	}
	f := federation(t, w)
	sum := sha256.Sum256([]byte("no certificate"))
	f.Record.Policy.Evidence.Carriers = []registry.Anchor{{Digest: sum[:]}}
	if _, err := stir.TrustOf(f.Snapshot(), [][]byte{[]byte("no certificate")}, nil); !errors.Is(err, stir.ErrCertificate) {
		t.Errorf("a root that is no certificate: %v", err)
	}
}

// TestForms: each form has a kind of its own in the table.
func TestForms(t *testing.T) {
	seen := make(map[string]bool)
	for _, form := range forms() {
		k := form.Kind()
		if !k.Fits("tel") || !k.Asked() || seen[k.String()] || form.Level() != k.Best() {
			t.Errorf("%s is of kind %s", form, k)
		}
		seen[k.String()] = true
	}
	if k := stir.Form(0).Kind(); k != 0 || stir.Form(0).Level() != 1 {
		t.Errorf("no form is of kind %s", k)
	}
}
