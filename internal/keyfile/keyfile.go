// Package keyfile reads and makes the key files of a party's folder. Every
// file is mode 0600 or stricter; one that others can read is refused, since a
// key that others may have read is no key any more. A file is made once and
// never overwritten.
package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"whither/internal/pinned"
	"whither/key"
	"whither/registry"
)

// Errors.
var (
	ErrMode    = errors.New("keyfile: others can read or write it; make new keys, and keep them mode 0600")
	ErrContent = errors.New("keyfile: not a key of the expected kind")
	ErrMissing = errors.New("keyfile: missing; run the init command")
)

// read returns a file that only its owner can touch.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, filepath.Base(path))
	}
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %o", ErrMode, filepath.Base(path), info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	return b, nil
}

// create writes a new file, durably, and its folder if need be.
func create(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keyfile: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keyfile: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keyfile: %w", err)
	}
	return nil
}

// Signing reads an Ed25519 signing key (PKCS#8 PEM).
func Signing(path string) (key.Private, error) {
	b, err := read(path)
	if err != nil {
		return key.Private{}, err
	}
	k, err := key.ParsePEM(b)
	if err != nil {
		return key.Private{}, fmt.Errorf("%w: %s: %w", ErrContent, filepath.Base(path), err)
	}
	return k, nil
}

// MakeSigning makes a signing key.
func MakeSigning(path string) (key.Private, error) {
	k, err := key.Generate(rand.Reader)
	if err != nil {
		return key.Private{}, err
	}
	b, err := k.PEM()
	if err != nil {
		return key.Private{}, err
	}
	return k, create(path, b)
}

// TLS reads a TLS identity (certificate and PKCS#8 key in PEM).
func TLS(path string) (*pinned.Identity, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	i, err := pinned.ParsePEM(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, filepath.Base(path), err)
	}
	return i, nil
}

// MakeTLS makes a TLS identity for a party.
func MakeTLS(path string, id registry.PartyID, now time.Time) (*pinned.Identity, error) {
	i, err := pinned.Generate(id, now)
	if err != nil {
		return nil, err
	}
	b, err := i.PEM()
	if err != nil {
		return nil, err
	}
	return i, create(path, b)
}

// SecretSize is the size of a symmetric secret in bytes.
const SecretSize = 32

// Secret is a symmetric secret. It prints as a redaction.
type Secret [SecretSize]byte

// Format prints a redaction for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("keyfile.Secret(redacted)")) }

// MarshalText refuses, so that no encoder writes a secret by accident.
func (Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("keyfile: a secret is not written")
}

// ReadSecret reads a symmetric secret: 64 hexadecimal digits and a line feed.
func ReadSecret(path string) (Secret, error) {
	b, err := read(path)
	if err != nil {
		return Secret{}, err
	}
	text, ok := strings.CutSuffix(string(b), "\n")
	raw, err := hex.DecodeString(text)
	if !ok || err != nil || len(raw) != SecretSize {
		return Secret{}, fmt.Errorf("%w: %s: want 64 hexadecimal digits and a line feed", ErrContent, filepath.Base(path))
	}
	return Secret(raw), nil
}

// Token reads a token that signs a party in somewhere: one line of text.
func Token(path string) (string, error) {
	b, err := read(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(b), "\n")
	if text == "" || strings.ContainsAny(text, " \t\r\n") {
		return "", fmt.Errorf("%w: %s: want a token on one line", ErrContent, filepath.Base(path))
	}
	return text, nil
}

// MakeSecret makes a symmetric secret.
func MakeSecret(path string) (Secret, error) {
	var s Secret
	if _, err := rand.Read(s[:]); err != nil {
		return Secret{}, fmt.Errorf("keyfile: %w", err)
	}
	return s, create(path, []byte(hex.EncodeToString(s[:])+"\n"))
}
