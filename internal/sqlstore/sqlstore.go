// Package sqlstore keeps what the roles must not forget in an SQL database:
// SQLite embedded, in one file beside the role. Its spec is
// docs/spec/storage.md. Each role opens a database of its own, in which only
// its own tables are: [OpenDirectory] for a DP.
//
// What it promises:
//
//   - A write that returned nil is durable, whatever crashes. A write that
//     returned an error was made whole or not at all.
//   - What is said about a person is sealed: AES-256-GCM under a key of the
//     row's own, which is wrapped under a key-encryption key of a generation
//     that lies outside the database. A CSI is looked up by a label, which is
//     an HMAC of it. A row moved, mixed or changed is noticed when it is read.
//   - A database of another product, of another role, of a newer release, or
//     sealed with other keys is refused and left as it is.
//
// What it does not check: whether a mapping is true (package mapping, before),
// which one has precedence (package internal/dp/directory), and whether the
// whole file was put back to an older state.
//
// Concurrent writes are combined: one goroutine makes all that wait in one
// transaction, each in a savepoint of its own, and answers after the commit.
//
// Times are milliseconds since 1970 in the database; lengths are bytes.
package sqlstore

import (
	"errors"
	"fmt"
)

// Errors of opening.
var (
	ErrForeign    = errors.New("sqlstore: not a database of this role; give the path of the right one, nothing was changed")
	ErrNewer      = errors.New("sqlstore: written by a newer release; run that release, or restore the backup from before the upgrade")
	ErrKeys       = errors.New("sqlstore: keys are missing, malformed or not those of this database; restore the keys and kek folders that belong to it")
	ErrGeneration = errors.New("sqlstore: rows need a key-encryption generation that is not there; restore its file, or erase on purpose by removing the rows")
)

// Errors of use.
var (
	ErrCorrupt = errors.New("sqlstore: a row does not open; run fsck, and restore a backup")
	ErrClosed  = errors.New("sqlstore: closed")
	// ErrInjected is what a [Fault] lets a write return.
	ErrInjected = errors.New("sqlstore: fault injected by a test")
)

// Options open a database.
type Options struct {
	Path string // of the database file; made with mode 0600 if it is not there
	Keys Keys

	// Readers is the number of connections that read; 0 means 4.
	Readers int
	// Queue is how many writes wait before callers do; 0 means 256.
	Queue int

	// Fault is a seam for tests, nil in production. It is called once for each
	// write with the method's name in lower case, from the caller's goroutine.
	Fault func(write string) Fault
}

// Fault is what shall go wrong with a write in a test.
type Fault uint8

// The faults.
const (
	NoFault Fault = iota
	// FailBefore returns ErrInjected and writes nothing.
	FailBefore
	// FailAfter writes durably and returns ErrInjected all the same, as when a
	// connection breaks between a commit and its answer.
	FailAfter
	// RunTwice runs the transaction, rolls it back and runs it again, as when a
	// database asks for a repetition (SQLSTATE 40001).
	RunTwice
)

func (o Options) validate() error {
	if o.Path == "" {
		return errors.New("sqlstore: no path")
	}
	if o.Readers < 0 || o.Queue < 0 {
		return fmt.Errorf("sqlstore: %d readers, queue of %d", o.Readers, o.Queue)
	}
	return nil
}
