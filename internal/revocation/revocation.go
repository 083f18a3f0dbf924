// Package revocation keeps revocation lists (RFC 5280 section 5) at hand: those
// that authorities publish at URLs, and those that somebody else puts into files.
//
// Who judges a certificate wants lists that are current and signed
// (possession/smime); this package sees to it that there are some:
//
//   - a list at a URL is fetched again when half of its life is over, an hour
//     after the last time at the latest; in trouble after some minutes;
//   - a file is read again when it changes;
//   - the list of before is kept beside the new one as long as it is current.
//     Lists travel by plain HTTP, so that what comes may be old or made up; it
//     never takes the place of what is known, and who is revoked in any stays so;
//   - what is malformed, run out, or signed by somebody else than the authority
//     that it names, where that one is known here, is not taken over.
//
// It promises bounds on number, size and time, and errors that name no URL: the
// log says which of the settings' places is meant by its number. What was known
// is lost with the process.
package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"whither/internal/fetch"
)

// Errors.
var (
	ErrPlaces = errors.New("revocation: want 1 to 16 lists, each the URL or the file of one")
	ErrList   = errors.New("revocation: no current revocation list in DER, signed by the authority that it names")
)

// Bounds.
const (
	maxPlaces = 16
	maxList   = 16 << 20
	kept      = 2 // lists of one place
	longest   = time.Hour
	shortest  = time.Minute
	pause     = 5 * time.Minute // after trouble with a URL
)

// Config says where lists are.
type Config struct {
	// Places are http or https URLs, and paths of files, of lists in DER.
	Places []string
	// Authorities are certificates against whose names and keys lists are held.
	Authorities []*x509.Certificate
	// Fetch gets what is at the URLs; it should allow plain HTTP.
	Fetch *fetch.Client
	Log   *slog.Logger
}

// Lists are revocation lists. They are safe for concurrent use; only
// [Lists.Step] looks for new ones.
type Lists struct {
	config Config

	mu     sync.Mutex
	places []place
}

type place struct {
	lists   []list // newest last
	due     time.Time
	changed time.Time // of a file
}

type list struct {
	der   []byte
	until time.Time
}

// New returns lists, of which none is at hand before the first Step.
func New(c Config) (*Lists, error) {
	if len(c.Places) == 0 || len(c.Places) > maxPlaces {
		return nil, ErrPlaces
	}
	return &Lists{config: c, places: make([]place, len(c.Places))}, nil
}

// Close drops idle connections.
func (l *Lists) Close() { l.config.Fetch.Close() }

// Current returns the lists at hand, in DER.
func (l *Lists) Current() ([][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out [][]byte
	for _, p := range l.places {
		for _, one := range p.lists {
			out = append(out, one.der)
		}
	}
	return out, nil
}

// Step looks for new lists where it is time to. Its error joins those of all
// places; what was at hand stays.
func (l *Lists) Step(ctx context.Context, now time.Time) error {
	var errs []error
	for i := range l.config.Places {
		if err := l.look(ctx, i, now); err != nil {
			errs = append(errs, fmt.Errorf("list %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

// look looks at one place. Only Step changes places, so that nothing is held up
// while something is fetched.
func (l *Lists) look(ctx context.Context, i int, now time.Time) error {
	l.mu.Lock()
	p := l.places[i]
	l.mu.Unlock()
	if now.Before(p.due) && p.due.Sub(now) <= longest { // or the clock was put back
		return nil
	}
	der, changed, err := l.read(ctx, l.config.Places[i], p.changed)
	p.changed = changed
	if err == nil && der != nil {
		err = l.take(ctx, &p, der, now)
	}
	switch url := IsURL(l.config.Places[i]); {
	case err != nil && url:
		p.due = now.Add(pause)
	case err != nil:
		p.due = now.Add(shortest)
	case url:
		newest := p.lists[len(p.lists)-1]
		p.due = now.Add(min(max(newest.until.Sub(now)/2, shortest), longest))
	}
	p.forget(now)
	l.mu.Lock()
	l.places[i] = p
	l.mu.Unlock()
	return err
}

// IsURL reports whether a place is a URL rather than a file.
func IsURL(where string) bool {
	return strings.HasPrefix(where, "https://") || strings.HasPrefix(where, "http://")
}

// read returns what is at a place, nil if it is a file that has not changed.
func (l *Lists) read(ctx context.Context, where string, last time.Time) (der []byte, changed time.Time, err error) {
	if IsURL(where) {
		a, err := l.config.Fetch.Get(ctx, where, maxList)
		return a.Body, time.Time{}, err
	}
	info, err := os.Stat(where)
	if err != nil || info.ModTime().Equal(last) {
		return nil, last, named(err)
	}
	if info.Size() > maxList {
		return nil, last, ErrList
	}
	der, err = os.ReadFile(where)
	return der, info.ModTime(), named(err)
}

// named takes the path out of an error: it is in the settings.
func named(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("revocation: read: %w", path.Err)
	}
	return err
}

// take takes a list over.
func (l *Lists) take(ctx context.Context, p *place, der []byte, now time.Time) error {
	parsed, err := x509.ParseRevocationList(der)
	if err != nil || !now.Before(parsed.NextUpdate) || !l.signed(parsed) {
		return ErrList
	}
	for i, known := range p.lists {
		if bytes.Equal(known.der, der) { // as before; it counts as the newest
			p.lists = append(append(p.lists[:i:i], p.lists[i+1:]...), known)
			return nil
		}
	}
	p.lists = append(p.lists[max(0, len(p.lists)-kept+1):len(p.lists):len(p.lists)], list{der: der, until: parsed.NextUpdate})
	l.config.Log.InfoContext(ctx, "revocation list taken over", slog.Int("entries", len(parsed.RevokedCertificateEntries)), slog.Time("until", parsed.NextUpdate))
	return nil
}

// signed reports whether a list is by the authority that it names, or by one
// that is not known here.
func (l *Lists) signed(list *x509.RevocationList) bool {
	known := false
	for _, a := range l.config.Authorities {
		if bytes.Equal(a.RawSubject, list.RawIssuer) {
			if list.CheckSignatureFrom(a) == nil {
				return true
			}
			known = true
		}
	}
	return !known
}

// forget drops lists that have run out.
func (p *place) forget(now time.Time) {
	var current []list
	for _, one := range p.lists {
		if now.Before(one.until) {
			current = append(current, one)
		}
	}
	p.lists = current
}
