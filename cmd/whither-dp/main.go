// Command whither-dp runs a discovery provider from the folder of its settings
// file. See docs/operate.md and the package documentation of internal/dp for
// what lies in the folder.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"whither/disclosure"
	"whither/internal/command"
	"whither/internal/dp"
	"whither/internal/keyfile"
)

func main() {
	command.Main(command.Command{Name: "whither-dp", Settings: dp.SettingsFile, Serve: serve, Check: inspect, Words: words()})
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
	fine := "settings, keys, registry and store are in order"
	if errors.Is(d.Disclosed(), disclosure.ErrAbsent) {
		fine += "; the registry does not name what this DP discloses: see the word disclosure"
	}
	return fine, errors.Join(d.Ready(), closeStore())
}

// words are what is done beside a running DP.
func words() []command.Word {
	return []command.Word{{
		Name: "review", Args: "list | show CASE | decide CASE newcomer|incumbent KEYFILE REASON | key KEYFILE",
		Help: "see the cases that people decide, and decide them", Run: review,
	}, {
		Name: "disclosure", Args: "[apply]",
		Help: "print what the settings disclose, or make the application that has its digest", Run: disclose,
	}}
}

// disclose prints the document that a DP with these settings serves, or applies
// with its digest.
func disclose(ctx context.Context, config string, args []string, out io.Writer) error {
	switch {
	case len(args) == 0:
	case len(args) == 1 && args[0] == "apply":
		application, err := dp.Reapply(ctx, config, time.Now())
		if err == nil {
			_, err = fmt.Fprintln(out, "made the application", application)
		}
		return err
	default:
		return command.Usage("disclosure: alone, or with apply")
	}
	document, err := dp.Document(ctx, config, time.Now())
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", document)
	}
	return err
}

func review(ctx context.Context, config string, args []string, out io.Writer) error {
	var do func(*dp.Review) error
	switch {
	case len(args) == 2 && args[0] == "key":
		return makeReviewer(args[1], out)
	case len(args) == 1 && args[0] == "list":
		do = func(r *dp.Review) error { return r.List(ctx) }
	case len(args) == 2 && args[0] == "show":
		do = func(r *dp.Review) error { return r.Show(ctx, args[1]) }
	case len(args) == 5 && args[0] == "decide" && (args[2] == dp.SideNewcomer || args[2] == dp.SideIncumbent):
		do = func(r *dp.Review) error { return r.Decide(ctx, args[1], args[2], args[3], args[4]) }
	default:
		return command.Usage("review: list, show, decide or key")
	}
	r, err := dp.OpenReview(ctx, config, dp.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)}, out)
	if err != nil {
		return err
	}
	return errors.Join(do(r), r.Close())
}

// makeReviewer makes a reviewer's key, and prints what goes into dp.toml.
func makeReviewer(path string, out io.Writer) error {
	k, err := keyfile.MakeSigning(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, hex.EncodeToString(k.Public().Bytes()))
	return err
}
