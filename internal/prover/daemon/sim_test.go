package daemon_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"whither/internal/prover/daemon"
)

// TestSIMSettings: operators are opened from the folder, or what is wrong with
// them is said.
func TestSIMSettings(t *testing.T) {
	const operator = "[[sim.operator]]\nprefix = \"+41\"\nurl = \"https://op.example\"\ntoken = \"sim.token\"\n"
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"one operator":    {"[sim]\nhours = 24\n" + operator, true},
		"two":             {operator + "[[sim.operator]]\nprefix = \"+4179\"\nurl = \"https://op2.example\"\ntoken = \"sim.token\"\n", true},
		"hours alone":     {"[sim]\nhours = 1\n", true},
		"too long":        {"[sim]\nhours = 2401\n" + operator, false},
		"before time":     {"[sim]\nhours = -1\n" + operator, false},
		"no plus":         {"[[sim.operator]]\nprefix = \"41\"\nurl = \"https://op.example\"\ntoken = \"sim.token\"\n", false},
		"no prefix":       {"[[sim.operator]]\nurl = \"https://op.example\"\ntoken = \"sim.token\"\n", false},
		"no token":        {"[[sim.operator]]\nprefix = \"+41\"\nurl = \"https://op.example\"\ntoken = \"other.token\"\n", false},
		"plain HTTP":      {"[[sim.operator]]\nprefix = \"+41\"\nurl = \"http://op.example\"\ntoken = \"sim.token\"\n", false},
		"unknown setting": {"[sim]\ndays = 10\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := folder(t, minimal)
			path := filepath.Join(dir, daemon.SettingsFile)
			for file, text := range map[string]string{path: minimal + c.text, filepath.Join(dir, "sim.token"): "secret\n"} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, err := daemon.ReadSettings(path)
			if err == nil {
				var closeStore func() error
				_, closeStore, err = daemon.Open(t.Context(), dir, s, daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)})
				if err == nil {
					err = closeStore()
				}
			}
			if (err == nil) != c.good {
				t.Errorf("got %v", err)
			}
		})
	}
}
