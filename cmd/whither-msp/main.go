// Command whither-msp runs a development MSP from the folder of its settings
// file, and makes accounts in it. See docs/operate.md and the package
// documentation of internal/msp for what lies in the folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"whither/csi"
	"whither/internal/msp"
)

const usage = `usage: whither-msp -config msp.toml                      serve
       whither-msp -config msp.toml -check               open everything, print what is wrong, and leave
       whither-msp -config msp.toml -account NAME CSI…   make an account and print its token, once
       whither-msp -version
`

func main() {
	flags := flag.NewFlagSet("whither-msp", flag.ExitOnError)
	flags.Usage = func() { _, _ = fmt.Fprint(os.Stderr, usage) }
	config := flags.String("config", "", "settings file")
	check := flags.Bool("check", false, "check and leave")
	account := flags.String("account", "", "make an account of this name")
	version := flags.Bool("version", false, "print the version")
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	if *version {
		if info, ok := debug.ReadBuildInfo(); ok {
			fmt.Println("whither-msp", info.Main.Version)
		}
		return
	}
	if *config == "" || (flags.NArg() > 0) != (*account != "") || *check && *account != "" {
		flags.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *account != "" {
		err = makeAccount(filepath.Dir(*config), *account, flags.Args())
	} else {
		err = run(ctx, *config, *check)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "whither-msp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config string, check bool) error {
	o := msp.Options{Now: time.Now, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
	if !check {
		return msp.Run(ctx, config, o)
	}
	s, err := msp.ReadSettings(config)
	if err != nil {
		return err
	}
	m, closeStore, err := msp.Open(ctx, filepath.Dir(config), s, o)
	if err != nil {
		return err
	}
	if err := m.Ready(); err != nil {
		return err
	}
	fmt.Println("settings, keys, registry, accounts and store are in order")
	return closeStore()
}

// makeAccount adds an account to the file. A running MSP takes it over within
// a minute.
func makeAccount(dir, name string, texts []string) error {
	csis := make([]csi.ID, 0, len(texts))
	for _, text := range texts {
		id, err := csi.Parse(text)
		if err != nil {
			return err
		}
		csis = append(csis, id)
	}
	accounts, err := msp.OpenAccountsIn(dir)
	if err != nil {
		return err
	}
	token, err := accounts.Add(name, csis...)
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
