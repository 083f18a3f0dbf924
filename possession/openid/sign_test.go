package openid_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const vectorDir = "../../vectors/openid"

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

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk publishes a key as a provider does; kid names it there and in the vectors.
func jwk(t testing.TB, name string) string {
	t.Helper()
	members := ""
	switch public := loadKey(t, name).Public().(type) {
	case *rsa.PublicKey:
		members = fmt.Sprintf(`"kty":"RSA","alg":"RS256","n":"%s","e":"%s"`, b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes()))
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		members = fmt.Sprintf(`"kty":"EC","crv":"P-256","x":"%s","y":"%s"`, b64(point[1:33]), b64(point[33:]))
	case ed25519.PublicKey:
		members = fmt.Sprintf(`"kty":"OKP","crv":"Ed25519","x":"%s"`, b64(public))
	}
	return fmt.Sprintf(`{"kid":"%s","use":"sig",%s}`, name, members)
}

func jwks(t testing.TB, names ...string) string {
	t.Helper()
	var keys []string
	for _, name := range names {
		keys = append(keys, jwk(t, name))
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

// member is a member of a JSON object, its value as JSON. It is a list and not
// a map, so that cases can have members twice and in any order.
type member struct{ name, value string }

func object(members []member) []byte {
	var parts []string
	for _, m := range members {
		parts = append(parts, fmt.Sprintf("%q:%s", m.name, m.value))
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// sign makes a compact JWS. It is written apart from internal/jws, so that it
// can sign what that package would not, and so that a mistake in one of them
// shows.
func sign(t testing.TB, header, payload []byte, k crypto.Signer) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	var hash crypto.Hash
	message := []byte(input)
	if _, ok := k.(ed25519.PrivateKey); !ok {
		sum := sha256.Sum256(message)
		message, hash = sum[:], crypto.SHA256
	}
	signature, err := k.Sign(nil, message, hash) // without randomness: the same bytes at each run
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := k.(*ecdsa.PrivateKey); ok {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(signature, &rs); err != nil {
			t.Fatal(err)
		}
		signature = append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	}
	return input + "." + b64(signature)
}
