package phonenet_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"whither/internal/sipin"
	"whither/internal/world/mailnet"
	"whither/internal/world/phonenet"
	"whither/possession/stir/chain"
	"whither/possession/stir/passport"
)

// listener takes what comes by SIP and keeps it.
type listener struct{ got chan sipin.Request }

func (l listener) Message(_ context.Context, r sipin.Request) error {
	l.got <- r
	return nil
}

func (l listener) Call(_ context.Context, r sipin.Request) (sipin.Prompt, error) {
	l.got <- r
	return sipin.Prompt{Digits: 2, Enter: func(_ context.Context, code string) error {
		if code != "42" {
			return &sipin.Refusal{Code: 403, Reason: "Wrong code", Advice: "look again"}
		}
		return nil
	}}, nil
}

// telephone is a network with one carrier, and somebody who is reached by SIP.
func telephone(t *testing.T) (*phonenet.Network, *phonenet.Carriers, *phonenet.Carrier, listener) {
	t.Helper()
	world, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	n := phonenet.New(nil)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	n.Connect(number)
	n.Connect("+15551234567")
	carriers, err := n.StartCarriers(t.Context(), phonenet.CarriersConfig{Repository: "localhost", Certificate: world.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	carrier, err := carriers.Add("carrier.example", "4101", "+4179")
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	udp, err := lc.ListenPacket(t.Context(), "udp", at)
	if err != nil {
		t.Fatal(err)
	}
	owner := listener{make(chan sipin.Request, 8)}
	server, err := sipin.New(sipin.Config{Host: "other.example", Contact: at, Media: "127.0.0.1"}, owner)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, sipin.Listeners{TCP: l, UDP: udp}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	carriers.Route("other.example", at)
	// The repository is where the carrier says, under a certificate of the world.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: world.Roots(), MinVersion: tls.VersionTLS12}}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for url, status := range map[string]int{carrier.CertificatesURL(): 200, carrier.CertificatesURL() + "x": 404} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
		}
		if status != 200 {
			continue
		}
		certificates, err := chain.ParsePEM(b)
		if err != nil || len(certificates) != 2 || string(certificates[1]) != string(carriers.Root()) {
			t.Errorf("%d certificates, %v", len(certificates), err)
		}
	}
	return n, carriers, carrier, owner
}

// TestCarrier: what a phone sends comes with a PASSporT of its number, and what
// no carrier would do is refused.
func TestCarrier(t *testing.T) {
	n, carriers, carrier, other := telephone(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const to = "sip:box@other.example"
	if err := n.Send(ctx, number, to, "hello"); err != nil {
		t.Fatal(err)
	}
	r := <-other.got
	p, err := passport.Pick(r.Identity, passport.Message)
	if err != nil || p.Claims.Orig.TN != number[1:] || p.Claims.Dest.URI[0] != to || p.Claims.CheckMessage(r.Body) != nil || r.User != "box" {
		t.Errorf("%v, %v", r.Identity, err)
	}
	if err := n.Call(ctx, number, to, "42"); err != nil {
		t.Error(err)
	}
	if p, err := passport.Pick((<-other.got).Identity, passport.Shaken); err != nil || p.Claims.Attest != "A" {
		t.Errorf("%+v, %v", p.Claims.Attest, err)
	}
	var refused *phonenet.Refused
	if err := n.Call(ctx, number, to, "43"); !errors.As(err, &refused) || !strings.Contains(err.Error(), "Wrong code; look again") {
		t.Errorf("a wrong code: %v", err)
	}
	if err := n.Call(ctx, number, to, ""); err != nil {
		t.Errorf("a call without keys: %v", err)
	}
	for name, test := range map[string]struct {
		err, want error
	}{
		"nobody's number":    {n.Send(ctx, "+41790000000", to, "x"), phonenet.ErrNoPhone},
		"nobody's customer":  {n.Send(ctx, "+15551234567", to, "x"), phonenet.ErrNoCarrier},
		"no SIP address":     {n.Send(ctx, number, "mailto:a@other.example", "x"), phonenet.ErrRoute},
		"no user":            {n.Send(ctx, number, "sip:other.example", "x"), phonenet.ErrRoute},
		"no way there":       {n.Call(ctx, number, "sip:a@elsewhere.example", "1"), phonenet.ErrRoute},
		"no keys of a phone": {n.Call(ctx, number, to, "12a"), phonenet.ErrKeys},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v", name, test.err)
		}
	}
	if of, err := carriers.Of(number); err != nil || of != carrier {
		t.Errorf("the number's carrier: %v", err)
	}
	if _, err := x509.ParseCertificate(carriers.Root()); err != nil {
		t.Error(err)
	}
	n.Disconnect(number)
	if err := n.Send(ctx, number, to, "x"); !errors.Is(err, phonenet.ErrNoPhone) {
		t.Errorf("a number that was given back: %v", err)
	}
}
