// Package sipin takes what telephones send to a prover: messages and calls by
// SIP (RFC 3261, RFC 3428). Its spec is docs/spec/stir.md, section "On the wire".
//
// It is a user agent server and nothing else: it registers nobody, forwards
// nothing, and calls nobody. Whoever embeds it (the [Owner]) judges:
//
//	carrier                    sipin                      owner
//	  │ MESSAGE sip:box@host     │                           │
//	  │ ───────────────────────> │ ── Message(request) ────> │ judges, stores
//	  │ <──────────── 200 or 4xx │ <──── nil or a Refusal ── │
//	  │                          │                           │
//	  │ INVITE sip:box@host      │                           │
//	  │ ───────────────────────> │ ── Call(request) ───────> │ judges
//	  │ <───────── 200, SDP, ACK │ <── Prompt or a Refusal ─ │
//	  │ INFO or RTP: keys        │                           │
//	  │ ───────────────────────> │ ── Enter(code) ─────────> │ judges, stores
//	  │ <─────────────────── BYE │ <──── nil or a Refusal ── │
//
// It promises that a MESSAGE is answered with success only when its owner has
// said so, which means that the verdict is stored; that a transaction is judged
// once and gets the same answer as often as it is asked again (section 17.2);
// that everything is bounded: sizes, connections, messages in a second by source
// and in all, transactions, verdicts under way, calls and their life; that what
// is over a bound costs next to nothing; that nothing it sends is larger than
// the request to which it is the answer by more than a few fields, and that
// nothing goes elsewhere than to where a request came from, so that it is of no
// use against third parties; and that it logs nothing at all: it counts
// ([Config.Count]) what it does by kind.
//
// It does not look at Identity fields, and believes no From, no
// P-Asserted-Identity and no Date: what they say counts only as far as a
// PASSporT says it, which the owner verifies.
//
// It sends no provisional response. Over UDP a client repeats its request until
// there is a final one, which is how a lost refusal is made good without timers
// here that would multiply what a forged source address asked for.
//
// Package syntax beside it reads and writes the grammar, on the library sipgo;
// connections and transactions are this package's own, since the library's have
// no bounds and log addresses (docs/adr/0026-sip-edge.md).
//
// Sizes are bytes.
package sipin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"whither/internal/sipin/syntax"
)

// Owner judges what arrives. Its methods are called from several goroutines. An
// error that is no [*Refusal] is trouble of the owner's own: the other side is
// told to try again.
type Owner interface {
	// Message judges a MESSAGE. Nil says that the verdict is stored.
	Message(ctx context.Context, r Request) error
	// Call judges an INVITE. If the error is nil, the call is answered.
	Call(ctx context.Context, r Request) (Prompt, error)
}

// Request is what an owner is given.
type Request struct {
	// User is the user part of the Request-URI, which names the challenge.
	User string
	// Identity are the values of the Identity fields, unfolded, in their order.
	Identity []string
	// Type is the media type of the body, in lower case, without parameters.
	Type string
	Body []byte
}

// Prompt says what a caller is asked for.
type Prompt struct {
	// Digits is how many keys make the code; # ends it earlier, * begins anew.
	Digits int
	// Notice is a sentence for the caller, in printable ASCII. It stands in the
	// Warning field of the answer, which is the place for words to a person.
	Notice string
	// Enter judges the code. It is called once at most; then the call is ended.
	Enter func(ctx context.Context, code string) error
}

// Refusal is an answer other than success.
type Refusal struct {
	// Code is of SIP, 400 to 699.
	Code int
	// Reason is the reason phrase, Advice what the person can do: both in
	// printable ASCII, and both name nobody.
	Reason, Advice string
}

// Error returns the reason.
func (r *Refusal) Error() string { return "sipin: " + r.Reason }

// Config is what a server depends on.
type Config struct {
	// Host is this server's name, which stands in Warning and Contact fields.
	Host string
	// Contact is where requests within a call are sent, host or host:port; empty:
	// Host.
	Contact string
	// Media is the address for the sound of calls; empty: calls are refused.
	Media string
	// Announcement is what callers hear: sound of 8,000 samples a second in
	// G.711 µ-law. Empty: silence.
	Announcement []byte
	// TLS is for the TLS listener.
	TLS *tls.Config
	// Bounds are caps; zero: DefaultBounds.
	Bounds Bounds
	// Count is told what happened, by one of the names in Events; it may be nil.
	Count func(event string)
}

// Bounds are caps on what others can cause.
type Bounds struct {
	PerSource   int // messages in a second from one address, or one /64 of IPv6,
	Total       int // and in all: by datagrams, and as many by connections
	Connections int // open TCP and TLS connections in all
	Verdicts    int // verdicts under way
	Calls       int // answered calls
}

// DefaultBounds returns caps for a prover of a small federation: carriers send
// from few addresses.
func DefaultBounds() Bounds {
	return Bounds{PerSource: 100, Total: 1000, Connections: 200, Verdicts: 64, Calls: 50}
}

func (b Bounds) valid() bool {
	return min(b.PerSource, b.Total, b.Connections, b.Verdicts, b.Calls) > 0
}

// Events are what Count is told.
func Events() []string {
	return []string{
		eventMessage, eventCall, eventCode, eventRefused, eventRepeated, eventMalformed, eventFlood, eventBusy, eventOther,
	}
}

const (
	eventMessage   = "message"   // a MESSAGE was judged and accepted
	eventCall      = "call"      // a call was answered
	eventCode      = "code"      // its code was accepted
	eventRefused   = "refused"   // the owner refused
	eventRepeated  = "repeated"  // a request came again
	eventMalformed = "malformed" // not a message, or not one that is answered
	eventFlood     = "flood"     // over a bound by source or in all
	eventBusy      = "busy"      // too many verdicts, transactions or calls at once
	eventOther     = "other"     // any other request
)

// Time limits.
const (
	verdictTimeout = 20 * time.Second
	drainTimeout   = 10 * time.Second
	idleTimeout    = 5 * time.Minute // of a connection between messages
	messageTimeout = 10 * time.Second
	writeTimeout   = 5 * time.Second
	tick           = time.Second
)

// Server is a user agent server.
type Server struct {
	config Config
	owner  Owner
	parser *syntax.Parser
	// Datagrams have a meter of their own: anybody can send one in a carrier's name,
	// and must not use up what comes from it by connections.
	datagrams, streamed *meter
	past                *transactions
	calls               *calls
	slots               chan struct{} // one element for each verdict under way
	work                sync.WaitGroup
	base                context.Context //nolint:containedctx // of verdicts, which outlive the request that causes them
	cancel              context.CancelFunc
}

// ErrConfig refuses an incomplete configuration.
var ErrConfig = errors.New("sipin: incomplete configuration")

// New returns a server for an owner.
func New(c Config, o Owner) (*Server, error) {
	if c.Bounds == (Bounds{}) {
		c.Bounds = DefaultBounds()
	}
	if c.Host == "" || o == nil || !c.Bounds.valid() || strings.ContainsAny(c.Host+c.Contact, " \r\n<>\"") {
		return nil, ErrConfig
	}
	if c.Contact == "" {
		c.Contact = c.Host
	}
	if c.Count == nil {
		c.Count = func(string) {}
	}
	base, cancel := context.WithCancel(context.Background())
	return &Server{
		config: c, owner: o, parser: syntax.NewParser(), datagrams: newMeter(c.Bounds), streamed: newMeter(c.Bounds), past: newTransactions(), calls: newCalls(c.Bounds.Calls),
		slots: make(chan struct{}, c.Bounds.Verdicts), base: base, cancel: cancel,
	}, nil
}

// Listeners are where a server is reached; each may be nil.
type Listeners struct {
	UDP net.PacketConn
	TCP net.Listener
	TLS net.Listener // a plain listener; the server speaks TLS on it
}

// Serve answers on l until ctx ends; then it ends its calls and finishes the
// verdicts under way. It closes the listeners. It is called once.
func (s *Server) Serve(ctx context.Context, l Listeners) error {
	defer s.cancel()
	if l.TLS != nil && s.config.TLS == nil {
		return errors.Join(ErrConfig, closeAll(l))
	}
	failed := make(chan error, 3)
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var readers sync.WaitGroup
	listen := func(serve func(context.Context) error) {
		readers.Go(func() {
			if err := serve(reading); err != nil && reading.Err() == nil {
				failed <- err
				stop()
			}
		})
	}
	if l.UDP != nil {
		listen(func(ctx context.Context) error { return s.serveUDP(ctx, l.UDP) })
	}
	streams := newStreams(s.config.Bounds.Connections)
	for _, one := range []struct {
		listener net.Listener
		tls      *tls.Config
	}{{l.TCP, nil}, {l.TLS, s.config.TLS}} {
		if one.listener != nil {
			listen(func(ctx context.Context) error { return s.serveStreams(ctx, one.listener, one.tls, streams) })
		}
	}
	readers.Go(func() { s.keepTime(reading) })
	select {
	case <-ctx.Done():
		s.calls.endAll() // while answers to that are still read
	case <-reading.Done():
	}
	stop()
	readers.Wait()
	s.finish()
	s.cancel()
	streams.closeAll()
	var err error
	select {
	case err = <-failed:
	default:
	}
	if l.UDP != nil {
		_ = l.UDP.Close()
	}
	return err
}

// finish waits for verdicts under way.
func (s *Server) finish() {
	s.calls.endAll()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	late := time.NewTimer(drainTimeout)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		s.cancel() // what still looks something up becomes "try again"
		<-done
	}
}

// keepTime forgets what is old, until ctx ends.
func (s *Server) keepTime(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.datagrams.reset()
			s.streamed.reset()
			s.past.age()
		}
	}
}

func closeAll(l Listeners) error {
	var err error
	if l.UDP != nil {
		err = l.UDP.Close()
	}
	for _, one := range []net.Listener{l.TCP, l.TLS} {
		if one != nil {
			err = errors.Join(err, one.Close())
		}
	}
	return err
}
