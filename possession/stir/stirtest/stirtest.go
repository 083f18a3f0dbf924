// Package stirtest makes the certificates of a small telephone world: roots,
// CAs, carriers, delegates and token authorities (RFC 8226, RFC 9060). It is for
// tests, vectors and demonstrations; it keeps no books and revokes nothing, so it
// is no certification authority for anybody's real numbers.
//
// What it makes is fixed by what it is given: no clock, no randomness. Keys of
// crypto/ecdsa sign by RFC 6979 here, so equal arguments give equal bytes.
package stirtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"whither/possession/stir/chain"
	"whither/possession/stir/tnauth"
)

// Profile is what a certificate is to say.
type Profile struct {
	Name string
	Key  *ecdsa.PrivateKey
	CA   bool
	// List is the TNAuthList; without one the certificate has none.
	List        tnauth.List
	Constraints *tnauth.Constraints
	From, Until time.Time
	// Edit changes the template before it is signed: to make what must be
	// refused.
	Edit func(*x509.Certificate)
}

// Party has a certificate, its key, and the certificates above.
type Party struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
	above       [][]byte
}

// Root makes a certificate that is signed by itself.
func Root(p Profile) (*Party, error) {
	p.CA = true
	return issue(p, nil)
}

// Issue makes a certificate signed by a.
func (a *Party) Issue(p Profile) (*Party, error) { return issue(p, a) }

// Chain returns the certificates in DER from a's to the root's.
func (a *Party) Chain() [][]byte { return append([][]byte{a.Certificate.Raw}, a.above...) }

// PEM returns the same as application/pem-certificate-chain.
func (a *Party) PEM() []byte { return chain.FormatPEM(a.Chain()) }

func issue(p Profile, by *Party) (*Party, error) {
	t, err := template(p)
	if err != nil {
		return nil, err
	}
	parent, signer := t, p.Key
	var above [][]byte
	if by != nil {
		parent, signer, above = by.Certificate, by.Key, by.Chain()
	}
	der, err := x509.CreateCertificate(nil, t, parent, p.Key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("stirtest: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("stirtest: %w", err)
	}
	return &Party{Certificate: cert, Key: p.Key, above: above}, nil
}

func template(p Profile) (*x509.Certificate, error) {
	spki, err := x509.MarshalPKIXPublicKey(p.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("stirtest: %w", err)
	}
	id := sha256.Sum256(spki)
	serial := sha256.Sum256(append([]byte(p.Name), spki...))
	t := &x509.Certificate{
		SerialNumber:       new(big.Int).SetBytes(append([]byte{1}, serial[:15]...)),
		Subject:            pkix.Name{CommonName: p.Name},
		NotBefore:          p.From,
		NotAfter:           p.Until,
		SubjectKeyId:       id[:20],
		SignatureAlgorithm: x509.ECDSAWithSHA256,
		KeyUsage:           x509.KeyUsageDigitalSignature,
	}
	if p.CA {
		t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	if p.List != nil {
		der, err := p.List.Marshal()
		if err != nil {
			return nil, err
		}
		Extend(t, tnauth.OID, der, false)
	}
	if p.Constraints != nil {
		der, err := p.Constraints.Marshal()
		if err != nil {
			return nil, err
		}
		oid := tnauth.ConstraintsOID
		if len(p.Constraints.MustExclude) > 0 {
			oid = tnauth.EnhancedConstraintsOID
		}
		Extend(t, oid, der, false)
	}
	if p.Edit != nil {
		p.Edit(t)
	}
	return t, nil
}

// Extend adds an extension to a template; oid is dotted.
func Extend(t *x509.Certificate, oid string, value []byte, critical bool) {
	var arcs asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(oid, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			panic("stirtest: not an object identifier: " + oid) // a constant of the caller
		}
		arcs = append(arcs, n)
	}
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: arcs, Critical: critical, Value: value})
}

// FixedKey returns a P-256 key that anybody can compute from its name: the
// scalar is SHA-256 of the name. It is for vectors, and protects nothing.
func FixedKey(name string) *ecdsa.PrivateKey {
	scalar := sha256.Sum256([]byte(name))
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		panic("stirtest: " + name + " hashes to no key") // one name in 2^32
	}
	return k
}
