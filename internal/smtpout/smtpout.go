// Package smtpout delivers one message to the mail server of one address:
// SMTP (RFC 5321) with STARTTLS (RFC 3207) and a verified certificate, or not
// at all.
//
// It promises that neither the message nor its envelope crosses the wire in
// clear or to a server that does not prove its name; that a delivery ends
// within its timeout whatever the other side does; that nothing but CRLF ends a
// line, so that no message smuggles a second one; and that no error says an
// address, not even one that the server quotes.
//
// It does not queue and does not try again: [ErrTemporary] says when the caller
// should. It does not sign; see whither/internal/dkim. TLS 1.2 is accepted,
// since the mail servers of the world are not the federation's.
package smtpout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Bounds.
const (
	// DefaultPort is the port of mail servers.
	DefaultPort = 25
	// DefaultTimeout bounds one [Client.Send].
	DefaultTimeout = time.Minute
	// maxServers bounds the servers of a domain that are tried.
	maxServers = 4
	// maxReplies bounds what a server may say, in bytes, TLS included.
	maxReplies = 256 << 10
)

// Errors. Every error of a delivery is an [*Error] and one of ErrTemporary and
// ErrPermanent.
var (
	ErrConfig    = errors.New("smtpout: incomplete configuration")
	ErrMessage   = errors.New("smtpout: not a message or an envelope")
	ErrTemporary = errors.New("smtpout: may succeed later")
	ErrPermanent = errors.New("smtpout: will not succeed")
)

// Error says at which stage a delivery ended.
type Error struct {
	Stage     Stage
	Code      int // of the server's reply, 0 if there was none
	Permanent bool
	cause     error
}

// Stage is a part of a delivery.
type Stage string

// The stages in their order.
const (
	StageLookup  Stage = "look up mail server"
	StageConnect Stage = "connect"
	StageHello   Stage = "hello"
	StageTLS     Stage = "start TLS"
	StageSender  Stage = "sender"
	StageRcpt    Stage = "recipient"
	StageData    Stage = "data"
)

// Error leaves out what the server or the resolver said: they quote addresses.
func (e *Error) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("smtpout: %s failed", e.Stage)
	}
	return fmt.Sprintf("smtpout: %s refused with %d", e.Stage, e.Code)
}

// Unwrap returns ErrTemporary or ErrPermanent, and the cause; the text of the
// cause may contain addresses.
func (e *Error) Unwrap() []error {
	kind := ErrTemporary
	if e.Permanent {
		kind = ErrPermanent
	}
	return []error{kind, e.cause}
}

// failed makes an Error of what a stage returned. A refusal is permanent if its
// code says so (RFC 5321 section 4.2.1).
func failed(stage Stage, cause error) *Error {
	e := &Error{Stage: stage, cause: cause}
	var reply *textproto.Error
	if errors.As(cause, &reply) {
		e.Code, e.Permanent = reply.Code, reply.Code >= 500
	}
	return e
}

// Client sends mail. Its fields are not changed once it is in use.
type Client struct {
	// Hello is the name for EHLO: the sender's own host name. Required.
	Hello string
	// Roots are the authorities for servers' certificates; nil: the system's.
	Roots *x509.CertPool
	// Resolver finds mail servers and their addresses; nil: the system's.
	Resolver *net.Resolver
	// Port says at which port a mail server listens; nil: at DefaultPort.
	Port func(host string) int
	// Timeout bounds one Send or Deliver; zero: DefaultTimeout.
	Timeout time.Duration
	// Now is the clock for certificates; nil: the system's.
	Now func() time.Time
}

// Send delivers raw to the mail servers of to's domain, in their order, until
// one takes it or refuses for good. from is the reverse-path, "" for none.
func (c *Client) Send(ctx context.Context, from, to string, raw []byte) error {
	if err := check(from, to, raw); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	hosts, err := c.servers(ctx, to[strings.LastIndexByte(to, '@')+1:])
	if err != nil {
		return err
	}
	for _, host := range hosts {
		err = c.Deliver(ctx, host, c.port(host), from, to, raw)
		if err == nil || errors.Is(err, ErrPermanent) || errors.Is(err, ErrConfig) {
			return err
		}
	}
	return err
}

// Deliver delivers raw to the mail server at host and port. The certificate
// must be for host.
func (c *Client) Deliver(ctx context.Context, host string, port int, from, to string, raw []byte) error {
	if c.Hello == "" {
		return ErrConfig
	}
	if err := check(from, to, raw); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	dialer := net.Dialer{Resolver: c.Resolver}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return failed(StageConnect, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err = c.converse(&boundedConn{Conn: conn, left: maxReplies}, host, from, to, raw)
	if e := (*Error)(nil); ctx.Err() != nil && errors.As(err, &e) {
		e.cause = errors.Join(ctx.Err(), e.cause) // not the closed connection alone
	}
	return err
}

// converse speaks SMTP on an open connection.
func (c *Client) converse(conn net.Conn, host, from, to string, raw []byte) error {
	session, err := smtp.NewClient(conn, host)
	if err != nil {
		return failed(StageConnect, err)
	}
	for _, step := range []struct {
		stage Stage
		run   func() error
	}{
		{StageHello, func() error { return session.Hello(c.Hello) }},
		{StageTLS, func() error {
			return session.StartTLS(&tls.Config{ServerName: host, RootCAs: c.Roots, Time: c.Now, MinVersion: tls.VersionTLS12})
		}},
		{StageSender, func() error { return session.Mail(from) }},
		{StageRcpt, func() error { return session.Rcpt(to) }},
		{StageData, func() error { return data(session, raw) }},
	} {
		if err := step.run(); err != nil {
			e := failed(step.stage, err)
			// Whoever sits between may strip STARTTLS or answer in its place,
			// so what happens before TLS stands proves nothing for good.
			e.Permanent = e.Permanent && step.stage != StageHello && step.stage != StageTLS
			return e
		}
	}
	_ = session.Quit() // the server has taken the message; how it parts is its business
	return nil
}

func data(session *smtp.Client, raw []byte) error {
	w, err := session.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}

// servers returns the mail servers of a domain in the order of their
// preference, or the domain itself if it names none (RFC 5321 section 5.1).
func (c *Client) servers(ctx context.Context, domain string) ([]string, error) {
	resolver := c.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	// The last dot keeps the search list of the machine out of it.
	found, err := resolver.LookupMX(ctx, domain+".")
	var dns *net.DNSError
	if len(found) == 0 && errors.As(err, &dns) && dns.IsNotFound {
		return []string{domain}, nil
	}
	var hosts []string
	for _, mx := range found { // sorted by preference; invalid names are left out
		host := strings.TrimSuffix(mx.Host, ".")
		if host == "" { // RFC 7505: the domain takes no mail
			return nil, &Error{Stage: StageLookup, Permanent: true, cause: errors.New("null MX")}
		}
		if len(hosts) < maxServers {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil, failed(StageLookup, err)
	}
	return hosts, nil
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

func (c *Client) port(host string) int {
	if c.Port != nil {
		return c.Port(host)
	}
	return DefaultPort
}

// check refuses what would be read as more than one message or one command.
func check(from, to string, raw []byte) error {
	at := strings.LastIndexByte(to, '@')
	if at < 1 || at == len(to)-1 || strings.ContainsFunc(from+to, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' }) {
		return fmt.Errorf("%w: envelope", ErrMessage)
	}
	rest := bytes.ReplaceAll(raw, []byte("\r\n"), nil)
	if len(raw) == 0 || bytes.ContainsAny(rest, "\r\n\x00") {
		return fmt.Errorf("%w: line ends", ErrMessage)
	}
	return nil
}

// boundedConn ends a connection on which too much was received: a reply has no
// length, and the reader keeps all of it.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("smtpout: server says too much")
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
