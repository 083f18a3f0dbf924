// Package key holds the signing keys of every party: typed Ed25519 keys, their
// identifiers, their files, and the one decision whether a signature is good.
//
// Algorithms are named by their COSE identifier; today there is one, the fully
// specified Ed25519 of RFC 9864 (−19). Identifiers follow RFC 9679: the SHA-256
// thumbprint of the key's COSE_Key, of which [ID] keeps the first 16 bytes.
// Two keys with one ID can be made by somebody with 2^64 work; they gain
// nothing, since the registry refuses a second key with an ID that it has, and
// a holder's key is always given in full.
//
// A [Private] prints as a redaction, cannot be compared with ==, and leaves
// this package only through [Private.PEM]. The package does not decide who may
// sign what: that is registry and mapping.
package key

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Sizes in bytes.
const (
	PublicSize    = ed25519.PublicKeySize // of a public key
	SignatureSize = ed25519.SignatureSize // of a signature
	IDSize        = 16                    // of an ID
)

// Errors.
var (
	ErrSignature = errors.New("key: signature does not verify")
	ErrPublic    = errors.New("key: not an Ed25519 public key")
	ErrPEM       = errors.New("key: not a PKCS#8 PEM file with an Ed25519 private key")
)

// Public is an Ed25519 public key. The zero value is no key.
type Public struct{ b [PublicSize]byte }

// PublicFromBytes takes the 32-byte encoding of RFC 8032. It refuses the
// encodings of points of small order, under which a signature binds nobody.
func PublicFromBytes(b []byte) (Public, error) {
	if len(b) != PublicSize {
		return Public{}, fmt.Errorf("%w: %d bytes, want %d", ErrPublic, len(b), PublicSize)
	}
	p := Public{[PublicSize]byte(b)}
	if smallOrder[p.b] {
		return Public{}, fmt.Errorf("%w: point of small order", ErrPublic)
	}
	return p, nil
}

// smallOrder lists the encodings, canonical and not, of the eight points whose
// order divides the cofactor, after the y-coordinate with its sign bit.
var smallOrder = func() map[[PublicSize]byte]bool {
	m := make(map[[PublicSize]byte]bool)
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			panic("key: table of small-order points: " + err.Error())
		}
		p := [PublicSize]byte(b)
		m[p] = true
		p[PublicSize-1] |= 0x80
		m[p] = true
	}
	return m
}()

// Bytes returns the 32-byte encoding of RFC 8032.
func (p Public) Bytes() []byte { return p.b[:] }

// IsZero reports whether p is no key.
func (p Public) IsZero() bool { return p == Public{} }

// String returns the ID's text.
func (p Public) String() string { return p.ID().String() }

// coseHead is all of a key's COSE_Key (RFC 9052 section 7) but the 32 bytes of x
// at its end. In deterministic encoding, with the members that RFC 9679 hashes,
// nothing else can vary, so that it is written and read as it stands here.
const coseHead = "" +
	"\xa3" + // map of three
	"\x01\x01" + // kty: OKP
	"\x20\x06" + // crv: Ed25519
	"\x21\x58\x20" // x: 32 bytes

// COSEKey returns the deterministic encoding of the key as a COSE_Key.
func (p Public) COSEKey() []byte {
	return append(append(make([]byte, 0, len(coseHead)+PublicSize), coseHead...), p.b[:]...)
}

// MarshalCBOR encodes the key as a COSE_Key.
func (p Public) MarshalCBOR() ([]byte, error) { return p.COSEKey(), nil }

// UnmarshalCBOR decodes a COSE_Key.
func (p *Public) UnmarshalCBOR(b []byte) error {
	x, ok := bytes.CutPrefix(b, []byte(coseHead))
	if !ok {
		return fmt.Errorf("%w: not the COSE_Key of one in its deterministic encoding", ErrPublic)
	}
	parsed, err := PublicFromBytes(x)
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// ID names a key: the first 16 bytes of its RFC 9679 thumbprint.
type ID [IDSize]byte

// ID returns SHA-256(COSE_Key)[:16].
func (p Public) ID() ID {
	sum := sha256.Sum256(p.COSEKey())
	return ID(sum[:IDSize])
}

// String returns 32 hexadecimal digits in groups of four joined by hyphens,
// the form that people compare.
func (id ID) String() string {
	digits := hex.EncodeToString(id[:])
	out := make([]byte, 0, len(digits)+len(digits)/4)
	for i := 0; i < len(digits); i += 4 {
		if i > 0 {
			out = append(out, '-')
		}
		out = append(out, digits[i:i+4]...)
	}
	return string(out)
}

// Private is an Ed25519 private key. The zero value signs nothing.
type Private struct {
	_ [0]func() // not comparable: == is not constant time
	k ed25519.PrivateKey
}

// Generate makes a key from 32 bytes of random, normally crypto/rand.Reader.
func Generate(random io.Reader) (Private, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return Private{}, fmt.Errorf("key: generate: %w", err)
	}
	return Private{k: ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the public half.
func (p Private) Public() Public {
	if p.k == nil {
		return Public{}
	}
	return Public{[PublicSize]byte(p.k[ed25519.SeedSize:])}
}

// IsZero reports whether p is no key.
func (p Private) IsZero() bool { return p.k == nil }

// Sign signs message; callers have put a [Label] into it.
func (p Private) Sign(message []byte) []byte { return ed25519.Sign(p.k, message) }

// Verify returns ErrSignature unless signature is p's over message.
func (p Public) Verify(message, signature []byte) error {
	if p.IsZero() || len(signature) != SignatureSize || !ed25519.Verify(p.b[:], message, signature) {
		return ErrSignature
	}
	return nil
}

// redacted is all that is ever printed of a private key.
const redacted = "key.Private(redacted)"

// Format prints a redaction for every verb, %#v and %x included.
func (p Private) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs a redaction.
func (p Private) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses, so that no encoder writes a key by accident.
func (p Private) MarshalText() ([]byte, error) {
	return nil, errors.New("key: a private key is written by PEM only")
}

const pemType = "PRIVATE KEY"

// PEM returns the key as PKCS#8 (RFC 8410) in PEM. Files with it want mode 0600.
func (p Private) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.k)
	if err != nil {
		return nil, fmt.Errorf("key: encode: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ParsePEM reads what PEM writes and nothing around it.
func ParsePEM(b []byte) (Private, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != pemType || len(rest) != 0 || len(block.Headers) != 0 {
		return Private{}, ErrPEM
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Private{}, ErrPEM // the parser's error may quote the input
	}
	k, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Private{}, ErrPEM
	}
	return Private{k: k}, nil
}
