package party

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"whither/internal/keyfile"
	"whither/registry"
	"whither/registry/update"
)

// Settings is what every daemon's settings file begins with. Paths are relative
// to the folder of the file.
type Settings struct {
	// Party is the daemon's party, a DNS name, as in the registry.
	Party string `toml:"party"`
	// Listen is the address for messages; empty: ":8443".
	Listen string `toml:"listen"`
	// Operations is the address for health and metrics; empty: "127.0.0.1:9443".
	Operations string `toml:"operations"`
	// Registry is where the federation publishes, an https URL, or a file with a
	// set of what it publishes; empty: registry/registry.set. Root is the file with
	// the first root.json, got by a way that is trusted; empty: registry/root.json.
	Registry string `toml:"registry"`
	Root     string `toml:"root"`
	// RegistryCA is a file with the authorities that a publication's server has
	// its certificate from, in PEM; empty: the system's.
	RegistryCA string `toml:"registry_ca"`
	// Store says where the daemon keeps what it must not forget.
	Store StoreSettings `toml:"store"`
}

// StoreSettings is the table store.
type StoreSettings struct {
	// URL is file:PATH for an SQLite file, or that of a PostgreSQL database,
	// postgres://user@host/database?passfile=…; empty: the role's own file.
	URL string `toml:"url"`
}

// WithDefaults returns the settings with what is empty filled in.
func (s Settings) WithDefaults() Settings {
	return Settings{
		Party:      s.Party,
		Listen:     cmp.Or(s.Listen, ":8443"),
		Operations: cmp.Or(s.Operations, "127.0.0.1:9443"),
		Registry:   cmp.Or(s.Registry, "registry/registry.set"),
		Root:       cmp.Or(s.Root, "registry/root.json"),
		RegistryCA: s.RegistryCA,
		Store:      s.Store,
	}
}

// ID returns the party of the settings.
func (s Settings) ID() (registry.PartyID, error) {
	id, err := registry.ParsePartyID(s.Party)
	if err != nil {
		return id, fmt.Errorf("party: %w", err)
	}
	return id, nil
}

// Decode reads a settings file: TOML, and no key but those of the settings.
func Decode(path string, settings any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	md, err := toml.Decode(string(b), settings)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("%s: unknown key %s", filepath.Base(path), unknown[0])
	}
	return nil
}

// In resolves a path of the settings that lie in a folder.
func In(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Member is a party with its keys and its registry.
type Member struct {
	Keys

	ID       registry.PartyID
	Registry *update.Source
}

// Open reads what every party's folder has.
func (s Settings) Open(ctx context.Context, dir string, now time.Time) (Member, error) {
	var m Member
	var err error
	if m.ID, err = s.ID(); err != nil {
		return Member{}, err
	}
	if m.Keys, err = Load(dir); err != nil {
		return Member{}, err
	}
	if m.Registry, err = s.Source(ctx, dir, now); err != nil {
		return Member{}, err
	}
	return m, nil
}

// Source opens the registry of the settings. What is known of it is remembered
// beside the root, in the file PARTY.known.
func (s Settings) Source(ctx context.Context, dir string, now time.Time) (*update.Source, error) {
	root, err := os.ReadFile(In(dir, s.Root))
	if err != nil {
		return nil, fmt.Errorf("root of the registry: %w", err)
	}
	o := update.Options{Root: root, State: filepath.Join(filepath.Dir(In(dir, s.Root)), s.Party+".known")}
	if !strings.HasPrefix(s.Registry, "https:") {
		o.File = In(dir, s.Registry)
		return update.Open(ctx, o, now)
	}
	var authorities *x509.CertPool
	if s.RegistryCA != "" {
		if authorities, err = keyfile.Roots(In(dir, s.RegistryCA)); err != nil {
			return nil, err
		}
	}
	if o.Fetch, err = update.Server(s.Registry, authorities); err != nil {
		return nil, err
	}
	return update.Open(ctx, o, now)
}

// Serve opens the two sockets of the settings, says so, and serves on them.
func (s Settings) Serve(ctx context.Context, log *slog.Logger, serve func(ctx context.Context, messages, operations net.Listener) error) error {
	l, err := Listen(ctx, Socket{Setting: "listen", Address: s.Listen}, Socket{Setting: "operations", Address: s.Operations})
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "serving", slog.String("party", s.Party), slog.String("listen", s.Listen), slog.String("operations", s.Operations))
	return serve(ctx, l[0], l[1])
}

// Socket is an address to listen on and the setting that it comes from.
type Socket struct{ Setting, Address string }

// Listen opens all sockets, over TCP, or none.
func Listen(ctx context.Context, sockets ...Socket) ([]net.Listener, error) {
	var config net.ListenConfig
	var open []net.Listener
	for _, s := range sockets {
		l, err := config.Listen(ctx, "tcp", s.Address)
		if err != nil {
			err = fmt.Errorf("%s: %w", s.Setting, err)
			for _, l := range open {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		open = append(open, l)
	}
	return open, nil
}
