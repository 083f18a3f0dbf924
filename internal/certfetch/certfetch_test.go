package certfetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"whither/internal/certfetch"
	"whither/internal/fetch"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// server answers as a repository does, from memory.
type server struct {
	mu      sync.Mutex
	body    []byte
	fresh   time.Duration
	err     error
	asked   int
	waiting chan struct{} // if not nil, an answer waits for it
}

func (s *server) Get(_ context.Context, _ string, max int) (fetch.Answer, error) {
	s.mu.Lock()
	s.asked++
	waiting, body, fresh, err := s.waiting, s.body, s.fresh, s.err
	s.mu.Unlock()
	if waiting != nil {
		<-waiting
	}
	if err == nil && len(body) > max {
		err = fetch.ErrTooLarge
	}
	return fetch.Answer{Status: 200, Body: body, Fresh: fresh}, err
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// certificates is a chain whose signer's certificate ends at a time.
func certificates(t testing.TB, until time.Time) []byte {
	t.Helper()
	root, err := stirtest.Root(stirtest.Profile{Name: "root", Key: stirtest.FixedKey("root"), From: now.AddDate(-1, 0, 0), Until: now.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := root.Issue(stirtest.Profile{
		Name: "carrier", Key: stirtest.FixedKey("carrier"), From: now.AddDate(-1, 0, 0), Until: until, List: tnauth.List{{Code: "1234"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return signer.PEM()
}

// TestKept: a place is asked again when what it gave has run out, by its own
// word, by the certificate or after a day; and not before.
func TestKept(t *testing.T) {
	for name, test := range map[string]struct {
		fresh time.Duration
		until time.Time
		kept  time.Duration
	}{
		"by its word":        {10 * time.Minute, now.AddDate(0, 0, 7), 10 * time.Minute},
		"says nothing":       {0, now.AddDate(0, 0, 7), time.Minute},
		"says too much":      {1000 * time.Hour, now.AddDate(0, 0, 7), 24 * time.Hour},
		"by the certificate": {10 * time.Hour, now.Add(time.Hour), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{body: certificates(t, test.until), fresh: test.fresh}
			clock := now
			c := certfetch.New(certfetch.Config{Fetch: s, Now: func() time.Time { return clock }})
			for _, step := range []struct {
				at   time.Duration
				want int
			}{{0, 1}, {test.kept - time.Second, 1}, {test.kept, 2}} {
				clock = now.Add(step.at)
				pem, err := c.Chain(t.Context(), "https://repository.example/a")
				if err != nil || !bytes.Equal(pem, s.body) || s.count() != step.want {
					t.Fatalf("after %s it was asked %d times, %v", step.at, s.count(), err)
				}
			}
		})
	}
}

// TestTrouble: trouble is not asked for again at once, and names no place.
func TestTrouble(t *testing.T) {
	for name, test := range map[string]struct {
		body []byte
		err  error
		want error
	}{
		"unreachable":    {nil, fetch.ErrUnreachable, certfetch.ErrFetch},
		"no PEM":         {[]byte("<html>"), nil, certfetch.ErrContent},
		"no certificate": {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil, certfetch.ErrContent},
		"too large":      {make([]byte, 1<<20), nil, certfetch.ErrFetch},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{body: test.body, err: test.err}
			clock := now
			c := certfetch.New(certfetch.Config{Fetch: s, Now: func() time.Time { return clock }})
			for range 3 {
				if _, err := c.Chain(t.Context(), "https://repository.example/a"); !errors.Is(err, test.want) || bytes.Contains([]byte(err.Error()), []byte("repository")) {
					t.Fatal(err)
				}
			}
			if s.count() != 1 {
				t.Errorf("asked %d times", s.count())
			}
			clock = now.Add(time.Minute)
			s.mu.Lock()
			s.body, s.err = certificates(t, now.AddDate(0, 0, 7)), nil
			s.mu.Unlock()
			if _, err := c.Chain(t.Context(), "https://repository.example/a"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHosts: only named hosts are asked where any are named.
func TestHosts(t *testing.T) {
	s := &server{body: certificates(t, now.AddDate(0, 0, 7))}
	c := certfetch.New(certfetch.Config{Fetch: s, Hosts: []string{"repository.example"}, Now: func() time.Time { return now }})
	for address, want := range map[string]error{
		"https://repository.example/a": nil, "https://repository.example:8443/a": nil, "https://other.example/a": certfetch.ErrHost,
		"https://x.repository.example/a": certfetch.ErrHost, "https://other.example/?repository.example": certfetch.ErrHost, "\x00": certfetch.ErrHost,
	} {
		if _, err := c.Chain(t.Context(), address); !errors.Is(err, want) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestTogether: many who want the same cause one request; one who gives up does
// not take it from the others; other places are asked beside it, but few.
func TestTogether(t *testing.T) {
	s := &server{body: certificates(t, now.AddDate(0, 0, 7)), waiting: make(chan struct{})}
	c := certfetch.New(certfetch.Config{Fetch: s, Now: func() time.Time { return now }})
	var all sync.WaitGroup
	hasty, hangUp := context.WithCancel(t.Context())
	for i := range 20 {
		ctx := t.Context()
		if i == 0 {
			ctx = hasty
		}
		all.Go(func() {
			if _, err := c.Chain(ctx, "https://repository.example/a"); err != nil && ctx != hasty {
				t.Error(err)
			}
		})
	}
	for s.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	hangUp()
	for i := range 7 {
		all.Go(func() {
			if _, err := c.Chain(t.Context(), fmt.Sprintf("https://repository.example/%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	for s.count() < 8 {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Chain(t.Context(), "https://repository.example/b"); !errors.Is(err, certfetch.ErrBusy) {
		t.Errorf("a ninth request: %v", err)
	}
	close(s.waiting)
	all.Wait()
	if s.count() != 8 {
		t.Errorf("asked %d times", s.count())
	}
}

// TestManyPlaces: memory is bounded, and what is asked last is there.
func TestManyPlaces(t *testing.T) {
	s := &server{body: certificates(t, now.AddDate(0, 0, 7)), fresh: time.Hour}
	clock := now
	c := certfetch.New(certfetch.Config{Fetch: s, Now: func() time.Time { return clock }})
	for i := range 2000 {
		clock = clock.Add(time.Millisecond)
		if _, err := c.Chain(t.Context(), fmt.Sprintf("https://repository.example/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	before := s.count()
	if _, err := c.Chain(t.Context(), "https://repository.example/1999"); err != nil || s.count() != before {
		t.Errorf("the last place was forgotten, %v", err)
	}
	if _, err := c.Chain(t.Context(), "https://repository.example/0"); err != nil || s.count() != before+1 {
		t.Errorf("the first place was kept, %v", err)
	}
}
