// Package observer is an observer of a federation: it looks which keys domains
// and issuers publish, and signs what it saw and when (design section 4). Its
// spec is docs/spec/observation.md; the statements are those of package
// possession/observe.
//
//	anybody                   observer                    name servers, issuers
//	  │ POST /v1/keys             │                                │
//	  │ ────────────────────────> │ ── DNS or HTTPS: the key ────> │
//	  │ <── observation ───────── │                                │
//	  │                           │ ── every few hours: again ───> │
//	  │ GET /v1/lists/DAY         │
//	  │ ────────────────────────> │  all keys of popular names, once a day
//
// It promises that an observation is signed only for a key that was found in that
// moment; that "first seen" reaches back over no look that did not find the key,
// and over no gap of more than a day; that there are never two lists for one day
// while its store is not put back; and that nothing tells who asked: no log line,
// no metric and no column names a caller, and names of domains and issuers that
// somebody asked for are sealed in the store, since a domain can be a person's.
//
// It does not look at evidence, and does not know whose it is. It believes its
// resolver ([resolver.Client]).
//
// What is true after a crash: a list that somebody has read is stored; an
// observation that was given away was remembered before.
//
// Times on the wire are seconds; days are days since 1970 in UTC.
package observer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"whither/internal/dkim"
	"whither/internal/endpoint"
	"whither/internal/observer/resolver"
	"whither/internal/pinned"
	"whither/key"
	"whither/possession/observe"
	"whither/possession/openid"
	"whither/registry"
	"whither/wire"
)

// Errors of requests.
var (
	ErrKind        = errors.New("observer: not a place of keys that this observer looks at")
	ErrUnpublished = errors.New("observer: no such key is published now")
	ErrUnusable    = errors.New("observer: what is published is no key that evidence can use")
	ErrLookup      = errors.New("observer: the key could not be looked up")
	ErrLimited     = errors.New("observer: too many looks in the last hour")
	ErrBusy        = errors.New("observer: too many looks at once")
	// ErrUnlisted says that this observer's statements would not count now.
	ErrUnlisted = errors.New("observer: the registry does not list this signing key for this party as an observer in good standing")
)

// Registry is what an observer knows of its federation; *update.Source is one.
type Registry interface {
	Snapshot() *registry.Snapshot
	File() []byte
	Step(ctx context.Context, now time.Time) (changed bool, err error)
}

// Config is all that an observer depends on.
type Config struct {
	Party    registry.PartyID
	Key      key.Private // signs observations and lists
	TLS      *pinned.Identity
	Registry Registry
	Store    Store
	DNS      *resolver.Client
	// Signed is a zone that is known to be signed; a resolver that calls its keys
	// authentic validates. Empty: the root.
	Signed string
	// Sets fetches an issuer's JWK set; nil: this observer looks at DKIM keys alone.
	Sets func(ctx context.Context, issuer string) ([]byte, error)
	// Popular are the places whose keys make the daily lists, together with all
	// other keys of the same names that somebody asks for.
	Popular []Place
	// Bounds; zero: DefaultBounds.
	Bounds Bounds
	// Tick is how often due work is looked for; zero: five seconds.
	Tick time.Duration
	Now  func() time.Time
	Log  *slog.Logger
	// Tap is a seam for the demo and tests, nil in production.
	Tap func(endpoint.Seen)
}

// Observer is an observer, ready to serve.
type Observer struct {
	config  Config
	caps    *caps
	looking chan struct{} // one element for each look that somebody waits for
	popular map[name]bool
	pinned  map[Place]bool // of the configuration, which have precedence in lists
	metrics *metrics
	handler http.Handler

	mu         sync.Mutex
	validating bool                    // by the last probe of the resolver
	probe      time.Time               // when the next is due
	next       map[Place]time.Time     // when the places of the configuration are due
	looks      map[Place]chan struct{} // closed when the look under way has ended
}

// maxLooks bounds the looks that somebody waits for.
const maxLooks = 64

// maxPopular bounds the places of the configuration, so that they fit a list.
const maxPopular = 8000

// New puts an observer together. It refuses a signing key that the registry does
// not list.
func New(c Config) (*Observer, error) {
	if c.Now == nil || c.Log == nil || c.Registry == nil || c.TLS == nil || c.Store == nil || c.DNS == nil || c.Key.IsZero() {
		return nil, errors.New("observer: key, registry, store, TLS identity, resolver, clock and log are needed")
	}
	if c.Bounds == (Bounds{}) {
		c.Bounds = DefaultBounds()
	}
	if !c.Bounds.Valid() {
		return nil, errors.New("observer: every bound is at least 1")
	}
	if c.Tick == 0 {
		c.Tick = 5 * time.Second
	}
	if c.Signed == "" {
		c.Signed = "."
	}
	o := &Observer{
		config: c, caps: newCaps(c.Bounds), looking: make(chan struct{}, maxLooks), metrics: newMetrics(c.Registry, c.Now),
		popular: make(map[name]bool), pinned: make(map[Place]bool), next: make(map[Place]time.Time),
		looks: make(map[Place]chan struct{}),
	}
	if len(c.Popular) > maxPopular {
		return nil, fmt.Errorf("observer: %d popular places, at most %d", len(c.Popular), maxPopular)
	}
	for _, p := range c.Popular {
		if !p.Valid() || p.Kind == observe.JWKS && c.Sets == nil {
			return nil, fmt.Errorf("observer: a popular place: %w", ErrKind)
		}
		o.popular[p.name()], o.pinned[p], o.next[p] = true, true, time.Time{}
	}
	if err := o.listed(c.Now()); err != nil {
		return nil, fmt.Errorf("%w: publish the self record of %s first", err, c.Party)
	}
	e := endpoint.Config{Snapshot: c.Registry.Snapshot, Now: c.Now, Log: c.Log, Kind: Kind, Observe: o.metrics.answers.Observe}
	o.handler = endpoint.Tapped(endpoint.Mux(e, c.Registry.File, map[string]http.Handler{
		wire.PathKeys:              endpoint.Handle(e, wire.PathKeys, o.keys),
		wire.PathLists:             endpoint.Publish(e, wire.PathLists, o.index),
		wire.PathLists + "/{name}": endpoint.Publish(e, wire.PathLists, o.list),
	}), e, c.Tap)
	return o, nil
}

// listed returns an error unless a statement signed now would count.
func (o *Observer) listed(now time.Time) error {
	s := o.config.Registry.Snapshot()
	if !now.Before(s.Expires()) {
		return endpoint.ErrRegistryStale
	}
	signer, ok := s.Signer(o.config.Key.Public().ID())
	if !ok || signer.Party.ID != o.config.Party || signer.Key.Role != registry.RoleObserver || !signer.InForce(now) ||
		signer.Party.Standing.State != registry.Active {
		return ErrUnlisted
	}
	return nil
}

// Serve answers on messages, and on operations if it is not nil, and does due
// work until ctx ends; then it finishes what is under way. It closes the
// listeners.
func (o *Observer) Serve(ctx context.Context, messages, operations net.Listener) error {
	parts := []endpoint.Part{
		func(ctx context.Context) error {
			return endpoint.Serve(ctx, messages, pinned.ServerConfig(o.config.TLS, o.config.Now), o.handler)
		},
		endpoint.Ticking(o.config.Tick, o.config.Now, o.config.Log, o.Step),
	}
	if operations != nil {
		parts = append(parts, endpoint.ServeOperations(operations, o.Ready, o.metrics.collectors()...))
	}
	return endpoint.All(ctx, parts...)
}

// readyTimeout bounds what Ready asks of the store.
const readyTimeout = 2 * time.Second

// Ready reports whether the observer can do its work.
func (o *Observer) Ready() error {
	if err := o.listed(o.config.Now()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if _, err := o.config.Store.List(ctx, 0); !errors.Is(err, ErrNoList) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Step does what is due: a newer registry, the probe of the resolver, looks, the
// list of the day before, and forgetting.
func (o *Observer) Step(ctx context.Context, now time.Time) error {
	endpoint.Follow(ctx, o.config.Registry, now, o.config.Log)
	o.probeResolver(ctx, now)
	return errors.Join(o.lookAgain(ctx, now), o.publish(ctx, now), o.forget(ctx, now))
}

// Place is where keys are published: one look shows all that is there.
type Place struct {
	Kind observe.Kind
	// Name is the domain, or the issuer.
	Name string
	// Selector is that of a DKIM key; JWK sets have none.
	Selector string
}

// name is what the places of one domain, or an issuer, have in common.
type name struct {
	kind observe.Kind
	name string
}

func (p Place) name() name { return name{p.Kind, p.Name} }

// Valid reports whether a place is in its one spelling.
func (p Place) Valid() bool {
	switch p.Kind {
	case observe.DKIM:
		return p.Selector != "" && dkim.ValidDomain(p.Name) && dkim.ValidDomain(p.record())
	case observe.JWKS:
		return p.Selector == "" && openid.ValidIssuer(p.Name)
	}
	return false
}

// record is the name at which a DKIM key is published (RFC 6376 section 3.6.2.1).
func (p Place) record() string { return p.Selector + "._domainkey." + p.Name }
