package pgtest

import (
	"bytes"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"whither/internal/pgserver"
)

// Cut says where a connection to a database shall break.
type Cut int32

// The cuts.
const (
	NoCut Cut = iota
	// CutBegin breaks it where a transaction begins.
	CutBegin
	// CutBefore breaks it where a commit is asked for: the server never hears of it.
	CutBefore
	// CutAfter breaks it where the commit is answered: it is made, and the client
	// cannot know.
	CutAfter
)

// Cutter stands between a store and its PostgreSQL and breaks connections.
type Cutter struct {
	dir  string
	next atomic.Int32 // the Cut of the next transaction
	// Cuts counts what was cut.
	Cuts atomic.Int32
}

// What messages end with: the one that begins a transaction, the one that asks
// for a commit, and the one that answers it.
const (
	begin  = "EXCLUSIVE MODE\x00"
	commit = "COMMIT\x00"
)

// NewCutter starts a cutter in front of a server; it ends with the test.
func NewCutter(t testing.TB, s *pgserver.Server) *Cutter {
	t.Helper()
	c := &Cutter{dir: t.TempDir()}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(c.dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(t.Context(), "unix", s.Socket())
			if err != nil {
				_ = client.Close()
				continue
			}
			wg.Go(func() { c.pass(server, client, map[string]Cut{begin: CutBegin, commit: CutBefore}) })
			wg.Go(func() { c.pass(client, server, map[string]Cut{commit: CutAfter}) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait() // stores are closed by then
	})
	return c
}

// Arm has the next transaction cut.
func (c *Cutter) Arm(cut Cut) { c.next.Store(int32(cut)) }

// URL leads a URL of the server's through the cutter.
func (c *Cutter) URL(t testing.TB, direct string) string {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", c.dir)
	u.RawQuery = q.Encode()
	return u.String()
}

// pass copies what comes until one side ends, or something shall be cut here.
func (c *Cutter) pass(to, from net.Conn, here map[string]Cut) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		for text, cut := range here {
			if bytes.Contains(buffer[:n], []byte(text)) && c.next.CompareAndSwap(int32(cut), int32(NoCut)) {
				c.Cuts.Add(1)
				return
			}
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
