package openid_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/possession/openid"
)

const (
	issuerURL = "https://op.example.org"
	clientID  = "whither-7f3a"
	address   = "mailto:alice@example.org"
	handle    = "acct:alice@op.example.org"
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

func holderKey(t testing.TB, name byte) key.Public {
	t.Helper()
	k, err := key.Generate(bytes.NewReader(bytes.Repeat([]byte{name}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

// response is what alice's app commits to: her CSI, her key, the challenge.
func response(t testing.TB, id string, holder, nonce byte) [32]byte {
	t.Helper()
	return possession.Response(parseCSI(t, id), holderKey(t, holder), [possession.NonceSize]byte{nonce})
}

// provider is what is known of an issuer, in the form of the vectors.
type provider struct {
	Keys    string   `json:"keys"`
	Clients []string `json:"clients"`
	Domains []string `json:"domains"`
	Handle  string   `json:"handle,omitempty"`
}

func lookup(known map[string]provider) func(string) (openid.Issuer, bool) {
	return func(url string) (openid.Issuer, bool) {
		p, ok := known[url]
		return openid.Issuer{Keys: []byte(p.Keys), Clients: p.Clients, Domains: p.Domains, Handle: p.Handle}, ok
	}
}

// draft is a token that is about to be made. The zero edit gives a good one.
type draft struct {
	t       testing.TB
	header  []member
	claims  []member
	payload []byte // instead of claims
	key     string // file name, and the kid of the published key
	issuers map[string]provider
	want    openid.Want
	after   func(token string) string // what happens to it on its way
}

func newDraft(t testing.TB) *draft {
	return &draft{
		t:      t,
		header: []member{{"alg", `"ES256"`}, {"kid", `"p256"`}, {"typ", `"JWT"`}},
		claims: []member{
			{"iss", `"` + issuerURL + `"`},
			{"sub", `"248289761001"`},
			{"aud", `"` + clientID + `"`},
			{"nonce", `"` + openid.Nonce(response(t, address, 'a', 1)) + `"`},
			{"auth_time", "1799999990"},
			{"iat", "1799999995"},
			{"exp", "1800003595"},
			{"email", `"alice@example.org"`},
			{"email_verified", "true"},
			{"preferred_username", `"alice"`},
		},
		key: "p256",
		issuers: map[string]provider{
			issuerURL: {
				Keys: jwks(t, "rsa2048", "p256", "ed25519", "rsa1024"), Clients: []string{"whither-old", clientID},
				Domains: []string{"example.org", "xn--bcher-kva.example"}, Handle: "preferred_username",
			},
			"https://login.example.net": {Keys: jwks(t, "another"), Clients: []string{"whither-net"}, Domains: []string{"example.net"}},
		},
		want: openid.Want{CSI: parseCSI(t, address), Response: response(t, address, 'a', 1), Now: now},
	}
}

func (d *draft) provider(edit func(*provider)) {
	p := d.issuers[issuerURL]
	edit(&p)
	d.issuers[issuerURL] = p
}

func set(list []member, name, value string) []member {
	for i, m := range list {
		if m.name == name {
			list[i].value = value
			return list
		}
	}
	return append(list, member{name, value})
}

func (d *draft) claim(name, value string) { d.claims = set(d.claims, name, value) }
func (d *draft) head(name, value string)  { d.header = set(d.header, name, value) }

func (d *draft) drop(name string) {
	named := func(m member) bool { return m.name == name }
	d.claims = slices.DeleteFunc(d.claims, named)
	d.header = slices.DeleteFunc(d.header, named)
}

// by makes the token with another key.
func (d *draft) by(alg, name string) {
	d.key = name
	d.head("alg", `"`+alg+`"`)
	d.head("kid", `"`+name+`"`)
}

// about makes it a token about a handle.
func (d *draft) about(id string) {
	d.want.CSI = parseCSI(d.t, id)
	d.want.Response = response(d.t, id, 'a', 1)
	d.claim("nonce", `"`+openid.Nonce(d.want.Response)+`"`)
}

func (d *draft) build() string {
	payload := d.payload
	if payload == nil {
		payload = object(d.claims)
	}
	token := sign(d.t, object(d.header), payload, loadKey(d.t, d.key))
	if d.after != nil {
		token = d.after(token)
	}
	return token
}

type vectorCase struct {
	name   string
	edit   func(*draft)
	expect error
}

func (c vectorCase) build(t testing.TB) (*draft, string) {
	d := newDraft(t)
	if c.edit != nil {
		c.edit(d)
	}
	return d, d.build()
}

// unsigned replaces the signature.
func unsigned(signature string) func(string) string {
	return func(token string) string { return token[:strings.LastIndexByte(token, '.')+1] + signature }
}

func accepted() []vectorCase {
	return []vectorCase{
		{name: "es256"},
		{name: "rs256", edit: func(d *draft) { d.by("RS256", "rsa2048") }},
		{name: "eddsa", edit: func(d *draft) { d.by("EdDSA", "ed25519") }},
		{name: "no-typ", edit: func(d *draft) { d.drop("typ") }},
		{name: "typ-in-lower-case", edit: func(d *draft) { d.head("typ", `"jwt"`) }},
		{name: "header-names-certificate-hash", edit: func(d *draft) { d.head("x5t", `"AAAA"`) }},
		{name: "no-kid-and-one-key", edit: func(d *draft) {
			d.drop("kid")
			d.provider(func(p *provider) { p.Keys = jwks(d.t, "rsa2048", "p256") })
		}},
		{name: "audience-list-of-one", edit: func(d *draft) { d.claim("aud", `["`+clientID+`"]`) }},
		{name: "azp-equal", edit: func(d *draft) { d.claim("azp", `"`+clientID+`"`) }},
		{name: "older-client", edit: func(d *draft) { d.claim("aud", `"whither-old"`) }},
		{name: "nbf", edit: func(d *draft) { d.claim("nbf", "1799999995") }},
		{name: "clock-of-provider-fast", edit: func(d *draft) {
			d.claim("iat", "1800000120")
			d.claim("auth_time", "1800000120")
			d.claim("nbf", "1800000120")
		}},
		{name: "expires-within-skew", edit: func(d *draft) { d.claim("exp", "1799999996"); d.want.Now = now.Add(115 * time.Second) }},
		{name: "signed-in-ten-minutes-ago", edit: func(d *draft) { d.claim("auth_time", "1799999400") }},
		{name: "address-in-capitals", edit: func(d *draft) { d.claim("email", `"Alice@EXAMPLE.org"`) }},
		{name: "address-escaped-in-json", edit: func(d *draft) { d.claim("email", `"\u0061lice@example.org"`) }},
		{name: "domain-in-unicode", edit: func(d *draft) {
			d.about("mailto:alice@xn--bcher-kva.example")
			d.claim("email", `"alice@bücher.example"`)
		}},
		{name: "members-of-its-own", edit: func(d *draft) { d.claim("https://op.example.org/roles", `[{"a":[1,{"b":null}]}]`) }},
		{name: "keys-of-other-types-beside", edit: func(d *draft) {
			d.provider(func(p *provider) {
				p.Keys = `{"keys":[{"kty":"EC","crv":"P-521","kid":"x","x":"AA","y":"AA"},{"kty":"AKP","kid":"y"},` + jwk(d.t, "p256") + `]}`
			})
		}},
		{name: "handle", edit: func(d *draft) { d.about(handle) }},
		{name: "handle-in-capitals", edit: func(d *draft) { d.about(handle); d.claim("preferred_username", `"Alice"`) }},
		{name: "handle-without-address", edit: func(d *draft) { d.about(handle); d.drop("email"); d.drop("email_verified") }},
		{name: "handle-in-another-claim", edit: func(d *draft) {
			d.about(handle)
			d.claim("preferred_username", `"Alice W."`)
			d.claim("handle", `"alice"`)
			d.provider(func(p *provider) { p.Handle = "handle" })
		}},
	}
}

func refused() []vectorCase {
	return slices.Concat(refusedForm(), refusedClaims(), refusedTimes(), refusedParties(), refusedKeys())
}

func refusedForm() []vectorCase {
	return []vectorCase{
		{"too-large", func(d *draft) { d.claim("x", `"`+strings.Repeat("a", openid.MaxSize)+`"`) }, openid.ErrTooLarge},
		{"empty", func(d *draft) { d.after = func(string) string { return "" } }, openid.ErrMalformed},
		{"two-parts", func(d *draft) {
			d.after = func(s string) string { return s[:strings.LastIndexByte(s, '.')] }
		}, openid.ErrMalformed},
		{"five-parts", func(d *draft) { d.after = func(s string) string { return s + ".AA.AA" } }, openid.ErrMalformed},
		{"json-serialization", func(d *draft) {
			d.after = func(s string) string {
				p := strings.Split(s, ".")
				return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
			}
		}, openid.ErrMalformed},
		{"padding", func(d *draft) { d.after = func(s string) string { return s + "==" } }, openid.ErrMalformed},
		{"line-end", func(d *draft) { d.after = func(s string) string { return s + "\n" } }, openid.ErrMalformed},
		{"signature-with-spare-bits", func(d *draft) {
			d.after = func(s string) string {
				const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
				last := strings.IndexByte(digits, s[len(s)-1])
				return s[:len(s)-1] + string(digits[last+1])
			}
		}, openid.ErrMalformed},
		{"claims-no-object", func(d *draft) { d.payload = []byte(`["iss"]`) }, openid.ErrMalformed},
		{"claims-empty", func(d *draft) { d.payload = []byte{} }, openid.ErrMalformed},
		{"claims-and-more", func(d *draft) { d.payload = append(object(d.claims), "{}"...) }, openid.ErrMalformed},
		{"claims-not-utf-8", func(d *draft) { d.claim("name", "\"\xff\"") }, openid.ErrMalformed},
		{"claims-half-a-surrogate", func(d *draft) { d.claim("name", `"\ud800"`) }, openid.ErrMalformed},
		{"address-twice", func(d *draft) { d.claims = append(d.claims, member{"email", `"mallory@example.org"`}) }, openid.ErrMalformed},
		{"address-twice-by-escape", func(d *draft) {
			d.payload = bytes.Replace(object(d.claims), []byte(`"sub"`), []byte(`"\u0065mail":"mallory@example.org","sub"`), 1)
		}, openid.ErrMalformed},
		{"algorithm-twice", func(d *draft) { d.header = append(d.header, member{"alg", `"none"`}) }, openid.ErrMalformed},
		{"algorithm-in-capitals", func(d *draft) { d.header[0].name = "ALG" }, openid.ErrMalformed},
		{"algorithm-none", func(d *draft) { d.head("alg", `"none"`); d.after = unsigned("") }, openid.ErrAlgorithm},
		{"algorithm-none-signed", func(d *draft) { d.head("alg", `"none"`) }, openid.ErrAlgorithm},
		{"algorithm-hs256", func(d *draft) { d.head("alg", `"HS256"`) }, openid.ErrAlgorithm},
		{"algorithm-ps256", func(d *draft) { d.by("PS256", "rsa2048") }, openid.ErrAlgorithm},
		{"algorithm-es384", func(d *draft) { d.head("alg", `"ES384"`) }, openid.ErrAlgorithm},
		{"critical", func(d *draft) { d.head("crit", `["exp"]`); d.head("exp", "1800003595") }, openid.ErrHeader},
		{"typ-access-token", func(d *draft) { d.head("typ", `"at+jwt"`) }, openid.ErrHeader},
		{"typ-logout-token", func(d *draft) { d.head("typ", `"logout+jwt"`) }, openid.ErrHeader},
		{"typ-number", func(d *draft) { d.head("typ", "1") }, openid.ErrHeader},
		{"nested", func(d *draft) { d.head("cty", `"JWT"`) }, openid.ErrHeader},
		{"key-in-header", func(d *draft) { d.by("ES256", "another"); d.head("jwk", jwk(d.t, "another")) }, openid.ErrHeader},
		{"key-behind-url-in-header", func(d *draft) { d.head("jku", `"https://evil.example/keys"`) }, openid.ErrHeader},
		{"certificate-in-header", func(d *draft) { d.head("x5c", `["AAAA"]`) }, openid.ErrHeader},
		{"certificate-behind-url-in-header", func(d *draft) { d.head("x5u", `"https://evil.example/c"`) }, openid.ErrHeader},
		{"kid-long", func(d *draft) { d.head("kid", `"`+strings.Repeat("k", 256)+`"`) }, openid.ErrHeader},
	}
}

func refusedClaims() []vectorCase {
	var cases []vectorCase
	for _, name := range []string{"iss", "sub", "nonce", "auth_time", "iat", "exp", "aud", "email", "email_verified"} {
		cases = append(cases, vectorCase{"no-" + name, func(d *draft) { d.drop(name) }, openid.ErrClaim})
	}
	return append(cases, []vectorCase{
		{"no-handle", func(d *draft) { d.about(handle); d.drop("preferred_username") }, openid.ErrClaim},
		{"address-in-capital-claim", func(d *draft) { d.drop("email"); d.claim("Email", `"alice@example.org"`) }, openid.ErrClaim},
		{"address-list", func(d *draft) { d.claim("email", `["alice@example.org"]`) }, openid.ErrClaim},
		{"verified-as-text", func(d *draft) { d.claim("email_verified", `"true"`) }, openid.ErrClaim},
		{"verified-as-number", func(d *draft) { d.claim("email_verified", `1`) }, openid.ErrClaim},
		{"subject-empty", func(d *draft) { d.claim("sub", `""`) }, openid.ErrClaim},
		{"subject-long", func(d *draft) { d.claim("sub", `"`+strings.Repeat("s", 256)+`"`) }, openid.ErrClaim},
		{"issuer-http", func(d *draft) { d.claim("iss", `"http://op.example.org"`) }, openid.ErrClaim},
		{"issuer-with-query", func(d *draft) { d.claim("iss", `"https://op.example.org?a"`) }, openid.ErrClaim},
		{"issuer-with-user", func(d *draft) { d.claim("iss", `"https://a@op.example.org"`) }, openid.ErrClaim},
		{"issuer-in-capitals", func(d *draft) { d.claim("iss", `"https://OP.example.org"`) }, openid.ErrClaim},
		{"issuer-in-unicode", func(d *draft) { d.claim("iss", `"https://öp.example.org"`) }, openid.ErrClaim},
		{"issuer-address", func(d *draft) { d.claim("iss", `"https://192.0.2.1"`) }, openid.ErrClaim},
		{"time-with-fraction", func(d *draft) { d.claim("iat", "1799999995.5") }, openid.ErrClaim},
		{"time-with-exponent", func(d *draft) { d.claim("iat", "1.8e9") }, openid.ErrClaim},
		{"time-as-text", func(d *draft) { d.claim("auth_time", `"1799999990"`) }, openid.ErrClaim},
		{"time-in-milliseconds", func(d *draft) { d.claim("exp", "1800003595000") }, openid.ErrClaim},
		{"time-negative", func(d *draft) { d.claim("nbf", "-1") }, openid.ErrClaim},
		{"audience-number", func(d *draft) { d.claim("aud", "1") }, openid.ErrClaim},

		{"nonce-of-another-key", func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(response(d.t, address, 'm', 1))+`"`)
		}, openid.ErrNonce},
		{"nonce-of-another-challenge", func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(response(d.t, address, 'a', 2))+`"`)
		}, openid.ErrNonce},
		{"nonce-of-another-csi", func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(response(d.t, handle, 'a', 1))+`"`)
		}, openid.ErrNonce},
		{"nonce-padded", func(d *draft) {
			d.claim("nonce", `"`+openid.Nonce(d.want.Response)+`="`)
		}, openid.ErrNonce},
		{"nonce-of-the-client", func(d *draft) { d.claim("nonce", `"n-0S6_WzA2Mj"`) }, openid.ErrNonce},
		{"nonce-empty", func(d *draft) { d.claim("nonce", `""`) }, openid.ErrNonce},
	}...)
}

func refusedTimes() []vectorCase {
	return []vectorCase{
		{"made-in-the-future", func(d *draft) { d.claim("iat", "1800000121") }, openid.ErrFuture},
		{"signed-in-in-the-future", func(d *draft) { d.claim("auth_time", "1800000121"); d.claim("iat", "1800000100") }, openid.ErrFuture},
		{"not-yet", func(d *draft) { d.claim("nbf", "1800000121") }, openid.ErrFuture},
		{"expired", func(d *draft) { d.claim("exp", "1799999996"); d.want.Now = now.Add(116 * time.Second) }, openid.ErrExpired},
		{"old", func(d *draft) { d.want.Now = now.Add(24 * time.Hour) }, openid.ErrExpired},
		{"old-and-long-lived", func(d *draft) { d.claim("exp", "1900000000"); d.want.Now = now.Add(24 * time.Hour) }, openid.ErrStale},
		{"session-of-yesterday", func(d *draft) { d.claim("auth_time", "1799913600") }, openid.ErrStale},
		{"signed-in-a-second-too-long-ago", func(d *draft) { d.claim("auth_time", "1799999279") }, openid.ErrStale},
		{"expires-when-made", func(d *draft) { d.claim("exp", "1799999995") }, openid.ErrTimes},
		{"signed-in-after-it-was-made", func(d *draft) { d.claim("iat", "1799999900"); d.claim("auth_time", "1800000021") }, openid.ErrTimes},
	}
}

func refusedParties() []vectorCase {
	return []vectorCase{
		{"issuer-another", func(d *draft) { d.claim("iss", `"https://op.example.com"`) }, openid.ErrIssuer},
		{"issuer-look-alike", func(d *draft) { d.claim("iss", `"https://op.examp1e.org"`) }, openid.ErrIssuer},
		{"issuer-with-slash", func(d *draft) { d.claim("iss", `"https://op.example.org/"`) }, openid.ErrIssuer},
		{"issuer-with-port", func(d *draft) { d.claim("iss", `"https://op.example.org:443"`) }, openid.ErrIssuer},
		{"issuer-subdomain", func(d *draft) { d.claim("iss", `"https://a.op.example.org"`) }, openid.ErrIssuer},
		{"issuer-known-for-another-domain", func(d *draft) {
			d.by("ES256", "another")
			d.claim("iss", `"https://login.example.net"`)
			d.claim("aud", `"whither-net"`)
		}, openid.ErrAuthority},
		{"issuer-verified-an-address-elsewhere", func(d *draft) {
			d.about("mailto:alice@example.com")
			d.claim("email", `"alice@example.com"`)
		}, openid.ErrAuthority},
		{"issuer-of-the-parent-domain", func(d *draft) {
			d.about("mailto:alice@mail.example.org")
			d.claim("email", `"alice@mail.example.org"`)
		}, openid.ErrAuthority},
		{"issuer-without-domains", func(d *draft) { d.provider(func(p *provider) { p.Domains = nil }) }, openid.ErrAuthority},
		{"handle-of-another-host", func(d *draft) { d.about("acct:alice@example.org") }, openid.ErrAuthority},
		{"handle-of-the-parent-host", func(d *draft) { d.about("acct:alice@a.op.example.org") }, openid.ErrAuthority},
		{"handle-at-a-host-that-ends-alike", func(d *draft) { d.about("acct:alice@xop.example.org") }, openid.ErrAuthority},
		{"handle-not-given-out", func(d *draft) { d.about(handle); d.provider(func(p *provider) { p.Handle = "" }) }, openid.ErrAuthority},
		{"handle-at-a-port", func(d *draft) {
			d.about(handle)
			d.claim("iss", `"https://op.example.org:8443"`)
			d.issuers["https://op.example.org:8443"] = d.issuers[issuerURL]
		}, openid.ErrAuthority},

		{"audience-another", func(d *draft) { d.claim("aud", `"shop"`) }, openid.ErrAudience},
		{"audience-client-of-another-issuer", func(d *draft) { d.claim("aud", `"whither-net"`) }, openid.ErrAudience},
		{"audience-empty", func(d *draft) { d.claim("aud", `""`) }, openid.ErrAudience},
		{"audience-empty-list", func(d *draft) { d.claim("aud", `[]`) }, openid.ErrAudience},
		{"audience-two", func(d *draft) { d.claim("aud", `["`+clientID+`","shop"]`) }, openid.ErrAudience},
		{"audience-two-of-ours", func(d *draft) { d.claim("aud", `["`+clientID+`","whither-old"]`) }, openid.ErrAudience},
		{"audience-no-clients-known", func(d *draft) { d.provider(func(p *provider) { p.Clients = nil }) }, openid.ErrAudience},
		{"azp-another", func(d *draft) { d.claim("azp", `"shop"`) }, openid.ErrAuthorizedParty},
		{"azp-null", func(d *draft) { d.claim("azp", `null`) }, openid.ErrAuthorizedParty},
		{"azp-another-of-ours", func(d *draft) { d.claim("azp", `"whither-old"`) }, openid.ErrAuthorizedParty},

		{"address-another", func(d *draft) { d.claim("email", `"mallory@example.org"`) }, openid.ErrIdentifier},
		{"address-of-another-domain", func(d *draft) { d.claim("email", `"alice@example.net"`) }, openid.ErrIdentifier},
		{"address-look-alike", func(d *draft) { d.claim("email", `"alice@exаmple.org"`) }, openid.ErrIdentifier},
		{"address-look-alike-before-the-at", func(d *draft) { d.claim("email", `"аlice@example.org"`) }, openid.ErrIdentifier},
		{"address-with-plus", func(d *draft) { d.claim("email", `"alice+x@example.org"`) }, openid.ErrIdentifier},
		{"address-with-space", func(d *draft) { d.claim("email", `" alice@example.org"`) }, openid.ErrIdentifier},
		{"address-with-header", func(d *draft) { d.claim("email", `"alice@example.org?cc=a"`) }, openid.ErrIdentifier},
		{"address-with-nul", func(d *draft) { d.claim("email", `"alice@example.org\u0000.net"`) }, openid.ErrIdentifier},
		{"address-two", func(d *draft) { d.claim("email", `"alice@example.org,mallory@example.org"`) }, openid.ErrIdentifier},
		{"address-empty", func(d *draft) { d.claim("email", `""`) }, openid.ErrIdentifier},
		{"handle-another", func(d *draft) { d.about(handle); d.claim("preferred_username", `"mallory"`) }, openid.ErrIdentifier},
		{"handle-with-host", func(d *draft) { d.about(handle); d.claim("preferred_username", `"alice@op.example.org"`) }, openid.ErrIdentifier},
		{"handle-look-alike", func(d *draft) { d.about(handle); d.claim("preferred_username", `"аlice"`) }, openid.ErrIdentifier},
		{"unverified", func(d *draft) { d.claim("email_verified", "false") }, openid.ErrUnverified},
	}
}

func refusedKeys() []vectorCase {
	return []vectorCase{
		{"key-unknown", func(d *draft) { d.by("ES256", "another") }, openid.ErrNoKey},
		{"key-under-the-name-of-another", func(d *draft) { d.key = "another" }, openid.ErrSignature},
		{"key-twice", func(d *draft) {
			d.provider(func(p *provider) { p.Keys = jwks(d.t, "p256", "p256") })
		}, openid.ErrNoKey},
		{"key-not-named-and-several", func(d *draft) {
			d.drop("kid")
			d.provider(func(p *provider) { p.Keys = jwks(d.t, "p256", "another") })
		}, openid.ErrNoKey},
		{"key-for-encryption", func(d *draft) {
			d.provider(func(p *provider) { p.Keys = strings.ReplaceAll(jwks(d.t, "p256"), `"use":"sig"`, `"use":"enc"`) })
		}, openid.ErrNoKey},
		{"key-of-another-issuer", func(d *draft) {
			d.by("ES256", "another") // the provider of example.net, for a person of example.org
		}, openid.ErrNoKey},
		{"confused-rsa-key-as-ec", func(d *draft) { d.head("kid", `"rsa2048"`) }, openid.ErrKeyConfusion},
		{"confused-ec-key-as-rsa", func(d *draft) { d.by("RS256", "rsa2048"); d.head("kid", `"p256"`) }, openid.ErrKeyConfusion},
		{"confused-ec-key-as-ed25519", func(d *draft) { d.by("EdDSA", "ed25519"); d.head("kid", `"p256"`) }, openid.ErrKeyConfusion},
		{"weak-rsa-key", func(d *draft) { d.by("RS256", "rsa1024") }, openid.ErrWeakKey},
		{"key-set-no-json", func(d *draft) { d.provider(func(p *provider) { p.Keys = "<html>" }) }, openid.ErrKeySet},
		{"key-set-empty", func(d *draft) { d.provider(func(p *provider) { p.Keys = `{"keys":[]}` }) }, openid.ErrKeySet},
		{"key-set-with-doubled-member", func(d *draft) {
			d.provider(func(p *provider) { p.Keys = strings.Replace(p.Keys, `"kid":"p256"`, `"kid":"p256","kid":"p256"`, 1) })
		}, openid.ErrKeySet},
		{"key-set-with-private-key", func(d *draft) {
			d.provider(func(p *provider) { p.Keys = strings.Replace(p.Keys, `"kid":"p256"`, `"kid":"p256","d":"AAAA"`, 1) })
		}, openid.ErrKeySet},
		{"key-set-with-shared-secret", func(d *draft) {
			d.provider(func(p *provider) {
				p.Keys = strings.Replace(p.Keys, `{"keys":[`, `{"keys":[{"kty":"oct","k":"AAAA"},`, 1)
			})
		}, openid.ErrKeySet},
		{"key-not-on-curve", func(d *draft) {
			d.provider(func(p *provider) {
				i := strings.Index(p.Keys, `"crv":"P-256","x":"`) + len(`"crv":"P-256","x":"`)
				p.Keys = p.Keys[:i] + "AAAA" + p.Keys[i+4:]
			})
		}, openid.ErrKeySet},
		{"signature-of-another-token", func(d *draft) {
			other := newDraft(d.t)
			other.claim("sub", `"1"`)
			signature := other.build()
			d.after = unsigned(signature[strings.LastIndexByte(signature, '.')+1:])
		}, openid.ErrSignature},
		{"signature-empty", func(d *draft) { d.after = unsigned("") }, openid.ErrSignature},
		{"signature-of-zeros", func(d *draft) { d.after = unsigned(b64(make([]byte, 64))) }, openid.ErrSignature},
		{"signature-in-der", func(d *draft) {
			d.after = unsigned(b64([]byte("\x30\x06\x02\x01\x01\x02\x01\x01")))
		}, openid.ErrSignature},
		{"signature-too-long", func(d *draft) { d.after = func(s string) string { return s[:len(s)-2] + "AAAA" } }, openid.ErrSignature},
		{"claim-changed-after-signing", func(d *draft) {
			d.after = func(s string) string {
				p := strings.Split(s, ".")
				d.claim("sub", `"248289761002"`)
				return p[0] + "." + b64(object(d.claims)) + "." + p[2]
			}
		}, openid.ErrSignature},
		{"header-changed-after-signing", func(d *draft) {
			d.after = func(s string) string {
				d.drop("typ")
				return b64(object(d.header)) + s[strings.IndexByte(s, '.'):]
			}
		}, openid.ErrSignature},
	}
}

func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "too-large": openid.ErrTooLarge, "malformed": openid.ErrMalformed, "header": openid.ErrHeader,
		"algorithm": openid.ErrAlgorithm, "claim": openid.ErrClaim, "nonce": openid.ErrNonce, "future": openid.ErrFuture,
		"expired": openid.ErrExpired, "stale": openid.ErrStale, "times": openid.ErrTimes, "unverified": openid.ErrUnverified,
		"identifier": openid.ErrIdentifier, "issuer": openid.ErrIssuer, "audience": openid.ErrAudience,
		"authorized-party": openid.ErrAuthorizedParty, "authority": openid.ErrAuthority, "key-set": openid.ErrKeySet,
		"no-key": openid.ErrNoKey, "key-confusion": openid.ErrKeyConfusion, "weak-key": openid.ErrWeakKey, "signature": openid.ErrSignature,
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
