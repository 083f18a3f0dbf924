package passport_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/possession/stir/jose"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
)

const x5u = "https://cert.example.org/passport.cer"

func base() passport.Claims {
	return passport.Claims{
		IssuedAt: time.Unix(1471375418, 0).UTC(),
		Orig:     passport.Party{TN: "12155551212"},
		Dest:     passport.Destinations{URI: []string{"sip:alice@example.com"}},
	}
}

func shaken() passport.Claims {
	return passport.Claims{
		IssuedAt: time.Unix(1443208345, 0).UTC(), Attest: "A", OrigID: "123e4567-e89b-12d3-a456-426655440000",
		Orig: passport.Party{TN: "12155550121"}, Dest: passport.Destinations{TN: []string{"12155550131"}},
	}
}

func sign(t testing.TB, c passport.Claims, e passport.Extension) string {
	t.Helper()
	text, err := c.Sign(passport.Signing{Extension: e, X5U: x5u, Key: stirtest.FixedKey("signer")})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t testing.TB, text string) passport.Passport {
	t.Helper()
	p, err := passport.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The example of RFC 8225 appendix A.
const (
	exampleInput = "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9" +
		".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn19"
	exampleSignature = "VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOWQ_iUkqk79UD81fHQ0E1b3_GluIkba7UWYRM47ZbNFdOJquE35cw"
	examplePrivate   = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgi7q2TZvN9VDFg8Vy
qCP06bETrR2v8MRvr89rn4i+UAahRANCAAQWfaj1HUETpoNCrOtp9KA8o0V79IuW
ARKt9C1cFPkyd3FBP4SeiNZxQhDrD0tdBHls3/wFe8++K2FrPyQF9vuh
-----END PRIVATE KEY-----`
	examplePublic = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH
78YTU8qLS8I5HLHSSmlATLcslQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==
-----END PUBLIC KEY-----`
)

// TestRFC8225AppendixA: we read the example, and from the same claims and key
// sign the same input. The signature that is printed there verifies under
// neither of the two keys printed there, which are not a pair: it is refused.
func TestRFC8225AppendixA(t *testing.T) {
	block, _ := pem.Decode([]byte(examplePrivate))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	private := parsed.(*ecdsa.PrivateKey)
	block, _ = pem.Decode([]byte(examplePublic))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, exampleInput+"."+exampleSignature)
	if diff := cmp.Diff(base(), p.Claims); diff != "" || p.X5U != x5u || p.Extension != passport.Base || p.X5C != nil {
		t.Error(diff)
	}
	for _, k := range []*ecdsa.PublicKey{&private.PublicKey, public.(*ecdsa.PublicKey)} {
		if err := p.Verify(k); !errors.Is(err, passport.ErrSignature) {
			t.Errorf("the example verifies after all: %v", err)
		}
	}
	text, err := base().Sign(passport.Signing{X5U: x5u, Key: private})
	if err != nil {
		t.Fatal(err)
	}
	if input := text[:strings.LastIndexByte(text, '.')]; input != exampleInput {
		t.Errorf("signed %s", input)
	}
	if err := parse(t, text).Verify(&private.PublicKey); err != nil {
		t.Error(err)
	}
}

// TestMediaKeys is the example of RFC 8225 section 9.1, with the brace that is
// missing there.
func TestMediaKeys(t *testing.T) {
	const want = `{"dest":{"uri":["sip:alice@example.com"]},"iat":1443208345,"mky":[` +
		`{"alg":"sha-256","dig":"021ACC5427ABEB9C533F3E4B652E7D463F5442CD54F17A03A27DF9B07F4619B2"},` +
		`{"alg":"sha-256","dig":"4AADB9B13F82183B540212DF3E5D496B19E57CAB3E4B652E7D463F5442CD54F1"}],` +
		`"orig":{"tn":"12155551212"}}`
	c := base()
	c.IssuedAt = time.Unix(1443208345, 0).UTC()
	c.MediaKeys = []passport.MediaKey{
		{Algorithm: "sha-256", Digest: "021ACC5427ABEB9C533F3E4B652E7D463F5442CD54F17A03A27DF9B07F4619B2"},
		{Algorithm: "sha-256", Digest: "4AADB9B13F82183B540212DF3E5D496B19E57CAB3E4B652E7D463F5442CD54F1"},
	}
	text := sign(t, c, passport.Base)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	if err != nil || string(payload) != want {
		t.Errorf("payload %s, %v", payload, err)
	}
	if diff := cmp.Diff(c, parse(t, text).Claims); diff != "" {
		t.Error(diff)
	}
	k := passport.SHA256Key([32]byte{0x02, 0x1a})
	if k.Digest[:4] != "021A" || parse(t, text).Claims.HasMediaKey(k) || !parse(t, text).Claims.HasMediaKey(c.MediaKeys[1]) {
		t.Error("HasMediaKey")
	}
}

// TestOtherClaims: claims that nobody here knows are kept and signed, and change
// nothing.
func TestOtherClaims(t *testing.T) {
	c := shaken()
	c.Other = []jose.Member{
		{Name: "msgi", Value: jose.Text("anything")}, // ignored unless ppt is msg, RFC 9475 section 3.2
		{Name: "rcd", Value: jose.Value{Kind: jose.Object, Members: []jose.Member{{Name: "nam", Value: jose.Text(`"A" & é`)}}}},
	}
	p := parse(t, sign(t, c, passport.Shaken))
	if diff := cmp.Diff(c, p.Claims); diff != "" {
		t.Error(diff)
	}
	if v, isString, present := p.Claim("attest"); v != "A" || !isString || !present {
		t.Error("attest")
	}
	if _, isString, present := p.Claim("rcd"); isString || !present {
		t.Error("rcd")
	}
	if _, _, present := p.Claim("Attest"); present {
		t.Error("Attest")
	}
}

func TestMessageHash(t *testing.T) {
	body := []byte("hello\r\n")
	for algorithm, length := range map[string]int{"sha256": 44, "sha384": 64, "sha512": 88} {
		hash, err := passport.HashMessage(algorithm, body)
		if err != nil || len(hash) != len(algorithm)+1+length {
			t.Fatalf("%s: %q, %v", algorithm, hash, err)
		}
		c := base()
		c.MessageHash = hash
		c = parse(t, sign(t, c, passport.Message)).Claims
		if err := c.CheckMessage(body); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		for name, other := range map[string]string{
			"other body":       "hello\n",
			"no body":          "",
			"more":             "hello\r\n\r\n",
			"the hash as body": hash,
		} {
			if err := c.CheckMessage([]byte(other)); !errors.Is(err, passport.ErrMessageHash) {
				t.Errorf("%s, %s: %v", algorithm, name, err)
			}
		}
		for name, msgi := range map[string]string{
			"absent":       "",
			"other name":   strings.Replace(hash, "sha", "sha-", 1),
			"capitals":     strings.ToUpper(hash[:3]) + hash[3:],
			"no padding":   strings.TrimRight(hash, "=") + "x",
			"base64url":    strings.NewReplacer("+", "-", "/", "_").Replace(hash) + "-_",
			"sha1":         "sha1-" + hash[7:],
			"md5":          "md5-XUFAKrxLKna5cZ2REBfFkg==",
			"no algorithm": hash[7:],
		} {
			c.MessageHash = msgi
			if err := c.CheckMessage(body); !errors.Is(err, passport.ErrMessageHash) {
				t.Errorf("%s, %s: %v", algorithm, name, err)
			}
		}
	}
	// The example of RFC 9475 section 3.2 says sha256 and has 48 bytes.
	c := passport.Claims{MessageHash: "sha256-H8BRh8j48O9oYatfu5AZzq6A9RINQZngK7T62em8MUt1FLm52t+eX6xO"}
	if err := c.CheckMessage(body); !errors.Is(err, passport.ErrMessageHash) {
		t.Errorf("example of RFC 9475: %v", err)
	}
	if _, err := passport.HashMessage("sha1", body); !errors.Is(err, passport.ErrMessageHash) {
		t.Errorf("sha1: %v", err)
	}
}

func TestOnly(t *testing.T) {
	for name, c := range map[string]struct {
		dest passport.Destinations
		want passport.Party
		ok   bool
	}{
		"number":         {passport.Destinations{TN: []string{"1"}}, passport.Party{TN: "1"}, true},
		"uri":            {passport.Destinations{URI: []string{"a:b"}}, passport.Party{URI: "a:b"}, true},
		"two numbers":    {passport.Destinations{TN: []string{"1", "2"}}, passport.Party{}, false},
		"number and uri": {passport.Destinations{TN: []string{"1"}, URI: []string{"a:b"}}, passport.Party{}, false},
		"none":           {passport.Destinations{}, passport.Party{}, false},
	} {
		if got, ok := c.dest.Only(); got != c.want || ok != c.ok {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	k := stirtest.FixedKey("signer")
	for name, c := range map[string]struct {
		claims  passport.Claims
		signing passport.Signing
		want    error
	}{
		"no certificate":    {base(), passport.Signing{Key: k}, passport.ErrNoKey},
		"unknown extension": {base(), passport.Signing{Key: k, X5U: x5u, Extension: "div"}, passport.ErrExtension},
		"no claims":         {passport.Claims{}, passport.Signing{Key: k, X5U: x5u}, passport.ErrDestination},
		"no attestation":    {base(), passport.Signing{Key: k, X5U: x5u, Extension: passport.Shaken}, passport.ErrAttestation},
	} {
		if _, err := c.claims.Sign(c.signing); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRedaction(t *testing.T) {
	p := parse(t, sign(t, shaken(), passport.Shaken))
	id := passport.IdentityOf(p)
	for _, v := range []any{p, &p, p.Claims, p.Claims.Orig, id, p.LogValue(), p.Claims.LogValue(), p.Claims.Orig.LogValue()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "1215555") || strings.Contains(s, "eyJ") {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f).Tokens {
		f.Add(v.Token)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := passport.Parse(s)
		if err != nil {
			return
		}
		// Everything in the token is in what was read: it can be written again.
		signature := s[strings.LastIndexByte(s, '.'):]
		id := passport.Identity{Token: "." + signature, Info: p.X5U, PPT: string(p.Extension)}
		if p.X5C != nil || p.X5U == "" || p.Extension == passport.Shaken {
			return
		}
		again, err := id.Complete(p.Claims)
		if err != nil || again.Text() != s {
			t.Errorf("%q is written as %q, %v", s, again.Text(), err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := sign(b, shaken(), passport.Shaken)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := passport.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

// rawSignature signs by RFC 6979, apart from package jose, so that it can sign
// what that package would not.
func rawSignature(t testing.TB, k *ecdsa.PrivateKey, input string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	der, err := k.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		t.Fatal(err)
	}
	return append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
}
