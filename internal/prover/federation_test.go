package prover_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/mail"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/dkim"
	"whither/internal/pinned"
	"whither/internal/prover"
	"whither/internal/prover/bymail"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	possessionmail "whither/possession/mail"
	"whither/registry"
	"whither/wire"
)

const (
	alice = "alice@example.org"
	bob   = "bob@example.org"
)

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// source is a registry that a test can change.
type source struct {
	mu       sync.Mutex
	snapshot *registry.Snapshot
	file     []byte
}

func (s *source) Snapshot() *registry.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}

func (s *source) File() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file
}

func (s *source) Step(context.Context, time.Time) (bool, error) { return false, nil }

// federation is two provers on real sockets in a small world of mail.
type federation struct {
	*worldtest.Federation
	t        testing.TB
	clock    *clock
	net      *mailnet.Network
	provider *mailnet.Provider
	source   *source
	client   *pinned.Client
	logs     *lockedBuffer
	a, b     *member
}

// member is one of the provers.
type member struct {
	*prover.Prover
	id     registry.PartyID
	config prover.Config
	mail   *bymail.Mail
	store  *memory
	listen [3]net.Listener
	stop   func()

	mailConfig bymail.Config
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

// start starts everything. bend, if not nil, changes the provers' settings.
func start(t testing.TB, bend func(*prover.Config)) *federation {
	t.Helper()
	f := &federation{Federation: worldtest.New(t), t: t, source: &source{}, logs: &lockedBuffer{}}
	f.clock = &clock{at: f.Now}
	var err error
	if f.net, err = mailnet.New(mailnet.Config{Now: f.clock.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.net.Close(); err != nil {
			t.Error(err)
		}
	})
	if f.provider, err = f.net.AddProvider("example.org", mailnet.Ed25519, alice, bob); err != nil {
		t.Fatal(err)
	}
	f.a, f.b = f.prepare(worldtest.ProverA), f.prepare(worldtest.ProverB)
	f.publish()
	f.client = pinned.NewClient(f.source.Snapshot, nil, f.clock.now)
	t.Cleanup(f.client.Close)
	for _, m := range []*member{f.a, f.b} {
		if bend != nil {
			bend(&m.config)
		}
		f.run(m)
	}
	return f
}

// publish signs the registry as it stands and puts it into force.
func (f *federation) publish() {
	f.t.Helper()
	file, snapshot := f.File(), f.Snapshot()
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	f.source.file, f.source.snapshot = file, snapshot
}

// prepare makes a prover's keys, names and sockets.
func (f *federation) prepare(name string) *member {
	f.t.Helper()
	m := &member{id: worldtest.Party(f.t, name), store: newMemory(f.t.Errorf)}
	identity, err := pinned.Generate(m.id, f.Now)
	if err != nil {
		f.t.Fatal(err)
	}
	f.open(m)
	pin := identity.Pin()
	f.Selfs[name].Pins = [][]byte{pin[:]}
	f.Selfs[name].Endpoint = "https://" + m.listen[0].Addr().String()
	host := "mx." + name
	certificate, err := f.net.Certificate(host)
	if err != nil {
		f.t.Fatal(err)
	}
	signing := possessionmail.Signing{Selector: "p1", Key: dkim.Ed25519(worldtest.Key(f.t, "dkim "+name))}
	record, err := signing.Key.Record()
	if err != nil {
		f.t.Fatal(err)
	}
	f.net.DNS.SetTXT("p1._domainkey."+name, record)
	f.net.DNS.SetMX(name, host)
	log := slog.New(slog.NewJSONHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.mailConfig = bymail.Config{
		Party: m.id, Host: host, Certificate: func() (*tls.Certificate, error) { return &certificate, nil }, Signing: signing,
		Out: f.net.Client(host), Resolver: f.net.DNS.Resolver(), Now: f.clock.now, Log: log,
	}
	if m.mail, err = bymail.New(m.mailConfig); err != nil {
		f.t.Fatal(err)
	}
	m.config = prover.Config{
		Party: m.id, Key: worldtest.Key(f.t, name), TLS: identity, Registry: f.source, Store: m.store,
		Methods: []prover.Method{m.mail.Method()},
		Tick:    time.Hour, // tests call Step
		Now:     f.clock.now, Log: log,
	}
	return m
}

// open makes the prover's sockets, at the ports of before if there were any.
func (f *federation) open(m *member) {
	f.t.Helper()
	for i, before := range m.listen {
		address := "127.0.0.1:0"
		if before != nil {
			address = before.Addr().String()
		}
		l, err := net.Listen("tcp4", address)
		if err != nil {
			f.t.Fatal(err)
		}
		m.listen[i] = l
	}
	f.net.Announce("mx."+m.id.String(), m.listen[1].Addr().(*net.TCPAddr).Port)
}

// run starts a prover; it ends with the test, or before by m.stop.
func (f *federation) run(m *member) {
	f.t.Helper()
	p, err := prover.New(f.t.Context(), m.config)
	if err != nil {
		f.t.Fatal(err)
	}
	m.Prover = p
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- p.Serve(ctx, prover.Listeners{Messages: m.listen[0], Operations: m.listen[2]}, func(ctx context.Context) error {
			return m.mail.Serve(ctx, p, m.listen[1])
		})
	}()
	m.stop = sync.OnceFunc(func() {
		f.client.Close() // or HTTP/2 parts in a second
		cancel()
		select {
		case err := <-done:
			if err != nil {
				f.t.Errorf("%s: %v", m.id, err)
			}
		case <-time.After(20 * time.Second):
			f.t.Errorf("%s does not stop", m.id)
		}
	})
	f.t.Cleanup(m.stop)
}

// restart stops a prover and starts it again with the same settings and store.
func (f *federation) restart(m *member) {
	f.t.Helper()
	m.stop()
	f.client.Close()
	f.open(m)
	f.run(m)
}

// in makes a subtest the one that fails.
func (f *federation) in(t *testing.T) {
	before := f.t
	f.t = t
	t.Cleanup(func() { f.t = before })
}

// within returns a context that ends the test's patience.
func (f *federation) within() context.Context {
	ctx, cancel := context.WithTimeout(f.t.Context(), 15*time.Second)
	f.t.Cleanup(cancel)
	return ctx
}

// attempt is one try to prove possession.
type attempt struct {
	f         *federation
	csi       csi.ID
	holder    key.Private
	challenge wire.Challenge
}

// begin asks prover a for a challenge.
func (f *federation) begin(address, holder string) (*attempt, error) {
	a := &attempt{f: f, csi: worldtest.CSI(f.t, "mailto:"+address), holder: worldtest.Key(f.t, holder)}
	err := f.client.Call(f.within(), f.a.id, wire.PathChallenges, "", wire.ChallengeRequest{
		CSI: csi.Clear{ID: a.csi}, Key: a.holder.Public().Bytes(), Kind: possession.MailReply.String(),
		Purpose: uint8(possession.PurposeEnrol),
	}, &a.challenge)
	return a, err
}

// mustBegin is begin for tests that are about something else.
func (f *federation) mustBegin(address, holder string) *attempt {
	f.t.Helper()
	a, err := f.begin(address, holder)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// mail waits for the challenge mail.
func (a *attempt) mail() []byte {
	a.f.t.Helper()
	m, err := a.f.provider.Wait(a.f.within(), a.csi.Address(), func(m mailnet.Message) bool {
		return bytes.Contains(m.Raw, []byte(a.challenge.From))
	})
	if err != nil {
		a.f.t.Fatal(err)
	}
	return m.Raw
}

// nonce puts both parts of the nonce together, as the holder's app does.
func (a *attempt) nonce() [possession.NonceSize]byte {
	a.f.t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(a.mail()))
	if err != nil {
		a.f.t.Fatal(err)
	}
	token, ok := strings.CutPrefix(m.Header.Get("Subject"), "Whither: ")
	part1, err := wireBytes(token)
	if !ok || err != nil {
		a.f.t.Fatalf("subject %q: %v", m.Header.Get("Subject"), err)
	}
	return [possession.NonceSize]byte(append(part1, a.challenge.Nonce...))
}

func wireBytes(s string) ([]byte, error) {
	var b wire.Bytes
	err := b.UnmarshalJSON([]byte(`"` + s + `"`))
	return b, err
}

// text is what the holder's app shows her to send.
func (a *attempt) text() string {
	return possessionmail.Response(possession.Response(a.csi, a.holder.Public(), a.nonce()), a.holder.Public().ID().String())
}

// answer replies as it should be done.
func (a *attempt) answer() error {
	return a.f.provider.Reply(a.f.within(), a.csi.Address(), a.mail(), a.text())
}

// status asks how the challenge stands.
func (a *attempt) status() (wire.ChallengeStatus, error) {
	var s wire.ChallengeStatus
	err := a.f.client.Call(a.f.within(), a.f.a.id, wire.PathStatus, "", wire.StatusRequest{ID: a.challenge.ID}, &s)
	return s, err
}

// mustStatus is status for a challenge that is there.
func (a *attempt) mustStatus() wire.ChallengeStatus {
	a.f.t.Helper()
	s, err := a.status()
	if err != nil {
		a.f.t.Fatal(err)
	}
	return s
}

// prove goes the whole good way at prover a.
func (a *attempt) prove() wire.ChallengeStatus {
	a.f.t.Helper()
	if err := a.answer(); err != nil {
		a.f.t.Fatal(err)
	}
	s := a.mustStatus()
	if s.State != wire.ChallengeProved {
		a.f.t.Fatalf("state %s, problem %s", s.State, s.Problem)
	}
	return s
}

// observation is the request to prover b about a proved challenge.
func (a *attempt) observation(s wire.ChallengeStatus) wire.ObservationRequest {
	return wire.ObservationRequest{
		CSI: csi.Clear{ID: a.csi}, Key: a.holder.Public().Bytes(), Kind: possession.MailWitness.String(),
		Purpose: uint8(possession.PurposeEnrol), Challenger: a.f.a.id, Nonce: s.Nonce, Artefact: s.Artefact,
	}
}

// observe asks a prover for an observation.
func (f *federation) observe(m *member, r wire.ObservationRequest) ([]byte, error) {
	var o wire.Observation
	err := f.client.Call(f.within(), m.id, wire.PathObservations, "", r, &o)
	return o.Receipt, err
}

// assess computes what receipts show for an attempt.
func (a *attempt) assess(receipts ...[]byte) (possession.Assessment, error) {
	var set []possession.Unverified
	for _, b := range receipts {
		u, err := possession.Parse(b)
		if err != nil {
			return possession.Assessment{}, err
		}
		set = append(set, u)
	}
	now := a.f.clock.now()
	return possession.Assess(a.f.source.Snapshot(), set, possession.Question{
		CSI: a.csi, Holder: a.holder.Public(), Before: now, Now: now,
	})
}

// checkSilence fails the test if something of a person was logged.
func (f *federation) checkSilence() {
	f.t.Helper()
	for _, secret := range []string{"alice", "bob", "example.org", "127.0.0.1:"} {
		if strings.Contains(f.logs.String(), secret) {
			f.t.Errorf("a log line names %q:\n%s", secret, f.logs.String())
		}
	}
}

// read returns the bytes of a file.
func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
