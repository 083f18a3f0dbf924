package msp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/msp"
	"whither/internal/pinned"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// used is an msp.Used in memory that checks what is asked of it.
type used struct {
	t testing.TB

	mu   sync.Mutex
	uses map[mapping.Nonce]cosigner.Use
}

func (u *used) Use(_ context.Context, n cosigner.Use) (time.Time, error) {
	if n.Signed.Nanosecond() != 0 || !n.Signed.Before(n.Until) {
		u.t.Errorf("contract: signed %s, until %s", n.Signed, n.Until)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	old, ok := u.uses[n.Nonce]
	switch {
	case !ok:
		u.uses[n.Nonce] = n
		return n.Signed, nil
	case old.Digest == n.Digest:
		return old.Signed, nil
	default:
		return time.Time{}, cosigner.ErrOfferUsed
	}
}

func (u *used) Forget(_ context.Context, now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for nonce, n := range u.uses {
		if !now.Before(n.Until) {
			delete(u.uses, nonce)
		}
	}
	return nil
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// record keeps what is logged.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// scene is an MSP and a DP on real sockets, with the federation around them.
type scene struct {
	*worldtest.Federation
	dir        string
	clock      *clock
	identities map[string]*pinned.Identity
	listeners  map[string]net.Listener
	source     *update.Source
	accounts   *msp.Accounts
	used       *used
	log        *record
	operations string
}

// parties with a socket and an identity.
var sockets = []string{worldtest.DP, worldtest.MSPA, worldtest.MSPB}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{
		Federation: worldtest.New(t), dir: t.TempDir(), identities: make(map[string]*pinned.Identity),
		listeners: make(map[string]net.Listener), used: &used{t: t, uses: make(map[mapping.Nonce]cosigner.Use)},
		log: new(record),
	}
	s.clock = &clock{at: s.Now}
	for _, name := range sockets {
		identity, err := pinned.Generate(worldtest.Party(t, name), s.Now)
		if err != nil {
			t.Fatal(err)
		}
		pin := identity.Pin()
		s.identities[name], s.listeners[name] = identity, listen(t)
		s.Selfs[name].Pins = [][]byte{pin[:]}
		s.Selfs[name].Endpoint = "https://" + s.listeners[name].Addr().String()
	}
	s.publish()
	var err error
	if s.source, err = update.OpenFiles(filepath.Join(s.dir, "registry.set"), filepath.Join(s.dir, "root.json"), s.Now); err != nil {
		t.Fatal(err)
	}
	if s.accounts, err = msp.OpenAccounts(filepath.Join(s.dir, "accounts.json")); err != nil {
		t.Fatal(err)
	}
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// publish writes the registry file as the record stands.
func (s *scene) publish() {
	s.T.Helper()
	s.WriteRegistry(s.dir)
}

func (s *scene) config() msp.Config {
	var secret cosigner.Secret
	if _, err := rand.Read(secret[:]); err != nil {
		s.T.Fatal(err)
	}
	return msp.Config{
		Party: worldtest.Party(s.T, worldtest.MSPA), Key: worldtest.Key(s.T, worldtest.MSPA), TLS: s.identities[worldtest.MSPA],
		Offers: secret, Accounts: s.accounts, Used: s.used, Registry: s.source, DP: worldtest.Party(s.T, worldtest.DP),
		Now: s.clock.now, Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start serves an MSP until the test ends, or until stop is called.
func (s *scene) start(c msp.Config) (stop func()) {
	s.T.Helper()
	m, err := msp.New(c)
	if err != nil {
		s.T.Fatal(err)
	}
	ops, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.T.Fatal(err)
	}
	s.operations = "http://" + ops.Addr().String()
	return s.run(func(ctx context.Context) error { return m.Serve(ctx, s.listeners[worldtest.MSPA], ops) })
}

// run runs a server until the test ends, or until stop is called, which waits
// for its end.
func (s *scene) run(serve func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				s.T.Errorf("server: %v", err)
			}
		case <-time.After(15 * time.Second):
			s.T.Error("server does not stop")
		}
	})
	s.T.Cleanup(stop)
	return stop
}

// account makes an account and returns its token.
func (s *scene) account(name string, csis ...csi.ID) string {
	s.T.Helper()
	token, err := s.accounts.Add(name, csis...)
	if err != nil {
		s.T.Fatal(err)
	}
	return token
}

// client returns the client of a person.
func (s *scene) client() *pinned.Client {
	c := pinned.NewClient(s.source.Snapshot, nil, s.clock.now)
	s.T.Cleanup(c.Close)
	return c
}

func (s *scene) party(name string) registry.PartyID { return worldtest.Party(s.T, name) }

func (s *scene) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	s.T.Cleanup(cancel)
	return ctx
}

// enrol runs the MSP's part of a mapping as a client does, and has the DP's
// key finish it.
func (s *scene) enrol(token string, id csi.ID) (mapping.Verified, error) {
	s.T.Helper()
	holder, c := worldtest.Key(s.T, "holder"), s.client()
	var o wire.MSPOffer
	msp := s.party(worldtest.MSPA)
	if err := c.Call(s.ctx(), msp, wire.PathOffers, token, wire.OfferRequest{CSI: csi.Clear{ID: id}, Key: holder.Public().Bytes()}, &o); err != nil {
		return mapping.Verified{}, err
	}
	claims := s.Claims(id, holder.Public(), "enrolment", worldtest.MSPA)
	claims.Entries[0].Nonce = mapping.Nonce(o.Nonce)
	claims.Entries[0].URI = o.URI
	u, err := claims.Sign(holder, s.MailReceipts(id, holder.Public(), s.Now), s.clock.now())
	if err != nil {
		s.T.Fatal(err)
	}
	var answer wire.SignatureAnswer
	request := wire.SignatureRequest{Offer: o.Offer, Bundle: wire.BundleOf(u.Bundle())}
	if err := c.Call(s.ctx(), msp, wire.PathSignatures, token, request, &answer); err != nil {
		return mapping.Verified{}, err
	}
	signed, err := mapping.Parse(mapping.Bundle{Mapping: answer.Mapping, Receipts: u.Bundle().Receipts})
	if err != nil {
		return mapping.Verified{}, err
	}
	return s.Finish(signed, mapping.FoundFirst), nil
}

var discard = slog.New(slog.DiscardHandler)

func snapshotFunc(s *registry.Snapshot) func() *registry.Snapshot {
	return func() *registry.Snapshot { return s }
}
