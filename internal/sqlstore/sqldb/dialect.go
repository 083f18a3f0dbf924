package sqldb

import (
	"context"
	"database/sql"
	"time"
)

// dialect is all that differs between engines. The statements themselves are
// written once, in what SQLite and PostgreSQL both take: numbered parameters,
// ON CONFLICT, RETURNING, row values, BYTEA and BIGINT; times come from Go.
type dialect struct {
	// steps is the folder with steps of a schema in this engine's own words:
	// steps/NNNN.sql stands for NNNN.sql. Empty if there is none.
	steps string
	// open returns a pool of connections that write and a pool that reads.
	open func(Config) (writer, reader *sql.DB, err error)
	// alone waits until no other process prepares the database, and returns
	// what lets the next one do it.
	alone func(context.Context, *sql.Conn) (func(), error)
	// prepare readies a database that is known to be ours, or empty.
	prepare func(context.Context, *sql.Conn) error
	// begin starts a transaction in which what was read stays true until commit.
	begin string
	// turn makes transactions that write take turns, where begin alone does not.
	// It is a courtesy: without it those that collide are run again.
	turn string
	// commit ends a transaction durably; nil where COMMIT alone leaves no doubt.
	commit func(context.Context, *sql.Conn) error
	// view are the options of a transaction that reads one state.
	view sql.TxOptions
	// group is how many writes share a transaction at most.
	group int
	// patience bounds a transaction with its repetitions, zero is no bound: an
	// engine in this process answers, one behind a network may not.
	patience time.Duration
	// tables counts the tables of the database.
	tables string
	// again reports whether an error asks for the transaction to be run again.
	again func(error) bool
	// lost reports whether an error says that the connection is of no use any
	// more: what was not committed over it has not happened.
	lost func(error) bool
	// foreign reports whether an error says that the file is no database.
	foreign func(error) bool
	// tidy does what can wait and must not wait for ever; what it cannot do
	// now it does the next time.
	tidy func(context.Context, *sql.Conn)
	// integrity lists damage below the rows, "ok" if there is none; empty if
	// the engine cannot be asked.
	integrity string
}

func never(error) bool { return false }

func nothing(context.Context, *sql.Conn) {}
