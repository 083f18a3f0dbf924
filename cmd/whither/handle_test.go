package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"whither/internal/keyfile"
	"whither/internal/world"
	"whither/wire"
)

// browser is a person's browser that has been told of the demo's authority.
type browser struct {
	*http.Client
	t *testing.T
}

func newBrowser(t *testing.T, roots string) *browser {
	t.Helper()
	pool, err := keyfile.Roots(roots)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{&http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: transport}, t}
}

func (b *browser) read(resp *http.Response, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// signIn opens the page and fills in its form.
func (b *browser) signIn(address, name, password string) string {
	b.t.Helper()
	page := b.read(b.Get(address))
	found := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(page)
	at, err := url.Parse(address)
	if found == nil || err != nil {
		b.t.Fatalf("no form: %s", page)
	}
	return b.read(b.PostForm("https://"+at.Host+"/authorize", url.Values{"request": {found[1]}, "name": {name}, "password": {password}}))
}

// enrolBySignIn runs whither enrol in a process of its own, and signs in with a
// browser where it says. It returns what the command printed and its exit code.
func (f *federation) enrolBySignIn(t *testing.T, handle, msp, as string) (string, int) {
	t.Helper()
	dir := filepath.Join(f.dir, "people", asker)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := program(ctx, "--dir", dir, "enrol", handle, "--msp", msp)
	var out, said strings.Builder // each is one goroutine's
	cmd.Stdout = &out
	errOut, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, filepath.Join(dir, "authorities.pem"))
	password := regexp.MustCompile(`<li>` + as + `, password <code>([^<]+)</code>`).FindStringSubmatch(b.read(b.Get(f.page)))
	if password == nil {
		t.Fatal("the desk does not say the password")
	}
	for lines := bufio.NewScanner(errOut); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "https://") {
			if last := b.signIn(lines.Text(), as, password[1]); !strings.Contains(last, "close this window") {
				t.Errorf("the last page says: %s", last)
			}
		}
	}
	_ = cmd.Wait()
	return said.String() + out.String(), cmd.ProcessState.ExitCode()
}

// TestR08HandleBySignIn enrols a handle, the third kind of CSI, as a person
// does: with the command line and a browser. Who signs in as somebody else, or
// has no account with this handle at the MSP, gets nothing.
func TestR08HandleBySignIn(t *testing.T) {
	f := start(t)
	dir, handle := filepath.Join(f.dir, "people", asker), "acct:"+asker+"@"+world.IdentityHost
	f.keygen(t, dir)
	if text, code := f.enrolBySignIn(t, handle, world.MSPB, "bob"); code != 1 || !strings.Contains(text, "sign in with the account of this one") {
		t.Errorf("signed in as somebody else: exits with %d: %s", code, text)
	}
	if got := f.answers(t, handle); got[0]["outcome"] != wire.OutcomeNone {
		t.Errorf("after that: %v", got[0]["outcome"])
	}
	text, code := f.enrolBySignIn(t, handle, world.MSPB, asker)
	if code != 0 || !strings.Contains(text, "evidence level 3") || !strings.Contains(text, "I let key") {
		t.Fatalf("exits with %d: %s", code, text)
	}
	if got := f.answers(t, handle); got[0]["outcome"] != wire.OutcomeOne {
		t.Errorf("found: %v", got[0]["outcome"])
	}
	// Anywhere else, with one file and the root.
	path := filepath.Join(t.TempDir(), "handle.mapping")
	f.run(t, dir, 0, "lookup", handle, "--save", path)
	if stdout, _ := f.run(t, t.TempDir(), 0, "--json", "verify", path, "--root", f.root()); !strings.Contains(stdout, `"verified":true`) {
		t.Errorf("verify says %s", stdout)
	}
	if _, stderr := f.run(t, dir, 1, "enrol", "acct:carol@"+world.IdentityHost, "--msp", world.MSPB, "--desk", f.page); !strings.Contains(stderr, "add the CSI to the account") {
		t.Errorf("a handle that the account does not have: %s", stderr)
	}
	id := regexp.MustCompile(`enrolled: mapping ([0-9a-f]+),`).FindStringSubmatch(text)
	if id == nil {
		t.Fatalf("no id in %s", text)
	}
	f.run(t, dir, 0, "withdraw", id[1])
	if got := f.answers(t, handle); got[0]["outcome"] != wire.OutcomeNone {
		t.Errorf("withdrawn: %v", got[0]["outcome"])
	}
}

// keygen makes a person's key, if no other test has.
func (f *federation) keygen(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "keys", "holder.pem")); err != nil {
		f.run(t, dir, 0, "keygen")
	}
}
