package byopenid_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/fetch"
	"whither/internal/oidc"
	"whither/internal/prover"
	"whither/internal/prover/byopenid"
	"whither/internal/world/idp"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/openid"
	"whither/problem"
	"whither/registry"
)

const (
	issuer = "https://id.example.org"
	client = "whither-possession"
)

// scene is a prover's method before a provider of a small world.
type scene struct {
	t         *testing.T
	now       time.Time
	provider  *idp.Provider
	providers *oidc.Client
	registry  *registry.Snapshot
	method    prover.Method
	holder    key.Private
}

func newScene(t *testing.T) *scene {
	t.Helper()
	world, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	s := &scene{t: t, now: time.Now().Truncate(time.Second), holder: worldtest.Key(t, "bob's app")}
	clock := func() time.Time { return s.now }
	s.provider, err = idp.New(t.Context(), idp.Config{Issuer: issuer, Certificate: world.Certificate, Roots: world.Roots(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.provider.Close() })
	world.Announce(s.provider.Host(), s.provider.Port())
	s.provider.Register(client, "Whither")
	s.provider.Register("shop", "A shop")
	s.provider.AddAccount(idp.Account{Name: "bob", Password: "secret", Address: "bob@example.org", Verified: true})
	s.provider.AddAccount(idp.Account{Name: "mallory", Password: "secret", Address: "mallory@example.net", Verified: true})
	f := worldtest.New(t)
	f.Record.Policy.Evidence.Issuers = []registry.Issuer{{URL: issuer, Clients: []string{client}, Domains: []string{"example.org"}, Handle: idp.Handle}}
	s.registry = f.Snapshot()
	s.providers = oidc.New(oidc.Config{
		Fetch: fetch.New(fetch.Config{
			Roots: world.Roots(), Resolver: world.DNS.Resolver(), Port: s.provider.Port(),
			Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: clock,
		}),
		Known: func(name string) bool { _, ok := s.registry.Issuer(name); return ok }, Now: clock,
	})
	t.Cleanup(s.providers.Close)
	s.method = byopenid.Method(byopenid.Config{Providers: s.providers, Registry: func() *registry.Snapshot { return s.registry }})
	return s
}

// begin is a challenge for a CSI.
func (s *scene) begin(uri string) (prover.Challenge, error) {
	s.t.Helper()
	c := prover.Challenge{
		Kind: possession.OpenIDToken, CSI: worldtest.CSI(s.t, uri), Holder: s.holder.Public(),
		Nonce: [possession.NonceSize]byte{1, 2, 3}, Started: s.now, Expires: s.now.Add(prover.Life),
	}
	answer, err := s.method.Challengers[possession.OpenIDToken].Begin(s.t.Context(), &c)
	if err == nil && string(answer.Nonce) != string(c.Nonce[:]) {
		s.t.Error("the client does not get the nonce")
	}
	return c, err
}

// answer brings a token for a challenge, to the challenger and to a witness.
func (s *scene) answer(c prover.Challenge, token string) (found, witnessed prover.Finding, err error) {
	s.t.Helper()
	answerer, ok := s.method.Challengers[possession.OpenIDToken].(prover.Answerer)
	if !ok {
		s.t.Fatal("takes no answers")
	}
	found, err = answerer.Answer(s.t.Context(), c, prover.Answer{Artefact: []byte(token)}, s.now)
	witnessed, witnessErr := s.method.Witnesses[possession.OpenIDWitness].Witness(s.t.Context(), prover.Testimony{
		CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Artefact: []byte(token), Now: s.now,
	})
	if (err == nil) != (witnessErr == nil) && !errors.Is(err, byopenid.ErrEarly) {
		s.t.Errorf("challenger: %v; witness: %v", err, witnessErr)
	}
	return found, witnessed, err
}

// token is a token for a challenge of bob's.
func (s *scene) token(c prover.Challenge) string {
	s.t.Helper()
	t, err := s.provider.Token(client, openid.Nonce(possession.Response(c.CSI, c.Holder, c.Nonce)), "bob")
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

func TestR01TokenProvesPossession(t *testing.T) {
	s := newScene(t)
	for _, uri := range []string{"mailto:bob@example.org", "acct:bob@id.example.org"} {
		c, err := s.begin(uri)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if c.Expires != s.now.Add(byopenid.Life) {
			t.Errorf("good until %s", c.Expires)
		}
		token := s.token(c)
		found, witnessed, err := s.answer(c, token)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if found.Level != possession.Level3 || string(found.Artefact) != token || found.KeySeen == [32]byte{} || !found.Evidence.Equal(s.now) {
			t.Errorf("%s: %+v", uri, found)
		}
		if witnessed.KeySeen != found.KeySeen || string(witnessed.Artefact) != token {
			t.Errorf("%s: challenger and witness saw different things", uri)
		}
	}
}

func TestNoProviderForIt(t *testing.T) {
	s := newScene(t)
	for _, uri := range []string{"mailto:bob@example.net", "mailto:bob@mail.example.org", "acct:bob@example.org", "mailto:bob@id.example.org"} {
		if _, err := s.begin(uri); !errors.Is(err, prover.ErrKind) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// TestR01TokensThatProveNothing: what a provider signs, and what somebody makes
// of it, is refused for a reason that a person can act on.
func TestR01TokensThatProveNothing(t *testing.T) {
	s := newScene(t)
	c, err := s.begin("mailto:bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	nonce := openid.Nonce(possession.Response(c.CSI, c.Holder, c.Nonce))
	claim := func(name string, value any) idp.Fault {
		return idp.Fault{Claims: func(m map[string]any) { m[name] = value }}
	}
	handle := func(name string) string { // somebody else's account, a nonce of ours
		token, err := s.provider.Token(client, nonce, name)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	tests := []struct {
		name  string
		fault idp.Fault
		token func() string
		want  problem.Kind
	}{
		{"signed in at another relying party", idp.Fault{}, func() string {
			token, err := s.provider.Token("shop", nonce, "bob")
			if err != nil {
				t.Fatal(err)
			}
			return token
		}, problem.OpenIDAudience},
		{"for another and for us", claim("azp", "shop"), nil, problem.OpenIDAudience},
		{"for two", claim("aud", []string{client, "shop"}), nil, problem.OpenIDAudience},
		{"another key's nonce", idp.Fault{}, func() string {
			other := c
			other.Holder = worldtest.Key(t, "mallory's app").Public()
			return s.token(other)
		}, problem.OpenIDNonce},
		{"another challenge's nonce", idp.Fault{}, func() string {
			other := c
			other.Nonce[0]++
			return s.token(other)
		}, problem.OpenIDNonce},
		{"no nonce", claim("nonce", nil), nil, problem.OpenIDMalformed},
		{"issuer that nobody names", claim("iss", "https://id.example.net"), nil, problem.OpenIDIssuer},
		{"issuer with a slash", claim("iss", issuer+"/"), nil, problem.OpenIDIssuer},
		{"unverified mail", claim("email_verified", false), nil, problem.OpenIDUnverified},
		{"verified in a text", claim("email_verified", "true"), nil, problem.OpenIDMalformed},
		{"look-alike domain", claim("email", "bob@examp1e.org"), nil, problem.OpenIDIdentifier},
		{"look-alike letter", claim("email", "b\u043eb@example.org"), nil, problem.OpenIDIdentifier},
		{"another account", idp.Fault{}, func() string { return handle("mallory") }, problem.OpenIDIdentifier},
		{"signed in an hour ago", claim("auth_time", s.now.Add(-time.Hour).Unix()), nil, problem.OpenIDTime},
		{"no time of the sign-in", claim("auth_time", nil), nil, problem.OpenIDMalformed},
		{"expired", claim("exp", s.now.Add(-time.Hour).Unix()), nil, problem.OpenIDTime},
		{"from tomorrow", claim("iat", s.now.Add(24*time.Hour).Unix()), nil, problem.OpenIDTime},
		{"unknown key", idp.Fault{Header: func(h map[string]any) { h["kid"] = "another" }}, nil, problem.OpenIDKey},
		{"key of another type", idp.Fault{Keys: func(set map[string]any) {
			for _, k := range set["keys"].([]map[string]any) {
				k["kty"], k["crv"], k["alg"], k["x"] = "OKP", "Ed25519", "EdDSA", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
			}
		}}, nil, problem.OpenIDKey},
		{"signed by a key that is not published", idp.Fault{Keys: swapped}, nil, problem.OpenIDSignature},
		{"security event", idp.Fault{Header: func(h map[string]any) { h["typ"] = "secevent+jwt" }}, nil, problem.OpenIDMalformed},
		{"brings its own key", idp.Fault{Header: func(h map[string]any) { h["jku"] = issuer + "/jwks" }}, nil, problem.OpenIDMalformed},
		{"two tokens", idp.Fault{}, func() string { return s.token(c) + "." + s.token(c) }, problem.OpenIDMalformed},
		{"nothing like a token", idp.Fault{}, func() string { return "x" }, problem.OpenIDMalformed},
		{"endless", idp.Fault{}, func() string { return strings.Repeat("x", openid.MaxSize+1) }, problem.TooLarge},
		{"provider out of order", idp.Fault{Down: true}, nil, problem.OpenIDProvider},
		{"configuration of another issuer", idp.Fault{Configuration: func(m map[string]any) { m["issuer"] = "https://id.example.net" }}, nil, problem.OpenIDProvider},
		{"keys at home", idp.Fault{Configuration: func(m map[string]any) { m["jwks_uri"] = "http://127.0.0.1/jwks" }}, nil, problem.OpenIDProvider},
		{"symmetric key", idp.Fault{Keys: func(set map[string]any) { set["keys"] = []any{map[string]any{"kty": "oct", "k": "AA"}} }}, nil, problem.OpenIDProvider},
	}
	for _, test := range tests {
		s.now = s.now.Add(openid.MaxAge + time.Second) // so that keys are fetched again
		c.Started = s.now
		s.provider.Misbehave(test.fault)
		make := test.token
		if make == nil {
			make = func() string { return s.token(c) }
		}
		_, _, err := s.answer(c, make())
		if got := byopenid.Problem(err); got != test.want {
			t.Errorf("%s: %q (%v), want %q", test.name, got, err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), "example") || strings.Contains(err.Error(), "bob")) {
			t.Errorf("%s: the error names somebody: %v", test.name, err)
		}
		if row := test.want.Row(); row.Kind != test.want || row.Do == "" {
			t.Errorf("%s: nothing to do about %s", test.name, test.want)
		}
	}
}

// swapped publishes another key under the name of each.
func swapped(set map[string]any) {
	for _, k := range set["keys"].([]map[string]any) {
		k["x"], k["y"] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" // RFC 7515 appendix A.3
	}
}

// TestSignInBeforeTheQuestion: a session of before, with a nonce of now, is no
// answer; the witness cannot know.
func TestSignInBeforeTheQuestion(t *testing.T) {
	s := newScene(t)
	c, err := s.begin("mailto:bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	s.provider.Misbehave(idp.Fault{Claims: func(m map[string]any) { m["auth_time"] = s.now.Add(-5 * time.Minute).Unix() }})
	if _, _, err := s.answer(c, s.token(c)); !errors.Is(err, byopenid.ErrEarly) || byopenid.Problem(err) != problem.OpenIDTime {
		t.Errorf("got %v", err)
	}
}

// TestRetiredKey: a token under a key that the provider has taken back is worth
// nothing to who looks afterwards.
func TestRetiredKey(t *testing.T) {
	s := newScene(t)
	c, err := s.begin("mailto:bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	token := s.token(c)
	if _, _, err := s.answer(c, token); err != nil {
		t.Fatal(err)
	}
	if err := s.provider.Rotate(idp.RS256); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.answer(c, s.token(c)); byopenid.Problem(err) != problem.OpenIDKey {
		t.Errorf("a key that is seconds old: %v", err)
	}
	s.now = s.now.Add(oidc.MinFresh)
	if _, _, err := s.answer(c, s.token(c)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, _, err := s.answer(c, token); err != nil {
		t.Errorf("the older of two published keys: %v", err)
	}
	s.provider.Retire()
	s.now = s.now.Add(5*time.Minute + time.Second) // the provider allows five minutes
	if _, _, err := s.answer(c, token); byopenid.Problem(err) != problem.OpenIDKey {
		t.Errorf("a retired key: %v", err)
	}
}

// TestEveryErrorHasAKind walks the exported errors of the packages that the
// method's table is about.
func TestEveryErrorHasAKind(t *testing.T) {
	sentinels := map[string]error{
		"byopenid.ErrProvider": byopenid.ErrProvider, "byopenid.ErrEarly": byopenid.ErrEarly,
		"openid.ErrWant": openid.ErrWant, "openid.ErrTooLarge": openid.ErrTooLarge, "openid.ErrMalformed": openid.ErrMalformed,
		"openid.ErrHeader": openid.ErrHeader, "openid.ErrAlgorithm": openid.ErrAlgorithm, "openid.ErrClaim": openid.ErrClaim,
		"openid.ErrNonce": openid.ErrNonce, "openid.ErrFuture": openid.ErrFuture, "openid.ErrExpired": openid.ErrExpired,
		"openid.ErrStale": openid.ErrStale, "openid.ErrTimes": openid.ErrTimes, "openid.ErrUnverified": openid.ErrUnverified,
		"openid.ErrIdentifier": openid.ErrIdentifier, "openid.ErrIssuer": openid.ErrIssuer, "openid.ErrAudience": openid.ErrAudience,
		"openid.ErrAuthorizedParty": openid.ErrAuthorizedParty, "openid.ErrAuthority": openid.ErrAuthority, "openid.ErrKeySet": openid.ErrKeySet,
		"openid.ErrNoKey": openid.ErrNoKey, "openid.ErrKeyConfusion": openid.ErrKeyConfusion, "openid.ErrWeakKey": openid.ErrWeakKey,
		"openid.ErrSignature": openid.ErrSignature,
	}
	listed := 0
	for _, dir := range []string{".", "../../../possession/openid"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") {
					return true
				}
				id := f.Name.Name + "." + spec.Names[0].Name
				err, ok := sentinels[id]
				if !ok {
					t.Errorf("%s is not in the test's list", id)
					return true
				}
				listed++
				k := byopenid.Problem(fmt.Errorf("wrapped: %w", err))
				if k == "" || k.Row().Kind != k || (k == problem.Internal) != (id == "openid.ErrWant") {
					t.Errorf("%s is %q", id, k)
				}
				return true
			})
		}
	}
	if listed != len(sentinels) {
		t.Errorf("%d errors are listed and %d exist", len(sentinels), listed)
	}
	if k := byopenid.Problem(errors.New("something else")); k != "" {
		t.Errorf("an unknown error is %s", k)
	}
	if k := byopenid.Problem(fmt.Errorf("%w: %w", byopenid.ErrProvider, openid.ErrKeySet)); k != problem.OpenIDProvider {
		t.Errorf("trouble with the provider is %s", k)
	}
}
