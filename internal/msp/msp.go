// Package msp puts a development MSP together: an account store in a file, the
// two endpoints of package cosigner, and the back-end that looks CSIs up for
// the MSP's own users. A real MSP embeds package cosigner into what it has and
// asks a DP in the way of this back-end.
//
//	user ── token, CSIs ──▶ MSP ── CSIs, shuffled ──▶ DP of another operator
//	      (TLS 1.3, pinned)      (mutual TLS 1.3, pinned)
//
// What it promises: a look-up that leaves the MSP names nobody. It is built
// anew from the CSIs alone: no header, token, address or order of the user's
// request is in it, and all users share the MSP's connections. A DP of the
// MSP's own operator is not asked, for it would learn both who asks and about
// whom (R14). Neither logs nor metrics hold a CSI, an account or an address.
//
// What it does not hide: the DP sees the CSIs of one request together, and the
// MSP sees both ends, as every provider does of its own users. Who does not
// want that takes the anonymous or the private road of the client.
//
// An MSP's folder:
//
//	msp.toml           settings
//	accounts.json      accounts, see [OpenAccounts]
//	msp.db             offers that were used, notices, and what was confirmed
//	keys/sign.pem      signs mappings in the role MSP
//	keys/tls.pem       TLS identity
//	keys/operator.pem  signs the self record
//	keys/offer.key     recognises own offers
//	registry/          registry.set, root.json and what is known
package msp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"whither/cosigner"
	"whither/internal/endpoint"
	"whither/internal/pinned"
	"whither/key"
	"whither/problem"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// Config is all that an MSP depends on.
type Config struct {
	Party    registry.PartyID
	Key      key.Private
	TLS      *pinned.Identity
	Offers   cosigner.Secret
	Accounts *Accounts
	Used     Used
	Inbox    cosigner.Inbox  // keeps notices for users; nil: they are refused
	Ledger   cosigner.Ledger // remembers what is signed, to end it; nil: nothing can be ended
	Registry *update.Source
	// DP is asked for the MSP's users; it is of another operator.
	DP registry.PartyID
	// Budget is how many CSIs an account may look up in an hour; zero: 2,000.
	Budget int
	// Tick is how often due work is looked for; zero: a minute.
	Tick time.Duration
	Now  func() time.Time
	Log  *slog.Logger
	// Tap is a seam for the demo and tests, nil in production.
	Tap func(endpoint.Seen)
}

// defaultBudget lets an account look a large address book up twice in an hour.
const defaultBudget = 2 * wire.MaxLookup

// Used remembers used offers until they have run out.
type Used interface {
	cosigner.Used
	// Forget drops what need not be remembered any more at time now.
	Forget(ctx context.Context, now time.Time) error
}

// MSP is a messaging provider, ready to serve.
type MSP struct {
	config   Config
	cosigner *cosigner.Cosigner
	backend  *backend
	handler  http.Handler
	metrics  *metrics
}

// New puts an MSP together. It refuses a key that the registry does not list,
// and a DP that the registry does not list or whose operator is the MSP's own.
func New(c Config) (*MSP, error) {
	if c.Registry == nil || c.TLS == nil || c.Accounts == nil || c.Used == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("msp: registry, TLS identity, accounts, used offers, clock and log are needed")
	}
	if c.Tick == 0 {
		c.Tick = time.Minute
	}
	if c.Budget == 0 {
		c.Budget = defaultBudget
	}
	m := &MSP{config: c, metrics: newMetrics(c.Registry, c.Now)}
	var err error
	m.cosigner, err = cosigner.New(cosigner.Config{
		Provider: c.Party, Key: c.Key, Secret: c.Offers, Snapshot: c.Registry.Snapshot, Accounts: c.Accounts,
		Used: c.Used, Inbox: c.Inbox, Ledger: c.Ledger, Now: c.Now, Log: c.Log, Observe: m.metrics.answers.Observe,
	})
	if err != nil {
		return nil, err
	}
	if err := m.cosigner.Ready(); err != nil {
		return nil, fmt.Errorf("msp: %s: %w; publish the self record first", c.Party, err)
	}
	m.backend = &backend{
		party: c.Party, dp: c.DP, accounts: c.Accounts, snapshot: c.Registry.Snapshot, now: c.Now,
		dps: pinned.NewClient(c.Registry.Snapshot, c.TLS, c.Now), budget: newBudget(c.Budget),
		asked: m.metrics.asked,
	}
	if err := m.backend.checkDP(); err != nil {
		return nil, fmt.Errorf("msp: DP %s: %w", c.DP, err)
	}
	e := endpoint.Config{
		Snapshot: c.Registry.Snapshot, Now: c.Now, Log: c.Log, Kind: Kind, Observe: m.metrics.answers.Observe,
	}
	routes := m.cosigner.Routes()
	routes[wire.PathLookups] = endpoint.Handle(e, wire.PathLookups, m.backend.lookup)
	m.handler = endpoint.Tapped(endpoint.Mux(e, c.Registry.File, routes), e, c.Tap)
	return m, nil
}

// Kind is the back-end's table from errors to problem kinds; "" for an error
// that it does not know.
func Kind(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}

// Serve answers on l, and operations on ops unless it is nil, and does due
// work, until ctx ends; then it finishes the requests under way.
func (m *MSP) Serve(ctx context.Context, l, ops net.Listener) error {
	defer m.backend.dps.Close()
	parts := []endpoint.Part{
		func(ctx context.Context) error {
			return endpoint.Serve(ctx, l, pinned.ServerConfig(m.config.TLS, m.config.Now), m.handler)
		},
		endpoint.Ticking(m.config.Tick, m.config.Now, m.config.Log, m.Step),
	}
	if ops != nil {
		parts = append(parts, endpoint.ServeOperations(ops, m.Ready, m.metrics.collectors()...))
	}
	return endpoint.All(ctx, parts...)
}

// Ready reports whether the MSP can do its work.
func (m *MSP) Ready() error {
	if s := m.config.Registry.Snapshot(); !m.config.Now().Before(s.Expires()) {
		return fmt.Errorf("registry version %d has expired", s.Version())
	}
	return m.cosigner.Ready()
}

// Step does what is due: a newer registry, changed accounts, used offers that
// have run out, budgets that are full again, entries of closed accounts to end.
func (m *MSP) Step(ctx context.Context, now time.Time) error {
	endpoint.Follow(ctx, m.config.Registry, now, m.config.Log)
	var err error
	if m.config.Ledger == nil {
		m.takeOver(ctx)
	} else {
		err = m.leave(ctx, now, func() { m.takeOver(ctx) })
	}
	m.backend.budget.sweep(now)
	return errors.Join(err, m.config.Used.Forget(ctx, now))
}

func (m *MSP) takeOver(ctx context.Context) {
	changed, err := m.config.Accounts.Step()
	if err != nil {
		m.config.Log.WarnContext(ctx, "accounts not taken over", slog.Any("error", err))
	}
	if changed {
		m.config.Log.InfoContext(ctx, "accounts taken over")
	}
}
