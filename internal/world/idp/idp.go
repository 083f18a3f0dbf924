// Package idp is the OpenID provider of a small outside world: people sign in
// at it with a password, and clients get ID tokens from it. The demo and the
// tests use it where a deployment uses the provider of a mail domain.
//
// Nothing in it is a stand-in: configuration and keys are published over HTTPS
// (OpenID Connect Discovery 1.0), people go through the authorization code flow
// (OpenID Connect Core section 3.1) in a browser or at the desk ([Provider.Visit]),
// and clients are held to their contract: they are registered, public, come back
// at a redirect on loopback (RFC 8252 section 7.3) and use PKCE with S256 (RFC
// 7636). Who breaks it is refused, to the person where there is nobody else to
// tell.
//
//	client                         provider                       person
//	  │ ── GET /authorize ───────────> │ <── the page, cookie ────── │
//	  │                                │ <── name, password ──────── │
//	  │ <── redirect: code, state ──── │                             │
//	  │ ── POST /token: code, verifier > │
//	  │ <── ID token ───────────────── │
//
// It can be told to misbehave ([Provider.Misbehave]): wrong claims, another
// configuration, other keys. Without being told it behaves as a good provider
// does.
//
// Everything is on loopback and in memory. The issuer's name is in the world's
// DNS alone, so the page where people sign in is at localhost, or at the address
// where it listens, where browsers find it. Every method may be called at any time from any goroutine.
package idp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Errors.
var (
	ErrAccount = errors.New("idp: no such account")
	ErrVisit   = errors.New("idp: the page does not let the person in")
)

// Config configures a Provider.
type Config struct {
	// Issuer is its name, as https://id.example.org.
	Issuer string
	// Address is where it listens, an address of loopback with a port; empty:
	// any free port of 127.0.0.1.
	Address string
	// Certificate issues the server's certificate, and Roots are the authorities
	// by which people's browsers know it.
	Certificate func(hosts ...string) (tls.Certificate, error)
	Roots       *x509.CertPool
	Now         func() time.Time
}

// localhost is where a provider listens unless it is told otherwise.
const localhost = "127.0.0.1"

// Account is somebody who can sign in.
type Account struct {
	// Name is the handle: the account's name at this provider, never given twice.
	Name     string
	Password string
	Address  string // the mail address
	Verified bool   // it was verified, or given out, by this provider
}

// Fault changes what a provider publishes and signs. Members may be nil.
type Fault struct {
	Configuration func(c map[string]any)
	// Keys changes the key set that is published.
	Keys func(set map[string]any)
	// Header and Claims change an ID token before it is signed.
	Header, Claims func(m map[string]any)
	// Down lets every request fail.
	Down bool
}

// Provider is a running provider.
type Provider struct {
	config   Config
	host     string
	page     string // host of the page where people sign in
	port     int
	server   *http.Server
	ended    chan struct{}
	serveErr error

	mu       sync.Mutex
	accounts map[string]*account
	clients  map[string]string // name by id
	keys     []signingKey      // newest last; all are published
	fault    Fault
	asked    map[string]request // authorization requests under way, by id
	sessions map[string]session
	grants   map[string]grant // by code
	fetched  int
}

type account struct {
	Account
	subject string
	tries   int
}

// session is a person who has signed in, in one browser.
type session struct {
	account string
	at      time.Time
}

// New starts a provider with a first key.
func New(ctx context.Context, c Config) (*Provider, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" {
		return nil, errors.New("idp: the issuer is no https URL")
	}
	p := &Provider{
		config: c, host: issuer.Hostname(), ended: make(chan struct{}),
		accounts: make(map[string]*account), clients: make(map[string]string), asked: make(map[string]request),
		sessions: make(map[string]session), grants: make(map[string]grant),
	}
	if err := p.Rotate(ES256); err != nil {
		return nil, err
	}
	if c.Address == "" {
		c.Address = localhost + ":0"
	}
	if p.page, _, err = net.SplitHostPort(c.Address); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	if p.page == localhost {
		p.page = "localhost"
	}
	certificate, err := c.Certificate(p.host, p.page)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok || !at.IP.IsLoopback() {
		return nil, errors.Join(errors.New("idp: not an address of loopback"), l.Close())
	}
	p.port = at.Port
	p.server = &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}},
		// net/http would write clients' addresses.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() {
		defer close(p.ended)
		if err := p.server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			p.serveErr = err
		}
	}()
	return p, nil
}

// Close ends the provider.
func (p *Provider) Close() error {
	err := p.server.Close()
	<-p.ended
	return errors.Join(err, p.serveErr)
}

// Issuer is the provider's name.
func (p *Provider) Issuer() string { return p.config.Issuer }

// Host is the host of that name.
func (p *Provider) Host() string { return p.host }

// Port is where it listens on loopback.
func (p *Provider) Port() int { return p.port }

// AddAccount opens an account, or replaces the one of that name, whose subject
// it keeps.
func (p *Provider) AddAccount(a Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	subject := rand.Text()
	if old, ok := p.accounts[a.Name]; ok {
		subject = old.subject
	}
	p.accounts[a.Name] = &account{Account: a, subject: subject}
}

// Accounts returns every account by its name.
func (p *Provider) Accounts() map[string]Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]Account)
	for name, a := range p.accounts {
		out[name] = a.Account
	}
	return out
}

// Register registers a public client with a redirect at any port of loopback
// and the path [RedirectPath]. name is what people read.
func (p *Provider) Register(id, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[id] = name
}

// Misbehave changes what the provider does from now on; the zero Fault has it
// behave again.
func (p *Provider) Misbehave(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Fetched counts how often the key set was asked for.
func (p *Provider) Fetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

func (p *Provider) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.configuration)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /authorize", p.signIn)
	mux.HandleFunc("POST /token", p.token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.misbehaviour().Down {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (p *Provider) misbehaviour() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// configuration publishes the provider's metadata.
func (p *Provider) configuration(w http.ResponseWriter, _ *http.Request) {
	c := map[string]any{
		"issuer":                                         p.config.Issuer,
		"authorization_endpoint":                         fmt.Sprintf("https://%s:%d/authorize", p.page, p.port),
		"token_endpoint":                                 p.config.Issuer + "/token",
		"jwks_uri":                                       p.config.Issuer + "/jwks",
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"authorization_code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{string(RS256), string(ES256)},
		"scopes_supported":                               []string{"openid", "email"},
		"claims_supported":                               []string{"sub", "iss", "auth_time", "email", "email_verified", Handle},
		"claims_parameter_supported":                     true,
		"token_endpoint_auth_methods_supported":          []string{"none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	}
	if f := p.misbehaviour(); f.Configuration != nil {
		f.Configuration(c)
	}
	writeJSON(w, http.StatusOK, c)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// bend returns a copy of m, changed.
func bend(m map[string]any, change func(map[string]any)) map[string]any {
	m = maps.Clone(m)
	if change != nil {
		change(m)
	}
	return m
}
