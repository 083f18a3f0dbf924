package directory

import (
	"context"
	"encoding/hex"
	"time"

	"whither/csi"
	"whither/mapping"
)

// RecordKind is what a record is about.
type RecordKind uint8

// The kinds of record. All but notices are part of a [Case].
const (
	// RecordClaim: a newcomer that is not decided yet, or came to nothing of
	// late; or a question to the incumbents. Its id is that of the mapping.
	RecordClaim RecordKind = 1
	// RecordProof: a re-proof of a lineage.
	RecordProof RecordKind = 2
	// RecordRetired: a key that has handed over to another.
	RecordRetired RecordKind = 3
	// RecordEvent: the word of a CSIP.
	RecordEvent RecordKind = 4
	// RecordNotice: something to be told to somebody, until he has heard it.
	RecordNotice RecordKind = 5
)

// RecordID is a record's random name.
type RecordID [16]byte

// String returns 32 hexadecimal digits.
func (id RecordID) String() string { return hex.EncodeToString(id[:]) }

// Record is what a DP keeps of a CSI beside its mappings. What a body says is
// the directory's; a store seals it.
type Record struct {
	ID   RecordID
	Kind RecordKind
	// Revision is 1 once it is stored, and one more with each change. In a
	// [Write] it is the one that was seen, 0 for a new record.
	Revision uint64
	Due      time.Time // when something is to be done about it; zero: never
	Until    time.Time // it is kept until then
	Body     []byte
}

// Case is all on which a decision about one CSI rests.
type Case struct {
	Live    []Stored // by id
	Records []Record // by id; no notices
}

// Write is what follows from a decision about one CSI: whole or not at all.
type Write struct {
	Admit   mapping.Verified // zero: none
	Replace mapping.Verified // zero: none
	Ends    []mapping.ID     // mappings that end before their time
	// Nonce of an offer is marked until NonceUntil, unless that is zero.
	Nonce      mapping.Nonce
	NonceUntil time.Time
	Put        []Record
	Drop       []RecordID
}

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
