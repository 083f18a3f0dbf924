package pinned

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// ErrSplitView: a server works with another registry of the same version. One
// of the two was made for somebody alone.
var ErrSplitView = errors.New("pinned: the server has a different registry of the same version; keep both and tell the federation")

// ErrStamp: an answer does not say with which registry its server works.
var ErrStamp = errors.New("pinned: the answer does not name its registry; it is not of a server of the federation")

// ErrUnreachable: no answer came from the server itself.
var ErrUnreachable = errors.New("pinned: no answer from the server")

// Client sends messages to parties. The zero value of its options is good for
// people: no identity, no token. It is safe for concurrent use.
type Client struct {
	snapshot func() *registry.Snapshot
	own      *Identity
	now      func() time.Time

	mu         sync.Mutex
	transports map[registry.PartyID]*http.Client
}

// NewClient returns a client that finds parties in the snapshot of the moment.
// own is nil for people.
func NewClient(snapshot func() *registry.Snapshot, own *Identity, now func() time.Time) *Client {
	return &Client{snapshot: snapshot, own: own, now: now, transports: make(map[registry.PartyID]*http.Client)}
}

// timeout bounds one exchange, connecting included.
const timeout = 15 * time.Second

// httpClient returns the connection pool for a party.
func (c *Client) httpClient(to registry.PartyID) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.transports[to]; ok {
		return h
	}
	h := &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:       clientConfig(c.own, to, c.snapshot, c.now),
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: timeout,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       90 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("pinned: servers of the federation do not redirect")
		},
	}
	c.transports[to] = h
	return h
}

// Close drops idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.transports {
		h.CloseIdleConnections()
	}
}

// Call posts message in to a party's path and decodes the answer into out. A
// refusal is returned as [problem.Document]. token, if any, authenticates the
// account at an MSP.
func (c *Client) Call(ctx context.Context, to registry.PartyID, path, token string, in, out any) error {
	body, err := wire.Encode(wire.TypeCBOR, in)
	if err != nil {
		return err
	}
	answer, err := c.Post(ctx, to, path, token, body)
	if err != nil {
		return err
	}
	if err := wire.Decode(wire.TypeCBOR, answer, wire.MaxAnswer, out); err != nil {
		return fmt.Errorf("answer of %s: %w", to, err)
	}
	return nil
}

// Post is [Client.Call] for a message that is encoded already, and whose answer
// the caller decodes.
func (c *Client) Post(ctx context.Context, to registry.PartyID, path, token string, body []byte) ([]byte, error) {
	return c.exchange(ctx, http.MethodPost, to, path, token, body)
}

// Get fetches a party's path as it is.
func (c *Client) Get(ctx context.Context, to registry.PartyID, path string) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, to, path, "", nil)
}

func (c *Client) exchange(ctx context.Context, method string, to registry.PartyID, path, token string, body []byte) ([]byte, error) {
	p, ok := c.snapshot().Party(to)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, to)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.Self.Endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("pinned: request to %s: %w", to, err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", wire.TypeCBOR)
		req.Header.Set("Accept", wire.TypeCBOR)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.httpClient(to).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, to, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := c.checkStamp(resp.Header.Get(wire.HeaderRegistry)); err != nil {
		return nil, fmt.Errorf("%s: %w", to, err)
	}
	if resp.StatusCode >= 300 {
		d, err := problem.Read(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("%w: %s answers with status %d", ErrUnreachable, to, resp.StatusCode)
		}
		return nil, d
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, to, err)
	}
	if len(answer) > wire.MaxAnswer {
		return nil, fmt.Errorf("answer of %s: %w", to, wire.ErrTooLarge)
	}
	return answer, nil
}

// checkStamp compares the server's registry with ours.
func (c *Client) checkStamp(header string) error {
	version, digest, ok := strings.Cut(header, "; ")
	if !ok {
		return ErrStamp
	}
	s := c.snapshot()
	own := s.Digest()
	if version == fmt.Sprint(s.Version()) && digest != hex.EncodeToString(own[:]) {
		return ErrSplitView
	}
	return nil
}
