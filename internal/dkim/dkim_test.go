package dkim_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"

	"whither/internal/dkim"
	"whither/key"
)

const domain, selector = "example.org", "s1"

var now = time.Unix(1_800_000_000, 0).UTC()

// keys are made once: an RSA key costs a tenth of a second.
var keys = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	ed25519 key.Private
	signer  crypto.Signer // the same Ed25519 key for the library
},
) {
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if k.ed25519, err = key.Generate(rand.Reader); err != nil {
		panic(err)
	}
	pem, err := k.ed25519.PEM()
	if err != nil {
		panic(err)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Split(string(pem), "\n")[1])
	if err != nil {
		panic(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		panic(err)
	}
	k.signer = parsed.(crypto.Signer)
	return k
})

func both(t testing.TB) map[string]dkim.PrivateKey {
	t.Helper()
	wrapped, err := dkim.RSA(keys().rsa)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]dkim.PrivateKey{"rsa": wrapped, "ed25519": dkim.Ed25519(keys().ed25519)}
}

func record(t testing.TB, k dkim.PrivateKey) string {
	t.Helper()
	txt, err := k.Record()
	if err != nil {
		t.Fatal(err)
	}
	return txt
}

// check parses and verifies the first signature of raw.
func check(raw []byte, txt ...string) error {
	m, err := dkim.ParseMessage(raw)
	if err != nil {
		return err
	}
	s, err := dkim.ParseSignature(m.Fields[0])
	if err != nil {
		return err
	}
	k, err := dkim.ParseKey(txt)
	if err != nil {
		return err
	}
	return s.Verify(m, k)
}

// oracleCheck asks the other implementation.
func oracleCheck(raw []byte, txt string) error {
	found, err := oracle.VerifyWithOptions(bytes.NewReader(raw), &oracle.VerifyOptions{
		LookupTXT: func(string) ([]string, error) { return []string{txt}, nil },
	})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d signatures", len(found))
	}
	return found[0].Err
}

const plain = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: one\r\n two\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n" +
	"Message-ID: <1@example.org>\r\nX-Other: 1\r\n\r\nHello  there \r\n\r\nBye\r\n\r\n\r\n"

func TestSignAndVerify(t *testing.T) {
	for name, k := range both(t) {
		for _, header := range []dkim.Canonical{dkim.Simple, dkim.Relaxed} {
			for _, body := range []dkim.Canonical{dkim.Simple, dkim.Relaxed} {
				t.Run(fmt.Sprintf("%s %s-%s", name, header, body), func(t *testing.T) {
					raw, err := dkim.Sign([]byte(plain), dkim.SignOptions{
						Domain: domain, Selector: selector, Key: k, Time: now, Header: header, Body: body,
					})
					if err != nil {
						t.Fatal(err)
					}
					if err := check(raw, record(t, k)); err != nil {
						t.Errorf("ours: %v", err)
					}
					if err := oracleCheck(raw, record(t, k)); err != nil {
						t.Errorf("other implementation: %v", err)
					}
					for _, line := range strings.Split(string(raw), "\r\n") {
						if len(line) > 78 {
							t.Errorf("line of %d bytes: %q", len(line), line)
						}
					}
				})
			}
		}
	}
}

// TestAgreesWithAnotherImplementation draws messages and lets both sign and
// both verify. Where we accept, the other must.
func TestAgreesWithAnotherImplementation(t *testing.T) {
	k := dkim.Ed25519(keys().ed25519)
	txt := record(t, k)
	word := rapid.StringOfN(rapid.SampledFrom([]rune("ab: \t;=.<>\"é")), 0, 30, -1)
	canonical := rapid.SampledFrom([]dkim.Canonical{dkim.Simple, dkim.Relaxed})
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("From: alice@example.org\r\n")
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			name := rapid.SampledFrom([]string{"To", "to", "Subject", "X-A", "DATE"}).Draw(t, "name")
			value := strings.ReplaceAll(word.Draw(t, "value"), "é", "")
			b.WriteString(name + ":" + value + "\r\n")
			if rapid.Bool().Draw(t, "folded") {
				b.WriteString("\t x" + strings.ReplaceAll(word.Draw(t, "fold"), "é", "") + "\r\n")
			}
		}
		b.WriteString("\r\n")
		for range rapid.IntRange(0, 5).Draw(t, "lines") {
			b.WriteString(word.Draw(t, "line"))
			if rapid.IntRange(0, 9).Draw(t, "end") > 0 {
				b.WriteString("\r\n")
			}
		}
		header, body := canonical.Draw(t, "header"), canonical.Draw(t, "body")

		ours, err := dkim.Sign([]byte(b.String()), dkim.SignOptions{
			Domain: domain, Selector: selector, Key: k, Time: now, Header: header, Body: body,
			Fields: []string{"From", "To", "Subject", "Date"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := oracleCheck(ours, txt); err != nil {
			t.Fatalf("they refuse our signature: %v\n%q", err, ours)
		}
		var theirs bytes.Buffer
		if err := oracle.Sign(&theirs, strings.NewReader(b.String()), &oracle.SignOptions{
			Domain: domain, Selector: selector, Signer: keys().signer,
			HeaderCanonicalization: oracle.Canonicalization(header), BodyCanonicalization: oracle.Canonicalization(body),
		}); err != nil {
			t.Fatal(err)
		}
		if err := check(theirs.Bytes(), txt); err != nil {
			t.Fatalf("we refuse their signature: %v\n%q", err, theirs.Bytes())
		}
	})
}

// TestRFC8463 verifies the Ed25519 signature of RFC 8463 appendix A.
func TestRFC8463(t *testing.T) {
	const message = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n" +
		" d=football.example.com; i=@football.example.com;\r\n" +
		" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n" +
		" subject : date : message-id : from : subject : date;\r\n" +
		" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" +
		" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" +
		" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n" +
		"From: Joe SixPack <joe@football.example.com>\r\n" +
		"To: Suzie Q <suzie@shopping.example.net>\r\n" +
		"Subject: Is dinner ready?\r\n" +
		"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n" +
		"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n" +
		"\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
	if err := check([]byte(message), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="); err != nil {
		t.Error(err)
	}
}

func TestParseMessageRefuses(t *testing.T) {
	many := strings.Repeat("A: b\r\n", dkim.MaxFields+1) + "\r\n"
	for name, raw := range map[string]string{
		"empty":                   "",
		"only the empty line":     "\r\n",
		"no end of header":        "From: a\r\n",
		"no CRLF at all":          "From: a",
		"bare LF":                 "From: a\n\r\n\r\n",
		"bare LF in body":         "From: a\r\n\r\nx\ny",
		"bare CR":                 "From: a\rTo: b\r\n\r\n",
		"CR at the end":           "From: a\r\n\r\nx\r",
		"NUL in header":           "From: a\x00\r\n\r\n",
		"NUL in body":             "From: a\r\n\r\n\x00",
		"8-bit header":            "From: \xc3\xa9\r\n\r\n",
		"DEL":                     "From: \x7f\r\n\r\n",
		"continuation first":      " x\r\nFrom: a\r\n\r\n",
		"blank continuation":      "From: a\r\n \t\r\nTo: b\r\n\r\n",
		"space before colon":      "From : a\r\n\r\n",
		"tab before colon":        "From\t: a\r\n\r\n",
		"no name":                 ": a\r\n\r\n",
		"no colon":                "From\r\n\r\n",
		"mbox line":               "From alice Fri Jan 15\r\nFrom: a\r\n\r\n",
		"more fields than bound":  many,
		"header ends with a fold": "From: a\r\n b",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := dkim.ParseMessage([]byte(raw)); !errors.Is(err, dkim.ErrMessage) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestParseSignatureRefuses edits one good field.
func TestParseSignatureRefuses(t *testing.T) {
	const good = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1; t=1; x=2; i=@sub.example.org;\r\n" +
		" q=dns/txt; h=from:to; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA; z=x\r\n"
	parse := func(field string) error {
		m, err := dkim.ParseMessage([]byte(field + "\r\n"))
		if err != nil {
			return err
		}
		_, err = dkim.ParseSignature(m.Fields[0])
		return err
	}
	if err := parse(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from, to string
		want           error
	}{
		{"another field", "DKIM-Signature:", "X-Signature:", dkim.ErrSyntax},
		{"version", "v=1", "v=2", dkim.ErrSyntax},
		{"no version", "v=1; ", "", dkim.ErrSyntax},
		{"SHA-1", "rsa-sha256", "rsa-sha1", dkim.ErrAlgorithm},
		{"unknown algorithm", "rsa-sha256", "dsa-sha256", dkim.ErrAlgorithm},
		{"upper-case algorithm", "rsa-sha256", "RSA-SHA256", dkim.ErrAlgorithm},
		{"body length", "z=x", "l=10", dkim.ErrBodyLength},
		{"two domains", "z=x", "d=example.net", dkim.ErrSyntax},
		{"two headers", "z=x", "h=from", dkim.ErrSyntax},
		{"no domain", "d=example.org; ", "", dkim.ErrSyntax},
		{"empty domain", "d=example.org", "d=", dkim.ErrSyntax},
		{"top-level domain", "d=example.org", "d=org", dkim.ErrSyntax},
		{"domain with final dot", "d=example.org", "d=example.org.", dkim.ErrSyntax},
		{"domain with a blank", "d=example.org", "d=example. org", dkim.ErrSyntax},
		{"selector that is a path", "s=s1", "s=../s1", dkim.ErrSyntax},
		{"selector empty label", "s=s1", "s=s1..a", dkim.ErrSyntax},
		{"agent elsewhere", "i=@sub.example.org", "i=@example.net", dkim.ErrSyntax},
		{"agent with domain as suffix", "i=@sub.example.org", "i=@badexample.org", dkim.ErrSyntax},
		{"agent without at", "i=@sub.example.org", "i=example.org", dkim.ErrSyntax},
		{"From not signed", "h=from:to", "h=to:subject", dkim.ErrUnsigned},
		{"empty name in h", "h=from:to", "h=from::to", dkim.ErrSyntax},
		{"too many names in h", "h=from", "h=from" + strings.Repeat(":a", dkim.MaxSigned), dkim.ErrSyntax},
		{"canonicalization", "c=relaxed/relaxed", "c=nofws", dkim.ErrSyntax},
		{"body canonicalization", "c=relaxed/relaxed", "c=relaxed/", dkim.ErrSyntax},
		{"query method", "q=dns/txt", "q=https", dkim.ErrSyntax},
		{"time", "t=1", "t=-1", dkim.ErrSyntax},
		{"time with sign", "t=1", "t=+1", dkim.ErrSyntax},
		{"time that overflows", "t=1", "t=99999999999999999999", dkim.ErrSyntax},
		{"expires at once", "x=2", "x=1", dkim.ErrSyntax},
		{"body hash short", "bh=2jUS", "bh=", dkim.ErrSyntax},
		{"body hash alphabet", "bh=2jUS", "bh=2j_S", dkim.ErrSyntax},
		{"value spare bits", "b=AAAA", "b=AAAB AB==", dkim.ErrSyntax},
		{"value not padded", "b=AAAA", "b=AAA", dkim.ErrSyntax},
		{"empty tag", "; z=x", ";; z=x", dkim.ErrSyntax},
		{"tag without equals", "z=x", "z", dkim.ErrSyntax},
		{"tag name with a blank", "z=x", "z z=x", dkim.ErrSyntax},
		{"tag name upper case is another tag", "v=1", "V=1", dkim.ErrSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			edited := strings.Replace(good, c.from, c.to, 1)
			if edited == good {
				t.Fatal("the edit changed nothing")
			}
			if err := parse(edited); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseKey(t *testing.T) {
	k := both(t)
	good := record(t, k["rsa"])
	p := strings.TrimPrefix(good, "v=DKIM1; k=rsa; p=")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	smallDER, err := x509.MarshalPKIXPublicKey(&small.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	bare := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&keys().rsa.PublicKey))
	for _, c := range []struct {
		name string
		txt  []string
		want error
	}{
		{"plain", []string{good}, nil},
		{"Ed25519", []string{record(t, k["ed25519"])}, nil},
		{"no version, no type", []string{"p=" + p}, nil},
		{"last semicolon", []string{"p=" + p + "; "}, nil},
		{"white space in p", []string{"v=DKIM1; p=" + p[:50] + " \t" + p[50:]}, nil},
		{"bare RSAPublicKey", []string{"p=" + bare}, nil},
		{"services", []string{"v=DKIM1; s=other : email; p=" + p}, nil},
		{"any service", []string{"v=DKIM1; s=*; p=" + p}, nil},
		{"hashes", []string{"v=DKIM1; h=sha1:sha256; p=" + p}, nil},
		{"strict", []string{"v=DKIM1; t=s; n=note; p=" + p}, nil},
		{"no record", nil, dkim.ErrKeyRecord},
		{"two records", []string{good, good}, dkim.ErrKeyRecord},
		{"too large", []string{good + "; n=" + strings.Repeat("x", dkim.MaxRecord)}, dkim.ErrKeyRecord},
		{"empty", []string{""}, dkim.ErrKeyRecord},
		{"another record", []string{"v=spf1 -all"}, dkim.ErrKeyRecord},
		{"version not first", []string{"k=rsa; v=DKIM1; p=" + p}, dkim.ErrKeyRecord},
		{"version 2", []string{"v=DKIM2; p=" + p}, dkim.ErrKeyRecord},
		{"revoked", []string{"v=DKIM1; p="}, dkim.ErrKeyRecord},
		{"no p", []string{"v=DKIM1; k=rsa"}, dkim.ErrKeyRecord},
		{"two p", []string{good + "; p=" + p}, dkim.ErrKeyRecord},
		{"testing", []string{"v=DKIM1; t=y; p=" + p}, dkim.ErrKeyRecord},
		{"testing and strict", []string{"v=DKIM1; t=s:y; p=" + p}, dkim.ErrKeyRecord},
		{"other service", []string{"v=DKIM1; s=tlsrpt; p=" + p}, dkim.ErrKeyRecord},
		{"other hash", []string{"v=DKIM1; h=sha1; p=" + p}, dkim.ErrKeyRecord},
		{"unknown type", []string{"v=DKIM1; k=ml-dsa; p=" + p}, dkim.ErrKeyRecord},
		{"RSA named Ed25519", []string{"v=DKIM1; k=ed25519; p=" + p}, dkim.ErrKeyRecord},
		{"Ed25519 named RSA", []string{strings.Replace(record(t, k["ed25519"]), "k=ed25519", "k=rsa", 1)}, dkim.ErrKeyRecord},
		{"Ed25519 of small order", []string{"k=ed25519; p=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, dkim.ErrKeyRecord},
		{"not base64", []string{"p=!!!!"}, dkim.ErrKeyRecord},
		{"base64url", []string{"p=" + strings.NewReplacer("+", "-", "/", "_").Replace(p+"+/==")}, dkim.ErrKeyRecord},
		{"8-bit", []string{"n=é; p=" + p}, dkim.ErrKeyRecord},
		{"RSA-1024", []string{"p=" + base64.StdEncoding.EncodeToString(smallDER)}, dkim.ErrWeakKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := dkim.ParseKey(c.txt)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want == nil {
				return
			}
			if strings.Contains(err.Error(), "example") || strings.Contains(err.Error(), p[:20]) {
				t.Errorf("the error quotes the record: %v", err)
			}
		})
	}
	if _, err := dkim.RSA(small); !errors.Is(err, dkim.ErrWeakKey) {
		t.Errorf("signing with RSA-1024: %v", err)
	}
}

// TestKeyDigest: the digest depends on type and key alone.
func TestKeyDigest(t *testing.T) {
	good := record(t, both(t)["rsa"])
	p := strings.TrimPrefix(good, "v=DKIM1; k=rsa; p=")
	digest := func(txt string) [32]byte {
		k, err := dkim.ParseKey([]string{txt})
		if err != nil {
			t.Fatal(err)
		}
		return k.Digest()
	}
	want := digest(good)
	for _, same := range []string{"p=" + p, "p= " + p[:9] + "  " + p[9:] + " ;", "v=DKIM1;t=s;n=x;p=" + p} {
		if digest(same) != want {
			t.Errorf("another digest for %q", same)
		}
	}
	if digest(record(t, both(t)["ed25519"])) == want {
		t.Error("two keys have one digest")
	}
}

func TestVerifyRefuses(t *testing.T) {
	k := both(t)
	sign := func(name string) string {
		raw, err := dkim.Sign([]byte(plain), dkim.SignOptions{Domain: domain, Selector: selector, Key: k[name], Time: now})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, name := range []string{"rsa", "ed25519"} {
		good, txt := sign(name), record(t, k[name])
		other := map[string]string{"rsa": "ed25519", "ed25519": "rsa"}[name]
		for _, c := range []struct {
			name, raw, txt string
			want           error
		}{
			{"body", strings.Replace(good, "Bye", "bye", 1), txt, dkim.ErrBodyHash},
			{"body added", good + "more\r\n", txt, dkim.ErrBodyHash},
			{"signed field", strings.Replace(good, "Subject: one", "Subject: two", 1), txt, dkim.ErrSignature},
			{"second From below", strings.Replace(good, "X-Other: 1", "From: m@example.org", 1), txt, dkim.ErrSignature},
			{"second From above", strings.Replace(good, "From:", "From: m@example.org\r\nFrom:", 1), txt, dkim.ErrSignature},
			{"added Sender", strings.Replace(good, "X-Other: 1", "Sender: m@example.org", 1), txt, dkim.ErrSignature},
			{"time", strings.Replace(good, "t=1800000000", "t=1800000001", 1), txt, dkim.ErrSignature},
			{"key of another type", good, record(t, k[other]), dkim.ErrKeyRecord},
		} {
			t.Run(name+" "+c.name, func(t *testing.T) {
				if c.raw == good && c.txt == txt {
					t.Fatal("the edit changed nothing")
				}
				if err := check([]byte(c.raw), c.txt); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		}
		// What is not signed, and what relaxed forms ignore, may change.
		for _, same := range []string{
			strings.Replace(good, "X-Other: 1", "X-Other: 2", 1),
			strings.Replace(good, "Hello  there ", "Hello there", 1),
			strings.Replace(good, "Subject: one\r\n two", "SUBJECT:  one two ", 1),
			good + "\r\n\r\n",
		} {
			if err := check([]byte(same), txt); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestStrictRecord: t=s forbids a subdomain in i=.
func TestStrictRecord(t *testing.T) {
	k := dkim.Ed25519(keys().ed25519)
	var raw bytes.Buffer
	if err := oracle.Sign(&raw, strings.NewReader(plain), &oracle.SignOptions{
		Domain: domain, Selector: selector, Identifier: "a@sub.example.org", Signer: keys().signer,
	}); err != nil {
		t.Fatal(err)
	}
	txt := record(t, k)
	if err := check(raw.Bytes(), txt); err != nil {
		t.Error(err)
	}
	if err := check(raw.Bytes(), strings.Replace(txt, "k=", "t=s; k=", 1)); !errors.Is(err, dkim.ErrKeyRecord) {
		t.Errorf("got %v", err)
	}
}

func TestPrivateKeyRedacts(t *testing.T) {
	for name, k := range both(t) {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(format, k); got != "dkim.PrivateKey(redacted)" {
				t.Errorf("%s %s: %s", name, format, got)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	k := dkim.Ed25519(keys().ed25519)
	txt := record(f, k)
	raw, err := dkim.Sign([]byte(plain), dkim.SignOptions{Domain: domain, Selector: selector, Key: k, Time: now})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, txt)
	f.Add([]byte(plain), "v=DKIM1; p=")
	f.Fuzz(func(t *testing.T, raw []byte, txt string) {
		if check(raw, txt) != nil {
			return
		}
		m, err := dkim.ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		s, err := dkim.ParseSignature(m.Fields[0])
		if err != nil {
			t.Fatal(err)
		}
		if !s.Expires.IsZero() || len(m.All(dkim.SignatureField)) != 1 {
			return // the other implementation judges x= by the clock of the machine
		}
		if err := oracleCheck(raw, txt); err != nil {
			t.Errorf("we accept what the other implementation refuses: %v", err)
		}
	})
}
