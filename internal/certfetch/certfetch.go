// Package certfetch gets the certificates of who signed a PASSporT, from the
// place that the token names (x5u, and info of the SIP field Identity: RFC 8224
// section 7.2, RFC 9060 section 6).
//
// Whoever sends a message names that place. Package fetch sees to it that it is a
// public one, asked by HTTPS, for a bounded time and size; this package, that a
// place is asked seldom: what it gives is kept for as long as it says
// (Cache-Control) and no longer than the signer's certificate is valid, at most a
// day; trouble is kept for some seconds; several who want the same wait for one
// request; and few requests are under way at once. An operator can name the hosts
// that may be asked at all: those of the carriers' repositories.
//
// It promises certificates in PEM and nothing beside them. It does not judge
// them: package possession/stir/chain does, at the time of the signature.
// Errors name no URL.
package certfetch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"whither/internal/fetch"
	"whither/possession/stir/chain"
)

// Errors.
var (
	ErrHost    = errors.New("certfetch: certificates are not taken from this host")
	ErrFetch   = errors.New("certfetch: the signer's certificates cannot be fetched")
	ErrContent = errors.New("certfetch: what is there is no chain of certificates in PEM")
	ErrBusy    = errors.New("certfetch: too many requests under way")
)

// Bounds.
const (
	maxPlaces   = 512 // that are remembered
	maxRequests = 8   // under way
	longest     = 24 * time.Hour
	shortest    = time.Minute      // what is not to be kept is kept for a burst of messages
	sulk        = 10 * time.Second // how long trouble is kept
)

// Getter gets files; *fetch.Client is one.
type Getter interface {
	Get(ctx context.Context, address string, max int) (fetch.Answer, error)
}

// Config is what a client depends on.
type Config struct {
	Fetch Getter
	// Hosts are those that may be asked; none: every public one.
	Hosts []string
	Now   func() time.Time
}

// Client gets certificates. It is safe for concurrent use.
type Client struct {
	config Config
	slots  chan struct{}

	mu     sync.Mutex
	places map[string]*place
}

// place is a URL, and what was there.
type place struct {
	ready chan struct{} // closed when the rest is there
	pem   []byte
	err   error
	until time.Time
}

// New returns a client.
func New(c Config) *Client {
	return &Client{config: c, slots: make(chan struct{}, maxRequests), places: make(map[string]*place)}
}

// Chain returns the certificates at a URL, signer first, as the server orders
// them.
func (c *Client) Chain(ctx context.Context, address string) ([]byte, error) {
	if len(c.config.Hosts) > 0 {
		u, err := url.Parse(address)
		if err != nil || !slices.Contains(c.config.Hosts, u.Hostname()) {
			return nil, ErrHost
		}
	}
	p, mine, err := c.find(address)
	if err != nil {
		return nil, err
	}
	if mine {
		// Others wait for this request too: it does not end because one hangs up.
		// Package fetch bounds its time.
		p.pem, p.until, p.err = c.get(context.WithoutCancel(ctx), address)
		close(p.ready)
	}
	select {
	case <-p.ready:
		return p.pem, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrFetch, ctx.Err())
	}
}

// find returns the place of a URL, and whether the caller is to ask it.
func (c *Client) find(address string) (p *place, mine bool, err error) {
	now := c.config.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.places[address]; ok && p.fresh(now) {
		return p, false, nil
	}
	if len(c.places) >= maxPlaces {
		c.forget(now)
	}
	if len(c.places) >= maxPlaces {
		return nil, false, ErrBusy
	}
	p = &place{ready: make(chan struct{})}
	c.places[address] = p
	return p, true, nil
}

// fresh reports whether a place need not be asked again.
func (p *place) fresh(now time.Time) bool {
	select {
	case <-p.ready:
		return now.Before(p.until)
	default:
		return true // it is being asked
	}
}

// forget drops the places that would be asked again; if there are none, the one
// that would be soonest.
func (c *Client) forget(now time.Time) {
	soonest, before := "", len(c.places)
	for address, p := range c.places {
		select {
		case <-p.ready:
		default:
			continue
		}
		if !now.Before(p.until) {
			delete(c.places, address)
		} else if soonest == "" || p.until.Before(c.places[soonest].until) {
			soonest = address
		}
	}
	if len(c.places) == before {
		delete(c.places, soonest)
	}
}

// get asks a place.
func (c *Client) get(ctx context.Context, address string) (pem []byte, until time.Time, err error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		return nil, c.config.Now(), ErrBusy
	}
	a, err := c.config.Fetch.Get(ctx, address, chain.MaxPEM)
	now := c.config.Now()
	if err != nil {
		return nil, now.Add(sulk), fmt.Errorf("%w: %w", ErrFetch, err)
	}
	certificates, err := chain.ParsePEM(a.Body)
	if err != nil {
		return nil, now.Add(sulk), fmt.Errorf("%w: %w", ErrContent, err)
	}
	signer, err := x509.ParseCertificate(certificates[0])
	if err != nil {
		return nil, now.Add(sulk), fmt.Errorf("%w: the first one is none", ErrContent)
	}
	until = now.Add(min(max(a.Fresh, shortest), longest))
	if until.After(signer.NotAfter) {
		until = signer.NotAfter
	}
	return a.Body, until, nil
}
