package observer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/internal/dkim"
	"whither/internal/observer"
	"whither/internal/observer/resolver"
	"whither/internal/pinned"
	"whither/internal/sqlstore/observerstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession/observe"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

const (
	observerA = "observer-a.example"
	domain    = "example.org"
	issuer    = "https://op.example.org"
)

// source is a registry that a test can change.
type source struct {
	mu       sync.Mutex
	snapshot *registry.Snapshot
	file     []byte
}

func (s *source) Snapshot() *registry.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}

func (s *source) File() []byte                                  { return s.file }
func (s *source) Step(context.Context, time.Time) (bool, error) { return false, nil }

// scene is an observer in a small world.
type scene struct {
	*worldtest.Federation
	t      testing.TB
	dir    string
	url    string
	dns    *mailnet.DNS
	source *source
	store  *observerstore.Store
	config observer.Config
	o      *observer.Observer
	logs   *lockedBuffer

	mu   sync.Mutex
	time time.Time
	sets map[string]string // by issuer
	// fault is what goes wrong with the store's next writes of a name.
	fault func(write string) sqldb.Fault
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s *scene) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.time
}

func (s *scene) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.time = s.time.Add(d)
}

func (s *scene) faults(write string) sqldb.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return sqldb.NoFault
	}
	return s.fault(write)
}

func (s *scene) fail(f func(string) sqldb.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func newScene(t testing.TB, bend func(*observer.Config)) *scene {
	t.Helper()
	return newSceneAt(t, "", bend)
}

// newSceneAt keeps the store at the URL of a PostgreSQL database; empty: in a file.
func newSceneAt(t testing.TB, url string, bend func(*observer.Config)) *scene {
	t.Helper()
	f := worldtest.New(t)
	f.Add(observerA, registry.RoleObserver, nil)
	s := &scene{Federation: f, t: t, dir: t.TempDir(), url: url, logs: &lockedBuffer{}, time: f.Now, sets: make(map[string]string)}
	s.source = &source{snapshot: f.Snapshot(), file: f.File()}
	var err error
	if s.dns, err = mailnet.StartDNS(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.dns.Close() })
	client, err := resolver.New(s.dns.Addr(), false)
	if err != nil {
		t.Fatal(err)
	}
	id := worldtest.Party(t, observerA)
	identity, err := pinned.Generate(id, f.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.config = observer.Config{
		Party: id, Key: worldtest.Key(t, observerA), TLS: identity, Registry: s.source, DNS: client, Now: s.now,
		Log:  slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Sets: s.set,
	}
	if bend != nil {
		bend(&s.config)
	}
	s.open()
	t.Cleanup(s.close)
	return s
}

// set is what an issuer publishes.
func (s *scene) set(_ context.Context, issuer string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.sets[issuer]
	if !ok {
		return nil, errors.New("no answer")
	}
	return []byte(set), nil
}

// open opens the store, as after a start, and the observer over it.
func (s *scene) open() {
	s.t.Helper()
	keys, err := vault.LoadKeys(s.dir)
	if err != nil {
		if keys, err = vault.MakeKeys(s.dir); err != nil {
			s.t.Fatal(err)
		}
	}
	at := sealed.Options{URL: s.url, Keys: keys, Fault: s.faults}
	if s.url == "" {
		at.Path = filepath.Join(s.dir, "observer.db")
	}
	s.store, err = observerstore.Open(context.Background(), at)
	if err != nil {
		s.t.Fatal(err)
	}
	s.config.Store = s.store
	if s.o, err = observer.New(s.config); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) close() {
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *scene) restart() {
	s.t.Helper()
	s.close()
	s.open()
}

func (s *scene) step() {
	s.t.Helper()
	if err := s.o.Step(s.t.Context(), s.now()); err != nil {
		s.t.Error(err)
	}
}

// publish puts a DKIM key at a selector, and returns its digest.
func (s *scene) publish(selector, seed string) [sha256.Size]byte {
	s.t.Helper()
	record, err := dkim.Ed25519(worldtest.Key(s.t, seed)).Record()
	if err != nil {
		s.t.Fatal(err)
	}
	s.dns.SetTXT(selector+"._domainkey."+domain, record)
	k, err := observe.FromDKIM(domain, selector, []string{record})
	if err != nil {
		s.t.Fatal(err)
	}
	return k.Digest
}

// send sends a message and returns the answer's body.
func (s *scene) send(method, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", wire.TypeCBOR)
	w := httptest.NewRecorder()
	s.o.Handler().ServeHTTP(w, r)
	return w
}

// ask asks for keys, and verifies what comes.
func (s *scene) ask(r wire.KeyRequest) ([]observe.Verified, error) {
	s.t.Helper()
	body, err := wire.Encode(wire.TypeCBOR, r)
	if err != nil {
		s.t.Fatal(err)
	}
	w := s.send(http.MethodPost, wire.PathKeys, body)
	if w.Code != http.StatusOK {
		d, err := problem.Read(w.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		if text := d.Error(); strings.Contains(text, "example.org") {
			s.t.Errorf("a refusal names the domain: %s", text)
		}
		return nil, d
	}
	var a wire.KeyAnswer
	if err := wire.Decode(wire.TypeCBOR, w.Body.Bytes(), wire.MaxAnswer, &a); err != nil {
		s.t.Fatal(err)
	}
	var out []observe.Verified
	for _, b := range a.Observations {
		u, err := observe.Parse(b)
		if err != nil {
			s.t.Fatal(err)
		}
		v, err := u.Verify(s.source.Snapshot(), observe.Question{Now: s.now()})
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, v)
	}
	return out, nil
}

func dkimKey(selector string) wire.KeyRequest {
	return wire.KeyRequest{Kind: wire.KeysOfDKIM, Name: domain, Label: selector}
}

// one asks for the key of a selector, which must be there.
func (s *scene) one(selector string) observe.Observation {
	s.t.Helper()
	got, err := s.ask(dkimKey(selector))
	if err != nil || len(got) != 1 {
		s.t.Fatalf("%d observations, %v", len(got), err)
	}
	return got[0].Observation()
}

// refused fails the test unless an error is a problem of this kind.
func refused(t testing.TB, what string, err error, want problem.Kind) {
	t.Helper()
	if !errors.Is(err, problem.Error(want)) {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}
