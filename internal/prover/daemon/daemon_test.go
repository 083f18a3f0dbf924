package daemon_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/prover/daemon"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession/stir/stirtest"
)

// folder makes the folder of a prover that a registry knows.
func folder(t *testing.T, text string) (dir string, s daemon.Settings) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, daemon.SettingsFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := daemon.ReadSettings(path)
	if err != nil {
		t.Fatal(err)
	}
	f := worldtest.New(t)
	if err := daemon.MakeKeys(dir, s, f.Now); err != nil {
		t.Fatal(err)
	}
	keys, err := party.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	pin, self := keys.TLS.Pin(), f.Selfs[worldtest.ProverA]
	self.Endpoint, self.Pins, self.Keys[0].Public = "https://127.0.0.1:8443", [][]byte{pin[:]}, keys.Sign.Public()
	f.WriteRegistry(filepath.Join(dir, "registry"))
	return dir, s
}

func clock() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

const minimal = "party = \"prover-a.example\"\nlisten = \"127.0.0.1:0\"\noperations = \"127.0.0.1:0\"\n[mail]\nlisten = \"127.0.0.1:0\"\n"

// TestRunFromFolder starts a prover from nothing but its folder and asks
// whether it is ready, over its sockets.
func TestRunFromFolder(t *testing.T) {
	dir, s := folder(t, minimal)
	p, closeStore, err := daemon.Open(t.Context(), dir, s, daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := daemon.Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		resp, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + l.Operations.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %s, %v", path, resp.Status, body, err)
		}
	}
	checkGreeting(t, l.Mail.Addr().String())
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := closeStore(); err != nil {
		t.Error(err)
	}
}

// checkGreeting looks at the name that the mail server gives itself.
func checkGreeting(t *testing.T, address string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 200)
	n, err := conn.Read(b)
	if got := string(b[:n]); err != nil || !strings.HasPrefix(got, "220 mx.prover-a.example ") {
		t.Errorf("greeting %q, %v", got, err)
	}
}

func TestRun(t *testing.T) {
	dir, _ := folder(t, minimal)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := daemon.Run(ctx, filepath.Join(dir, daemon.SettingsFile), daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Error(err)
	}
}

// TestWorld: another mail than the Internet's needs no certificate file.
func TestWorld(t *testing.T) {
	dir, s := folder(t, minimal)
	if err := os.Remove(filepath.Join(dir, "keys", "mail.pem")); err != nil {
		t.Fatal(err)
	}
	n, err := mailnet.New(mailnet.Config{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	o := daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler), World: &daemon.World{
		Out: n.Client(s.Mail.Host), Resolver: n.DNS.Resolver(),
		Certificate: func() (*tls.Certificate, error) { c, err := n.Certificate(s.Mail.Host); return &c, err },
	}}
	p, closeStore, err := daemon.Open(t.Context(), dir, s, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(); err != nil {
		t.Error(err)
	}
	if err := closeStore(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, file := range map[string]string{
		"signing key": "keys/sign.pem", "TLS identity": "keys/tls.pem", "DKIM key": "keys/dkim.pem", "certificate": "keys/mail.pem",
		"row key": "keys/row.key", "registry": "registry/registry.set", "root": "registry/root.json",
	} {
		t.Run("no "+name, func(t *testing.T) {
			dir, s := folder(t, minimal)
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := daemon.Open(t.Context(), dir, s, daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)}); err == nil {
				t.Error("opened")
			}
		})
	}
	t.Run("another signing key", func(t *testing.T) {
		dir, s := folder(t, minimal)
		path := filepath.Join(dir, "keys", "sign.pem")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.MakeSigning(path); err != nil {
			t.Fatal(err)
		}
		_, _, err := daemon.Open(t.Context(), dir, s, daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), "publish the self record") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSettingsRefuse(t *testing.T) {
	for name, text := range map[string]string{
		"no party":        "",
		"party":           "party = \"Prover.Example\"",
		"unknown key":     "party = \"prover.example\"\nlitsen = \":1\"",
		"unknown in mail": "party = \"prover.example\"\n[mail]\nfrom = \"x\"",
		"mail host":       "party = \"prover.example\"\n[mail]\nhost = \"mx\"",
		"resolver":        "party = \"prover.example\"\nresolver = \"127.0.0.1\"",
		"port":            "party = \"prover.example\"\n[mail]\nout_port = 70000",
		"some limits":     "party = \"prover.example\"\n[limits]\nper_csi = 3",
		"not TOML":        "party = prover.example",
		"SIP, no roots":   "party = \"prover.example\"\n[sip]\nlisten = \":5060\"",
		"SIP, TLS alone":  "party = \"prover.example\"\n[sip]\nlisten_tls = \":5061\"",
		"SIP, media":      "party = \"prover.example\"\n[stir]\nroots = \"r.pem\"\n[sip]\nlisten = \":5060\"\nmedia = \"media.example\"",
		"SIP, no media":   "party = \"prover.example\"\n[stir]\nroots = \"r.pem\"\n[sip]\nlisten = \":5060\"\nannouncement = \"a.ulaw\"",
		"no host":         "party = \"prover.example\"\n[stir]\ncertificate_hosts = [\"\"]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), daemon.SettingsFile)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := daemon.ReadSettings(path); err == nil {
				t.Errorf("read as %+v", s)
			}
		})
	}
}

func TestRecords(t *testing.T) {
	dir, s := folder(t, minimal)
	records, err := daemon.Records(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, r := range records {
		got[r.Name+" "+r.Type] += r.Value
	}
	for name, want := range map[string]string{
		"prover-a.example MX": "10 mx.prover-a.example", "whither._domainkey.prover-a.example TXT": "v=DKIM1; k=rsa; p=",
		"_dmarc.prover-a.example TXT": "p=reject",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %q", name, got[name])
		}
	}
}

// TestTelephone: with roots and an address a prover takes what comes by SIP, and
// its zone says where.
func TestTelephone(t *testing.T) {
	dir, s := folder(t, minimal)
	root, err := stirtest.Root(stirtest.Profile{Name: "root", Key: stirtest.FixedKey("root"), From: clock().AddDate(-1, 0, 0), Until: clock().AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"roots.pem": root.PEM(), "hello.ulaw": make([]byte, 8000), "long.ulaw": make([]byte, 1<<20)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.STIR.Roots = "roots.pem"
	s.SIP = daemon.SIPSettings{Listen: "127.0.0.1:0", ListenTLS: "127.0.0.1:0", Host: "sip.prover-a.example", Media: "127.0.0.1", Announcement: "hello.ulaw"}
	s = s.Filled()
	o := daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)}
	p, closeStore, err := daemon.Open(t.Context(), dir, s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeStore(); err != nil {
			t.Error(err)
		}
	}()
	s.Listen, s.Mail.Listen, s.Operations = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	l, err := daemon.Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	const options = "OPTIONS sip:a@prover-a.example SIP/2.0\r\nVia: SIP/2.0/TLS h.example;branch=z9hG4bKa\r\nFrom: <sip:b@h.example>;tag=a\r\n" +
		"To: <sip:a@prover-a.example>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
	plain, err := new(net.Dialer).DialContext(ctx, "udp", l.SIP.UDP.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	secure, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", l.SIP.TLS.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]net.Conn{"UDP": plain, "TLS": secure} {
		text := options
		if name == "UDP" {
			text = strings.Replace(options, "TLS h.example", "UDP h.example;rport", 1)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 2048)
		if n, err := c.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), "SIP/2.0 200 OK\r\n") {
			t.Errorf("by %s: %q, %v", name, b[:n], err)
		}
		_ = c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	records, err := daemon.Records(dir, s)
	if err != nil || len(records) != 7 || records[6] != (daemon.Record{Name: "_sip._udp.prover-a.example", Type: "SRV", Value: "20 10 5060 sip.prover-a.example"}) {
		t.Errorf("records %v, %v", records, err)
	}
	for name, bend := range map[string]func(*daemon.Settings){
		"roots that are not there":  func(s *daemon.Settings) { s.STIR.Roots = "none.pem" },
		"roots that are none":       func(s *daemon.Settings) { s.STIR.Roots = "hello.ulaw" },
		"no announcement":           func(s *daemon.Settings) { s.SIP.Announcement = "none.ulaw" },
		"announcement for too long": func(s *daemon.Settings) { s.SIP.Announcement = "long.ulaw" },
		"no certificate":            func(s *daemon.Settings) { s.SIP.Certificate = "none.pem" },
		"no block of numbers":       func(s *daemon.Settings) { s.SIP.Numbers = "+41445551234" },
	} {
		bent := s
		bend(&bent)
		if _, _, err := daemon.Open(t.Context(), dir, bent, o); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
