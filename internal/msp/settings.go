package msp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"whither/cosigner"
	"whither/internal/endpoint"
	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/registry"
)

// Settings is msp.toml. Paths are relative to the folder of the file.
type Settings struct {
	party.Settings

	// DP is the id of the DP that is asked for users; of another operator.
	DP string `toml:"dp"`
	// LookupsPerHour is how many CSIs an account may look up in an hour; zero: 2,000.
	LookupsPerHour int `toml:"lookups_per_hour"`
}

// Names of what lies in an MSP's folder.
const (
	SettingsFile = "msp.toml"
	accountsName = "accounts.json"
	databaseFile = "msp.db"
	offerFile    = "offer.key"
)

// ReadSettings reads a settings file, strictly, and fills in what is empty.
func ReadSettings(path string) (Settings, error) {
	var s Settings
	if err := party.Decode(path, &s); err != nil {
		return Settings{}, fmt.Errorf("msp: %w", err)
	}
	s.Settings = s.WithDefaults()
	if s.LookupsPerHour < 0 {
		return Settings{}, fmt.Errorf("msp: %s: lookups_per_hour is at least 1", SettingsFile)
	}
	return s, nil
}

// MakeKeys makes everything secret in a new MSP's folder.
func MakeKeys(dir string, id registry.PartyID, now time.Time) error {
	if _, err := party.Make(dir, id, now); err != nil {
		return err
	}
	_, err := keyfile.MakeSecret(filepath.Join(dir, "keys", offerFile))
	return err
}

// Options are what a process gives to an MSP besides its folder.
type Options struct {
	Now  func() time.Time
	Log  *slog.Logger
	Tick time.Duration
	// Tap is a seam for the demo and tests, nil in production.
	Tap func(endpoint.Seen)
}

// OpenAccountsIn opens the account store of an MSP's folder.
func OpenAccountsIn(dir string) (*Accounts, error) {
	return OpenAccounts(filepath.Join(dir, accountsName))
}

// Open opens an MSP from its folder. The returned function closes its store.
func Open(ctx context.Context, dir string, s Settings, o Options) (*MSP, func() error, error) {
	dp, err := registry.ParsePartyID(s.DP)
	if err != nil {
		return nil, nil, fmt.Errorf("msp: %s: dp: %w", SettingsFile, err)
	}
	in, err := s.Open(ctx, dir, o.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("msp: %s: %w", SettingsFile, err)
	}
	offers, err := keyfile.ReadSecret(filepath.Join(dir, "keys", offerFile))
	if err != nil {
		return nil, nil, err
	}
	accounts, err := OpenAccountsIn(dir)
	if err != nil {
		return nil, nil, err
	}
	at, err := sqldb.Locate(s.Store.URL, dir, databaseFile)
	if err != nil {
		return nil, nil, fmt.Errorf("msp: %s: store: %w", SettingsFile, err)
	}
	used, err := mspstore.Open(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	m, err := New(Config{
		Party: in.ID, Key: in.Sign, TLS: in.TLS, Offers: cosigner.Secret(offers), Accounts: accounts, Used: used, Inbox: used, Ledger: used,
		Registry: in.Registry, DP: dp, Budget: s.LookupsPerHour, Tick: o.Tick, Now: o.Now, Log: o.Log, Tap: o.Tap,
	})
	if err != nil {
		return nil, nil, errors.Join(err, used.Close())
	}
	return m, used.Close, nil
}

// Run opens an MSP from its settings file, listens, and serves until ctx ends.
func Run(ctx context.Context, settingsPath string, o Options) error {
	s, err := ReadSettings(settingsPath)
	if err != nil {
		return err
	}
	m, closeStore, err := Open(ctx, filepath.Dir(settingsPath), s, o)
	if err != nil {
		return err
	}
	return errors.Join(s.Serve(ctx, o.Log, m.Serve), closeStore())
}
