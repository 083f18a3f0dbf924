// Package dp puts a discovery provider together: keys and store from its
// folder, the directory, the server, and the loop that does what is due.
//
// A DP's folder:
//
//	dp.toml            settings (see Settings)
//	dp.db              the store
//	kek/N.key          key-encryption keys by generation; keep them off the backups of dp.db
//	keys/sign.pem      signs mappings in the role DP
//	keys/tls.pem       TLS identity
//	keys/operator.pem  signs the self record
//	keys/row.key       labels of rows
//	keys/offer.key     recognises own offers
//	registry/          registry.set, root.json and what is known
package dp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"whither/disclosure"
	"whither/internal/dp/directory"
	"whither/internal/dp/events"
	"whither/internal/dp/server"
	"whither/internal/endpoint"
	"whither/internal/offer"
	"whither/internal/pinned"
	"whither/internal/sqlstore/sqldb"
	"whither/key"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// Config is all that a DP depends on.
type Config struct {
	Party    registry.PartyID
	Key      key.Private
	TLS      *pinned.Identity
	Offers   [offer.SecretSize]byte
	Store    directory.Store
	Registry *update.Source
	// SignatureLife is for how long a DP signature is good; zero: seven days.
	SignatureLife time.Duration
	// OfferLife is how long offers live, Live how many mappings of one CSI do;
	// zero: the most that there is. Lookups bounds requests.
	OfferLife time.Duration
	Live      int
	Lookups   server.Lookups
	// Demands on evidence beyond the federation's.
	Demands possession.Demands
	// Grace is for how long nobody may have seen this DP at work before holds
	// stand still; zero: 15 minutes.
	Grace time.Duration
	// Reviewers decide cases, each with a key; Quorum is how many have to agree,
	// zero: one.
	Reviewers []key.Public
	Quorum    int
	// EventKeys returns the JWK set of an OpenID provider that the registry names;
	// nil: only parties of the federation are heard on who has a CSI.
	EventKeys func(ctx context.Context, issuer, kid string) ([]byte, error)
	// Tick is how often due work is looked for; zero: a minute.
	Tick time.Duration
	Now  func() time.Time
	Log  *slog.Logger
	// Tap is a seam for the demo and tests, nil in production.
	Tap func(endpoint.Seen)
}

// DP is a discovery provider, ready to serve.
type DP struct {
	config    Config
	directory *directory.Directory
	teller    *teller
	server    *server.Server
	handler   http.Handler
	metrics   *metrics
}

// New puts a DP together. It refuses a key that the registry does not list.
func New(c Config) (*DP, error) {
	if c.Now == nil || c.Log == nil || c.Registry == nil || c.TLS == nil {
		return nil, errors.New("dp: registry, TLS identity, clock and log are needed")
	}
	if c.Tick == 0 {
		c.Tick = time.Minute
	}
	signer, ok := c.Registry.Snapshot().Signer(c.Key.Public().ID())
	if !ok || signer.Party.ID != c.Party || signer.Key.Role != registry.RoleDP {
		return nil, fmt.Errorf("dp: the registry does not list this signing key for %s in the role dp; publish the self record first", c.Party)
	}
	if err := disclosure.Laxer(c.Demands, c.Registry.Snapshot().Policy()); err != nil {
		return nil, fmt.Errorf("dp: %s: %w", SettingsFile, err)
	}
	t := &teller{
		party: c.Party, snapshot: c.Registry.Snapshot, now: c.Now, parties: pinned.NewClient(c.Registry.Snapshot, c.TLS, c.Now),
	}
	d, err := directory.New(directory.Config{
		Party: c.Party, Key: c.Key, Offers: offer.NewMaker(c.Party, c.Offers).For(cmp.Or(c.OfferLife, offer.Life)), Store: c.Store,
		Snapshot: c.Registry.Snapshot, SignatureLife: c.SignatureLife, Demands: c.Demands,
		Teller: t, Grace: c.Grace, Reviewers: c.Reviewers, Quorum: c.Quorum, Live: c.Live,
	})
	if err != nil {
		return nil, err
	}
	m := newMetrics(c.Registry, c.Now)
	e := endpoint.Config{Snapshot: c.Registry.Snapshot, Now: c.Now, Log: c.Log, Kind: kindOf, Observe: m.answers.Observe}
	s := server.New(c.Party, d, c.Registry.Snapshot, c.Now, c.Lookups)
	routes := s.Routes(e)
	routes[wire.PathEvents] = server.Push(e, wire.PathEvents, &events.Receiver{
		Audience: "https://" + c.Party.String(), Snapshot: c.Registry.Snapshot, Directory: d, Now: c.Now, Keys: c.EventKeys,
	})
	return &DP{config: c, directory: d, server: s, teller: t, metrics: m, handler: endpoint.Tapped(endpoint.Mux(e, c.Registry.File, routes), e, c.Tap)}, nil
}

// kindOf adds to the server's kinds what only the store's engine knows: that it
// cannot be reached for now, or that a write shall be made again.
func kindOf(err error) problem.Kind {
	for _, soon := range []error{sqldb.ErrUnreachable, sqldb.ErrUncertain, sqldb.ErrReadOnly, sqldb.ErrClosed} {
		if errors.Is(err, soon) {
			return problem.Unavailable
		}
	}
	return server.Kind(err)
}

// Serve answers on l, and operations on ops unless it is nil, and does due
// work, until ctx ends; then it finishes the requests under way.
func (d *DP) Serve(ctx context.Context, l, ops net.Listener) error {
	defer d.teller.parties.Close()
	d.warnDisclosed(ctx)
	parts := []endpoint.Part{
		func(ctx context.Context) error {
			return endpoint.Serve(ctx, l, pinned.ServerConfig(d.config.TLS, d.config.Now), d.handler)
		},
		endpoint.Ticking(d.config.Tick, d.config.Now, d.config.Log, func(ctx context.Context, _ time.Time) error {
			_, err := d.Pass(ctx)
			return err
		}),
	}
	if ops != nil {
		parts = append(parts, endpoint.ServeOperations(ops, d.Ready, d.metrics.collectors()...))
	}
	return endpoint.All(ctx, parts...)
}

// Ready reports whether the DP can do its work.
func (d *DP) Ready() error {
	if s := d.config.Registry.Snapshot(); !d.config.Now().Before(s.Expires()) {
		return fmt.Errorf("registry version %d has expired", s.Version())
	}
	return d.checkDisclosed()
}

// rest is how long a pass rests after a step, in times of what the step took. A
// million mappings are then renewed within hours, of the days that there are, and
// look-ups keep the processors.
const rest = 7

// Pass does all that is due, step by step, at a pace that look-ups do not notice.
func (d *DP) Pass(ctx context.Context) (directory.Work, error) {
	var all directory.Work
	defer func() {
		if all != (directory.Work{}) {
			d.config.Log.InfoContext(ctx, "due work done", slog.Int("renewed", all.Renewed), slog.Int("not_renewed", all.Refused), slog.Int("swept", all.Swept))
		}
	}()
	for {
		began := time.Now() //nolint:forbidigo // how long the step really takes
		w, err := d.Step(ctx, d.config.Now())
		all.Add(w)
		if err != nil || !w.More {
			return all, err
		}
		select {
		case <-ctx.Done():
			return all, ctx.Err()
		case <-time.After(rest * time.Since(began)): //nolint:forbidigo // likewise
		}
	}
}

// Step does a part of what is due: a newer registry, claims and notices,
// renewals, the sweep. It returns soon, and says whether there is more.
func (d *DP) Step(ctx context.Context, now time.Time) (directory.Work, error) {
	endpoint.Follow(ctx, d.config.Registry, now, d.config.Log)
	more, err := d.stepCases(ctx, now)
	if err != nil {
		return directory.Work{}, err
	}
	w, err := d.directory.Step(ctx, now)
	w.More = w.More || more
	d.metrics.work(w)
	return w, err
}

// stepCases moves the served clock and brings some claims up to date.
func (d *DP) stepCases(ctx context.Context, now time.Time) (bool, error) {
	disputed, err := d.directory.Disputed(ctx)
	if err != nil {
		return false, err
	}
	if err := d.directory.Beat(ctx, disputed && !d.teller.reachable(ctx), now); err != nil || !disputed {
		return false, err
	}
	n, more, err := d.directory.StepCases(ctx, now)
	d.metrics.due.WithLabelValues("claims_and_notices").Add(float64(n))
	if err != nil && ctx.Err() == nil { // what fails comes again, and keeps nobody waiting
		d.config.Log.WarnContext(ctx, "claims or notices not brought up to date", slog.Any("error", err))
		err = nil
	}
	return more, err
}
