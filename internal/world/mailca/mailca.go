// Package mailca is a certification authority of a small outside world that
// checks mailboxes, and the people who sign with its certificates: S/MIME
// (RFC 8550, RFC 8551) as ordinary tools make it, written apart from the reader
// in package possession/smime.
//
// It keeps a list of what it revoked. It is for tests and demonstrations: it
// checks nobody's mailbox.
package mailca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// Life is how long certificates and lists are good.
const Life = 365 * 24 * time.Hour

// Authority certifies mailboxes: a root, or one under a root.
type Authority struct {
	Certificate *x509.Certificate
	above       [][]byte // what leads from it to the root, without the root
	key         *ecdsa.PrivateKey
	now         func() time.Time

	mu      sync.Mutex
	issued  int64
	revoked []x509.RevocationListEntry
}

// New makes an authority. now nil: the system's clock.
func New(name string, now func() time.Time) (*Authority, error) {
	if now == nil {
		now = time.Now //nolint:forbidigo // the clock where none is handed in
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	a := &Authority{key: k, now: now, issued: 1}
	a.Certificate, err = certify(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now().Add(-time.Hour), NotAfter: now().Add(10 * Life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, &k.PublicKey, k)
	return a, err
}

func certify(template, parent *x509.Certificate, public crypto.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	return c, nil
}

// PEM returns the authority's certificate as provers are given it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

// Digest names the authority in a registry.
func (a *Authority) Digest() []byte {
	d := sha256.Sum256(a.Certificate.Raw)
	return d[:]
}

// Person has a certificate for an address, and its key.
type Person struct {
	Certificate *x509.Certificate
	authority   *Authority
	key         *ecdsa.PrivateKey
}

// Subordinate makes an authority under this one; change, if not nil, changes its
// certificate before it is signed.
func (a *Authority) Subordinate(name string, change func(*x509.Certificate)) (*Authority, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: a.serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: a.now().Add(-time.Hour), NotAfter: a.now().Add(5 * Life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(template)
	}
	c, err := certify(template, a.Certificate, &k.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: c, above: append([][]byte{c.Raw}, a.above...), key: k, now: a.now, issued: 1}, nil
}

// serial is the next serial number.
func (a *Authority) serial() *big.Int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued++
	return big.NewInt(a.issued)
}

// Certify makes a key and a certificate for an address.
func (a *Authority) Certify(address string) (*Person, error) { return a.CertifyWith(address, nil) }

// CertifyWith is Certify; change, if not nil, changes the certificate before it is
// signed.
func (a *Authority) CertifyWith(address string, change func(*x509.Certificate)) (*Person, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: a.serial(), Subject: pkix.Name{CommonName: "a mailbox"}, EmailAddresses: []string{address},
		NotBefore: a.now().Add(-time.Hour), NotAfter: a.now().Add(Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if change != nil {
		change(template)
	}
	c, err := certify(template, a.Certificate, &k.PublicKey, a.key)
	return &Person{Certificate: c, authority: a, key: k}, err
}

// Revoke takes a person's certificate back; lists made from now on say so.
func (a *Authority) Revoke(p *Person) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked = append(a.revoked, x509.RevocationListEntry{SerialNumber: p.Certificate.SerialNumber, RevocationTime: a.now()})
}

// List makes a revocation list in DER, good for a year.
func (a *Authority) List() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(a.now().Unix()), ThisUpdate: a.now(), NextUpdate: a.now().Add(Life),
		RevokedCertificateEntries: slices.Clone(a.revoked),
	}, a.Certificate, a.key)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	return der, nil
}

// Object identifiers (RFC 5652, RFC 5754, RFC 5758).
var (
	idData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	idSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	idMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	idSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	idSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	idECDSA         = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// Sign returns a detached CMS signature of a text, in DER.
func (p *Person) Sign(text []byte) ([]byte, error) {
	digest := sha256.Sum256(text)
	attributes := [][]byte{
		attribute(idContentType, oid(idData)),
		attribute(idMessageDigest, element(tag.OCTET_STRING, digest[:])),
		attribute(idSigningTime, element(tag.UTCTime, []byte(p.authority.now().UTC().Format("060102150405Z")))),
	}
	slices.SortFunc(attributes, bytes.Compare)
	sum := sha256.Sum256(element(tag.SET, attributes...))
	signature, err := p.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	one := []byte{byte(tag.INTEGER), 1, 1}
	serial, err := asn1.Marshal(p.Certificate.SerialNumber)
	if err != nil {
		return nil, fmt.Errorf("mailca: %w", err)
	}
	inside := tag.Tag(0).ContextSpecific().Constructed()
	signer := element(tag.SEQUENCE, one,
		element(tag.SEQUENCE, p.Certificate.RawIssuer, serial), element(tag.SEQUENCE, oid(idSHA256)),
		element(inside, attributes...), element(tag.SEQUENCE, oid(idECDSA)), element(tag.OCTET_STRING, signature))
	signed := element(tag.SEQUENCE, one, element(tag.SET, element(tag.SEQUENCE, oid(idSHA256))),
		element(tag.SEQUENCE, oid(idData)), element(inside, append([][]byte{p.Certificate.Raw}, p.authority.above...)...), element(tag.SET, signer))
	return element(tag.SEQUENCE, oid(idSignedData), element(inside, signed)), nil
}

// element encodes an element around parts that are encoded already.
func element(t tag.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(t, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
	})
	return b.BytesOrPanic()
}

func oid(id asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(id)
	return b.BytesOrPanic()
}

func attribute(id asn1.ObjectIdentifier, value []byte) []byte {
	return element(tag.SEQUENCE, oid(id), element(tag.SET, value))
}

// Files returns the certificate and the key as other programs read them, in PEM.
func (p *Person) Files() (certificate, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, nil, fmt.Errorf("mailca: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
