// Package fetch gets small files over HTTPS from servers of the outside world
// whose names stand in a federation's registry, in a party's settings, or in
// what one of these servers publishes: key sets of OpenID providers, revocation
// lists, certificates.
//
// Whoever can make a prover fetch something can try to make it knock at doors
// that are open to it alone (server-side request forgery). Therefore:
//
//   - addresses are looked up here, and only those are dialled which are public
//     by IANA's registries of special purposes (RFC 6890), or which the settings
//     allow; what was checked is what is dialled;
//   - a redirect is an error, there are no cookies, no credentials in URLs, and
//     no proxies;
//   - plain HTTP is refused, save where [Config.Plain] allows it for things that
//     carry a signature of their own;
//   - size, time and number of header bytes are bounded.
//
// Errors name no host and no URL: the domain of an issuer is the domain of
// somebody's address. They say of what kind the trouble is.
//
// It does not check what it gets, and does not cache: it says for how long the
// server lets one keep it ([Answer.Fresh], RFC 9111 section 4.2).
//
// Sizes are bytes.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Errors.
var (
	ErrURL         = errors.New("fetch: not an https URL without user and fragment")
	ErrAddress     = errors.New("fetch: the host has no public address; allow its network in the settings if it is meant")
	ErrUnreachable = errors.New("fetch: no answer; look at the name server, the network and the server's certificate")
	ErrRedirect    = errors.New("fetch: the server sends elsewhere; name the place itself")
	ErrStatus      = errors.New("fetch: the server refuses")
	ErrTooLarge    = errors.New("fetch: the answer is too large")
)

// Time limits and bounds.
const (
	timeout    = 10 * time.Second // of one request with everything around it
	dialTime   = 4 * time.Second  // of one address
	maxHeader  = 16 << 10
	maxURL     = 2 << 10
	maxIdle    = 4
	idleTime   = 30 * time.Second
	maxAddress = 4 // addresses of one host that are tried
)

// Config says whom a client may ask and how it finds them.
type Config struct {
	// Roots are the authorities of servers' certificates; nil: the system's.
	Roots *x509.CertPool
	// Resolver looks hosts up; nil: the system's.
	Resolver *net.Resolver
	// Port is the port of https URLs that name none; zero: 443.
	Port int
	// Allow are networks that may be asked though they are not public.
	Allow []netip.Prefix
	// Plain allows http URLs.
	Plain bool
	// Now is the clock that certificates are judged by.
	Now func() time.Time
}

// Client gets files. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
}

// New returns a client.
func New(c Config) *Client {
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	client := &Client{config: c}
	client.http = &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			Proxy: nil, DialContext: client.dial, ForceAttemptHTTP2: true, DisableCompression: true,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots, Time: c.Now},
			TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns: maxIdle, MaxIdleConnsPerHost: 1, IdleConnTimeout: idleTime,
		},
	}
	return client
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is what a server gave.
type Answer struct {
	Status int
	// Type is the media type without parameters, in lower case; empty if there
	// is none.
	Type string
	Body []byte
	// Fresh is for how long the server lets one keep it, zero where it says
	// nothing or forbids it.
	Fresh time.Duration
}

// Get gets a file of at most max bytes. Any status but 200 is an error.
func (c *Client) Get(ctx context.Context, address string, max int) (Answer, error) {
	a, err := c.do(ctx, http.MethodGet, address, nil, max)
	if err == nil && a.Status != http.StatusOK {
		return Answer{}, fmt.Errorf("%w: status %d", ErrStatus, a.Status)
	}
	return a, err
}

// Post sends a form. It returns an answer of any status but a redirect.
func (c *Client) Post(ctx context.Context, address string, form url.Values, max int) (Answer, error) {
	return c.do(ctx, http.MethodPost, address, form, max)
}

func (c *Client) do(ctx context.Context, method, address string, form url.Values, max int) (Answer, error) {
	if !c.valid(address) {
		return Answer{}, ErrURL
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, ErrURL // the parser quotes the URL
	}
	req.Header.Set("Accept", "*/*")
	req.Header.Set("User-Agent", "whither")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, trouble(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode < http.StatusBadRequest {
		return Answer{}, fmt.Errorf("%w: status %d", ErrRedirect, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(max)+1))
	if err != nil {
		return Answer{}, trouble(ctx, err)
	}
	if len(body) > max {
		return Answer{}, ErrTooLarge
	}
	a := Answer{Status: resp.StatusCode, Body: body, Fresh: fresh(resp.Header)}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		a.Type = t
	}
	return a, nil
}

// valid reports whether a URL may be asked at all.
func (c *Client) valid(address string) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= maxURL && u.Hostname() != "" && u.User == nil && !strings.Contains(address, "#") &&
		(u.Scheme == "https" || c.config.Plain && u.Scheme == "http")
}

// ValidURL reports whether a text is an https URL that a [Client] would ask.
func ValidURL(address string) bool { return (&Client{}).valid(address) }

// trouble says what kind of trouble an error of net/http is, in words that name
// nobody: it quotes URLs, hosts and what certificates say.
func trouble(ctx context.Context, err error) error {
	var dns *net.DNSError
	var unverified *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	case errors.Is(err, ErrAddress):
		return ErrAddress
	case errors.As(err, &unverified):
		return fmt.Errorf("%w: the certificate is not that of a server known here", ErrUnreachable)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("%w: the host is not known", ErrUnreachable)
	case errors.As(err, &dns):
		return fmt.Errorf("%w: the name server does not answer", ErrUnreachable)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: out of time", ErrUnreachable)
	}
	return ErrUnreachable
}

// dial looks a host up and connects to the first address that may be asked.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, ErrURL
	}
	// The transport has put the default there where the URL names none. A world
	// on loopback cannot listen at it.
	if c.config.Port != 0 && port == "443" {
		port = fmt.Sprint(c.config.Port)
	}
	addresses, err := c.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	err = ErrAddress
	for _, a := range addresses {
		if !c.mayAsk(a) {
			continue
		}
		var conn net.Conn
		d := net.Dialer{Timeout: dialTime}
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// lookup returns the addresses of a host, few of them.
func (c *Client) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	// The last dot keeps the search list of the machine out of it.
	found, err := c.config.Resolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")+".")
	if err != nil {
		return nil, err
	}
	for i, a := range found {
		found[i] = a.Unmap()
	}
	return found[:min(len(found), maxAddress)], nil
}

// mayAsk reports whether an address is public or allowed.
func (c *Client) mayAsk(a netip.Addr) bool {
	for _, p := range c.config.Allow {
		if p.Contains(a) {
			return true
		}
	}
	return public(a)
}
