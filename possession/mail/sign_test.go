package mail_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const vectorDir = "../../vectors/mail"

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

// txtRecord publishes a key as a provider does.
func txtRecord(t testing.TB, name string) string {
	t.Helper()
	switch public := loadKey(t, name).Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
	t.Fatalf("%s: unknown key", name)
	return ""
}

// signing makes one DKIM signature. It is written apart from internal/dkim, so
// that it can sign what that package would not, and so that a mistake in one of
// them shows.
type signing struct {
	key       string // file name; its record stands at the selector
	domain    string
	selector  string
	algorithm string   // a=, if it should not be the key's
	fields    []string // h=
	canonical string   // c=, "relaxed" or "simple", for header and body
	tags      string   // further tags, " x=1;"
}

var (
	runs      = regexp.MustCompile(`[ \t]+`)
	lineEnds  = regexp.MustCompile(`(?m)[ \t]+(\r\n)`)
	foldMarks = regexp.MustCompile(`\r\n([ \t])`)
)

func (s signing) header(field string) string {
	if s.canonical == "simple" {
		return field
	}
	name, value, _ := strings.Cut(foldMarks.ReplaceAllString(field, "$1"), ":")
	return strings.ToLower(name) + ":" + strings.Trim(runs.ReplaceAllString(value, " "), " ")
}

func (s signing) body(body string) string {
	if s.canonical != "simple" {
		body = runs.ReplaceAllString(lineEnds.ReplaceAllString(body, "$1"), " ")
	}
	body = strings.TrimRight(body, "\r\n")
	if body == "" && s.canonical != "simple" {
		return ""
	}
	return body + "\r\n"
}

// sign returns raw with a signature before it.
func (s signing) sign(t testing.TB, raw string) string {
	t.Helper()
	k := loadKey(t, s.key)
	algorithm := s.algorithm
	if algorithm == "" {
		algorithm = "rsa-sha256"
		if _, ok := k.(ed25519.PrivateKey); ok {
			algorithm = "ed25519-sha256"
		}
	}
	hash := crypto.SHA256
	if strings.HasSuffix(algorithm, "sha1") {
		hash = crypto.SHA1
	}
	sum := func(text string) []byte {
		if hash == crypto.SHA1 {
			digest := sha1.Sum([]byte(text))
			return digest[:]
		}
		digest := sha256.Sum256([]byte(text))
		return digest[:]
	}
	header, body, _ := strings.Cut(raw, "\r\n\r\n")
	fields := strings.Split(foldMarks.ReplaceAllString(header, "\x00$1"), "\r\n")
	var signed strings.Builder
	for _, name := range s.fields {
		for i := len(fields) - 1; i >= 0; i-- {
			if n, _, _ := strings.Cut(fields[i], ":"); strings.EqualFold(n, name) {
				signed.WriteString(s.header(strings.ReplaceAll(fields[i], "\x00", "\r\n")) + "\r\n")
				fields = append(fields[:i:i], fields[i+1:]...)
				break
			}
		}
	}
	field := "DKIM-Signature: v=1; a=" + algorithm + "; c=" + s.canonical + "/" + s.canonical + "; d=" + s.domain +
		"; s=" + s.selector + ";" + s.tags + "\r\n\th=" + strings.Join(s.fields, ":") +
		";\r\n\tbh=" + base64.StdEncoding.EncodeToString(sum(s.body(body))) + ";\r\n\tb="
	digest := sum(signed.String() + s.header(field))
	if _, ok := k.(ed25519.PrivateKey); ok {
		hash = 0 // RFC 8463 signs the hash as if it were the message
	}
	value, err := k.Sign(rand.Reader, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(value) + "\r\n" + raw
}

func loadRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	return loadKey(t, "rsa2048").(*rsa.PrivateKey)
}
