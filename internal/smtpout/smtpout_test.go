package smtpout_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"whither/internal/smtpout"
	"whither/internal/world/mailnet"
)

const message = "From: check@prover.example\r\nTo: alice@example.org\r\n\r\nHello\r\n.leading dot\r\n"

func network(t *testing.T) *mailnet.Network {
	t.Helper()
	before := runtime.NumGoroutine()
	n, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		for range 100 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	})
	return n
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func send(t *testing.T, n *mailnet.Network) error {
	t.Helper()
	return n.Client("prover.example").Send(bounded(t), "", "alice@example.org", []byte(message))
}

// checkRefusal checks kind and stage, and that no address is told.
func checkRefusal(t *testing.T, err, kind error, stage smtpout.Stage) {
	t.Helper()
	var e *smtpout.Error
	if !errors.As(err, &e) || !errors.Is(err, kind) || e.Stage != stage {
		t.Fatalf("got %v, want %v at %q", err, kind, stage)
	}
	if strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "example") {
		t.Errorf("error tells too much: %v", err)
	}
}

func TestSend(t *testing.T) {
	n := network(t)
	p, err := n.AddProvider("example.org", mailnet.Ed25519, "alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := send(t, n); err != nil {
		t.Fatal(err)
	}
	m, err := p.Wait(bounded(t), "alice@example.org", nil)
	if err != nil || !strings.HasSuffix(string(m.Raw), message) || m.From != "" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestSendRefusals(t *testing.T) {
	n := network(t)
	p, err := n.AddProvider("example.org", mailnet.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, send(t, n), smtpout.ErrPermanent, smtpout.StageRcpt) // no such mailbox
	p.Open("alice@example.org")
	p.PutOff(1)
	checkRefusal(t, send(t, n), smtpout.ErrTemporary, smtpout.StageRcpt)
	if err := send(t, n); err != nil {
		t.Errorf("second try: %v", err)
	}
	n.DNS.SetFault("example.org", mailnet.Fault{ServFail: true})
	checkRefusal(t, send(t, n), smtpout.ErrTemporary, smtpout.StageLookup)
	n.DNS.SetFault("example.org", mailnet.Fault{})
	n.DNS.SetMX("example.org", ".")
	checkRefusal(t, send(t, n), smtpout.ErrPermanent, smtpout.StageLookup)
	n.DNS.SetMX("example.org")
	checkRefusal(t, send(t, n), smtpout.ErrTemporary, smtpout.StageConnect) // the domain itself has no address
}

// TestSecondServer: a server that is down is passed over, one that refuses is not.
func TestSecondServer(t *testing.T) {
	n := network(t)
	if _, err := n.AddProvider("example.org", mailnet.Ed25519, "alice@example.org"); err != nil {
		t.Fatal(err)
	}
	n.DNS.SetMX("example.org", "down.example.org", "mx.example.org")
	n.Announce("down.example.org", unusedPort(t))
	if err := send(t, n); err != nil {
		t.Error(err)
	}
}

func unusedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestR23CertificateMustNameServer: whoever answers for a name without a
// certificate for it gets nothing.
func TestR23CertificateMustNameServer(t *testing.T) {
	n := network(t)
	if _, err := n.AddProvider("example.net", mailnet.Ed25519, "alice@example.net"); err != nil {
		t.Fatal(err)
	}
	n.DNS.SetMX("example.org", "mx.example.org")
	n.Announce("mx.example.org", n.Port("mx.example.net"))
	checkRefusal(t, send(t, n), smtpout.ErrTemporary, smtpout.StageTLS)

	c := n.Client("prover.example")
	c.Roots = network(t).Roots()
	err := c.Send(bounded(t), "", "alice@example.net", []byte(message))
	checkRefusal(t, err, smtpout.ErrTemporary, smtpout.StageTLS)
	c.Roots, c.Now = n.Roots(), func() time.Time { return time.Now().AddDate(200, 0, 0) }
	err = c.Send(bounded(t), "", "alice@example.net", []byte(message))
	checkRefusal(t, err, smtpout.ErrTemporary, smtpout.StageTLS)
}

// script runs a server that says what it is told to, and returns what it heard
// on each connection.
func script(t *testing.T, n *mailnet.Network, serve func(net.Conn, *bufio.Reader)) <-chan string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			var all strings.Builder
			serve(conn, bufio.NewReader(tee{conn, &all}))
			_ = conn.Close()
			heard <- all.String()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	n.Announce("mx.example.org", l.Addr().(*net.TCPAddr).Port)
	n.DNS.SetMX("example.org", "mx.example.org")
	return heard
}

type tee struct {
	net.Conn
	all *strings.Builder
}

func (r tee) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.all.Write(b[:n])
	return n, err
}

// TestR23NothingInClear: without STARTTLS, or with a server that goes on in
// clear, neither address nor message is sent.
func TestR23NothingInClear(t *testing.T) {
	for name, starttls := range map[string]string{
		"refused":             "502 5.5.1 no",
		"taken but not begun": "220 go ahead\r\n250 mx.example.org\r\n250 ok\r\n250 ok\r\n354 ok\r\n250 ok",
	} {
		t.Run(name, func(t *testing.T) {
			n := network(t)
			heard := script(t, n, func(conn net.Conn, r *bufio.Reader) {
				fmt.Fprint(conn, "220 mx.example.org\r\n")
				for {
					line, err := r.ReadString('\n')
					switch {
					case err != nil:
						return
					case strings.HasPrefix(line, "EHLO"):
						fmt.Fprint(conn, "250-mx.example.org\r\n250 8BITMIME\r\n")
					case strings.HasPrefix(line, "STARTTLS"):
						fmt.Fprint(conn, starttls+"\r\n")
					default:
						fmt.Fprint(conn, "250 ok\r\n")
					}
				}
			})
			checkRefusal(t, send(t, n), smtpout.ErrTemporary, smtpout.StageTLS)
			if all := <-heard; strings.Contains(all, "alice") || strings.Contains(all, "MAIL") || strings.Contains(all, "Hello\r\n") {
				t.Errorf("server heard %q", all)
			} else if !strings.HasPrefix(all, "EHLO prover.example\r\nSTARTTLS\r\n") {
				t.Errorf("server heard %q", all)
			}
		})
	}
}

// TestBoundedTime: a server that says nothing, says too much or never ends
// holds nobody up.
func TestBoundedTime(t *testing.T) {
	for name, serve := range map[string]func(net.Conn, *bufio.Reader){
		"silent": func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadString('\n') },
		"slow greeting": func(conn net.Conn, _ *bufio.Reader) {
			for range 1000 {
				if _, err := fmt.Fprint(conn, "220-\r\n"); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		},
		"endless greeting": func(conn net.Conn, _ *bufio.Reader) {
			line := "220-" + strings.Repeat("x", 4096)
			for {
				if _, err := fmt.Fprint(conn, line); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := network(t)
			script(t, n, serve)
			c := n.Client("prover.example")
			c.Timeout = 300 * time.Millisecond
			begun := time.Now()
			err := c.Send(bounded(t), "", "alice@example.org", []byte(message))
			checkRefusal(t, err, smtpout.ErrTemporary, smtpout.StageConnect)
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	n := network(t)
	script(t, n, func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadString('\n') })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Client("prover.example").Send(ctx, "", "alice@example.org", []byte(message)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRefusedBySender lists what is not sent at all.
func TestRefusedBySender(t *testing.T) {
	c := &smtpout.Client{Hello: "prover.example"}
	for name, m := range map[string][3]string{
		"command in recipient": {"", "alice@example.org>\r\nRCPT TO:<bob@example.net", message},
		"command in sender":    {"a@b\r\nQUIT", "alice@example.org", message},
		"blank in recipient":   {"", "alice @example.org", message},
		"no domain":            {"", "alice", message},
		"empty domain":         {"", "alice@", message},
		"no local part":        {"", "@example.org", message},
		"8-bit recipient":      {"", "alïce@example.org", message},
		"empty message":        {"", "alice@example.org", ""},
		"bare LF":              {"", "alice@example.org", "A: b\r\n\r\nx\n.\r\nMAIL FROM:<>"},
		"bare CR":              {"", "alice@example.org", "A: b\r\n\r\nx\r.\r"},
		"NUL":                  {"", "alice@example.org", "A: b\r\n\r\n\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.Send(t.Context(), m[0], m[1], []byte(m[2])); !errors.Is(err, smtpout.ErrMessage) {
				t.Errorf("send: %v", err)
			}
			if err := c.Deliver(t.Context(), "mx.example.org", 1, m[0], m[1], []byte(m[2])); !errors.Is(err, smtpout.ErrMessage) {
				t.Errorf("deliver: %v", err)
			}
		})
	}
	if err := new(smtpout.Client).Deliver(t.Context(), "mx.example.org", 1, "", "alice@example.org", []byte(message)); !errors.Is(err, smtpout.ErrConfig) {
		t.Errorf("without a name: %v", err)
	}
}

// TestRefusedInTLS: what a server refuses behind TLS, for good or for now.
func TestRefusedInTLS(t *testing.T) {
	for _, c := range []struct {
		replies map[string]string // by command
		kind    error
		stage   smtpout.Stage
	}{
		{map[string]string{"MAIL": "550 5.7.1 <alice@example.org> no"}, smtpout.ErrPermanent, smtpout.StageSender},
		{map[string]string{"RCPT": "452 4.2.2 alice@example.org is full"}, smtpout.ErrTemporary, smtpout.StageRcpt},
		{map[string]string{"DATA": "554 5.7.1 alice@example.org"}, smtpout.ErrPermanent, smtpout.StageData},
		{map[string]string{".": "451 4.3.0 alice@example.org"}, smtpout.ErrTemporary, smtpout.StageData},
	} {
		t.Run(string(c.stage), func(t *testing.T) {
			n := network(t)
			certificate, err := n.Certificate("mx.example.org")
			if err != nil {
				t.Fatal(err)
			}
			script(t, n, func(conn net.Conn, r *bufio.Reader) {
				fmt.Fprint(conn, "220 mx.example.org\r\n")
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
					reply, special := c.replies[command]
					switch {
					case special:
						fmt.Fprint(conn, reply+"\r\n")
					case command == "EHLO":
						fmt.Fprint(conn, "250-mx.example.org\r\n250 STARTTLS\r\n")
					case command == "STARTTLS":
						fmt.Fprint(conn, "220 go\r\n")
						secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
						conn, r = secured, bufio.NewReader(secured)
					case command == "DATA":
						fmt.Fprint(conn, "354 go\r\n")
					case command == "MAIL", command == "RCPT", command == ".":
						fmt.Fprint(conn, "250 ok\r\n")
					}
				}
			})
			checkRefusal(t, send(t, n), c.kind, c.stage)
		})
	}
}
