package directory

import (
	"context"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
)

// What stores keep beside mappings; see package docket.
type (
	Record     = docket.Record
	RecordID   = docket.RecordID
	RecordKind = docket.RecordKind
	Case       = docket.Case
	Write      = docket.Write
)

// Tick is where the served clock stands: when a DP was seen at work last, and
// for how long in all the clock has stood still.
type Tick struct {
	Seen  time.Time // to the millisecond; zero: never
	Stood time.Duration
}

// CaseReader is the part of a store that reads cases.
type CaseReader interface {
	// Case returns what is known of a CSI, as of one point in time.
	Case(ctx context.Context, id csi.ID, now time.Time) (Case, error)
	// Record returns a record, or ErrUnknown.
	Record(ctx context.Context, id RecordID) (Record, error)
	// Records returns at most max records of a kind, by id, from the first
	// after the given.
	Records(ctx context.Context, kind RecordKind, after RecordID, max int) ([]Record, error)
	// RecordsDue returns at most max records that are due, those due first first.
	RecordsDue(ctx context.Context, now time.Time, max int) ([]Record, error)
	// Clock returns the tick that was stored last.
	Clock(ctx context.Context) (Tick, error)
}

// CaseStore keeps cases. The promises are those of [Store].
type CaseStore interface {
	CaseReader
	// Apply makes a write about one CSI, if its case is still what was seen:
	// the same live mappings with the same payloads, and the same records at
	// the same revisions; else it returns ErrRaced. ErrOfferUsed and ErrIDTaken
	// are as for Admit; a new record whose id is there is ErrIDTaken, too. A
	// mapping that is to end and does not live is passed over.
	Apply(ctx context.Context, id csi.ID, saw Case, w Write, now time.Time) error
	// Postpone sets when a record is due next, or removes it if that is zero. A
	// record that is not there at this revision is passed over.
	Postpone(ctx context.Context, id RecordID, revision uint64, due time.Time) error
	// Tick stores is in the place of was, or returns ErrRaced.
	Tick(ctx context.Context, was, is Tick) error
}
