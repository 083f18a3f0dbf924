package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/possession/stir/jose"
	"whither/possession/stir/stirtest"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

const (
	goodHeader  = `{"alg":"ES256","typ":"passport","x5u":"https://cert.example.org/passport.cer"}`
	goodPayload = `{"iat":1443208345}`
)

// someSignature is 64 bytes that sign nothing.
var someSignature = base64.RawURLEncoding.EncodeToString(make([]byte, 64))

func publicKey(t testing.TB, text string) *ecdsa.PublicKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no PEM")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*ecdsa.PublicKey)
}

// TestES256OfRFC8225 checks a signature that others made: the token of RFC 8225
// section 7.1 under the key of its appendix A.2. (The token of appendix A itself
// verifies under neither key that is printed there.) As a PASSporT it is refused,
// for its iat is a string; here only the signature is of interest.
func TestES256OfRFC8225(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9" +
		".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6IjE0NDMyMDgzNDUiLCJvcmlnIjp7InRuIjoiMTIxNTU1NTEyMTIifX0" +
		".rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cpFYpFYsojNCpTzO3QfPOlckGaS6hEck7w"
	k := publicKey(t, `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH
78YTU8qLS8I5HLHSSmlATLcslQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==
-----END PUBLIC KEY-----`)
	parsed, err := jose.Parse(token, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(k); err != nil {
		t.Error(err)
	}
	if err := parsed.Verify(stirtest.FixedKey("other").Public().(*ecdsa.PublicKey)); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("under another key: %v", err)
	}
}

// TestES256OfRFC7515 is appendix A.3 there: JSON with spaces and line ends.
func TestES256OfRFC7515(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	point := []byte{4} // uncompressed
	for _, coordinate := range []string{"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"} {
		b, err := base64.RawURLEncoding.DecodeString(coordinate)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.Parse(token, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(k); err != nil {
		t.Error(err)
	}
	if iss, isString, present := parsed.Claim("iss"); iss != "joe" || !isString || !present {
		t.Error("iss")
	}
	if _, err := jose.Parse(token, true); !errors.Is(err, jose.ErrNotCanonical) {
		t.Errorf("deterministic? %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	h, p, s := b64(goodHeader), b64(goodPayload), someSignature
	header := func(text string) string { return b64(text) + "." + p + "." + s }
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"good":                      {h + "." + p + "." + s, nil},
		"empty":                     {"", jose.ErrForm},
		"two parts":                 {h + "." + p, jose.ErrForm},
		"four parts":                {h + "." + p + "." + s + ".", jose.ErrForm},
		"no header":                 {"." + p + "." + s, jose.ErrJSON},
		"compact":                   {".." + s, jose.ErrJSON},
		"no signature":              {h + "." + p + ".", jose.ErrForm},
		"short signature":           {h + "." + p + "." + s[:84], jose.ErrForm},
		"long signature":            {h + "." + p + "." + s + "AA", jose.ErrForm},
		"DER signature":             {h + "." + p + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 71)), jose.ErrForm},
		"padding":                   {h + "." + p + "." + s + "==", jose.ErrForm},
		"spare bits":                {h + "." + p + "." + s[:85] + "B", jose.ErrForm},
		"line end":                  {h + "." + p + "." + s[:40] + "\n" + s[40:], jose.ErrForm},
		"line end in payload":       {h + "." + p[:4] + "\r\n" + p[4:] + "." + s, jose.ErrForm},
		"ordinary base64":           {h + "." + p + "." + strings.Repeat("+", 86), jose.ErrForm},
		"space":                     {h + "." + p + "." + s + " ", jose.ErrForm},
		"too large":                 {strings.Repeat("A", jose.MaxToken+1), jose.ErrForm},
		"payload is no JSON":        {h + "." + b64("hello") + "." + s, jose.ErrJSON},
		"payload is an array":       {h + "." + b64("[]") + "." + s, jose.ErrJSON},
		"payload not deterministic": {h + "." + b64(`{"iat": 1}`) + "." + s, jose.ErrNotCanonical},
		"alg none":                  {header(`{"alg":"none","typ":"passport"}`), jose.ErrAlgorithm},
		"alg absent":                {header(`{"typ":"passport"}`), jose.ErrHeader},
		"alg HS256":                 {header(`{"alg":"HS256","typ":"passport"}`), jose.ErrAlgorithm},
		"alg RS256":                 {header(`{"alg":"RS256","typ":"passport"}`), jose.ErrAlgorithm},
		"alg in small letters":      {header(`{"alg":"es256","typ":"passport"}`), jose.ErrAlgorithm},
		"alg a number":              {header(`{"alg":256,"typ":"passport"}`), jose.ErrHeader},
		"Alg beside alg":            {header(`{"Alg":"none","alg":"ES256"}`), jose.ErrHeader},
		"alg twice":                 {header(`{"alg":"ES256","alg":"ES256"}`), jose.ErrJSON},
		"crit":                      {header(`{"alg":"ES256","crit":["b64"]}`), jose.ErrHeader},
		"jwk":                       {header(`{"alg":"ES256","jwk":{}}`), jose.ErrHeader},
		"kid":                       {header(`{"alg":"ES256","kid":"1"}`), jose.ErrHeader},
		"empty typ":                 {header(`{"alg":"ES256","typ":""}`), jose.ErrHeader},
		"x5u in clear":              {header(`{"alg":"ES256","x5u":"http://cert.example.org/a"}`), jose.ErrHeader},
		"x5u without host":          {header(`{"alg":"ES256","x5u":"https:///a"}`), jose.ErrHeader},
		"x5u with password":         {header(`{"alg":"ES256","x5u":"https://a:b@cert.example.org/a"}`), jose.ErrHeader},
		"x5u with fragment":         {header(`{"alg":"ES256","x5u":"https://cert.example.org/a#b"}`), jose.ErrHeader},
		"x5u with space":            {header(`{"alg":"ES256","x5u":"https://cert.example.org/ a"}`), jose.ErrHeader},
		"x5u of a file":             {header(`{"alg":"ES256","x5u":"file:///etc/passwd"}`), jose.ErrHeader},
		"x5u too long":              {header(`{"alg":"ES256","x5u":"https://cert.example.org/` + strings.Repeat("a", jose.MaxURL) + `"}`), jose.ErrHeader},
		"x5c a string":              {header(`{"alg":"ES256","x5c":"AAAA"}`), jose.ErrHeader},
		"x5c empty":                 {header(`{"alg":"ES256","x5c":[]}`), jose.ErrHeader},
		"x5c of numbers":            {header(`{"alg":"ES256","x5c":[1]}`), jose.ErrHeader},
		"x5c in base64url":          {header(`{"alg":"ES256","x5c":["-_-_"]}`), jose.ErrHeader},
		"x5c of too many":           {header(`{"alg":"ES256","x5c":["AAAA","AAAA","AAAA","AAAA","AAAA","AAAA","AAAA"]}`), jose.ErrHeader},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jose.Parse(c.token, true); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestSign(t *testing.T) {
	h := jose.Header{Type: "passport", PPT: "msg", X5U: "https://cert.example.org/a", X5C: [][]byte{{0xff, 0xfe}, {1}}}
	payload := jose.Value{Kind: jose.Object, Members: []jose.Member{{Name: "b", Value: jose.Texts([]string{"x", `"\é`})}, {Name: "a", Value: jose.Number(-7)}}}
	k := stirtest.FixedKey("signer")
	token, err := jose.Sign(h, payload, k)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.Parse(token, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(&k.PublicKey); err != nil {
		t.Error(err)
	}
	if string(parsed.Payload.Canonical()) != `{"a":-7,"b":["x","\"\\é"]}` {
		t.Errorf("payload %s", parsed.Payload.Canonical())
	}
	parsed.Header.Value = jose.Value{}
	if diff := cmp.Diff(fmt.Sprintf("%q", h.X5C)+h.PPT+h.X5U, fmt.Sprintf("%q", parsed.Header.X5C)+parsed.Header.PPT+parsed.Header.X5U); diff != "" {
		t.Error(diff)
	}
	if again, err := jose.Sign(h, payload, k); err != nil || again != token {
		t.Errorf("signed twice, two tokens: %v", err)
	}
	p384, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{1}, 48))
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(&p384.PublicKey); !errors.Is(err, jose.ErrKey) {
		t.Errorf("P-384: %v", err)
	}
	if err := parsed.Verify(nil); !errors.Is(err, jose.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := jose.Sign(h, payload, ed25519.NewKeyFromSeed(make([]byte, 32))); !errors.Is(err, jose.ErrKey) {
		t.Errorf("Ed25519: %v", err)
	}
	for name, der := range map[string]string{"no DER": "x", "zero": "\x30\x06\x02\x01\x00\x02\x01\x01", "trailing": "\x30\x06\x02\x01\x01\x02\x01\x01\x00", "too long": "\x30\x26\x02\x21\x01" + strings.Repeat("\x00", 32) + "\x02\x01\x01"} {
		if _, err := jose.Sign(h, payload, signer{k, []byte(der)}); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := jose.Sign(jose.Header{Type: "x", X5U: "http://a"}, payload, k); !errors.Is(err, jose.ErrHeader) {
		t.Errorf("header that cannot be read: %v", err)
	}
}

// signer answers with what it was given.
type signer struct {
	crypto.Signer
	answer []byte
}

func (s signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.answer, nil }

// TestTwin: of every signature anybody can make a second one. The package says
// so; whoever takes a token's digest for its name must know.
func TestTwin(t *testing.T) {
	k := stirtest.FixedKey("signer")
	token, err := jose.Sign(jose.Header{Type: "passport"}, jose.Value{Kind: jose.Object}, k)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndexByte(token, '.') + 1
	raw, err := base64.RawURLEncoding.DecodeString(token[at:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	twin, err := jose.Parse(token[:at]+base64.RawURLEncoding.EncodeToString(raw), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := twin.Verify(&k.PublicKey); err != nil {
		t.Error(err)
	}
}

func TestJSON(t *testing.T) {
	for name, c := range map[string]struct {
		text, canonical string
		want            error
	}{
		"all kinds":           {` { "b" : [ 1 , -2, true,false,null,{} ,[] ] ,` + "\t\r\n" + `"a":"\"\\\/é" } `, `{"a":"\"\\/é","b":[1,-2,true,false,null,{},[]]}`, nil},
		"empty":               {"", "", jose.ErrJSON},
		"not an object":       {`"a"`, "", jose.ErrJSON},
		"two values":          {`{}{}`, "", jose.ErrJSON},
		"name twice":          {`{"a":1,"b":2,"a":1}`, "", jose.ErrJSON},
		"name twice, escaped": {`{"a/":1,"a\/":1}`, "", jose.ErrJSON},
		"no name":             {`{1:2}`, "", jose.ErrJSON},
		"no colon":            {`{"a" 2}`, "", jose.ErrJSON},
		"no value":            {`{"a":}`, "", jose.ErrJSON},
		"comma at the end":    {`{"a":[1,]}`, "", jose.ErrJSON},
		"comma at the start":  {`{,"a":1}`, "", jose.ErrJSON},
		"open object":         {`{"a":1`, "", jose.ErrJSON},
		"open array":          {`{"a":[1`, "", jose.ErrJSON},
		"open text":           {`{"a`, "", jose.ErrJSON},
		"open escape":         {`{"a\`, "", jose.ErrJSON},
		"fraction":            {`{"a":1.0}`, "", jose.ErrJSON},
		"exponent":            {`{"a":1e3}`, "", jose.ErrJSON},
		"leading zero":        {`{"a":01}`, "", jose.ErrJSON},
		"plus":                {`{"a":+1}`, "", jose.ErrJSON},
		"minus zero":          {`{"a":-0}`, "", jose.ErrJSON},
		"over 64 bits":        {`{"a":9223372036854775808}`, "", jose.ErrJSON},
		"True":                {`{"a":True}`, "", jose.ErrJSON},
		"truer":               {`{"a":truer}`, "", jose.ErrJSON},
		"unicode escape":      {`{"a":"\u0041"}`, "", jose.ErrJSON},
		"line end in text":    {"{\"a\":\"\n\"}", "", jose.ErrJSON},
		"NUL":                 {"{\"a\":\"\x00\"}", "", jose.ErrJSON},
		"not UTF-8":           {"{\"a\":\"\xff\"}", "", jose.ErrJSON},
		"byte order mark":     {"\ufeff{}", "", jose.ErrJSON},
		"comment":             {"{}//", "", jose.ErrJSON},
		"too deep":            {strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), "", jose.ErrJSON},
		"too many":            {`{"a":[` + strings.Repeat("1,", 256) + `1]}`, "", jose.ErrJSON},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := jose.ParseJSON([]byte(c.text))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			if err == nil && string(v.Canonical()) != c.canonical {
				t.Errorf("canonical %s", v.Canonical())
			}
		})
	}
	for _, text := range []string{`{"b":1,"a":1}`, `{"a":1} `, `{"a":"\/"}`, `{"Z":1,"a":1,"A":1}`} {
		if _, err := jose.ParseCanonical([]byte(text)); !errors.Is(err, jose.ErrNotCanonical) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRedaction(t *testing.T) {
	token, err := jose.Parse(b64(goodHeader)+"."+b64(`{"tn":"12155551212"}`)+"."+someSignature, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{token, &token, token.Payload} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "1215555") {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(b64(goodHeader)+"."+b64(goodPayload)+"."+someSignature, true)
	f.Add(b64(`{"alg":"ES256","x5c":["AAAA"]}`)+"."+b64(goodPayload)+"."+someSignature, false)
	f.Fuzz(func(t *testing.T, s string, canonical bool) {
		token, err := jose.Parse(s, canonical)
		if err != nil || !canonical {
			return
		}
		if input := jose.Input(token.Header, token.Payload); input != s[:strings.LastIndexByte(s, '.')] {
			t.Errorf("%q is signed as %q", s, input)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{goodHeader, goodPayload, ` { "b" : [ 1 , -2, true,false,null,{} ,[] ] , "a":"\"\\\/é" } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := jose.ParseJSON(text)
		if err != nil {
			return
		}
		again, err := jose.ParseCanonical(v.Canonical())
		if err != nil || string(again.Canonical()) != string(v.Canonical()) {
			t.Errorf("%q becomes %q: %v", text, v.Canonical(), err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := stirtest.FixedKey("signer")
	token, err := jose.Sign(jose.Header{Type: "passport"}, jose.Value{Kind: jose.Object, Members: []jose.Member{{Name: "iat", Value: jose.Number(1)}}}, k)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		t, err := jose.Parse(token, true)
		if err != nil {
			b.Fatal(err)
		}
		if err := t.Verify(&k.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}
