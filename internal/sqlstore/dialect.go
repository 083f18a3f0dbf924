package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // the driver "sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// dialect is all that differs between the engines. The statements themselves
// are written once, in what SQLite and PostgreSQL both take: numbered
// parameters, ON CONFLICT, RETURNING, row values; times come from Go.
type dialect struct {
	// open returns a pool of one connection that writes and a pool that reads.
	open func(Options) (writer, reader *sql.DB, err error)
	// prepare readies a database that is known to be ours, or empty.
	prepare func(context.Context, *sql.Conn) error
	// begin starts a transaction in which what was read stays true until commit.
	begin string
	// group is how many writes share one transaction. 1 suits an engine that
	// combines commits by itself.
	group int
	// tables counts the tables of the database.
	tables string
	// retry reports whether an error asks for the transaction to be run again.
	retry func(error) bool
	// foreign reports whether an error says that the file is no database.
	foreign func(error) bool
	// integrity lists damage below the rows, "ok" if there is none.
	integrity string
}

// sqliteDialect is SQLite embedded. A second process on the same file, as fsck
// is, waits for the lock that BEGIN IMMEDIATE takes.
var sqliteDialect = dialect{
	open:      openSQLite,
	prepare:   prepareSQLite,
	begin:     "BEGIN IMMEDIATE",
	group:     128,
	tables:    "SELECT count(*) FROM sqlite_master",
	retry:     func(error) bool { return false },
	foreign:   isNoDatabase,
	integrity: "PRAGMA integrity_check(10)",
}

func isNoDatabase(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlitelib.SQLITE_NOTADB
}

// Settings of every SQLite connection. FULL syncs the log at each commit:
// what was acknowledged survives a power cut. secure_delete overwrites with
// zeros what is deleted, since erasure is promised (design section 9).
const sqlitePragmas = "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)" +
	"&_pragma=secure_delete(1)&_pragma=temp_store(MEMORY)&_pragma=trusted_schema(0)"

// Settings of the two kinds of connections. The log is synced to the database
// every 1,000 pages and cut back to 16 MiB after a rush.
const (
	sqliteWriter = "&_pragma=cache_size(-32768)&_pragma=journal_size_limit(16777216)"
	sqliteReader = "&_pragma=cache_size(-8192)&_pragma=query_only(1)"
)

// openSQLite returns a pool of one connection that writes and a pool that
// reads. A new file is made such that only its owner can read it; SQLite gives
// the files beside it the same mode.
func openSQLite(o Options) (writer, reader *sql.DB, err error) {
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("sqlstore: %w", err)
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("sqlstore: %w", err)
	}
	name := (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + "?" + sqlitePragmas
	if writer, err = sql.Open("sqlite", name+sqliteWriter); err != nil {
		return nil, nil, fmt.Errorf("sqlstore: %w", err)
	}
	if reader, err = sql.Open("sqlite", name+sqliteReader); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("sqlstore: %w", err), writer.Close())
	}
	writer.SetMaxOpenConns(1)
	n := o.Readers
	if n == 0 {
		n = 4
	}
	reader.SetMaxOpenConns(n)
	reader.SetMaxIdleConns(n)
	return writer, reader, nil
}

// prepareSQLite turns on the write-ahead log, which stays on in the file. It
// is asked for only when the file is known to be ours.
func prepareSQLite(ctx context.Context, c *sql.Conn) error {
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return fmt.Errorf("sqlstore: write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("sqlstore: the file system allows no write-ahead log (journal mode %s)", mode)
	}
	return nil
}
