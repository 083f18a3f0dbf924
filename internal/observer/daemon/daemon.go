// Package daemon puts an observer together from its folder and runs it: settings,
// keys, store, resolver and the web. The observer itself is package observer,
// which imports no database.
//
// An observer's folder:
//
//	observer.toml      settings (see Settings)
//	observer.db        the store; never put an older one back (docs/operate.md)
//	kek/N.key          key-encryption keys by generation
//	keys/sign.pem      signs observations and lists
//	keys/tls.pem       TLS identity in the federation
//	keys/operator.pem  signs the self record
//	keys/row.key       labels of rows
//	registry/          registry.set, root.json and what is known
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"whither/internal/endpoint"
	"whither/internal/fetch"
	"whither/internal/jws"
	"whither/internal/observer"
	"whither/internal/observer/resolver"
	"whither/internal/oidc"
	"whither/internal/party"
	"whither/internal/sqlstore/observerstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/registry"
)

// Options are what a process gives to an observer besides its folder.
type Options struct {
	Now  func() time.Time
	Log  *slog.Logger
	Tick time.Duration // see observer.Config
	// Fault and Tap are seams for the demo and tests, nil in production.
	Fault func(write string) sqldb.Fault
	Tap   func(endpoint.Seen)
}

// MakeKeys makes everything secret in a new observer's folder.
func MakeKeys(dir string, id registry.PartyID, now time.Time) error {
	if _, err := party.Make(dir, id, now); err != nil {
		return err
	}
	_, err := vault.MakeKeys(dir)
	return err
}

// Open opens an observer from its folder. The returned function closes its store.
func Open(ctx context.Context, dir string, s Settings, o Options) (*observer.Observer, func() error, error) {
	member, err := s.Open(ctx, dir, o.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	dns, err := resolver.New(s.Resolver, s.ResolverProtected)
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: %s: resolver: %w", SettingsFile, err)
	}
	sets, closeWeb, err := openWeb(dir, s, o, member.Registry)
	if err != nil {
		return nil, nil, err
	}
	keys, err := vault.LoadKeys(dir)
	if err != nil {
		return nil, nil, err
	}
	at, err := sqldb.Locate(s.Store.URL, dir, databaseFile)
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: %s: store: %w", SettingsFile, err)
	}
	store, err := observerstore.Open(ctx, sealed.Options{Path: at.Path, URL: at.URL, Keys: keys, Fault: o.Fault})
	if err != nil {
		return nil, nil, err
	}
	watch, err := observer.New(observer.Config{
		Party: member.ID, Key: member.Sign, TLS: member.TLS, Registry: member.Registry, Store: store, DNS: dns, Signed: s.SignedZone,
		Sets: sets, Popular: s.places(), Bounds: observer.Bounds(s.Bounds), Tick: o.Tick, Now: o.Now, Log: o.Log, Tap: o.Tap,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return watch, func() error {
		closeWeb()
		return store.Close()
	}, nil
}

// openWeb prepares the look at OpenID issuers that the registry names. Each look
// fetches anew: what an observer signs, it has seen then.
func openWeb(dir string, s Settings, o Options, r observer.Registry) (sets func(context.Context, string) ([]byte, error), closeWeb func(), err error) {
	web := s.Web
	web.Resolver = cmp.Or(web.Resolver, s.Resolver)
	c, err := web.Config(dir, o.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	get := fetch.New(c)
	issuers := oidc.New(oidc.Config{Fetch: get, Now: o.Now, Known: func(issuer string) bool {
		_, ok := r.Snapshot().Issuer(issuer)
		return ok
	}})
	return func(ctx context.Context, issuer string) ([]byte, error) {
		p, err := issuers.Configuration(ctx, issuer)
		if err != nil {
			return nil, err
		}
		a, err := get.Get(ctx, p.JWKS, jws.MaxSet)
		return a.Body, err
	}, issuers.Close, nil
}

// Run opens an observer from its settings file, listens, and serves until ctx
// ends.
func Run(ctx context.Context, settingsPath string, o Options) error {
	s, err := ReadSettings(settingsPath)
	if err != nil {
		return err
	}
	watch, closeStore, err := Open(ctx, filepath.Dir(settingsPath), s, o)
	if err != nil {
		return err
	}
	return errors.Join(s.Serve(ctx, o.Log, watch.Serve), closeStore())
}
