package mailnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	netsmtp "net/smtp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"whither/internal/dkim"
	"whither/internal/smtpout"
	"whither/internal/world/mailnet"
	"whither/key"
	"whither/possession/mail"
)

const (
	alice       = "alice@example.org"
	replyTo     = "check@prover.example"
	fingerprint = "5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4"
)

var (
	part1    = mail.Token([mail.TokenSize]byte{7})
	response = sha256.Sum256([]byte("a response"))
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a network with alice's provider and a prover that can receive.
type world struct {
	*mailnet.Network
	clock    *clock
	provider *mailnet.Provider
	prover   dkim.PrivateKey
	received chan []byte
}

func start(t *testing.T) *world {
	t.Helper()
	before := runtime.NumGoroutine()
	w := &world{clock: &clock{at: time.Unix(1_800_000_000, 0)}, received: make(chan []byte, 10)}
	var err error
	if w.Network, err = mailnet.New(mailnet.Config{Now: w.clock.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := w.DNS.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		for range 200 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	})
	if w.provider, err = w.AddProvider("example.org", mailnet.Ed25519, alice, "mallory@example.org"); err != nil {
		t.Fatal(err)
	}
	w.startProver(t)
	return w
}

// startProver starts a mail server for prover.example, and publishes its key.
func (w *world) startProver(t *testing.T) {
	t.Helper()
	certificate, err := w.Certificate("mail.prover.example")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return receiver{w.received}, nil }))
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	w.Announce("mail.prover.example", l.Addr().(*net.TCPAddr).Port)
	w.DNS.SetMX("prover.example", "mail.prover.example")

	k, err := key.Generate(bytes.NewReader(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	w.prover = dkim.Ed25519(k)
	record, err := w.prover.Record()
	if err != nil {
		t.Fatal(err)
	}
	w.DNS.SetTXT("p1._domainkey.prover.example", record)
}

// receiver takes every message.
type receiver struct{ received chan []byte }

func (receiver) Reset()                               {}
func (receiver) Logout() error                        { return nil }
func (receiver) Mail(string, *smtp.MailOptions) error { return nil }
func (receiver) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (r receiver) Data(b io.Reader) error {
	raw, err := io.ReadAll(b)
	r.received <- raw
	return err
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// challenge sends a challenge to alice and returns it as it arrived.
func (w *world) challenge(t *testing.T) []byte {
	t.Helper()
	raw, err := mail.Challenge{
		From: replyTo, To: alice, Prover: "prover.example", Part1: part1, Fingerprint: fingerprint,
		Date: w.clock.now(), Expires: w.clock.now().Add(24 * time.Hour),
	}.Message(mail.Signing{Selector: "p1", Key: w.prover})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Client("mail.prover.example").Send(bounded(t), "", alice, raw); err != nil {
		t.Fatal(err)
	}
	m, err := w.provider.Wait(bounded(t), alice, func(m mailnet.Message) bool { return bytes.HasSuffix(m.Raw, raw) })
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// verify judges what the prover received.
func (w *world) verify(t *testing.T) (mail.Report, error) {
	t.Helper()
	select {
	case raw := <-w.received:
		return mail.Verify(raw, mail.Want{
			Address: alice, ReplyTo: replyTo, Part1: part1, Response: response, Fingerprint: fingerprint, Now: w.clock.now(),
		}, func(domain, selector string) ([]string, error) { return w.LookupKey(bounded(t), domain, selector) })
	case <-time.After(20 * time.Second):
		t.Fatal("no reply arrived")
		return mail.Report{}, nil
	}
}

// TestR01ReplyProvesMailbox goes the whole way, over real sockets, under a
// clock that is not the machine's.
func TestR01ReplyProvesMailbox(t *testing.T) {
	for _, kind := range []mailnet.KeyType{mailnet.RSA2048, mailnet.Ed25519} {
		t.Run(string(kind), func(t *testing.T) {
			w := start(t)
			w.clock.advance(3 * 365 * 24 * time.Hour)
			selector, err := w.provider.Rotate(kind)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.provider.Reply(bounded(t), alice, w.challenge(t), mail.Response(response, fingerprint)); err != nil {
				t.Fatal(err)
			}
			report, err := w.verify(t)
			if err != nil {
				t.Fatal(err)
			}
			txt, err := w.LookupKey(bounded(t), "example.org", selector)
			if err != nil {
				t.Fatal(err)
			}
			want, err := mail.KeyDigest(txt)
			if err != nil {
				t.Fatal(err)
			}
			if report.Domain != "example.org" || report.Selector != selector || report.KeyDigest != want || !report.SignedAt.Equal(w.clock.now()) {
				t.Errorf("got %+v", report)
			}
		})
	}
}

// TestR01BadProvidersProveNothing: each way of signing badly has its refusal.
func TestR01BadProvidersProveNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(*testing.T, *world)
		expect error
	}{
		{"unsigned", func(_ *testing.T, w *world) { w.provider.SetSigning(mailnet.Signing{Off: true}) }, mail.ErrNoSignature},
		{"another domain", func(_ *testing.T, w *world) {
			w.provider.SetSigning(mailnet.Signing{Domain: "example.net"})
		}, mail.ErrMisaligned},
		{"few fields", func(_ *testing.T, w *world) {
			w.provider.SetSigning(mailnet.Signing{Fields: []string{"From", "Date"}})
		}, mail.ErrUnsignedHeader},
		{"withdrawn key", func(t *testing.T, w *world) {
			old := w.provider.Selector()
			if _, err := w.provider.Rotate(mailnet.Ed25519); err != nil {
				t.Fatal(err)
			}
			w.provider.Withdraw(old)
			w.provider.SetSigning(mailnet.Signing{Selector: old})
		}, mail.ErrKeyLookup},
		{"name server fails", func(_ *testing.T, w *world) {
			w.DNS.SetFault("k1._domainkey.example.org", mailnet.Fault{ServFail: true})
		}, mail.ErrKeyLookup},
		{"another record", func(_ *testing.T, w *world) {
			w.DNS.SetTXT("k1._domainkey.example.org", "v=spf1 -all")
		}, mail.ErrKeyRecord},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t)
			c.spoil(t, w)
			if err := w.provider.Reply(bounded(t), alice, w.challenge(t), mail.Response(response, fingerprint)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.verify(t); !errors.Is(err, c.expect) {
				t.Errorf("got %v, want %v", err, c.expect)
			}
		})
	}
}

// TestProviderKeepsAuthorsApart: a mailbox cannot write as another, unless its
// provider lets it; then the evidence is as bad as the provider.
func TestProviderKeepsAuthorsApart(t *testing.T) {
	w := start(t)
	challenge := w.challenge(t)
	to, raw, err := w.provider.ComposeReply(alice, challenge, mail.Response(response, fingerprint))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.provider.Send(bounded(t), "mallory@example.org", to, raw); !errors.Is(err, mailnet.ErrSpoof) {
		t.Errorf("got %v", err)
	}
	if err := w.provider.Send(bounded(t), "nobody@example.org", to, raw); !errors.Is(err, mailnet.ErrNoMailbox) {
		t.Errorf("got %v", err)
	}
	if err := w.provider.Send(bounded(t), alice, to, []byte("no mail")); !errors.Is(err, mailnet.ErrMessage) {
		t.Errorf("got %v", err)
	}
	w.provider.SetSigning(mailnet.Signing{AnyFrom: true})
	if err := w.provider.Send(bounded(t), "mallory@example.org", to, raw); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verify(t); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestReplyIsOrdinary: what people's programs do to a text survives, what
// people add does not.
func TestReplyIsOrdinary(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		expect error
	}{
		"as shown":     {mail.Response(response, fingerprint), nil},
		"CRLF":         {strings.ReplaceAll(mail.Response(response, fingerprint), "\n", "\r\n"), nil},
		"greeting":     {"Grüße\n\n" + mail.Response(response, fingerprint), mail.ErrExtraContent},
		"quoted below": {mail.Response(response, fingerprint) + "\n> Hello,\n", mail.ErrQuoted},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			if err := w.provider.Reply(bounded(t), alice, w.challenge(t), c.text); err != nil {
				t.Fatal(err)
			}
			if _, err := w.verify(t); !errors.Is(err, c.expect) {
				t.Errorf("got %v, want %v", err, c.expect)
			}
		})
	}
}

func TestMailboxes(t *testing.T) {
	w := start(t)
	client := w.Client("prover.example")
	raw := []byte("From: check@prover.example\r\n\r\nHello\r\n")
	send := func(to string) error { return client.Send(bounded(t), "", to, raw) }
	if err := send("nobody@example.org"); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("unknown mailbox: %v", err)
	}
	if err := send("ALICE@example.org"); err != nil {
		t.Errorf("capitals: %v", err)
	}
	if inbox, err := w.provider.Inbox(alice); err != nil || len(inbox) != 1 || !inbox[0].At.Equal(w.clock.now()) {
		t.Errorf("got %v, %v", inbox, err)
	}
	err := client.Deliver(bounded(t), "mx.example.org", w.Port("mx.example.org"), "", "bob@example.net", raw)
	if !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("relaying: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.provider.Wait(ctx, "mallory@example.org", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for nothing: %v", err)
	}
	w.provider.Delete(alice)
	if _, err := w.provider.Inbox(alice); !errors.Is(err, mailnet.ErrNoMailbox) {
		t.Errorf("deleted mailbox: %v", err)
	}
	if err := send(alice); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("mail to deleted mailbox: %v", err)
	}
	if _, err := w.AddProvider("example.org", mailnet.Ed25519); !errors.Is(err, mailnet.ErrTaken) {
		t.Errorf("a second provider of one domain: %v", err)
	}
	if w.Provider("example.org") != w.provider || w.Provider("example.net") != nil {
		t.Error("providers mixed up")
	}
}

// TestR23ProviderTakesNothingInClear speaks SMTP without STARTTLS.
func TestR23ProviderTakesNothingInClear(t *testing.T) {
	w := start(t)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", itoa(w.Port("mx.example.org"))), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	c, err := netsmtp.NewClient(conn, "mx.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("check@prover.example"); err == nil || !strings.HasPrefix(err.Error(), "530") {
		t.Errorf("got %v", err)
	}
}

// TestCloseEndsConversations: an open connection does not hold Close up.
func TestCloseEndsConversations(t *testing.T) {
	w := start(t)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", itoa(w.Port("mx.example.org"))), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if _, err := w.AddProvider("example.net", mailnet.Ed25519); !errors.Is(err, mailnet.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestKeys: rotation keeps what is under way valid, withdrawal does not.
func TestKeys(t *testing.T) {
	w := start(t)
	first := w.provider.Selector()
	second, err := w.provider.Rotate(mailnet.Ed25519)
	if err != nil || second == first || w.provider.Selector() != second {
		t.Fatalf("%q after %q, %v", second, first, err)
	}
	has := func(selector string) bool {
		txt, err := w.LookupKey(bounded(t), "example.org", selector)
		return err == nil && len(txt) == 1
	}
	if !has(first) || !has(second) {
		t.Error("rotation withdrew a key")
	}
	w.provider.Withdraw(first)
	if has(first) || !has(second) {
		t.Error("withdrawal")
	}
	if err := w.provider.Publish(first); err != nil || !has(first) {
		t.Errorf("publishing again: %v", err)
	}
	if err := w.provider.Publish("none"); !errors.Is(err, mailnet.ErrNoKey) {
		t.Errorf("got %v", err)
	}
	if _, err := w.provider.Rotate("dsa"); !errors.Is(err, mailnet.ErrNoKey) {
		t.Errorf("got %v", err)
	}
	if _, err := w.provider.Key("none"); !errors.Is(err, mailnet.ErrNoKey) {
		t.Errorf("got %v", err)
	}
	if k, err := w.provider.Key(first); err != nil || k.IsZero() {
		t.Errorf("got %v", err)
	}
}
