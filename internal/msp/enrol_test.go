package msp_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/pinned"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

func TestR02AccountsMappingIsSignedOverTLS(t *testing.T) {
	s := newScene(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token := s.account("alice", id)
	s.start(s.config())
	v, err := s.enrol(token, id)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Claims().Entries[0].Provider; got != s.party(worldtest.MSPA) {
		t.Errorf("signed by %s", got)
	}
}

// TestR02EnrolmentRefused: each refusal arrives as its own problem.
func TestR02EnrolmentRefused(t *testing.T) {
	s := newScene(t)
	alice, bob := worldtest.CSI(t, "mailto:alice@example.org"), worldtest.CSI(t, "mailto:bob@example.org")
	ofAlice, ofBob := s.account("alice", alice), s.account("bob", bob)
	s.start(s.config())
	holder := worldtest.Key(t, "holder")
	msp := s.party(worldtest.MSPA)
	offer := func(token string, id csi.ID) (o wire.MSPOffer, err error) {
		return o, s.client().Call(s.ctx(), msp, wire.PathOffers, token, wire.OfferRequest{CSI: csi.Clear{ID: id}, Key: holder.Public().Bytes()}, &o)
	}
	good, err := offer(ofAlice, alice)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(name string, bend func(*mapping.Claims)) mapping.Bundle {
		c := s.Claims(alice, holder.Public(), name, worldtest.MSPA)
		c.Entries[0].Nonce = mapping.Nonce(good.Nonce)
		if bend != nil {
			bend(&c)
		}
		u, err := c.Sign(holder, s.MailReceipts(alice, holder.Public(), s.Now), s.Now)
		if err != nil {
			t.Fatal(err)
		}
		return u.Bundle()
	}
	sign := func(token string, offer []byte, b mapping.Bundle) ([]byte, error) {
		var answer wire.SignatureAnswer
		err := s.client().Call(s.ctx(), msp, wire.PathSignatures, token, wire.SignatureRequest{Offer: offer, Bundle: wire.BundleOf(b)}, &answer)
		return answer.Mapping, err
	}
	one := signed("one", nil)
	first, err := sign(ofAlice, good.Offer, one)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Minute)
	if again, err := sign(ofAlice, good.Offer, one); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the same again: %v", err)
	}
	for _, test := range []struct {
		name string
		err  func() error
		want problem.Kind
	}{
		{"offer, nobody signed in", func() error { _, err := offer("", alice); return err }, problem.Unauthenticated},
		{"offer, unknown token", func() error { _, err := offer("guess", alice); return err }, problem.AccountUnknown},
		{"offer, another's CSI", func() error { _, err := offer(ofBob, alice); return err }, problem.AccountCSI},
		{"signature, nobody signed in", func() error { _, err := sign("", good.Offer, one); return err }, problem.Unauthenticated},
		{"signature, unknown token", func() error { _, err := sign("guess", good.Offer, one); return err }, problem.AccountUnknown},
		{"signature, another's CSI", func() error { _, err := sign(ofBob, good.Offer, one); return err }, problem.AccountCSI},
		{"offer used", func() error { _, err := sign(ofAlice, good.Offer, signed("two", nil)); return err }, problem.OfferUsed},
		{"offer made up", func() error { _, err := sign(ofAlice, make([]byte, 56), one); return err }, problem.OfferUnknown},
		{"entry of another MSP", func() error {
			_, err := sign(ofAlice, good.Offer, signed("three", func(c *mapping.Claims) {
				c.Entries[0].Provider, c.Entries[0].URI = s.party(worldtest.MSPB), "mimi://"+worldtest.MSPB
			}))
			return err
		}, problem.EntryForeign},
		{"another nonce", func() error {
			_, err := sign(ofAlice, good.Offer, signed("four", func(c *mapping.Claims) { c.Entries[0].Nonce[0] ^= 1 }))
			return err
		}, problem.OfferForeign},
		{"malformed mapping", func() error { _, err := sign(ofAlice, good.Offer, mapping.Bundle{Mapping: []byte{1}}); return err }, problem.MappingMalformed},
		{"holder key of small order", func() error {
			var o wire.MSPOffer
			return s.client().Call(s.ctx(), msp, wire.PathOffers, ofAlice, wire.OfferRequest{CSI: csi.Clear{ID: alice}, Key: make([]byte, 32)}, &o)
		}, problem.Malformed},
	} {
		if err := test.err(); problem.KindOf(err) != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if log := s.log.String(); strings.Contains(log, "example.org") || strings.Contains(log, ofAlice) || strings.Contains(log, "127.0.0.1") {
		t.Errorf("log: %s", log)
	}
}

// reply is an answer that was read whole.
type reply struct {
	status    int
	mediaType string
	body      []byte
}

// raw sends a request with a TLS configuration of the test's own.
func (s *scene) raw(url string, config *tls.Config, token, mediaType string, body []byte) (reply, error) {
	s.T.Helper()
	r, err := http.NewRequestWithContext(s.ctx(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header.Get("Content-Type"), b}, err
}

// unpinned is a TLS configuration that asks the server for nothing.
func (s *scene) unpinned(min, max uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: min, MaxVersion: max, Time: s.clock.now}
}

func (s *scene) url(path string) string { return s.Selfs[worldtest.MSPA].Endpoint + path }

// TestBothEncodings: the same request in CBOR and in JSON gets the same
// answer, in its own encoding.
func TestBothEncodings(t *testing.T) {
	s := newScene(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token := s.account("alice", id)
	s.start(s.config())
	request := wire.OfferRequest{CSI: csi.Clear{ID: id}, Key: worldtest.Key(t, "holder").Public().Bytes()}
	for _, mediaType := range []string{wire.TypeCBOR, wire.TypeJSON} {
		body, err := wire.Encode(mediaType, request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.raw(s.url(wire.PathOffers), s.unpinned(tls.VersionTLS13, 0), token, mediaType, body)
		if err != nil {
			t.Fatal(err)
		}
		var o wire.MSPOffer
		if err := wire.Decode(mediaType, got.body, wire.MaxBody, &o); err != nil {
			t.Fatalf("%s: %v: %s", mediaType, err, got.body)
		}
		if got.mediaType != mediaType || o.URI != "mimi://"+worldtest.MSPA || len(o.Nonce) != mapping.NonceSize {
			t.Errorf("%s: %s, %+v", mediaType, got.mediaType, o)
		}
	}
	for name, test := range map[string]struct {
		mediaType, body string
		want            problem.Kind
	}{
		"unknown member":   {wire.TypeJSON, `{"csi":"mailto:alice@example.org","key":"AA","account":"alice"}`, problem.Malformed},
		"duplicate member": {wire.TypeJSON, `{"csi":"mailto:alice@example.org","csi":"mailto:alice@example.org","key":"AA"}`, problem.Malformed},
		"not canonical":    {wire.TypeJSON, `{"csi":"mailto:Alice@example.org","key":"AA"}`, problem.BadCSI},
		"form":             {"application/x-www-form-urlencoded", "csi=x", problem.UnsupportedMedia},
		"too large":        {wire.TypeJSON, strings.Repeat(" ", wire.MaxBody+1), problem.TooLarge},
	} {
		got, err := s.raw(s.url(wire.PathOffers), s.unpinned(tls.VersionTLS13, 0), token, test.mediaType, []byte(test.body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d, err := problem.Read(bytes.NewReader(got.body))
		if err != nil || d.Kind() != test.want || got.status != test.want.Row().Status {
			t.Errorf("%s: status %d, %s", name, got.status, got.body)
		}
		if strings.Contains(strings.ToLower(string(got.body)), "alice") {
			t.Errorf("%s: the answer repeats the request: %s", name, got.body)
		}
	}
}

// TestR23OnlyPinnedTLS13: plaintext, TLS 1.2 and a key that the registry does
// not list fail, on both sides.
func TestR23OnlyPinnedTLS13(t *testing.T) {
	s := newScene(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token := s.account("alice", id)
	s.start(s.config())
	body, err := wire.Encode(wire.TypeCBOR, wire.OfferRequest{CSI: csi.Clear{ID: id}, Key: worldtest.Key(t, "holder").Public().Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(s.Selfs[worldtest.MSPA].Endpoint, "https://")
	got, err := s.raw("http://"+host+wire.PathOffers, nil, token, wire.TypeCBOR, body)
	if err == nil && got.status < 400 {
		t.Errorf("plaintext: status %d, %x", got.status, got.body)
	}
	if bytes.Contains(got.body, []byte(worldtest.MSPA)) {
		t.Errorf("plaintext is answered: %s", got.body)
	}
	if _, err := s.raw(s.url(wire.PathOffers), s.unpinned(tls.VersionTLS12, tls.VersionTLS12), token, wire.TypeCBOR, body); err == nil {
		t.Error("TLS 1.2 is spoken")
	}
	if _, err := s.raw(s.url(wire.PathOffers), &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: x509.NewCertPool(), Time: s.clock.now, ServerName: worldtest.MSPA}, token, wire.TypeCBOR, body); err == nil {
		t.Error("a certificate authority was found for the server")
	}
}

// TestR23WrongPin: a client whose registry lists another key for the MSP sends
// it nothing.
func TestR23WrongPin(t *testing.T) {
	s := newScene(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token := s.account("alice", id)
	s.start(s.config())
	good := s.source.Snapshot()
	s.Selfs[worldtest.MSPA].Pins = [][]byte{bytes.Repeat([]byte{7}, 32)}
	s.Record.Version = 2
	bent := s.Snapshot()
	r := wire.OfferRequest{CSI: csi.Clear{ID: id}, Key: worldtest.Key(t, "holder").Public().Bytes()}
	for _, test := range []struct {
		name     string
		snapshot *registry.Snapshot
		want     error
	}{
		{"the MSP's pin", good, nil},
		{"another pin", bent, pinned.ErrPin},
	} {
		c := pinned.NewClient(func() *registry.Snapshot { return test.snapshot }, nil, s.clock.now)
		var o wire.MSPOffer
		if err := c.Call(s.ctx(), s.party(worldtest.MSPA), wire.PathOffers, token, r, &o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		c.Close()
	}
}

// TestGracefulStop: a request under way is answered, a new one is not taken.
func TestGracefulStop(t *testing.T) {
	s := newScene(t)
	token := s.account("alice")
	dp := s.startDP()
	entered, leave := make(chan struct{}), make(chan struct{})
	answer := dp.answer
	dp.answer = func(r wire.LookupRequest) wire.LookupAnswer {
		close(entered)
		<-leave
		return answer(r)
	}
	stop := s.start(s.config())
	r := wire.LookupRequest{CSIs: []csi.Clear{{ID: worldtest.CSI(t, "mailto:bob@example.org")}}, Federation: wire.FederationNone, Format: wire.FormatVerbose}
	result := make(chan error, 1)
	go func() {
		_, err := s.lookup(token, r)
		result <- err
	}()
	<-entered
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	host := strings.TrimPrefix(s.Selfs[worldtest.MSPA].Endpoint, "https://")
	for deadline := time.Now().Add(5 * time.Second); ; {
		c, err := net.DialTimeout("tcp", host, time.Second)
		if err != nil {
			break
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			t.Fatal("still listening")
		}
	}
	close(leave)
	if err := <-result; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	<-stopped
}
