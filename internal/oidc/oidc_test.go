package oidc_test

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"whither/internal/fetch"
	"whither/internal/oidc"
	"whither/internal/world/idp"
	"whither/internal/world/mailnet"
	"whither/possession/openid"
)

const issuer = "https://id.example.org"

// scene is a provider in a world, and a client of package oidc there.
type scene struct {
	provider *idp.Provider
	client   *oidc.Client
	now      time.Time
}

func newScene(t *testing.T) *scene {
	t.Helper()
	world, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	s := &scene{now: time.Now()}
	clock := func() time.Time { return s.now }
	s.provider, err = idp.New(t.Context(), idp.Config{Issuer: issuer, Certificate: world.Certificate, Roots: world.Roots(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.provider.Close() })
	world.Announce(s.provider.Host(), s.provider.Port())
	s.client = oidc.New(oidc.Config{
		Fetch: fetch.New(fetch.Config{
			Roots: world.Roots(), Resolver: world.DNS.Resolver(), Port: s.provider.Port(),
			Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: clock,
		}),
		Known: func(name string) bool { return name == issuer }, Now: clock,
	})
	t.Cleanup(s.client.Close)
	return s
}

// keys asks for the set and returns the names in it.
func (s *scene) keys(t *testing.T, kid string) []string {
	t.Helper()
	set, err := s.client.Keys(t.Context(), issuer, kid)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := openid.Keys(set)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range keys {
		out = append(out, k.KID)
	}
	return out
}

func TestConfiguration(t *testing.T) {
	s := newScene(t)
	p, err := s.client.Configuration(t.Context(), issuer)
	if err != nil || p.Issuer != issuer || p.Token != issuer+"/token" || !p.NamesItself || !strings.HasPrefix(p.Authorization, "https://localhost:") {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := s.client.Configuration(t.Context(), "https://other.example.org"); !errors.Is(err, oidc.ErrUnknown) {
		t.Errorf("an issuer that nobody names: %v", err)
	}
	for name, change := range map[string]func(c map[string]any){
		"another issuer":         func(c map[string]any) { c["issuer"] = "https://id.example.net" },
		"issuer with a slash":    func(c map[string]any) { c["issuer"] = issuer + "/" },
		"issuer in capitals":     func(c map[string]any) { c["issuer"] = strings.ToUpper(issuer) },
		"no issuer":              func(c map[string]any) { delete(c, "issuer") },
		"keys over plain HTTP":   func(c map[string]any) { c["jwks_uri"] = "http://id.example.org/jwks" },
		"keys in a file":         func(c map[string]any) { c["jwks_uri"] = "file:///etc/passwd" },
		"no keys":                func(c map[string]any) { delete(c, "jwks_uri") },
		"a list of endpoints":    func(c map[string]any) { c["token_endpoint"] = []string{issuer} },
		"endpoint with a user":   func(c map[string]any) { c["token_endpoint"] = "https://a:b@id.example.org/token" },
		"sign-in by a script":    func(c map[string]any) { c["authorization_endpoint"] = "javascript:alert(1)" },
		"no PKCE with S256":      func(c map[string]any) { c["code_challenge_methods_supported"] = []string{"plain"} },
		"iss as text":            func(c map[string]any) { c["authorization_response_iss_parameter_supported"] = "true" },
		"too large for anything": func(c map[string]any) { c["x"] = strings.Repeat("x", 70<<10) },
	} {
		s.provider.Misbehave(idp.Fault{Configuration: change})
		if _, err := s.client.Configuration(t.Context(), issuer); !errors.Is(err, oidc.ErrConfiguration) && !errors.Is(err, fetch.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "example") {
			t.Errorf("%s: the error names somebody: %v", name, err)
		}
	}
}

// TestKeysAreKeptAndRotated: a set is fetched once while it is fresh, again for
// a name that is not in it, but not at every turn, and never kept for long.
func TestKeysAreKeptAndRotated(t *testing.T) {
	s := newScene(t)
	fetched := func(want int, when string) {
		t.Helper()
		if got := s.provider.Fetched(); got != want {
			t.Errorf("%s: fetched %d times, want %d", when, got, want)
		}
	}
	first := s.keys(t, "")
	s.keys(t, first[0])
	fetched(1, "while fresh")
	if err := s.provider.Rotate(idp.ES256); err != nil {
		t.Fatal(err)
	}
	s.keys(t, "invented")
	fetched(1, "an unknown name at once")
	s.now = s.now.Add(oidc.MinFresh)
	if got := s.keys(t, "the new one"); len(got) != 2 {
		t.Errorf("after the rotation: %v", got)
	}
	fetched(2, "an unknown name after a minute")
	for range 5 {
		s.keys(t, "invented")
	}
	fetched(2, "invented names")
	s.provider.Retire()
	s.now = s.now.Add(5*time.Minute + time.Second)
	if got := s.keys(t, ""); len(got) != 1 || got[0] == first[0] {
		t.Errorf("a retired key is still there: %v", got)
	}
	fetched(3, "after the time that the provider gives")
	s.now = s.now.Add(-time.Hour)
	s.keys(t, "")
	fetched(4, "after the clock was put back")
}

func TestKeysInTrouble(t *testing.T) {
	s := newScene(t)
	if _, err := s.client.Keys(t.Context(), "https://id.example.net", ""); !errors.Is(err, oidc.ErrUnknown) {
		t.Errorf("an issuer that nobody names: %v", err)
	}
	s.provider.Misbehave(idp.Fault{Down: true})
	if _, err := s.client.Keys(t.Context(), issuer, ""); !errors.Is(err, fetch.ErrStatus) {
		t.Errorf("out of order: %v", err)
	}
	s.provider.Misbehave(idp.Fault{})
	if _, err := s.client.Keys(t.Context(), issuer, ""); !errors.Is(err, fetch.ErrStatus) {
		t.Errorf("asked again at once: %v", err)
	}
	s.now = s.now.Add(10 * time.Second)
	good := s.keys(t, "")
	for name, change := range map[string]func(set map[string]any){
		"no keys":       func(set map[string]any) { set["keys"] = []any{} },
		"a private key": func(set map[string]any) { set["keys"] = []any{map[string]any{"kty": "EC", "crv": "P-256", "d": "AA"}} },
		"only others": func(set map[string]any) {
			set["keys"] = []any{map[string]any{"kty": "OKP", "crv": "X25519", "x": "AA"}}
		},
		"not a set": func(set map[string]any) { delete(set, "keys") },
	} {
		s.now = s.now.Add(2 * time.Minute)
		s.provider.Misbehave(idp.Fault{Keys: change})
		if got := s.keys(t, "unknown"); len(got) != 1 || got[0] != good[0] {
			t.Errorf("%s takes the place of a good set: %v", name, got)
		}
		s.provider.Misbehave(idp.Fault{})
		s.now = s.now.Add(10 * time.Minute)
		s.keys(t, "")
		s.now = s.now.Add(10 * time.Minute)
		s.provider.Misbehave(idp.Fault{Keys: change})
		if _, err := s.client.Keys(t.Context(), issuer, ""); !errors.Is(err, oidc.ErrKeySet) {
			t.Errorf("%s: %v", name, err)
		}
		s.provider.Misbehave(idp.Fault{})
		s.now = s.now.Add(10 * time.Minute)
		s.keys(t, "")
	}
}

// TestWhoGivesUpIsNoTrouble: a caller that hangs up does not spoil it for others.
func TestWhoGivesUpIsNoTrouble(t *testing.T) {
	s := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.client.Keys(ctx, issuer, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.keys(t, "")
}

func TestExchangeRefused(t *testing.T) {
	s := newScene(t)
	p, err := s.client.Configuration(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"nobody"}, "code": {"x"}}
	if _, err := s.client.Exchange(t.Context(), p, form); !errors.Is(err, oidc.ErrToken) || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("got %v", err)
	}
	other := p
	other.Issuer = "https://id.example.net"
	if _, err := s.client.Exchange(t.Context(), other, form); !errors.Is(err, oidc.ErrUnknown) {
		t.Errorf("an issuer that nobody names: %v", err)
	}
	s.provider.Misbehave(idp.Fault{Down: true})
	if _, err := s.client.Exchange(t.Context(), p, form); !errors.Is(err, oidc.ErrToken) {
		t.Errorf("no JSON: %v", err)
	}
	for code, want := range map[string]string{"access_denied": "access_denied", "": "an error code that is none", "\x1b[2J": "an error code that is none"} {
		if got := oidc.Shown(code); got != want {
			t.Errorf("%q is shown as %q", code, got)
		}
	}
}
