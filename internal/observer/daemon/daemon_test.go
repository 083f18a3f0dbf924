package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/keyfile"
	"whither/internal/observer/daemon"
	"whither/internal/party"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/registry"
)

const observerA = "observer-a.example"

func clock() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func options() daemon.Options {
	return daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler), Tick: 10 * time.Millisecond}
}

const minimal = "party = \"observer-a.example\"\nlisten = \"127.0.0.1:0\"\noperations = \"127.0.0.1:0\"\nresolver = %q\n[[popular]]\ndomain = \"example.org\"\nselectors = [\"s1\"]\n"

// write writes a settings file and reads it.
func write(t *testing.T, text string) (path string, s daemon.Settings, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), daemon.SettingsFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = daemon.ReadSettings(path)
	return path, s, err
}

// folder makes the folder of an observer that a registry knows, in a world with
// a name server.
func folder(t *testing.T) (path string, s daemon.Settings, dns *mailnet.DNS) {
	t.Helper()
	dns, err := mailnet.StartDNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dns.Close() })
	path, s, err = write(t, fmt.Sprintf(minimal, dns.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	f := worldtest.New(t)
	f.Add(observerA, registry.RoleObserver, nil)
	if err := daemon.MakeKeys(dir, worldtest.Party(t, observerA), f.Now); err != nil {
		t.Fatal(err)
	}
	keys, err := party.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	pin, self := keys.TLS.Pin(), f.Selfs[observerA]
	self.Endpoint, self.Pins, self.Keys[0].Public = "https://127.0.0.1:8443", [][]byte{pin[:]}, keys.Sign.Public()
	f.WriteRegistry(filepath.Join(dir, "registry"))
	return path, s, dns
}

// TestRunFromFolder starts an observer from nothing but its folder; it looks at
// what is popular, and is ready.
func TestRunFromFolder(t *testing.T) {
	path, s, dns := folder(t)
	l := httptest.NewServer(nil) // for a free port
	s.Operations = strings.TrimPrefix(l.URL, "http://")
	l.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "operations = \"127.0.0.1:0\"", fmt.Sprintf("operations = %q", s.Operations), 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- daemon.Run(ctx, path, options()) }()
	for i := 0; ; i++ {
		resp, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + s.Operations + "/readyz")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if dns.Asked("s1._domainkey.example.org") > 0 {
				break
			}
		}
		if i == 500 {
			t.Fatalf("not ready: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, file := range map[string]string{
		"signing key": "keys/sign.pem", "TLS identity": "keys/tls.pem", "row key": "keys/row.key",
		"registry": "registry/registry.set", "root": "registry/root.json",
	} {
		t.Run("no "+name, func(t *testing.T) {
			path, s, _ := folder(t)
			if err := os.Remove(filepath.Join(filepath.Dir(path), file)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := daemon.Open(t.Context(), filepath.Dir(path), s, options()); err == nil {
				t.Error("opened")
			}
		})
	}
	t.Run("another signing key", func(t *testing.T) {
		path, s, _ := folder(t)
		file := filepath.Join(filepath.Dir(path), "keys", "sign.pem")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.MakeSigning(file); err != nil {
			t.Fatal(err)
		}
		_, _, err := daemon.Open(t.Context(), filepath.Dir(path), s, options())
		if err == nil || !strings.Contains(err.Error(), "publish the self record") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSettingsRefuse(t *testing.T) {
	const party = "party = \"observer.example\"\n"
	for name, text := range map[string]string{
		"no party":              "",
		"party":                 "party = \"Observer.Example\"",
		"unknown key":           party + "reslover = \":1\"",
		"resolver by name":      party + "resolver = \"localhost:53\"",
		"some bounds":           party + "[bounds]\npeople = 3",
		"popular with nothing":  party + "[[popular]]",
		"domain alone":          party + "[[popular]]\ndomain = \"example.org\"",
		"selectors alone":       party + "[[popular]]\nselectors = [\"s1\"]",
		"domain and issuer":     party + "[[popular]]\ndomain = \"example.org\"\nselectors = [\"s1\"]\nissuer = \"https://id.example.org\"",
		"domain in capitals":    party + "[[popular]]\ndomain = \"Example.org\"\nselectors = [\"s1\"]",
		"issuer without scheme": party + "[[popular]]\nissuer = \"id.example.org\"",
		"not TOML":              "party = observer.example",
	} {
		t.Run(name, func(t *testing.T) {
			if _, s, err := write(t, text); err == nil {
				got, _ := json.Marshal(s)
				t.Errorf("read as %s", got)
			}
		})
	}
}
