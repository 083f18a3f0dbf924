package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"whither/key"
)

// Bounds of keys.
const (
	minRSABits = 2048
	maxRSABits = 8192 // a signature under a larger one costs the verifier, not the signer
	maxE       = 1<<31 - 1
	p256Size   = 32
)

// Key is a public key with the one algorithm that it is for. The zero value
// verifies nothing.
type Key struct {
	alg        Algorithm
	rsa        *rsa.PublicKey
	ec         *ecdsa.PublicKey
	ed         key.Public
	thumbprint [sha256.Size]byte
}

// Algorithm returns the key's algorithm.
func (k Key) Algorithm() Algorithm { return k.alg }

// Thumbprint returns the key's JWK thumbprint with SHA-256 (RFC 7638): the name
// of the key whatever its kid, its other members and their order are.
func (k Key) Thumbprint() [sha256.Size]byte { return k.thumbprint }

// FromPublic takes a key out of a certificate: RSA, or ECDSA on P-256.
func FromPublic(public crypto.PublicKey) (Key, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return fromRSA(p)
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("%w: curve is not P-256", ErrKey)
		}
		point, err := p.Bytes()
		if err != nil {
			return Key{}, ErrKey
		}
		return fromPoint(point)
	}
	return Key{}, fmt.Errorf("%w: neither RSA nor ECDSA", ErrKey)
}

func fromRSA(p *rsa.PublicKey) (Key, error) {
	if p.N == nil || p.N.Sign() <= 0 || p.N.BitLen() < minRSABits || p.N.BitLen() > maxRSABits ||
		p.N.Bit(0) == 0 || p.E < 3 || p.E > maxE || p.E%2 == 0 {
		return Key{}, ErrWeakKey
	}
	return Key{alg: RS256, rsa: p, thumbprint: thumbprint(`{"e":"%s","kty":"RSA","n":"%s"}`, big.NewInt(int64(p.E)).Bytes(), p.N.Bytes())}, nil
}

// fromPoint takes an uncompressed point of P-256.
func fromPoint(point []byte) (Key, error) {
	p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return Key{}, fmt.Errorf("%w: not a point of P-256", ErrKey)
	}
	x, y := point[1:1+p256Size], point[1+p256Size:]
	return Key{alg: ES256, ec: p, thumbprint: thumbprint(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, x, y)}, nil
}

func fromEd25519(b []byte) (Key, error) {
	p, err := key.PublicFromBytes(b)
	if err != nil {
		return Key{}, ErrKey
	}
	return Key{alg: EdDSA, ed: p, thumbprint: thumbprint(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, b)}, nil
}

// thumbprint hashes the required members, which format has in the order of
// their names (RFC 7638 section 3.3).
func thumbprint(format string, values ...[]byte) [sha256.Size]byte {
	encoded := make([]any, len(values))
	for i, v := range values {
		encoded[i] = base64.RawURLEncoding.EncodeToString(v)
	}
	return sha256.Sum256(fmt.Appendf(nil, format, encoded...))
}

// verify checks a signature of the form of RFC 7518 section 3 or RFC 8037.
func (k Key) verify(input, signature []byte) error {
	digest := sha256.Sum256(input)
	good := false
	switch k.alg {
	case RS256:
		good = rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest[:], signature) == nil
	case ES256:
		good = len(signature) == 2*p256Size && ecdsa.Verify(k.ec, digest[:],
			new(big.Int).SetBytes(signature[:p256Size]), new(big.Int).SetBytes(signature[p256Size:]))
	case EdDSA:
		good = k.ed.Verify(input, signature) == nil
	}
	if !good {
		return ErrSignature
	}
	return nil
}

// sign makes what verify checks. Without a source of randomness ECDSA is that
// of RFC 6979, and the two others need none.
func sign(alg Algorithm, input []byte, k crypto.Signer) ([]byte, error) {
	if alg == EdDSA {
		return k.Sign(nil, input, crypto.Hash(0))
	}
	digest := sha256.Sum256(input)
	signature, err := k.Sign(nil, digest[:], crypto.SHA256)
	if err != nil || alg == RS256 {
		return signature, err
	}
	var rs struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &rs)
	if err != nil || len(rest) != 0 || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > 8*p256Size || rs.S.BitLen() > 8*p256Size {
		return nil, errors.New("not an ECDSA signature on P-256")
	}
	return append(rs.R.FillBytes(make([]byte, p256Size)), rs.S.FillBytes(make([]byte, p256Size))...), nil
}
