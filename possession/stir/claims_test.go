package stir_test

import (
	"errors"
	"slices"
	"testing"

	"whither/possession/stir"
)

// TestCheckClaims: what is found before any certificate is there is what Verify
// finds, for the same reason; and nothing of it needs a certificate.
func TestCheckClaims(t *testing.T) {
	w := newPhones(t)
	later := []error{stir.ErrCertificate, stir.ErrAuthority, stir.ErrSignature}
	found := 0
	for _, c := range append(accepted(), refused()...) {
		if c.form != stir.FormMessage && c.form != stir.FormCall {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			d := newDraft(t, w, c.form)
			c.edit(t, d)
			a := d.artefact(t)
			_, verdict := stir.Verify(a, d.trust.trust(t), d.want)
			a.Chain = nil
			err := stir.CheckClaims(a, d.want)
			switch {
			case err == nil:
				// ErrArtefact also says that the certificates are in no right place.
				if verdict != nil && !errors.Is(verdict, stir.ErrArtefact) && !slices.ContainsFunc(later, func(e error) bool { return errors.Is(verdict, e) }) {
					t.Errorf("good claims, but %v", verdict)
				}
			case verdict == nil:
				t.Errorf("a good artefact, but %v", err)
			case verdict.Error() != err.Error():
				t.Errorf("%v, but then %v", err, verdict)
			default:
				found++
			}
		})
	}
	if found < 10 {
		t.Errorf("%d cases were found by their claims", found)
	}
	if err := stir.CheckClaims(newDraft(t, w, stir.FormKey).artefact(t), newDraft(t, w, stir.FormKey).want); !errors.Is(err, stir.ErrArtefact) {
		t.Errorf("a form that the client brings: %v", err)
	}
}

// TestCallCode: the vectors of the spec's words.
func TestCallCode(t *testing.T) {
	for response, want := range map[[32]byte]string{
		{}:                                   "00000000",
		{0, 0, 0, 0, 0, 0, 0, 1}:             "00000001",
		{0, 0, 0, 0, 0x05, 0xf5, 0xe1, 0x00}: "00000000",
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}: "09551615", // 2^64-1 = 18446744073709551615
	} {
		if got := stir.CallCode(response); got != want {
			t.Errorf("%x: %s, not %s", response[:8], got, want)
		}
	}
}
