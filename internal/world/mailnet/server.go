package mailnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Bounds of a provider's mail server.
const (
	maxMessage   = 1 << 20 // bytes
	maxRcpt      = 10
	idleTimeout  = 10 * time.Second
	closeTimeout = 5 * time.Second
)

// mailServer is the listening half of a Provider.
type mailServer struct {
	smtp     *smtp.Server
	listener *trackingListener
	port     int
	served   chan struct{} // closed when the listener is
}

func startServer(p *Provider, certificate tls.Certificate) (*mailServer, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.ParseIP(p.net.at.Address), Port: p.net.at.MailPort})
	if err != nil {
		return nil, fmt.Errorf("mailnet: %w", err)
	}
	address, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("mailnet: %w", err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{provider: p, conn: c}, nil
	}))
	server.Domain = p.host
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.MaxMessageBytes = maxMessage
	server.MaxRecipients = maxRcpt
	server.ReadTimeout, server.WriteTimeout = idleTimeout, idleTimeout
	server.ErrorLog = silent{}
	s := &mailServer{
		smtp: server, listener: &trackingListener{Listener: listener, conns: make(map[net.Conn]struct{})},
		port: int(address.Port()), served: make(chan struct{}),
	}
	go func() {
		defer close(s.served)
		_ = server.Serve(s.listener) // ends when the listener is closed
	}()
	return s, nil
}

// close ends the listener and every connection, and waits for what served them.
func (s *mailServer) close() error {
	_ = s.listener.Close()
	s.listener.closeAll()
	<-s.served
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := s.smtp.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, smtp.ErrServerClosed) {
		return fmt.Errorf("mailnet: %w", err)
	}
	return nil
}

// silent takes the server's complaints about connections that break off, which
// in tests they are meant to.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// trackingListener knows its open connections.
type trackingListener struct {
	net.Listener
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func (l *trackingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	l.conns[c] = struct{}{}
	return &trackedConn{Conn: c, listener: l}, nil
}

func (l *trackingListener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for c := range l.conns {
		_ = c.Close()
	}
}

type trackedConn struct {
	net.Conn
	listener *trackingListener
}

func (c *trackedConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c.Conn)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// session is one SMTP session with a provider's server.
type session struct {
	provider *Provider
	conn     *smtp.Conn
	from     string
	to       []string
}

var _ smtp.Session = (*session)(nil)

// Mail takes the reverse-path, but not in clear.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if _, ok := s.conn.TLSConnectionState(); !ok {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	}
	s.from = from
	return nil
}

// Rcpt takes a recipient who has a mailbox here; the provider relays for nobody.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	_, domain, _ := strings.Cut(to, "@")
	switch {
	case !strings.EqualFold(domain, s.provider.domain):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Relaying denied"}
	case s.provider.puttingOff():
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Try again later"}
	case !s.provider.has(to):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox: " + to}
	}
	s.to = append(s.to, to)
	return nil
}

// Data stores the message with the trace fields of a last hop.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	now := s.provider.net.now()
	trace := fmt.Sprintf("Return-Path: <%s>\r\nReceived: from %s by %s with ESMTPS;\r\n\t%s\r\n",
		s.from, s.conn.Hostname(), s.provider.host, now.UTC().Format(time.RFC1123Z))
	for _, to := range s.to {
		s.provider.store(to, Message{From: s.from, Raw: append([]byte(trace), raw...), At: now})
	}
	return nil
}

// Reset forgets the transaction.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout ends the session.
func (s *session) Logout() error { return nil }
