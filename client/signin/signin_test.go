package signin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"whither/client/signin"
	"whither/csi"
	"whither/internal/fetch"
	"whither/internal/oidc"
	"whither/internal/world/idp"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession/openid"
	"whither/registry"
)

const (
	issuer = "https://id.example.org"
	client = "whither-possession"
)

// scene is a person before a provider of a small world.
type scene struct {
	t         *testing.T
	provider  *idp.Provider
	providers *oidc.Client
	registry  *registry.Snapshot
	response  [32]byte
	shown     string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	world, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	s := &scene{t: t, response: [32]byte{1, 2, 3}}
	s.provider, err = idp.New(t.Context(), idp.Config{Issuer: issuer, Certificate: world.Certificate, Roots: world.Roots(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.provider.Close() })
	world.Announce(s.provider.Host(), s.provider.Port())
	s.provider.Register(client, "Whither")
	s.provider.AddAccount(idp.Account{Name: "bob", Password: "secret", Address: "bob@example.org", Verified: true})
	s.provider.AddAccount(idp.Account{Name: "mallory", Password: "secret", Address: "mallory@example.org", Verified: true})
	f := worldtest.New(t)
	f.Record.Policy.Evidence.Issuers = []registry.Issuer{{URL: issuer, Clients: []string{client}, Domains: []string{"example.org"}, Handle: idp.Handle}}
	s.registry = f.Snapshot()
	s.providers = oidc.New(oidc.Config{
		Fetch: fetch.New(fetch.Config{
			Roots: world.Roots(), Resolver: world.DNS.Resolver(), Port: s.provider.Port(),
			Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: time.Now,
		}),
		Known: func(name string) bool { _, ok := s.registry.Issuer(name); return ok }, Now: time.Now,
	})
	t.Cleanup(s.providers.Close)
	return s
}

// signIn signs in for a CSI, with show in the person's place.
func (s *scene) signIn(ctx context.Context, uri string, show func(ctx context.Context, address string) error) ([]byte, error) {
	s.t.Helper()
	id, err := csi.Parse(uri)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return signin.Token(ctx, s.providers, s.registry, signin.Request{CSI: id, Response: s.response, Now: time.Now, Show: func(ctx context.Context, address string) error {
		s.shown = address
		return show(ctx, address)
	}})
}

// as is a person who signs in with an account.
func (s *scene) as(name string) func(context.Context, string) error {
	return func(ctx context.Context, address string) error {
		text, err := s.provider.Visit(ctx, address, name)
		if err == nil && !strings.Contains(text, "close this window") {
			s.t.Errorf("the last page says %q", text)
		}
		return err
	}
}

func TestSignIn(t *testing.T) {
	s := newScene(t)
	for _, uri := range []string{"mailto:bob@example.org", "acct:bob@id.example.org"} {
		token, err := s.signIn(t.Context(), uri, s.as("bob"))
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		id, _ := csi.Parse(uri)
		if _, err := s.providers.Verify(t.Context(), token, openid.Want{CSI: id, Response: s.response, Now: time.Now()}, s.registry); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
		if strings.Contains(s.shown, "bob") {
			t.Errorf("the URL names the person: %s", s.shown)
		}
		u, err := url.Parse(s.shown)
		if err != nil {
			t.Fatal(err)
		}
		redirect, err := url.Parse(u.Query().Get("redirect_uri"))
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); q.Get("scope") != "openid email" || q.Get("max_age") != "0" || q.Get("nonce") != openid.Nonce(s.response) || redirect.Hostname() != "127.0.0.1" {
			t.Errorf("asked with %v", u.Query())
		}
		if resp, err := http.Get(redirect.String()); err == nil {
			_ = resp.Body.Close()
			t.Error("still listening")
		}
	}
}

// TestTokensThatAreNotHandedOver: the provider is not believed; the person is
// told what to do before a prover is asked.
func TestTokensThatAreNotHandedOver(t *testing.T) {
	s := newScene(t)
	claim := func(name string, value any) idp.Fault {
		return idp.Fault{Claims: func(c map[string]any) { c[name] = value }}
	}
	for name, test := range map[string]struct {
		fault idp.Fault
		want  error
	}{
		"another client":      {claim("aud", "shop"), openid.ErrAudience},
		"two audiences":       {claim("aud", []string{client, "shop"}), openid.ErrAudience},
		"another nonce":       {claim("nonce", "n"), openid.ErrNonce},
		"another issuer":      {claim("iss", "https://id.example.net"), openid.ErrIssuer},
		"unverified":          {claim("email_verified", false), openid.ErrUnverified},
		"verified in a text":  {claim("email_verified", "true"), openid.ErrClaim},
		"a look-alike domain": {claim("email", "bob@examp1e.org"), openid.ErrIdentifier},
		"a subdomain":         {claim("email", "bob@mail.example.org"), openid.ErrIdentifier},
		"an old sign-in":      {claim("auth_time", time.Now().Add(-time.Hour).Unix()), openid.ErrStale},
		"an access token":     {idp.Fault{Header: func(h map[string]any) { h["typ"] = "at+jwt" }}, openid.ErrHeader},
		"its own key":         {idp.Fault{Header: func(h map[string]any) { h["jwk"] = map[string]any{} }}, openid.ErrHeader},
		"no key of that name": {idp.Fault{Header: func(h map[string]any) { h["kid"] = "another" }}, openid.ErrNoKey},
	} {
		s.provider.Misbehave(test.fault)
		token, err := s.signIn(t.Context(), "mailto:bob@example.org", s.as("bob"))
		if !errors.Is(err, test.want) || token != nil {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	s.provider.Misbehave(idp.Fault{})
	if _, err := s.signIn(t.Context(), "mailto:bob@example.org", s.as("mallory")); !errors.Is(err, openid.ErrIdentifier) {
		t.Errorf("another account: %v", err)
	}
	if _, err := s.signIn(t.Context(), "mailto:bob@example.net", s.as("bob")); !errors.Is(err, signin.ErrNoIssuer) {
		t.Errorf("a domain of nobody: %v", err)
	}
	if _, err := s.signIn(t.Context(), "acct:bob@example.org", s.as("bob")); !errors.Is(err, signin.ErrNoIssuer) {
		t.Errorf("a handle at another host: %v", err)
	}
}

// callback is where the browser is to come back to, with the right state.
func callback(t *testing.T, shown string) (*url.URL, url.Values) {
	t.Helper()
	u, err := url.Parse(shown)
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil {
		t.Fatal(err)
	}
	return back, url.Values{"state": {u.Query().Get("state")}, "iss": {issuer}, "code": {"x"}}
}

// knock opens a page of the app's as a browser would.
func knock(t *testing.T, at *url.URL, q url.Values, host string) int {
	t.Helper()
	u := *at
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestOthersKnock: what comes without the state, from a page or a program of
// somebody else, changes nothing; the person's sign-in still counts.
func TestOthersKnock(t *testing.T) {
	s := newScene(t)
	_, err := s.signIn(t.Context(), "mailto:bob@example.org", func(ctx context.Context, address string) error {
		at, good := callback(t, address)
		for name, change := range map[string]func(q url.Values){
			"no state":       func(q url.Values) { q.Del("state") },
			"another state":  func(q url.Values) { q.Set("state", "x") },
			"two states":     func(q url.Values) { q.Add("state", "x") },
			"no code":        func(q url.Values) { q.Del("code") },
			"code and error": func(q url.Values) { q.Set("error", "access_denied") },
			"two issuers":    func(q url.Values) { q.Add("iss", issuer) },
		} {
			q := url.Values{}
			for k, v := range good {
				q[k] = append([]string{}, v...)
			}
			change(q)
			if status := knock(t, at, q, ""); status != http.StatusBadRequest {
				t.Errorf("%s: status %d", name, status)
			}
		}
		if status := knock(t, at, good, "evil.example"); status != http.StatusBadRequest {
			t.Errorf("by another name of this machine: status %d", status)
		}
		other := *at
		other.Path = "/"
		if status := knock(t, &other, good, ""); status != http.StatusNotFound {
			t.Errorf("another page: status %d", status)
		}
		return s.as("bob")(ctx, address)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSignInsThatFail(t *testing.T) {
	s := newScene(t)
	answer := func(change func(q url.Values)) func(context.Context, string) error {
		return func(_ context.Context, address string) error {
			at, q := callback(t, address)
			change(q)
			if status := knock(t, at, q, ""); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			return nil
		}
	}
	errShow := errors.New("no window")
	for name, test := range map[string]struct {
		show func(context.Context, string) error
		want error
		text string
	}{
		"cancelled at the provider": {answer(func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }), signin.ErrRefused, "access_denied"},
		"odd words":                 {answer(func(q url.Values) { q.Del("code"); q.Set("error", "\x1b[2J") }), signin.ErrRefused, "none"},
		"an invented code":          {answer(func(url.Values) {}), oidc.ErrToken, "invalid_grant"},
		"another provider":          {answer(func(q url.Values) { q.Set("iss", "https://id.example.net") }), signin.ErrMixedUp, ""},
		"no provider":               {answer(func(q url.Values) { q.Del("iss") }), signin.ErrMixedUp, ""},
		"nothing to show it on":     {func(context.Context, string) error { return errShow }, errShow, ""},
	} {
		if _, err := s.signIn(t.Context(), "mailto:bob@example.org", test.show); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.signIn(ctx, "mailto:bob@example.org", func(context.Context, string) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody comes: %v", err)
	}
	s.provider.Misbehave(idp.Fault{Down: true})
	if _, err := s.signIn(t.Context(), "mailto:bob@example.org", s.as("bob")); !errors.Is(err, fetch.ErrStatus) {
		t.Errorf("out of order: %v", err)
	}
}

// TestRedirectIsTheRegisteredOne: what the app listens at is what providers are
// told.
func TestRedirectIsTheRegisteredOne(t *testing.T) {
	if signin.RedirectPath != idp.RedirectPath {
		t.Error(signin.RedirectPath)
	}
}
