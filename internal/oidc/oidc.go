// Package oidc speaks to OpenID providers: it reads what an issuer publishes,
// its configuration (OpenID Connect Discovery 1.0) and its JWK set (RFC 7517),
// and sends its token endpoint a code (OpenID Connect Core section 3.1.3).
//
// It promises:
//
//   - only issuers that [Config.Known] names are asked, so that nobody makes a
//     prover ask a server of his choice;
//   - a configuration is that of the issuer that was asked, by exactly these
//     characters (Discovery section 4.3); else one issuer could speak for
//     another;
//   - a key set is at most as old as the provider allows, and never older than
//     [MaxFresh]; a key name that is not in it has it fetched again, at most once
//     in [MinFresh]: providers announce keys shortly before they use them, and
//     whoever invents names must not set the pace;
//   - a set that cannot be used ([openid.Keys]) never takes the place of one;
//   - errors name no host, which is the domain of somebody's address (package
//     fetch).
//
// It decides nothing about tokens: [Client.Verify] hands package
// possession/openid what it needs to. Which issuer is authoritative for whom the
// registry says.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"whither/csi"
	"whither/internal/fetch"
	"whither/internal/jws"
	"whither/possession/openid"
	"whither/registry"
)

// Errors.
var (
	ErrUnknown       = errors.New("oidc: no issuer of this federation")
	ErrConfiguration = errors.New("oidc: the provider's configuration is malformed, or that of another issuer")
	ErrKeySet        = errors.New("oidc: the provider's key set is unusable")
	ErrToken         = errors.New("oidc: the provider gives no token")
)

// Bounds.
const (
	// MaxFresh is how long a key set is used at most, whatever the provider
	// allows: as long as the sign-in behind a token may lie back. A key that its
	// owner takes back is dead after that.
	MaxFresh = openid.MaxAge
	// MinFresh is how long a key set is used at least, save for a key name that
	// is not in it, and how often it is fetched again for such a one.
	MinFresh = time.Minute
	// unsaid is how long a set is used whose provider says nothing.
	unsaid = 5 * time.Minute
	// pause is how long a provider is left alone that did not answer.
	pause = 5 * time.Second

	maxConfiguration = 64 << 10
	maxToken         = 64 << 10
	maxIssuers       = 1000
	maxWord          = 64 // of an error code of RFC 6749
)

// Config is what a Client needs.
type Config struct {
	Fetch *fetch.Client
	// Known reports whether the federation names this issuer.
	Known func(issuer string) bool
	Now   func() time.Time
}

// Client asks providers. It is safe for concurrent use.
type Client struct {
	config Config

	mu      sync.Mutex
	issuers map[string]*issuer
}

// New returns a client.
func New(c Config) *Client { return &Client{config: c, issuers: make(map[string]*issuer)} }

// Close drops idle connections.
func (c *Client) Close() { c.config.Fetch.Close() }

// Provider is what a provider says of itself, as far as it is used here.
type Provider struct {
	Issuer        string
	Authorization string // where the person signs in
	Token         string // where a code becomes a token
	JWKS          string
	// NamesItself says that answers of the authorization endpoint carry iss
	// (RFC 9207).
	NamesItself bool
}

// issuer is what is kept of one issuer. Its lock is a channel, so that who
// waits for another's fetch can give up.
type issuer struct {
	lock chan struct{}

	set     []byte
	kids    []string
	until   time.Time // when the set is too old
	tried   time.Time // when it was last asked for
	trouble error     // what came of that
}

// entry returns what is kept of an issuer, locked.
func (c *Client) entry(ctx context.Context, name string) (*issuer, error) {
	if !c.config.Known(name) || !openid.ValidIssuer(name) {
		return nil, ErrUnknown
	}
	c.mu.Lock()
	i, ok := c.issuers[name]
	if !ok {
		if len(c.issuers) >= maxIssuers { // a registry that changed often
			clear(c.issuers)
		}
		i = &issuer{lock: make(chan struct{}, 1)}
		c.issuers[name] = i
	}
	c.mu.Unlock()
	select {
	case i.lock <- struct{}{}:
		return i, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (i *issuer) unlock() { <-i.lock }

// Configuration fetches an issuer's configuration.
func (c *Client) Configuration(ctx context.Context, name string) (Provider, error) {
	if !c.config.Known(name) || !openid.ValidIssuer(name) {
		return Provider{}, ErrUnknown
	}
	a, err := c.config.Fetch.Get(ctx, strings.TrimSuffix(name, "/")+"/.well-known/openid-configuration", maxConfiguration)
	if err != nil {
		return Provider{}, fmt.Errorf("configuration of the provider: %w", err)
	}
	return parseConfiguration(name, a.Body)
}

// parseConfiguration reads provider metadata (Discovery section 3).
func parseConfiguration(name string, b []byte) (Provider, error) {
	o, err := jws.ParseObject(b)
	if err != nil {
		return Provider{}, fmt.Errorf("%w: not an object", ErrConfiguration)
	}
	var p Provider
	for _, m := range []struct {
		name string
		to   *string
		url  bool
	}{
		{"issuer", &p.Issuer, false},
		{"authorization_endpoint", &p.Authorization, true},
		{"token_endpoint", &p.Token, true},
		{"jwks_uri", &p.JWKS, true},
	} {
		*m.to, err = o.Text(m.name)
		if err != nil || m.url && !fetch.ValidURL(*m.to) {
			return Provider{}, fmt.Errorf("%w: %s", ErrConfiguration, m.name)
		}
	}
	if p.Issuer != name {
		return Provider{}, fmt.Errorf("%w: issuer", ErrConfiguration)
	}
	if o.Has("authorization_response_iss_parameter_supported") {
		if p.NamesItself, err = o.Bool("authorization_response_iss_parameter_supported"); err != nil {
			return Provider{}, fmt.Errorf("%w: authorization_response_iss_parameter_supported", ErrConfiguration)
		}
	}
	if o.Has("code_challenge_methods_supported") {
		methods, err := o.Texts("code_challenge_methods_supported")
		if err != nil || !slices.Contains(methods, "S256") {
			return Provider{}, fmt.Errorf("%w: no PKCE with S256", ErrConfiguration)
		}
	}
	return p, nil
}

// Keys returns an issuer's JWK set, fresh enough to judge a token whose header
// names kid. Empty names no key.
func (c *Client) Keys(ctx context.Context, name, kid string) ([]byte, error) {
	i, err := c.entry(ctx, name)
	if err != nil {
		return nil, err
	}
	defer i.unlock()
	now := c.config.Now()
	since := now.Sub(i.tried)
	good := now.Before(i.until) && since >= 0
	switch {
	case good && (kid == "" || slices.Contains(i.kids, kid) || since < MinFresh):
		return i.set, nil
	case !good && i.trouble != nil && since >= 0 && since < pause:
		return nil, i.trouble
	}
	err = c.refresh(ctx, name, i, now)
	if ctx.Err() == nil { // else the trouble is the caller's
		i.tried, i.trouble = now, err
	}
	if err != nil && !good {
		return nil, err
	}
	return i.set, nil
}

// refresh fetches a set. The configuration is fetched with it: that is where a
// provider moves its keys.
func (c *Client) refresh(ctx context.Context, name string, i *issuer, now time.Time) error {
	p, err := c.Configuration(ctx, name)
	if err != nil {
		return err
	}
	a, err := c.config.Fetch.Get(ctx, p.JWKS, jws.MaxSet)
	if err != nil {
		return fmt.Errorf("key set of the provider: %w", err)
	}
	keys, err := openid.Keys(a.Body)
	if err != nil || len(keys) == 0 {
		return ErrKeySet
	}
	i.set, i.kids = a.Body, nil
	for _, k := range keys {
		i.kids = append(i.kids, k.KID)
	}
	life := a.Fresh
	if life == 0 {
		life = unsaid
	}
	i.until = now.Add(min(max(life, MinFresh), MaxFresh))
	return nil
}

// Verify verifies a token about want with the keys that its issuer publishes,
// and with what the registry says of that issuer.
func (c *Client) Verify(ctx context.Context, raw []byte, want openid.Want, s *registry.Snapshot) (openid.Report, error) {
	kid := ""
	if m, err := jws.Parse(raw, openid.MaxSize); err == nil {
		kid = m.KID // whom it is of is looked at below
	}
	var trouble error
	report, err := openid.Verify(raw, want, func(name string) (openid.Issuer, bool) {
		named, ok := s.Issuer(name)
		if !ok {
			return openid.Issuer{}, false
		}
		var set []byte
		set, trouble = c.Keys(ctx, name, kid)
		return openid.IssuerOf(named, set), trouble == nil
	})
	if trouble != nil {
		return openid.Report{}, trouble
	}
	return report, err
}

// IssuerFor returns the issuer that is authoritative for a CSI by the registry,
// false if there is none.
func IssuerFor(s *registry.Snapshot, id csi.ID) (registry.Issuer, bool) {
	for _, i := range s.Policy().Evidence.Issuers {
		if openid.IssuerOf(i, nil).SpeaksFor(i.URL, id) {
			return i, true
		}
	}
	return registry.Issuer{}, false
}

// Exchange sends a form to the provider's token endpoint and returns the ID
// token. Access tokens are left where they are.
func (c *Client) Exchange(ctx context.Context, p Provider, form url.Values) ([]byte, error) {
	if !c.config.Known(p.Issuer) {
		return nil, ErrUnknown
	}
	a, err := c.config.Fetch.Post(ctx, p.Token, form, maxToken)
	if err != nil {
		return nil, fmt.Errorf("token of the provider: %w", err)
	}
	o, err := jws.ParseObject(a.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: status %d", ErrToken, a.Status)
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("%w: %s", ErrToken, word(o))
	}
	token, err := o.Text("id_token")
	if err != nil || len(token) > openid.MaxSize {
		return nil, fmt.Errorf("%w: no id_token in its answer", ErrToken)
	}
	return []byte(token), nil
}

// word returns the error code of an answer (RFC 6749 section 5.2).
func word(o jws.Object) string {
	code, err := o.Text("error")
	if err != nil {
		return "no error code"
	}
	return Shown(code)
}

// Shown returns an error code if it is one, a word of small letters. What else
// a server writes there is not for a terminal.
func Shown(code string) string {
	if code == "" || len(code) > maxWord || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "an error code that is none"
	}
	return code
}
