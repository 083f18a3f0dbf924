// Package chain says for which telephone numbers a certificate speaks: paths
// from a signer's certificate to the roots of a STIR public-key infrastructure
// (RFC 8226, RFC 9060, RFC 5280), and the numbers along them.
//
// It promises for a [Path] that [Verify] returns: the certificates stand in
// order, each one signed by the next, the last one a root or signed by one; all
// are valid at the time asked for, which is the time of the token and never
// today; all keys are P-256 and all signatures ECDSA with SHA-256; only the
// first is no CA; each TNAuthList lies within the one above it; no critical
// extension is left unread. [Path.Covers] then says whether a number is covered
// at every step, where a service provider code counts for the numbers that the
// caller's [Ranges] tie to it, and for no others.
//
// It is stricter than RFC 8226 in one point of section 4: certificates signed
// with RSA, there called transitional, are refused.
//
// It does not look at revocation (short-lived certificates are the rule in
// STIR, and a prover that is on line may ask before it vouches), and it fetches
// neither certificates nor TNAuthLists by reference.
package chain

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	encoding "encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"whither/possession/stir/tnauth"
)

// Bounds.
const (
	MaxLength      = 6        // certificates of a chain, the root included if it is there
	MaxCertificate = 24 << 10 // bytes of one in DER
	MaxPEM         = 64 << 10 // bytes of a chain in PEM
)

// Errors. Their texts name no number and no subject.
var (
	ErrEmpty       = errors.New("chain: no certificate, or only a root")
	ErrTooLong     = errors.New("chain: too many certificates, or too large ones")
	ErrEncoding    = errors.New("chain: not a certificate, or not PEM of certificates alone")
	ErrAlgorithm   = errors.New("chain: key or signature is not ECDSA on P-256 with SHA-256")
	ErrValidity    = errors.New("chain: a certificate was not valid at the time of the token")
	ErrOrder       = errors.New("chain: certificates are not in order from signer to root")
	ErrSignature   = errors.New("chain: a certificate is not signed by the next one")
	ErrRoot        = errors.New("chain: does not lead to a root that is trusted here")
	ErrAnchor      = errors.New("chain: prefix of a trust anchor is no digits")
	ErrNotCA       = errors.New("chain: a certificate that signed another is no CA, or a CA with a shorter path")
	ErrSigner      = errors.New("chain: the signer's certificate is a CA, or not for digital signatures")
	ErrCritical    = errors.New("chain: a critical extension is not known")
	ErrConstrained = errors.New("chain: a certificate has name or policy constraints")
	ErrByReference = errors.New("chain: a TNAuthList is given by reference, which is not fetched")
	ErrList        = errors.New("chain: malformed TNAuthList or claim constraints")
	ErrNoList      = errors.New("chain: a certificate has no TNAuthList of its own, though the one above it or its use needs one")
	ErrScope       = errors.New("chain: a TNAuthList goes beyond the one above it")
	ErrNotCovered  = errors.New("chain: the certificate does not speak for this number")
	ErrClaims      = errors.New("chain: the certificate does not allow these claims")
)

// Ranges are the prefixes of the numbers that a federation's registry ties to a
// service provider code: digits, without "+". An empty prefix ties nothing.
type Ranges func(code string) (prefixes []string)

// Anchor is a trust anchor. A root is worth no more than the country that runs
// it: Prefixes are the numbers that it may speak for, as in [Ranges]; without
// any, it is trusted for every number in the world.
type Anchor struct {
	Certificate []byte // DER
	Prefixes    []string
}

// Roots are the trust anchors of one infrastructure. The zero value trusts
// nobody.
type Roots struct{ anchors []step }

// NewRoots reads trust anchors.
func NewRoots(anchors ...Anchor) (Roots, error) {
	var r Roots
	for _, a := range anchors {
		s, err := read(a.Certificate)
		if err != nil {
			return Roots{}, err
		}
		if !s.cert.IsCA || len(s.cert.SubjectKeyId) == 0 {
			return Roots{}, ErrNotCA
		}
		for _, prefix := range a.Prefixes {
			if !tnauth.ValidNumber(prefix) {
				return Roots{}, ErrAnchor
			}
		}
		s.prefixes = slices.Clone(a.Prefixes)
		r.anchors = append(r.anchors, s)
	}
	return r, nil
}

// Path is a verified chain.
type Path struct {
	steps []step // signer first, the root last
}

// step is a certificate and what its extensions of RFC 8226 say.
type step struct {
	cert        *x509.Certificate
	list        tnauth.List // nil if absent
	constraints []tnauth.Constraints
	prefixes    []string // of a trust anchor
}

// ParsePEM reads application/pem-certificate-chain (RFC 8555 section 9.1):
// certificates in PEM and nothing beside them. It returns them in DER.
func ParsePEM(text []byte) ([][]byte, error) {
	if len(text) > MaxPEM {
		return nil, ErrTooLong
	}
	var chain [][]byte
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		// pem.Decode would skip what stands before a block.
		if !bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, ErrEncoding
		}
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			return nil, ErrEncoding
		}
		if len(chain) == MaxLength {
			return nil, ErrTooLong
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, ErrEmpty
	}
	// pem.Decode passes over a block that it cannot read; here nothing is.
	if bytes.Count(text, []byte("-----BEGIN ")) != len(chain) {
		return nil, ErrEncoding
	}
	return chain, nil
}

// FormatPEM writes what ParsePEM reads.
func FormatPEM(chain [][]byte) []byte {
	var b bytes.Buffer
	for _, der := range chain {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.Bytes()
}

// Verify checks a chain in DER, signer first, with or without its root, at the
// time of the token that the signer made.
func Verify(chain [][]byte, roots Roots, at time.Time) (Path, error) {
	if len(chain) > MaxLength {
		return Path{}, ErrTooLong
	}
	var p Path
	for _, der := range chain {
		s, err := read(der)
		if err != nil {
			return Path{}, err
		}
		p.steps = append(p.steps, s)
	}
	// The order is looked at before the root: a chain that stands on its head
	// leads to none.
	if err := p.checkOrder(); err != nil {
		return Path{}, err
	}
	if err := p.anchor(roots); err != nil {
		return Path{}, err
	}
	if err := p.checkValidity(at); err != nil {
		return Path{}, err
	}
	for _, check := range []func() error{p.checkPurposes, p.checkScopes, p.checkSignatures} {
		if err := check(); err != nil {
			return Path{}, err
		}
	}
	return p, nil
}

// anchor ends the path with a root, which the chain may have left out.
func (p *Path) anchor(roots Roots) error {
	if len(p.steps) == 0 {
		return ErrEmpty
	}
	last := p.steps[len(p.steps)-1].cert
	for _, a := range roots.anchors {
		if a.cert.Equal(last) {
			if len(p.steps) == 1 {
				return ErrEmpty
			}
			p.steps[len(p.steps)-1] = a
			return nil
		}
	}
	for _, a := range roots.anchors {
		if follows(last, a.cert) {
			p.steps = append(p.steps, a)
			return nil
		}
	}
	return ErrRoot
}

// follows reports whether parent is, by its names, the issuer of child (RFC
// 9060 section 7: the authority key identifier of each is the subject key
// identifier of the next).
func follows(child, parent *x509.Certificate) bool {
	return len(child.AuthorityKeyId) > 0 && bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId) &&
		bytes.Equal(child.RawIssuer, parent.RawSubject)
}

func (p *Path) checkOrder() error {
	for i := range len(p.steps) - 1 {
		if !follows(p.steps[i].cert, p.steps[i+1].cert) {
			return ErrOrder
		}
	}
	return nil
}

// checkPurposes: the first signs tokens and no certificates, the others the
// reverse. Key usages must be there: a certificate for anything is none for
// telephone numbers.
func (p *Path) checkPurposes() error {
	signer := p.steps[0].cert
	if signer.IsCA || signer.KeyUsage&x509.KeyUsageDigitalSignature == 0 || signer.KeyUsage&x509.KeyUsageCertSign != 0 {
		return ErrSigner
	}
	if len(signer.UnknownExtKeyUsage) > 0 || slices.ContainsFunc(signer.ExtKeyUsage, func(u x509.ExtKeyUsage) bool { return u != x509.ExtKeyUsageAny }) {
		return ErrSigner // for something else, RFC 5280 section 4.2.1.12
	}
	for i, s := range p.steps[1:] {
		c := s.cert
		if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 {
			return ErrNotCA
		}
		// i is the number of CAs below this one. MaxPathLen is −1 if there is no
		// bound; 0 is one if MaxPathLenZero says so.
		if bounded := c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero; bounded && i > c.MaxPathLen {
			return ErrNotCA
		}
	}
	return nil
}

func (p *Path) checkSignatures() error {
	for i := range len(p.steps) - 1 {
		if p.steps[i].cert.CheckSignatureFrom(p.steps[i+1].cert) != nil {
			return ErrSignature
		}
	}
	return nil
}

func (p *Path) checkValidity(at time.Time) error {
	for _, s := range p.steps {
		if at.Before(s.cert.NotBefore) || at.After(s.cert.NotAfter) {
			return ErrValidity
		}
	}
	return nil
}

// checkScopes goes down from the root: where a certificate has a TNAuthList,
// every one below has, and within it (RFC 9060 section 4). A list that is absent
// limits nothing: CAs of carriers have none.
func (p *Path) checkScopes() error {
	for i := len(p.steps) - 2; i >= 0; i-- {
		above, s := p.steps[i+1].list, p.steps[i].list
		switch {
		case above == nil:
		case s == nil:
			return ErrNoList
		case !above.Encompasses(s):
			return ErrScope
		}
	}
	return nil
}

// Signer returns the key that signs tokens.
func (p Path) Signer() *ecdsa.PublicKey {
	k, _ := p.steps[0].cert.PublicKey.(*ecdsa.PublicKey) // read saw to it
	return k
}

// Digest names the signer's certificate: SHA-256 of its DER.
func (p Path) Digest() [sha256.Size]byte { return sha256.Sum256(p.steps[0].cert.Raw) }

// Certificates returns the path in DER from signer to root.
func (p Path) Certificates() [][]byte {
	var out [][]byte
	for _, s := range p.steps {
		out = append(out, s.cert.Raw)
	}
	return out
}

// List returns the signer's TNAuthList, nil if it has none.
func (p Path) List() tnauth.List { return p.steps[0].list }

// Delegated reports whether the signer's certificate is a delegate certificate
// (RFC 9060 section 4): the one that signed it has a TNAuthList itself.
func (p Path) Delegated() bool { return p.steps[1].list != nil }

// Covers returns ErrNotCovered unless the signer's certificate covers the number
// and nothing above it takes the number away, and ErrNoList if the signer has no
// TNAuthList.
func (p Path) Covers(number string, ranges Ranges) error {
	if p.steps[0].list == nil {
		return ErrNoList
	}
	return p.Admits(number, ranges)
}

// Admits returns ErrNotCovered if a TNAuthList on the path or the anchor's
// prefixes leave the number out. Without any of them every number is admitted:
// that is for token authorities; carriers are asked by Covers.
func (p Path) Admits(number string, ranges Ranges) error {
	if anchor := p.steps[len(p.steps)-1]; len(anchor.prefixes) > 0 && !hasPrefix(number, anchor.prefixes) {
		return ErrNotCovered
	}
	for _, s := range p.steps {
		if s.list != nil && !Covers(s.list, number, ranges) {
			return ErrNotCovered
		}
	}
	return nil
}

// Covers reports whether a list covers a number: by itself, or through a
// service provider code that ranges tie to it.
func Covers(list tnauth.List, number string, ranges Ranges) bool {
	if list.Covers(number) {
		return true
	}
	if ranges == nil || !tnauth.ValidNumber(number) {
		return false
	}
	return slices.ContainsFunc(list.Codes(), func(code string) bool {
		return hasPrefix(number, ranges(code))
	})
}

func hasPrefix(number string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return prefix != "" && strings.HasPrefix(number, prefix)
	})
}

// Allows returns ErrClaims unless the claims of a token are such as the
// certificates along the path allow. RFC 8226 section 8 puts constraints into
// the signer's certificate only; those of a CA bind its delegates here too.
func (p Path) Allows(claim func(name string) (value string, isString, present bool)) error {
	for _, s := range p.steps {
		for _, c := range s.constraints {
			if err := c.Check(claim); err != nil {
				return fmt.Errorf("%w: %w", ErrClaims, err)
			}
		}
	}
	return nil
}

// read parses a certificate and checks what can be checked of it alone.
func read(der []byte) (step, error) {
	if len(der) > MaxCertificate {
		return step{}, ErrTooLong
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return step{}, ErrEncoding // the parser's error may quote the certificate
	}
	k, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() || c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		return step{}, ErrAlgorithm
	}
	s := step{cert: c}
	return s, s.readExtensions()
}

// readExtensions sorts the extensions by what a verifier must do with them (RFC
// 5280 section 4.2). Go's own list of unhandled ones is not asked: it leaves out
// those that Go can read, and here what is read but not enforced is refused.
func (s *step) readExtensions() error {
	for _, e := range s.cert.Extensions {
		var err error
		switch e.Id.String() {
		case tnauth.OID:
			s.list, err = tnauth.Parse(e.Value)
		case tnauth.ConstraintsOID, tnauth.EnhancedConstraintsOID:
			var c tnauth.Constraints
			c, err = tnauth.ParseConstraints(e.Value, e.Id.String() == tnauth.EnhancedConstraintsOID)
			s.constraints = append(s.constraints, c)
		case oidNameConstraints, oidPolicyMappings, oidPolicyConstraints, oidInhibitAnyPolicy:
			return ErrConstrained
		case oidAuthorityInfo:
			if byReference(e.Value) {
				return ErrByReference
			}
		case oidBasicConstraints, oidKeyUsage, oidExtKeyUsage:
		case oidSubjectAltName, oidPolicies:
			// They say more about the subject and take nothing away.
		default:
			if e.Critical {
				return ErrCritical
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrList, err)
		}
	}
	return nil
}

// Extensions of RFC 5280 section 4.2.1.
const (
	oidKeyUsage          = "2.5.29.15"
	oidSubjectAltName    = "2.5.29.17"
	oidBasicConstraints  = "2.5.29.19"
	oidNameConstraints   = "2.5.29.30"
	oidPolicies          = "2.5.29.32"
	oidPolicyMappings    = "2.5.29.33"
	oidPolicyConstraints = "2.5.29.36"
	oidExtKeyUsage       = "2.5.29.37"
	oidInhibitAnyPolicy  = "2.5.29.54"
	oidAuthorityInfo     = "1.3.6.1.5.5.7.1.1"
)

// byReference reports whether authority information access names a TNAuthList
// (RFC 8226 section 10.1, id-ad-stirTNList). The list behind it would limit the
// certificate, and nobody here knows how. What cannot be read is taken for one.
func byReference(value []byte) bool {
	stirTNList := encoding.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 14}
	input, all := cryptobyte.String(value), cryptobyte.String(nil)
	if !input.ReadASN1(&all, asn1.SEQUENCE) || !input.Empty() {
		return true
	}
	for !all.Empty() {
		var description cryptobyte.String
		var method encoding.ObjectIdentifier
		if !all.ReadASN1(&description, asn1.SEQUENCE) || !description.ReadASN1ObjectIdentifier(&method) || method.Equal(stirTNList) {
			return true
		}
	}
	return false
}
