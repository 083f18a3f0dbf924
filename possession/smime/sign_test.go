package smime_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

const vectorDir = "../../vectors/smime"

// loadKey reads one of the fixed keys of the vectors.
func loadKey(t testing.TB, name string) crypto.Signer {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, "keys", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s: no PEM", name)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(crypto.Signer)
}

// Object identifiers, written down a second time.
var (
	data          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	signedDataOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	contentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	messageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	signingTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	capabilities  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}
	hashSHA1      = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	hashSHA256    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	hashSHA512    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	rsaAlone      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	rsaSHA1       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	rsaMGF1       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	rsaPSS        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	rsaSHA256     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	ecSHA1        = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	ecSHA256      = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	ecSHA384      = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
)

type builder = cryptobyte.Builder

func build(t testing.TB, f func(*builder)) []byte {
	t.Helper()
	var b builder
	f(&b)
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func contextTag(n uint8) tag.Tag { return tag.Tag(n).ContextSpecific().Constructed() }

// sequence builds a SEQUENCE around elements that are encoded already.
func sequence(t testing.TB, elements ...[]byte) []byte { return wrap(t, tag.SEQUENCE, elements...) }

func wrap(t testing.TB, outer tag.Tag, elements ...[]byte) []byte {
	return build(t, func(b *builder) {
		b.AddASN1(outer, func(b *builder) {
			for _, e := range elements {
				b.AddBytes(e)
			}
		})
	})
}

func oidDER(t testing.TB, oid asn1.ObjectIdentifier) []byte {
	return build(t, func(b *builder) { b.AddASN1ObjectIdentifier(oid) })
}

func integer(t testing.TB, n int64) []byte {
	return build(t, func(b *builder) { b.AddASN1Int64(n) })
}

var null = []byte{5, 0}

// attribute is one signed attribute with one value.
func attribute(t testing.TB, oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return sequence(t, oidDER(t, oid), wrap(t, tag.SET, values...))
}

func utc(t testing.TB, text string) []byte {
	return build(t, func(b *builder) { b.AddASN1(tag.UTCTime, func(b *builder) { b.AddBytes([]byte(text)) }) })
}

func octets(t testing.TB, b []byte) []byte {
	return build(t, func(c *builder) { c.AddASN1OctetString(b) })
}

// pssParameters are RSASSA-PSS-params with one hash throughout.
func pssParameters(t testing.TB, hash asn1.ObjectIdentifier, salt int64) []byte {
	h := sequence(t, oidDER(t, hash), null)
	return sequence(t,
		wrap(t, contextTag(0), h),
		wrap(t, contextTag(1), sequence(t, oidDER(t, rsaMGF1), h)),
		wrap(t, contextTag(2), integer(t, salt)))
}

// message is a CMS signature about to be made, every part of it encoded. It is
// written apart from the parser, so that it can write what that refuses, and so
// that a mistake in one of them shows.
type message struct {
	outer        asn1.ObjectIdentifier // of ContentInfo
	version      int64
	digests      [][]byte // AlgorithmIdentifiers
	content      [][]byte // of EncapsulatedContentInfo
	certificates [][]byte
	lists        [][]byte // revocation lists
	signers      int

	signerVersion int64
	sid           []byte
	digest        []byte // AlgorithmIdentifier
	attributes    [][]byte
	unsorted      bool
	bare          bool // no signed attributes
	algorithm     []byte
	key           crypto.Signer
	signature     []byte // instead of one made
	unsigned      [][]byte
	extra         []byte // after the signature
}

func (m message) marshal(t testing.TB, text []byte) []byte {
	t.Helper()
	attributes := slices.Clone(m.attributes)
	if !m.unsorted {
		slices.SortFunc(attributes, bytes.Compare)
	}
	signature := m.signature
	if signature == nil {
		signature = rawSign(t, m.key, m.algorithm, wrap(t, tag.SET, attributes...))
	}
	parts := [][]byte{integer(t, m.signerVersion), m.sid, m.digest}
	if !m.bare {
		parts = append(parts, wrap(t, contextTag(0), attributes...))
	}
	parts = append(parts, m.algorithm, octets(t, signature))
	if m.unsigned != nil {
		parts = append(parts, wrap(t, contextTag(1), m.unsigned...))
	}
	signer := sequence(t, append(parts, m.extra)...)

	parts = [][]byte{integer(t, m.version), wrap(t, tag.SET, m.digests...), sequence(t, m.content...)}
	if m.certificates != nil {
		parts = append(parts, wrap(t, contextTag(0), m.certificates...))
	}
	if m.lists != nil {
		parts = append(parts, wrap(t, contextTag(1), m.lists...))
	}
	parts = append(parts, wrap(t, tag.SET, slices.Repeat([][]byte{signer}, m.signers)...))
	return sequence(t, oidDER(t, m.outer), wrap(t, contextTag(0), sequence(t, parts...)))
}

type fixedSalt struct{}

func (fixedSalt) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0x5a
	}
	return len(b), nil
}

// rawSign signs as algorithm says, with fixed salt or none: the same bytes at
// each run.
func rawSign(t testing.TB, k crypto.Signer, algorithm, text []byte) []byte {
	t.Helper()
	hash, digest := crypto.SHA256, sha256.Sum256(text)
	sum := digest[:]
	if bytes.Contains(algorithm, oidDER(t, rsaSHA1)) || bytes.Contains(algorithm, oidDER(t, ecSHA1)) {
		old := sha1.Sum(text)
		hash, sum = crypto.SHA1, old[:]
	}
	var signature []byte
	var err error
	switch k := k.(type) {
	case *rsa.PrivateKey:
		if bytes.Contains(algorithm, oidDER(t, rsaPSS)) {
			signature, err = rsa.SignPSS(fixedSalt{}, k, hash, sum, &rsa.PSSOptions{SaltLength: 32})
		} else {
			signature, err = k.Sign(nil, sum, hash)
		}
	case *ecdsa.PrivateKey:
		signature, err = k.Sign(nil, sum, hash)
	case ed25519.PrivateKey:
		signature, err = k.Sign(nil, text, crypto.Hash(0))
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// resign signs a certificate again under another algorithm, as package x509
// would not.
func resign(t testing.TB, der []byte, k crypto.Signer, algorithm []byte) []byte {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	in := cryptobyte.String(c.RawTBSCertificate)
	var tbs, version, serial, old cryptobyte.String
	if !in.ReadASN1(&tbs, tag.SEQUENCE) || !tbs.ReadASN1Element(&version, contextTag(0)) ||
		!tbs.ReadASN1Element(&serial, tag.INTEGER) || !tbs.ReadASN1Element(&old, tag.SEQUENCE) {
		t.Fatal("certificate cannot be read")
	}
	again := sequence(t, version, serial, algorithm, tbs)
	signature := rawSign(t, k, algorithm, again)
	return sequence(t, again, algorithm, build(t, func(b *builder) { b.AddASN1BitString(signature) }))
}
