package key_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"whither/internal/canon"
	"whither/key"
)

func generate(t testing.TB) key.Private {
	t.Helper()
	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestThumbprint checks the ID against bytes written out by hand: map(3), kty 1
// = OKP 1, crv -1 = Ed25519 6, x -2 = 32 bytes (the key of RFC 8032 test 1).
func TestThumbprint(t *testing.T) {
	x, err := hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	if err != nil {
		t.Fatal(err)
	}
	p, err := key.PublicFromBytes(x)
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte{0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20}, x...)
	if got := p.COSEKey(); !bytes.Equal(got, want) {
		t.Errorf("COSE_Key %x, want %x", got, want)
	}
	if got := len(p.ID().String()); got != 39 {
		t.Errorf("ID text has %d characters, want 39", got)
	}
	var back key.Public
	if err := canon.Unmarshal(want, 64, &back); err != nil || back != p {
		t.Errorf("decode: %v", err)
	}
}

func TestRFC8032(t *testing.T) {
	seed, _ := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	want, _ := hex.DecodeString("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
	k, err := key.Generate(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	if got := k.Sign(nil); !bytes.Equal(got, want) {
		t.Errorf("signature %x", got)
	}
	if err := k.Public().Verify(nil, want); err != nil {
		t.Error(err)
	}
	if err := k.Public().Verify([]byte{0}, want); !errors.Is(err, key.ErrSignature) {
		t.Errorf("other message: %v", err)
	}
	if err := (key.Public{}).Verify(nil, want); !errors.Is(err, key.ErrSignature) {
		t.Errorf("zero key: %v", err)
	}
}

func TestSmallOrderRefused(t *testing.T) {
	for _, s := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	} {
		b, _ := hex.DecodeString(s)
		if _, err := key.PublicFromBytes(b); !errors.Is(err, key.ErrPublic) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestPrivateNeverPrints(t *testing.T) {
	k := generate(t)
	pem, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	secret := fmt.Sprintf("%x", pem)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "key.Private(redacted)" {
			t.Errorf("%s prints %q", verb, got)
		}
		if got := fmt.Sprintf(verb, struct{ K key.Private }{k}); strings.Contains(secret, got) || !strings.Contains(got, "redacted") {
			t.Errorf("%s of a struct prints %q", verb, got)
		}
	}
	if _, err := json.Marshal(k); err == nil {
		t.Error("JSON encodes a private key")
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "k", k)
	if !strings.Contains(out.String(), "redacted") {
		t.Error(out.String())
	}
}

func TestPEM(t *testing.T) {
	k := generate(t)
	b, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	back, err := key.ParsePEM(b)
	if err != nil || back.Public() != k.Public() {
		t.Fatalf("round trip: %v", err)
	}
	for name, bad := range map[string][]byte{
		"empty":      nil,
		"trailing":   append(bytes.Clone(b), 'x'),
		"other type": bytes.ReplaceAll(b, []byte("PRIVATE"), []byte("SECRET")),
		"cut":        b[:len(b)/2],
	} {
		if _, err := key.ParsePEM(bad); !errors.Is(err, key.ErrPEM) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLabelsPrefixFree(t *testing.T) {
	labels := key.Labels()
	if len(labels) < 12 {
		t.Fatalf("only %d labels", len(labels))
	}
	for i, a := range labels {
		for j, b := range labels {
			if i != j && strings.HasPrefix(string(b), string(a)) {
				t.Errorf("%q is a prefix of %q", a, b)
			}
		}
	}
}

func FuzzPublicCanonical(f *testing.F) {
	k, err := key.Generate(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Public().COSEKey())
	f.Fuzz(func(t *testing.T, b []byte) {
		var p key.Public
		if canon.Unmarshal(b, 64, &p) == nil && !bytes.Equal(p.COSEKey(), b) {
			t.Errorf("%x is not a fixed point", b)
		}
	})
}

func FuzzParsePEM(f *testing.F) {
	k, err := key.Generate(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	b, err := k.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := key.ParsePEM(b); err == nil && k.IsZero() {
			t.Error("parsed to no key")
		}
	})
}
