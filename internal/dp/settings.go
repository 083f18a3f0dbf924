package dp

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
	"whither/internal/keyfile"
	"whither/internal/offer"
	"whither/internal/oidc"
	"whither/internal/party"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sqldb"
	"whither/registry"
)

// Settings is dp.toml. Paths are relative to the folder of the file.
type Settings struct {
	party.Settings

	// SignatureDays is for how many days a signature on a mapping is good, 1 to
	// 7; zero: 7. Fewer days end a withdrawn mapping sooner and cost more renewals.
	SignatureDays int `toml:"signature_days"`

	Evidence EvidenceSettings `toml:"evidence"`

	Review ReviewSettings `toml:"review"`

	// Web is how OpenID providers are reached that say who has an address; on the
	// Internet it stays empty.
	Web fetch.Settings `toml:"web"`

	Limits LimitSettings `toml:"limits"`
}

// Names of what lies in a DP's folder.
const (
	SettingsFile = "dp.toml"
	databaseFile = "dp.db"
	offerFile    = "offer.key"
)

// ReadSettings reads a settings file, strictly, and fills in what is empty.
func ReadSettings(path string) (Settings, error) {
	var s Settings
	if err := party.Decode(path, &s); err != nil {
		return Settings{}, fmt.Errorf("dp: %w", err)
	}
	s.Settings = s.WithDefaults()
	s.SignatureDays = cmp.Or(s.SignatureDays, 7)
	if s.SignatureDays < 1 || s.SignatureDays > 7 {
		return Settings{}, fmt.Errorf("dp: %s: signature_days is 1 to 7", SettingsFile)
	}
	if _, err := s.Evidence.demands(); err != nil {
		return s, err
	}
	if err := s.Limits.check(); err != nil {
		return s, err
	}
	_, err := s.Review.reviewers()
	return s, err
}

// Place returns where the DP of a folder keeps its mappings.
func (s Settings) Place(dir string) (sqldb.Options, error) {
	at, err := sqldb.Locate(s.Store.URL, dir, databaseFile)
	if err != nil {
		return at, fmt.Errorf("dp: %s: store: %w", SettingsFile, err)
	}
	return at, nil
}

// MakeKeys makes everything secret in a new DP's folder.
func MakeKeys(dir string, id registry.PartyID, now time.Time) error {
	if _, err := party.Make(dir, id, now); err != nil {
		return err
	}
	if _, err := sqlstore.MakeKeys(dir); err != nil {
		return err
	}
	_, err := keyfile.MakeSecret(filepath.Join(dir, "keys", offerFile))
	return err
}

// Options are what a process gives to a DP besides its folder.
type Options struct {
	Now  func() time.Time
	Log  *slog.Logger
	Tick time.Duration
	// Grace is as in [Config].
	Grace time.Duration
	// Fault and Tap are seams for the demo and tests, nil in production.
	Fault func(write string) sqlstore.Fault
	Tap   func(endpoint.Seen)
}

// Open opens a DP from its folder. The returned function closes its store.
func Open(ctx context.Context, dir string, s Settings, o Options) (*DP, func() error, error) {
	m, err := s.Open(ctx, dir, o.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("dp: %s: %w", SettingsFile, err)
	}
	demands, err := s.Evidence.demands()
	if err != nil {
		return nil, nil, err
	}
	reviewers, err := s.Review.reviewers()
	if err != nil {
		return nil, nil, err
	}
	offers, err := keyfile.ReadSecret(filepath.Join(dir, "keys", offerFile))
	if err != nil {
		return nil, nil, err
	}
	rowKeys, err := sqlstore.LoadKeys(dir)
	if err != nil {
		return nil, nil, err
	}
	at, err := s.Place(dir)
	if err != nil {
		return nil, nil, err
	}
	web, err := s.Web.Config(dir, o.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("dp: %s: %w", SettingsFile, err)
	}
	providers := oidc.New(oidc.Config{Fetch: fetch.New(web), Now: o.Now, Known: func(issuer string) bool {
		_, ok := m.Registry.Snapshot().Issuer(issuer)
		return ok
	}})
	store, err := sqlstore.OpenDirectory(ctx, sqlstore.Options{Path: at.Path, URL: at.URL, Keys: rowKeys, Fault: o.Fault})
	if err != nil {
		return nil, nil, err
	}
	d, err := New(Config{
		Party: m.ID, Key: m.Sign, TLS: m.TLS, Offers: [offer.SecretSize]byte(offers), Store: store, Registry: m.Registry,
		Lookups: s.Limits.lookups(), Live: s.Limits.Mappings, OfferLife: s.Limits.offerLife(),
		SignatureLife: s.signatureLife(), Demands: demands, Reviewers: reviewers, Quorum: s.Review.Quorum, Tick: o.Tick, Grace: o.Grace, EventKeys: providers.Keys,
		Now: o.Now, Log: o.Log, Tap: o.Tap,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return d, func() error {
		providers.Close()
		return store.Close()
	}, nil
}

// Run opens a DP from its settings file, listens, and serves until ctx ends.
func Run(ctx context.Context, settingsPath string, o Options) error {
	s, err := ReadSettings(settingsPath)
	if err != nil {
		return err
	}
	d, closeStore, err := Open(ctx, filepath.Dir(settingsPath), s, o)
	if err != nil {
		return err
	}
	return errors.Join(s.Serve(ctx, o.Log, d.Serve), closeStore())
}
