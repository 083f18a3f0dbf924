package msp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/endpoint"
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
	log        *bytes.Buffer
	operations string
}

// parties with a socket and an identity.
var sockets = []string{worldtest.DP, worldtest.MSPA, worldtest.MSPB}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{
		Federation: worldtest.New(t), dir: t.TempDir(), identities: make(map[string]*pinned.Identity),
		listeners: make(map[string]net.Listener), used: &used{t: t, uses: make(map[mapping.Nonce]cosigner.Use)},
		log: new(bytes.Buffer),
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
	if s.source, err = update.Open(filepath.Join(s.dir, "registry.cose"), s.Root, s.Now); err != nil {
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
	if err := os.WriteFile(filepath.Join(s.dir, "registry.cose"), s.File(), 0o600); err != nil {
		s.T.Fatal(err)
	}
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

// start serves an MSP until the test ends.
func (s *scene) start(c msp.Config) *msp.MSP {
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
	s.run(func(ctx context.Context) error { return m.Serve(ctx, s.listeners[worldtest.MSPA], ops) })
	return m
}

// run runs a server until the test ends, and waits for its end.
func (s *scene) run(serve func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	s.T.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				s.T.Errorf("server: %v", err)
			}
		case <-time.After(10 * time.Second):
			s.T.Error("server does not stop")
		}
	})
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

func TestR02AccountsMappingIsSignedOverTLS(t *testing.T) {
	s := newScene(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token := s.account("alice", id)
	s.start(s.config())
	v, err := s.enrol(token, id)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Claims().Entries[0].Provider; got != s.party(worldtest.MSPA) {
		t.Errorf("signed by %s", got)
	}
}

// fakeDP answers look-ups and keeps the requests as they came. It holds every
// request against the contract: from the MSP's TLS key, and naming nobody.
type fakeDP struct {
	s      *scene
	answer func(wire.LookupRequest) wire.LookupAnswer

	mu   sync.Mutex
	seen []wire.LookupRequest
	raw  [][]byte
}

func (s *scene) startDP() *fakeDP {
	f := &fakeDP{s: s, answer: func(r wire.LookupRequest) wire.LookupAnswer {
		a := wire.LookupAnswer{Asked: []wire.AskedDP{{DP: s.party(worldtest.DP), Outcome: wire.AskedAnswered}}, Stamp: endpoint.StampOf(s.source.Snapshot())}
		for _, c := range r.CSIs {
			a.Answers = append(a.Answers, outcomeOf(c.ID))
		}
		return a
	}}
	tls := pinned.ServerConfig(s.identities[worldtest.DP], s.clock.now)
	s.run(func(ctx context.Context) error { return endpoint.Serve(ctx, s.listeners[worldtest.DP], tls, f) })
	return f
}

// outcomeOf derives an answer from a CSI, so that a mixed-up order shows.
func outcomeOf(id csi.ID) wire.Answer {
	return wire.Answer{Outcome: wire.OutcomeOne, Bits: []byte(id.Canonical())}
}

// headers that a request may have: those of HTTP and of the message's form.
var headers = map[string]bool{"Content-Type": true, "Content-Length": true, "Accept": true, "Accept-Encoding": true, "User-Agent": true}

func (f *fakeDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := f.s.T
	p, ok := pinned.CallerOf(r.TLS, f.s.source.Snapshot(), f.s.clock.now())
	if !ok || p.ID != f.s.party(worldtest.MSPA) {
		t.Errorf("the DP is not asked with the MSP's TLS key")
	}
	for name, values := range r.Header {
		if !headers[name] {
			t.Errorf("the DP is told %s: %s", name, values)
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var in wire.LookupRequest
	if r.URL.Path != wire.PathLookups || r.URL.RawQuery != "" || r.Method != http.MethodPost {
		t.Errorf("%s %s", r.Method, r.URL)
	}
	if err := wire.Decode(wire.TypeCBOR, body, wire.MaxBody, &in); err != nil {
		t.Error(err)
	}
	f.mu.Lock()
	f.seen, f.raw = append(f.seen, in), append(f.raw, body)
	f.mu.Unlock()
	out, err := wire.Encode(wire.TypeCBOR, f.answer(in))
	if err != nil {
		t.Error(err)
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	_, _ = w.Write(out)
}

func (f *fakeDP) requests() []wire.LookupRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]wire.LookupRequest(nil), f.seen...)
}

func (s *scene) lookup(token string, r wire.LookupRequest) (wire.LookupAnswer, error) {
	var answer wire.LookupAnswer
	err := s.client().Call(s.ctx(), s.party(worldtest.MSPA), wire.PathLookups, token, r, &answer)
	return answer, err
}

func TestR14LookupNamesNobody(t *testing.T) {
	s := newScene(t)
	token := s.account("alice", worldtest.CSI(t, "mailto:alice@example.org"))
	dp := s.startDP()
	s.start(s.config())
	r := wire.LookupRequest{Federation: wire.FederationNone, Format: wire.FormatVerbose}
	for i := range 50 {
		r.CSIs = append(r.CSIs, csi.Clear{ID: worldtest.CSI(t, "mailto:person"+string(rune('a'+i/26))+string(rune('a'+i%26))+"@example.org")})
	}
	r.MSPs = []registry.PartyID{s.party(worldtest.MSPB), s.party(worldtest.MSPA), s.party(worldtest.MSPB)}
	answer, err := s.lookup(token, r)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answer.Answers {
		if want := outcomeOf(r.CSIs[i].ID); !bytes.Equal(a.Bits, want.Bits) {
			t.Fatalf("answer %d is another CSI's", i)
		}
	}
	seen := dp.requests()
	if len(seen) != 1 {
		t.Fatalf("%d requests", len(seen))
	}
	got := seen[0]
	if len(got.CSIs) != len(r.CSIs) {
		t.Fatalf("%d CSIs asked", len(got.CSIs))
	}
	moved := 0
	for i := range got.CSIs {
		if !got.CSIs[i].Equal(r.CSIs[i].ID) {
			moved++
		}
	}
	if moved < 25 {
		t.Errorf("only %d of %d CSIs moved: the order is the user's", moved, len(r.CSIs))
	}
	if len(got.MSPs) != 2 || got.MSPs[0] != s.party(worldtest.MSPA) {
		t.Errorf("the list of MSPs is as the user wrote it: %v", got.MSPs)
	}
	if bytes.Contains(dp.raw[0], []byte(token)) || bytes.Contains(dp.raw[0], []byte("alice")) {
		t.Error("the request names the account")
	}
	if log := s.log.String(); strings.Contains(log, "example.org") || strings.Contains(log, "alice") || strings.Contains(log, token) {
		t.Errorf("log: %s", log)
	}
}
