package smime

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// The one form of CMS (RFC 5652) that is read, in DER:
//
//	ContentInfo ::= SEQUENCE {
//	    contentType  id-signedData,
//	    content  [0] SignedData }
//	SignedData ::= SEQUENCE {
//	    version           1,
//	    digestAlgorithms  SET { id-sha256 },
//	    encapContentInfo  SEQUENCE { id-data },          -- detached
//	    certificates  [0] SET OF Certificate,            -- 1 to MaxCertificates
//	    signerInfos       SET { SignerInfo } }
//	SignerInfo ::= SEQUENCE {
//	    version             1,
//	    sid                 SEQUENCE { issuer Name, serialNumber INTEGER },
//	    digestAlgorithm     id-sha256,
//	    signedAttrs     [0] SET OF Attribute,            -- see attributes
//	    signatureAlgorithm  AlgorithmIdentifier,         -- see signatureAlgorithm
//	    signature           OCTET STRING }
//
// Revocation lists and unsigned attributes are refused: anybody could put them
// there, and so make a second artefact of the first.

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}

	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidMGF1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidRSAPSS      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidSHA256RSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// The constructed tags [0], [1] and [2].
const (
	contextual0 = tag.Tag(0 | 0x80 | 0x20)
	contextual1 = tag.Tag(1 | 0x80 | 0x20)
	contextual2 = tag.Tag(2 | 0x80 | 0x20)
)

const (
	maxAttributes  = 16
	lengthOfSHA256 = 32
)

// harmless are the signed attributes that S/MIME programs add, which say nothing
// about what was signed: sMIMECapabilities, encryption key preferences (RFC 8551
// and an older one of a vendor), signing-certificate-v2 (RFC 5035: the
// certificate is looked at as a whole anyway) and CMSAlgorithmProtection (RFC
// 6211: there is one digest and one signature algorithm a key).
var harmless = []asn1.ObjectIdentifier{
	{1, 2, 840, 113549, 1, 9, 15},
	{1, 2, 840, 113549, 1, 9, 16, 2, 11},
	{1, 3, 6, 1, 4, 1, 311, 16, 4},
	{1, 2, 840, 113549, 1, 9, 16, 2, 47},
	{1, 2, 840, 113549, 1, 9, 52},
}

// signedData is a parsed signature. Nothing in it is verified.
type signedData struct {
	certificates []*x509.Certificate
	issuer       []byte // of the signer's certificate, a Name in DER
	serial       *big.Int
	digest       []byte // of the content
	signedAt     time.Time
	algorithm    x509.SignatureAlgorithm
	signed       []byte // what the signature is over
	signature    []byte
}

// parseCMS reads a detached signature.
func parseCMS(raw []byte) (signedData, error) {
	var s signedData
	in := cryptobyte.String(raw)
	var info, content, body cryptobyte.String
	if !in.ReadASN1(&info, tag.SEQUENCE) || !in.Empty() ||
		!readOID(&info, oidSignedData) || !info.ReadASN1(&content, contextual0) || !info.Empty() ||
		!content.ReadASN1(&body, tag.SEQUENCE) || !content.Empty() {
		return s, ErrMalformed
	}
	var version int
	var digests, encapsulated, certificates, signers cryptobyte.String
	if !body.ReadASN1Integer(&version) || !body.ReadASN1(&digests, tag.SET) || !body.ReadASN1(&encapsulated, tag.SEQUENCE) {
		return s, ErrMalformed
	}
	if !readOID(&encapsulated, oidData) {
		return s, fmt.Errorf("%w: content type", ErrMalformed)
	}
	if !encapsulated.Empty() {
		return s, ErrAttached
	}
	if !readSHA256(&digests) || !digests.Empty() {
		return s, fmt.Errorf("%w: digest", ErrAlgorithm)
	}
	if !body.PeekASN1Tag(contextual0) {
		return s, ErrNoCertificate
	}
	if !body.ReadASN1(&certificates, contextual0) {
		return s, ErrMalformed
	}
	if body.PeekASN1Tag(contextual1) {
		return s, fmt.Errorf("%w: revocation lists", ErrUnsignedParts)
	}
	if !body.ReadASN1(&signers, tag.SET) || !body.Empty() {
		return s, ErrMalformed
	}
	if version != 1 {
		return s, ErrSigners // 3 and up: a signer named by key identifier, or other content
	}
	if err := s.readSigner(&signers); err != nil {
		return s, err
	}
	return s, s.readCertificates(&certificates)
}

func (s *signedData) readCertificates(in *cryptobyte.String) error {
	for !in.Empty() {
		if len(s.certificates) == MaxCertificates {
			return ErrTooLarge
		}
		var der cryptobyte.String
		if !in.ReadASN1Element(&der, tag.SEQUENCE) {
			return ErrCertificate
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return ErrCertificate // the parser's error may quote a name
		}
		s.certificates = append(s.certificates, c)
	}
	return nil
}

func (s *signedData) readSigner(in *cryptobyte.String) error {
	var signer, sid, attributes, algorithm cryptobyte.String
	if !in.ReadASN1(&signer, tag.SEQUENCE) || !in.Empty() {
		return ErrSigners
	}
	var version int
	if !signer.ReadASN1Integer(&version) {
		return ErrMalformed
	}
	if version != 1 || !signer.PeekASN1Tag(tag.SEQUENCE) {
		return ErrSigners
	}
	var issuer cryptobyte.String
	s.serial = new(big.Int)
	if !signer.ReadASN1(&sid, tag.SEQUENCE) || !sid.ReadASN1Element(&issuer, tag.SEQUENCE) ||
		!sid.ReadASN1Integer(s.serial) || !sid.Empty() {
		return ErrMalformed
	}
	s.issuer = issuer
	if !readSHA256(&signer) {
		return fmt.Errorf("%w: digest", ErrAlgorithm)
	}
	if !signer.PeekASN1Tag(contextual0) {
		return fmt.Errorf("%w: none", ErrAttributes)
	}
	if !signer.ReadASN1Element(&attributes, contextual0) {
		return ErrMalformed
	}
	if err := s.readAttributes(attributes); err != nil {
		return err
	}
	if !signer.ReadASN1(&algorithm, tag.SEQUENCE) || !signer.ReadASN1Bytes(&s.signature, tag.OCTET_STRING) {
		return ErrMalformed
	}
	if signer.PeekASN1Tag(contextual1) {
		return fmt.Errorf("%w: unsigned attributes", ErrUnsignedParts)
	}
	if !signer.Empty() {
		return ErrMalformed
	}
	var ok bool
	if s.algorithm, ok = signatureAlgorithm(algorithm); !ok {
		return fmt.Errorf("%w: signature", ErrAlgorithm)
	}
	return nil
}

// readAttributes reads the signed attributes. The signature is over their DER
// with the tag of a SET (RFC 5652 section 5.4), so they have to be in its order.
func (s *signedData) readAttributes(element cryptobyte.String) error {
	s.signed = bytes.Clone(element)
	s.signed[0] = byte(tag.SET)
	var in cryptobyte.String
	if !element.ReadASN1(&in, contextual0) {
		return ErrMalformed
	}
	found := make(map[string]bool)
	var previous cryptobyte.String
	for !in.Empty() {
		var attribute, inner, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !in.ReadASN1Element(&attribute, tag.SEQUENCE) {
			return ErrMalformed
		}
		if bytes.Compare(previous, attribute) >= 0 {
			return fmt.Errorf("%w: order", ErrAttributes)
		}
		previous = attribute
		if !attribute.ReadASN1(&inner, tag.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&oid) ||
			!inner.ReadASN1(&values, tag.SET) || !inner.Empty() {
			return ErrMalformed
		}
		if found[oid.String()] || len(found) == maxAttributes {
			return fmt.Errorf("%w: twice", ErrAttributes)
		}
		found[oid.String()] = true
		if err := s.readAttribute(oid, &values); err != nil {
			return err
		}
	}
	for _, oid := range []asn1.ObjectIdentifier{oidContentType, oidMessageDigest, oidSigningTime} {
		if !found[oid.String()] {
			return fmt.Errorf("%w: one is missing", ErrAttributes)
		}
	}
	return nil
}

func (s *signedData) readAttribute(oid asn1.ObjectIdentifier, values *cryptobyte.String) error {
	ok := true
	switch {
	case oid.Equal(oidContentType):
		ok = readOID(values, oidData) && values.Empty()
	case oid.Equal(oidMessageDigest):
		ok = values.ReadASN1Bytes(&s.digest, tag.OCTET_STRING) && len(s.digest) == lengthOfSHA256 && values.Empty()
	case oid.Equal(oidSigningTime):
		s.signedAt, ok = readTime(values)
	default:
		ok = slices.ContainsFunc(harmless, oid.Equal)
	}
	if !ok {
		return fmt.Errorf("%w: unknown or malformed", ErrAttributes)
	}
	return nil
}

// readTime reads a Time in the one form that RFC 5652 section 11.3 leaves:
// UTCTime to 2049, GeneralizedTime after, both in seconds and in UTC.
func readTime(values *cryptobyte.String) (time.Time, bool) {
	var text cryptobyte.String
	kind, layout, first, last := tag.UTCTime, "060102150405Z", 1950, 2049
	if values.PeekASN1Tag(tag.GeneralizedTime) {
		kind, layout, first, last = tag.GeneralizedTime, "20060102150405Z", 2050, 9999
	}
	if !values.ReadASN1(&text, kind) || !values.Empty() || len(text) != len(layout) {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, string(text))
	if err != nil || at.Format(layout) != string(text) {
		return time.Time{}, false
	}
	if kind == tag.UTCTime && at.Year() >= 2050 {
		at = at.AddDate(-100, 0, 0) // package time takes 50 to 68 for 2050 to 2068
	}
	return at, at.Year() >= first && at.Year() <= last
}

// signatureAlgorithm reads what is inside an AlgorithmIdentifier. The key of the
// certificate has to fit, which package x509 checks.
func signatureAlgorithm(in cryptobyte.String) (x509.SignatureAlgorithm, bool) {
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1ObjectIdentifier(&oid) {
		return 0, false
	}
	switch {
	case oid.Equal(oidRSA), oid.Equal(oidSHA256RSA): // RFC 8551 programs write either (RFC 5754 section 3.2)
		return x509.SHA256WithRSA, readNull(&in) && in.Empty()
	case oid.Equal(oidRSAPSS):
		return x509.SHA256WithRSAPSS, readPSS(&in) && in.Empty()
	case oid.Equal(oidECDSASHA256):
		return x509.ECDSAWithSHA256, in.Empty()
	}
	return 0, false
}

// readPSS reads RSASSA-PSS-params (RFC 4055 section 3.1) of the one form: SHA-256
// throughout and a salt as long as the hash; the trailer field is the default.
func readPSS(in *cryptobyte.String) bool {
	var params, hash, mask, function, salt cryptobyte.String
	var length int
	return in.ReadASN1(&params, tag.SEQUENCE) &&
		params.ReadASN1(&hash, contextual0) && readSHA256(&hash) && hash.Empty() &&
		params.ReadASN1(&mask, contextual1) && mask.ReadASN1(&function, tag.SEQUENCE) && mask.Empty() &&
		readOID(&function, oidMGF1) && readSHA256(&function) && function.Empty() &&
		params.ReadASN1(&salt, contextual2) && salt.ReadASN1Integer(&length) && salt.Empty() &&
		length == lengthOfSHA256 && params.Empty()
}

// readSHA256 reads the AlgorithmIdentifier of SHA-256, whose parameters are
// absent or NULL (RFC 5754 section 2).
func readSHA256(in *cryptobyte.String) bool {
	var algorithm cryptobyte.String
	return in.ReadASN1(&algorithm, tag.SEQUENCE) && readOID(&algorithm, oidSHA256) &&
		(algorithm.Empty() || readNull(&algorithm) && algorithm.Empty())
}

func readNull(in *cryptobyte.String) bool {
	var null cryptobyte.String
	return in.ReadASN1(&null, tag.NULL) && null.Empty()
}

func readOID(in *cryptobyte.String, want asn1.ObjectIdentifier) bool {
	var oid asn1.ObjectIdentifier
	return in.ReadASN1ObjectIdentifier(&oid) && oid.Equal(want)
}
