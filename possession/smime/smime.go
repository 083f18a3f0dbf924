// Package smime is evidence of possession by an S/MIME certificate: a
// certification authority that checked the mailbox certified a key for the
// address, and that key signs the answer to a fresh challenge.
//
// The specification is docs/spec/smime.md, the level in design section 4. What
// is signed is [Content], the text of a mail reply (package possession/mail):
// the plain sentence and the response block. What is handed over is a detached
// CMS SignedData (RFC 5652, RFC 8551) in DER, as every S/MIME tool writes it:
//
//	openssl cms -sign -binary -in answer.txt -signer alice.pem -certfile authority.pem -inkey key.pem -outform DER
//
// [Verify] promises that the key of a certificate for this one address, good at
// the given time under one of the given roots, signed this very answer. It is a
// pure function of its arguments: no OCSP, no HTTP, no clock, no roots of the
// machine.
//
// It does not fetch revocation data: the caller's Status says what is known of a
// certificate, and [CRLs] makes one from revocation lists. It does not say which
// authorities check mailboxes: the caller's roots do. It does not read names in
// Unicode: SmtpUTF8Mailbox (RFC 9598) is refused until such addresses are
// specified as CSIs.
//
// CMS is read narrowed to one form, see cms.go: one signer, SHA-256, RSA of
// 2,048 bits and more or ECDSA on P-256. Times are seconds, sizes are bytes.
package smime

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"whither/csi"
	"whither/possession/mail"
)

// Bounds.
const (
	// MaxSize bounds a signature with its certificates: two to eight kilobytes.
	MaxSize = 32 << 10
	// MaxCertificates bounds those in a signature: a leaf, one to three
	// authorities, and what some programs add.
	MaxCertificates = 8
	// MaxAge is how old the signing time may be: as long as a challenge lives.
	MaxAge = 24 * time.Hour
	// MaxSkew is how far clocks may differ.
	MaxSkew = 120 * time.Second
)

// Errors of [Verify], one a reason, each with what to do next. Their texts never
// contain an address or anything else that a certificate says.
var (
	ErrWant          = errors.New("smime: what to verify against is incomplete")
	ErrTooLarge      = errors.New("smime: signature too large: send the certificates of the chain alone")
	ErrMalformed     = errors.New("smime: not a CMS signature in DER: export it again, detached, as DER")
	ErrAttached      = errors.New("smime: signed text is inside the signature: sign detached")
	ErrSigners       = errors.New("smime: not exactly one signer, named by issuer and serial number: sign with one certificate")
	ErrUnsignedParts = errors.New("smime: parts that the signature does not cover: sign without time stamps and revocation lists")
	ErrAlgorithm     = errors.New("smime: signed with none of RSA, RSA-PSS and ECDSA on P-256, with SHA-256: choose one of these")
	ErrAttributes    = errors.New("smime: signed attributes are missing, twice or unknown: sign with content type, message digest and signing time")
	ErrContent       = errors.New("smime: another text was signed: sign the text that the app shows, unchanged")
	ErrFuture        = errors.New("smime: signed in the future: check the clock")
	ErrStale         = errors.New("smime: signed too long ago: sign again")
	ErrNoCertificate = errors.New("smime: the signer's certificate is not inside, or twice: send it once with the signature")
	ErrCertificate   = errors.New("smime: a certificate is malformed")
	ErrAddress       = errors.New("smime: certificate is not for this address: use the one that has it as alternative name")
	ErrUnicodeName   = errors.New("smime: certificate with an address in Unicode: use one with addresses in ASCII alone")
	ErrPurpose       = errors.New("smime: certificate is not for mail: use one for e-mail protection")
	ErrKeyUsage      = errors.New("smime: certificate is not for signatures: use the one for signing, not for encryption")
	ErrAuthority     = errors.New("smime: certificate of an authority: use a person's one")
	ErrWeakKey       = errors.New("smime: key is neither RSA of 2,048 bits or more nor ECDSA on P-256: get a new certificate")
	ErrWeakHash      = errors.New("smime: certificate signed with SHA-1 or an older hash: get a new certificate")
	ErrValidity      = errors.New("smime: certificate is not valid at this time: get a new one")
	ErrCritical      = errors.New("smime: certificate with a critical extension that is unknown here: use another one")
	ErrConstraint    = errors.New("smime: the authority may not certify this name: use another certificate")
	ErrChain         = errors.New("smime: no chain to an authority known here: send the certificates between, or use another one")
	ErrRevoked       = errors.New("smime: certificate is revoked: get a new one")
	ErrStatus        = errors.New("smime: whether the certificate is revoked cannot be known: try again later")
	ErrSignature     = errors.New("smime: signature does not verify: sign again")
)

// Want is what a signature is verified against.
type Want struct {
	// CSI is the mailto: CSI in question.
	CSI csi.ID
	// Response is the digest in the answer, possession.Response.
	Response [sha256.Size]byte
	// Fingerprint is the holder key as it is displayed.
	Fingerprint string
	// Roots are the authorities whose word on mailboxes counts.
	Roots []*x509.Certificate
	// Status returns nil for a certificate that is known not to be revoked,
	// ErrRevoked or ErrStatus otherwise. It is called for each certificate of a
	// chain but the root, with its issuer's, after everything else has been found
	// in order.
	Status func(certificate, issuer *x509.Certificate) error
	// Now is the time of the judgement. Who verifies an old signature gives the
	// time of its receipt.
	Now time.Time
}

// Report is what a verified signature says.
type Report struct {
	// Leaf, KeyDigest and Root name the certificate, its key and the authority:
	// SHA-256 of the certificate, and of the SubjectPublicKeyInfo of the others.
	Leaf, KeyDigest, Root [sha256.Size]byte
	// Until is when the certificate expires.
	Until time.Time
	// SignedAt is the signing time, the holder's own word. The evidence time is
	// when the prover saw the signature.
	SignedAt time.Time
	// ArtefactDigest is SHA-256 of the raw signature.
	ArtefactDigest [sha256.Size]byte
}

// Content is what is to be signed: the text of a mail reply with the line ends
// of mail, CRLF.
func Content(response [sha256.Size]byte, fingerprint string) []byte {
	return []byte(strings.ReplaceAll(mail.Response(response, fingerprint), "\n", "\r\n"))
}

func (w Want) valid() bool {
	word := w.Fingerprint != "" && len(w.Fingerprint) <= 64 &&
		!strings.ContainsFunc(w.Fingerprint, func(r rune) bool { return r <= ' ' || r > '~' })
	return w.CSI.Scheme() == csi.Mailto && w.Response != [sha256.Size]byte{} && word &&
		len(w.Roots) > 0 && w.Status != nil && !w.Now.IsZero()
}
