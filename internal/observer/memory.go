package observer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"whither/possession/observe"
)

// How long an observer remembers, and how often it looks again.
const (
	// Interval is between two looks at a place.
	Interval = 6 * time.Hour
	// RetryInterval is that after a look that told nothing.
	RetryInterval = time.Hour
	// MaxGap is how long an observer may not have looked, and yet say that a key
	// was there all the time.
	MaxGap = 24 * time.Hour
	// Remembered is for how many days after somebody last asked a place is looked
	// at again.
	Remembered = 30
	// MaxPlaces bounds the places of one name that are remembered.
	MaxPlaces = 256
)

// Sight is a key that a look found.
type Sight struct {
	Label  string // selector, or kid
	Digest [sha256.Size]byte
	DNSSEC observe.DNSSEC
}

// Run is a key and when it was seen without a break.
type Run struct {
	Sight
	First, Last time.Time // in whole seconds
}

// Memory is what an observer remembers of a place. It says nothing of who asked,
// and of when only the day.
type Memory struct {
	Place Place
	// Runs are the keys that were there at the last look.
	Runs []Run
	// Next is when to look again.
	Next time.Time
	// Forget is when to forget the place: some days after somebody last asked.
	Forget time.Time
}

// Look is a look at a place that told something: which keys are there.
type Look struct {
	Place Place
	At    time.Time
	Seen  []Sight
	Next  time.Time // when to look again
	// Forget is when to forget the place; zero: as it was, nobody asked.
	Forget time.Time
	// Listed: the keys go into the list of the day.
	Listed bool
	// Room is how many places there may be; beyond it no new one is begun.
	Room int
}

// Apply takes a look over. A key goes on where it was seen at the last look and
// that is not too long ago; else it begins anew.
func (m *Memory) Apply(l Look) {
	at := l.At.Truncate(time.Second)
	runs := make([]Run, 0, len(l.Seen))
	for _, s := range l.Seen {
		r := Run{Sight: s, First: at, Last: at}
		i := slices.IndexFunc(m.Runs, func(old Run) bool { return old.Label == s.Label && old.Digest == s.Digest })
		if i >= 0 && at.Sub(m.Runs[i].Last) <= MaxGap {
			r.First, r.Last = m.Runs[i].First, later(m.Runs[i].Last, at)
		}
		runs = append(runs, r)
	}
	m.Runs, m.Next = runs, l.Next
	if !l.Forget.IsZero() {
		m.Forget = l.Forget
	}
}

// later: a clock that was put back takes nothing back that was seen.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// redacted is all that is ever printed of a memory: a domain can be a person's.
const redacted = "observer.Memory(redacted)"

// Format prints a redaction for every verb.
func (m Memory) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs a redaction.
func (m Memory) LogValue() slog.Value { return slog.StringValue(redacted) }

// Published is a list as it is served.
type Published struct {
	Day    observe.Day
	Digest [sha256.Size]byte
	// Previous is the digest of the list before, zero in the first.
	Previous [sha256.Size]byte
	Size     int
	Bytes    []byte
}

// Errors of a Store.
var (
	ErrNoList    = errors.New("observer: there is no list of this day")
	ErrPublished = errors.New("observer: this day, or a later one, has its list")
)

// Store keeps what an observer remembers. Each writing method is one
// transaction: when it returns nil the write is durable, whatever crashes; when
// it returns an error of its own the write has been made whole or not at all, and
// making it again is safe.
//
// Names of places are sealed; only those of keys that go into lists are not.
//
// Times come back in UTC or local time, equal to the millisecond.
type Store interface {
	// See takes a look over ([Memory.Apply]) and returns the runs, in the order of
	// the look. A place without keys is forgotten; a new place for which there is
	// no room, or beside MaxPlaces others of its name, is not remembered. If the
	// keys are to be listed, they are put down for the day of the look.
	See(ctx context.Context, l Look) ([]Run, error)
	// Failed notes that a look told nothing; unknown places stay so.
	Failed(ctx context.Context, p Place, next time.Time) error
	// Due returns at most max places whose Next is not after now, by Next.
	Due(ctx context.Context, now time.Time, max int) ([]Place, error)
	// Forget removes at most max places whose Forget is not after now, and returns
	// how many went.
	Forget(ctx context.Context, now time.Time, max int) (int, error)

	// Unlisted returns the first day before a day for which keys are put down, and
	// these; no keys if there is none.
	Unlisted(ctx context.Context, before observe.Day) (observe.Day, []observe.Entry, error)
	// Publish keeps a list and drops what is put down for its day and before. It
	// returns ErrPublished unless the list is of a later day than every other and
	// names the last of them as the one before.
	Publish(ctx context.Context, p Published) error
	// Drop drops what is put down for a day and before.
	Drop(ctx context.Context, day observe.Day) error
	// List returns the bytes of a day's list, or ErrNoList.
	List(ctx context.Context, day observe.Day) ([]byte, error)
	// Index returns the lists without their bytes, oldest first.
	Index(ctx context.Context) ([]Published, error)
	// Expire removes the lists of the days before a day, but never the last.
	Expire(ctx context.Context, before observe.Day) error
}
