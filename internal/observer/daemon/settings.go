package daemon

import (
	"cmp"
	"fmt"

	"whither/internal/fetch"
	"whither/internal/observer"
	"whither/internal/observer/resolver"
	"whither/internal/party"
	"whither/possession/observe"
)

// Settings is observer.toml. Paths are relative to the folder of the file.
type Settings struct {
	party.Settings

	// Resolver is the validating resolver that is asked for DKIM keys, ip:port;
	// empty: "127.0.0.1:53". What it says is believed.
	Resolver string `toml:"resolver"`
	// ResolverProtected says that nobody can stand between here and the resolver,
	// though it is on another machine. On loopback nobody can.
	ResolverProtected bool `toml:"resolver_protected"`
	// SignedZone is a zone that is known to be signed, for trying whether the
	// resolver validates; empty: the root.
	SignedZone string `toml:"signed_zone"`
	// Web is how OpenID issuers are reached. Without a resolver of its own it has
	// the one above.
	Web fetch.Settings `toml:"web"`
	// Bounds are what others can make this observer do; all zero: the defaults of
	// package observer; otherwise each is at least 1.
	Bounds Bounds `toml:"bounds"`
	// Popular are the names whose keys make the daily lists.
	Popular []Popular `toml:"popular"`
}

// Bounds is the table bounds.
type Bounds struct {
	// PerParty and People are looks in an hour: for each party, and for everybody
	// else together.
	PerParty int `toml:"per_party"`
	People   int `toml:"people"`
	// Places is how many places are remembered.
	Places int `toml:"places"`
}

// Popular is a table popular: a domain with selectors, or an issuer.
type Popular struct {
	Domain    string   `toml:"domain"`
	Selectors []string `toml:"selectors"`
	Issuer    string   `toml:"issuer"`
}

// Names of what lies in an observer's folder.
const (
	SettingsFile = "observer.toml"
	databaseFile = "observer.db"
)

// ReadSettings reads a settings file, strictly, and fills in what is empty.
func ReadSettings(path string) (Settings, error) {
	var s Settings
	if err := party.Decode(path, &s); err != nil {
		return Settings{}, fmt.Errorf("daemon: %w", err)
	}
	s = s.Filled()
	return s, s.check()
}

// Filled returns the settings with what is empty filled in.
func (s Settings) Filled() Settings {
	s.Settings = s.WithDefaults()
	s.Resolver = cmp.Or(s.Resolver, "127.0.0.1:53")
	s.SignedZone = cmp.Or(s.SignedZone, ".")
	if s.Bounds == (Bounds{}) {
		s.Bounds = Bounds(observer.DefaultBounds())
	}
	return s
}

func (s Settings) check() error {
	wrong := func(what, want string) error { return fmt.Errorf("daemon: %s: %s: want %s", SettingsFile, what, want) }
	if _, err := s.ID(); err != nil {
		return fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	if _, err := resolver.New(s.Resolver, false); err != nil {
		return wrong("resolver", "ip:port")
	}
	if !observer.Bounds(s.Bounds).Valid() {
		return wrong("bounds", "all three, each at least 1, or none")
	}
	for i, p := range s.Popular {
		if (p.Domain == "") == (p.Issuer == "") || (p.Domain == "") != (len(p.Selectors) == 0) {
			return wrong(fmt.Sprintf("popular %d", i+1), "domain and selectors, or issuer")
		}
	}
	for _, p := range s.places() {
		if !p.Valid() {
			return wrong("popular", "domains and selectors in lower case, issuers as they name themselves")
		}
	}
	return nil
}

// places are the popular places.
func (s Settings) places() []observer.Place {
	var out []observer.Place
	for _, p := range s.Popular {
		if p.Issuer != "" {
			out = append(out, observer.Place{Kind: observe.JWKS, Name: p.Issuer})
		}
		for _, selector := range p.Selectors {
			out = append(out, observer.Place{Kind: observe.DKIM, Name: p.Domain, Selector: selector})
		}
	}
	return out
}
