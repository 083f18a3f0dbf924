package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"whither/internal/keyfile"
)

// Settings is the table web of a settings file: how a program reaches servers of
// the outside world. On the Internet all of it stays empty.
type Settings struct {
	// Resolver is the name server, host:port; empty: the system's, or the one of
	// the settings file.
	Resolver string `toml:"resolver,omitempty"`
	// Roots is a file with the authorities of servers' certificates, in PEM;
	// empty: the system's.
	Roots string `toml:"roots,omitempty"`
	// Port is the port of https URLs that name none; zero: 443.
	Port int `toml:"port,omitempty"`
	// Allow are networks, as 10.1.0.0/16, that are asked though they are not
	// public.
	Allow []string `toml:"allow,omitempty"`
}

// Config reads what the settings name; paths are relative to dir.
func (s Settings) Config(dir string, now func() time.Time) (Config, error) {
	c := Config{Port: s.Port, Now: now}
	if s.Resolver != "" {
		if _, _, err := net.SplitHostPort(s.Resolver); err != nil {
			return Config{}, fmt.Errorf("web.resolver: want host:port")
		}
		c.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, s.Resolver)
		}}
	}
	if s.Port < 0 || s.Port > 65535 {
		return Config{}, fmt.Errorf("web.port: want 1 to 65535")
	}
	for _, text := range s.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			return Config{}, fmt.Errorf("web.allow: want networks, as 10.1.0.0/16")
		}
		c.Allow = append(c.Allow, p)
	}
	if s.Roots != "" {
		path := s.Roots
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		var err error
		if c.Roots, err = keyfile.Roots(path); err != nil {
			return Config{}, fmt.Errorf("web.roots: %w", err)
		}
	}
	return c, nil
}
