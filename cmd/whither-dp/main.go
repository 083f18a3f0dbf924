// Command whither-dp runs a discovery provider from the folder of its settings
// file. See docs/operate.md and the package documentation of internal/dp for
// what lies in the folder.
package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"whither/internal/command"
	"whither/internal/dp"
)

func main() {
	command.Main(command.Command{Name: "whither-dp", Settings: dp.SettingsFile, Serve: serve, Check: inspect})
}

func serve(ctx context.Context, config string, log *slog.Logger) error {
	return dp.Run(ctx, config, dp.Options{Now: time.Now, Log: log})
}

func inspect(ctx context.Context, config string, log *slog.Logger) (string, error) {
	s, err := dp.ReadSettings(config)
	if err != nil {
		return "", err
	}
	d, closeStore, err := dp.Open(ctx, filepath.Dir(config), s, dp.Options{Now: time.Now, Log: log})
	if err != nil {
		return "", err
	}
	return "settings, keys, registry and store are in order", errors.Join(d.Ready(), closeStore())
}
