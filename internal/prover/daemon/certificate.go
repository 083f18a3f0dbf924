package daemon

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"whither/internal/keyfile"
)

// certificate is the mail server's certificate, read again when its files
// change: public authorities give them for weeks, and a prover runs for months.
type certificate struct {
	cert, key string // paths
	log       *slog.Logger

	mu      sync.Mutex
	changed [2]time.Time // of the files that current was read from
	current *tls.Certificate
}

// get returns the certificate of the moment. A new one that cannot be read
// leaves the old one in force.
func (c *certificate) get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := [2]time.Time{modified(c.cert), modified(c.key)}
	if c.current != nil && changed == c.changed {
		return c.current, nil
	}
	fresh, err := keyfile.Certificate(c.cert, c.key)
	switch {
	case err == nil:
		c.current = &fresh
	case c.current == nil:
		return nil, err
	default:
		c.log.ErrorContext(context.Background(), "certificate of the mail server not taken over", slog.Any("error", err))
	}
	c.changed = changed // a bad file is complained about once
	return c.current, nil
}

// modified returns when a file was changed, zero if it is not there.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
