package jws_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"whither/internal/jws"
)

// The examples of RFC 7515 appendices A.2 and A.3 and of RFC 8037 appendix A.
const (
	payloadA   = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	exampleRSA = "eyJhbGciOiJSUzI1NiJ9." + payloadA + "." +
		"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4" +
		"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv" +
		"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	modulusA = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs" +
		"D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV" +
		"MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
	exampleEC = "eyJhbGciOiJFUzI1NiJ9." + payloadA + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	exampleEd = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	seedEd = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"

	jwkRSA = `{"kty":"RSA","n":"` + modulusA + `","e":"AQAB"}`
	jwkEC  = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	jwkEd  = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

func set(t testing.TB, keys ...string) jws.Set {
	t.Helper()
	s, err := jws.ParseSet([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func only(t testing.TB, jwk string) jws.Key {
	t.Helper()
	keys := set(t, jwk).Keys()
	if len(keys) != 1 {
		t.Fatalf("%d keys", len(keys))
	}
	return keys[0].Key
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRFCExamples(t *testing.T) {
	all := set(t, jwkRSA, jwkEC, jwkEd)
	for name, raw := range map[string]string{"RFC 7515 A.2": exampleRSA, "RFC 7515 A.3": exampleEC, "RFC 8037 A.4": exampleEd} {
		m, err := jws.Parse([]byte(raw), 4096)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		k, err := all.Find(m.Alg, m.KID)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := m.Verify(k); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRFCThumbprints(t *testing.T) {
	const rfc7638 = `{"kty":"RSA","e":"AQAB","alg":"RS256","kid":"2011-04-29","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
	for jwk, want := range map[string]string{
		rfc7638: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", // RFC 7638 section 3.1
		jwkEd:   "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", // RFC 8037 appendix A.3
	} {
		got := only(t, jwk).Thumbprint()
		if base64.RawURLEncoding.EncodeToString(got[:]) != want {
			t.Errorf("thumbprint %x, want %s", got, want)
		}
	}
}

// TestSignRFCExamples signs what the RFCs sign, where that has one result.
func TestSignRFCExamples(t *testing.T) {
	got, err := jws.Sign(jws.EdDSA, []byte(`{"alg":"EdDSA"}`), []byte("Example of Ed25519 signing"), ed25519.NewKeyFromSeed(unb64(t, seedEd)))
	if err != nil || got != exampleEd {
		t.Errorf("%s, %v", got, err)
	}
}

func ecdsaKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSign: what is signed verifies, with a key from a certificate too, and the
// same arguments give the same bytes.
func TestSign(t *testing.T) {
	for alg, k := range map[jws.Algorithm]crypto.Signer{jws.RS256: rsaKey(t, 2048), jws.ES256: ecdsaKey(t)} {
		header := []byte(`{"alg":"` + string(alg) + `"}`)
		raw, err := jws.Sign(alg, header, []byte("payload"), k)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if again, err := jws.Sign(alg, header, []byte("payload"), k); err != nil || again != raw {
			t.Errorf("%s: signed again it has other bytes: %v", alg, err)
		}
		m, err := jws.Parse([]byte(raw), 4096)
		if err != nil || string(m.Payload) != "payload" {
			t.Fatalf("%s: %q, %v", alg, m.Payload, err)
		}
		public, err := jws.FromPublic(k.Public())
		if err != nil || public.Algorithm() != alg {
			t.Fatalf("%s: %v", alg, err)
		}
		if err := m.Verify(public); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		for _, wrong := range []jws.Algorithm{jws.RS256, jws.ES256, jws.EdDSA, "none", "HS256", ""} {
			if _, err := jws.Sign(wrong, header, nil, k); wrong != alg && !errors.Is(err, jws.ErrAlgorithm) {
				t.Errorf("%s under a header with %s: %v", wrong, alg, err)
			}
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Sign(jws.ES256, []byte(`{"alg":"ES256"}`), nil, p384); err == nil {
		t.Error("ES256 with P-384")
	}
}

func TestParseRefuses(t *testing.T) {
	parts := strings.Split(exampleEC, ".")
	compact := func(header string) string { return b64(header) + "." + parts[1] + "." + parts[2] }
	for name, c := range map[string]struct {
		raw    string
		expect error
	}{
		"empty":                  {"", jws.ErrCompact},
		"two parts":              {parts[0] + "." + parts[1], jws.ErrCompact},
		"five parts, as JWE":     {exampleEC + ".e.f", jws.ErrCompact},
		"padded":                 {parts[0] + "=." + parts[1] + "." + parts[2], jws.ErrCompact},
		"standard alphabet":      {parts[0] + "." + parts[1] + "." + strings.ReplaceAll(parts[2], "-", "+"), jws.ErrCompact},
		"spare bits":             {exampleEC[:len(exampleEC)-1] + "R", jws.ErrCompact},
		"line end in the middle": {parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2], jws.ErrCompact},
		"line end":               {exampleEC + "\n", jws.ErrCompact},
		"space":                  {" " + exampleEC, jws.ErrCompact},
		"too large":              {exampleEC + strings.Repeat("A", 4096), jws.ErrTooLarge},
		"header no object":       {compact(`["ES256"]`), jws.ErrJSON},
		"header empty":           {compact(``), jws.ErrJSON},
		"alg doubled":            {compact(`{"alg":"ES256","alg":"none"}`), jws.ErrJSON},
		"alg doubled by escape":  {compact(`{"alg":"ES256","\u0061lg":"none"}`), jws.ErrJSON},
		"alg in capitals":        {compact(`{"Alg":"ES256"}`), jws.ErrMember},
		"alg no text":            {compact(`{"alg":256}`), jws.ErrMember},
		"alg none":               {b64(`{"alg":"none"}`) + "." + parts[1] + ".", jws.ErrAlgorithm},
		"alg none, otherwise":    {b64(`{"alg":"nOnE"}`) + "." + parts[1] + ".", jws.ErrAlgorithm},
		"alg HS256":              {compact(`{"alg":"HS256"}`), jws.ErrAlgorithm},
		"alg RS512":              {compact(`{"alg":"RS512"}`), jws.ErrAlgorithm},
		"alg of other case":      {compact(`{"alg":"es256"}`), jws.ErrAlgorithm},
		"crit":                   {compact(`{"alg":"ES256","crit":["b64"],"b64":false}`), jws.ErrCritical},
		"crit null":              {compact(`{"alg":"ES256","crit":null}`), jws.ErrCritical},
		"kid no text":            {compact(`{"alg":"ES256","kid":7}`), jws.ErrMember},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jws.Parse([]byte(c.raw), 4096); !errors.Is(err, c.expect) {
				t.Errorf("got %v, want %v", err, c.expect)
			}
		})
	}
}

func TestObjectRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":           ``,
		"no object":         `"text"`,
		"array":             `[{}]`,
		"trailing":          `{}{}`,
		"trailing text":     `{} x`,
		"no quotes":         `{a:1}`,
		"comma at the end":  `{"a":1,}`,
		"missing colon":     `{"a" 1}`,
		"leading zero":      `{"a":01}`,
		"control character": "{\"a\":\"\x01\"}",
		"not UTF-8":         "{\"a\":\"\xff\"}",
		"half a surrogate":  `{"a":"\ud800"}`,
		"half in a name":    `{"\udc00":1}`,
		"doubled":           `{"a":1,"a":1}`,
		"doubled inside":    `{"a":[{"b":{"c":1,"c":2}}]}`,
		"deep":              `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`,
		"very deep":         `{"a":` + strings.Repeat(`{"a":`, 100_000) + `1` + strings.Repeat("}", 100_001),
		"comment":           `{/* a */}`,
		"byte order mark":   "\ufeff{}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jws.ParseObject([]byte(s)); !errors.Is(err, jws.ErrJSON) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestObjectMembers(t *testing.T) {
	o, err := jws.ParseObject([]byte(`{"s":"x","b":true,"n":null,"t":1800000000,"f":1.5,"e":18e8,"z":0,"m":-1,"big":253402300800,"huge":1e99,
		"o":{"s":"y"},"l":["a","b"],"mixed":["a",1],"objects":[{"s":"z"}],"S":"capital"}`))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := o.Text("s"); err != nil || s != "x" {
		t.Errorf("text %q, %v", s, err)
	}
	if b, err := o.Bool("b"); err != nil || !b {
		t.Errorf("bool %v, %v", b, err)
	}
	if at, err := o.Time("t"); err != nil || !at.Equal(time.Unix(1_800_000_000, 0)) {
		t.Errorf("time %v, %v", at, err)
	}
	if inner, err := o.Object("o"); err != nil || !inner.Has("s") || inner.Has("S") {
		t.Errorf("object: %v", err)
	}
	if l, err := o.Texts("l"); err != nil || len(l) != 2 || l[1] != "b" {
		t.Errorf("texts %v, %v", l, err)
	}
	if l, err := o.Objects("objects"); err != nil || len(l) != 1 || !l[0].Has("s") {
		t.Errorf("objects: %v", err)
	}
	if !o.Has("n") || o.Has("absent") || (jws.Object{}).Has("s") {
		t.Error("Has")
	}
	for _, name := range []string{"s", "n", "absent", "f", "e", "z", "m", "big", "huge", "l", "mixed"} {
		for what, get := range map[string]func() error{
			"bool":    func() error { _, err := o.Bool(name); return err },
			"time":    func() error { _, err := o.Time(name); return err },
			"object":  func() error { _, err := o.Object(name); return err },
			"objects": func() error { _, err := o.Objects(name); return err },
		} {
			if err := get(); !errors.Is(err, jws.ErrMember) {
				t.Errorf("%s as %s: %v", name, what, err)
			}
		}
	}
	for _, name := range []string{"b", "n", "t", "absent", "o"} {
		if _, err := o.Text(name); !errors.Is(err, jws.ErrMember) {
			t.Errorf("%s as text: %v", name, err)
		}
	}
	if _, err := o.Texts("mixed"); !errors.Is(err, jws.ErrMember) {
		t.Errorf("mixed as texts: %v", err)
	}
}

func TestSetRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		set    string
		expect error
	}{
		"no JSON":       {`keys`, jws.ErrKeySet},
		"no keys":       {`{}`, jws.ErrKeySet},
		"no array":      {`{"keys":{}}`, jws.ErrKeySet},
		"no object":     {`{"keys":["a"]}`, jws.ErrKeySet},
		"empty":         {`{"keys":[]}`, jws.ErrKeySet},
		"doubled":       {`{"keys":[],"keys":[` + jwkEC + `]}`, jws.ErrKeySet},
		"private EC":    {`{"keys":[` + strings.Replace(jwkEC, `{`, `{"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",`, 1) + `]}`, jws.ErrKeySet},
		"symmetric":     {`{"keys":[` + jwkEC + `,{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}]}`, jws.ErrKeySet},
		"too many keys": {`{"keys":[` + strings.Repeat(jwkEd+",", 64) + jwkEd + `]}`, jws.ErrKeySet},
		"too large":     {`{"keys":[` + jwkEd + `]}` + strings.Repeat(" ", jws.MaxSet), jws.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jws.ParseSet([]byte(c.set)); !errors.Is(err, c.expect) {
				t.Errorf("got %v, want %v", err, c.expect)
			}
		})
	}
}

// with puts members before the others of a JWK.
func with(jwk, members string) string { return `{` + members + `,` + jwk[1:] }

func TestFind(t *testing.T) {
	weak := rsaKey(t, 1024)
	weakJWK := `{"kty":"RSA","kid":"weak","n":"` + base64.RawURLEncoding.EncodeToString(weak.N.Bytes()) + `","e":"AQAB"}`
	evenE := strings.Replace(with(jwkRSA, `"kid":"even"`), "AQAB", "AQAC", 1)
	zeros := strings.Replace(with(jwkRSA, `"kid":"zeros"`), `"n":"`, `"n":"AAAA`, 1)
	s := set(t,
		with(jwkRSA, `"kid":"r","alg":"RS256","use":"sig","x5t":"ignored","key_ops":["verify"]`),
		with(jwkEC, `"kid":"e"`), with(jwkEd, `"kid":"d","alg":"EdDSA"`),
		with(jwkRSA, `"kid":"both"`), with(jwkEC, `"kid":"both"`),
		with(jwkEC, `"kid":"twice"`), with(jwkEC, `"kid":"twice","use":"sig"`),
		with(jwkRSA, `"kid":"enc","use":"enc"`), with(jwkRSA, `"kid":"rs512","alg":"RS512"`), with(jwkRSA, `"kid":"ops","key_ops":["encrypt"]`),
		with(jwkRSA, `"kid":7`), `{"kid":"untyped"}`, `{"kty":"EC","crv":"P-384","kid":"p384","x":"AA","y":"AA"}`,
		weakJWK, evenE, zeros,
		`{"kty":"RSA","kid":"empty","n":"","e":"AQAB"}`, `{"kty":"RSA","kid":"no e","n":"`+modulusA+`"}`,
		`{"kty":"RSA","kid":"large","e":"AQAB","n":"`+strings.Repeat("gAAA", 400)+`"}`,
		`{"kty":"RSA","kid":"long e","e":"AQAAAAAB","n":"`+modulusA+`"}`,
		strings.Replace(with(jwkEC, `"kid":"off curve"`), `"x":"f`, `"x":"g`, 1),
		strings.Replace(with(jwkEC, `"kid":"short"`), `"x":"f83O`, `"x":"`, 1),
		`{"kty":"OKP","crv":"Ed25519","kid":"small order","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		strings.Replace(with(jwkEd, `"kid":"padded"`), `Ro"`, `Ro="`, 1),
	)
	for _, c := range []struct {
		alg    jws.Algorithm
		kid    string
		expect error
	}{
		{jws.RS256, "r", nil},
		{jws.ES256, "e", nil},
		{jws.EdDSA, "d", nil},
		{jws.RS256, "both", nil},
		{jws.ES256, "both", nil},
		{jws.EdDSA, "both", jws.ErrConfusion},
		{jws.ES256, "r", jws.ErrConfusion},
		{jws.RS256, "e", jws.ErrConfusion},
		{jws.RS256, "d", jws.ErrConfusion},
		{jws.ES256, "twice", jws.ErrNoKey},
		{jws.RS256, "", jws.ErrNoKey}, // several could be meant
		{jws.RS256, "absent", jws.ErrNoKey},
		{jws.RS256, "R", jws.ErrNoKey},
		{jws.RS256, "enc", jws.ErrNoKey},
		{jws.RS256, "rs512", jws.ErrNoKey},
		{jws.RS256, "ops", jws.ErrNoKey},
		{jws.ES256, "p384", jws.ErrNoKey},
		{jws.ES256, "untyped", jws.ErrNoKey},
		{jws.RS256, "weak", jws.ErrWeakKey},
		{jws.RS256, "even", jws.ErrWeakKey},
		{jws.RS256, "large", jws.ErrWeakKey},
		{jws.RS256, "long e", jws.ErrWeakKey},
		{jws.RS256, "zeros", jws.ErrKey},
		{jws.RS256, "empty", jws.ErrKey},
		{jws.RS256, "no e", jws.ErrKey},
		{jws.ES256, "off curve", jws.ErrKey},
		{jws.ES256, "short", jws.ErrKey},
		{jws.EdDSA, "small order", jws.ErrKey},
		{jws.EdDSA, "padded", jws.ErrKey},
	} {
		if _, err := s.Find(c.alg, c.kid); !errors.Is(err, c.expect) {
			t.Errorf("%s %q: %v, want %v", c.alg, c.kid, err, c.expect)
		}
	}
	if k, err := set(t, jwkEC, jwkEd).Find(jws.ES256, ""); err != nil || k.Algorithm() != jws.ES256 {
		t.Errorf("the only one without a kid: %v", err)
	}
	if got := len(s.Keys()); got != 7 {
		t.Errorf("%d usable keys", got)
	}
}

func TestFromPublicRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key    crypto.PublicKey
		expect error
	}{
		"RSA of 1,024 bits": {rsaKey(t, 1024).Public(), jws.ErrWeakKey},
		"RSA without n":     {&rsa.PublicKey{E: 3}, jws.ErrWeakKey},
		"RSA with e = 1":    {&rsa.PublicKey{N: new(big.Int).SetBytes(unb64(t, modulusA)), E: 1}, jws.ErrWeakKey},
		"P-384":             {p384.Public(), jws.ErrKey},
		"other":             {"key", jws.ErrKey},
		"nothing":           {nil, jws.ErrKey},
	} {
		if _, err := jws.FromPublic(c.key); !errors.Is(err, c.expect) {
			t.Errorf("%s: %v, want %v", name, err, c.expect)
		}
	}
}

// TestKeysAreNotConfused: a message verifies under the key that made it, and
// with the algorithm of that key, only.
func TestKeysAreNotConfused(t *testing.T) {
	keys := map[jws.Algorithm]jws.Key{jws.RS256: only(t, jwkRSA), jws.ES256: only(t, jwkEC), jws.EdDSA: only(t, jwkEd)}
	for raw, alg := range map[string]jws.Algorithm{exampleRSA: jws.RS256, exampleEC: jws.ES256, exampleEd: jws.EdDSA} {
		m, err := jws.Parse([]byte(raw), 4096)
		if err != nil {
			t.Fatal(err)
		}
		for other, k := range keys {
			if err := m.Verify(k); (err == nil) != (other == alg) || err != nil && !errors.Is(err, jws.ErrConfusion) {
				t.Errorf("%s under a key for %s: %v", alg, other, err)
			}
		}
		if err := m.Verify(jws.Key{}); !errors.Is(err, jws.ErrConfusion) {
			t.Errorf("%s under no key: %v", alg, err)
		}
		for _, renamed := range []jws.Algorithm{jws.RS256, jws.ES256, jws.EdDSA} {
			if renamed == alg {
				continue
			}
			parts := strings.Split(raw, ".")
			m, err := jws.Parse([]byte(b64(`{"alg":"`+string(renamed)+`"}`)+"."+parts[1]+"."+parts[2]), 4096)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Verify(keys[renamed]); !errors.Is(err, jws.ErrSignature) {
				t.Errorf("%s called %s: %v", alg, renamed, err)
			}
		}
	}
}

// TestNoByteCanBeChanged tries every change of one bit of three messages.
func TestNoByteCanBeChanged(t *testing.T) {
	all := set(t, jwkRSA, jwkEC, jwkEd)
	for _, raw := range []string{exampleRSA, exampleEC, exampleEd} {
		for i := range len(raw) {
			for bit := range 8 {
				changed := []byte(raw)
				changed[i] ^= 1 << bit
				if accepts(all, changed) {
					t.Errorf("accepted with bit %d of byte %d changed", bit, i)
				}
			}
		}
	}
}

func accepts(s jws.Set, raw []byte) bool {
	m, err := jws.Parse(raw, 4096)
	if err != nil {
		return false
	}
	k, err := s.Find(m.Alg, m.KID)
	return err == nil && m.Verify(k) == nil
}

// FuzzParse: what is parsed has one spelling, and nothing but the three
// examples verifies under their keys.
func FuzzParse(f *testing.F) {
	examples := []string{exampleRSA, exampleEC, exampleEd}
	all := set(f, jwkRSA, jwkEC, jwkEd)
	for _, raw := range examples {
		f.Add([]byte(raw))
	}
	f.Add([]byte("eyJhbGciOiJub25lIn0.e30."))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := jws.Parse(raw, 4096)
		if err != nil {
			return
		}
		if got := b64(string(m.Payload)); got != strings.Split(string(raw), ".")[1] {
			t.Errorf("payload has two spellings: %s", got)
		}
		if accepts(all, raw) && !strings.Contains(exampleRSA+exampleEC+exampleEd, string(raw)) {
			t.Errorf("forged: %s", raw)
		}
	})
}

// FuzzObject: an object has no member that can be read in two ways.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":{"b":[1,"c",null,true]}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, jwkRSA} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := jws.ParseObject(b)
		if err != nil {
			if !errors.Is(err, jws.ErrJSON) {
				t.Errorf("error %v", err)
			}
			return
		}
		for _, name := range []string{"a", "b", "keys", "\ufffd"} {
			if _, err := o.Text(name); err == nil && !o.Has(name) {
				t.Error("text of an absent member")
			}
		}
		if o.Has("\ufffd") {
			t.Error("a replaced character")
		}
	})
}

// FuzzParseSet: a usable key has one thumbprint, and a JWK written from it is
// the same key.
func FuzzParseSet(f *testing.F) {
	for _, jwk := range []string{jwkRSA, jwkEC, jwkEd} {
		f.Add([]byte(`{"keys":[` + jwk + `]}`))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := jws.ParseSet(b)
		if err != nil {
			return
		}
		for _, p := range s.Keys() {
			if p.Key.Thumbprint() == [32]byte{} || p.Key.Algorithm() == "" {
				t.Errorf("a usable key without name: %+v", p.KID)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	all := set(b, jwkRSA, jwkEC, jwkEd)
	for name, raw := range map[string]string{"RS256": exampleRSA, "ES256": exampleEC, "EdDSA": exampleEd} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !accepts(all, []byte(raw)) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func ExampleSet_Find() {
	s, err := jws.ParseSet([]byte(`{"keys":[` + jwkEd + `]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := jws.Parse([]byte(exampleEd), 4096)
	if err != nil {
		fmt.Println(err)
		return
	}
	k, err := s.Find(m.Alg, m.KID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Verify(k), string(bytes.ToLower(m.Payload)))
	// Output:
	// <nil> example of ed25519 signing
}
