// Package jose reads and writes the signed tokens of the telephone world: JSON
// Web Signatures in compact form, signed with ES256, as PASSporTs (RFC 8225) and
// authority tokens (RFC 9447) are. Package internal/jws does what all JSON Web
// Signatures have in common; here are the deterministic JSON of RFC 8225 section
// 9, and the header of these tokens.
//
// It promises one reading of every token: a header with the members alg, ppt,
// typ, x5c and x5u and no others, JSON with integers and without names that
// occur twice. alg is ES256; there is no other and no "none". [Token.Verify] is a
// pure function of token and key.
//
// It does not promise one token a statement: of an ECDSA signature (r, s)
// everybody can make (r, n−s), which is as good. Nobody may take the digest of a
// token for the name of what it says.
//
// It does not fetch x5u, or decide whose key may sign: see packages passport and
// chain beside this one. Sizes are bytes.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"whither/internal/jws"
)

// Bounds.
const (
	MaxToken = 8 << 10 // of a whole token
	MaxChain = 6       // certificates in x5c
	MaxURL   = 1024    // of x5u

	maxValues = 256
	maxDepth  = 8

	signatureLen = 86 // of r and s, 32 bytes each, in base64url
)

// Errors. Their texts never repeat what a token says.
var (
	ErrForm         = errors.New("jose: not a JSON Web Signature in compact form, or too large")
	ErrJSON         = errors.New("jose: malformed JSON")
	ErrNotCanonical = errors.New("jose: JSON is not in the deterministic form of RFC 8225 section 9")
	ErrAlgorithm    = errors.New("jose: algorithm is not ES256")
	ErrHeader       = errors.New("jose: header has a member too many, or one of the wrong form")
	ErrKey          = errors.New("jose: key is not ECDSA on P-256")
	ErrSignature    = errors.New("jose: signature does not verify")
)

// Header is the protected header of a token; alg is always ES256.
type Header struct {
	Type  string   // typ
	PPT   string   // PASSporT extension, empty if absent
	X5U   string   // https URL of the certificates, empty if absent
	X5C   [][]byte // the certificates themselves in DER, signer first; nil if absent
	Value Value    // the same as JSON
}

// Token is a parsed token whose signature nobody has checked.
type Token struct {
	Header  Header
	Payload Value
	message jws.Message
}

// Parse reads a token in compact form. canonical says whether header and
// payload must be deterministic (RFC 8225 section 9).
func Parse(s string, canonical bool) (Token, error) {
	m, err := jws.Parse([]byte(s), MaxToken)
	if err != nil {
		return Token{}, translate(err)
	}
	if m.Alg != jws.ES256 {
		return Token{}, ErrAlgorithm
	}
	encoded, _, _ := strings.Cut(s, ".")
	if signature := s[strings.LastIndexByte(s, '.')+1:]; len(signature) != signatureLen {
		return Token{}, ErrForm
	}
	read := ParseJSON
	if canonical {
		read = ParseCanonical
	}
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return Token{}, ErrForm // jws saw to it
	}
	header, err := read(text)
	if err != nil {
		return Token{}, err
	}
	t := Token{message: m}
	if t.Payload, err = read(m.Payload); err != nil {
		return Token{}, err
	}
	t.Header, err = ReadHeader(header)
	return t, err
}

// translate turns an error of package jws into ours.
func translate(err error) error {
	for _, row := range []struct{ theirs, ours error }{
		{jws.ErrTooLarge, ErrForm},
		{jws.ErrCompact, ErrForm},
		{jws.ErrJSON, ErrJSON},
		{jws.ErrMember, ErrHeader},
		{jws.ErrCritical, ErrHeader},
		{jws.ErrAlgorithm, ErrAlgorithm},
		{jws.ErrKey, ErrKey},
		{jws.ErrWeakKey, ErrKey},
		{jws.ErrConfusion, ErrKey},
		{jws.ErrSignature, ErrSignature},
	} {
		if errors.Is(err, row.theirs) {
			return fmt.Errorf("%w: %w", row.ours, err)
		}
	}
	return err
}

// ReadHeader reads a header. Members that it does not know are refused, crit
// among them: RFC 7515 lets most be ignored, but here the header is evidence.
func ReadHeader(v Value) (Header, error) {
	h := Header{Value: v}
	var algorithm string
	for _, m := range v.Members {
		ok := m.Value.Kind == String && m.Value.Text != ""
		switch m.Name {
		case "alg":
			algorithm = m.Value.Text
		case "typ":
			h.Type = m.Value.Text
		case "ppt":
			h.PPT = m.Value.Text
		case "x5u":
			h.X5U = m.Value.Text
			ok = ok && validURL(h.X5U)
		case "x5c":
			h.X5C, ok = readChain(m.Value)
		default:
			ok = false
		}
		if !ok {
			return Header{}, ErrHeader
		}
	}
	if algorithm != "ES256" {
		return Header{}, ErrAlgorithm
	}
	return h, nil
}

// validURL accepts what can be fetched with integrity and without secrets.
func validURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= MaxURL && u.Scheme == "https" && u.Host != "" && u.User == nil && u.Fragment == "" &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// readChain reads x5c, which RFC 7515 section 4.1.6 has in ordinary base64.
func readChain(v Value) ([][]byte, bool) {
	if v.Kind != Array || len(v.List) == 0 || len(v.List) > MaxChain {
		return nil, false
	}
	var chain [][]byte
	for _, e := range v.List {
		der, err := base64.StdEncoding.Strict().DecodeString(e.Text)
		if err != nil || len(der) == 0 || strings.ContainsAny(e.Text, "\r\n") {
			return nil, false
		}
		chain = append(chain, der)
	}
	return chain, true
}

// JSON returns the header as Sign writes it.
func (h Header) JSON() Value {
	v := Value{Kind: Object, Members: []Member{{"alg", Text("ES256")}}}
	for _, m := range []Member{{"ppt", Text(h.PPT)}, {"typ", Text(h.Type)}, {"x5u", Text(h.X5U)}} {
		if m.Value.Text != "" {
			v.Members = append(v.Members, m)
		}
	}
	if len(h.X5C) > 0 {
		var list []string
		for _, der := range h.X5C {
			list = append(list, base64.StdEncoding.EncodeToString(der))
		}
		v.Members = append(v.Members, Member{"x5c", Texts(list)})
	}
	return v
}

// Verify returns ErrSignature unless the key signed the token.
func (t Token) Verify(k *ecdsa.PublicKey) error {
	if k == nil {
		return ErrKey
	}
	public, err := jws.FromPublic(k)
	if err != nil {
		return translate(err)
	}
	if err := t.message.Verify(public); err != nil {
		return translate(err)
	}
	return nil
}

// Claim returns a member of the payload by its name, as constraints of
// certificates ask for it.
func (t Token) Claim(name string) (value string, isString, present bool) {
	v, present := t.Payload.Get(name)
	return v.Text, v.Kind == String, present
}

// Input returns what is signed: header and payload, deterministic, in base64url
// with a dot between.
func Input(h Header, payload Value) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode(h.JSON().Canonical()) + "." + encode(payload.Canonical())
}

// Sign returns the token in compact form, header and payload deterministic. It
// hands the signer no randomness: the keys of crypto/ecdsa sign by RFC 6979
// then, so that the same token has the same bytes; others bring their own.
func Sign(h Header, payload Value, signer crypto.Signer) (string, error) {
	if k, ok := signer.Public().(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return "", ErrKey
	}
	token, err := jws.Sign(jws.ES256, h.JSON().Canonical(), payload.Canonical(), signer)
	if err != nil {
		return "", fmt.Errorf("jose: %w", err)
	}
	// What could not be read is not written.
	if _, err := Parse(token, true); err != nil {
		return "", err
	}
	return token, nil
}

// Format prints no part of the token.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "jose:token") }
