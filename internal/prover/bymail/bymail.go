// Package bymail is the method by mail reply (docs/spec/evidence.md, in the
// manner of RFC 8823). The prover sends half a nonce to the mailbox, from an
// address made for this one challenge; gives the other half to the client over
// TLS; and takes at that address one mail whose whole content is the response,
// signed by the domain of the mailbox (package possession/mail judges it):
//
//	client                  prover                   mail server of the domain
//	  │ POST /v1/challenges   │                                │
//	  │ ────────────────────> │ ── SMTP: part 1 ─────────────> │ ──> holder
//	  │ <── id, part 2 ────── │                                │      │
//	  │                       │ <── SMTP: response, DKIM ───── │ <────┘
//	  │ POST /v1/status       │ ── DNS: DKIM key ────────────> │
//	  │ ────────────────────> │
//	  │ <── receipt, reply ── │        second prover
//	  │ POST /v1/observations                │
//	  │ ───────────────────────────────────> │ ── DNS: DKIM key ──> …
//	  │ <── receipt ──────────────────────── │
//
// It promises that a reply counts only if package mail accepts it under a key
// looked up at that moment; that it is answered with success over SMTP only when
// its verdict is stored; and that mail in and out is encrypted. It does not
// check DNSSEC.
package bymail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/prover"
	"whither/internal/smtpout"
	"whither/possession"
	"whither/possession/mail"
	"whither/registry"
	"whither/wire"
)

// ErrBounce refuses mail without a return path.
var ErrBounce = errors.New("bymail: mail without a return path")

// Config is a prover's part in the mail of the world. Reply addresses are in the
// domain that is the party's id; its MX record names Host.
type Config struct {
	Party registry.PartyID
	// Host is the mail server's own name, in the greeting.
	Host string
	// Certificate gives the certificate for Host, at each connection.
	Certificate func() (*tls.Certificate, error)
	// Signing is the DKIM key of the challenges, published under the party's id.
	Signing mail.Signing
	// Out delivers challenges.
	Out *smtpout.Client
	// Resolver looks up the DKIM keys of the world; nil: the system's.
	Resolver *net.Resolver
	Now      func() time.Time
	Log      *slog.Logger
}

// Mail is the mail of one prover.
type Mail struct {
	config  Config
	metrics *metrics
}

var _ prover.Deliverer = (*Mail)(nil)

// New returns the mail of a prover.
func New(c Config) (*Mail, error) {
	if c.Now == nil || c.Log == nil || c.Out == nil || c.Certificate == nil || c.Host == "" || c.Signing.Key.IsZero() {
		return nil, errors.New("bymail: host, its certificate, signing key, clock and log are needed")
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return &Mail{config: c, metrics: newMetrics()}, nil
}

// Method returns the method for [prover.Config].
func (m *Mail) Method() prover.Method {
	return prover.Method{
		Challengers: map[possession.Kind]prover.Challenger{possession.MailReply: m},
		Witnesses:   map[possession.Kind]prover.Witness{possession.MailWitness: witness{m}, possession.MailRecheck: recheck{m}},
		Tellers:     map[string]prover.Teller{"mailto": m},
		Problem:     Problem,
		Metrics:     []prometheus.Collector{m.metrics.replies, m.metrics.sessions},
	}
}

// Begin tells the client the second part of the nonce and where the mail will
// come from.
func (m *Mail) Begin(_ context.Context, c *prover.Challenge) (wire.Challenge, error) {
	return wire.Challenge{Nonce: c.Nonce[mail.TokenSize:], From: m.address(c.Mailbox)}, nil
}

// Deliver sends the first part to the mailbox.
func (m *Mail) Deliver(ctx context.Context, c prover.Challenge) error {
	raw, err := mail.Challenge{
		From: m.address(c.Mailbox), To: c.CSI.Address(), Prover: m.config.Party.String(), Part1: token(c.Nonce),
		Fingerprint: c.Holder.ID().String(), Date: c.Started, Expires: c.Expires,
	}.Message(m.config.Signing)
	if err != nil {
		return err
	}
	err = m.config.Out.Send(ctx, "", c.CSI.Address(), raw)
	if errors.Is(err, smtpout.ErrTemporary) {
		return fmt.Errorf("%w: %w", prover.ErrLater, err)
	}
	return err
}

// address returns the reply address of a mailbox.
func (m *Mail) address(box prover.Mailbox) string { return box.Local() + "@" + m.config.Party.String() }

// token returns part 1 of a nonce as it stands in the subject.
func token(nonce [possession.NonceSize]byte) string {
	return mail.Token([mail.TokenSize]byte(nonce[:mail.TokenSize]))
}

// reply judges a mail to a mailbox. It returns nil when the challenge is proved
// by this very mail, which may come twice if an answer of ours was lost.
func (m *Mail) reply(ctx context.Context, p *prover.Prover, box prover.Mailbox, bounce bool, raw []byte) error {
	c, err := p.Open(ctx, box)
	if err != nil {
		return err
	}
	if c.State == prover.Proved {
		if !bytes.Equal(c.Artefact, raw) {
			return prover.ErrDecided
		}
		return nil
	}
	return p.Decide(ctx, c, func(ctx context.Context, now time.Time) (prover.Finding, error) {
		if bounce {
			return prover.Finding{}, ErrBounce
		}
		return m.judge(m.record(ctx), raw, mail.Want{
			Address: c.CSI.Address(), ReplyTo: m.address(c.Mailbox), Part1: token(c.Nonce),
			Response: possession.Response(c.CSI, c.Holder, c.Nonce), Fingerprint: c.Holder.ID().String(), Now: now,
		}, c.Started)
	})
}

// judge verifies a reply. A domain whose clock is wrong must not make evidence
// that is older than the question: before earliest, the time when we saw it
// counts.
func (m *Mail) judge(record lookup, raw []byte, w mail.Want, earliest time.Time) (prover.Finding, error) {
	report, err := mail.Verify(raw, w, record)
	if err != nil {
		return prover.Finding{}, err
	}
	f := prover.Finding{Artefact: raw, Level: possession.Level4, KeySeen: report.KeyDigest, Evidence: report.SignedAt}
	if f.Evidence.Before(earliest) {
		f.Evidence = time.Time{}
	}
	return f, nil
}

// lookupTimeout bounds one look-up of a DKIM key; a mail causes at most
// mail.MaxSignatures of them.
const lookupTimeout = 5 * time.Second

// lookup finds the key records of a domain's selector.
type lookup func(domain, selector string) ([]string, error)

// record returns the look-up of DKIM keys for one mail. What is not published
// is an empty record, which nobody's signature verifies under; only trouble on
// the way is an error, which may pass.
func (m *Mail) record(ctx context.Context) lookup {
	return func(domain, selector string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		// The last dot keeps the search list of the machine out of it.
		txt, err := m.config.Resolver.LookupTXT(ctx, selector+"._domainkey."+domain+".")
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
			return nil, nil
		}
		return txt, err
	}
}

// witness judges replies that another prover got.
type witness struct{ *Mail }

var _ prover.Witness = witness{}

// Witness judges a reply with a look-up of its own.
func (w witness) Witness(ctx context.Context, t prover.Testimony) (prover.Finding, error) {
	return w.witness(w.record(ctx), t)
}

// recheck judges replies that another prover got, under a key that it is handed.
// Whether the domain had published that key it does not know, and its receipt
// says so.
type recheck struct{ *Mail }

var _ prover.Witness = recheck{}

// Witness judges a reply under the key that it is handed.
func (r recheck) Witness(_ context.Context, t prover.Testimony) (prover.Finding, error) {
	return r.witness(func(string, string) ([]string, error) { return []string{string(t.Published)}, nil }, t)
}

// witness judges a reply that another prover got.
func (m *Mail) witness(record lookup, t prover.Testimony) (prover.Finding, error) {
	replyTo, err := recipient(t.Artefact, t.Challenger)
	if err != nil {
		return prover.Finding{}, err
	}
	// Whenever the challenge was: evidence that is too old is refused by its time.
	return m.judge(record, t.Artefact, mail.Want{
		Address: t.CSI.Address(), ReplyTo: replyTo, Part1: token(t.Nonce),
		Response: possession.Response(t.CSI, t.Holder, t.Nonce), Fingerprint: t.Holder.ID().String(), Now: t.Now,
	}, time.Time{})
}

// recipient returns the address that a reply went to, if it is one of the
// challenger's. It is read kindly here: [mail.Verify] reads it again, strictly,
// and wants exactly this one.
func recipient(raw []byte, challenger registry.PartyID) (string, error) {
	if len(raw) > mail.MaxSize {
		return "", mail.ErrTooLarge
	}
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", mail.ErrMalformed // the parser's words may quote the message
	}
	to, err := netmail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return "", mail.ErrWrongRecipient
	}
	address := strings.ToLower(to.Address)
	local, domain, ok := strings.Cut(address, "@")
	if _, box := prover.ParseMailbox(local); !ok || domain != challenger.String() || !box {
		return "", mail.ErrWrongRecipient
	}
	return address, nil
}
