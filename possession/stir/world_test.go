package stir_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"slices"
	"testing"
	"time"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/chain"
	"whither/possession/stir/jose"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
)

var now = time.Unix(1800000000, 0).UTC()

const (
	number    = "12155551212"
	proverTN  = "12155550100"
	proverURI = "sip:check@prover.example"
	x5u       = "https://cert.example.org/chain.pem"
	origID    = "123e4567-e89b-12d3-a456-426655440000"
)

// phones is a small telephone world.
type phones struct {
	root, authorityRoot *stirtest.Party
	carrier             *stirtest.Party // code 1234, which has 1215555…
	stranger            *stirtest.Party // code 5678, which has 1312555…
	carrierCA           *stirtest.Party // code 1234; signs delegates
	delegate            *stirtest.Party // our number, by carrierCA
	neighbour           *stirtest.Party // another number, by carrierCA
	issued              *stirtest.Party // our number, by the CA itself: no delegate
	codeOnly            *stirtest.Party // code 1234 again, by carrierCA
	constrained         *stirtest.Party // code 1234; may attest A only
	expired             *stirtest.Party // code 1234; until yesterday
	authority           *stirtest.Party // token authority
	narrowAuthority     *stirtest.Party // token authority for 1312555… only
}

func newPhones(t testing.TB) *phones {
	t.Helper()
	make := func(by *stirtest.Party, name string, ca bool, list tnauth.List, edits ...func(*stirtest.Profile)) *stirtest.Party {
		profile := stirtest.Profile{
			Name: name, Key: stirtest.FixedKey("stir " + name), CA: ca, List: list,
			From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0),
		}
		for _, edit := range edits {
			edit(&profile)
		}
		issue := stirtest.Root
		if by != nil {
			issue = by.Issue
		}
		p, err := issue(profile)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	code := tnauth.List{{Code: "1234"}}
	var w phones
	w.root = make(nil, "root", true, nil)
	w.authorityRoot = make(nil, "authority root", true, nil)
	ca := make(w.root, "ca", true, nil)
	w.carrier = make(ca, "carrier", false, code)
	w.stranger = make(ca, "stranger", false, tnauth.List{{Code: "5678"}})
	w.carrierCA = make(ca, "carrier ca", true, code)
	w.delegate = make(w.carrierCA, "delegate", false, tnauth.List{{Number: number}})
	w.neighbour = make(w.carrierCA, "neighbour", false, tnauth.List{{Number: "12155551213"}})
	w.issued = make(ca, "issued", false, tnauth.List{{Number: number}})
	w.codeOnly = make(w.carrierCA, "code only", false, code)
	w.constrained = make(ca, "constrained", false, code, func(p *stirtest.Profile) {
		p.Constraints = &tnauth.Constraints{MustInclude: []string{"attest"}, Permitted: []tnauth.Permitted{{Claim: "attest", Values: []string{"A"}}}}
	})
	w.expired = make(ca, "expired", false, code, func(p *stirtest.Profile) { p.Until = now.AddDate(0, 0, -1) })
	w.authority = make(w.authorityRoot, "authority", false, nil)
	w.narrowAuthority = make(w.authorityRoot, "narrow authority", false, tnauth.List{{Number: "13125550000", Count: 9999}})
	return &w
}

// trust is how a verifier sees the world, by name in vectors.
type trust struct {
	roots, authorities []chain.Anchor
	ranges             map[string][]string
}

func (w *phones) trust() trust {
	return trust{
		roots:       []chain.Anchor{{Certificate: w.root.Certificate.Raw, Prefixes: []string{"1"}}},
		authorities: []chain.Anchor{{Certificate: w.authorityRoot.Certificate.Raw}},
		ranges:      map[string][]string{"1234": {"1215555"}, "5678": {"1312555"}},
	}
}

func (v trust) trust(t testing.TB) stir.Trust {
	t.Helper()
	roots, err := chain.NewRoots(v.roots...)
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := chain.NewRoots(v.authorities...)
	if err != nil {
		t.Fatal(err)
	}
	return stir.Trust{Roots: roots, Authorities: authorities, Ranges: func(code string) []string { return v.ranges[code] }}
}

func identifier(t testing.TB, s string) csi.ID {
	t.Helper()
	id, err := csi.ParseCanonical(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func holder(t testing.TB, b byte) key.Public {
	t.Helper()
	k, err := key.Generate(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

func nonce(first byte) [possession.NonceSize]byte {
	var n [possession.NonceSize]byte
	for i := range n {
		n[i] = first + byte(i)
	}
	return n
}

// draft is evidence in the making; tests bend it before it is signed, or after.
type draft struct {
	w         *phones
	form      stir.Form
	want      stir.Want
	trust     trust
	claims    passport.Claims
	extension passport.Extension
	token     stir.Token
	body      string
	signer    *stirtest.Party
	key       *ecdsa.PrivateKey // signs in the signer's place
	inside    bool              // certificates in x5c
	finish    func(*stir.Artefact)
}

func newDraft(t testing.TB, w *phones, form stir.Form) *draft {
	t.Helper()
	d := &draft{
		w: w, form: form, trust: w.trust(), signer: w.carrier,
		want: stir.Want{
			CSI: identifier(t, "tel:+"+number), Holder: holder(t, 7), Nonce: nonce(1),
			Dest: passport.Party{TN: proverTN}, Now: now, MaxAge: 5 * time.Minute,
		},
		claims: passport.Claims{
			IssuedAt: now.Add(-time.Minute), Orig: passport.Party{TN: number}, Dest: passport.Destinations{TN: []string{proverTN}},
		},
	}
	response := possession.Response(d.want.CSI, d.want.Holder, d.want.Nonce)
	switch form {
	case stir.FormMessage:
		d.extension = passport.Message
		d.body = stir.Response(response, d.want.Holder.ID().String())
	case stir.FormKey, stir.FormDelegate:
		d.claims.MediaKeys = []passport.MediaKey{passport.SHA256Key(response)}
		if form == stir.FormDelegate {
			d.signer = w.delegate
		}
	case stir.FormToken:
		d.signer = w.authority
		d.token = stir.Token{
			Issuer: "https://authority.example", ID: "1", Issued: now.Add(-time.Minute), Expires: now.Add(time.Hour),
			Numbers: tnauth.List{{Number: number}}, Fingerprint: stir.Fingerprint(d.want.Holder),
		}
	case stir.FormCall:
		d.extension, d.claims.Attest, d.claims.OrigID = passport.Shaken, "A", origID
	}
	return d
}

// hash puts the hash of the body into the claims, unless they have one.
func (d *draft) hash(t testing.TB) {
	t.Helper()
	if d.form != stir.FormMessage || d.claims.MessageHash != "" || d.extension != passport.Message {
		return
	}
	var err error
	if d.claims.MessageHash, err = passport.HashMessage("sha256", []byte(d.body)); err != nil {
		t.Fatal(err)
	}
}

func (d *draft) artefact(t testing.TB) stir.Artefact {
	t.Helper()
	d.hash(t)
	k := d.key
	if k == nil {
		k = d.signer.Key
	}
	a := stir.Artefact{Form: d.form, Body: []byte(d.body), Chain: d.signer.Chain()}
	var err error
	switch {
	case d.form == stir.FormToken:
		a.Token, err = d.token.Sign(x5u, k)
	case d.inside:
		a.Token, err = d.claims.Sign(passport.Signing{Extension: d.extension, X5C: a.Chain, Key: k})
		a.Chain = nil
	default:
		a.Token, err = d.claims.Sign(passport.Signing{Extension: d.extension, X5U: x5u, Key: k})
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.finish != nil {
		d.finish(&a)
	}
	return a
}

// raw signs a token of any content with the signer's key.
func (d *draft) raw(t testing.TB, header jose.Header, payload string) string {
	t.Helper()
	v, err := jose.ParseJSON([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.Sign(header, v, d.signer.Key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// case is one vector.
type testCase struct {
	name   string
	form   stir.Form
	edit   func(testing.TB, *draft)
	expect error
}

// forms are all of them.
func forms() []stir.Form {
	return []stir.Form{stir.FormMessage, stir.FormKey, stir.FormDelegate, stir.FormToken, stir.FormCall}
}

func digestOf(t testing.TB, a stir.Artefact) [32]byte {
	t.Helper()
	b, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func clone(a stir.Artefact) stir.Artefact {
	a.Body = bytes.Clone(a.Body)
	a.Chain = slices.Clone(a.Chain)
	for i := range a.Chain {
		a.Chain[i] = bytes.Clone(a.Chain[i])
	}
	return a
}

// signRaw signs texts as they are, apart from package jose, so that it can sign
// what that package would not.
func signRaw(t testing.TB, k *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	der, err := k.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...))
}
