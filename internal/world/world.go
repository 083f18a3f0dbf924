// Package world runs a whole small federation in one process, with real
// sockets on loopback: a DNS server and a mail provider of the outside world,
// two provers and two observers of different operators, MSPs, and a DP, each from
// a folder of its own as its daemon would be. The demo is a world; tests give it a
// clock of their own and let writes fail.
//
//	bob's folder ──▶ MSP A ─┐                     ┌─ MSP B ◀── alice's folder
//	      │                 ├──────▶  DP  ◀───────┘
//	      └──▶ prover A, prover B ──┘
//	             │  ▲
//	             ▼  │ SMTP
//	        mail provider of example.org, DNS
//
// Nothing in it is a stand-in for a party: only the outside world (DNS, the
// mail provider) is made here, and it speaks the real protocols.
package world

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"whither/internal/dp"
	"whither/internal/dp/directory"
	"whither/internal/endpoint"
	"whither/internal/keyfile"
	"whither/internal/msp"
	"whither/internal/observer"
	"whither/internal/party"
	"whither/internal/prover/daemon"
	"whither/internal/sqlstore"
	"whither/internal/world/desk"
	"whither/internal/world/idp"
	"whither/internal/world/mailca"
	"whither/internal/world/mailnet"
	"whither/internal/world/phonenet"
	"whither/key"
	"whither/registry"
	tufrepo "whither/registry/repository"
	"whither/registry/tuf"
)

// Names of the world's parties.
const (
	DP      = "dp.example"
	MSPA    = "msp-a.example"
	MSPB    = "msp-b.example"
	MSPC    = "msp-c.example"
	ProverA = "prover-a.example"
	ProverB = "prover-b.example"
	// ObserverA and ObserverB say which keys are published.
	ObserverA = "observer-a.example"
	ObserverB = "observer-b.example"
	// MailDomain is the domain of the world's mail provider.
	MailDomain = "example.org"
	// IdentityHost is the host of the OpenID provider where the same people sign
	// in, and IdentityClient the client id under which they do so for whither.
	IdentityHost   = "id.example.org"
	IdentityClient = "whither-possession"
)

// Config starts a world.
type Config struct {
	Dir string // empty or made by an earlier world
	Now func() time.Time
	Log *slog.Logger
	// People have mailboxes and phones in this world.
	People []Person
	// Tick is how often parties look for due work.
	Tick time.Duration
	// Grace is for how long the DP may not have been at work before holds stand
	// still, for those who let days pass in one step; zero: as the DP has it.
	Grace time.Duration
	// Levels are the federation's levels of evidence where they are others than
	// 4 for addresses, 2 for numbers and 3 for handles.
	Levels map[string]uint8
	// Fault, if not nil, is asked before each write of the DP's store.
	Fault func(write string) sqlstore.Fault
}

// Person is somebody with a mailbox and, maybe, a phone.
type Person struct {
	Name   string // the mailbox's local part
	Number string // +E.164, or empty
}

// Address returns the person's mail address.
func (p Person) Address() string { return p.Name + "@" + MailDomain }

// Handle returns the person's handle at the OpenID provider.
func (p Person) Handle() string { return p.Name + "@" + IdentityHost }

// World is a running federation.
type World struct {
	Mail     *mailnet.Network
	Provider *mailnet.Provider
	Identity *idp.Provider
	// MailAuthority certifies mailboxes; Certificates are people's, by address.
	MailAuthority *mailca.Authority
	Certificates  map[string]*mailca.Person
	Phones        *phonenet.Network
	Carriers      *phonenet.Carriers
	Operator      *phonenet.Operator // says whether SIM cards were changed
	Desk          string             // URL of the page with everybody's mailboxes and phones

	config      Config
	root        key.Private
	publication tufrepo.Repository
	dp          *dp.DP
	provers     []*daemon.Prover
	watch       []*observer.Observer
	msps        map[string]*msp.MSP
	parties     []*member
	record      registry.Record

	stop    context.CancelFunc
	ended   sync.WaitGroup
	mu      sync.Mutex
	failure error
	seen    map[string][]endpoint.Seen
	lists   string // URL of the mail authority's revocation list
	closers []func() error
}

// member is a party of the world.
type member struct {
	name     string
	id       registry.PartyID
	role     registry.Role
	operator string
	bit      *uint16
	keys     party.Keys
	listener net.Listener
	// make writes the secrets of a new folder beyond the party's keys.
	make func(m *member) error
	// open prepares the party and returns what serves until ctx ends.
	open func(ctx context.Context, m *member) (serve func(context.Context) error, err error)
}

// Start starts a world in a folder, or starts the folder's world again.
func Start(ctx context.Context, c Config) (*World, error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &World{
		config: c, stop: stop, msps: make(map[string]*msp.MSP), seen: make(map[string][]endpoint.Seen),
	}
	if err := w.start(ctx, running); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) start(ctx, running context.Context) error {
	if err := w.startMail(); err != nil {
		return err
	}
	if err := w.startIdentity(ctx); err != nil {
		return err
	}
	if err := w.startPhones(ctx); err != nil {
		return err
	}
	if err := w.startAuthority(ctx, running); err != nil {
		return err
	}
	w.parties = w.members()
	for _, m := range w.parties {
		if err := w.prepare(ctx, m); err != nil {
			return fmt.Errorf("world: %s: %w", m.name, err)
		}
	}
	if err := w.publish(); err != nil {
		return fmt.Errorf("world: registry: %w", err)
	}
	for _, m := range w.parties {
		serve, err := m.open(ctx, m)
		if err != nil {
			return fmt.Errorf("world: %s: %w", m.name, err)
		}
		w.run(running, m.name, serve)
	}
	return w.servePage(running)
}

// run keeps a party going until the world closes; its failure is the world's.
func (w *World) run(ctx context.Context, name string, serve func(context.Context) error) {
	w.ended.Go(func() {
		if err := serve(ctx); err != nil && ctx.Err() == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failure = errors.Join(w.failure, fmt.Errorf("world: %s: %w", name, err))
		}
	})
}

// Err returns what has gone wrong with a party since the start.
func (w *World) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// Close stops every party and waits for it.
func (w *World) Close() error {
	w.stop()
	w.ended.Wait()
	err := w.Err()
	for i := len(w.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, w.closers[i]())
	}
	return err
}

// Step has every party do what is due at the world's time, now.
func (w *World) Step(ctx context.Context) error {
	now := w.config.Now()
	var err error
	for more := true; more && err == nil; {
		var done directory.Work
		done, err = w.dp.Step(ctx, now)
		more = done.More
	}
	for _, m := range w.msps {
		err = errors.Join(err, m.Step(ctx, now))
	}
	for _, p := range w.provers {
		err = errors.Join(err, p.Step(ctx, now))
	}
	for _, o := range w.watch {
		err = errors.Join(err, o.Step(ctx, now))
	}
	return err
}

// SetStanding publishes a registry in which a party's standing has changed.
// Parties take it over when they look for it next.
func (w *World) SetStanding(party string, s registry.Standing) error {
	for i := range w.record.Parties {
		if g := &w.record.Parties[i].Grant; g.ID.String() == party {
			g.Standing = s
			return w.sign()
		}
	}
	return fmt.Errorf("world: no party %s", party)
}

// startMail starts the outside world.
func (w *World) startMail() error {
	var err error
	if w.Mail, err = mailnet.New(mailnet.Config{Now: w.config.Now}); err != nil {
		return err
	}
	w.closers = append(w.closers, w.Mail.Close)
	w.Provider, err = w.Mail.AddProvider(MailDomain, mailnet.RSA2048, w.addresses()...)
	return err
}

// addresses returns the world's mail addresses.
func (w *World) addresses() []string {
	var out []string
	for _, p := range w.config.People {
		out = append(out, p.Address())
	}
	return out
}

// numbers returns the world's telephone numbers.
func (w *World) numbers() []string {
	var out []string
	for _, p := range w.config.People {
		if p.Number != "" {
			out = append(out, p.Number)
		}
	}
	return out
}

// servePage starts the page with the mailboxes and phones.
func (w *World) servePage(ctx context.Context) error {
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: desk.New(w.Provider, w.addresses(), w.Phones, w.numbers()).WithSignIn(w.Identity).WithCertificates(w.Certificates).Handler(), ReadHeaderTimeout: 5 * time.Second}
	w.Desk = "http://" + l.Addr().String()
	w.run(ctx, "desk", func(context.Context) error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	w.run(ctx, "desk", func(ctx context.Context) error {
		<-ctx.Done()
		return server.Close()
	})
	return nil
}

func listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", "127.0.0.1:0")
}

// Path returns a path below the world's folder.
func (w *World) Path(parts ...string) string {
	return filepath.Join(append([]string{w.config.Dir}, parts...)...)
}

// RegistryPath and RootPath are the federation's files.
func (w *World) RegistryPath() string { return w.Path("registry", "registry.set") }

// RootPath is the file with the registry's root.
func (w *World) RootPath() string { return w.Path("registry", "root.json") }

// prepare makes or loads a party's folder and opens its listener.
func (w *World) prepare(ctx context.Context, m *member) error {
	dir := w.Path(m.name)
	var err error
	if m.id, err = registry.ParsePartyID(m.name); err != nil {
		return err
	}
	m.keys, err = party.Load(dir)
	if errors.Is(err, keyfile.ErrMissing) {
		if err := m.make(m); err != nil {
			return err
		}
		m.keys, err = party.Load(dir)
	}
	if err != nil {
		return err
	}
	m.listener, err = listen(ctx)
	return err
}

// publish publishes the registry, with the endpoints of this start.
func (w *World) publish() error {
	now := w.config.Now()
	root, err := keyfile.Signing(w.Path("registry", "root.pem"))
	if errors.Is(err, keyfile.ErrMissing) {
		root, err = keyfile.MakeSigning(w.Path("registry", "root.pem"))
	}
	if err != nil {
		return err
	}
	one := tuf.Signers{Threshold: 1, Keys: []key.Public{root.Public()}}
	w.publication = tufrepo.Repository{
		Dir: w.Path("registry", "public"), Authority: tuf.Authority{Root: one, Federation: one, Publication: root.Public()},
		Lives: tufrepo.ByHand(), Bins: 2,
	}
	w.root = root
	w.record = registry.Record{Federation: "federation.example", Policy: w.policy()}
	since := now.Add(-time.Hour)
	for _, m := range w.parties {
		e, err := m.entry(since, now)
		if err != nil {
			return err
		}
		w.record.Parties = append(w.record.Parties, e)
	}
	for _, c := range carriers() {
		e, err := c.entry(w, since, now)
		if err != nil {
			return err
		}
		w.record.Parties = append(w.record.Parties, e)
	}
	return w.sign()
}

// sign publishes the record as it stands.
func (w *World) sign() error {
	now, keys := w.config.Now(), tufrepo.Keys{Roots: []key.Private{w.root}, Federation: []key.Private{w.root}, Publication: w.root}
	root, err := w.publication.First()
	if errors.Is(err, tuf.ErrAbsent) {
		root, err = w.publication.Root(now, keys)
	}
	if err != nil {
		return err
	}
	if _, err := w.publication.Publish(w.record, now, keys); err != nil {
		return err
	}
	known, err := tuf.Walk(root, tuf.Known{}, now, w.publication.Read)
	if err != nil {
		return err
	}
	set, err := known.Set.Marshal()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(w.RootPath(), root, 0o600), os.WriteFile(w.RegistryPath(), set, 0o600))
}

// entry is a party's grant and self record.
func (m *member) entry(since, now time.Time) (registry.Entry, error) {
	operator, err := registry.ParseOperator(m.operator)
	if err != nil {
		return registry.Entry{}, err
	}
	disclosed, err := m.disclosure()
	if err != nil {
		return registry.Entry{}, err
	}
	self, err := m.keys.Self(m.id, m.role, "https://"+m.listener.Addr().String(), disclosed, since, now)
	if err != nil {
		return registry.Entry{}, err
	}
	return registry.Entry{Self: self, Grant: registry.Grant{
		ID: m.id, Operator: operator, OperatorKey: m.keys.Operator.Public(), Roles: []registry.Role{m.role},
		Jurisdictions: jurisdictions(), Bit: m.bit, Standing: registry.Standing{State: registry.Active, Since: since.Unix()},
	}}, nil
}

// jurisdictions are where all parties keep data.
func jurisdictions() []string { return []string{"CH"} }

// disclosure is the digest of what a DP discloses.
func (m *member) disclosure() ([]byte, error) {
	if m.role != registry.RoleDP {
		return nil, nil
	}
	_, digest, err := dp.Settings{Settings: party.Settings{Party: m.name}}.Disclose(jurisdictions())
	return digest, err
}

// writeNew writes a file that only its owner reads, and its folder.
func writeNew(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600) //nolint:gosec // a path below the folder that the caller chose for the world
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeNew(to, b)
}

// exists reports whether a file is there.
func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
