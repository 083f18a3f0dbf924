// Package resolver asks one resolver for TXT records, and hears what it says
// about DNSSEC: a security-aware stub resolver that does not validate itself
// (RFC 4033 section 7, RFC 4035 section 4.9). Its spec is docs/spec/observation.md.
//
// It promises that an answer is one to the very question: same random id, port
// and name, over UDP and, where that is cut short, over TCP; that chains of
// CNAME records are followed within the answer and end; and that "there is no
// such record" (NXDOMAIN, or a name without TXT records) is another error than
// "nobody can tell now" (SERVFAIL, silence, nonsense). What a validating
// resolver finds bogus it answers with SERVFAIL, so that it is never taken for
// an answer.
//
// It believes the resolver. It heeds the AD bit (RFC 6840 section 5.8) only if
// nobody can stand between: the resolver is on loopback, or the operator says
// that the way to it is protected. It does not check signatures, and keeps
// nothing: how old an answer may be is the resolver's cache's setting.
//
// Errors hold no names: a domain can be a person's.
package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Errors.
var (
	ErrNoRecord    = errors.New("resolver: there is no such record")
	ErrFailed      = errors.New("resolver: the resolver cannot tell; what DNSSEC finds bogus is answered so, too")
	ErrUnreachable = errors.New("resolver: no answer from the resolver")
	ErrMalformed   = errors.New("resolver: the resolver's answer is malformed")
	ErrName        = errors.New("resolver: not a domain name")
	ErrAddress     = errors.New("resolver: want the address of a resolver as ip:port")
)

// Bounds.
const (
	// udpSize is what we take over UDP (RFC 9715: no fragments).
	udpSize = 1232
	tries   = 2
	// timeout bounds one try, over UDP or TCP.
	timeout = 2 * time.Second
)

// Client asks one resolver. It is safe for concurrent use.
type Client struct {
	address   string
	protected bool
}

// New returns a client of the resolver at address, ip:port. protected says that
// nobody between here and there can change an answer; on loopback that is so.
func New(address string, protected bool) (*Client, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Port() == 0 {
		return nil, ErrAddress
	}
	return &Client{address: address, protected: protected || at.Addr().Unmap().IsLoopback()}, nil
}

// Answer is what was found.
type Answer struct {
	// Texts are the TXT records, each with its strings joined; at least one.
	Texts []string
	// Authentic: the resolver validated the answer, from the root down, and we
	// can believe that it is the resolver who says so.
	Authentic bool
}

// TXT returns the TXT records of a name. The name is complete, with or without
// its last dot; no search list is tried.
func (c *Client) TXT(ctx context.Context, name string) (Answer, error) {
	r, err := c.ask(ctx, name, dnsmessage.TypeTXT)
	if err != nil {
		return Answer{}, err
	}
	if len(r.texts) == 0 {
		return Answer{}, ErrNoRecord
	}
	return Answer{Texts: r.texts, Authentic: r.authentic && c.protected}, nil
}

// typeDNSKEY is the type of the keys that zones are signed with (RFC 4034).
const typeDNSKEY dnsmessage.Type = 48

// Validates reports whether the resolver validates at all, and can be believed:
// it calls the keys of a zone that is known to be signed authentic. The root is
// one. Without that, an answer that is not authentic says nothing.
func (c *Client) Validates(ctx context.Context, signed string) (bool, error) {
	r, err := c.ask(ctx, signed, typeDNSKEY)
	if errors.Is(err, ErrNoRecord) {
		return false, nil
	}
	return err == nil && r.authentic && c.protected, err
}

// ask sends one question, over UDP and, if the answer is cut short there, over TCP.
func (c *Client) ask(ctx context.Context, name string, of dnsmessage.Type) (reply, error) {
	q, err := newQuestion(name, of)
	if err != nil {
		return reply{}, err
	}
	var r reply
	for range tries {
		if r, err = c.overUDP(ctx, q); !errors.Is(err, ErrUnreachable) {
			break
		}
	}
	if errors.Is(err, errTruncated) || errors.Is(err, ErrMalformed) {
		r, err = c.overTCP(ctx, q)
	}
	return r, err
}

// unreachable says why there is no answer, without addresses.
func unreachable(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// newQuestion draws the id of a question. The port, which is the other part that
// a stranger would have to guess, is the system's choice for each socket.
func newQuestion(name string, of dnsmessage.Type) (question, error) {
	n, err := parseName(name)
	if err != nil {
		return question{}, err
	}
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return question{}, fmt.Errorf("resolver: %w", err)
	}
	return question{id: binary.BigEndian.Uint16(id[:]), name: n, of: of}, nil
}

// dial connects within the time of one try, which bounds all that is done with
// the connection.
func (c *Client) dial(ctx context.Context, network string) (net.Conn, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, c.address)
	if err != nil {
		cancel()
		return nil, nil, unreachable(err)
	}
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // who asked may have gone
	end := func() {
		stop()
		cancel()
		_ = conn.Close()
	}
	if err := conn.SetDeadline(deadline); err != nil {
		end()
		return nil, nil, unreachable(err)
	}
	return conn, end, nil
}

// overUDP asks once. Datagrams that are no answer to the question may be a
// stranger's: the next one is waited for.
func (c *Client) overUDP(ctx context.Context, q question) (reply, error) {
	conn, end, err := c.dial(ctx, "udp")
	if err != nil {
		return reply{}, err
	}
	defer end()
	packed, err := q.pack()
	if err != nil {
		return reply{}, err
	}
	if _, err := conn.Write(packed); err != nil {
		return reply{}, unreachable(err)
	}
	buffer := make([]byte, udpSize+1)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return reply{}, unreachable(err)
		}
		if n > udpSize {
			continue // we said that we would not take it
		}
		if r, err := q.parse(buffer[:n]); !errors.Is(err, errForeign) {
			return r, err
		}
	}
}

// overTCP asks once (RFC 7766). Nobody else can write into the connection
// without seeing it, so the first answer counts.
func (c *Client) overTCP(ctx context.Context, q question) (reply, error) {
	conn, end, err := c.dial(ctx, "tcp")
	if err != nil {
		return reply{}, err
	}
	defer end()
	packed, err := q.pack()
	if err != nil {
		return reply{}, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		return reply{}, unreachable(err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return reply{}, unreachable(err)
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return reply{}, unreachable(err)
	}
	r, err := q.parse(answer)
	if errors.Is(err, errForeign) || errors.Is(err, errTruncated) {
		return reply{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, err
}
