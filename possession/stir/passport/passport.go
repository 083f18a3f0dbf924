// Package passport reads and writes PASSporTs (RFC 8225): the tokens in which
// the telephone world says who called or wrote to whom, and when. It knows the
// base form and the extensions "shaken" (RFC 8588) and "msg" (RFC 9475), and the
// SIP header field Identity (RFC 8224) that carries them.
//
// It promises that a [Passport] has exactly the bytes that its content has:
// header and claims are deterministic JSON (RFC 8225 section 9), re-encoded and
// compared; every extension that is not known is refused (section 8.1). Claims
// without an extension that are not known are kept, not understood.
//
// A parsed PASSporT is a claim of nobody in particular until [Passport.Verify]
// has been asked with a key, and package chain beside this one has said whose
// key that is. Times are judged by package stir. Numbers are digits without "+";
// times are seconds; sizes are bytes. Numbers are personal: nothing here prints
// them.
package passport

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"whither/possession/stir/jose"
)

// Bounds.
const (
	MaxDestinations = 16
	MaxMediaKeys    = 8
	MaxURI          = 255

	maxTime = 1 << 40 // iat: 34,000 years, and no overflow anywhere
)

// Extension is a type of PASSporT: the value of ppt.
type Extension string

// The extensions that are known.
const (
	Base    Extension = ""       // RFC 8225
	Shaken  Extension = "shaken" // RFC 8588: a call, with the carrier's attestation
	Message Extension = "msg"    // RFC 9475: a message, with the hash of its body
)

// Errors. Their texts never repeat what a token says.
var (
	ErrToken       = errors.New("passport: not a token in compact form, signed with ES256, in deterministic JSON")
	ErrType        = errors.New("passport: typ is not passport")
	ErrExtension   = errors.New("passport: extension (ppt) is not known")
	ErrNoKey       = errors.New("passport: neither x5u nor x5c says where the signer's certificate is")
	ErrTime        = errors.New("passport: iat is absent or no whole number of seconds")
	ErrOrigin      = errors.New("passport: orig is not one object with one tn or one uri")
	ErrDestination = errors.New("passport: dest is not one object with sorted arrays tn or uri")
	ErrNumber      = errors.New("passport: a number is not 1 to 15 digits without +")
	ErrURI         = errors.New("passport: a uri is not absolute or too long")
	ErrMediaKey    = errors.New("passport: mky is not a sorted array of known hashes in upper-case hexadecimal")
	ErrAttestation = errors.New("passport: attest is not A, B or C, or origid is no UUID")
	ErrMessageHash = errors.New("passport: msgi is not the hash of this body by sha256, sha384 or sha512")
	ErrSignature   = errors.New("passport: signature does not verify")
	ErrIdentity    = errors.New("passport: malformed Identity header field")
	ErrMismatch    = errors.New("passport: Identity header field says another certificate, algorithm or extension than its PASSporT")
	ErrCompact     = errors.New("passport: compact form, whose claims must be given")
)

// Party is a caller: a number or a URI, not both.
type Party struct {
	TN  string // digits without "+"
	URI string
}

// Destinations are those called: numbers and URIs, each sorted.
type Destinations struct {
	TN  []string
	URI []string
}

// Only returns the one destination, if there is no other.
func (d Destinations) Only() (Party, bool) {
	switch {
	case len(d.TN) == 1 && len(d.URI) == 0:
		return Party{TN: d.TN[0]}, true
	case len(d.TN) == 0 && len(d.URI) == 1:
		return Party{URI: d.URI[0]}, true
	}
	return Party{}, false
}

// MediaKey is a fingerprint in mky (RFC 8225 section 5.2.2).
type MediaKey struct {
	Algorithm string // "sha-256", "sha-384" or "sha-512"
	Digest    string // upper-case hexadecimal without colons (RFC 8122)
}

// Claims is what a PASSporT says.
type Claims struct {
	IssuedAt    time.Time // iat
	Orig        Party
	Dest        Destinations
	MediaKeys   []MediaKey
	Attest      string // "A", "B" or "C"; empty if absent
	OrigID      string
	MessageHash string // msgi, of [Message] only
	// Other are claims of no known meaning, sorted by name.
	Other []jose.Member
}

// Passport is a parsed PASSporT whose signature nobody has checked.
type Passport struct {
	Extension Extension
	X5U       string   // URL of the signer's certificates, empty if absent
	X5C       [][]byte // the certificates in DER, signer first; nil if absent
	Claims    Claims
	token     jose.Token
	text      string
}

// Parse reads a PASSporT in full form.
func Parse(s string) (Passport, error) {
	t, err := jose.Parse(s, true)
	if err != nil {
		return Passport{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	p := Passport{Extension: Extension(t.Header.PPT), X5U: t.Header.X5U, X5C: t.Header.X5C, token: t, text: s}
	if t.Header.Type != "passport" {
		return Passport{}, ErrType
	}
	switch p.Extension {
	case Base, Shaken, Message:
	default:
		return Passport{}, ErrExtension
	}
	if p.X5U == "" && p.X5C == nil {
		return Passport{}, ErrNoKey
	}
	if p.Claims, err = readClaims(t.Payload, p.Extension); err != nil {
		return Passport{}, err
	}
	return p, nil
}

// Text returns the PASSporT in full form. It names people.
func (p Passport) Text() string { return p.text }

// Verify returns ErrSignature unless the key signed the PASSporT.
func (p Passport) Verify(k *ecdsa.PublicKey) error {
	if err := p.token.Verify(k); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// Claim returns a claim by its name, as constraints of certificates ask for it.
func (p Passport) Claim(name string) (value string, isString, present bool) {
	return p.token.Claim(name)
}

// Signing is what a signer adds to the claims.
type Signing struct {
	Extension Extension
	X5U       string   // URL of the certificates
	X5C       [][]byte // or the certificates themselves
	Key       crypto.Signer
}

// Sign returns the claims as a signed PASSporT in full form.
func (c Claims) Sign(s Signing) (string, error) {
	text, err := jose.Sign(header(s.Extension, s.X5U, s.X5C), c.payload(), s.Key)
	if err != nil {
		return "", err
	}
	// What could not be read is not written.
	if _, err := Parse(text); err != nil {
		return "", err
	}
	return text, nil
}

func header(e Extension, x5u string, x5c [][]byte) jose.Header {
	return jose.Header{Type: "passport", PPT: string(e), X5U: x5u, X5C: x5c}
}

// Format prints no claim.
func (p Passport) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "passport:"+string(p.Extension))
}

// LogValue logs what Format prints.
func (p Passport) LogValue() slog.Value { return slog.StringValue("passport:" + string(p.Extension)) }

// Format prints no claim.
func (c Claims) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "passport:claims") }

// LogValue logs what Format prints.
func (c Claims) LogValue() slog.Value { return slog.StringValue("passport:claims") }

// Format prints what the party is, not who.
func (p Party) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.kind()) }

// LogValue logs what Format prints.
func (p Party) LogValue() slog.Value { return slog.StringValue(p.kind()) }

func (p Party) kind() string {
	if p.TN != "" {
		return "passport:tn"
	}
	return "passport:uri"
}
