// Command whither-prover runs a prover from the folder of its settings file.
// See the package documentation of internal/prover/daemon for what lies in the
// folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"whither/internal/command"
	"whither/internal/prover/daemon"
)

func main() {
	command.Main(command.Command{
		Name: "whither-prover", Settings: daemon.SettingsFile, Serve: serve, Check: inspect,
		Words: []command.Word{{Name: "records", Help: "print what DNS needs, one record a line", Run: printRecords}},
	})
}

func serve(ctx context.Context, config string, log *slog.Logger) error {
	return daemon.Run(ctx, config, daemon.Options{Now: time.Now, Log: log})
}

func inspect(ctx context.Context, config string, log *slog.Logger) (string, error) {
	s, err := daemon.ReadSettings(config)
	if err != nil {
		return "", err
	}
	p, closeStore, err := daemon.Open(ctx, filepath.Dir(config), s, daemon.Options{Now: time.Now, Log: log})
	if err != nil {
		return "", err
	}
	return "settings, keys, registry and store are in order; the word records says what the zone must have", errors.Join(p.Ready(), closeStore())
}

// printRecords needs the folder's settings and its DKIM key, and no registry: a
// new prover publishes its records before it joins.
func printRecords(_ context.Context, config string, args []string, out io.Writer) error {
	if len(args) > 0 {
		return command.Usage("records takes nothing more")
	}
	s, err := daemon.ReadSettings(config)
	if err != nil {
		return err
	}
	records, err := daemon.Records(filepath.Dir(config), s)
	if err != nil {
		return err
	}
	for _, r := range records {
		if _, err := fmt.Fprintf(out, "%s %s %q\n", r.Name, r.Type, r.Value); err != nil {
			return err
		}
	}
	return nil
}
