package dp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"whither/internal/dp"
	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/world/worldtest"
	"whither/registry"
	"whither/wire"
)

func TestExampleSettings(t *testing.T) {
	example, err := dp.ReadSettings("../../cmd/whither-dp/dp.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dp.toml")
	for text, want := range map[string]bool{
		`party = "dp.example"`:                           true,
		"party = \"dp.example\"\nlisten_on = \":8443\"":  false,
		"party = \"dp.example\"\nsignature_days = 8":     false,
		"party = \"dp.example\"\nsignature_days = -1":    false,
		"party = \"dp.example\"\nsignature_days = \"7\"": false,
		"party: dp.example":                              false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := dp.ReadSettings(path)
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
		if want && !reflect.DeepEqual(s, example) {
			t.Errorf("the example shows other values than the defaults: %+v", s)
		}
	}
}

// folder makes a DP's folder in a federation that lists it.
func folder(t *testing.T) (dir string, f *worldtest.Federation) {
	t.Helper()
	dir, f = t.TempDir(), worldtest.New(t)
	if err := dp.MakeKeys(dir, worldtest.Party(t, worldtest.DP), f.Now); err != nil {
		t.Fatal(err)
	}
	keys, err := party.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	pin, self := keys.TLS.Pin(), f.Selfs[worldtest.DP]
	self.Pins, self.Keys[0].Public = [][]byte{pin[:]}, keys.Sign.Public()
	f.WriteRegistry(filepath.Join(dir, "registry"))
	return dir, f
}

var settings = dp.Settings{Settings: party.Settings{Party: worldtest.DP}.WithDefaults(), SignatureDays: 7}

func TestOpenRefuses(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	for name, bend := range map[string]func(dir string, f *worldtest.Federation, s *dp.Settings) error{
		"no keys": func(dir string, _ *worldtest.Federation, _ *dp.Settings) error {
			return os.RemoveAll(filepath.Join(dir, "keys"))
		},
		"no generation": func(dir string, _ *worldtest.Federation, _ *dp.Settings) error {
			return os.RemoveAll(filepath.Join(dir, "kek"))
		},
		"key that others read": func(dir string, _ *worldtest.Federation, _ *dp.Settings) error {
			return os.Chmod(filepath.Join(dir, "keys", "sign.pem"), 0o644)
		},
		"key that is not listed": func(dir string, _ *worldtest.Federation, _ *dp.Settings) error {
			if err := os.Remove(filepath.Join(dir, "keys", "sign.pem")); err != nil {
				return err
			}
			_, err := keyfile.MakeSigning(filepath.Join(dir, "keys", "sign.pem"))
			return err
		},
		"no registry": func(dir string, _ *worldtest.Federation, _ *dp.Settings) error {
			return os.RemoveAll(filepath.Join(dir, "registry"))
		},
		"another party": func(_ string, _ *worldtest.Federation, s *dp.Settings) error {
			s.Party = worldtest.MSPA
			return nil
		},
		"no name": func(_ string, _ *worldtest.Federation, s *dp.Settings) error { s.Party = ""; return nil },
	} {
		dir, f := folder(t)
		s := settings
		if err := bend(dir, f, &s); err != nil {
			t.Fatal(err)
		}
		_, closeStore, err := dp.Open(t.Context(), dir, s, dp.Options{Now: func() time.Time { return f.Now }, Log: discard})
		if err == nil {
			_ = closeStore()
			t.Errorf("%s: opened", name)
		}
	}
}

// TestR23ServeReadyMetricsStop runs a DP on real sockets: it answers over
// pinned TLS, says that it is ready, takes a newer registry over, counts, names
// nobody, and ends when told to.
func TestR23ServeReadyMetricsStop(t *testing.T) {
	dir, f := folder(t)
	var logs bytes.Buffer
	d, closeStore, err := dp.Open(t.Context(), dir, settings, dp.Options{
		Now: func() time.Time { return f.Now }, Log: slog.New(slog.NewTextHandler(&logs, nil)), Tick: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ops, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, l, ops) }()

	f.Selfs[worldtest.DP].Endpoint = "https://" + l.Addr().String()
	f.Record.Version++
	f.WriteRegistry(filepath.Join(dir, "registry"))
	if _, err := d.Step(t.Context(), f.Now); err != nil {
		t.Fatal(err)
	}
	set, err := os.ReadFile(filepath.Join(dir, "registry", "registry.set"))
	if err != nil {
		t.Fatal(err)
	}
	snapshot := f.Snapshot()
	c := pinned.NewClient(func() *registry.Snapshot { return snapshot }, nil, func() time.Time { return f.Now })
	defer c.Close()
	file, err := c.Get(t.Context(), worldtest.Party(t, worldtest.DP), wire.PathRegistry)
	if err != nil || !bytes.Equal(file, set) {
		t.Errorf("the registry it serves: %d bytes, %v", len(file), err)
	}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + ops.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, text := get("/readyz"); code != http.StatusOK {
		t.Errorf("not ready: %d %s", code, text)
	}
	if _, text := get("/metrics"); !strings.Contains(text, "whither_dp_registry_seconds_left") {
		t.Errorf("metrics: %s", text)
	}
	if strings.Contains(logs.String(), "127.0.0.1") || !strings.Contains(logs.String(), "registry taken over") {
		t.Errorf("logs: %s", logs.String())
	}
	f.Now = f.Record.Expires
	if code, text := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "expired") {
		t.Errorf("ready with an expired registry: %d %s", code, text)
	}
	stop()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("does not end")
	}
	if err := errors.Join(closeStore()); err != nil {
		t.Error(err)
	}
}
