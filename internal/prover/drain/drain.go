// Package drain lets a server that knows no graceful stop end well: a listener
// that bounds its connections, tells those that wait for their client to end,
// and waits for the others.
//
// It closes nothing that is in the middle of its work until it is told to.
package drain

import (
	"net"
	"sync"
	"time"
)

// Listener is a listener that knows its open connections and bounds them.
type Listener struct {
	net.Listener
	max     int
	changed func(float64)

	mu       sync.Mutex
	open     map[*connection]struct{}
	stopping bool
	empty    chan struct{} // closed when stopping and the last one has gone
}

// New returns l with at most max open connections; changed is told of each one
// more and each one less.
func New(l net.Listener, max int, changed func(float64)) *Listener {
	return &Listener{Listener: l, max: max, changed: changed, open: make(map[*connection]struct{}), empty: make(chan struct{})}
}

// Accept returns the next connection within the bound; others are dropped,
// and their mail servers try again.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := (&connection{Conn: raw, listener: l}); l.add(c) {
			return c, nil
		}
		_ = raw.Close()
	}
}

func (l *Listener) add(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping || len(l.open) >= l.max {
		return false
	}
	l.open[c] = struct{}{}
	l.changed(1)
	return true
}

func (l *Listener) remove(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[c]; !ok {
		return
	}
	delete(l.open, c)
	l.changed(-1)
	if l.stopping && len(l.open) == 0 {
		close(l.empty)
	}
}

// Stop lets every session end as soon as it waits for its client.
func (l *Listener) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	for c := range l.open {
		_ = c.Conn.SetReadDeadline(past)
	}
	if len(l.open) == 0 {
		close(l.empty)
	}
}

// Wait reports whether all sessions have ended within d. It is called after
// Stop.
func (l *Listener) Wait(d time.Duration) bool {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-l.empty:
		return true
	case <-late.C:
		return false
	}
}

// CloseAll ends what did not end by itself.
func (l *Listener) CloseAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		_ = c.Conn.Close()
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

type connection struct {
	net.Conn
	listener *Listener
}

// SetReadDeadline keeps the deadline in the past once the server stops: go-smtp
// sets a new one before each command.
func (c *connection) SetReadDeadline(t time.Time) error {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.listener.stopping {
		t = past
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *connection) Close() error {
	c.listener.remove(c)
	return c.Conn.Close()
}
