package publish_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/publish"
	"whither/internal/world/worldtest"
	"whither/registry"
	"whither/registry/repository"
	"whither/registry/tuf"
	"whither/registry/update"
)

// federation is a folder with a DP and two MSPs, published.
func federation(t *testing.T) (dir string, root []byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "federation")
	if err := publish.Init(dir, "federation.example", publish.Count{Keys: 3, Threshold: 2}, publish.Count{Keys: 2, Threshold: 2}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]registry.Role{"dp.example": registry.RoleDP, "msp-a.example": registry.RoleMSP, "msp-b.example": registry.RoleMSP} {
		if _, err := publish.Admit(dir, application(t, name, role), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := publish.Sign(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(filepath.Join(dir, publish.RootFile))
	if err != nil {
		t.Fatal(err)
	}
	return dir, root
}

// application is the folder that a party hands in.
func application(t *testing.T, name string, role registry.Role) string {
	t.Helper()
	dir, now := t.TempDir(), time.Now()
	if _, err := party.Make(dir, worldtest.Party(t, name), now); err != nil {
		t.Fatal(err)
	}
	operator, err := registry.ParseOperator("op-" + name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := publish.Apply(dir, worldtest.Party(t, name), operator, role, "https://127.0.0.1:8443", []string{"CH"}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sign(t *testing.T, dir string) *registry.Snapshot {
	t.Helper()
	s, err := publish.Sign(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestR21StandingIsPublished closes and expels; an expelled party stays so.
func TestR21StandingIsPublished(t *testing.T) {
	dir, _ := federation(t)
	a, b, since := worldtest.Party(t, "msp-a.example"), worldtest.Party(t, "msp-b.example"), time.Now()
	if err := errors.Join(publish.Stand(dir, a, registry.Closed, since), publish.Stand(dir, b, registry.Expelled, since)); err != nil {
		t.Fatal(err)
	}
	s := sign(t, dir)
	if s.Version() != 2 || s.Reachable(a) || s.Reachable(b) {
		t.Errorf("version %d; reachable: %v, %v", s.Version(), s.Reachable(a), s.Reachable(b))
	}
	if p, _ := s.Party(b); p.Standing.State != registry.Expelled {
		t.Errorf("standing %v", p.Standing)
	}
	if err := publish.Stand(dir, b, registry.Active, since); err == nil {
		t.Error("an expelled party came back")
	}
	if err := publish.Stand(dir, worldtest.Party(t, "nobody.example"), registry.Closed, since); !errors.Is(err, publish.ErrMember) {
		t.Errorf("nobody: %v", err)
	}
}

func TestAdmit(t *testing.T) {
	dir, _ := federation(t)
	// What a member says of itself changes; what is granted does not.
	if err := publish.Stand(dir, worldtest.Party(t, "msp-a.example"), registry.Closed, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Admit(dir, application(t, "msp-a.example", registry.RoleMSP), time.Now()); !errors.Is(err, registry.ErrContent) {
		t.Errorf("a self record by another operator key than the one granted: %v", err)
	}
	broken := application(t, "msp-c.example", registry.RoleMSP)
	if err := os.WriteFile(filepath.Join(broken, publish.SelfFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Admit(dir, broken, time.Now()); err == nil {
		t.Error("a broken application was admitted")
	}
	if s := sign(t, dir); len(s.Members(registry.RoleMSP)) != 2 {
		t.Errorf("%d MSPs", len(s.Members(registry.RoleMSP)))
	}
}

// TestRotate changes every kind of key of the federation; who knows the first
// root alone follows, and so does who knows the state before.
func TestRotate(t *testing.T) {
	dir, root := federation(t)
	public := filepath.Join(dir, publish.PublicFolder)
	known, err := tuf.Walk(root, tuf.Known{}, time.Now(), repository.ReadFolder(public))
	if err != nil {
		t.Fatal(err)
	}
	for i, role := range []string{publish.RolePublication, publish.RoleFederation, publish.RoleRoot, publish.RoleRoot} {
		if err := publish.Rotate(dir, role, time.Now()); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		sign(t, dir)
		if known, err = tuf.Walk(root, known, time.Now(), repository.ReadFolder(public)); err != nil {
			t.Fatalf("after %s, from the state before: %v", role, err)
		}
		if _, err := tuf.Walk(root, tuf.Known{}, time.Now(), repository.ReadFolder(public)); err != nil {
			t.Fatalf("after %s, from the first root: %v", role, err)
		}
		if len(known.Set.Roots) != i+1 {
			t.Errorf("%d roots followed after %d rotations", len(known.Set.Roots), i+1)
		}
	}
	// With one of three root keys nothing changes hands.
	for _, n := range []string{"1", "2"} {
		if err := os.Remove(filepath.Join(dir, publish.KeysFolder, "root-"+n+".pem")); err != nil {
			t.Fatal(err)
		}
	}
	if err := publish.Rotate(dir, publish.RoleFederation, time.Now()); !errors.Is(err, repository.ErrSigners) {
		t.Errorf("with one root key: %v", err)
	}
	sign(t, dir) // the keys of before are there still
	if err := publish.Rotate(dir, "king", time.Now()); err == nil {
		t.Error("keys of nobody were changed")
	}
}

// TestServe follows a publication over HTTPS, compressed, and keeps its
// timestamp young.
func TestServe(t *testing.T) {
	dir, root := federation(t)
	identity, err := pinned.Generate(worldtest.Party(t, "registry.example"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := identity.PEM()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- publish.Serve(ctx, dir, l, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}, time.Now, slog.New(slog.DiscardHandler))
	}()
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "registry.example", MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true,
	}}
	base := "https://" + l.Addr().String()
	read := func(name string, _ int) ([]byte, error) {
		return update.Get(t.Context(), client, base+"/"+repository.Path(name), 1<<20)
	}
	known, err := tuf.Walk(root, tuf.Known{}, time.Now(), read)
	if err != nil || known.Snapshot.Version() != 1 {
		t.Fatalf("over HTTPS: %v", err)
	}
	for _, path := range []string{"/", "/metadata/", "/keys/root-1.pem", "/metadata/../../keys/publication.pem", "/federation.toml", "/metadata/9.snapshot.json"} {
		resp, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/metadata/1.targets.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("headers %v", resp.Header)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
