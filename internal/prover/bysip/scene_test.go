package bysip_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/internal/certfetch"
	"whither/internal/fetch"
	"whither/internal/pinned"
	"whither/internal/prover"
	"whither/internal/prover/bysip"
	"whither/internal/prover/bystir"
	"whither/internal/sipin"
	"whither/internal/sqlstore/proverstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/vault"
	"whither/internal/world/mailnet"
	"whither/internal/world/phonenet"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/registry"
)

// Numbers of the scene's people, and their carriers' codes.
const (
	bob     = "+41791234567"
	mallory = "+41781234567"
)

// scene is a prover that is reached by SIP, and the carriers of two people.
type scene struct {
	*worldtest.Federation
	t        *testing.T
	phones   *phonenet.Network
	carriers *phonenet.Carriers
	bobs     *phonenet.Carrier
	mallorys *phonenet.Carrier
	world    *mailnet.Network
	trust    bystir.Trust
	prover   *prover.Prover
	store    prover.Store
	method   prover.Method
	witness  prover.Witness
	at       string
	logs     *lockedBuffer

	mu       sync.Mutex
	now      time.Time
	snapshot *registry.Snapshot
	ids      byte
	places   int
}

// lockedBuffer collects what is logged.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The scene is the prover's registry.
func (s *scene) Snapshot() *registry.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}

func (s *scene) File() []byte { return nil }

func (s *scene) Step(context.Context, time.Time) (bool, error) { return false, nil }

func (s *scene) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *scene) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return newSceneWith(t, "")
}

// newSceneWith is newScene with a prover that has a block of numbers.
func newSceneWith(t *testing.T, numbers string) *scene {
	t.Helper()
	s := &scene{Federation: worldtest.New(t), t: t, logs: &lockedBuffer{}}
	s.now = s.Now
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.world, err = mailnet.New(mailnet.Config{Now: s.clock})
	must(err)
	t.Cleanup(func() { _ = s.world.Close() })
	s.phones = phonenet.New(s.clock)
	t.Cleanup(func() { _ = s.phones.Close() })
	s.phones.Connect(bob)
	s.phones.Connect(mallory)
	s.carriers, err = s.phones.StartCarriers(t.Context(), phonenet.CarriersConfig{Repository: "certificates.example", Certificate: s.world.Certificate})
	must(err)
	s.world.Announce("certificates.example", s.carriers.Port())
	s.bobs, err = s.carriers.Add("carrier-a.example", "4101", "+4179")
	must(err)
	s.mallorys, err = s.carriers.Add("carrier-b.example", "4102", "+4178")
	must(err)
	s.grant("carrier-a.example", "4101", "+4179")
	s.grant("carrier-b.example", "4102", "+4178")
	root := sha256.Sum256(s.carriers.Root())
	s.Record.Policy.Evidence.Carriers = []registry.Anchor{{Digest: root[:], Prefixes: []string{"41"}}}
	s.snapshot = s.Federation.Snapshot()
	s.trust = bystir.Trust{Snapshot: s.Snapshot, Certificates: [][]byte{s.carriers.Root()}}
	s.serve(must, numbers)
	return s
}

func (s *scene) grant(carrier, code, prefix string) {
	s.Add(carrier, registry.RoleCSIP, nil)
	g := s.Grant(carrier)
	g.Codes, g.Ranges = []string{code}, []string{prefix}
}

// serve starts the prover's SIP.
func (s *scene) serve(must func(error), numbers string) {
	s.t.Helper()
	party := worldtest.Party(s.t, worldtest.ProverA)
	files := fetch.New(fetch.Config{
		Roots: s.world.Roots(), Resolver: s.world.DNS.Resolver(), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: s.clock,
	})
	s.t.Cleanup(files.Close)
	var lc net.ListenConfig
	tcp, err := lc.Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	s.at = tcp.Addr().String()
	udp, err := lc.ListenPacket(s.t.Context(), "udp", s.at)
	must(err)
	s.carriers.Route(worldtest.ProverA, s.at)
	s.carriers.RouteNumbers("+4144", worldtest.ProverA)
	log := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	phone, err := bysip.New(bysip.Config{
		Party: party, Trust: s.trust, Certificates: certfetch.New(certfetch.Config{Fetch: files, Now: s.clock}),
		SIP: sipin.Config{Contact: s.at, Media: "127.0.0.1"}, Numbers: numbers, Now: s.clock, Log: log,
	})
	must(err)
	s.method = phone.Method()
	s.witness = bystir.Method(bystir.Config{Party: worldtest.Party(s.t, worldtest.ProverB), Trust: s.trust}).Witnesses[possession.STIRWitness]
	dir := s.t.TempDir()
	keys, err := vault.MakeKeys(dir)
	must(err)
	store, err := proverstore.Open(s.t.Context(), sealed.Options{Path: filepath.Join(dir, "p.db"), Keys: keys})
	must(err)
	s.store = store
	identity, err := pinned.Generate(party, s.Now)
	must(err)
	s.prover, err = prover.New(s.t.Context(), prover.Config{
		Party: party, Key: worldtest.Key(s.t, worldtest.ProverA), TLS: identity, Registry: s, Store: store,
		Methods: []prover.Method{s.method, bystir.Method(bystir.Config{Party: party, Trust: s.trust})},
		Tick:    time.Hour, Now: s.clock, Log: log,
	})
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- phone.Serve(ctx, s.prover, sipin.Listeners{UDP: udp, TCP: tcp}) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
		_ = store.Close()
	})
}

// challenge is what a client has: the challenge, what it was told, and its key.
type challenge struct {
	prover.Challenge
	to  string
	key key.Private
}

// begin starts a challenge as the frame does.
func (s *scene) begin(kind possession.Kind, number, holder string) challenge {
	s.t.Helper()
	s.ids++
	out := challenge{key: worldtest.Key(s.t, holder), Challenge: prover.Challenge{
		ID: prover.ID{s.ids}, Mailbox: prover.Mailbox{s.ids, 1}, Kind: kind, Purpose: possession.PurposeEnrol,
		CSI: worldtest.CSI(s.t, "tel:"+number), Nonce: [possession.NonceSize]byte{s.ids, 2}, Started: s.clock(), Expires: s.clock().Add(prover.Life),
		State: prover.Waiting, Next: s.clock(), Delivered: true,
	}}
	out.Holder = out.key.Public()
	told, err := s.method.Challengers[kind].Begin(s.t.Context(), &out.Challenge)
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Equal(told.Nonce, out.Nonce[:]) || told.To == "" {
		s.t.Fatalf("the client is told %+v", told)
	}
	out.to = told.To
	if err := s.store.Start(s.t.Context(), out.Challenge); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// now returns a challenge as it stands.
func (s *scene) state(c challenge) prover.Challenge {
	s.t.Helper()
	got, err := s.store.ByID(s.t.Context(), c.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// quiet checks that nothing that was logged or answered names a number.
func (s *scene) quiet(texts ...string) {
	s.t.Helper()
	for _, text := range append(texts, s.logs.String()) {
		if slices.ContainsFunc([]string{bob[1:], mallory[1:]}, func(n string) bool { return strings.Contains(text, n) }) || strings.Contains(text, s.at) {
			s.t.Errorf("it names a number or an address: %s", text)
		}
	}
}
