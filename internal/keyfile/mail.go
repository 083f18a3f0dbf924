package keyfile

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"whither/internal/dkim"
	"whither/key"
)

const pemKey = "PRIVATE KEY"

// DKIM reads a key that signs mail: RSA or Ed25519 (PKCS#8 PEM).
func DKIM(path string) (dkim.PrivateKey, error) {
	b, err := read(path)
	if err != nil {
		return dkim.PrivateKey{}, err
	}
	if k, err := key.ParsePEM(b); err == nil {
		return dkim.Ed25519(k), nil
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != pemKey || len(rest) != 0 {
		return dkim.PrivateKey{}, fmt.Errorf("%w: %s", ErrContent, filepath.Base(path))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	k, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok { // the parser's error may quote the key
		return dkim.PrivateKey{}, fmt.Errorf("%w: %s", ErrContent, filepath.Base(path))
	}
	return dkim.RSA(k)
}

// MakeDKIM makes an RSA key that signs mail. Ed25519 is shorter, and much of
// the world's mail is not checked with it (RFC 8463).
func MakeDKIM(path string) (dkim.PrivateKey, error) {
	k, err := rsa.GenerateKey(rand.Reader, dkim.MinRSABits)
	if err != nil {
		return dkim.PrivateKey{}, fmt.Errorf("keyfile: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return dkim.PrivateKey{}, fmt.Errorf("keyfile: %w", err)
	}
	if err := create(path, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})); err != nil {
		return dkim.PrivateKey{}, err
	}
	return dkim.RSA(k)
}

// Certificate reads a certificate of a public authority with what goes before
// it, and its key, which may be in the same file.
func Certificate(certPath, keyPath string) (tls.Certificate, error) {
	k, err := read(keyPath)
	if err != nil {
		return tls.Certificate{}, err
	}
	chain, err := os.ReadFile(certPath)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%w: %s", ErrMissing, filepath.Base(certPath))
	}
	c, err := tls.X509KeyPair(chain, k)
	if err != nil { // the parser's error may quote the key
		return tls.Certificate{}, fmt.Errorf("%w: %s and %s: want a certificate chain and its key in PEM", ErrContent,
			filepath.Base(certPath), filepath.Base(keyPath))
	}
	return c, nil
}

// Roots reads the certificates of authorities. They are no secret.
func Roots(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMissing, filepath.Base(path))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%w: %s: want certificates in PEM", ErrContent, filepath.Base(path))
	}
	return pool, nil
}

// Certificates reads certificates, one or more, and nothing else.
func Certificates(path string) ([]*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMissing, filepath.Base(path))
	}
	bad := fmt.Errorf("%w: %s: want certificates in PEM and nothing else", ErrContent, filepath.Base(path))
	var out []*x509.Certificate
	for len(bytes.TrimSpace(b)) > 0 {
		block, rest := pem.Decode(b)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, bad
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, bad
		}
		out, b = append(out, c), rest
	}
	if len(out) == 0 {
		return nil, bad
	}
	return out, nil
}
