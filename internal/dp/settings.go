package dp

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

	"whither/internal/endpoint"
	"whither/internal/keyfile"
	"whither/internal/offer"
	"whither/internal/party"
	"whither/internal/sqlstore"
	"whither/registry"
	"whither/registry/update"
)

// Settings is dp.toml. Paths are relative to the folder of the file.
type Settings struct {
	// Party is this DP's id, a DNS name, as in the registry.
	Party string `toml:"party"`
	// Listen is the address for everybody; empty: ":8443".
	Listen string `toml:"listen"`
	// Operations is the address for health and metrics; empty: "127.0.0.1:9443".
	Operations string `toml:"operations"`
	// Registry and Root are files; empty: registry/registry.cose and registry/root.toml.
	Registry string `toml:"registry"`
	Root     string `toml:"root"`
	// SignatureDays is for how many days a signature on a mapping is good, 1 to
	// 7; zero: 7. Fewer days end a withdrawn mapping sooner and cost more renewals.
	SignatureDays int `toml:"signature_days"`
}

// Names of what lies in a DP's folder.
const (
	SettingsFile = "dp.toml"
	databaseFile = "dp.db"
	offerFile    = "offer.key"
)

// ReadSettings reads a settings file, strictly, and fills in what is empty.
func ReadSettings(path string) (Settings, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("dp: settings: %w", err)
	}
	var s Settings
	md, err := toml.Decode(string(b), &s)
	if err != nil {
		return Settings{}, fmt.Errorf("dp: %s: %w", SettingsFile, err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return Settings{}, fmt.Errorf("dp: %s: unknown key %s", SettingsFile, unknown[0])
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
	if s.SignatureDays == 0 {
		s.SignatureDays = 7
	}
	if s.SignatureDays < 1 || s.SignatureDays > 7 {
		return Settings{}, fmt.Errorf("dp: %s: signature_days is 1 to 7", SettingsFile)
	}
	return s, nil
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
	// Fault and Tap are seams for the demo and tests, nil in production.
	Fault func(write string) sqlstore.Fault
	Tap   func(endpoint.Seen)
}

// Open opens a DP from its folder. The returned function closes its store.
func Open(ctx context.Context, dir string, s Settings, o Options) (*DP, func() error, error) {
	id, err := registry.ParsePartyID(s.Party)
	if err != nil {
		return nil, nil, fmt.Errorf("dp: %s: party: %w", SettingsFile, err)
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
	rowKeys, err := sqlstore.LoadKeys(dir)
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlstore.OpenDirectory(ctx, sqlstore.Options{Path: filepath.Join(dir, databaseFile), Keys: rowKeys, Fault: o.Fault})
	if err != nil {
		return nil, nil, err
	}
	d, err := New(Config{
		Party: id, Key: keys.Sign, TLS: keys.TLS, Offers: [offer.SecretSize]byte(offers), Store: store, Registry: source,
		SignatureLife: time.Duration(s.SignatureDays) * 24 * time.Hour, Tick: o.Tick, Now: o.Now, Log: o.Log, Tap: o.Tap,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return d, store.Close, nil
}

// in resolves a path of the settings.
func in(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
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
	serve := func() error {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.Listen)
		if err != nil {
			return fmt.Errorf("dp: listen: %w", err)
		}
		ops, err := lc.Listen(ctx, "tcp", s.Operations)
		if err != nil {
			return errors.Join(fmt.Errorf("dp: operations address: %w", err), l.Close())
		}
		o.Log.InfoContext(ctx, "serving", slog.String("party", s.Party), slog.String("listen", s.Listen), slog.String("operations", s.Operations))
		return d.Serve(ctx, l, ops)
	}
	return errors.Join(serve(), closeStore())
}
