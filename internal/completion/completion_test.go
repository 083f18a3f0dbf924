package completion_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"whither/internal/completion"
)

// program is a small command line.
var program = completion.Command{
	Name: "tool", Flags: []completion.Flag{{Name: "dir", Value: true}, {Name: "json"}},
	Below: []completion.Command{
		{Name: "list", Help: "List what's there."},
		{Name: "party", Flags: []completion.Flag{{Name: "role", Value: true, Words: []string{"dp", "msp", "prover"}}, {Name: "file", Value: true}}},
		{Name: "registry", Below: []completion.Command{{Name: "sign"}, {Name: "show", Flags: []completion.Flag{{Name: "root", Value: true}}}}},
		{Name: "shell", Words: []string{"bash", "zsh"}},
	},
}

// TestBash types command lines into bash and asks what would be offered.
func TestBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no bash")
		}
		t.Skip("no bash")
	}
	script, err := completion.Script("bash", program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a-file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const ask = `
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_tool
echo "${COMPREPLY[*]}"
`
	for line, want := range map[string]string{
		"tool ":                    "list party registry shell --dir --json",
		"tool r":                   "registry",
		"tool x":                   "",
		"tool registry ":           "sign show --dir --json",
		"tool registry s":          "sign show",
		"tool registry show --":    "--dir --json --root",
		"tool --dir list ":         "list party registry shell --dir --json",
		"tool --dir ":              "a-file",
		"tool --dir x registry si": "sign",
		"tool --json registry si":  "sign",
		"tool party --role ":       "dp msp prover",
		"tool party --role m":      "msp",
		"tool party --file a":      "a-file",
		"tool party --role msp --": "--dir --json --role --file",
		"tool list a":              "a-file",
		"tool list list ":          "a-file",
		"tool shell ":              "bash zsh --dir --json",
		"tool party '; echo x":     "",
	} {
		cmd := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-c", script + ask, "bash"}, strings.Split(line, " ")...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
			t.Errorf("%q: %q, not %q; %v", line, got, want, err)
		}
	}
}

func TestScripts(t *testing.T) {
	for _, shell := range completion.Shells {
		script, err := completion.Script(shell, program)
		if err != nil || !strings.Contains(script, "tool") || !strings.Contains(script, "registry") {
			t.Errorf("%s: %v\n%s", shell, err, script)
		}
		if strings.Contains(script, "what's") {
			t.Errorf("%s: a help text ends a quoted string", shell)
		}
	}
	if _, err := completion.Script("sh", program); err == nil {
		t.Error("a shell that is not known")
	}
	for _, bad := range []string{"", "a b", "$(x)", "a'b", "-x", "a;b", "a\nb"} {
		for _, c := range []completion.Command{
			{Name: bad},
			{Name: "tool", Flags: []completion.Flag{{Name: bad}}},
			{Name: "tool", Flags: []completion.Flag{{Name: "x", Words: []string{bad}}}},
			{Name: "tool", Below: []completion.Command{{Name: bad}}},
		} {
			if _, err := completion.Script("bash", c); !errors.Is(err, completion.ErrName) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}
