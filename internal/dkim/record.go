package dkim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"whither/key"
)

// Key is a published key: the contents of one key record.
type Key struct {
	rsa     *rsa.PublicKey // one of the two is set
	ed25519 key.Public

	published []byte // the decoded p=
	strict    bool   // t=s: i= names the domain itself
}

// ParseKey reads the TXT records found at selector._domainkey.domain, each with
// its strings already joined. There must be exactly one (RFC 6376 section
// 3.6.2.2). A revoked key (empty p=), a testing key (t=y), a key for another
// service or another hash is no key.
func ParseKey(txt []string) (Key, error) {
	if len(txt) != 1 {
		return Key{}, fmt.Errorf("%w: %d records, want 1", ErrKeyRecord, len(txt))
	}
	if len(txt[0]) > MaxRecord {
		return Key{}, fmt.Errorf("%w: too large", ErrKeyRecord)
	}
	tags, err := parseTags(txt[0])
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKeyRecord, err)
	}
	for i, t := range tags {
		if t.name == "v" && (i != 0 || t.value != "DKIM1") {
			return Key{}, fmt.Errorf("%w: version", ErrKeyRecord)
		}
	}
	if services := tags.list("s"); services != nil && !slices.Contains(services, "*") && !slices.Contains(services, "email") {
		return Key{}, fmt.Errorf("%w: not for mail", ErrKeyRecord)
	}
	if hashes := tags.list("h"); hashes != nil && !slices.Contains(hashes, "sha256") {
		return Key{}, fmt.Errorf("%w: not for SHA-256", ErrKeyRecord)
	}
	flags := tags.list("t")
	if slices.Contains(flags, "y") {
		return Key{}, fmt.Errorf("%w: for testing only", ErrKeyRecord)
	}
	p, ok := tags.get("p")
	if !ok || p == "" {
		return Key{}, fmt.Errorf("%w: absent or revoked", ErrKeyRecord)
	}
	published, err := decodeBase64(p)
	if err != nil {
		return Key{}, fmt.Errorf("%w: p= is not base64", ErrKeyRecord)
	}
	k := Key{published: published, strict: slices.Contains(flags, "s")}
	kind, ok := tags.get("k")
	if !ok {
		kind = "rsa"
	}
	if err := k.decode(kind); err != nil {
		return Key{}, err
	}
	return k, nil
}

func (k *Key) decode(kind string) error {
	switch kind {
	case "rsa":
		public, err := parseRSA(k.published)
		if err != nil {
			return err
		}
		k.rsa = public
	case "ed25519":
		public, err := key.PublicFromBytes(k.published)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKeyRecord, err)
		}
		k.ed25519 = public
	default:
		return fmt.Errorf("%w: unknown key type", ErrKeyRecord)
	}
	return nil
}

// parseRSA takes SubjectPublicKeyInfo and, after erratum 3017 of RFC 6376, the
// bare RSAPublicKey too.
func parseRSA(der []byte) (*rsa.PublicKey, error) {
	var public *rsa.PublicKey
	if any, err := x509.ParsePKIXPublicKey(der); err == nil {
		public, _ = any.(*rsa.PublicKey)
	} else {
		public, _ = x509.ParsePKCS1PublicKey(der)
	}
	if public == nil {
		return nil, fmt.Errorf("%w: not an RSA key", ErrKeyRecord)
	}
	if bits := public.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
		return nil, fmt.Errorf("%w: %d bits", ErrWeakKey, bits)
	}
	return public, nil
}

// Type returns "rsa" or "ed25519".
func (k Key) Type() string {
	if k.rsa != nil {
		return "rsa"
	}
	return "ed25519"
}

// Digest names the key that was published:
//
//	SHA-256(type || 0x00 || p)
//
// where type is "rsa" or "ed25519" in ASCII and p the decoded bytes of the p=
// tag. White space, tag order and the other tags of the record do not count.
func (k Key) Digest() [sha256.Size]byte {
	return sha256.Sum256(append([]byte(k.Type()+"\x00"), k.published...))
}

// verify checks a signature over a SHA-256 hash. RFC 8463 signs the hash, not
// the data, with Ed25519.
func (k Key) verify(hash [sha256.Size]byte, signature []byte) error {
	var err error
	if k.rsa != nil {
		err = rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, hash[:], signature)
	} else {
		err = k.ed25519.Verify(hash[:], signature)
	}
	if err != nil {
		return ErrSignature
	}
	return nil
}
