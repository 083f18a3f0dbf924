package sqldb

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Locate reads a daemon's setting of where its store is: file:PATH, or the URL
// of a PostgreSQL database; empty is the file of that name. Paths, those within
// a URL, too, are relative to the daemon's folder.
func Locate(setting, folder, file string) (Options, error) {
	in := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(folder, path)
	}
	if setting == "" {
		return Options{Path: in(file)}, nil
	}
	if path, ok := strings.CutPrefix(setting, "file:"); ok && path != "" && !strings.HasPrefix(path, "//") {
		return Options{Path: in(path)}, nil
	}
	u, err := url.Parse(setting)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return Options{}, fmt.Errorf("%w: want file:PATH or postgres://user@host/database", ErrURL) // not quoted: it may hold a password
	}
	q := u.Query()
	for _, name := range []string{"passfile", "sslrootcert", "sslcert", "sslkey"} {
		if path := q.Get(name); path != "" && path != "system" {
			q.Set(name, in(path))
		}
	}
	u.RawQuery = q.Encode()
	return Options{URL: u.String()}, nil
}
