package byopenid_test

import (
	"errors"
	"testing"

	"whither/internal/jws"
	"whither/internal/prover"
	"whither/possession"
	"whither/possession/openid"
)

// TestR05Recheck: an issuer's key is gone before the second prover fetches the
// set. Handed the set of before, it judges the token by it; handed another one, it
// refuses.
func TestR05Recheck(t *testing.T) {
	s := newScene(t)
	c, err := s.begin("mailto:bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	token := s.token(c)
	set, err := s.providers.Keys(t.Context(), issuer, "")
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := s.answer(c, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.provider.Rotate(jws.ES256); err != nil {
		t.Fatal(err)
	}
	s.provider.Retire()
	s.now = s.now.Add(openid.MaxSkew)
	recheck := func(set []byte) (prover.Finding, error) {
		return s.method.Witnesses[possession.OpenIDRecheck].Witness(t.Context(), prover.Testimony{
			CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Artefact: []byte(token), Published: set, Now: s.now,
		})
	}
	again, err := recheck(set)
	if err != nil || again.KeySeen != found.KeySeen || again.Level != possession.Level3 || !again.Evidence.Equal(found.Evidence) {
		t.Errorf("%+v, %v", again, err)
	}
	for name, test := range map[string]struct {
		set    string
		expect error
	}{
		"no set":      {"{}", openid.ErrKeySet},
		"another key": {`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"x","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, openid.ErrNoKey},
	} {
		if _, err := recheck([]byte(test.set)); !errors.Is(err, test.expect) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
