package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/internal/observer/daemon"
	"whither/internal/party"
)

// TestExampleSettings: the example file is read, and says the defaults.
func TestExampleSettings(t *testing.T) {
	got, err := daemon.ReadSettings(daemon.SettingsFile)
	if err != nil {
		t.Fatal(err)
	}
	want := daemon.Settings{Settings: party.Settings{Party: "observer.example"}}.Filled()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the example departs from the defaults (-want +got):\n%s", d)
	}
}
