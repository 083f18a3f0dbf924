// Command whither-dp runs a discovery provider from the folder of its settings
// file. See docs/operate.md and the package documentation of internal/dp for
// what lies in the folder.
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

	"whither/internal/dp"
)

const usage = `usage: whither-dp -config dp.toml          serve
       whither-dp -config dp.toml -check   open everything, print what is wrong, and leave
       whither-dp -version
`

func main() {
	flags := flag.NewFlagSet("whither-dp", flag.ExitOnError)
	flags.Usage = func() { _, _ = fmt.Fprint(os.Stderr, usage) }
	config := flags.String("config", "", "settings file")
	check := flags.Bool("check", false, "check and leave")
	version := flags.Bool("version", false, "print the version")
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	if *version {
		if info, ok := debug.ReadBuildInfo(); ok {
			fmt.Println("whither-dp", info.Main.Version)
		}
		return
	}
	if *config == "" || flags.NArg() > 0 {
		flags.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *config, *check)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "whither-dp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config string, check bool) error {
	o := dp.Options{Now: time.Now, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
	if !check {
		return dp.Run(ctx, config, o)
	}
	s, err := dp.ReadSettings(config)
	if err != nil {
		return err
	}
	d, closeStore, err := dp.Open(ctx, filepath.Dir(config), s, o)
	if err != nil {
		return err
	}
	if err := d.Ready(); err != nil {
		return err
	}
	fmt.Println("settings, keys, registry and store are in order")
	return closeStore()
}
