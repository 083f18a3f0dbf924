package keyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/keyfile"
	"whither/internal/world/worldtest"
)

func TestMailKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys", "dkim.pem")
	made, err := keyfile.MakeDKIM(path)
	if err != nil {
		t.Fatal(err)
	}
	back, err := keyfile.DKIM(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := made.Record()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := back.Record(); err != nil || got != want || !strings.Contains(got, "k=rsa") {
		t.Errorf("record %q, want %q; %v", got, want, err)
	}
	if _, err := keyfile.MakeDKIM(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("overwriting a key: %v", err)
	}
	short := filepath.Join(dir, "ed25519.pem")
	if _, err := keyfile.MakeSigning(short); err != nil {
		t.Fatal(err)
	}
	if k, err := keyfile.DKIM(short); err != nil || k.IsZero() {
		t.Errorf("Ed25519: %v", err)
	}

	mail := filepath.Join(dir, "keys", "mail.pem")
	if _, err := keyfile.Certificate(mail, mail); !errors.Is(err, keyfile.ErrMissing) {
		t.Errorf("no certificate: %v", err)
	}
	if _, err := keyfile.MakeTLS(mail, worldtest.Party(t, "mx.prover.example"), time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := keyfile.Certificate(mail, mail)
	if err != nil || c.Leaf.VerifyHostname("mx.prover.example") != nil {
		t.Errorf("certificate: %v", err)
	}
	if _, err := keyfile.Certificate(mail, path); !errors.Is(err, keyfile.ErrContent) {
		t.Errorf("a certificate and another key: %v", err)
	}
	if _, err := keyfile.DKIM(mail); !errors.Is(err, keyfile.ErrContent) {
		t.Errorf("wrong kind: %v", err)
	}
	if err := os.Chmod(mail, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Certificate(mail, mail); !errors.Is(err, keyfile.ErrMode) {
		t.Errorf("readable by others: %v", err)
	}
}
