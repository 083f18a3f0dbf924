package possession_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/registry"
)

// names lists the assigned provers.
func assigned(f *worldtest.Federation, id string, t time.Time) []string {
	var out []string
	for _, p := range possession.Assigned(f.Snapshot(), worldtest.CSI(f.T, id), t) {
		out = append(out, p.ID.String())
	}
	return out
}

// crowd is a federation of twelve provers.
func crowd(t *testing.T) *worldtest.Federation {
	f := worldtest.New(t)
	for i := range 10 {
		f.Add(fmt.Sprintf("prover-%d.example", i), registry.RoleProver, nil)
	}
	return f
}

// TestAssignedQuarters: the order is the same for a quarter of a year, by UTC,
// and another in the next.
func TestAssignedQuarters(t *testing.T) {
	f := crowd(t)
	const id = "mailto:alice@example.org"
	at := func(s string) []string {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return assigned(f, id, x)
	}
	first := at("2026-10-01T00:00:00Z")
	if len(first) != 12 {
		t.Fatalf("%d provers", len(first))
	}
	for _, same := range []string{"2026-11-15T12:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01T05:00:00+06:00"} {
		if got := at(same); !slices.Equal(got, first) {
			t.Errorf("%s: %v, want %v", same, got, first)
		}
	}
	for _, other := range []string{"2026-09-30T23:59:59Z", "2027-01-01T00:00:00Z", "2025-11-15T12:00:00Z"} {
		if got := at(other); slices.Equal(got, first) {
			t.Errorf("%s: the same order", other)
		}
	}
}

// TestAssignedLeaving: when a prover leaves, the others keep their order, so
// only the leaver's share moves; one that is closed or expelled has left.
func TestAssignedLeaving(t *testing.T) {
	f := crowd(t)
	const id = "mailto:alice@example.org"
	before := assigned(f, id, f.Now)
	for i, name := range before {
		state := []registry.State{registry.Closed, registry.Expelled}[i%2]
		f.Grant(name).Standing = registry.Standing{State: state, Since: f.Now.Unix()}
		want := slices.DeleteFunc(slices.Clone(before), func(s string) bool { return s == name })
		if got := assigned(f, id, f.Now); !slices.Equal(got, want) {
			t.Errorf("without %s: %v, want %v", name, got, want)
		}
		f.Grant(name).Standing = registry.Standing{State: registry.Active, Since: f.Now.Unix()}
	}
}

// TestAssignedSpread: over many CSIs each prover comes first about as often.
func TestAssignedSpread(t *testing.T) {
	f := crowd(t)
	s, count := f.Snapshot(), make(map[string]int)
	const n = 3000
	for i := range n {
		first := possession.Assigned(s, worldtest.CSI(t, fmt.Sprintf("tel:+1408555%04d", i)), f.Now)[0]
		count[first.ID.String()]++
	}
	for name, c := range count {
		if c < n/12*3/4 || c > n/12*5/4 {
			t.Errorf("%s comes first %d times of %d", name, c, n)
		}
	}
	if len(count) != 12 {
		t.Errorf("%d of 12 provers ever come first", len(count))
	}
}

// TestKinds: the table of kinds, from outside.
func TestKinds(t *testing.T) {
	for name, kind := range map[string]possession.Kind{
		"mail-reply": possession.MailReply, "mail-witness": possession.MailWitness,
		"code-message": possession.CodeMessage, "code-call": possession.CodeCall, "signed-call": possession.SignedCall,
		"sip-message": possession.SIPMessage, "passport-key": possession.PassportKey, "delegate": possession.Delegate,
		"tn-token": possession.TNToken, "stir-witness": possession.STIRWitness,
		"openid-token": possession.OpenIDToken, "openid-witness": possession.OpenIDWitness,
		"smime": possession.SMIME, "smime-witness": possession.SMIMEWitness,
		"mail-recheck": possession.MailRecheck, "openid-recheck": possession.OpenIDRecheck,
	} {
		if kind.String() != name {
			t.Errorf("%s prints as %s", name, kind)
		}
		if k, ok := possession.ParseKind(name); !ok || k != kind {
			t.Errorf("%s is read as %d", name, k)
		}
	}
	if _, ok := possession.ParseKind("unknown"); ok || possession.Kind(0).String() != "unknown" || possession.Kind(200).String() != "unknown" {
		t.Error("an unknown kind has a name")
	}
	for scheme, want := range map[string][]possession.Kind{
		"mailto":   {possession.MailReply, possession.MailWitness, possession.OpenIDToken, possession.OpenIDWitness, possession.SMIME, possession.SMIMEWitness, possession.MailRecheck, possession.OpenIDRecheck},
		"tel":      {possession.CodeMessage, possession.CodeCall, possession.SignedCall, possession.SIPMessage, possession.PassportKey, possession.Delegate, possession.TNToken, possession.STIRWitness},
		"acct":     {possession.OpenIDToken, possession.OpenIDWitness, possession.OpenIDRecheck},
		"nonsense": nil,
	} {
		if got := possession.KindsFor(scheme); !slices.Equal(got, want) {
			t.Errorf("%s: %v", scheme, got)
		}
	}
	for _, k := range []possession.Kind{possession.MailReply, possession.MailWitness, 0} {
		if k.Assigned() {
			t.Errorf("%s wants assigned provers", k)
		}
	}
	if !possession.CodeMessage.Assigned() || !possession.CodeCall.Assigned() {
		t.Error("codes want assigned provers")
	}
}
