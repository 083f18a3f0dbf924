package jws

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
)

// Bounds of a key set. Large providers publish two to ten keys, some with
// their certificates.
const (
	MaxSet  = 64 << 10
	maxKeys = 64
)

// Set is a JWK set (RFC 7517 section 5) as somebody published it.
type Set struct {
	entries []entry
}

// entry is a key for signatures of one of our algorithms, or why it is none.
type entry struct {
	kid string
	alg Algorithm
	key Key
	err error
}

// Published is one usable key of a set.
type Published struct {
	KID string // empty where the set gives none
	Key Key
}

// ParseSet reads a JWK set. Keys of other types, for other algorithms and for
// encryption are passed over, as RFC 7517 asks; a set with a private or secret
// key in it is no set of public keys: whoever can read it can sign.
func ParseSet(b []byte) (Set, error) {
	if len(b) > MaxSet {
		return Set{}, ErrTooLarge
	}
	o, err := ParseObject(b)
	if err != nil {
		return Set{}, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	keys, err := o.Objects("keys")
	if err != nil {
		return Set{}, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	if len(keys) == 0 || len(keys) > maxKeys {
		return Set{}, fmt.Errorf("%w: %d keys", ErrKeySet, len(keys))
	}
	var s Set
	for _, k := range keys {
		if k.Has("d") || k.Has("k") {
			return Set{}, fmt.Errorf("%w: with a private one", ErrKeySet)
		}
		if e, ours := parseJWK(k); ours {
			s.entries = append(s.entries, e)
		}
	}
	return s, nil
}

// parseJWK reads one key; ours is false for what is to be passed over.
func parseJWK(k Object) (e entry, ours bool) {
	kty, err := k.Text("kty")
	if err != nil {
		return entry{}, false
	}
	switch curve, _ := k.Text("crv"); {
	case kty == "RSA":
		e.alg = RS256
	case kty == "EC" && curve == "P-256":
		e.alg = ES256
	case kty == "OKP" && curve == "Ed25519":
		e.alg = EdDSA
	default:
		return entry{}, false
	}
	if !fits(k, "alg", string(e.alg)) || !fits(k, "use", "sig") {
		return entry{}, false
	}
	if ops, err := k.Texts("key_ops"); k.Has("key_ops") && (err != nil || !slices.Contains(ops, "verify")) {
		return entry{}, false
	}
	if k.Has("kid") {
		if e.kid, err = k.Text("kid"); err != nil {
			return entry{}, false
		}
	}
	e.key, e.err = e.alg.parse(k)
	return e, true
}

// fits reports whether a member that may be left out has the value.
func fits(k Object, name, value string) bool {
	text, err := k.Text(name)
	return !k.Has(name) || err == nil && text == value
}

// parse reads the key's own members (RFC 7518 section 6, RFC 8037 section 2).
func (a Algorithm) parse(k Object) (Key, error) {
	first, second := "x", "y"
	if a == RS256 {
		first, second = "n", "e"
	}
	one, err := octets(k, first)
	if err != nil {
		return Key{}, err
	}
	if a == EdDSA {
		return fromEd25519(one)
	}
	two, err := octets(k, second)
	if err != nil {
		return Key{}, err
	}
	if a == ES256 {
		if len(one) != p256Size || len(two) != p256Size {
			return Key{}, fmt.Errorf("%w: coordinates are not of 32 bytes", ErrKey)
		}
		return fromPoint(slices.Concat([]byte{4}, one, two))
	}
	// Base64urlUInt has no zero octets in front: with them one key would have
	// several spellings.
	if len(one) == 0 || one[0] == 0 || len(two) == 0 || two[0] == 0 {
		return Key{}, ErrKey
	}
	if len(one) > maxRSABits/8 || len(two) > 4 {
		return Key{}, ErrWeakKey
	}
	return fromRSA(&rsa.PublicKey{N: new(big.Int).SetBytes(one), E: int(new(big.Int).SetBytes(two).Int64())})
}

func octets(k Object, name string) ([]byte, error) {
	text, err := k.Text(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrKey, name)
	}
	b, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrKey, name)
	}
	return b, nil
}

// Find returns the one key that a header with this alg and kid means. Without a
// kid there must be one key only that could be meant.
func (s Set) Find(alg Algorithm, kid string) (Key, error) {
	var found []entry
	other := false
	for _, e := range s.entries {
		switch {
		case kid != "" && e.kid != kid:
		case e.alg != alg:
			other = true
		default:
			found = append(found, e)
		}
	}
	switch {
	case len(found) == 1:
		return found[0].key, found[0].err
	case len(found) == 0 && other:
		return Key{}, ErrConfusion
	}
	return Key{}, ErrNoKey
}

// Keys returns the usable keys in the order of the set.
func (s Set) Keys() []Published {
	var out []Published
	for _, e := range s.entries {
		if e.err == nil {
			out = append(out, Published{KID: e.kid, Key: e.key})
		}
	}
	return out
}
