// Package prover is a prover of a federation: it challenges the holder of a
// CSI, judges the answer and signs receipts (design section 4). Its spec is
// docs/spec/evidence.md.
//
// This package is the frame, the same for all kinds of evidence: the life of
// challenges and their store, caps, receipts, requests and their problems. What
// is special about a way to prove possession is a [Method], in a package of its
// own:
//
//	            requests                    from outside (SMTP, SIP)
//	               │                                 │
//	┌──────────────▼─────────────┐        ┌──────────▼───────────┐
//	│ prover                     │        │ a method's own edge  │
//	│  POST /v1/challenges ──────┼─Begin─▶│                      │
//	│    caps, store             │        │   bymail   bycode …  │
//	│    then, till it arrives ──┼Deliver▶│                      │
//	│                            │        │                      │
//	│  POST /v1/answers ─────────┼─Answer▶│ judges, by package   │
//	│                            ◀─Decide─┤ possession/…         │
//	│    receipt, store          │        │                      │
//	│  POST /v1/status           │        │                      │
//	│  POST /v1/observations ────┼Witness▶│ looks up what it     │
//	│    receipt                 │        │ needs itself         │
//	└────────────────────────────┘        └──────────────────────┘
//
// To add a kind of evidence: its row in package possession (kinds.go) says what
// its receipts are worth, and a package possession/… judges its artefacts as a
// pure function. Then one package here, internal/prover/by…, makes the Method:
// a [Challenger], which is an [Answerer] if the client brings the answer, else
// has a Serve that hands what comes from outside to [Prover.Open] and
// [Prover.Decide]; a [Witness]; its table of problems. Package daemon reads its
// settings and puts it into [Config.Methods]. Nothing in this package changes.
//
// It promises that a receipt is signed only for what a method found in an
// artefact; that a challenge is proved by one artefact at most; that nobody is
// told of success before the verdict is stored; and that no log line and no
// metric names a CSI, a domain of a CSI or a client.
//
// It does not check whether a DP will take its receipts: verifiers count
// operators, levels and times themselves (package possession).
//
// What is true after a crash: a challenge that was answered to the client is
// stored, and what is to be delivered is, perhaps twice with the same bytes; an
// answer that was taken is judged.
package prover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/internal/pinned"
	"whither/key"
	"whither/possession"
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
	ErrTooLarge    = errors.New("prover: the artefact is larger than a request can carry on")
	ErrMethod      = errors.New("prover: a kind of evidence breaks the rules of its frame")
	ErrIncumbent   = errors.New("prover: the mapping shown is not a live one of this CSI under this key")
	// ErrUnlisted says that this prover's receipts would not count now.
	ErrUnlisted = errors.New("prover: the registry does not list this signing key for this party as a prover in good standing")
)

// Life is how long a challenge can be answered at most (design section 4).
const Life = 24 * time.Hour

// Registry is what a prover knows of its federation; *update.Source is one.
type Registry interface {
	Snapshot() *registry.Snapshot
	File() []byte
	Step(ctx context.Context, now time.Time) (changed bool, err error)
}

// Config is all that a prover depends on.
type Config struct {
	Party    registry.PartyID
	Key      key.Private // signs receipts
	TLS      *pinned.Identity
	Registry Registry
	Store    Store
	// Methods are the ways to prove possession that this prover knows; no two
	// have a kind in common.
	Methods []Method
	// SIM is asked before evidence for a telephone number counts; nil: nobody is.
	// SIMAge is how long the SIM card must have been the number's; zero:
	// DefaultSIMAge.
	SIM    SIM
	SIMAge time.Duration
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

// Prover is a prover, ready to serve.
type Prover struct {
	config      Config
	challengers map[possession.Kind]Challenger
	witnesses   map[possession.Kind]Witness
	tellers     map[string]Teller
	told        told
	caps        *limit.Caps // of everybody
	incumbents  *limit.Caps // of holders who showed their mapping
	uncalled    *limit.Caps // of kinds that send nothing
	quiet       map[possession.Kind]bool
	observing   chan struct{} // one element for each observation under way
	sims        sims
	metrics     *metrics
	handler     http.Handler
}

// New puts a prover together. It refuses a signing key that the registry does
// not list, and counts the challenges of the last hour towards the caps.
func New(ctx context.Context, c Config) (*Prover, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Prover{
		config: c, challengers: make(map[possession.Kind]Challenger), witnesses: make(map[possession.Kind]Witness), tellers: make(map[string]Teller),
		caps: limit.New(c.Limits), incumbents: limit.New(c.Limits), uncalled: limit.New(limit.Bounds{
			PerCSI: c.Limits.Total, PerDomain: c.Limits.Total, PerCountry: c.Limits.Total, PerKey: c.Limits.PerKey, Total: c.Limits.Total,
		}), quiet: make(map[possession.Kind]bool), observing: make(chan struct{}, maxObservations),
		sims: sims{said: make(map[csi.ID]simWord)}, metrics: newMetrics(c.Registry, c.Now),
	}
	for _, m := range c.Methods {
		if err := errors.Join(add(p.challengers, m.Challengers), add(p.witnesses, m.Witnesses)); err != nil {
			return nil, err
		}
		for kind := range m.Challengers {
			p.quiet[kind] = m.Quiet
		}
		for scheme, t := range m.Tellers {
			if p.tellers[scheme] == nil {
				p.tellers[scheme] = t
			}
		}
	}
	if err := p.listed(c.Now()); err != nil {
		return nil, fmt.Errorf("%w: publish the self record of %s first", err, c.Party)
	}
	if err := p.restore(ctx); err != nil {
		return nil, fmt.Errorf("prover: read the challenges of the last hour: %w", err)
	}
	e := endpoint.Config{Snapshot: c.Registry.Snapshot, Now: c.Now, Log: c.Log, Kind: p.Problem, Observe: p.metrics.answers.Observe}
	p.handler = endpoint.Tapped(endpoint.Mux(e, c.Registry.File, map[string]http.Handler{
		wire.PathChallenges:   endpoint.Handle(e, wire.PathChallenges, p.challenge),
		wire.PathStatus:       endpoint.Handle(e, wire.PathStatus, p.status),
		wire.PathAnswers:      endpoint.Handle(e, wire.PathAnswers, p.answer),
		wire.PathObservations: endpoint.Handle(e, wire.PathObservations, p.observe),
		wire.PathNotices:      endpoint.Handle(e, wire.PathNotices, p.notice),
	}), e, c.Tap)
	return p, nil
}

// withDefaults fills in what is empty.
func (c Config) withDefaults() (Config, error) {
	if c.Now == nil || c.Log == nil || c.Registry == nil || c.TLS == nil || c.Store == nil || len(c.Methods) == 0 {
		return c, errors.New("prover: registry, store, TLS identity, methods, clock and log are needed")
	}
	if c.Limits == (limit.Bounds{}) {
		c.Limits = limit.DefaultBounds()
	}
	if c.Limits.PerCountry == 0 {
		c.Limits.PerCountry = c.Limits.Total
	}
	if !c.Limits.Valid() {
		return c, errors.New("prover: every limit is at least 1")
	}
	if c.SIMAge == 0 {
		c.SIMAge = DefaultSIMAge
	}
	if c.Tick == 0 {
		c.Tick = 5 * time.Second
	}
	return c, nil
}

// add takes over what a method has for its kinds.
func add[V any](all, more map[possession.Kind]V) error {
	for kind, v := range more {
		if _, twice := all[kind]; twice || kind.String() == possession.Kind(0).String() {
			return fmt.Errorf("prover: kind %d of evidence is unknown, or of two methods", kind)
		}
		all[kind] = v
	}
	return nil
}

// restore counts the challenges of the last hour, each towards its own caps.
func (p *Prover) restore(ctx context.Context) error {
	// There are three caps of that total.
	recent, err := p.config.Store.StartedSince(ctx, p.config.Now().Add(-limit.Window), 3*p.config.Limits.Total)
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(recent) {
		p.capsOf(c).Restore(c.CSI, c.Holder, c.Started)
	}
	return nil
}

// capsOf returns the caps that a challenge counts towards.
func (p *Prover) capsOf(c Challenge) *limit.Caps {
	switch {
	case c.Incumbent:
		return p.incumbents
	case p.quiet[c.Kind]:
		return p.uncalled
	default:
		return p.caps
	}
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

// Listeners are where everybody reaches a prover; methods have more of their
// own.
type Listeners struct {
	Messages   net.Listener // clients and parties, by HTTPS
	Operations net.Listener // health and metrics, by HTTP; may be nil
}

// Serve answers on l, runs the methods' own edges, and does due work until ctx
// ends; then it finishes what is under way. It closes the listeners.
func (p *Prover) Serve(ctx context.Context, l Listeners, edges ...endpoint.Part) error {
	parts := append([]endpoint.Part{
		func(ctx context.Context) error {
			return endpoint.Serve(ctx, l.Messages, pinned.ServerConfig(p.config.TLS, p.config.Now), p.handler)
		},
		endpoint.Ticking(p.config.Tick, p.config.Now, p.config.Log, p.Step),
	}, edges...)
	if l.Operations != nil {
		collectors := p.metrics.collectors()
		for _, m := range p.config.Methods {
			collectors = append(collectors, m.Metrics...)
		}
		parts = append(parts, endpoint.ServeOperations(l.Operations, p.Ready, collectors...))
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
