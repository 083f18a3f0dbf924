package openid_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/possession/openid"
)

// TestWant: nothing is verified against half a question.
func TestWant(t *testing.T) {
	d, token := vectorCase{}.build(t)
	tel := parseCSI(t, "tel:+14085550123")
	for name, edit := range map[string]func(*openid.Want){
		"no CSI":        func(w *openid.Want) { w.CSI = csi.ID{} },
		"a number":      func(w *openid.Want) { w.CSI = tel },
		"no response":   func(w *openid.Want) { w.Response = [32]byte{} },
		"no time":       func(w *openid.Want) { w.Now = time.Time{} },
		"nothing given": func(w *openid.Want) { *w = openid.Want{} },
	} {
		want := d.want
		edit(&want)
		if _, err := openid.Verify([]byte(token), want, lookup(d.issuers)); !errors.Is(err, openid.ErrWant) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := openid.Verify([]byte(token), d.want, nil); !errors.Is(err, openid.ErrWant) {
		t.Errorf("without a provider: %v", err)
	}
}

// TestR05TokenAnswersOneQuestion: a token answers the question that was asked
// and no other.
func TestR05TokenAnswersOneQuestion(t *testing.T) {
	d, token := vectorCase{}.build(t)
	for name, c := range map[string]struct {
		edit   func(*openid.Want)
		expect error
	}{
		"address":                 {func(w *openid.Want) { w.CSI = parseCSI(t, "mailto:bob@example.org") }, openid.ErrIdentifier},
		"handle of the same name": {func(w *openid.Want) { w.CSI = parseCSI(t, "acct:alice@example.org") }, openid.ErrAuthority},
		"key":                     {func(w *openid.Want) { w.Response = response(t, address, 'm', 1) }, openid.ErrNonce},
		"challenge":               {func(w *openid.Want) { w.Response = response(t, address, 'a', 2) }, openid.ErrNonce},
		"a day later":             {func(w *openid.Want) { w.Now = w.Now.Add(24 * time.Hour) }, openid.ErrExpired},
		"an hour before":          {func(w *openid.Want) { w.Now = w.Now.Add(-time.Hour) }, openid.ErrFuture},
	} {
		want := d.want
		c.edit(&want)
		if _, err := openid.Verify([]byte(token), want, lookup(d.issuers)); !errors.Is(err, c.expect) {
			t.Errorf("another %s: %v, want %v", name, err, c.expect)
		}
	}
}

// TestR05LuredSignIn: somebody who lures a person into signing in somewhere
// gets tokens for a shop's client, or with the shop's nonce, or for the lurer's
// key under the person's own challenge; none counts for the lurer's key.
func TestR05LuredSignIn(t *testing.T) {
	lurer := func(t testing.TB) openid.Want {
		return openid.Want{CSI: parseCSI(t, address), Response: response(t, address, 'm', 9), Now: now}
	}
	for name, c := range map[string]vectorCase{
		"a shop that asks for the lurer's nonce": {edit: func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(lurer(d.t).Response)+`"`)
			d.claim("aud", `"shop"`)
		}, expect: openid.ErrAudience},
		"a shop with our client as second audience": {edit: func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(lurer(d.t).Response)+`"`)
			d.claim("aud", `["shop","`+clientID+`"]`)
		}, expect: openid.ErrAudience},
		"our client, the person's own key": {expect: openid.ErrNonce},
		"a session that was open already": {edit: func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(lurer(d.t).Response)+`"`)
			d.claim("auth_time", "1799990000")
		}, expect: openid.ErrStale},
	} {
		d, token := c.build(t)
		if _, err := openid.Verify([]byte(token), lurer(t), lookup(d.issuers)); !errors.Is(err, c.expect) {
			t.Errorf("%s: %v, want %v", name, err, c.expect)
		}
	}
}

// TestLookup: a token that is refused anyway costs no lookup, and the provider
// is asked for once, by the token's own issuer.
func TestLookup(t *testing.T) {
	late := []error{
		nil, openid.ErrIssuer, openid.ErrAudience, openid.ErrAuthorizedParty, openid.ErrAuthority, openid.ErrIdentifier, openid.ErrUnverified,
		openid.ErrKeySet, openid.ErrNoKey, openid.ErrKeyConfusion, openid.ErrWeakKey, openid.ErrSignature,
	}
	for _, c := range append(accepted(), refused()...) {
		d, token := c.build(t)
		asked := 0
		_, err := openid.Verify([]byte(token), d.want, func(url string) (openid.Issuer, bool) {
			asked++
			if !openid.ValidIssuer(url) {
				t.Errorf("%s: lookup of %q", c.name, url)
			}
			return lookup(d.issuers)(url)
		})
		early := !slices.ContainsFunc(late, func(kind error) bool { return errors.Is(err, kind) })
		if early && !errors.Is(err, openid.ErrClaim) && asked > 0 || asked > 1 {
			t.Errorf("%s: %d lookups", c.name, asked)
		}
	}
}

func TestSubject(t *testing.T) {
	subjects := make(map[[32]byte]string)
	for name, edit := range map[string]func(*draft){
		"as is":           nil,
		"another account": func(d *draft) { d.claim("sub", `"1"`) },
		"another issuer": func(d *draft) {
			d.claim("iss", `"https://login.example.org"`)
			d.issuers["https://login.example.org"] = d.issuers[issuerURL]
		},
	} {
		d, token := vectorCase{edit: edit}.build(t)
		report, err := openid.Verify([]byte(token), d.want, lookup(d.issuers))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, twice := subjects[report.Subject]; twice {
			t.Errorf("%s and %s are one account", name, other)
		}
		subjects[report.Subject] = name
	}
}

// TestKeys: what an observer writes down is what a report names.
func TestKeys(t *testing.T) {
	d, token := vectorCase{}.build(t)
	report, err := openid.Verify([]byte(token), d.want, lookup(d.issuers))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := openid.Keys([]byte(d.issuers[issuerURL].Keys))
	if err != nil || len(keys) != 3 { // the weak one is none
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	if !slices.Contains(keys, openid.Key{KID: "p256", Digest: report.KeyDigest}) {
		t.Error("the key of the report is not among those published")
	}
	if _, err := openid.Keys([]byte("{}")); !errors.Is(err, openid.ErrKeySet) {
		t.Errorf("no key set: %v", err)
	}
}

func TestValidIssuer(t *testing.T) {
	for s, want := range map[string]bool{
		"https://op.example.org":                             true,
		"https://op.example.org/":                            true,
		"https://op.example.org/realms/a%20b":                true,
		"https://op.example.org:8443/x":                      true,
		"https://xn--bcher-kva.example":                      true,
		"":                                                   false,
		"op.example.org":                                     false,
		"http://op.example.org":                              false,
		"HTTPS://op.example.org":                             false,
		"https://op":                                         false,
		"https://op.example.org.":                            false,
		"https://op.example.org:":                            false,
		"https://[2001:db8::1]":                              false,
		"https://127.0.0.1":                                  false,
		"https://op_.example.org":                            false,
		"https://op.example.org?":                            false,
		"https://op.example.org#":                            false,
		"https://:secret@op.example.org":                     false,
		"https://op.example.org/a b":                         false,
		"https://op.example.org/%zz":                         false,
		"https://op.example.org/\x00":                        false,
		"https://bücher.example":                             false,
		"https://op.example.org/" + strings.Repeat("a", 255): false,
	} {
		if got := openid.ValidIssuer(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestR05NoByteCanBeChanged tries every change of one bit, every loss and every
// doubling of a byte, of a token under each algorithm.
func TestR05NoByteCanBeChanged(t *testing.T) {
	for _, c := range accepted()[:3] {
		d, token := c.build(t)
		raw := []byte(token)
		accept := func(raw []byte) bool {
			_, err := openid.Verify(raw, d.want, lookup(d.issuers))
			return err == nil
		}
		if !accept(raw) {
			t.Fatal("the token itself is refused")
		}
		for i := range raw {
			for bit := range 8 {
				changed := slices.Clone(raw)
				changed[i] ^= 1 << bit
				if accept(changed) {
					t.Errorf("%s: accepted with bit %d of byte %d changed", c.name, bit, i)
				}
			}
			if accept(slices.Delete(slices.Clone(raw), i, i+1)) {
				t.Errorf("%s: accepted without byte %d", c.name, i)
			}
			if accept(slices.Insert(slices.Clone(raw), i, raw[i])) {
				t.Errorf("%s: accepted with byte %d twice", c.name, i)
			}
		}
	}
}

// TestR05MutatedTokens changes tokens before they are signed, as a provider
// would whose claims are not ours to choose, and after, as anybody can: whatever
// is changed, what is accepted still says the same of the same person. 5,000
// tokens, 500,000 with WHITHER_LONG=1.
func TestR05MutatedTokens(t *testing.T) {
	pool := []string{
		`"alice@example.org"`, `"mallory@example.org"`, `"alice@example.net"`, `true`, `false`, `null`, `0`, `1799999990`, `1800003595`, `[]`, `{}`, `""`,
		`"` + issuerURL + `"`, `"https://login.example.net"`, `"` + clientID + `"`, `"whither-net"`, `["` + clientID + `"]`, `"alice"`,
		`"` + openid.Nonce(response(t, address, 'm', 1)) + `"`, `"ES256"`, `"none"`, `"p256"`, `"another"`, `"JWT"`,
	}
	key, other := loadKey(t, "p256"), loadKey(t, "another")
	base := newDraft(t)
	known := lookup(base.issuers)
	good := sign(t, object(base.header), object(base.claims), key)
	// Those of others: of another person, for another challenge, by another key.
	var others [][]byte
	for _, v := range readVectors(t) {
		if len(v.Token) < 2<<10 {
			others = append(others, []byte(v.Token))
		}
	}
	worldtest.Mutations(t, 7, func(m worldtest.Mutator) worldtest.Outcome {
		if m.IntN(2) == 0 {
			return tryBytes(t, m, base, good, others)
		}
		header, claims := slices.Clone(base.header), slices.Clone(base.claims)
		for range 1 + m.IntN(3) {
			list := &claims
			if m.IntN(4) == 0 {
				list = &header
			}
			if len(*list) == 0 {
				break
			}
			i := m.IntN(len(*list))
			switch m.IntN(4) {
			case 0:
				*list = slices.Delete(*list, i, i+1)
			case 1:
				*list = slices.Insert(*list, i, member{(*list)[i].name, worldtest.Pick(m, pool)})
			case 2:
				*list = append(*list, member{strings.ToUpper((*list)[i].name), worldtest.Pick(m, pool)})
			default:
				(*list)[i].value = worldtest.Pick(m, pool)
			}
		}
		signer := key
		if m.IntN(4) == 0 {
			signer = other
		}
		report, err := openid.Verify([]byte(sign(t, object(header), object(claims), signer)), base.want, known)
		if err != nil {
			checkError(t, err)
			return worldtest.Refused
		}
		payload := string(object(claims))
		for _, must := range []string{
			`"iss":"` + issuerURL + `"`, `"email":"alice@example.org"`, `"email_verified":true`, `"nonce":"` + openid.Nonce(base.want.Response) + `"`,
		} {
			if strings.Count(payload, must) != 1 {
				t.Logf("accepted without %s: %s", must, payload)
				return worldtest.Forged
			}
		}
		if signer != key || report.Issuer != issuerURL {
			t.Log("accepted by another key")
			return worldtest.Forged
		}
		return worldtest.Same
	})
}

// tryBytes bends a signed token: its text, one part of it, or one part decoded.
func tryBytes(t *testing.T, m worldtest.Mutator, base *draft, good string, others [][]byte) worldtest.Outcome {
	t.Helper()
	parts := strings.Split(good, ".")
	i := m.IntN(len(parts))
	raw := []byte(good)
	switch m.IntN(4) {
	case 0:
		raw = m.Bend(raw, others...)
	case 1: // a part of another token
		if p := strings.Split(string(worldtest.Pick(m, others)), "."); len(p) == len(parts) {
			parts[i] = p[i]
		}
		raw = []byte(strings.Join(parts, "."))
	case 2: // another token
		raw = m.Bend(worldtest.Pick(m, others))
	default:
		part, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(m.Bend(part))
		raw = []byte(strings.Join(parts, "."))
	}
	if _, err := openid.Verify(raw, base.want, lookup(base.issuers)); err != nil {
		checkError(t, err)
		return worldtest.Refused
	}
	made := func(o []byte) bool { return bytes.Equal(o, raw) }
	if string(raw) != good && !slices.ContainsFunc(others, made) {
		t.Logf("accepted: %s", raw)
		return worldtest.Forged
	}
	return worldtest.Same
}

// FuzzVerify looks for a panic, for an error that tells something of a person,
// and for a token that verifies and is none of those that were made.
func FuzzVerify(f *testing.F) {
	base := newDraft(f)
	made := make(map[string]bool)
	for _, v := range readVectors(f) {
		made[v.Token] = true
		if len(v.Token) < 4<<10 { // large seeds only cost time
			f.Add([]byte(v.Token))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := openid.Verify(raw, base.want, lookup(base.issuers))
		if err != nil {
			checkError(t, err)
			return
		}
		if !made[string(raw)] {
			t.Errorf("forged: %s", raw)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range accepted()[:3] {
		b.Run(c.name, func(b *testing.B) {
			d, token := c.build(b)
			b.SetBytes(int64(len(token)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openid.Verify([]byte(token), d.want, lookup(d.issuers)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
