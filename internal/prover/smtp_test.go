package prover_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"whither/internal/dkim"
	"whither/internal/prover"
	"whither/internal/world/mailnet"
	"whither/problem"
	"whither/wire"
)

// line is an SMTP connection that a test speaks by hand.
type line struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dialMail(f *federation) *line {
	f.t.Helper()
	conn, err := net.DialTimeout("tcp", f.a.listen[1].Addr().String(), 5*time.Second)
	must(f.t, err)
	f.t.Cleanup(func() { _ = conn.Close() })
	must(f.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	l := &line{t: f.t, conn: conn, r: bufio.NewReader(conn)}
	l.expect("220")
	return l
}

// read returns the last line of a reply.
func (l *line) read() string {
	l.t.Helper()
	for {
		s, err := l.r.ReadString('\n')
		if err != nil {
			l.t.Fatalf("read: %v", err)
		}
		if len(s) > 3 && s[3] == ' ' {
			return strings.TrimSpace(s)
		}
	}
}

func (l *line) expect(code string) {
	l.t.Helper()
	if got := l.read(); !strings.HasPrefix(got, code) {
		l.t.Fatalf("got %q, want %s", got, code)
	}
}

// say sends a command and expects an answer.
func (l *line) say(command, code string) {
	l.t.Helper()
	if _, err := io.WriteString(l.conn, command+"\r\n"); err != nil {
		l.t.Fatal(err)
	}
	l.expect(code)
}

// secure starts TLS and says hello again.
func (l *line) secure(f *federation) *line {
	l.t.Helper()
	l.say("EHLO mx.example.org", "250")
	l.say("STARTTLS", "220")
	conn := tls.Client(l.conn, &tls.Config{ServerName: "mx.prover-a.example", RootCAs: f.net.Roots(), Time: f.clock.now, MinVersion: tls.VersionTLS12})
	must(l.t, conn.HandshakeContext(l.t.Context()))
	l.conn, l.r = conn, bufio.NewReader(conn)
	l.say("EHLO mx.example.org", "250")
	return l
}

// TestR23MailIsEncrypted: nothing of a reply is taken in clear, nor under a
// version of TLS that is broken.
func TestR23MailIsEncrypted(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	l := dialMail(f)
	l.say("EHLO mx.example.org", "250")
	l.say("MAIL FROM:<"+alice+">", "530")
	l.say("RCPT TO:<"+a.challenge.From+">", "502")

	l = dialMail(f)
	l.say("EHLO mx.example.org", "250")
	l.say("STARTTLS", "220")
	old := tls.Client(l.conn, &tls.Config{
		ServerName: "mx.prover-a.example", RootCAs: f.net.Roots(), Time: f.clock.now,
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
	if err := old.HandshakeContext(t.Context()); err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

// TestNoInjectionBeforeTLS: commands sent in clear behind STARTTLS do not count
// after the handshake (RFC 3207 section 6).
func TestNoInjectionBeforeTLS(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	l := dialMail(f)
	l.say("EHLO mx.example.org", "250")
	_, err := io.WriteString(l.conn, "STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<mallory@other.example>\r\n")
	must(t, err)
	l.expect("220")
	conn := tls.Client(l.conn, &tls.Config{ServerName: "mx.prover-a.example", RootCAs: f.net.Roots(), Time: f.clock.now})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		return // the clear bytes were taken for a handshake
	}
	l.conn, l.r = conn, bufio.NewReader(conn)
	l.say("RCPT TO:<"+a.challenge.From+">", "502")
}

// TestRecipients: nobody but the mailboxes of challenges gets mail here.
func TestRecipients(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	local, _, _ := strings.Cut(a.challenge.From, "@")
	l := dialMail(f).secure(f)
	for _, c := range []struct{ to, code string }{
		{"bob@example.org", "550 5.7.1"},                             // no relaying
		{local + "@prover-b.example", "550 5.7.1"},                   // another prover's
		{local + "%example.org@example.net", "550 5.7.1"},            // nor by old tricks
		{"postmaster@prover-a.example", "550 5.1.1"},                 // nobody reads
		{local[:25] + "@prover-a.example", "550 5.1.1"},              // a part of a mailbox
		{local + "a@prover-a.example", "550 5.1.1"},                  // and more than one
		{strings.Repeat("a", 26) + "@prover-a.example", "550 5.1.1"}, // well formed, not given out
		{strings.Repeat("b", 26) + "@prover-a.example", "550 5.1.1"}, // spare bits
	} {
		l.say("RSET", "250")
		l.say("MAIL FROM:<"+alice+">", "250")
		l.say("RCPT TO:<"+c.to+">", c.code)
		l.say("DATA", "502")
	}
	l.say("RSET", "250")
	l.say("MAIL FROM:<"+alice+">", "250")
	l.say("RCPT TO:<"+strings.ToUpper(a.challenge.From)+">", "250") // servers may fold
	l.say("RCPT TO:<"+a.challenge.From+">", "452")                  // one at a time
	l.say("MAIL FROM:<"+alice+"> SIZE=9999999", "552")
	l.say("AUTH PLAIN AGEAYg==", "504")
	l.say("VRFY alice", "252")
	l.say("QUIT", "221")
	if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != "" {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
}

// TestCallout: a mail server that tries our address with the empty return path
// before it takes a mail from there is content; a bounce is not taken.
func TestCallout(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	l := dialMail(f).secure(f)
	l.say("MAIL FROM:<>", "250")
	l.say("RCPT TO:<"+a.challenge.From+">", "250")
	l.say("RSET", "250")
	if s := a.mustStatus(); s.Problem != "" {
		t.Errorf("problem %s", s.Problem)
	}
	l.say("MAIL FROM:<>", "250")
	l.say("RCPT TO:<"+a.challenge.From+">", "250")
	l.say("DATA", "354")
	l.say("Subject: Undelivered\r\n\r\nnot found\r\n.", "550 5.7.1")
	if s := a.mustStatus(); s.Problem != problem.MailAutomatic.URI() {
		t.Errorf("problem %s", s.Problem)
	}
}

// TestChunks: a reply may come in chunks (RFC 3030); it is the same reply.
func TestChunks(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	_, raw, err := f.provider.ComposeReply(alice, a.mail(), a.text())
	must(t, err)
	raw = resign(func(*dkim.SignOptions) {})(a, raw)
	l := dialMail(f).secure(f)
	l.say("MAIL FROM:<"+alice+">", "250")
	l.say("RCPT TO:<"+a.challenge.From+">", "250")
	l.say(fmt.Sprintf("BDAT 100\r\n%s", raw[:98]), "250")
	_, err = io.WriteString(l.conn, "RSET\r\n") // given up half way
	must(t, err)
	if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != "" {
		t.Errorf("half a reply: state %s, problem %s", s.State, s.Problem)
	}
	l = dialMail(f).secure(f)
	l.say("MAIL FROM:<"+alice+">", "250")
	l.say("RCPT TO:<"+a.challenge.From+">", "250")
	_, err = fmt.Fprintf(l.conn, "BDAT 100\r\n%s", raw[:100])
	must(t, err)
	l.expect("250")
	_, err = fmt.Fprintf(l.conn, "BDAT %d LAST\r\n%s", len(raw)-100, raw[100:])
	must(t, err)
	l.expect("250")
	if s := a.mustStatus(); s.State != wire.ChallengeProved {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
}

// TestBrokenOff: a mail that does not come to its end is not judged.
func TestBrokenOff(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	l := dialMail(f).secure(f)
	l.say("MAIL FROM:<"+alice+">", "250")
	l.say("RCPT TO:<"+a.challenge.From+">", "250")
	l.say("DATA", "354")
	_, err := io.WriteString(l.conn, "From: "+alice+"\r\n")
	must(t, err)
	must(t, l.conn.Close())
	f.restart(f.a) // waits for the session
	if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != "" {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
	a.prove()
}

// TestStopFinishesVerdicts: a prover that is told to stop finishes the verdict
// under way and answers it; sessions that only wait do not hold it up.
func TestStopFinishesVerdicts(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	idle := dialMail(f).secure(f)
	name := f.provider.Selector() + "._domainkey.example.org"
	f.net.DNS.SetFault(name, mailnet.Fault{Delay: 300 * time.Millisecond})
	sent := make(chan error, 1)
	text, original := a.text(), a.mail()
	ctx := f.within()
	go func() { sent <- f.provider.Reply(ctx, alice, original, text) }()
	for f.net.DNS.Asked(name) == 0 {
		if ctx.Err() != nil {
			t.Fatal("the reply is not judged")
		}
		time.Sleep(5 * time.Millisecond)
	}
	began := time.Now()
	f.a.stop()
	if err := <-sent; err != nil {
		t.Errorf("the reply under way: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if _, err := idle.r.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
		t.Logf("the idle session ended with %v", err)
	}
	c, err := f.a.store.ByID(t.Context(), prover.ID(a.challenge.ID))
	if err != nil || c.State != prover.Proved {
		t.Errorf("%s, %v", fields(c), err)
	}
	f.open(f.a) // for the cleanup
}

// TestOperations: health, readiness and metrics, without a word on anybody.
func TestOperations(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	_ = f.provider.Reply(f.within(), alice, a.mail(), "no\n")
	a.prove()
	if _, err := f.begin("nobody@example.org", "holder"); err == nil {
		t.Error("nobody has a mailbox")
	}
	get := func(path string) (int, string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.a.listen[2].Addr().String()+path, nil)
		must(t, err)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(b)
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("health: %d", code)
	}
	if code, _ := get("/readyz"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	_, metrics := get("/metrics")
	for _, want := range []string{
		`whither_prover_replies_total{outcome="ok"} 1`, `whither_prover_replies_total{outcome="mail-content"} 1`,
		`whither_prover_deliveries_total{outcome="ok"} 1`, `whither_prover_deliveries_total{outcome="refused"} 1`,
		`whither_prover_answers_total{outcome="cannot-deliver",path="/v1/challenges"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, secret := range []string{"alice", "nobody", "example.org", "127.0.0.1"} {
		if strings.Contains(metrics, secret) {
			t.Errorf("metrics name %q", secret)
		}
	}
	f.checkSilence()
}
