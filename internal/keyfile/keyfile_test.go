package keyfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/keyfile"
	"whither/internal/world/worldtest"
)

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	sign, tls, secret := filepath.Join(dir, "sign.pem"), filepath.Join(dir, "tls.pem"), filepath.Join(dir, "row.key")
	if _, err := keyfile.Signing(sign); !errors.Is(err, keyfile.ErrMissing) {
		t.Errorf("missing: %v", err)
	}
	k, err := keyfile.MakeSigning(sign)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := keyfile.Signing(sign); err != nil || back.Public() != k.Public() {
		t.Errorf("signing key: %v", err)
	}
	i, err := keyfile.MakeTLS(tls, worldtest.Party(t, "dp.example"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if back, err := keyfile.TLS(tls); err != nil || back.Pin() != i.Pin() {
		t.Errorf("TLS identity: %v", err)
	}
	s, err := keyfile.MakeSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := keyfile.ReadSecret(secret); err != nil || back != s {
		t.Errorf("secret: %v", err)
	}
	if text := fmt.Sprintf("%v %x %s %#v %+v", s, s, s, s, struct{ S keyfile.Secret }{s}); strings.Contains(text, fmt.Sprintf("%x", s[:4:4])) || !strings.Contains(text, "redacted") {
		t.Errorf("a secret prints: %s", text)
	}
	if _, err := keyfile.MakeSecret(secret); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting a key: %v", err)
	}
	for _, path := range []string{sign, tls, secret} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o, %v", path, info.Mode().Perm(), err)
		}
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.ReadSecret(secret); !errors.Is(err, keyfile.ErrMode) {
		t.Errorf("readable by others: %v", err)
	}
	if _, err := keyfile.Signing(tls); !errors.Is(err, keyfile.ErrContent) {
		t.Errorf("wrong kind: %v", err)
	}
	if _, err := keyfile.TLS(sign); !errors.Is(err, keyfile.ErrContent) {
		t.Errorf("wrong kind: %v", err)
	}
}
