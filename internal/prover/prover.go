// Package prover is a prover of a federation: it challenges the holder of a
// CSI, judges the answer and signs receipts (design section 4). Its spec is
// docs/spec/evidence.md.
//
// There are two kinds of challenge. A code goes out through an operator's
// service, by message or call, and comes back from the client ([Courier]). For
// the mail reply a prover sends half a nonce to the mailbox, from an address
// made for this one challenge; gives the other half to the client over TLS; and
// takes at that address one mail whose whole content is the response, signed by
// the domain of the mailbox (package possession/mail judges it):
//
//	client                  prover                   mail server of the domain
//	  │ POST /v1/challenges   │                                │
//	  │ ────────────────────> │ ── SMTP: part 1 ─────────────> │ ──> holder
//	  │ <── id, part 2 ────── │                                │      │
//	  │                       │ <── SMTP: response, DKIM ───── │ <────┘
//	  │ POST /v1/status       │ ── DNS: DKIM key ────────────> │
//	  │ ────────────────────> │
//	  │ <── receipt, reply ── │        second prover
//	  │ POST /v1/observations                │
//	  │ ───────────────────────────────────> │ ── DNS: DKIM key ──> …
//	  │ <── receipt ──────────────────────── │
//
// It promises that a receipt is signed only for a reply that package mail
// accepts under a key looked up at that moment; that a challenge is proved by
// one reply at most; that a reply is answered with success over SMTP only when
// its verdict is stored; that mail in and out is encrypted; and that no log line
// and no metric names a CSI, a domain of a CSI or a client.
//
// It does not check DNSSEC, nor whether a DP will take its receipts: verifiers
// count operators, levels and times themselves (package possession).
//
// What is true after a crash: a challenge that was answered to the client is
// stored, and its mail is sent, perhaps twice with the same bytes; a mail that
// was taken with 250 is judged.
package prover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/internal/pinned"
	"whither/internal/smtpout"
	"whither/key"
	"whither/possession"
	"whither/possession/mail"
	"whither/registry"
	"whither/wire"
)

// Errors of requests.
var (
	ErrRequest     = errors.New("prover: a member of the request is out of bounds")
	ErrKind        = errors.New("prover: no such challenge for this kind of CSI")
	ErrExpired     = errors.New("prover: the challenge has run out")
	ErrFailed      = errors.New("prover: the challenge has failed")
	ErrStale       = errors.New("prover: the evidence is more than 24 hours old")
	ErrChallenger  = errors.New("prover: the challenger is not an active prover of the registry")
	ErrOwnOperator = errors.New("prover: the challenger is of this prover's own operator")
	ErrBusy        = errors.New("prover: too many observations at once")
	ErrBounce      = errors.New("prover: mail without a return path")
	ErrIncumbent   = errors.New("prover: the mapping shown is not a live one of this CSI under this key")
	// ErrUnlisted says that this prover's receipts would not count now.
	ErrUnlisted = errors.New("prover: the registry does not list this signing key for this party as a prover in good standing")
)

// Life is how long a mail challenge can be answered (design section 4).
const Life = 24 * time.Hour

// Registry is what a prover knows of its federation; *update.Source is one.
type Registry interface {
	Snapshot() *registry.Snapshot
	File() []byte
	Step(now time.Time) (changed bool, err error)
}

// Config is all that a prover depends on.
type Config struct {
	Party    registry.PartyID
	Key      key.Private // signs receipts
	TLS      *pinned.Identity
	Registry Registry
	Store    Store
	Mail     Mail
	// Couriers send codes, by kind of evidence; none: this prover sends none.
	Couriers map[possession.Kind]Courier
	// Limits are caps on challenges; zero: limit.DefaultBounds. Holders who show their
	// mapping have the same again.
	Limits limit.Bounds
	// Tick is how often due work is looked for; zero: five seconds.
	Tick time.Duration
	Now  func() time.Time
	Log  *slog.Logger
	// Tap is a seam for the demo and tests, nil in production.
	Tap func(endpoint.Seen)
}

// Mail is a prover's part in the mail of the world. Reply addresses are in the
// domain that is the party's id; its MX record names Host.
type Mail struct {
	// Host is the mail server's own name, in the greeting.
	Host string
	// Certificate gives the certificate for Host, at each connection.
	Certificate func() (*tls.Certificate, error)
	// Signing is the DKIM key of the challenges, published under the party's id.
	Signing mail.Signing
	// Out delivers challenges.
	Out *smtpout.Client
	// Resolver looks up the DKIM keys of the world; nil: the system's.
	Resolver *net.Resolver
}

// Prover is a prover, ready to serve.
type Prover struct {
	config     Config
	caps       *limit.Caps   // of everybody
	incumbents *limit.Caps   // of holders who showed their mapping
	observing  chan struct{} // one element for each observation under way
	metrics    *metrics
	handler    http.Handler
}

// New puts a prover together. It refuses a signing key that the registry does
// not list, and counts the challenges of the last hour towards the caps.
func New(ctx context.Context, c Config) (*Prover, error) {
	if c.Now == nil || c.Log == nil || c.Registry == nil || c.TLS == nil || c.Store == nil || c.Mail.Out == nil ||
		c.Mail.Certificate == nil || c.Mail.Host == "" || c.Mail.Signing.Key.IsZero() {
		return nil, errors.New("prover: registry, store, TLS identity, mail settings, clock and log are needed")
	}
	if c.Limits == (limit.Bounds{}) {
		c.Limits = limit.DefaultBounds()
	}
	if c.Limits.PerCountry == 0 {
		c.Limits.PerCountry = c.Limits.Total
	}
	if !c.Limits.Valid() {
		return nil, errors.New("prover: every limit is at least 1")
	}
	if c.Tick == 0 {
		c.Tick = 5 * time.Second
	}
	if c.Mail.Resolver == nil {
		c.Mail.Resolver = net.DefaultResolver
	}
	p := &Prover{
		config: c, caps: limit.New(c.Limits), incumbents: limit.New(c.Limits), observing: make(chan struct{}, maxObservations),
		metrics: newMetrics(c.Registry, c.Now),
	}
	if err := p.listed(c.Now()); err != nil {
		return nil, fmt.Errorf("%w: publish the self record of %s first", err, c.Party)
	}
	recent, err := c.Store.StartedSince(ctx, c.Now().Add(-limit.Window), c.Limits.Total)
	if err != nil {
		return nil, fmt.Errorf("prover: read the challenges of the last hour: %w", err)
	}
	slices.Reverse(recent)
	for _, c := range recent {
		p.caps.Restore(c.CSI, c.Holder, c.Started)
	}
	e := endpoint.Config{Snapshot: c.Registry.Snapshot, Now: c.Now, Log: c.Log, Kind: Kind, Observe: p.metrics.answers.Observe}
	p.handler = endpoint.Tapped(endpoint.Mux(e, c.Registry.File, map[string]http.Handler{
		wire.PathChallenges:   endpoint.Handle(e, wire.PathChallenges, p.challenge),
		wire.PathStatus:       endpoint.Handle(e, wire.PathStatus, p.status),
		wire.PathAnswers:      endpoint.Handle(e, wire.PathAnswers, p.answer),
		wire.PathObservations: endpoint.Handle(e, wire.PathObservations, p.observe),
	}), e, c.Tap)
	return p, nil
}

// listed returns an error unless a receipt signed now would count.
func (p *Prover) listed(now time.Time) error {
	s := p.config.Registry.Snapshot()
	if !now.Before(s.Expires()) {
		return endpoint.ErrRegistryStale
	}
	signer, ok := s.Signer(p.config.Key.Public().ID())
	if !ok || signer.Party.ID != p.config.Party || signer.Key.Role != registry.RoleProver || !signer.InForce(now) ||
		signer.Party.Standing.State != registry.Active {
		return ErrUnlisted
	}
	return nil
}

// Listeners are where a prover is reached.
type Listeners struct {
	Messages   net.Listener // clients and parties, by HTTPS
	Mail       net.Listener // mail servers, by SMTP
	Operations net.Listener // health and metrics, by HTTP; may be nil
}

// Serve answers on l and does due work until ctx ends; then it finishes what is
// under way. It closes the listeners.
func (p *Prover) Serve(ctx context.Context, l Listeners) error {
	parts := []endpoint.Part{
		func(ctx context.Context) error {
			return endpoint.Serve(ctx, l.Messages, pinned.ServerConfig(p.config.TLS, p.config.Now), p.handler)
		},
		func(ctx context.Context) error { return p.serveMail(ctx, l.Mail) },
		endpoint.Ticking(p.config.Tick, p.config.Now, p.config.Log, p.Step),
	}
	if l.Operations != nil {
		parts = append(parts, endpoint.ServeOperations(l.Operations, p.Ready, p.metrics.collectors()...))
	}
	return endpoint.All(ctx, parts...)
}

// readyTimeout bounds what Ready asks of the store.
const readyTimeout = 2 * time.Second

// Ready reports whether the prover can do its work.
func (p *Prover) Ready() error {
	if err := p.listed(p.config.Now()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if _, err := p.config.Store.ByID(ctx, ID{}); !errors.Is(err, ErrUnknown) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// batch is how many challenges one Step delivers or sweeps.
const batch = 100

// Step does what is due: a newer registry, deliveries, the sweep.
func (p *Prover) Step(ctx context.Context, now time.Time) error {
	endpoint.Follow(ctx, p.config.Registry, now, p.config.Log)
	err := p.redeliver(ctx, now)
	swept, sweepErr := p.config.Store.Sweep(ctx, now, batch)
	p.metrics.swept.Add(float64(swept))
	return errors.Join(err, sweepErr)
}
