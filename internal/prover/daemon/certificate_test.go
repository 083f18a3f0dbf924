package daemon_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/keyfile"
	"whither/internal/prover/daemon"
	"whither/internal/world/worldtest"
)

// TestCertificateRenewed: a new certificate counts from the next connection on;
// a broken one leaves the old one in force.
func TestCertificateRenewed(t *testing.T) {
	dir, s := folder(t, minimal)
	p, closeStore, err := daemon.Open(t.Context(), dir, s, daemon.Options{Now: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := daemon.Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := closeStore(); err != nil {
			t.Error(err)
		}
	})
	first := serial(t, l.Mail.Addr().String())
	path := filepath.Join(dir, "keys", "mail.pem")
	replace := func(age time.Duration, write func() error) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := write(); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	replace(time.Hour, func() error { return os.WriteFile(path, []byte("half a certifi"), 0o600) })
	if got := serial(t, l.Mail.Addr().String()); got != first {
		t.Error("a broken file changed the certificate")
	}
	replace(2*time.Hour, func() error {
		_, err := keyfile.MakeTLS(path, worldtest.Party(t, "mx.prover-a.example"), clock())
		return err
	})
	if got := serial(t, l.Mail.Addr().String()); got == first {
		t.Error("the new certificate is not used")
	}
}

// serial returns the serial number of the certificate that a mail server shows.
func serial(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c, err := smtp.NewClient(conn, "mx.prover-a.example")
	if err != nil {
		t.Fatal(err)
	}
	// Self-signed, as init makes it.
	if err := c.StartTLS(&tls.Config{ServerName: "mx.prover-a.example", InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	state, _ := c.TLSConnectionState()
	return state.PeerCertificates[0].SerialNumber.String()
}
