package stir

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"whither/key"
	"whither/possession/stir/chain"
	"whither/possession/stir/jose"
	"whither/possession/stir/tnauth"
)

// Token is an authority token (RFC 9447, RFC 9448): a token authority says that
// whoever has a key may have certificates for these numbers.
type Token struct {
	Issuer      string // iss, may be empty
	ID          string // jti
	Issued      time.Time
	Expires     time.Time
	Numbers     tnauth.List
	Fingerprint string // as [Fingerprint] writes it
}

// Fingerprint names the holder's key in authority tokens: "SHA256 " and the
// JWK thumbprint of RFC 7638 in upper-case hexadecimal with colons, as RFC 9448
// section 5.4 writes the fingerprint of an ACME account key. The JWK of an
// Ed25519 key is that of RFC 8037:
//
//	SHA-256({"crv":"Ed25519","kty":"OKP","x":"base64url of the 32 bytes"})
func Fingerprint(holder key.Public) string {
	jwk := jose.Value{Kind: jose.Object, Members: []jose.Member{
		{Name: "crv", Value: jose.Text("Ed25519")},
		{Name: "kty", Value: jose.Text("OKP")},
		{Name: "x", Value: jose.Text(base64.RawURLEncoding.EncodeToString(holder.Bytes()))},
	}}
	sum := sha256.Sum256(jwk.Canonical())
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return "SHA256 " + strings.Join(pairs, ":")
}

// VerifyToken checks an authority token over the number for the holder's key.
//
// The token has iat, which RFC 9448 does not ask for: without the time of the
// signature it is no evidence of any time. It is for an end entity, not for a CA.
func VerifyToken(a Artefact, t Trust, w Want) (Report, error) {
	if !w.valid(FormToken) {
		return Report{}, ErrWant
	}
	if err := a.check(FormToken); err != nil {
		return Report{}, err
	}
	signed, err := jose.Parse(a.Token, false)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	token, err := readToken(signed)
	if err != nil {
		return Report{}, err
	}
	if token.Fingerprint != Fingerprint(w.Holder) {
		return Report{}, ErrWrongKey
	}
	number := w.CSI.PASSporTDigits()
	if !chain.Covers(token.Numbers, number, t.Ranges) {
		return Report{}, ErrWrongNumber
	}
	if err := w.fresh(token.Issued); err != nil {
		return Report{}, err
	}
	if w.Now.After(token.Expires) {
		return Report{}, ErrExpired
	}
	certificates, err := a.certificates(signed.Header.X5C)
	if err != nil {
		return Report{}, err
	}
	path, err := chain.Verify(certificates, t.Authorities, token.Issued)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := path.Admits(number, t.Ranges); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	if err := path.Allows(signed.Claim); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := signed.Verify(path.Signer()); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return a.report(w, path, token.Issued)
}

// readToken reads the claims. Others than those of RFC 9448 and iat are
// refused: nbf, aud and sub would narrow what is said, and the rest is unknown.
func readToken(t jose.Token) (Token, error) {
	if t.Header.Type != "JWT" || t.Header.PPT != "" {
		return Token{}, fmt.Errorf("%w: header", ErrToken)
	}
	var out Token
	var issued, expires, atc bool
	for _, m := range t.Payload.Members {
		ok := true
		switch m.Name {
		case "iss":
			out.Issuer, ok = readText(m.Value)
		case "jti":
			out.ID, ok = readText(m.Value)
		case "iat":
			out.Issued, ok = readTime(m.Value)
			issued = true
		case "exp":
			out.Expires, ok = readTime(m.Value)
			expires = true
		case "atc":
			ok = out.readATC(m.Value)
			atc = true
		default:
			ok = false
		}
		if !ok {
			return Token{}, fmt.Errorf("%w: a claim is unknown or of the wrong form", ErrToken)
		}
	}
	if !issued || !expires || !atc || out.ID == "" || !out.Expires.After(out.Issued) {
		return Token{}, fmt.Errorf("%w: iat, exp, jti or atc is absent, or exp is not after iat", ErrToken)
	}
	return out, nil
}

func (t *Token) readATC(v jose.Value) bool {
	var kind, value bool
	for _, m := range v.Members {
		ok := true
		switch m.Name {
		case "tktype":
			kind = m.Value.Text == "TNAuthList"
			ok = kind
		case "tkvalue":
			t.Numbers, ok = readNumbers(m.Value.Text)
			value = ok
		case "ca":
			ok = m.Value.Kind == jose.Bool && !m.Value.True
		case "fingerprint":
			t.Fingerprint, ok = readText(m.Value)
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return kind && value && t.Fingerprint != ""
}

func readNumbers(s string) (tnauth.List, bool) {
	der, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	list, err := tnauth.Parse(der)
	return list, err == nil
}

func readText(v jose.Value) (string, bool) {
	return v.Text, v.Kind == jose.String && v.Text != "" && len(v.Text) <= jose.MaxURL
}

func readTime(v jose.Value) (time.Time, bool) {
	const maxTime = 1 << 40 // 34,000 years, and no overflow anywhere
	return time.Unix(v.Int, 0).UTC(), v.Kind == jose.Integer && v.Int > 0 && v.Int < maxTime
}

// Sign returns the token, signed by a token authority whose certificates are at
// an https URL.
func (t Token) Sign(x5u string, authority crypto.Signer) (string, error) {
	der, err := t.Numbers.Marshal()
	if err != nil {
		return "", err
	}
	payload := jose.Value{Kind: jose.Object, Members: []jose.Member{
		{Name: "atc", Value: jose.Value{Kind: jose.Object, Members: []jose.Member{
			{Name: "tktype", Value: jose.Text("TNAuthList")},
			{Name: "tkvalue", Value: jose.Text(base64.RawURLEncoding.EncodeToString(der))},
			{Name: "ca", Value: jose.Flag(false)},
			{Name: "fingerprint", Value: jose.Text(t.Fingerprint)},
		}}},
		{Name: "exp", Value: jose.Number(t.Expires.Unix())},
		{Name: "iat", Value: jose.Number(t.Issued.Unix())},
		{Name: "jti", Value: jose.Text(t.ID)},
	}}
	if t.Issuer != "" {
		payload.Members = append(payload.Members, jose.Member{Name: "iss", Value: jose.Text(t.Issuer)})
	}
	text, err := jose.Sign(jose.Header{Type: "JWT", X5U: x5u}, payload, authority)
	if err != nil {
		return "", err
	}
	// What could not be read is not written.
	signed, err := jose.Parse(text, false)
	if err != nil {
		return "", err
	}
	if _, err := readToken(signed); err != nil {
		return "", err
	}
	return text, nil
}
