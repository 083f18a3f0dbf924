package fetch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"whither/internal/fetch"
	"whither/internal/world/mailnet"
)

const host = "id.example.org"

// site is an HTTPS server of a small world, with the world's name server.
type site struct {
	world       *mailnet.Network
	port        int
	connections atomic.Int32
	answer      http.HandlerFunc
}

func newSite(t *testing.T) *site {
	t.Helper()
	world, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	certificate, err := world.Certificate(host)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{world: world, answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r) }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	addr, ok := server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("not TCP")
	}
	s.port = addr.Port
	world.Announce(host, s.port)
	return s
}

func (s *site) config() fetch.Config {
	return fetch.Config{
		Roots: s.world.Roots(), Resolver: s.world.DNS.Resolver(), Port: s.port,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: time.Now,
	}
}

func client(t *testing.T, c fetch.Config) *fetch.Client {
	t.Helper()
	f := fetch.New(c)
	t.Cleanup(f.Close)
	return f
}

func TestGetAndPost(t *testing.T) {
	s := newSite(t)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Type", "Application/JSON; charset=utf-8")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, r.FormValue("a"))
	}
	f := client(t, s.config())
	a, err := f.Get(t.Context(), "https://"+host+"/x?a=b", 1)
	if err != nil || string(a.Body) != "b" || a.Fresh != time.Minute || a.Type != "application/json" {
		t.Errorf("got %+v, %v", a, err)
	}
	a, err = f.Post(t.Context(), "https://"+host+"/x", url.Values{"a": {"c d"}}, 10)
	if err != nil || string(a.Body) != "c d" || a.Status != http.StatusBadRequest {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestAnswersThatAreNotTaken(t *testing.T) {
	s := newSite(t)
	f := client(t, s.config())
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"too large": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 101)) }, fetch.ErrTooLarge},
		"a redirect to itself": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+host+"/y", http.StatusFound)
		}, fetch.ErrRedirect},
		"a redirect inwards": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1/", http.StatusTemporaryRedirect)
		}, fetch.ErrRedirect},
		"not found":       {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, fetch.ErrStatus},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) }, fetch.ErrUnreachable},
		"hangs up":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fetch.ErrUnreachable},
	} {
		s.answer = test.answer
		_, err := f.Get(t.Context(), "https://"+host+"/", 100)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		namesNobody(t, err)
	}
}

func TestWhomIsNotAsked(t *testing.T) {
	s := newSite(t)
	s.world.DNS.SetA("inside.example.org", net.IPv4(10, 0, 0, 1))
	other := newSite(t)
	for name, test := range map[string]struct {
		url    string
		change func(c *fetch.Config)
		want   error
	}{
		"plain HTTP":          {"http://" + host, nil, fetch.ErrURL},
		"user":                {"https://me@" + host, nil, fetch.ErrURL},
		"fragment":            {"https://" + host + "/#a", nil, fetch.ErrURL},
		"no host":             {"https:///x", nil, fetch.ErrURL},
		"file":                {"file:///etc/passwd", nil, fetch.ErrURL},
		"endless":             {"https://" + host + "/" + strings.Repeat("x", 3000), nil, fetch.ErrURL},
		"loopback by name":    {"https://" + host, func(c *fetch.Config) { c.Allow = nil }, fetch.ErrAddress},
		"loopback by address": {"https://127.0.0.1", func(c *fetch.Config) { c.Allow = nil }, fetch.ErrAddress},
		"loopback in IPv6":    {"https://[::1]", func(c *fetch.Config) { c.Allow = nil }, fetch.ErrAddress},
		"loopback, mapped":    {"https://[::ffff:127.0.0.1]", func(c *fetch.Config) { c.Allow = nil }, fetch.ErrAddress},
		"private":             {"https://inside.example.org", nil, fetch.ErrAddress},
		"metadata of a cloud": {"http://169.254.169.254/x", func(c *fetch.Config) { c.Plain = true }, fetch.ErrAddress},
		"unknown host":        {"https://nobody.example.org", nil, fetch.ErrUnreachable},
		"another authority":   {"https://" + host, func(c *fetch.Config) { c.Roots = other.world.Roots() }, fetch.ErrUnreachable},
		"another name":        {"https://127.0.0.1", nil, fetch.ErrUnreachable},
		"certificate run out": {"https://" + host, func(c *fetch.Config) {
			c.Now = func() time.Time { return time.Now().AddDate(100, 0, 0) }
		}, fetch.ErrUnreachable},
	} {
		c := s.config()
		if test.change != nil {
			test.change(&c)
		}
		before := s.connections.Load()
		_, err := client(t, c).Get(t.Context(), test.url, 100)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		namesNobody(t, err)
		if errors.Is(err, fetch.ErrAddress) && s.connections.Load() != before {
			t.Errorf("%s: a connection was made", name)
		}
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	s := newSite(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.answer = func(http.ResponseWriter, *http.Request) { <-release }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client(t, s.config()).Get(ctx, "https://"+host, 100); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, fetch.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// namesNobody fails if an error quotes where it comes from.
func namesNobody(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "example") || strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "https://")) {
		t.Errorf("the error names somebody: %v", err)
	}
}

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2a00:1450::1": true, "1.1.1.1": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.31.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "ff02::1": false, "64:ff9b::a00:1": false,
		"2002:a00:1::": false, "2001:0:a00:1::": false, "2001:db8::1": false, "::ffff:10.0.0.1": false, "2a00:1450::1%eth0": false,
	} {
		if got := fetch.Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if fetch.Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestFresh(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "max-age=60": time.Minute, `public,max-age="60"`: time.Minute, "MAX-AGE=60, must-revalidate": time.Minute,
		"max-age=60, no-store": 0, "no-cache, max-age=60": 0, "max-age=-1": 0, "max-age=x": 0, "max-age=99999999": 24 * time.Hour, "max-age=99999999999999": 0,
	} {
		if got := fetch.Fresh(http.Header{"Cache-Control": {value}}); got != want {
			t.Errorf("%q: %s", value, got)
		}
	}
	if got := fetch.Fresh(http.Header{"Cache-Control": {"max-age=60"}, "Age": {"50"}}); got != 10*time.Second {
		t.Errorf("with an age: %s", got)
	}
	if got := fetch.Fresh(http.Header{"Cache-Control": {"max-age=60"}, "Age": {"70"}}); got != 0 {
		t.Errorf("older than it may be: %s", got)
	}
}
