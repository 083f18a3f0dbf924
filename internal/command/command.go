// Package command is what the commands of the daemons have in common: their
// flags, their signals and how they end. A daemon serves from its settings file;
// with -check it opens everything, says what is wrong and leaves; with a further
// word it does something small beside a running one.
package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

// Command is what a daemon is behind its flags. The functions get the path of
// the settings file.
type Command struct {
	Name     string // of the program
	Settings string // name of the settings file, for the usage
	Serve    func(ctx context.Context, config string, log *slog.Logger) error
	// Check opens everything and returns what is in order, for people.
	Check func(ctx context.Context, config string, log *slog.Logger) (string, error)
	Words []Word
}

// Word is a further thing that a daemon's command does.
type Word struct {
	Name string
	Args string // for the usage; empty: there are none
	Help string // what it does, in a few words
	// Run does it. Anything wrong with the arguments is a [Usage].
	Run func(ctx context.Context, config string, args []string, out io.Writer) error
}

// Usage is an error in the arguments; the command prints its usage after it.
type Usage string

func (u Usage) Error() string { return string(u) }

// Main runs a command with the arguments of the process and ends the process: 0
// after success, 1 after an error, 2 where the arguments make no sense.
func Main(c Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := c.Do(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Do carries the arguments out and returns the status to end with.
func (c Command) Do(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() { _, _ = io.WriteString(errOut, c.usage()) }
	config := flags.String("config", "", "settings file")
	check := flags.Bool("check", false, "check and leave")
	version := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp: //nolint:errorlint // flag returns it bare
		return 0
	case err != nil:
		return 2
	}
	if *version {
		if info, ok := debug.ReadBuildInfo(); ok {
			_, _ = fmt.Fprintln(out, c.Name, info.Main.Version)
		}
		return 0
	}
	err := c.do(ctx, *config, *check, flags.Args(), out, slog.New(slog.NewJSONHandler(errOut, nil)))
	usage, wrong := err.(Usage) //nolint:errorlint // it comes from here or straight from a word
	switch {
	case wrong:
		if usage != "" {
			_, _ = fmt.Fprintf(errOut, "%s: %s\n", c.Name, usage)
		}
		flags.Usage()
		return 2
	case err != nil:
		_, _ = fmt.Fprintf(errOut, "%s: %v\n", c.Name, err)
		return 1
	}
	return 0
}

// do does what the arguments ask for.
func (c Command) do(ctx context.Context, config string, check bool, args []string, out io.Writer, log *slog.Logger) error {
	switch {
	case config == "", check && len(args) > 0:
		return Usage("")
	case check:
		fine, err := c.Check(ctx, config, log)
		if err == nil {
			_, err = fmt.Fprintln(out, fine)
		}
		return err
	case len(args) == 0:
		return c.Serve(ctx, config, log)
	}
	for _, w := range c.Words {
		if w.Name == args[0] {
			return w.Run(ctx, config, args[1:], out)
		}
	}
	return Usage(fmt.Sprintf("no such word: %q", args[0]))
}

// usage returns the lines of help.
func (c Command) usage() string {
	lines := [][2]string{
		{"-config " + c.Settings, "serve"},
		{"-config " + c.Settings + " -check", "open everything, print what is wrong, and leave"},
	}
	for _, w := range c.Words {
		lines = append(lines, [2]string{strings.TrimSpace("-config " + c.Settings + " " + w.Name + " " + w.Args), w.Help})
	}
	lines = append(lines, [2]string{"-version", "print the version"})
	wide := 0
	for _, l := range lines {
		wide = max(wide, len([]rune(l[0])))
	}
	var b strings.Builder
	for i, l := range lines {
		start := "       "
		if i == 0 {
			start = "usage: "
		}
		_, _ = fmt.Fprintf(&b, "%s%s %s%s   %s\n", start, c.Name, l[0], strings.Repeat(" ", wide-len([]rune(l[0]))), l[1])
	}
	return b.String()
}
