// Package jws reads and writes JSON Web Signatures (RFC 7515) in the compact
// serialization, and the public keys that go with them (RFC 7517, RFC 7638),
// narrowed to what ID tokens and PASSporTs need: three algorithms, RS256, ES256
// and EdDSA with Ed25519 (RFC 7518, RFC 8037).
//
// It is JOSE without choices, because here a signature is evidence:
//
//   - a key has one algorithm, by its type; the alg of a header can only agree
//     with it, so that no header turns a key into one of another kind;
//   - base64url has one encoding: no padding, no spare bits, no line ends;
//   - JSON is UTF-8, and every object in it, at any depth, names its members
//     once; names are compared as they are, not folded;
//   - crit is refused: no extension is understood (RFC 7515 section 4.1.11);
//   - RSA keys have 2,048 to 8,192 bits; symmetric keys are no keys.
//
// [Parse] gives a [Message] that nobody has vouched for; [Message.Verify] is a
// pure function of the message and the key. Where a key comes from, whether a
// header may name or carry one (jku, jwk, x5u), typ, and what the payload says
// are the callers' business: possession/openid and possession/stir.
//
// Times are seconds since 1970, sizes are bytes.
//
// Why not a library: docs/adr/0015.
package jws

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
)

// Errors, one a kind of refusal. Their texts, and those of what wraps them,
// never repeat what a message or a key set says.
var (
	ErrTooLarge  = errors.New("jws: too large")
	ErrCompact   = errors.New("jws: not three parts of base64url without padding")
	ErrJSON      = errors.New("jws: not a JSON object whose members have different names")
	ErrMember    = errors.New("jws: a member is missing or of another type")
	ErrCritical  = errors.New("jws: header with critical extensions")
	ErrAlgorithm = errors.New("jws: algorithm is none of RS256, ES256, EdDSA")
	ErrKeySet    = errors.New("jws: not a set of public keys")
	ErrKey       = errors.New("jws: malformed public key")
	ErrWeakKey   = errors.New("jws: RSA key of fewer than 2,048 bits or of an odd kind")
	ErrNoKey     = errors.New("jws: not exactly one key of that name and algorithm in the set")
	ErrConfusion = errors.New("jws: algorithm does not fit the type of the key")
	ErrSignature = errors.New("jws: signature does not verify")
)

// Algorithm is the alg of a header.
type Algorithm string

// The algorithms.
const (
	RS256 Algorithm = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	ES256 Algorithm = "ES256" // ECDSA on P-256 with SHA-256
	EdDSA Algorithm = "EdDSA" // Ed25519
)

func (a Algorithm) known() bool { return a == RS256 || a == ES256 || a == EdDSA }

// Message is a parsed JWS. Nothing in it is verified until [Message.Verify] is.
type Message struct {
	Header  Object
	Payload []byte
	// Alg and KID are the header's; KID is empty where there is none.
	Alg Algorithm
	KID string

	input     []byte // what the signature is over, as it came
	signature []byte
}

// Parse reads a compact JWS of at most max bytes.
func Parse(raw []byte, max int) (Message, error) {
	if len(raw) > max {
		return Message{}, ErrTooLarge
	}
	parts := bytes.Split(raw, []byte("."))
	if len(parts) != 3 {
		return Message{}, fmt.Errorf("%w: %d parts", ErrCompact, len(parts))
	}
	var decoded [3][]byte
	for i, p := range parts {
		b, err := decode(string(p))
		if err != nil {
			return Message{}, err
		}
		decoded[i] = b
	}
	header, err := ParseObject(decoded[0])
	if err != nil {
		return Message{}, fmt.Errorf("%w: header", err)
	}
	m := Message{
		Header: header, Payload: decoded[1],
		input: bytes.Clone(raw[:len(raw)-len(parts[2])-1]), signature: decoded[2],
	}
	if header.Has("crit") {
		return Message{}, ErrCritical
	}
	alg, err := header.Text("alg")
	if err != nil {
		return Message{}, err
	}
	if m.Alg = Algorithm(alg); !m.Alg.known() {
		return Message{}, ErrAlgorithm
	}
	if header.Has("kid") {
		if m.KID, err = header.Text("kid"); err != nil {
			return Message{}, err
		}
	}
	return m, nil
}

// decode reads base64url in its one encoding. The decoder alone would skip
// line ends.
func decode(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != s {
		return nil, ErrCompact
	}
	return b, nil
}

// Verify returns nil exactly if k made the signature.
func (m Message) Verify(k Key) error {
	if m.Alg != k.alg {
		return ErrConfusion
	}
	return k.verify(m.input, m.signature)
}

// Sign returns a compact JWS. header is the whole header as JSON and must name
// alg; k is a key for it. The same arguments give the same bytes.
func Sign(alg Algorithm, header, payload []byte, k crypto.Signer) (string, error) {
	h, err := ParseObject(header)
	if err != nil {
		return "", fmt.Errorf("%w: header", err)
	}
	if named, err := h.Text("alg"); err != nil || named != string(alg) || !alg.known() {
		return "", fmt.Errorf("%w: in the header to sign", ErrAlgorithm)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := sign(alg, []byte(input), k)
	if err != nil {
		return "", fmt.Errorf("jws: sign: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
