package smime

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"whither/csi"
)

// minRSABits is the least for leaves and authorities alike.
const minRSABits, maxRSABits = 2048, 8192

// Verify checks a detached signature in DER against want.
func Verify(raw []byte, want Want) (Report, error) {
	if !want.valid() {
		return Report{}, ErrWant
	}
	if len(raw) > MaxSize {
		return Report{}, ErrTooLarge
	}
	s, err := parseCMS(raw)
	if err != nil {
		return Report{}, err
	}
	content := sha256.Sum256(Content(want.Response, want.Fingerprint))
	switch {
	case !bytes.Equal(s.digest, content[:]):
		return Report{}, ErrContent
	case s.signedAt.After(want.Now.Add(MaxSkew)):
		return Report{}, ErrFuture
	case s.signedAt.Before(want.Now.Add(-MaxAge - MaxSkew)):
		return Report{}, ErrStale
	}
	leaf, err := s.signer()
	if err != nil {
		return Report{}, err
	}
	if err := checkLeaf(leaf, want); err != nil {
		return Report{}, err
	}
	if leaf.CheckSignature(s.algorithm, s.signed, s.signature) != nil {
		return Report{}, ErrSignature
	}
	root, err := checkChain(leaf, s.certificates, want)
	if err != nil {
		return Report{}, err
	}
	return Report{
		Leaf:      sha256.Sum256(leaf.Raw),
		KeyDigest: sha256.Sum256(leaf.RawSubjectPublicKeyInfo), Root: sha256.Sum256(root.RawSubjectPublicKeyInfo),
		Until: leaf.NotAfter, SignedAt: s.signedAt, ArtefactDigest: sha256.Sum256(raw),
	}, nil
}

// signer finds the one certificate that the signature names.
func (s signedData) signer() (*x509.Certificate, error) {
	var found []*x509.Certificate
	for _, c := range s.certificates {
		if bytes.Equal(c.RawIssuer, s.issuer) && c.SerialNumber.Cmp(s.serial) == 0 {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return nil, ErrNoCertificate
	}
	return found[0], nil
}

// checkLeaf checks what the certificate says about its holder (RFC 8550).
func checkLeaf(leaf *x509.Certificate, want Want) error {
	if leaf.IsCA {
		return ErrAuthority
	}
	if err := checkNames(leaf, want.CSI); err != nil {
		return err
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) {
		return ErrPurpose
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return ErrKeyUsage
	}
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if !strongRSA(k) {
			return ErrWeakKey
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return ErrWeakKey
		}
	default:
		return ErrWeakKey
	}
	return nil
}

func strongRSA(k *rsa.PublicKey) bool {
	bits := k.N.BitLen()
	return bits >= minRSABits && bits <= maxRSABits
}

// checkNames looks for the address among the rfc822Names of the subject's
// alternative name, compared in canonical form. The subject itself is not looked
// at: RFC 8550 section 3 has addresses there as legacy.
func checkNames(leaf *x509.Certificate, id csi.ID) error {
	if hasUnicodeMailbox(leaf) {
		return ErrUnicodeName
	}
	for _, address := range leaf.EmailAddresses {
		if same, err := csi.Parse("mailto:" + address); err == nil && same == id {
			return nil
		}
	}
	return ErrAddress
}

var (
	oidAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSmtpUTF8        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}
)

// hasUnicodeMailbox reports whether the alternative name has a SmtpUTF8Mailbox
// (RFC 9598), which package x509 passes over, name constraints included. What
// cannot be read counts as one.
func hasUnicodeMailbox(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidAlternativeName) {
			continue
		}
		in := cryptobyte.String(e.Value)
		var names cryptobyte.String
		if !in.ReadASN1(&names, tag.SEQUENCE) {
			return true
		}
		for !names.Empty() {
			var name cryptobyte.String
			var kind tag.Tag
			if !names.ReadAnyASN1(&name, &kind) {
				return true
			}
			var oid asn1.ObjectIdentifier
			if kind == contextual0 && (!name.ReadASN1ObjectIdentifier(&oid) || oid.Equal(oidSmtpUTF8)) {
				return true
			}
		}
	}
	return false
}

// checkChain looks for a chain from leaf to one of the roots, good at want.Now,
// of which no certificate is revoked, and returns the root.
func checkChain(leaf *x509.Certificate, given []*x509.Certificate, want Want) (*x509.Certificate, error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range want.Roots {
		roots.AddCert(c)
	}
	for _, c := range given {
		if weakHash(c) && !bytes.Equal(c.RawIssuer, c.RawSubject) {
			return nil, ErrWeakHash
		}
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: want.Now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	})
	if err != nil {
		return nil, translate(err)
	}
	reason := ErrChain
	for _, chain := range chains {
		if reason = checkLinks(chain, want); reason == nil {
			return chain[len(chain)-1], nil
		}
	}
	return nil, reason
}

// weakHash reports whether a certificate is signed with a hash in which
// collisions are found. Signatures of roots over themselves mean nothing.
func weakHash(c *x509.Certificate) bool {
	return slices.Contains(broken, c.SignatureAlgorithm)
}

var broken = []x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA}

// checkLinks checks what package x509 does not.
func checkLinks(chain []*x509.Certificate, want Want) error {
	if len(chain) < 2 {
		return ErrChain // the leaf is configured as a root
	}
	for _, c := range chain {
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && !strongRSA(k) {
			return ErrWeakKey
		}
	}
	for i, c := range chain[:len(chain)-1] {
		switch err := want.Status(c, chain[i+1]); {
		case err == nil:
		case errors.Is(err, ErrRevoked):
			return ErrRevoked
		default:
			return ErrStatus // the cause may quote a name
		}
	}
	return nil
}

// translate turns an error of package x509 into ours, without its text.
func translate(err error) error {
	var invalid x509.CertificateInvalidError
	var critical x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &critical):
		return ErrCritical
	case errors.As(err, &invalid):
		switch invalid.Reason {
		case x509.Expired:
			return ErrValidity
		case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName, x509.TooManyConstraints:
			return ErrConstraint
		case x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
			return ErrPurpose
		default:
			return ErrChain
		}
	}
	return ErrChain
}
