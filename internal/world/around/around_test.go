package around_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/fetch"
	"whither/internal/keyfile"
	"whither/internal/oidc"
	"whither/internal/world/around"
)

// here is an address of loopback that no other test on this machine is at.
func here() string { return fmt.Sprintf("127.%d.%d.9", 200+os.Getpid()/250%50, 1+os.Getpid()%250) }

func config(t *testing.T) around.Config {
	t.Helper()
	dir := t.TempDir()
	records := filepath.Join(dir, "prover.records")
	text := "prover.example MX \"10 mx.prover.example\"\nwhither._domainkey.prover.example TXT \"v=DKIM1; p=AA\"\n"
	if err := os.WriteFile(records, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return around.Config{
		Dir: filepath.Join(dir, "outside"), Address: here(), Domain: "example.org", People: []string{"bob=+41791234567", "alice"},
		Records: []string{records}, Hosts: map[string]string{"mx.prover.example": "127.0.0.4:2525"}, Now: time.Now,
	}
}

func TestWorld(t *testing.T) {
	c := config(t)
	w, err := around.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	f := w.Facts()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, f.Resolver)
	}}
	mx, err := resolver.LookupMX(ctx, "prover.example.")
	if err != nil || len(mx) != 1 || mx[0].Host != "mx.prover.example." {
		t.Errorf("MX %v, %v", mx, err)
	}
	if at, err := resolver.LookupHost(ctx, "mx.prover.example."); err != nil || strings.Join(at, " ") != "127.0.0.4" {
		t.Errorf("mail host %v, %v", at, err)
	}
	if txt, err := resolver.LookupTXT(ctx, "whither._domainkey.prover.example."); err != nil || strings.Join(txt, " ") != "v=DKIM1; p=AA" {
		t.Errorf("TXT %v, %v", txt, err)
	}
	certificateIsGood(t, c.Dir, f.Roots)
	keysArePublished(t, f, resolver)
	send := func(token string) int {
		url := f.Desk + "/prover.example/message/send-code"
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(`{"phoneNumber":"+41791234567","message":"{{code}}"}`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	token, err := keyfile.Token(filepath.Join(c.Dir, "prover.example.message.token"))
	if err != nil {
		t.Fatal(err)
	}
	if good, bad := send(token), send("x"); good != http.StatusOK || bad != http.StatusUnauthorized {
		t.Errorf("codes: %d with the token, %d without", good, bad)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}

	// The same folder again: the tokens stay.
	again, err := around.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := keyfile.Token(filepath.Join(c.Dir, "prover.example.message.token")); err != nil || same != token {
		t.Errorf("another token: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := again.Run(ended); err != nil {
		t.Error(err)
	}
}

// certificateIsGood reads what a prover is given as the prover reads it.
func certificateIsGood(t *testing.T, dir, roots string) {
	t.Helper()
	pool, err := keyfile.Roots(roots)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "mx.prover.example.pem")
	var c tls.Certificate
	if c, err = keyfile.Certificate(file, file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "mx.prover.example"}); err != nil {
		t.Error(err)
	}
}

// keysArePublished looks at the OpenID provider as a prover does.
func keysArePublished(t *testing.T, f around.Facts, r *net.Resolver) {
	t.Helper()
	pool, err := keyfile.Roots(f.Roots)
	if err != nil {
		t.Fatal(err)
	}
	get := fetch.New(fetch.Config{
		Roots: pool, Resolver: r, Port: f.SignPort, Allow: []netip.Prefix{netip.MustParsePrefix(here() + "/32")}, Now: time.Now,
	})
	defer get.Close()
	providers := oidc.New(oidc.Config{Fetch: get, Known: func(string) bool { return true }, Now: time.Now})
	if _, err := providers.Keys(t.Context(), f.Issuer, ""); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		bend func(c *around.Config)
		want error
	}{
		"every address":   {func(c *around.Config) { c.Address = "0.0.0.0" }, around.ErrAddress},
		"another machine": {func(c *around.Config) { c.Address = "192.0.2.1" }, around.ErrAddress},
		"a name":          {func(c *around.Config) { c.Address = "localhost" }, around.ErrAddress},
		"no host":         {func(c *around.Config) { c.Hosts = nil }, around.ErrHost},
		"host is no address": {func(c *around.Config) {
			c.Hosts = map[string]string{"mx.prover.example": "2525"}
		}, around.ErrHost},
		"no records":    {func(c *around.Config) { c.Records = []string{"nothing"} }, os.ErrNotExist},
		"other records": {func(c *around.Config) { bendRecords(t, c, "a NS \"x\"\n") }, around.ErrRecord},
		"bare value":    {func(c *around.Config) { bendRecords(t, c, "a TXT x\n") }, around.ErrRecord},
		"half a line":   {func(c *around.Config) { bendRecords(t, c, "a TXT\n") }, around.ErrRecord},
	} {
		c := config(t)
		test.bend(&c)
		if _, err := around.Start(t.Context(), c); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func bendRecords(t *testing.T, c *around.Config, text string) {
	t.Helper()
	if err := os.WriteFile(c.Records[0], []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
