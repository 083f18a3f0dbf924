package smime_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	tag "golang.org/x/crypto/cryptobyte/asn1"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/possession/smime"
)

const (
	address     = "alice@example.org"
	fingerprint = "5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4"
	year        = 365 * 24 * time.Hour
)

var now = time.Unix(1_800_000_000, 0).UTC()

func parseCSI(t testing.TB, s string) csi.ID {
	t.Helper()
	id, err := csi.ParseCanonical(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// response is what alice's app commits to: her CSI, her key, the challenge.
func response(t testing.TB, id string, holder, nonce byte) [32]byte {
	t.Helper()
	k, err := key.Generate(bytes.NewReader(bytes.Repeat([]byte{holder}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return possession.Response(parseCSI(t, id), k.Public(), [possession.NonceSize]byte{nonce})
}

// draft is a signature about to be made, with the certificates around it. The
// zero edit gives a good one.
type draft struct {
	t                     testing.TB
	root, authority, leaf *x509.Certificate // templates
	rootKey, authorityKey string
	leafKey               string
	byRoot                bool   // no authority between
	resigned              []byte // algorithm under which the leaf is signed again
	authorityResigned     []byte // the same for the authority
	message               message
	bag                   func(leaf, authority, root []byte) [][]byte // certificates sent along
	configured            func(leaf, root []byte) []byte              // the root that is trusted
	revoked               []int64                                     // serial numbers
	lists                 func(root, authority []byte) [][]byte       // instead of two current revocation lists
	text                  []byte                                      // what is signed
	want                  smime.Want                                  // without roots and status
	change                func(m *message)                            // after everything is filled in
	after                 func(der []byte) []byte                     // what happens to it on its way
}

func authorityTemplate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-5 * year), NotAfter: now.Add(5 * year),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func newDraft(t testing.TB) *draft {
	d := &draft{
		t: t, root: authorityTemplate("Example Root", 1), authority: authorityTemplate("Example Mail Authority", 2),
		rootKey: "root", authorityKey: "authority", leafKey: "alice",
		leaf: &x509.Certificate{
			SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "Alice"},
			NotBefore: now.Add(-year / 2), NotAfter: now.Add(year / 2), BasicConstraintsValid: true,
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, EmailAddresses: []string{address},
		},
		bag:        func(leaf, authority, _ []byte) [][]byte { return [][]byte{leaf, authority} },
		configured: func(_, root []byte) []byte { return root },
		want:       smime.Want{CSI: parseCSI(t, "mailto:"+address), Response: response(t, "mailto:"+address, 'a', 1), Fingerprint: fingerprint, Now: now},
	}
	d.authority.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	d.text = smime.Content(d.want.Response, fingerprint)
	d.message = message{
		outer: signedDataOID, version: 1, digests: [][]byte{sequence(t, oidDER(t, hashSHA256))}, content: [][]byte{oidDER(t, data)},
		signers: 1, signerVersion: 1, digest: sequence(t, oidDER(t, hashSHA256)), algorithm: sequence(t, oidDER(t, ecSHA256)),
	}
	return d
}

func (d *draft) rsa(oid asn1.ObjectIdentifier, parameters []byte) {
	d.leafKey = "rsa2048"
	d.message.algorithm = sequence(d.t, oidDER(d.t, oid), parameters)
}

// made is what a draft becomes.
type made struct {
	signature []byte
	text      []byte
	roots     [][]byte
	lists     [][]byte
	want      smime.Want // without roots and status
}

func (m made) wanted(t testing.TB) smime.Want {
	t.Helper()
	want := m.want
	for _, der := range m.roots {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		want.Roots = append(want.Roots, c)
	}
	var err error
	if want.Status, err = smime.CRLs(want.Now, m.lists...); err != nil {
		t.Fatal(err)
	}
	return want
}

func certify(t testing.TB, template, parent *x509.Certificate, subjectKey, issuerKey string) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(nil, template, parent, loadKey(t, subjectKey).Public(), loadKey(t, issuerKey))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parsed(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// list is a revocation list of an authority.
func list(t testing.TB, issuer []byte, issuerKey string, edit func(*x509.RevocationList), revoked ...int64) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(24 * time.Hour)}
	for _, serial := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(serial), RevocationTime: now.Add(-2 * time.Hour),
		})
	}
	if edit != nil {
		edit(l)
	}
	key := loadKey(t, issuerKey)
	der, err := x509.CreateRevocationList(nil, l, parsed(t, issuer), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (d *draft) build() made {
	t := d.t
	t.Helper()
	root := certify(t, d.root, d.root, d.rootKey, d.rootKey)
	authority := certify(t, d.authority, parsed(t, root), d.authorityKey, d.rootKey)
	if d.authorityResigned != nil {
		authority = resign(t, authority, loadKey(t, d.rootKey), d.authorityResigned)
	}
	parent, parentKey := authority, d.authorityKey
	if d.byRoot {
		parent, parentKey = root, d.rootKey
	}
	leaf := certify(t, d.leaf, parsed(t, parent), d.leafKey, parentKey)
	if d.resigned != nil {
		leaf = resign(t, leaf, loadKey(t, parentKey), d.resigned)
	}
	m := d.message
	c := parsed(t, leaf)
	m.certificates = d.bag(leaf, authority, root)
	m.sid = sequence(t, c.RawIssuer, build(t, func(b *builder) { b.AddASN1BigInt(c.SerialNumber) }))
	m.key = loadKey(t, d.leafKey)
	digest := sha256.Sum256(d.text)
	m.attributes = append(m.attributes,
		attribute(t, contentType, oidDER(t, data)), attribute(t, messageDigest, octets(t, digest[:])),
		attribute(t, signingTime, utc(t, "270115075955Z")))
	if d.change != nil {
		d.change(&m)
	}
	out := made{signature: m.marshal(t, d.text), text: d.text, roots: [][]byte{d.configured(leaf, root)}, want: d.want}
	if d.lists != nil {
		out.lists = d.lists(root, authority)
	} else {
		out.lists = [][]byte{list(t, root, d.rootKey, nil, d.revoked...), list(t, authority, d.authorityKey, nil, d.revoked...)}
	}
	if d.after != nil {
		out.signature = d.after(out.signature)
	}
	return out
}

type vectorCase struct {
	name   string
	edit   func(*draft)
	expect error
}

func (c vectorCase) build(t testing.TB) made {
	d := newDraft(t)
	if c.edit != nil {
		c.edit(d)
	}
	return d.build()
}

// alternative is a subject alternative name made by hand.
func (d *draft) alternative(critical bool, names ...[]byte) {
	d.leaf.EmailAddresses = nil
	d.leaf.ExtraExtensions = append(d.leaf.ExtraExtensions, pkix.Extension{
		Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: critical, Value: sequence(d.t, names...),
	})
}

func (d *draft) rfc822(name string) []byte {
	return build(d.t, func(b *builder) {
		b.AddASN1(tag.Tag(1).ContextSpecific(), func(b *builder) { b.AddBytes([]byte(name)) })
	})
}

func (d *draft) otherName(oid asn1.ObjectIdentifier, value string) []byte {
	text := build(d.t, func(b *builder) { b.AddASN1(tag.UTF8String, func(b *builder) { b.AddBytes([]byte(value)) }) })
	return wrap(d.t, contextTag(0), oidDER(d.t, oid), wrap(d.t, contextTag(0), text))
}

var (
	smtpUTF8      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}
	principalName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
	unknown       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

func accepted() []vectorCase {
	return []vectorCase{
		{name: "ecdsa"},
		{name: "rsa", edit: func(d *draft) { d.rsa(rsaSHA256, null) }},
		{name: "rsa-without-hash-in-its-name", edit: func(d *draft) { d.rsa(rsaAlone, null) }},
		{name: "rsa-pss", edit: func(d *draft) { d.rsa(rsaPSS, pssParameters(d.t, hashSHA256, 32)) }},
		{name: "digest-with-null", edit: func(d *draft) {
			d.message.digest = sequence(d.t, oidDER(d.t, hashSHA256), null)
			d.message.digests = [][]byte{d.message.digest}
		}},
		{name: "no-authority-between", edit: func(d *draft) {
			d.byRoot = true
			d.bag = func(leaf, _, _ []byte) [][]byte { return [][]byte{leaf} }
		}},
		{name: "root-sent-along", edit: func(d *draft) {
			d.bag = func(leaf, authority, root []byte) [][]byte { return [][]byte{root, leaf, authority} }
		}},
		{name: "address-in-capitals", edit: func(d *draft) { d.leaf.EmailAddresses = []string{"Alice@Example.ORG"} }},
		{name: "several-addresses", edit: func(d *draft) { d.leaf.EmailAddresses = []string{"a.w@example.org", address} }},
		{name: "user-name-of-a-directory-beside", edit: func(d *draft) {
			d.alternative(false, d.otherName(principalName, "alice@corp.example"), d.rfc822(address))
		}},
		{name: "alternative-name-critical", edit: func(d *draft) {
			d.leaf.Subject = pkix.Name{}
			d.alternative(true, d.rfc822(address))
		}},
		{name: "key-usage-more", edit: func(d *draft) {
			d.leaf.KeyUsage |= x509.KeyUsageContentCommitment | x509.KeyUsageKeyAgreement
		}},
		{name: "client-certificate-too", edit: func(d *draft) { d.leaf.ExtKeyUsage = append(d.leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) }},
		{name: "authority-for-this-domain", edit: func(d *draft) {
			d.authority.PermittedDNSDomainsCritical = true
			d.authority.PermittedEmailAddresses = []string{"example.org"}
		}},
		{name: "harmless-attributes", edit: func(d *draft) {
			d.message.attributes = [][]byte{attribute(d.t, capabilities, sequence(d.t, sequence(d.t, oidDER(d.t, hashSHA256))))}
		}},
		{name: "unknown-extension-not-critical", edit: func(d *draft) {
			d.leaf.ExtraExtensions = []pkix.Extension{{Id: unknown, Value: null}}
		}},
		{name: "clock-of-signer-fast", edit: func(d *draft) { d.want.Now = now.Add(-125 * time.Second) }},
		{name: "another-of-its-authority-revoked", edit: func(d *draft) { d.revoked = []int64{4712} }},
	}
}

func refused() []vectorCase {
	return slices.Concat(refusedForm(), refusedSigner(), refusedText(), refusedLeaf(), refusedChain())
}

// replace changes bytes after signing, the first time that they occur.
func replace(t testing.TB, old, new []byte) func([]byte) []byte {
	return func(der []byte) []byte {
		if !bytes.Contains(der, old) {
			t.Errorf("nothing to replace")
		}
		return bytes.Replace(der, old, new, 1)
	}
}

func refusedForm() []vectorCase {
	return []vectorCase{
		{"too-large", func(d *draft) {
			d.after = func(der []byte) []byte { return append(der, make([]byte, smime.MaxSize)...) }
		}, smime.ErrTooLarge},
		{"nine-certificates", func(d *draft) {
			d.bag = func(leaf, authority, _ []byte) [][]byte {
				return append([][]byte{leaf}, slices.Repeat([][]byte{authority}, smime.MaxCertificates)...)
			}
		}, smime.ErrTooLarge},
		{"empty", func(d *draft) { d.after = func([]byte) []byte { return nil } }, smime.ErrMalformed},
		{"pem", func(d *draft) { d.after = func([]byte) []byte { return []byte("-----BEGIN CMS-----\n") } }, smime.ErrMalformed},
		{"byte-after", func(d *draft) { d.after = func(der []byte) []byte { return append(der, 0) } }, smime.ErrMalformed},
		{"indefinite-length", func(d *draft) {
			d.after = func(der []byte) []byte { return slices.Concat([]byte{0x30, 0x80}, der[4:], []byte{0, 0}) }
		}, smime.ErrMalformed},
		{"long-form-of-a-short-length", func(d *draft) {
			d.after = replace(d.t, sequence(d.t, oidDER(d.t, hashSHA256)), slices.Concat([]byte{0x30, 0x81, 0x0b}, oidDER(d.t, hashSHA256)))
		}, smime.ErrMalformed},
		{"content-info-of-other-type", func(d *draft) { d.message.outer = data }, smime.ErrMalformed},
		{"content-of-other-type", func(d *draft) {
			d.message.content = [][]byte{oidDER(d.t, signedDataOID)}
		}, smime.ErrMalformed},
		{"attached", func(d *draft) {
			d.message.content = append(d.message.content, wrap(d.t, contextTag(0), octets(d.t, d.text)))
		}, smime.ErrAttached},
		{"revocation-lists-inside", func(d *draft) { d.message.lists = [][]byte{sequence(d.t)} }, smime.ErrUnsignedParts},
		{"unsigned-attributes", func(d *draft) {
			d.message.unsigned = [][]byte{attribute(d.t, unknown, null)}
		}, smime.ErrUnsignedParts},
		{"two-digests", func(d *draft) {
			d.message.digests = append(d.message.digests, sequence(d.t, oidDER(d.t, hashSHA512)))
		}, smime.ErrAlgorithm},
		{"digest-sha-1", func(d *draft) {
			d.message.digest = sequence(d.t, oidDER(d.t, hashSHA1))
			d.message.digests = [][]byte{d.message.digest}
		}, smime.ErrAlgorithm},
		{"digest-sha-512", func(d *draft) { d.message.digest = sequence(d.t, oidDER(d.t, hashSHA512)) }, smime.ErrAlgorithm},
	}
}

func refusedSigner() []vectorCase {
	return []vectorCase{
		{"no-signer", func(d *draft) { d.message.signers = 0 }, smime.ErrSigners},
		{"two-signers", func(d *draft) { d.message.signers = 2 }, smime.ErrSigners},
		{"version-3", func(d *draft) { d.message.version = 3 }, smime.ErrSigners},
		{"signer-by-key-identifier", func(d *draft) {
			d.message.signerVersion = 3
			d.change = func(m *message) {
				m.sid = build(d.t, func(b *builder) {
					b.AddASN1(tag.Tag(0).ContextSpecific(), func(b *builder) { b.AddBytes([]byte("key")) })
				})
			}
		}, smime.ErrSigners},
		{"after-the-signature", func(d *draft) { d.message.extra = null }, smime.ErrMalformed},
		{"signature-rsa-with-sha-1", func(d *draft) { d.rsa(rsaSHA1, null) }, smime.ErrAlgorithm},
		{"signature-rsa-without-null", func(d *draft) { d.rsa(rsaSHA256, nil) }, smime.ErrAlgorithm},
		{"signature-ecdsa-with-sha-384", func(d *draft) { d.message.algorithm = sequence(d.t, oidDER(d.t, ecSHA384)) }, smime.ErrAlgorithm},
		{"signature-ecdsa-with-null", func(d *draft) { d.message.algorithm = sequence(d.t, oidDER(d.t, ecSHA256), null) }, smime.ErrAlgorithm},
		{"signature-pss-of-other-hash", func(d *draft) { d.rsa(rsaPSS, pssParameters(d.t, hashSHA512, 32)) }, smime.ErrAlgorithm},
		{"signature-pss-of-other-salt", func(d *draft) { d.rsa(rsaPSS, pssParameters(d.t, hashSHA256, 20)) }, smime.ErrAlgorithm},
		{"signature-pss-of-defaults", func(d *draft) { d.rsa(rsaPSS, sequence(d.t)) }, smime.ErrAlgorithm},
		{"no-signed-attributes", func(d *draft) { d.message.bare = true }, smime.ErrAttributes},
		{"no-content-type", func(d *draft) { d.change = without(d.t, contentType) }, smime.ErrAttributes},
		{"no-message-digest", func(d *draft) { d.change = without(d.t, messageDigest) }, smime.ErrAttributes},
		{"no-signing-time", func(d *draft) { d.change = without(d.t, signingTime) }, smime.ErrAttributes},
		{"attribute-twice", func(d *draft) {
			d.message.attributes = [][]byte{attribute(d.t, signingTime, utc(d.t, "270115075954Z"))}
		}, smime.ErrAttributes},
		{"attribute-with-two-values", func(d *draft) {
			d.change = func(m *message) {
				without(d.t, signingTime)(m)
				m.attributes = append(m.attributes, attribute(d.t, signingTime, utc(d.t, "270115075954Z"), utc(d.t, "270115075955Z")))
			}
		}, smime.ErrAttributes},
		{"attribute-unknown", func(d *draft) { d.message.attributes = [][]byte{attribute(d.t, unknown, null)} }, smime.ErrAttributes},
		{"attributes-unsorted", func(d *draft) {
			d.message.unsorted = true
			d.change = func(m *message) {
				slices.SortFunc(m.attributes, bytes.Compare)
				slices.Reverse(m.attributes)
			}
		}, smime.ErrAttributes},
		{"content-type-of-mail-in-mail", func(d *draft) {
			d.change = func(m *message) {
				without(d.t, contentType)(m)
				m.attributes = append(m.attributes, attribute(d.t, contentType, oidDER(d.t, signedDataOID)))
			}
		}, smime.ErrAttributes},
		{"signing-time-without-seconds", func(d *draft) { d.signedAt(utc(d.t, "2701150759Z")) }, smime.ErrAttributes},
		{"signing-time-with-offset", func(d *draft) { d.signedAt(utc(d.t, "270115085955+0100")) }, smime.ErrAttributes},
		{"signing-time-in-long-form", func(d *draft) {
			d.signedAt(build(d.t, func(b *builder) {
				b.AddASN1(tag.GeneralizedTime, func(b *builder) { b.AddBytes([]byte("20270115075955Z")) })
			}))
		}, smime.ErrAttributes},
		{"signature-empty", func(d *draft) { d.message.signature = []byte{} }, smime.ErrSignature},
		{"signature-of-other-attributes", func(d *draft) {
			d.change = func(m *message) {
				m.signature = rawSign(d.t, m.key, m.algorithm, wrap(d.t, tag.SET, m.attributes[0]))
			}
		}, smime.ErrSignature},
		{"signature-over-the-text", func(d *draft) {
			d.change = func(m *message) { m.signature = rawSign(d.t, m.key, m.algorithm, d.text) }
		}, smime.ErrSignature},
		{"signature-by-another-key", func(d *draft) { d.change = func(m *message) { m.key = loadKey(d.t, "another") } }, smime.ErrSignature},
		{"signature-of-other-kind-than-the-key", func(d *draft) {
			d.change = func(m *message) {
				m.algorithm = sequence(d.t, oidDER(d.t, rsaSHA256), null)
				m.key = loadKey(d.t, "rsa2048")
			}
		}, smime.ErrSignature},
		{"time-changed-after-signing", func(d *draft) {
			d.after = replace(d.t, []byte("270115075955Z"), []byte("270115075956Z"))
		}, smime.ErrSignature},
	}
}

func (d *draft) signedAt(value []byte) {
	d.change = func(m *message) {
		without(d.t, signingTime)(m)
		m.attributes = append(m.attributes, attribute(d.t, signingTime, value))
	}
}

func without(t testing.TB, oid asn1.ObjectIdentifier) func(*message) {
	return func(m *message) {
		m.attributes = slices.DeleteFunc(m.attributes, func(a []byte) bool { return bytes.Contains(a, oidDER(t, oid)) })
	}
}

func refusedText() []vectorCase {
	return []vectorCase{
		{"text-another-response", func(d *draft) {
			d.text = smime.Content(response(d.t, "mailto:"+address, 'a', 2), fingerprint)
		}, smime.ErrContent},
		{"text-for-another-key", func(d *draft) {
			d.text = smime.Content(d.want.Response, strings.Repeat("0000-", 7)+"0000")
		}, smime.ErrContent},
		{"text-without-sentence", func(d *draft) { d.text = d.text[bytes.Index(d.text, []byte("-----")):] }, smime.ErrContent},
		{"text-with-more", func(d *draft) { d.text = append([]byte("Hello\r\n\r\n"), d.text...) }, smime.ErrContent},
		{"text-with-bare-lf", func(d *draft) { d.text = bytes.ReplaceAll(d.text, []byte("\r\n"), []byte("\n")) }, smime.ErrContent},
		{"text-as-mime-part", func(d *draft) {
			d.text = append([]byte("Content-Type: text/plain\r\n\r\n"), d.text...)
		}, smime.ErrContent},
		{"text-empty", func(d *draft) { d.text = nil }, smime.ErrContent},
		{"from-the-future", func(d *draft) { d.signedAt(utc(d.t, "270115080201Z")) }, smime.ErrFuture},
		{"of-last-week", func(d *draft) { d.signedAt(utc(d.t, "270108080000Z")) }, smime.ErrStale},
		{"of-the-last-century", func(d *draft) { d.signedAt(utc(d.t, "600115075955Z")) }, smime.ErrStale},
	}
}

func refusedLeaf() []vectorCase {
	return []vectorCase{
		{"no-certificates", func(d *draft) { d.bag = func(_, _, _ []byte) [][]byte { return nil } }, smime.ErrNoCertificate},
		{"certificate-not-inside", func(d *draft) {
			d.bag = func(_, authority, _ []byte) [][]byte { return [][]byte{authority} }
		}, smime.ErrNoCertificate},
		{"certificate-twice", func(d *draft) {
			d.bag = func(leaf, authority, _ []byte) [][]byte { return [][]byte{leaf, leaf, authority} }
		}, smime.ErrNoCertificate},
		{"certificate-of-the-same-serial-elsewhere", func(d *draft) {
			d.bag = func(_, authority, root []byte) [][]byte {
				return [][]byte{certify(d.t, d.leaf, parsed(d.t, root), "alice", "root"), authority}
			}
		}, smime.ErrNoCertificate},
		{"certificate-malformed", func(d *draft) {
			d.bag = func(leaf, authority, _ []byte) [][]byte { return [][]byte{leaf, sequence(d.t, null), authority} }
		}, smime.ErrCertificate},
		{"certificate-of-attributes", func(d *draft) {
			d.bag = func(leaf, _, _ []byte) [][]byte { return [][]byte{leaf, wrap(d.t, contextTag(2), null)} }
		}, smime.ErrCertificate},
		{"certificate-of-an-authority", func(d *draft) {
			d.leaf.IsCA, d.leaf.KeyUsage = true, d.leaf.KeyUsage|x509.KeyUsageCertSign
		}, smime.ErrAuthority},
		{"for-another-address", func(d *draft) { d.leaf.EmailAddresses = []string{"mallory@example.org"} }, smime.ErrAddress},
		{"for-the-domain", func(d *draft) { d.leaf.EmailAddresses, d.leaf.DNSNames = nil, []string{"example.org"} }, smime.ErrAddress},
		{"for-a-look-alike", func(d *draft) { d.leaf.EmailAddresses = []string{"alice@xn--exmple-4nf.org"} }, smime.ErrAddress},
		{"address-in-the-subject-only", func(d *draft) {
			d.leaf.EmailAddresses = nil
			d.leaf.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: address}}
		}, smime.ErrAddress},
		{"address-with-nul", func(d *draft) { d.leaf.EmailAddresses = []string{"alice@example.org\x00.example.net"} }, smime.ErrAddress},
		{"address-as-uri", func(d *draft) {
			d.alternative(false, build(d.t, func(b *builder) {
				b.AddASN1(tag.Tag(6).ContextSpecific(), func(b *builder) { b.AddBytes([]byte("mailto:" + address)) })
			}))
		}, smime.ErrAddress},
		{"unicode-mailbox", func(d *draft) { d.alternative(false, d.otherName(smtpUTF8, "älice@example.org")) }, smime.ErrUnicodeName},
		{"unicode-mailbox-in-ascii", func(d *draft) { d.alternative(false, d.otherName(smtpUTF8, address)) }, smime.ErrUnicodeName},
		{"unicode-mailbox-beside", func(d *draft) {
			d.alternative(false, d.rfc822(address), d.otherName(smtpUTF8, "älice@example.org"))
		}, smime.ErrUnicodeName},
		{"for-servers", func(d *draft) { d.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, smime.ErrPurpose},
		{"for-anything", func(d *draft) { d.leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, smime.ErrPurpose},
		{"for-nothing-in-particular", func(d *draft) { d.leaf.ExtKeyUsage = nil }, smime.ErrPurpose},
		{"authority-for-servers", func(d *draft) {
			d.authority.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, smime.ErrPurpose},
		{"for-encryption", func(d *draft) { d.leaf.KeyUsage = x509.KeyUsageKeyEncipherment }, smime.ErrKeyUsage},
		{"no-key-usage", func(d *draft) { d.leaf.KeyUsage = 0 }, smime.ErrKeyUsage},
		{"key-rsa-1024", func(d *draft) { d.rsa(rsaSHA256, null); d.leafKey = "rsa1024" }, smime.ErrWeakKey},
		{"key-p384", func(d *draft) { d.leafKey = "p384" }, smime.ErrWeakKey},
		{"key-ed25519", func(d *draft) { d.leafKey = "ed25519" }, smime.ErrWeakKey},
		{"expired", func(d *draft) { d.leaf.NotAfter = now.Add(-time.Second) }, smime.ErrValidity},
		{"not-yet-valid", func(d *draft) { d.leaf.NotBefore = now.Add(time.Second) }, smime.ErrValidity},
		{"critical-extension", func(d *draft) {
			d.leaf.ExtraExtensions = []pkix.Extension{{Id: unknown, Critical: true, Value: null}}
		}, smime.ErrCritical},
		{"signed-with-sha-1", func(d *draft) { d.resigned = sequence(d.t, oidDER(d.t, ecSHA1)) }, smime.ErrWeakHash},
		{"rsa-signed-with-sha-1", func(d *draft) {
			d.authorityKey = "rsa2048"
			d.resigned = sequence(d.t, oidDER(d.t, rsaSHA1), null)
		}, smime.ErrWeakHash},
	}
}

func refusedChain() []vectorCase {
	noStatus := func(edit func(*x509.RevocationList)) func(*draft) {
		return func(d *draft) {
			d.lists = func(root, authority []byte) [][]byte {
				return [][]byte{list(d.t, root, d.rootKey, nil), list(d.t, authority, d.authorityKey, edit)}
			}
		}
	}
	return []vectorCase{
		{"authority-signed-with-sha-1", func(d *draft) { d.authorityResigned = sequence(d.t, oidDER(d.t, ecSHA1)) }, smime.ErrWeakHash},
		{"authority-for-another-domain", func(d *draft) {
			d.authority.PermittedDNSDomainsCritical = true
			d.authority.PermittedEmailAddresses = []string{"example.net"}
		}, smime.ErrConstraint},
		{"authority-not-for-this-address", func(d *draft) { d.authority.ExcludedEmailAddresses = []string{address} }, smime.ErrConstraint},
		{"root-for-another-domain", func(d *draft) { d.root.PermittedEmailAddresses = []string{"example.net"} }, smime.ErrConstraint},
		{"authority-missing", func(d *draft) { d.bag = func(leaf, _, _ []byte) [][]byte { return [][]byte{leaf} } }, smime.ErrChain},
		{"authority-expired", func(d *draft) { d.authority.NotAfter = now.Add(-time.Second) }, smime.ErrValidity},
		{"authority-that-is-none", func(d *draft) {
			d.authority.IsCA, d.authority.KeyUsage = false, x509.KeyUsageDigitalSignature
			d.lists = func(root, _ []byte) [][]byte { return [][]byte{list(d.t, root, "root", nil)} }
		}, smime.ErrChain},
		{"authority-with-critical-extension", func(d *draft) {
			d.authority.ExtraExtensions = []pkix.Extension{{Id: unknown, Critical: true, Value: null}}
		}, smime.ErrCritical},
		{"authority-with-path-length-exceeded", func(d *draft) { d.root.MaxPathLenZero = true }, smime.ErrChain},
		{"authority-rsa-1024", func(d *draft) { d.authorityKey = "rsa1024" }, smime.ErrWeakKey},
		{"root-unknown", func(d *draft) {
			d.configured = func(_, _ []byte) []byte {
				return certify(d.t, d.root, d.root, "another", "another")
			}
		}, smime.ErrChain},
		{"root-expired", func(d *draft) { d.root.NotAfter = now.Add(-time.Second) }, smime.ErrValidity},
		{"leaf-as-root", func(d *draft) { d.configured = func(leaf, _ []byte) []byte { return leaf } }, smime.ErrChain},
		{"self-signed", func(d *draft) {
			d.bag = func(leaf, _, _ []byte) [][]byte {
				d.leaf.Subject = parsed(d.t, leaf).Issuer
				return [][]byte{certify(d.t, d.leaf, d.leaf, "alice", "alice")}
			}
		}, smime.ErrChain},
		{"revoked", func(d *draft) { d.revoked = []int64{17, 4711} }, smime.ErrRevoked},
		{"authority-revoked", func(d *draft) { d.revoked = []int64{2} }, smime.ErrRevoked},
		{"no-revocation-lists", func(d *draft) { d.lists = func(_, _ []byte) [][]byte { return nil } }, smime.ErrStatus},
		{"list-expired", noStatus(func(l *x509.RevocationList) { l.NextUpdate = now }), smime.ErrStatus},
		{"list-from-the-future", noStatus(func(l *x509.RevocationList) { l.ThisUpdate = now.Add(time.Hour) }), smime.ErrStatus},
		{"list-of-a-part", noStatus(func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
		}), smime.ErrStatus},
		{"list-by-another-key", func(d *draft) {
			d.lists = func(root, authority []byte) [][]byte {
				fake := certify(d.t, d.authority, parsed(d.t, root), "another", d.rootKey)
				return [][]byte{list(d.t, root, d.rootKey, nil), list(d.t, fake, "another", nil)}
			}
		}, smime.ErrStatus},
	}
}

func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "too-large": smime.ErrTooLarge, "malformed": smime.ErrMalformed, "attached": smime.ErrAttached,
		"signers": smime.ErrSigners, "unsigned-parts": smime.ErrUnsignedParts, "algorithm": smime.ErrAlgorithm,
		"attributes": smime.ErrAttributes, "content": smime.ErrContent, "future": smime.ErrFuture, "stale": smime.ErrStale,
		"no-certificate": smime.ErrNoCertificate, "certificate": smime.ErrCertificate, "address": smime.ErrAddress,
		"unicode-name": smime.ErrUnicodeName, "purpose": smime.ErrPurpose, "key-usage": smime.ErrKeyUsage, "authority": smime.ErrAuthority,
		"weak-key": smime.ErrWeakKey, "weak-hash": smime.ErrWeakHash, "validity": smime.ErrValidity, "critical": smime.ErrCritical,
		"constraint": smime.ErrConstraint, "chain": smime.ErrChain, "revoked": smime.ErrRevoked, "status": smime.ErrStatus,
		"signature": smime.ErrSignature,
	}
}

func kindOf(t testing.TB, err error) string {
	t.Helper()
	all := kinds()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if errors.Is(err, all[name]) {
			return name
		}
	}
	t.Fatalf("no kind for %v", err)
	return ""
}
