package bymail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"whither/internal/prover"
	"whither/internal/prover/drain"
	"whither/possession/mail"
)

// Bounds of the mail server.
const (
	// MaxReply is the largest mail that is taken, in bytes. A reply is two to
	// eight kilobytes.
	MaxReply = prover.MaxArtefact

	maxConnections = 200
	smtpTimeout    = time.Minute      // for one command or one whole message
	verdictTimeout = 20 * time.Second // for look-ups and the store
	drainTimeout   = 10 * time.Second // for verdicts under way at a stop
)

// Serve takes replies for a prover on l until ctx ends, then finishes the
// verdicts under way. It closes l.
func (m *Mail) Serve(ctx context.Context, p *prover.Prover, l net.Listener) error {
	// Verdicts outlive ctx by drainTimeout.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	open := drain.New(l, maxConnections, m.metrics.sessions.Add)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{mail: m, prover: p, base: base, conn: c}, nil
	}))
	server.Domain = m.config.Host
	server.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS12, // the mail servers of the world are not the federation's
		Time:       m.config.Now,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return m.config.Certificate()
		},
	}
	server.MaxMessageBytes = MaxReply
	server.MaxRecipients = 1
	server.ReadTimeout, server.WriteTimeout = smtpTimeout, smtpTimeout
	server.ErrorLog = silent{}
	served := make(chan error, 1)
	go func() { served <- server.Serve(open) }()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("bymail: %w", err)
		_ = l.Close()
	case <-ctx.Done():
		_ = l.Close()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			m.config.Log.ErrorContext(ctx, "mail server ended badly", slog.Any("error", err))
		}
	}
	open.Stop()
	if !open.Wait(drainTimeout) {
		cancel() // verdicts that still look something up become "try again"
		open.Wait(time.Second)
		open.CloseAll()
	}
	return err
}

// silent takes go-smtp's complaints: they name clients' addresses.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// session is one SMTP session.
type session struct {
	mail   *Mail
	prover *prover.Prover
	base   context.Context //nolint:containedctx // go-smtp hands none to its sessions
	conn   *smtp.Conn

	mu       sync.Mutex // go-smtp may reset while a chunked message comes in
	envelope envelope
}

// envelope is where a message comes from and goes to.
type envelope struct {
	bounce bool
	box    prover.Mailbox
}

var _ smtp.Session = (*session)(nil)

// Mail takes the reverse-path, but not in clear. The empty one is refused with
// the message, not here: mail servers try an address with it before they take a
// mail from there.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if _, ok := s.conn.TLSConnectionState(); !ok {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	}
	s.set(func(e *envelope) { e.bounce = from == "" })
	return nil
}

// Rcpt takes an address that a challenge which is not decided came from.
// Nothing is relayed.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, domain, _ := strings.Cut(strings.ToLower(to), "@")
	if domain != s.mail.config.Party.String() {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Relaying denied"}
	}
	box, ok := prover.ParseMailbox(local)
	if !ok {
		return noSuchMailbox()
	}
	ctx, cancel := context.WithTimeout(s.base, verdictTimeout)
	defer cancel()
	if _, err := s.prover.Open(ctx, box); err != nil {
		return s.answer(err)
	}
	s.set(func(e *envelope) { e.box = box })
	return nil
}

func noSuchMailbox() error {
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox"}
}

// Data judges the message. Success means that the verdict is stored.
func (s *session) Data(r io.Reader) error {
	to := s.set(func(*envelope) {})
	raw, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, smtp.ErrDataTooLarge) {
		// It broke off, or was given up between two chunks. go-smtp must not go on
		// to a next message: it could hand this one's answer to that one.
		_ = s.conn.Close()
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, verdictTimeout)
	defer cancel()
	if err != nil {
		err = s.tooLarge(ctx, to.box)
	} else {
		err = s.mail.reply(ctx, s.prover, to.box, to.bounce, raw)
	}
	s.mail.metrics.reply(s.prover, err)
	if err == nil {
		return nil
	}
	return s.answer(err)
}

// tooLarge refuses a reply that was not read to its end.
func (s *session) tooLarge(ctx context.Context, box prover.Mailbox) error {
	c, err := s.prover.Open(ctx, box)
	if err != nil {
		return err
	}
	return s.prover.Decide(ctx, c, func(context.Context, time.Time) (prover.Finding, error) {
		return prover.Finding{}, mail.ErrTooLarge
	})
}

// answer puts an error into the words of SMTP: for good where the same mail can
// never be right, for now where it may. The words are the catalogue's and name
// nobody.
func (s *session) answer(err error) error {
	k := s.prover.Problem(err)
	switch {
	case errors.Is(err, prover.ErrUnknown):
		return noSuchMailbox()
	case prover.Passing(k):
		if k == "" {
			s.mail.config.Log.ErrorContext(s.base, "reply not judged", slog.Any("error", err))
		}
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Cannot judge this now; try again"}
	}
	row := k.Row()
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: row.Title + "; " + row.Do}
}

// Reset forgets the transaction.
func (s *session) Reset() { s.set(func(e *envelope) { *e = envelope{} }) }

// set changes the envelope and returns it.
func (s *session) set(change func(*envelope)) envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.envelope)
	return s.envelope
}

// Logout ends the session.
func (s *session) Logout() error { return nil }
