package msp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"whither/cosigner"
	"whither/internal/endpoint"
	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/registry"
	"whither/registry/update"
)

// Settings is msp.toml. Paths are relative to the folder of the file.
type Settings struct {
	// Party is this MSP's id and provider domain, as in the registry.
	Party string `toml:"party"`
	// Listen is the address for users; empty: ":8443".
	Listen string `toml:"listen"`
	// Operations is the address for health and metrics; empty: "127.0.0.1:9443".
	Operations string `toml:"operations"`
	// Registry and Root are files; empty: registry/registry.cose and registry/root.toml.
	Registry string `toml:"registry"`
	Root     string `toml:"root"`
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
	b, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("msp: settings: %w", err)
	}
	var s Settings
	md, err := toml.Decode(string(b), &s)
	if err != nil {
		return Settings{}, fmt.Errorf("msp: %s: %w", SettingsFile, err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return Settings{}, fmt.Errorf("msp: %s: unknown key %s", SettingsFile, unknown[0])
	}
	defaults := []struct {
		value *string
		empty string
	}{
		{&s.Listen, ":8443"},
		{&s.Operations, "127.0.0.1:9443"},
		{&s.Registry, "registry/registry.cose"},
		{&s.Root, "registry/root.toml"},
	}
	for _, d := range defaults {
		if *d.value == "" {
			*d.value = d.empty
		}
	}
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
	id, err := registry.ParsePartyID(s.Party)
	if err != nil {
		return nil, nil, fmt.Errorf("msp: %s: party: %w", SettingsFile, err)
	}
	dp, err := registry.ParsePartyID(s.DP)
	if err != nil {
		return nil, nil, fmt.Errorf("msp: %s: dp: %w", SettingsFile, err)
	}
	keys, err := party.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	offers, err := keyfile.ReadSecret(filepath.Join(dir, "keys", offerFile))
	if err != nil {
		return nil, nil, err
	}
	source, err := update.OpenFiles(in(dir, s.Registry), in(dir, s.Root), o.Now())
	if err != nil {
		return nil, nil, err
	}
	accounts, err := OpenAccountsIn(dir)
	if err != nil {
		return nil, nil, err
	}
	used, err := mspstore.Open(ctx, sqldb.Options{Path: filepath.Join(dir, databaseFile)})
	if err != nil {
		return nil, nil, err
	}
	m, err := New(Config{
		Party: id, Key: keys.Sign, TLS: keys.TLS, Offers: cosigner.Secret(offers), Accounts: accounts, Used: used,
		Registry: source, DP: dp, Budget: s.LookupsPerHour, Tick: o.Tick, Now: o.Now, Log: o.Log, Tap: o.Tap,
	})
	if err != nil {
		return nil, nil, errors.Join(err, used.Close())
	}
	return m, used.Close, nil
}

// in resolves a path of the settings.
func in(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
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
	serve := func() error {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.Listen)
		if err != nil {
			return fmt.Errorf("msp: listen: %w", err)
		}
		ops, err := lc.Listen(ctx, "tcp", s.Operations)
		if err != nil {
			return errors.Join(fmt.Errorf("msp: operations address: %w", err), l.Close())
		}
		o.Log.InfoContext(ctx, "serving", slog.String("party", s.Party), slog.String("listen", s.Listen), slog.String("operations", s.Operations))
		return m.Serve(ctx, l, ops)
	}
	return errors.Join(serve(), closeStore())
}
