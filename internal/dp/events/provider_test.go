package events_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"

	"whither/internal/dp/events"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/registry"
)

const provider = "https://id.example.org"

// jwks is a provider's key set with one key.
func jwks(k key.Public) []byte {
	id := k.ID()
	return []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"` + hex.EncodeToString(id[:]) + `","x":"` + base64.RawURLEncoding.EncodeToString(k.Bytes()) + `"}]}`)
}

// TestR16OpenIDProvider: the provider that the registry names for a mail domain is
// believed about it, by a key that it publishes, and about no other.
func TestR16OpenIDProvider(t *testing.T) {
	s := newStage(t)
	s.Record.Policy.Evidence.Issuers = []registry.Issuer{{URL: provider, Clients: []string{"whither-possession"}, Domains: []string{"example.org"}}}
	own, offline := worldtest.Key(t, provider), errors.New("the provider does not answer")
	say := func(address string, k key.Private) []byte {
		raw, err := events.Announcement{
			Issuer: provider, Audience: audience, ID: "1", Type: events.Recycled, Issued: s.Now, About: worldtest.CSI(t, "mailto:"+address),
		}.Sign(k)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if err := s.receiver.Receive(t.Context(), say("bob@example.org", own)); !errors.Is(err, events.ErrIssuer) {
		t.Errorf("where no provider is asked: %v", err)
	}
	var trouble error
	s.receiver.Keys = func(_ context.Context, issuer, _ string) ([]byte, error) {
		if issuer != provider {
			t.Errorf("asked for the keys of %s", issuer)
		}
		return jwks(own.Public()), trouble
	}
	for address, believed := range map[string]bool{"bob@example.org": true, "bob@example.net": false} {
		s.heard = nil
		if err := s.receiver.Receive(t.Context(), say(address, own)); err != nil || len(s.heard) != 1 || s.heard[0].Believed != believed {
			t.Errorf("%s: %+v, %v", address, s.heard, err)
		}
	}
	s.heard = nil
	if err := s.receiver.Receive(t.Context(), say("bob@example.org", worldtest.Key(t, carrier))); !errors.Is(err, events.ErrKey) {
		t.Errorf("another's key: %v", err)
	}
	trouble = offline
	if err := s.receiver.Receive(t.Context(), say("bob@example.org", own)); !errors.Is(err, offline) || len(s.heard) != 0 {
		t.Errorf("a provider that does not answer: %v", err)
	}
}
