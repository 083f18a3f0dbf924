// Package pinned is the TLS between parties: TLS 1.3 only, every server and
// every party pinned to the keys that the registry lists for it (R23).
//
// A party has one TLS identity: a P-256 key with a self-signed certificate
// whose one subject alternative name is the party's id. No certificate
// authority is asked: a peer is who the registry says by the SHA-256 of its
// SubjectPublicKeyInfo, and the certificate must also name the id and be in
// force. Servers ask for a client certificate and take none as well: people
// have none, and what each endpoint demands is decided there ([CallerOf]).
//
// The registry is read at each handshake, so that a new pin counts from the
// next connection on.
package pinned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"whither/registry"
)

// Errors.
var (
	ErrPin      = errors.New("pinned: the peer's key is not one that the registry lists for it")
	ErrName     = errors.New("pinned: the peer's certificate names another party")
	ErrTime     = errors.New("pinned: the peer's certificate is not in force; check both clocks")
	ErrUnknown  = errors.New("pinned: no such party in the registry")
	ErrIdentity = errors.New("pinned: not a TLS identity: want a certificate and a P-256 key in PEM")
)

// Identity is a party's TLS key and certificate.
type Identity struct {
	certificate tls.Certificate
	pin         [sha256.Size]byte
}

// Generate makes an identity for a party, in force from an hour before now for
// ten years: what ends it is the registry, not a date.
func Generate(id registry.PartyID, now time.Time) (*Identity, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pinned: generate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("pinned: generate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: id.String()}, DNSNames: []string{id.String()},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		return nil, fmt.Errorf("pinned: certificate: %w", err)
	}
	return newIdentity(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k})
}

func newIdentity(c tls.Certificate) (*Identity, error) {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil, ErrIdentity
	}
	c.Leaf = leaf
	return &Identity{certificate: c, pin: Pin(leaf)}, nil
}

// Pin returns the SHA-256 of a certificate's SubjectPublicKeyInfo.
func Pin(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// Pin returns the identity's pin, as it stands in the self record.
func (i *Identity) Pin() [sha256.Size]byte { return i.pin }

// PEM returns the certificate and the PKCS#8 key, one after the other. The
// file wants mode 0600.
func (i *Identity) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.certificate.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("pinned: encode: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Certificate[0]})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}

// ParsePEM reads what PEM writes.
func ParsePEM(b []byte) (*Identity, error) {
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, ErrIdentity // the parser's words may quote the key
	}
	if k, ok := c.PrivateKey.(*ecdsa.PrivateKey); !ok || k.Curve != elliptic.P256() {
		return nil, ErrIdentity
	}
	return newIdentity(c)
}

// String never shows the key.
func (i *Identity) String() string { return fmt.Sprintf("pinned.Identity(%x…)", i.pin[:4]) }

// GoString never shows the key.
func (i *Identity) GoString() string { return i.String() }

// ServerConfig returns the TLS configuration of a party's server.
func ServerConfig(own *Identity, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own.certificate}, ClientAuth: tls.RequestClientCert,
		NextProtos: []string{"h2", "http/1.1"}, Time: now,
	}
}

// clientConfig returns the configuration for a connection to one party. own
// is nil for people.
func clientConfig(own *Identity, to registry.PartyID, snapshot func() *registry.Snapshot, now func() time.Time) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: to.String(), Time: now, NextProtos: []string{"h2", "http/1.1"},
		// The registry's pin takes the place of a certificate authority.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection below verifies, on resumption too
		VerifyConnection: func(state tls.ConnectionState) error {
			p, ok := snapshot().Party(to)
			if !ok {
				return ErrUnknown
			}
			return check(state.PeerCertificates[0], p, now())
		},
	}
	if own != nil {
		c.Certificates = []tls.Certificate{own.certificate}
	}
	return c
}

// check verifies a certificate as that of party p.
func check(leaf *x509.Certificate, p registry.Party, now time.Time) error {
	pin := Pin(leaf)
	switch {
	case !slices.ContainsFunc(p.Self.Pins, func(b []byte) bool { return [sha256.Size]byte(b) == pin }):
		return ErrPin
	case leaf.VerifyHostname(p.ID.String()) != nil:
		return ErrName
	case now.Before(leaf.NotBefore), now.After(leaf.NotAfter):
		return ErrTime
	}
	return nil
}

// CallerOf returns the party whose pinned key the other side of a connection
// proved to have, false for people and strangers. Standing is for the caller
// to judge.
func CallerOf(state *tls.ConnectionState, s *registry.Snapshot, now time.Time) (registry.Party, bool) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return registry.Party{}, false
	}
	leaf := state.PeerCertificates[0]
	p, ok := s.ByPin(Pin(leaf))
	if !ok || check(leaf, p, now) != nil {
		return registry.Party{}, false
	}
	return p, true
}
