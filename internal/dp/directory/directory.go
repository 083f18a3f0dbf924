// Package directory is the mind of a discovery provider: it decides which
// mappings live ([Decide], the rules of precedence), admits, replaces, renews
// and withdraws them, and answers what it holds. It owns the interface of the
// store ([Store]) and takes only verified mappings.
//
// It does no I/O of its own, reads no clock and starts nothing: time comes in
// as an argument, work that is due is done by [Directory.Step].
//
// What is true after a crash: a submission is either answered with a finished
// mapping, and then it is stored, or it is not; submitting the same mapping
// again gives the same answer.
package directory

import (
	"context"
	"errors"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
	"whither/mapping"
)

// Errors of mappings that do not fit their lineage; see package docket.
var (
	ErrConflict = docket.ErrConflict
	ErrRetired  = docket.ErrRetired
)

// Errors.
var (
	ErrUnknown   = errors.New("directory: no such mapping lives here")
	ErrIDTaken   = errors.New("directory: another mapping has this id")
	ErrOfferUsed = errors.New("directory: the offer has been used")
	ErrStale     = errors.New("directory: evidence is older than a first admission allows")
	ErrBarred    = errors.New("directory: the CSI changed hands after this evidence")
	ErrWeaker    = errors.New("directory: an incumbent has stricter evidence")
	ErrTooMany   = errors.New("directory: this key has claimed the CSI as often as is heard")
	// ErrRaced is returned by a Store when what lives is not what the caller
	// saw; the caller decides again.
	ErrRaced = errors.New("directory: somebody else changed the CSI's mappings")
)

// Stored is a mapping as a store gives it back.
type Stored = docket.Stored

// StoredOf returns what a store keeps of v.
func StoredOf(v mapping.Verified) Stored { return docket.StoredOf(v) }

// ChangeKind is what happened to a mapping.
type ChangeKind uint8

// The kinds of change.
const (
	Admitted  ChangeKind = 1
	Replaced  ChangeKind = 2
	Renewed   ChangeKind = 3 // the same payload: signed anew, or an entry of it has ended
	Withdrawn ChangeKind = 4 // ended before its time, by whomever
	Expired   ChangeKind = 5
)

// Change is one line of the change feed, from which snapshots, mirrors and
// logs are built. It names the mapping and nobody.
type Change struct {
	Seq  uint64 // strictly increasing; gaps are possible
	Kind ChangeKind
	ID   mapping.ID
	At   time.Time // to the millisecond
}

// Reader is the part of a store that answers questions.
type Reader interface {
	// Find returns the live mappings of each CSI, in the order of ids; a
	// mapping is live until it is withdrawn or now reaches its expiry. The
	// result has one element for each id. All are read at one point in time.
	Find(ctx context.Context, ids []csi.ID, now time.Time) ([][]Stored, error)
	// ByID returns a live mapping, or ErrUnknown.
	ByID(ctx context.Context, id mapping.ID, now time.Time) (Stored, error)
	// Changes returns at most max changes after seq, oldest first.
	Changes(ctx context.Context, after uint64, max int) ([]Change, error)
	// RenewalsDue returns at most max live mappings whose DP signature ends
	// before t, in the order of [Due], from the first one after the given.
	RenewalsDue(ctx context.Context, after Due, t time.Time, max int) ([]Due, error)
}

// Due is a mapping whose DP signature will run out. The order of Dues is by
// time, then by the bytes of the id.
type Due struct {
	Until time.Time
	ID    mapping.ID
}

// Store keeps mappings. Each writing method is one transaction: when it
// returns nil the write is durable, whatever crashes; when it returns an error
// the write has been made whole or not at all, and making it again is safe.
// Every change is also put into the change feed, in the same transaction.
type Store interface {
	Reader
	CaseStore
	// Admit stores v as a new mapping and marks v's DP nonce used until the
	// given time. saw lists the ids of the live mappings of its CSI on which
	// the decision rests; if others live now, it returns ErrRaced. It returns
	// ErrOfferUsed for a used nonce and ErrIDTaken for an id that was ever used.
	Admit(ctx context.Context, v mapping.Verified, saw []mapping.ID, nonceUntil, now time.Time) error
	// Replace puts v in the place of the live mapping with its id, whose
	// payload digest must be v's predecessor, else ErrRaced; and marks the nonce.
	Replace(ctx context.Context, v mapping.Verified, nonceUntil, now time.Time) error
	// Renew stores fresh DP signatures. A mapping that has ended meanwhile, or
	// whose payload is no longer the same, is passed over; so is one with an end
	// of an entry that the renewed one lacks.
	Renew(ctx context.Context, renewed []mapping.Verified, now time.Time) error
	// End stores v, which has more entries ended than the live mapping with its id
	// and payload, else ErrUnknown; ErrRaced if v lacks an end or is signed for less.
	End(ctx context.Context, v mapping.Verified, now time.Time) error
	// Withdraw ends a live mapping whose payload digest is the given one, else
	// ErrUnknown. What stays is a tombstone with the random id.
	Withdraw(ctx context.Context, id mapping.ID, digest mapping.Digest, now time.Time) error
	// Sweep removes at most max mappings that have expired and used nonces
	// whose time has passed, and returns how many mappings went.
	Sweep(ctx context.Context, now time.Time, max int) (int, error)
}
