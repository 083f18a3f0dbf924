package pinned_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"whither/internal/pinned"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// server is a DP's server on a real socket, with the federation that lists it.
type server struct {
	*worldtest.Federation
	snapshot *registry.Snapshot
	url      string
	caller   registry.Party
	isParty  bool
	reply    func(w http.ResponseWriter)
}

func newServer(t *testing.T, own *pinned.Identity) *server {
	t.Helper()
	s := &server{Federation: worldtest.New(t)}
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.caller, s.isParty = pinned.CallerOf(r.TLS, s.snapshot, s.Now)
		w.Header().Set(wire.HeaderRegistry, fmt.Sprintf("%d; %x", s.snapshot.Version(), s.snapshot.Digest()))
		s.reply(w)
	}))
	h.TLS = pinned.ServerConfig(own, func() time.Time { return s.Now })
	h.StartTLS()
	t.Cleanup(h.Close)
	s.url = h.URL
	s.reply = func(w http.ResponseWriter) {
		b, err := wire.Encode(wire.TypeCBOR, wire.RenewalRequest{ID: wire.Bytes("hello")})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(b)
	}
	s.list(worldtest.DP, own)
	return s
}

// list has the registry pin an identity for a party, at the server's address.
func (s *server) list(name string, i *pinned.Identity) {
	pin := i.Pin()
	s.Selfs[name].Pins, s.Selfs[name].Endpoint = [][]byte{pin[:]}, s.url
	s.Record.Version++
	s.snapshot = s.Snapshot()
}

func (s *server) call(own *pinned.Identity) (wire.RenewalRequest, error) {
	c := pinned.NewClient(func() *registry.Snapshot { return s.snapshot }, own, func() time.Time { return s.Now })
	defer c.Close()
	var out wire.RenewalRequest
	err := c.Call(s.T.Context(), worldtest.Party(s.T, worldtest.DP), wire.PathRenewals, "", wire.RenewalRequest{}, &out)
	return out, err
}

func generate(t *testing.T, name string, now time.Time) *pinned.Identity {
	t.Helper()
	i, err := pinned.Generate(worldtest.Party(t, name), now)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestR23PeersArePinned(t *testing.T) {
	dp, msp := generate(t, worldtest.DP, now), generate(t, worldtest.MSPA, now)
	s := newServer(t, dp)
	if out, err := s.call(nil); err != nil || string(out.ID) != "hello" || s.isParty {
		t.Fatalf("a person: %v, party %v", err, s.isParty)
	}
	if _, err := s.call(msp); err != nil || s.isParty {
		t.Errorf("a key that nobody pins: %v, party %v", err, s.isParty)
	}
	s.list(worldtest.MSPA, msp)
	if _, err := s.call(msp); err != nil || !s.isParty || s.caller.ID.String() != worldtest.MSPA {
		t.Errorf("an MSP: %v, %v", err, s.caller.ID)
	}
	s.list(worldtest.DP, generate(t, worldtest.DP, now))
	if _, err := s.call(nil); !errors.Is(err, pinned.ErrPin) {
		t.Errorf("another key than the registry's: %v", err)
	}
	s.list(worldtest.DP, dp)
	s.Now = now.AddDate(11, 0, 0)
	if _, err := s.call(nil); !errors.Is(err, pinned.ErrTime) {
		t.Errorf("a certificate that has run out: %v", err)
	}
}

func TestR23CertificateNamesTheParty(t *testing.T) {
	other := generate(t, worldtest.MSPB, now)
	s := newServer(t, other)
	if _, err := s.call(nil); !errors.Is(err, pinned.ErrName) {
		t.Errorf("a pinned key under another name: %v", err)
	}
}

func TestAnswersOfNoServerOfTheFederation(t *testing.T) {
	s := newServer(t, generate(t, worldtest.DP, now))
	for name, test := range map[string]struct {
		reply func(w http.ResponseWriter)
		want  error
	}{
		"another registry of this version": {func(w http.ResponseWriter) {
			w.Header().Set(wire.HeaderRegistry, fmt.Sprintf("%d; %064x", s.snapshot.Version(), 1))
		}, pinned.ErrSplitView},
		"no stamp":           {func(w http.ResponseWriter) { w.Header().Del(wire.HeaderRegistry) }, pinned.ErrStamp},
		"no problem":         {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, pinned.ErrUnreachable},
		"a redirect":         {func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(http.StatusFound) }, pinned.ErrUnreachable},
		"another message":    {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") }, wire.ErrMalformed},
		"an endless message": {func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, wire.MaxAnswer+1)) }, wire.ErrTooLarge},
		"a refusal": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"type":"urn:whither:problem:offer-used","title":"x","status":409}`)
		}, problem.Error(problem.OfferUsed)},
	} {
		s.reply = test.reply
		if _, err := s.call(nil); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	c := pinned.NewClient(func() *registry.Snapshot { return s.snapshot }, nil, time.Now)
	if _, err := c.Get(t.Context(), worldtest.Party(t, "nobody.example"), wire.PathRegistry); !errors.Is(err, pinned.ErrUnknown) {
		t.Errorf("a party that nobody knows: %v", err)
	}
}

func TestIdentityFiles(t *testing.T) {
	i := generate(t, worldtest.DP, now)
	b, err := i.PEM()
	if err != nil {
		t.Fatal(err)
	}
	back, err := pinned.ParsePEM(b)
	if err != nil || back.Pin() != i.Pin() {
		t.Errorf("round trip: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", i, i, i, i); strings.Contains(text, "PRIVATE") || strings.Contains(text, "ecdsa") {
		t.Errorf("an identity prints its key: %s", text)
	}
	for name, bad := range map[string][]byte{"empty": nil, "cut": b[:len(b)/2], "other curve": otherCurve(t)} {
		if _, err := pinned.ParsePEM(bad); !errors.Is(err, pinned.ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// otherCurve is an identity with a key that is not on P-256.
func otherCurve(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: now}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	p8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, block := range []pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: p8}} {
		if err := pem.Encode(&out, &block); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tls.X509KeyPair(out.Bytes(), out.Bytes()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
