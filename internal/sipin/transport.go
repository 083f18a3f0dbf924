package sipin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"whither/internal/sipin/syntax"
)

// errTooMany says that a bound is reached.
var errTooMany = errors.New("sipin: too many")

const (
	maxDatagram = 64 << 10
	maxFailures = 100 // one after the other, to read from a socket
)

// serveUDP reads datagrams until ctx ends. It leaves the socket open: verdicts
// under way are still answered on it.
func (s *Server) serveUDP(ctx context.Context, c net.PacketConn) error {
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	b := make([]byte, maxDatagram)
	for failures := 0; ; {
		n, from, err := c.ReadFrom(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// That a client of an earlier answer is gone is reported here, too.
			if failures++; errors.Is(err, net.ErrClosed) || failures > maxFailures {
				return err
			}
			continue
		}
		failures = 0
		source, ok := from.(*net.UDPAddr)
		if !ok {
			return ErrConfig
		}
		at := source.AddrPort()
		if !s.datagrams.take(at.Addr()) {
			s.config.Count(eventFlood)
			continue
		}
		raw, err := syntax.CutDatagram(b[:n])
		var m *syntax.Message
		if err == nil {
			m, err = s.parser.Parse(bytes.Clone(raw))
		}
		if err != nil {
			s.config.Count(eventMalformed)
			continue
		}
		to := net.UDPAddrFromAddrPort(m.Back(at))
		s.handle(m, flow{source: "udp " + at.String(), transport: "UDP", send: func(b []byte) {
			_, _ = c.WriteTo(b, to) // lost is lost: the other side asks again
		}})
	}
}

// streams are the open connections, bounded in all, and for each address to a
// share of that.
type streams struct {
	max  int
	mu   sync.Mutex
	open map[net.Conn]netip.Addr
	from map[netip.Addr]int
	done sync.WaitGroup
}

// share is the part of all connections that one address may have.
const share = 4

func newStreams(max int) *streams {
	return &streams{max: max, open: make(map[net.Conn]netip.Addr), from: make(map[netip.Addr]int)}
}

func (o *streams) add(c net.Conn) bool {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	at := block(remote.AddrPort().Addr())
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.open) >= o.max || o.from[at] >= max(1, o.max/share) {
		return false
	}
	o.open[c] = at
	o.from[at]++
	return true
}

func (o *streams) remove(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := o.open[c]
	if o.from[at]--; o.from[at] <= 0 {
		delete(o.from, at)
	}
	delete(o.open, c)
	_ = c.Close()
}

// closeAll closes what is open and waits for its readers.
func (o *streams) closeAll() {
	o.mu.Lock()
	for c := range o.open {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.done.Wait()
}

// serveStreams takes connections until ctx ends.
func (s *Server) serveStreams(ctx context.Context, l net.Listener, t *tls.Config, open *streams) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if !open.add(c) {
			s.config.Count(eventFlood)
			_ = c.Close()
			continue
		}
		open.done.Go(func() {
			defer open.remove(c)
			if t != nil {
				s.readStream(ctx, tls.Server(c, t), "TLS")
			} else {
				s.readStream(ctx, c, "TCP")
			}
		})
	}
}

// readStream handles the messages of one connection. Answers are written until
// the connection is closed, so reading ends before writing does.
func (s *Server) readStream(ctx context.Context, c net.Conn, transport string) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	var writing sync.Mutex
	back := flow{source: "stream " + remote.String(), transport: transport, send: func(b []byte) {
		writing.Lock()
		defer writing.Unlock()
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) //nolint:forbidigo // deadlines of sockets are the system's
		if _, err := c.Write(b); err != nil {
			_ = c.Close() // half a message leaves no boundary to go on from
		}
	}}
	r := bufio.NewReaderSize(c, syntax.MaxHead)
	for {
		raw, err := nextMessage(ctx, c, r)
		if err != nil {
			if errors.Is(err, syntax.ErrMalformed) || errors.Is(err, syntax.ErrTooLarge) {
				s.config.Count(eventMalformed) // nobody knows where the next message begins
			}
			if ctx.Err() != nil {
				<-s.base.Done() // verdicts under way are answered on this connection
			}
			return
		}
		if raw == nil {
			continue
		}
		for !s.streamed.take(remote.AddrPort().Addr()) {
			s.config.Count(eventFlood)
			select { // unlike a datagram, it can wait
			case <-ctx.Done():
				return
			case <-time.After(tick):
			}
		}
		m, err := s.parser.Parse(raw)
		if err != nil {
			s.config.Count(eventMalformed)
			return
		}
		s.handle(m, back)
	}
}

// nextMessage waits for a message, which then has to come in one go.
func nextMessage(ctx context.Context, c net.Conn, r *bufio.Reader) ([]byte, error) {
	for _, wait := range []time.Duration{idleTimeout, messageTimeout} {
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil { //nolint:forbidigo // deadlines of sockets are the system's
			return nil, err
		}
		if ctx.Err() != nil { // or else the deadline that its end set is gone
			return nil, ctx.Err()
		}
		if _, err := r.Peek(1); err != nil {
			return nil, err
		}
	}
	return syntax.ReadMessage(r)
}
