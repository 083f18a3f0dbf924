// Command whither-msp runs a development MSP from the folder of its settings
// file, and makes accounts in it. See docs/operate.md and the package
// documentation of internal/msp for what lies in the folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"whither/csi"
	"whither/internal/command"
	"whither/internal/msp"
)

func main() {
	command.Main(command.Command{
		Name: "whither-msp", Settings: msp.SettingsFile, Serve: serve, Check: inspect,
		Words: []command.Word{
			{Name: "account", Args: "NAME CSI…", Help: "make an account and print its token, once", Run: makeAccount},
			{Name: "close", Args: "NAME", Help: "close an account, and end what was confirmed for it", Run: closeAccount},
		},
	})
}

func serve(ctx context.Context, config string, log *slog.Logger) error {
	return msp.Run(ctx, config, msp.Options{Now: time.Now, Log: log})
}

func inspect(ctx context.Context, config string, log *slog.Logger) (string, error) {
	s, err := msp.ReadSettings(config)
	if err != nil {
		return "", err
	}
	m, closeStore, err := msp.Open(ctx, filepath.Dir(config), s, msp.Options{Now: time.Now, Log: log})
	if err != nil {
		return "", err
	}
	return "settings, keys, registry, accounts and store are in order", errors.Join(m.Ready(), closeStore())
}

// makeAccount adds an account to the file. A running MSP takes it over within
// a minute.
func makeAccount(_ context.Context, config string, args []string, out io.Writer) error {
	if len(args) < 2 {
		return command.Usage("an account has a name and at least one CSI")
	}
	var csis []csi.ID
	for _, text := range args[1:] {
		id, err := csi.Parse(text)
		if err != nil {
			return err
		}
		csis = append(csis, id)
	}
	accounts, err := msp.OpenAccountsIn(filepath.Dir(config))
	if err != nil {
		return err
	}
	token, err := accounts.Add(args[0], csis...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, token)
	return err
}

// closeAccount takes an account out of the file and has the MSP end its entries in
// the mappings that it signed for it. A running MSP does so within a minute.
func closeAccount(ctx context.Context, config string, args []string, out io.Writer) error {
	if len(args) != 1 {
		return command.Usage("one account is closed at a time, by its name")
	}
	s, err := msp.ReadSettings(config)
	if err != nil {
		return err
	}
	if err := msp.CloseAccount(ctx, filepath.Dir(config), s, args[0]); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "closed; the running MSP tells the DPs within a minute")
	return err
}
