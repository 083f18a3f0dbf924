// Command whither-prover runs a prover from the folder of its settings file.
// See the package documentation of internal/prover/daemon for what lies in the
// folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"whither/internal/prover/daemon"
)

const usage = `usage: whither-prover -config prover.toml            serve
       whither-prover -config prover.toml -check     open everything, print what is wrong, and leave
       whither-prover -config prover.toml -records   print what DNS needs, one record a line, and leave
       whither-prover -version
`

func main() {
	flags := flag.NewFlagSet("whither-prover", flag.ExitOnError)
	flags.Usage = func() { _, _ = fmt.Fprint(os.Stderr, usage) }
	config := flags.String("config", "", "settings file")
	check := flags.Bool("check", false, "check and leave")
	records := flags.Bool("records", false, "print what DNS needs and leave")
	version := flags.Bool("version", false, "print the version")
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	if *version {
		if info, ok := debug.ReadBuildInfo(); ok {
			fmt.Println("whither-prover", info.Main.Version)
		}
		return
	}
	if *config == "" || flags.NArg() > 0 || *check && *records {
		flags.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *records {
		err = printRecords(*config)
	} else {
		err = run(ctx, *config, *check)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "whither-prover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config string, check bool) error {
	o := daemon.Options{Now: time.Now, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
	if !check {
		return daemon.Run(ctx, config, o)
	}
	s, err := daemon.ReadSettings(config)
	if err != nil {
		return err
	}
	p, closeStore, err := daemon.Open(ctx, filepath.Dir(config), s, o)
	if err != nil {
		return err
	}
	if err := errors.Join(p.Ready(), closeStore()); err != nil {
		return err
	}
	fmt.Println("settings, keys, registry and store are in order; see -records for what the zone must have")
	return nil
}

// printRecords needs the folder's settings and its DKIM key, and no registry: a
// new prover publishes its records before it joins.
func printRecords(config string) error {
	s, err := daemon.ReadSettings(config)
	if err != nil {
		return err
	}
	records, err := daemon.Records(filepath.Dir(config), s)
	if err != nil {
		return err
	}
	for _, r := range records {
		fmt.Printf("%s %s %q\n", r.Name, r.Type, r.Value)
	}
	return nil
}
