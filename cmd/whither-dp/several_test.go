package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whither/internal/pinned"
	"whither/registry"
)

// several are DP processes of one party behind one address, as a deployment of
// more than one has them: keys and store are the same, connections are dealt out.
type several struct {
	*stage
	processes []*process
	backends  []string // addresses, as the processes
	next      atomic.Int64
	opened    sync.Mutex
	open      map[net.Conn]bool
}

// newSeveral starts n DPs on the store of a URL.
func newSeveral(t *testing.T, n int, store string) *several {
	t.Helper()
	s := &several{stage: newStage(t), open: make(map[net.Conn]bool)}
	for i := range n {
		address := free(t)
		path := filepath.Join(s.dir, fmt.Sprintf("dp-%d.toml", i))
		settings := fmt.Appendf(nil, "party = %q\nlisten = %q\noperations = \"127.0.0.1:0\"\n[store]\nurl = %q\n", s.dp, address, store)
		check(t, errors.Join(os.WriteFile(path, settings, 0o600), os.WriteFile(s.config(), settings, 0o600))) // fsck reads the latter
		s.backends = append(s.backends, address)
		s.processes = append(s.processes, s.launch(wholeProgram, os.Args[0], "-config", path))
	}
	for _, p := range s.processes {
		if !p.up(t) {
			t.Fatal(p.said())
		}
	}
	s.balance()
	return s
}

// balance deals the connections to the registered address out to the processes.
func (s *several) balance() {
	l, err := net.Listen("tcp", s.address)
	check(s.t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.connect(c) })
		}
	})
	s.t.Cleanup(func() {
		_ = l.Close()
		s.opened.Lock()
		for c := range s.open {
			_ = c.Close()
		}
		s.opened.Unlock()
		wg.Wait()
	})
}

// connect passes a connection to the first process, in turn, that takes it.
func (s *several) connect(client net.Conn) {
	defer s.keep(client)()
	for range s.backends {
		server, err := net.DialTimeout("tcp", s.backends[int(s.next.Add(1))%len(s.backends)], time.Second)
		if err != nil {
			continue
		}
		defer s.keep(server)()
		done := make(chan struct{}, 2)
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				done <- struct{}{}
			}()
		}
		<-done
		return
	}
}

// keep notes an open connection, and returns what closes it.
func (s *several) keep(c net.Conn) func() {
	s.opened.Lock()
	defer s.opened.Unlock()
	s.open[c] = true
	return func() {
		s.opened.Lock()
		defer s.opened.Unlock()
		delete(s.open, c)
		_ = c.Close()
	}
}

// client returns the stage as seen over connections of one's own, which reach
// the process that is next in turn.
func (s *several) client() *stage {
	own := *s.stage
	registered := func() *registry.Snapshot { return s.snapshot }
	own.holder, own.asker = pinned.NewClient(registered, nil, time.Now), pinned.NewClient(registered, s.own, time.Now)
	s.t.Cleanup(own.hangUp)
	return &own
}
