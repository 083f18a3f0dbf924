package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/internal/party"
	"whither/internal/prover/daemon"
)

// TestExampleSettings: the example file is read, and says the defaults.
func TestExampleSettings(t *testing.T) {
	got, err := daemon.ReadSettings("prover.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := daemon.Settings{Settings: party.Settings{Party: "prover.example"}, Resolver: "127.0.0.1:53", Mail: daemon.MailSettings{OutPort: 25}}.Filled()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the example departs from the defaults (-want +got):\n%s", d)
	}
}
