package command_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"whither/internal/command"
)

func TestRun(t *testing.T) {
	did := ""
	broken := errors.New("no such folder")
	c := command.Command{
		Name: "whither-x", Settings: "x.toml",
		Serve: func(_ context.Context, config string, _ *slog.Logger) error { did = "served " + config; return nil },
		Check: func(_ context.Context, config string, _ *slog.Logger) (string, error) {
			if config == "bad.toml" {
				return "", broken
			}
			return "all in order", nil
		},
		Words: []command.Word{{Name: "say", Args: "WORD…", Help: "say words", Run: func(_ context.Context, _ string, args []string, out io.Writer) error {
			if len(args) == 0 {
				return command.Usage("say what?")
			}
			_, err := io.WriteString(out, strings.Join(args, " "))
			return err
		}}},
	}
	const usage = `usage: whither-x -config x.toml             serve
       whither-x -config x.toml -check      open everything, print what is wrong, and leave
       whither-x -config x.toml say WORD…   say words
       whither-x -version                   print the version
`
	for _, test := range []struct {
		args             string
		status           int
		did, out, errOut string
	}{
		{args: "-config x.toml", did: "served x.toml"},
		{args: "-config x.toml -check", out: "all in order\n"},
		{args: "-config bad.toml -check", status: 1, errOut: "whither-x: no such folder\n"},
		{args: "-config x.toml say a b", out: "a b"},
		{args: "-config x.toml say", status: 2, errOut: "whither-x: say what?\n" + usage},
		{args: "-config x.toml sing", status: 2, errOut: "whither-x: no such word: \"sing\"\n" + usage},
		{args: "-config x.toml -check say a", status: 2, errOut: usage},
		{args: "say a", status: 2, errOut: usage},
		{args: "", status: 2, errOut: usage},
		{args: "-h", errOut: usage},
		{args: "-loud", status: 2, errOut: "flag provided but not defined: -loud\n" + usage},
	} {
		t.Run(test.args, func(t *testing.T) {
			did = ""
			var out, errOut bytes.Buffer
			status := c.Do(t.Context(), strings.Fields(test.args), &out, &errOut)
			if status != test.status || did != test.did || out.String() != test.out || errOut.String() != test.errOut {
				t.Errorf("status %d, did %q, out %q, errors %q", status, did, out.String(), errOut.String())
			}
		})
	}
}
