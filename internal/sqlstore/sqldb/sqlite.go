package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// sqlite is SQLite embedded. Another process on the same file, as fsck is,
// waits for the lock that BEGIN IMMEDIATE takes.
var sqlite = dialect{
	open:      openSQLite,
	prepare:   prepareSQLite,
	alone:     func(context.Context, *sql.Conn) (func(), error) { return func() {}, nil },
	begin:     "BEGIN IMMEDIATE",
	group:     128,
	tables:    "SELECT count(*) FROM sqlite_master",
	again:     never,
	lost:      never,
	foreign:   isNoDatabase,
	tidy:      emptyLog,
	integrity: "PRAGMA integrity_check(10)",
}

func isNoDatabase(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code() == lib.SQLITE_NOTADB
}

// Settings of the connections. FULL syncs the log at each commit: what was
// acknowledged survives a power cut. secure_delete overwrites with zeros what
// is deleted, since erasure is promised (design section 9). The log is copied
// into the file every 1,000 pages and cut back to 16 MiB after a rush.
const (
	sqliteAll    = "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_pragma=temp_store(MEMORY)"
	sqliteWriter = sqliteAll + "&_pragma=synchronous(FULL)&_pragma=secure_delete(1)" +
		"&_pragma=cache_size(-32768)&_pragma=journal_size_limit(16777216)"
	// Readers map the first 2 GiB of the file, which is as much as SQLite maps:
	// a lookup among 100,000 rows then takes three quarters of the time.
	sqliteReader = sqliteAll + "&_pragma=query_only(1)&_pragma=cache_size(-4096)&_pragma=mmap_size(2147418112)"
)

const defaultReaders = 4

// openSQLite makes a new file such that only its owner can read it; SQLite
// gives the files beside it the same mode.
func openSQLite(c Config) (writer, reader *sql.DB, err error) {
	f, err := os.OpenFile(c.Path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("sqldb: %w", err)
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("sqldb: %w", err)
	}
	name := (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + "?"
	if writer, err = sql.Open("sqlite", name+sqliteWriter); err != nil {
		return nil, nil, fmt.Errorf("sqldb: %w", err)
	}
	if reader, err = sql.Open("sqlite", name+sqliteReader); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("sqldb: %w", err), writer.Close())
	}
	n := c.Readers
	if n == 0 {
		n = defaultReaders
	}
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(n)
	reader.SetMaxIdleConns(n)
	return writer, reader, nil
}

// emptyLog copies the write-ahead log into the file and cuts it to nothing.
// SQLite copies by itself, but goes on over the old log, and while somebody
// always reads it lets the log grow. Readers of an old state are waited for
// for a moment only, since writers wait meanwhile.
func emptyLog(ctx context.Context, c *sql.Conn) {
	for _, s := range []string{"PRAGMA busy_timeout=100", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA busy_timeout=10000"} {
		_, _ = c.ExecContext(ctx, s) // a disk that fails here fails the next write, too
	}
}

// prepareSQLite turns on the write-ahead log, which stays on in the file, and
// tries whether it can write: a file that it failed to open for writing, SQLite
// opens for reading without a word, and every write would fail until a restart.
func prepareSQLite(ctx context.Context, c *sql.Conn) error {
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return fmt.Errorf("sqldb: write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("sqldb: the file system allows no write-ahead log (journal mode %s)", mode)
	}
	// BEGIN IMMEDIATE alone tells nothing: over a read-only file it only reads.
	for _, statement := range []string{"BEGIN IMMEDIATE", "CREATE TABLE trial (one INTEGER)", "ROLLBACK"} {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("sqldb: write to the file: %w", err)
		}
	}
	return nil
}
