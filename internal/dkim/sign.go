package dkim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"whither/key"
)

// PrivateKey is a signing key of either type. The zero value signs nothing.
type PrivateKey struct {
	rsa     *rsa.PrivateKey
	ed25519 key.Private
}

// RSA wraps a key of at least MinRSABits.
func RSA(k *rsa.PrivateKey) (PrivateKey, error) {
	if bits := k.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
		return PrivateKey{}, fmt.Errorf("%w: %d bits", ErrWeakKey, bits)
	}
	return PrivateKey{rsa: k}, nil
}

// Ed25519 wraps a key for RFC 8463. A key that signs mail signs nothing else:
// DKIM has no label that would keep its messages apart from statements.
func Ed25519(k key.Private) PrivateKey { return PrivateKey{ed25519: k} }

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k.rsa == nil && k.ed25519.IsZero() }

// Record returns the TXT record that publishes the key.
func (k PrivateKey) Record() (string, error) {
	switch {
	case k.rsa != nil:
		der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
		if err != nil {
			return "", fmt.Errorf("dkim: record: %w", err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case !k.ed25519.IsZero():
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k.ed25519.Public().Bytes()), nil
	}
	return "", fmt.Errorf("%w: no key", ErrKeyRecord)
}

const redacted = "dkim.PrivateKey(redacted)"

// Format prints a redaction for every verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue logs a redaction.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(redacted) }

func (k PrivateKey) algorithm() string {
	if k.rsa != nil {
		return "rsa-sha256"
	}
	return "ed25519-sha256"
}

func (k PrivateKey) sign(hash [sha256.Size]byte) ([]byte, error) {
	if k.rsa != nil {
		// PKCS #1 v1.5 is deterministic; no source of randomness is needed.
		return rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, hash[:])
	}
	return k.ed25519.Sign(hash[:]), nil
}

// SignOptions say how a message is signed.
type SignOptions struct {
	Domain   string // d=
	Selector string // s=
	Key      PrivateKey
	Time     time.Time // t=
	Expires  time.Time // x=; zero: none
	// Fields are the names for h=; nil means DefaultFields. A name that the
	// message has n times is listed n+1 times, so that none can be added.
	Fields []string
	// Header and Body default to Relaxed, which survives what mail servers do.
	Header, Body Canonical
}

// DefaultFields returns the names that RFC 8823 section 3.1 wants signed, and
// MIME-Version.
func DefaultFields() []string {
	return []string{
		"From", "Sender", "Reply-To", "To", "CC", "Subject", "Date", "In-Reply-To", "References", "Message-ID",
		"Auto-Submitted", "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
	}
}

// Sign returns raw with a DKIM-Signature field before it.
func Sign(raw []byte, o SignOptions) ([]byte, error) {
	if o.Key.IsZero() {
		return nil, fmt.Errorf("%w: no key", ErrKeyRecord)
	}
	m, err := ParseMessage(raw)
	if err != nil {
		return nil, err
	}
	if o.Header == "" {
		o.Header = Relaxed
	}
	if o.Body == "" {
		o.Body = Relaxed
	}
	if !o.Header.valid() || !o.Body.valid() || !ValidDomain(o.Domain) || !validName(o.Selector) || o.Time.IsZero() {
		return nil, fmt.Errorf("%w: options", ErrSyntax)
	}
	field := o.field(m)
	s := Signature{Signed: o.signed(m), header: o.Header, unsigned: field}
	value, err := o.Key.sign(s.headerHash(m))
	if err != nil {
		return nil, fmt.Errorf("dkim: sign: %w", err)
	}
	field += fold(base64.StdEncoding.EncodeToString(value))
	return append([]byte(field+"\r\n"), raw...), nil
}

// signed returns h= in lower case.
func (o SignOptions) signed(m *Message) []string {
	fields := o.Fields
	if fields == nil {
		fields = DefaultFields()
	}
	var names []string
	for _, name := range fields {
		for range len(m.All(name)) + 1 {
			names = append(names, lower(name))
		}
	}
	return names
}

// field returns the signature's field up to and with "b=".
func (o SignOptions) field(m *Message) string {
	hash := sha256.Sum256(o.Body.body(m.Body))
	var b strings.Builder
	fmt.Fprintf(&b, "%s: v=1; a=%s; c=%s/%s;\r\n\td=%s; s=%s; t=%d;", SignatureField,
		o.Key.algorithm(), o.Header, o.Body, o.Domain, o.Selector, o.Time.Unix())
	if !o.Expires.IsZero() {
		fmt.Fprintf(&b, " x=%d;", o.Expires.Unix())
	}
	b.WriteString("\r\n\th=")
	width := 0
	for i, name := range o.signed(m) {
		if i > 0 {
			b.WriteByte(':')
		}
		if width += len(name) + 1; width > 66 {
			b.WriteString("\r\n\t ")
			width = len(name)
		}
		b.WriteString(name)
	}
	fmt.Fprintf(&b, ";\r\n\tbh=%s;\r\n\tb=", base64.StdEncoding.EncodeToString(hash[:]))
	return b.String()
}

// fold breaks base64 into lines.
func fold(s string) string {
	var b strings.Builder
	for len(s) > 70 {
		b.WriteString(s[:70] + "\r\n\t ")
		s = s[70:]
	}
	b.WriteString(s)
	return b.String()
}
