// Command whither is for people: holders enrol, replace and withdraw, askers
// look up, anyone verifies a mapping offline, and everybody can start a whole
// federation on one machine with whither demo.
//
// It keeps a person's keys, mappings and accounts in one folder (--dir, by
// default whither in the user's configuration folder); no file name there
// tells an address. Tables are for people; --json is for machines. It exits
// with 0 when all is well, 1 when something was refused or failed, 2 when it
// was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"whither/internal/console"
	"whither/internal/operator"
)

// cli is the whole command line.
type cli struct {
	Dir  string `help:"Folder with keys, mappings and accounts." type:"path" env:"WHITHER_DIR" placeholder:"DIR"`
	JSON bool   `help:"Print JSON for machines." name:"json"`

	Demo     demoCommand       `cmd:"" help:"Start a whole federation on this machine and show a discovery."`
	Init     initCommand       `cmd:"" help:"Make a folder for a person: where the registry is, which DP, which account."`
	Keygen   keygenCommand     `cmd:"" help:"Make the holder's key."`
	Enrol    enrolCommand      `cmd:"" help:"Prove that an address is yours and make it findable."`
	List     listCommand       `cmd:"" help:"List your own mappings."`
	Replace  replaceCommand    `cmd:"" help:"Put another mapping in the place of one of yours."`
	Withdraw withdrawCommand   `cmd:"" help:"End a mapping of yours."`
	Rotate   rotateCommand     `cmd:"" help:"Hand your mappings over to a new key."`
	Recover  recoverCommand    `cmd:"" help:"Your key is lost: prove under a new one that an address is yours."`
	Join     joinCommand       `cmd:"" help:"Make a second device or app of yours findable beside the first."`
	Reprove  reproveCommand    `cmd:"" help:"Somebody else claims your address: prove again that it is yours."`
	Status   statusCommand     `cmd:"" help:"Ask the DPs how your mappings and claims stand."`
	Where    whereCommand      `cmd:"" help:"See what anybody finds under your addresses."`
	Lookup   lookupCommand     `cmd:"" help:"Ask where an address can be reached."`
	Choose   chooseCommand     `cmd:"" help:"Ask where to write to somebody, and stay with it."`
	Verify   verifyCommand     `cmd:"" help:"Verify a mapping from a file, without any network."`
	Registry operator.Registry `cmd:"" help:"Run a federation: make and sign its registry."`
	Party    operator.Party    `cmd:"" help:"Make the folder of a DP, an MSP or a prover."`
	Fsck     operator.Fsck     `cmd:"" help:"Check a DP's store."`
	Bench    benchCommand      `cmd:"" help:"Measure on this machine what a DP costs."`
	BenchDP  benchDPCommand    `cmd:"" name:"bench-dp" hidden:""`
	Doctor   doctorCommand     `cmd:"" help:"Say what is wrong with a folder or a server, and how to mend it."`
	Outside  outsideCommand    `cmd:"" help:"Start a small outside world on loopback: DNS, mail, phones."`

	Completion completionCommand `cmd:"" help:"Print what makes a shell complete whither."`

	Version versionCommand `cmd:"" help:"Print the version."`
}

// session is what a command gets: the world outside the program.
type session struct {
	console.Console

	in  io.Reader
	dir string
	// dirGiven tells a folder that was asked for from the default one.
	dirGiven bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run parses the command line and carries it out.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("whither"),
		kong.Description("Where can this address be reached? Discovery for interoperable messaging, with proof."),
		kong.UsageOnError(), kong.Writers(out, errOut), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "whither:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited // help was printed
	}
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "whither: %v; see whither --help\n", err)
		return 2
	}
	dir := c.Dir
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			_, _ = fmt.Fprintln(errOut, "whither: no configuration folder; give --dir:", err)
			return 2
		}
		dir = filepath.Join(base, "whither")
	}
	k.BindTo(ctx, (*context.Context)(nil))
	s := &session{
		Console: console.Console{Out: out, ErrOut: errOut, JSON: c.JSON, Now: time.Now}, in: in, dir: dir, dirGiven: c.Dir != "",
	}
	k.Bind(&s.Console) // for what runs without a person's folder
	switch err := k.Run(s); {
	case err == nil:
		return 0
	case errors.Is(err, console.ErrUsage):
		_, _ = fmt.Fprintln(errOut, "whither:", err)
		return 2
	default:
		_, _ = fmt.Fprintln(errOut, "whither:", err)
		return 1
	}
}

type versionCommand struct{}

// Run prints what the binary was built from.
func (versionCommand) Run(s *session) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	_, err := fmt.Fprintln(s.Out, "whither", version)
	return err
}
