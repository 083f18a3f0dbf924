package revocation_test

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/fetch"
	"whither/internal/revocation"
	"whither/internal/world/mailca"
	"whither/possession/smime"
)

// scene is an authority that publishes its list, and who reads it.
type scene struct {
	t         *testing.T
	now       time.Time
	authority *mailca.Authority
	published []byte
	asked     int
	down      bool
	url       string
	fetch     *fetch.Client
	lists     *revocation.Lists
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, now: time.Now()}
	clock := func() time.Time { return s.now }
	var err error
	if s.authority, err = mailca.New("mail authority", clock); err != nil {
		t.Fatal(err)
	}
	s.publish()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked++
		if s.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(s.published)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/list.crl"
	s.fetch = fetch.New(fetch.Config{Plain: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: clock})
	t.Cleanup(s.fetch.Close)
	s.lists = s.open(s.url)
	return s
}

func (s *scene) open(places ...string) *revocation.Lists {
	s.t.Helper()
	l, err := revocation.New(revocation.Config{
		Places: places, Authorities: []*x509.Certificate{s.authority.Certificate}, Fetch: s.fetch, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// publish publishes the authority's list of now.
func (s *scene) publish() {
	s.t.Helper()
	var err error
	if s.published, err = s.authority.List(); err != nil {
		s.t.Fatal(err)
	}
}

// certify is a certificate for somebody.
func (s *scene) certify() *mailca.Person {
	s.t.Helper()
	p, err := s.authority.Certify("bob@example.org")
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// status is what the lists at hand say of a certificate.
func (s *scene) status(l *revocation.Lists, p *mailca.Person) error {
	s.t.Helper()
	at, err := l.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	known, err := smime.CRLs(s.now, at...)
	if err != nil {
		s.t.Fatal(err)
	}
	return known(p.Certificate, s.authority.Certificate)
}

func (s *scene) step(l *revocation.Lists) error { return l.Step(s.t.Context(), s.now) }

func TestListIsFetchedAgain(t *testing.T) {
	s := newScene(t)
	bob, carol := s.certify(), s.certify()
	if err := s.status(s.lists, bob); !errors.Is(err, smime.ErrStatus) {
		t.Errorf("before the first look: %v", err)
	}
	for range 3 {
		if err := s.step(s.lists); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.status(s.lists, bob); err != nil || s.asked != 1 {
		t.Errorf("in good order: %v, asked %d times", err, s.asked)
	}
	s.authority.Revoke(bob)
	s.now = s.now.Add(time.Hour)
	s.publish()
	if err := s.step(s.lists); err != nil {
		t.Fatal(err)
	}
	if err := s.status(s.lists, bob); !errors.Is(err, smime.ErrRevoked) || s.asked != 2 {
		t.Errorf("revoked: %v, asked %d times", err, s.asked)
	}
	if err := s.status(s.lists, carol); err != nil {
		t.Errorf("another: %v", err)
	}
	s.now = s.now.Add(-2 * time.Hour)
	if err := s.step(s.lists); err != nil || s.asked != 3 {
		t.Errorf("a clock put back: %v, asked %d times", err, s.asked)
	}
}

// TestOldListIsNoWayBack: who stands between and plays an old list back, or one
// of his own, revives nobody.
func TestOldListIsNoWayBack(t *testing.T) {
	s := newScene(t)
	bob := s.certify()
	old := s.published
	s.now = s.now.Add(time.Minute)
	s.authority.Revoke(bob)
	s.publish()
	if err := s.step(s.lists); err != nil {
		t.Fatal(err)
	}
	forger, err := mailca.New("mail authority", func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	forged, err := forger.List()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, played := range [][]byte{old, forged, []byte("no list"), nil} {
			s.now, s.published = s.now.Add(time.Hour), played
			err := s.step(s.lists)
			if string(played) != string(old) && !errors.Is(err, revocation.ErrList) {
				t.Errorf("taken over: %v", err)
			}
			if err := s.status(s.lists, bob); !errors.Is(err, smime.ErrRevoked) {
				t.Errorf("after that: %v", err)
			}
		}
	}
}

func TestTroubleAndEnd(t *testing.T) {
	s := newScene(t)
	bob := s.certify()
	if err := s.step(s.lists); err != nil {
		t.Fatal(err)
	}
	s.down = true
	s.now = s.now.Add(time.Hour)
	err := s.step(s.lists)
	if !errors.Is(err, fetch.ErrStatus) || !strings.Contains(err.Error(), "list 1") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("out of order: %v", err)
	}
	asked := s.asked
	if err := s.step(s.lists); err != nil || s.asked != asked {
		t.Errorf("at once again: %v", err)
	}
	if err := s.status(s.lists, bob); err != nil {
		t.Errorf("what was known: %v", err)
	}
	s.now = s.now.Add(mailca.Life)
	_ = s.step(s.lists)
	if at, _ := s.lists.Current(); len(at) != 0 {
		t.Errorf("%d lists that have run out", len(at))
	}
	if err := s.status(s.lists, bob); !errors.Is(err, smime.ErrStatus) {
		t.Errorf("run out: %v", err)
	}
}

func TestFiles(t *testing.T) {
	s := newScene(t)
	path := filepath.Join(t.TempDir(), "list.crl")
	l := s.open(path)
	if err := s.step(l); !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	bob := s.certify()
	for i := range 2 {
		if i == 1 {
			s.authority.Revoke(bob)
		}
		s.now = s.now.Add(2 * time.Minute)
		s.publish()
		if err := os.WriteFile(path, s.published, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, s.now, s.now); err != nil {
			t.Fatal(err)
		}
		if err := s.step(l); err != nil {
			t.Fatal(err)
		}
		if got := s.status(l, bob); errors.Is(got, smime.ErrRevoked) != (i == 1) {
			t.Errorf("look %d: %v", i, got)
		}
	}
	for _, places := range [][]string{nil, make([]string, 17)} {
		if _, err := revocation.New(revocation.Config{Places: places}); !errors.Is(err, revocation.ErrPlaces) {
			t.Errorf("%d places: %v", len(places), err)
		}
	}
}
