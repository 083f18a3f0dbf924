package chain_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/possession/stir/chain"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
)

var (
	at    = time.Unix(1800000000, 0).UTC()
	from  = at.Add(-24 * time.Hour)
	until = at.Add(24 * time.Hour)
)

const number = "12155551212"

// world is a root, a CA of carriers without a TNAuthList, a carrier's CA with a
// code and a range, and the delegate certificate of one number.
type world struct {
	root, ca, carrier, delegate stirtest.Profile
	anchor                      chain.Anchor
	// bend changes the finished chain.
	bend func([][]byte) [][]byte
	at   time.Time
}

func newWorld() *world {
	profile := func(name string, ca bool, list tnauth.List) stirtest.Profile {
		return stirtest.Profile{Name: name, Key: stirtest.FixedKey("chain " + name), CA: ca, List: list, From: from, Until: until}
	}
	return &world{
		root:     profile("root", true, nil),
		ca:       profile("ca", true, nil),
		carrier:  profile("carrier", true, tnauth.List{{Code: "1234"}, {Number: "12155551000", Count: 1000}}),
		delegate: profile("delegate", false, tnauth.List{{Number: number}}),
		at:       at,
	}
}

func (w *world) build(t testing.TB) ([][]byte, chain.Roots) {
	t.Helper()
	root, err := stirtest.Root(w.root)
	if err != nil {
		t.Fatal(err)
	}
	last := root
	for _, p := range []stirtest.Profile{w.ca, w.carrier, w.delegate} {
		if last, err = last.Issue(p); err != nil {
			t.Fatal(err)
		}
	}
	w.anchor.Certificate = root.Certificate.Raw
	roots, err := chain.NewRoots(w.anchor)
	if err != nil {
		t.Fatal(err)
	}
	ders := last.Chain()
	if w.bend != nil {
		ders = w.bend(ders)
	}
	return ders, roots
}

func ranges(code string) []string {
	return map[string][]string{"1234": {"1215555", "1216"}, "9999": {""}}[code]
}

func TestVerify(t *testing.T) {
	w := newWorld()
	ders, roots := w.build(t)
	for name, given := range map[string][][]byte{"with its root": ders, "without": ders[:3]} {
		p, err := chain.Verify(given, roots, at)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !p.Signer().Equal(w.delegate.Key.Public()) || p.Digest() != sha256.Sum256(ders[0]) || !p.Delegated() || len(p.List()) != 1 {
			t.Errorf("%s: another signer", name)
		}
		if got := p.Certificates(); !slices.EqualFunc(got, ders, bytes.Equal) {
			t.Errorf("%s: path of %d", name, len(got))
		}
		if err := p.Covers(number, ranges); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Covers("12155551213", ranges); !errors.Is(err, chain.ErrNotCovered) {
			t.Errorf("%s: another number: %v", name, err)
		}
	}
}

// TestR05ChainsRefused: one rule broken at a time.
func TestR05ChainsRefused(t *testing.T) {
	extend := func(oid string, value []byte, critical bool) func(*x509.Certificate) {
		return func(c *x509.Certificate) { stirtest.Extend(c, oid, value, critical) }
	}
	p384, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{1}, 48))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func(*world)
		want error
	}{
		"nothing":    {func(*world) {}, nil},
		"empty":      {func(w *world) { w.bend = func([][]byte) [][]byte { return nil } }, chain.ErrEmpty},
		"root alone": {func(w *world) { w.bend = func(c [][]byte) [][]byte { return c[3:] } }, chain.ErrEmpty},
		"too long":   {func(w *world) { w.bend = func(c [][]byte) [][]byte { return append(append(c, c...)[:4:4], c...) } }, chain.ErrTooLong},
		"too large": {func(w *world) {
			w.bend = func(c [][]byte) [][]byte { c[1] = make([]byte, chain.MaxCertificate+1); return c }
		}, chain.ErrTooLong},
		"no certificate": {func(w *world) { w.bend = func(c [][]byte) [][]byte { c[1] = []byte("x"); return c } }, chain.ErrEncoding},
		"trailing byte": {func(w *world) {
			w.bend = func(c [][]byte) [][]byte { c[0] = append(c[0][:len(c[0]):len(c[0])], 0); return c }
		}, chain.ErrEncoding},
		"in reverse":                 {func(w *world) { w.bend = func(c [][]byte) [][]byte { slices.Reverse(c); return c } }, chain.ErrOrder},
		"two changed places":         {func(w *world) { w.bend = func(c [][]byte) [][]byte { c[1], c[2] = c[2], c[1]; return c } }, chain.ErrOrder},
		"one left out":               {func(w *world) { w.bend = func(c [][]byte) [][]byte { return slices.Delete(c, 1, 2) } }, chain.ErrOrder},
		"one twice":                  {func(w *world) { w.bend = func(c [][]byte) [][]byte { return slices.Insert(c, 1, c[0]) } }, chain.ErrOrder},
		"cut short":                  {func(w *world) { w.bend = func(c [][]byte) [][]byte { return c[:2] } }, chain.ErrRoot},
		"signer is a CA":             {func(w *world) { w.delegate.CA = true }, chain.ErrSigner},
		"signer is the carrier's CA": {func(w *world) { w.bend = func(c [][]byte) [][]byte { return c[1:] } }, chain.ErrSigner},
		"signer for encryption":      {func(w *world) { w.delegate.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement } }, chain.ErrSigner},
		"signer for nothing":         {func(w *world) { w.delegate.Edit = func(c *x509.Certificate) { c.KeyUsage = 0 } }, chain.ErrSigner},
		"signer for TLS": {func(w *world) {
			w.delegate.Edit = func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
		}, chain.ErrSigner},
		"signer for anything": {func(w *world) {
			w.delegate.Edit = func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }
		}, nil},
		"CA without the flag":          {func(w *world) { w.carrier.CA = false }, chain.ErrNotCA},
		"CA without basic constraints": {func(w *world) { w.carrier.Edit = func(c *x509.Certificate) { c.BasicConstraintsValid = false } }, chain.ErrNotCA},
		"CA that may sign nothing":     {func(w *world) { w.ca.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign } }, chain.ErrNotCA},
		"path length 0 above a CA":     {func(w *world) { w.ca.Edit = func(c *x509.Certificate) { c.MaxPathLenZero = true } }, chain.ErrNotCA},
		"path length 1 above two CAs":  {func(w *world) { w.root.Edit = func(c *x509.Certificate) { c.MaxPathLen = 1 } }, chain.ErrNotCA},
		"path lengths that suffice": {func(w *world) {
			w.root.Edit = func(c *x509.Certificate) { c.MaxPathLen = 2 }
			w.carrier.Edit = func(c *x509.Certificate) { c.MaxPathLenZero = true }
		}, nil},
		"other issuer's name":           {func(w *world) { w.bend = func(c [][]byte) [][]byte { c[0] = sibling(t, w, "other"); return c } }, chain.ErrOrder},
		"other issuer's key":            {func(w *world) { w.bend = func(c [][]byte) [][]byte { c[0] = sibling(t, w, "carrier"); return c } }, chain.ErrSignature},
		"key identifier not the next's": {func(w *world) { w.bend = func(c [][]byte) [][]byte { c[0] = orphan(t, w); return c } }, chain.ErrOrder},
		"signature changed":             {func(w *world) { w.bend = func(c [][]byte) [][]byte { c[0][len(c[0])-1] ^= 1; return c } }, chain.ErrSignature},
		"expired at the time":           {func(w *world) { w.at = until.Add(time.Second) }, chain.ErrValidity},
		"last second":                   {func(w *world) { w.at = until }, nil},
		"not yet valid":                 {func(w *world) { w.at = from.Add(-time.Second) }, chain.ErrValidity},
		"signer expired before":         {func(w *world) { w.delegate.Until = at.Add(-time.Second) }, chain.ErrValidity},
		"CA expired before":             {func(w *world) { w.ca.Until = at.Add(-time.Second) }, chain.ErrValidity},
		"root not yet":                  {func(w *world) { w.root.From = at.Add(time.Second) }, chain.ErrValidity},
		"key on P-384":                  {func(w *world) { w.delegate.Key = p384 }, chain.ErrAlgorithm},
		"signed with SHA-1": {func(w *world) {
			w.delegate.Edit = func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }
		}, chain.ErrAlgorithm},
		"signed with SHA-512": {func(w *world) {
			w.delegate.Edit = func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 }
		}, chain.ErrAlgorithm},
		"unknown critical extension":      {func(w *world) { w.delegate.Edit = extend("1.2.3.4", []byte{5, 0}, true) }, chain.ErrCritical},
		"unknown extension of a CA":       {func(w *world) { w.ca.Edit = extend("1.2.3.4", []byte{5, 0}, true) }, chain.ErrCritical},
		"unknown extension, not critical": {func(w *world) { w.delegate.Edit = extend("1.2.3.4", []byte{5, 0}, false) }, nil},
		"name constraints": {func(w *world) {
			w.ca.Edit = func(c *x509.Certificate) {
				c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.org"}, true
			}
		}, chain.ErrConstrained},
		"name constraints, not critical": {func(w *world) {
			w.ca.Edit = func(c *x509.Certificate) {
				c.ExcludedIPRanges = []*net.IPNet{{IP: net.IP{10, 0, 0, 0}, Mask: net.IPMask{255, 0, 0, 0}}}
			}
		}, chain.ErrConstrained},
		"policy constraints": {func(w *world) { w.ca.Edit = extend("2.5.29.36", []byte{0x30, 3, 0x80, 1, 0}, true) }, chain.ErrConstrained},
		"inhibit any policy": {func(w *world) { w.ca.Edit = extend("2.5.29.54", []byte{2, 1, 0}, true) }, chain.ErrConstrained},
		"names and policies": {func(w *world) {
			w.delegate.Edit = func(c *x509.Certificate) {
				c.URIs = []*url.URL{{Scheme: "tel", Opaque: "x"}}
				c.DNSNames = []string{"a.example"}
			}
		}, nil},
		"malformed TNAuthList": {func(w *world) { w.delegate.List = nil; w.delegate.Edit = extend(tnauth.OID, []byte{0x30, 0}, false) }, chain.ErrList},
		"TNAuthList, critical": {func(w *world) {
			der := marshal(t, w.delegate.List)
			w.delegate.List = nil
			w.delegate.Edit = extend(tnauth.OID, der, true)
		}, nil},
		"malformed constraints": {func(w *world) { w.delegate.Edit = extend(tnauth.ConstraintsOID, []byte{0x30, 0}, false) }, chain.ErrList},
		"constraints of RFC 9118 where there are none": {func(w *world) {
			w.delegate.Edit = extend(tnauth.ConstraintsOID, []byte{0x30, 9, 0xa2, 7, 0x30, 5, 0x16, 3, 'f', 'o', 'o'}, false)
		}, chain.ErrList},
		"TNAuthList by reference": {func(w *world) {
			w.ca.Edit = extend("1.3.6.1.5.5.7.1.1", authorityInfo(48, 14), false)
		}, chain.ErrByReference},
		"authority information of another kind": {func(w *world) {
			w.ca.Edit = extend("1.3.6.1.5.5.7.1.1", authorityInfo(48, 2), false)
		}, nil},
		"no list below one": {func(w *world) { w.delegate.List = nil }, chain.ErrNoList},
		"list beyond the one above": {func(w *world) {
			w.carrier.List = w.carrier.List[1:]
			w.delegate.List = tnauth.List{{Number: "13125551212"}}
		}, chain.ErrScope},
		"code beyond the one above": {func(w *world) { w.delegate.List = tnauth.List{{Code: "5678"}} }, chain.ErrScope},
		"one entry of two beyond": {func(w *world) {
			w.carrier.List = w.carrier.List[1:]
			w.delegate.List = tnauth.List{{Number: number}, {Number: "12155552000"}}
		}, chain.ErrScope},
		"list of the CA too narrow": {func(w *world) { w.ca.List = tnauth.List{{Number: "12155551000", Count: 500}} }, chain.ErrScope},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.edit(w)
			ders, roots := w.build(t)
			if _, err := chain.Verify(ders, roots, w.at); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func marshal(t testing.TB, l tnauth.List) []byte {
	t.Helper()
	der, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// authorityInfo is authority information access by method 1.3.6.1.5.5.7.x.y.
func authorityInfo(x, y byte) []byte {
	method := []byte{6, 8, 0x2b, 6, 1, 5, 5, 7, x, y}
	location := append([]byte{0x86, 17}, "https://a.example"...)
	inner := append(append([]byte{0x30, byte(len(method) + len(location))}, method...), location...)
	return append([]byte{0x30, byte(len(inner))}, inner...)
}

// sibling is the delegate's certificate signed by another carrier of the name,
// with the key identifiers that ours has.
func sibling(t testing.TB, w *world, name string) []byte {
	t.Helper()
	ours, err := stirtest.Root(w.carrier)
	if err != nil {
		t.Fatal(err)
	}
	other := w.carrier
	other.Name, other.Key = name, stirtest.FixedKey("chain other")
	other.Edit = func(c *x509.Certificate) { c.SubjectKeyId = ours.Certificate.SubjectKeyId }
	theirs, err := stirtest.Root(other)
	if err != nil {
		t.Fatal(err)
	}
	child, err := theirs.Issue(w.delegate)
	if err != nil {
		t.Fatal(err)
	}
	return child.Certificate.Raw
}

// orphan is the delegate's certificate signed by the carrier, with the key
// identifier of nobody.
func orphan(t testing.TB, w *world) []byte {
	t.Helper()
	p := w.carrier
	p.Edit = func(c *x509.Certificate) { c.SubjectKeyId = []byte("nobody") }
	carrier, err := stirtest.Root(p)
	if err != nil {
		t.Fatal(err)
	}
	child, err := carrier.Issue(w.delegate)
	if err != nil {
		t.Fatal(err)
	}
	return child.Certificate.Raw
}

// TestCovers: whose numbers a path speaks for. A code counts only where the
// registry's ranges tie it to the number.
func TestCovers(t *testing.T) {
	code := tnauth.List{{Code: "1234"}}
	for name, c := range map[string]struct {
		edit   func(*world)
		number string
		ranges chain.Ranges
		want   error
	}{
		"by number":                         {func(*world) {}, number, nil, nil},
		"code of the carrier, number below": {func(w *world) { w.carrier.List = code }, number, ranges, nil},
		"the same without ranges":           {func(w *world) { w.carrier.List = code }, number, nil, chain.ErrNotCovered},
		"delegated beyond the code's range": {func(w *world) { w.carrier.List = code; w.delegate.List = tnauth.List{{Number: "13125551212"}} }, "13125551212", ranges, chain.ErrNotCovered},
		"code alone":                        {func(w *world) { w.carrier.List, w.delegate.List = code, code }, number, ranges, nil},
		"code alone, another number":        {func(w *world) { w.carrier.List, w.delegate.List = code, code }, "13125551212", ranges, chain.ErrNotCovered},
		"code nobody ties": {func(w *world) {
			w.carrier.List, w.delegate.List = tnauth.List{{Code: "5678"}}, tnauth.List{{Code: "5678"}}
		}, number, ranges, chain.ErrNotCovered},
		"code tied to an empty prefix": {func(w *world) {
			w.carrier.List, w.delegate.List = tnauth.List{{Code: "9999"}}, tnauth.List{{Code: "9999"}}
		}, number, ranges, chain.ErrNotCovered},
		"second prefix":             {func(w *world) { w.carrier.List, w.delegate.List = code, code }, "12165551212", ranges, nil},
		"what is no number":         {func(w *world) { w.carrier.List, w.delegate.List = code, code }, "1215555x", ranges, chain.ErrNotCovered},
		"anchor of that country":    {func(w *world) { w.anchor.Prefixes = []string{"44", "1"} }, number, ranges, nil},
		"anchor of another country": {func(w *world) { w.anchor.Prefixes = []string{"44", "12155551213"} }, number, ranges, chain.ErrNotCovered},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.edit(w)
			ders, roots := w.build(t)
			p, err := chain.Verify(ders, roots, at)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Covers(c.number, c.ranges); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if err := p.Admits(c.number, c.ranges); !errors.Is(err, c.want) {
				t.Errorf("Admits: %v", err)
			}
		})
	}
}

// TestNoList: a signer without a TNAuthList covers nothing, though nothing on
// the path takes a number away.
func TestNoList(t *testing.T) {
	w := newWorld()
	w.carrier.List, w.delegate.List = nil, nil
	ders, roots := w.build(t)
	p, err := chain.Verify(ders, roots, at)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Covers(number, ranges); !errors.Is(err, chain.ErrNoList) {
		t.Errorf("got %v", err)
	}
	if err := p.Admits(number, ranges); err != nil {
		t.Error(err)
	}
	if p.Delegated() {
		t.Error("delegated by nobody")
	}
}

func TestAllows(t *testing.T) {
	attest := &tnauth.Constraints{Permitted: []tnauth.Permitted{{Claim: "attest", Values: []string{"A"}}}}
	exclude := &tnauth.Constraints{MustExclude: []string{"rcd"}}
	claims := func(m map[string]string) func(string) (string, bool, bool) {
		return func(name string) (string, bool, bool) { v, ok := m[name]; return v, true, ok }
	}
	for name, c := range map[string]struct {
		edit   func(*world)
		claims map[string]string
		want   error
	}{
		"none":              {func(*world) {}, map[string]string{"attest": "C", "rcd": "x"}, nil},
		"permitted":         {func(w *world) { w.delegate.Constraints = attest }, map[string]string{"attest": "A"}, nil},
		"not permitted":     {func(w *world) { w.delegate.Constraints = attest }, map[string]string{"attest": "B"}, tnauth.ErrValue},
		"of the CA":         {func(w *world) { w.carrier.Constraints = attest }, map[string]string{"attest": "B"}, tnauth.ErrValue},
		"excluded":          {func(w *world) { w.delegate.Constraints = exclude }, map[string]string{"rcd": "x"}, tnauth.ErrForbidden},
		"excluded, absent":  {func(w *world) { w.delegate.Constraints = exclude }, map[string]string{"attest": "A"}, nil},
		"demanded, absent":  {func(w *world) { w.delegate.Constraints = &tnauth.Constraints{MustInclude: []string{"rcd"}} }, nil, tnauth.ErrMissing},
		"demanded, present": {func(w *world) { w.delegate.Constraints = &tnauth.Constraints{MustInclude: []string{"rcd"}} }, map[string]string{"rcd": "x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.edit(w)
			ders, roots := w.build(t)
			p, err := chain.Verify(ders, roots, at)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Allows(claims(c.claims))
			if !errors.Is(err, c.want) || err != nil && !errors.Is(err, chain.ErrClaims) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRoots(t *testing.T) {
	w := newWorld()
	ders, _ := w.build(t)
	for name, c := range map[string]struct {
		anchor chain.Anchor
		want   error
	}{
		"root":           {chain.Anchor{Certificate: ders[3]}, nil},
		"CA as a root":   {chain.Anchor{Certificate: ders[2]}, nil},
		"no CA":          {chain.Anchor{Certificate: ders[0]}, chain.ErrNotCA},
		"no certificate": {chain.Anchor{Certificate: []byte("x")}, chain.ErrEncoding},
		"prefix":         {chain.Anchor{Certificate: ders[3], Prefixes: []string{"+1"}}, chain.ErrAnchor},
		"empty prefix":   {chain.Anchor{Certificate: ders[3], Prefixes: []string{""}}, chain.ErrAnchor},
	} {
		if _, err := chain.NewRoots(c.anchor); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := chain.Verify(ders, chain.Roots{}, at); !errors.Is(err, chain.ErrRoot) {
		t.Errorf("no roots: %v", err)
	}
	// A CA may be trusted in place of its root, and a chain that goes on above it
	// still leads to it only if it ends there.
	ca, err := chain.NewRoots(chain.Anchor{Certificate: ders[2]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.Verify(ders[:3], ca, at); err != nil {
		t.Error(err)
	}
	if _, err := chain.Verify(ders, ca, at); !errors.Is(err, chain.ErrRoot) {
		t.Errorf("goes on above: %v", err)
	}
	impostor := newWorld()
	impostor.root.Key = stirtest.FixedKey("chain impostor")
	theirs, _ := impostor.build(t)
	_, roots := w.build(t)
	if _, err := chain.Verify(theirs, roots, at); !errors.Is(err, chain.ErrRoot) {
		t.Errorf("a root of the same name: %v", err)
	}
}

func TestPEM(t *testing.T) {
	ders, _ := newWorld().build(t)
	text := chain.FormatPEM(ders)
	got, err := chain.ParsePEM(text)
	if err != nil || !slices.EqualFunc(got, ders, bytes.Equal) {
		t.Fatalf("%d certificates, %v", len(got), err)
	}
	if _, err := chain.ParsePEM(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))); err != nil {
		t.Errorf("CRLF: %v", err)
	}
	one := string(chain.FormatPEM(ders[:1]))
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":          {"", chain.ErrEmpty},
		"blank":          {" \n", chain.ErrEmpty},
		"DER":            {string(ders[0]), chain.ErrEncoding},
		"words before":   {"hello\n" + one, chain.ErrEncoding},
		"words between":  {one + "hello\n" + one, chain.ErrEncoding},
		"words after":    {one + "hello\n", chain.ErrEncoding},
		"private key":    {one + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", chain.ErrEncoding},
		"headers":        {strings.Replace(one, "-----\n", "-----\nA: b\n\n", 1), chain.ErrEncoding},
		"a block unread": {"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n" + one, chain.ErrEncoding},
		"cut off":        {one[:len(one)-10], chain.ErrEncoding},
		"too many":       {strings.Repeat(one, chain.MaxLength+1), chain.ErrTooLong},
		"too large":      {strings.Repeat(" ", chain.MaxPEM+1), chain.ErrTooLong},
	} {
		if _, err := chain.ParsePEM([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForeignCertificate reads a certificate that others made, with a
// TNAuthList in it; it is on P-384, so no chain has it.
func TestForeignCertificate(t *testing.T) {
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(foreignCertificate, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == tnauth.OID })
	if at < 0 {
		t.Fatal("no TNAuthList")
	}
	if list, err := tnauth.Parse(c.Extensions[at].Value); err != nil || !slices.Equal(list.Codes(), []string{"fake"}) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := chain.NewRoots(chain.Anchor{Certificate: der}); !errors.Is(err, chain.ErrAlgorithm) {
		t.Errorf("got %v", err)
	}
}

const foreignCertificate = `MIICkTCCAhegAwIBAgIJAKWzVCgbsG4+MAoGCCqGSM49BAMDMD8xCzAJBgNVBAYT
AlVTMQswCQYDVQQIDAJWQTEQMA4GA1UEBwwHSGVybmRvbjERMA8GA1UECgwIQm9n
dXMgQ0EwHhcNMTkwNzE4MTUwNzQ5WhcNMjAwNzE3MTUwNzQ5WjBxMQswCQYDVQQG
EwJVUzELMAkGA1UECBMCVkExEDAOBgNVBAcTB0hlcm5kb24xKDAmBgNVBAoTH0Zh
a2UgVGVsZXBob25lIFNlcnZpY2UgUHJvdmlkZXIxGTAXBgNVBAMTEGZha2UuZXhh
bXBsZS5jb20wdjAQBgcqhkjOPQIBBgUrgQQAIgNiAARLyLhnsvrS9WBY29tmN2LI
CF/wuX4ohhUy3sxO0ynCplHHojpDg+tghGzusf0aLtMDu1II915O8YK5XVL+KZJD
C82jybxWIKjjzX2qc5/O06joUttdEDzkTaD0kgbcXl6jgawwgakwCwYDVR0PBAQD
AgeAMEIGCWCGSAGG+EIBDQQ1FjNUaGlzIGNlcnRpZmljYXRlIGNhbm5vdCBiZSB0
cnVzdGVkIGZvciBhbnkgcHVycG9zZS4wHQYDVR0OBBYEFHOI3GpDt9dWsTAZxhcj
96uyL2aIMB8GA1UdIwQYMBaAFPI12zQE2qVV8r1pA5mwYuziFQjBMBYGCCsGAQUF
BwEaBAowCKAGFgRmYWtlMAoGCCqGSM49BAMDA2gAMGUCMQCy+qFhT7X1i18jcyIa
Jkgz/tumrPsaBA2RihkooTEr4GbqC650Z4Cwt7+x2xZq37sCMFSM6fRueLyV5StG
yEFWA6G95b/HbtPMTjLpPKtrOjhofc4LyVCDYhFhKzpvHh1qeA==`

// TestOtherKeys: certificates of other key types are refused, not just unused.
func TestOtherKeys(t *testing.T) {
	k := ed25519.NewKeyFromSeed(make([]byte, 32))
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(nil, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.NewRoots(chain.Anchor{Certificate: der}); !errors.Is(err, chain.ErrAlgorithm) {
		t.Errorf("got %v", err)
	}
}

// FuzzVerify changes certificates: what is accepted is what was issued.
func FuzzVerify(f *testing.F) {
	ders, roots := newWorld().build(f)
	for _, der := range ders[:3] {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for i := range ders[:3] {
			bent := slices.Clone(ders[:3])
			bent[i] = der
			if _, err := chain.Verify(bent, roots, at); err == nil && !bytes.Equal(der, ders[i]) {
				// An ECDSA signature has a twin, which is as good.
				if !bytes.Equal(tbs(t, der), tbs(t, ders[i])) {
					t.Errorf("accepted %x in place %d", der, i)
				}
			}
		}
	})
}

func tbs(t testing.TB, der []byte) []byte {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c.RawTBSCertificate
}

func FuzzParsePEM(f *testing.F) {
	ders, _ := newWorld().build(f)
	f.Add(chain.FormatPEM(ders))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := chain.ParsePEM(text)
		if err != nil {
			return
		}
		again, err := chain.ParsePEM(chain.FormatPEM(got))
		if err != nil || !slices.EqualFunc(got, again, bytes.Equal) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ders, roots := newWorld().build(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := chain.Verify(ders, roots, at); err != nil {
			b.Fatal(err)
		}
	}
}
