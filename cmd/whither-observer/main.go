// Command whither-observer runs an observer from the folder of its settings
// file. See the package documentation of internal/observer/daemon for what lies
// in the folder.
package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"whither/internal/command"
	"whither/internal/observer/daemon"
)

func main() {
	command.Main(command.Command{Name: "whither-observer", Settings: daemon.SettingsFile, Serve: serve, Check: inspect})
}

func serve(ctx context.Context, config string, log *slog.Logger) error {
	return daemon.Run(ctx, config, daemon.Options{Now: time.Now, Log: log})
}

// inspect also asks the resolver, so that one which does not answer, or does not
// validate, shows.
func inspect(ctx context.Context, config string, log *slog.Logger) (string, error) {
	s, err := daemon.ReadSettings(config)
	if err != nil {
		return "", err
	}
	o, closeStore, err := daemon.Open(ctx, filepath.Dir(config), s, daemon.Options{Now: time.Now, Log: log})
	if err != nil {
		return "", err
	}
	text := "settings, keys, registry, store and resolver are in order"
	validates, err := o.Validates(ctx)
	if err == nil && !validates {
		text += "; the resolver does not validate DNSSEC, or cannot be believed that it does: observations will say nothing of it"
	}
	return text, errors.Join(err, o.Ready(), closeStore())
}
