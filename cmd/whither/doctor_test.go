package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// typed carries out a command line in this process.
func typed(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestDoctorExits(t *testing.T) {
	dir := t.TempDir()
	if code, _, errOut := typed(t, "doctor", dir); code != 1 || !strings.Contains(errOut, "client.toml") {
		t.Errorf("nobody's folder: %d, %s", code, errOut)
	}
	if err := os.WriteFile(filepath.Join(dir, "client.toml"), []byte("dp = \"dp.example\"\ncolor = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := typed(t, "--json", "doctor", dir)
	var report struct {
		Sound    bool                `json:"sound"`
		Findings []map[string]string `json:"findings"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || report.Sound || len(report.Findings) != 1 ||
		report.Findings[0]["verdict"] != "wrong" || !strings.Contains(report.Findings[0]["what"], "color") || report.Findings[0]["mend"] == "" {
		t.Errorf("unknown setting: %d, %v, %s", code, err, out)
	}
	if code, out, _ := typed(t, "doctor", dir); code != 1 || !strings.Contains(out, "→ ") {
		t.Errorf("for people: %d, %s", code, out)
	}
	for _, wrong := range [][]string{
		{"doctor"},
		{"doctor", dir, "--target", "https://dp.example"},
		{"doctor", "--target", "https://dp.example"},
		{"doctor", dir, "--root", filepath.Join(dir, "client.toml")},
	} {
		if code, _, _ := typed(t, wrong...); code != 2 {
			t.Errorf("%v: %d", wrong, code)
		}
	}
}

// TestCompletionKnowsEveryCommand: the scripts come from the command line
// itself, so what --help names, they name.
func TestCompletionKnowsEveryCommand(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, out, errOut := typed(t, "completion", shell)
		if code != 0 {
			t.Fatalf("%s: %d, %s", shell, code, errOut)
		}
		for _, word := range []string{"enrol", "lookup", "doctor", "sign", "federation", "preferred", "fish"} {
			if !strings.Contains(out, word) {
				t.Errorf("%s: no %s", shell, word)
			}
		}
	}
	if code, _, _ := typed(t, "completion", "sh"); code != 2 {
		t.Errorf("a shell that is not known: %d", code)
	}
}
