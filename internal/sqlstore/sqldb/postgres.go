package sqldb

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres is PostgreSQL. Its rows of mappings lie in partitions. Transactions
// that write are serialisable, and take turns on the table meta, over all
// processes: each would collide with each other one on the row that numbers the
// change feed. LOCK TABLE, unlike SELECT … FOR UPDATE, comes before the
// transaction's view of the data is fixed, so that who has waited sees all that
// was committed meanwhile and need not begin again.
var postgres = dialect{
	steps:    stepsPostgres,
	open:     openPostgres(reading + "; SET plan_cache_mode = force_generic_plan"),
	alone:    lockSchema,
	prepare:  preparePostgres,
	begin:    "BEGIN ISOLATION LEVEL SERIALIZABLE",
	turn:     "LOCK TABLE meta IN SHARE ROW EXCLUSIVE MODE",
	commit:   commitPostgres,
	view:     sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	group:    128,
	patience: 30 * time.Second,
	tables:   "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema()",
	again:    isCollision,
	lost:     isLost,
	foreign:  never,
	tidy:     nothing, // PostgreSQL vacuums by itself
}

// distributed is what engines that speak PostgreSQL's protocol and spread their
// rows by themselves should take: no partitions and no table locks, so that
// transactions that collide are run again. It is tested on PostgreSQL alone.
var distributed = func() dialect {
	d := postgres
	d.steps, d.turn, d.open = "", "", openPostgres(reading)
	return d
}()

const stepsPostgres = "postgres"

// engineParameter of a URL names the dialect. It is ours, and not sent.
const engineParameter = "engine"

// Waits of a session, in milliseconds. A turn is given up after a while, and
// taken back from a process that holds it and does nothing; a commit is never
// cancelled half way, since PostgreSQL then calls it done on one machine.
var writerParameters = map[string]string{
	"lock_timeout":                        "10000",
	"idle_in_transaction_session_timeout": "15000",
	"statement_timeout":                   "0",
}

const (
	connectTimeout  = 5 * time.Second
	postgresReaders = 8
)

// parsePostgres reads a URL. It refuses passwords in it, and networks that
// others could listen to.
func parsePostgres(raw string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, fmt.Errorf("%w: want postgres://user@host/database", ErrURL)
	}
	q := u.Query()
	if _, secret := u.User.Password(); secret || q.Has("password") {
		return nil, fmt.Errorf("%w: it holds a password; give the path of a file with it: ?passfile=…", ErrURL)
	}
	if path := q.Get("passfile"); path != "" { // the driver would go on without a word
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%w: password file: %w", ErrURL, err)
		} else if info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("%w: others can read the password file; chmod 600 %s", ErrURL, path)
		}
	}
	q.Del(engineParameter)
	u.RawQuery = q.Encode()
	c, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	if err := checkNetwork(c.Host, c.TLSConfig); err != nil {
		return nil, err
	}
	for _, f := range c.Fallbacks {
		if err := checkNetwork(f.Host, f.TLSConfig); err != nil {
			return nil, err
		}
		if f.Host != c.Host && c.ValidateConnect == nil {
			c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite // one of them is a standby
		}
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	return c, nil
}

// dialectOf returns the dialect that a URL asks for.
func dialectOf(raw string) (dialect, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return dialect{}, ErrURL // not quoted: it may hold a password
	}
	switch u.Query().Get(engineParameter) {
	case "", "postgres":
		return postgres, nil
	case "distributed":
		return distributed, nil
	default:
		return dialect{}, fmt.Errorf("%w: engine is postgres or distributed", ErrURL)
	}
}

// checkNetwork wants a socket of this machine, or TLS 1.3 to a server that
// proves its name.
func checkNetwork(host string, t *tls.Config) error {
	if t != nil {
		t.MinVersion = tls.VersionTLS13
	}
	if strings.HasPrefix(host, "/") || host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	if t == nil || t.InsecureSkipVerify || t.ServerName == "" {
		return fmt.Errorf("%w: over a network it needs sslmode=verify-full, and sslrootcert unless the system knows who signed", ErrURL)
	}
	return nil
}

// reading has a connection only read. It is no parameter of the connection's
// start, since a server that takes writes is told by them. PostgreSQL is also
// told to plan a statement once: to plan one over partitions takes longer than
// to look somebody up.
const reading = "SET default_transaction_read_only = on"

// openPostgres opens the pools; readers begin with some settings.
func openPostgres(settings string) func(Config) (writer, reader *sql.DB, err error) {
	return func(c Config) (writer, reader *sql.DB, err error) { return openPools(c, settings) }
}

func openPools(c Config, settings string) (writer, reader *sql.DB, err error) {
	config, err := parsePostgres(c.URL)
	if err != nil {
		return nil, nil, err
	}
	config.RuntimeParams["application_name"] = product + c.Role
	readers := config.Copy()
	for name, value := range writerParameters {
		config.RuntimeParams[name] = value
	}
	config.OnNotice = keepWarning
	writer = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(syncCommits))
	reader = stdlib.OpenDB(*readers, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, settings)
		return err
	}))
	n := c.Readers
	if n == 0 {
		n = postgresReaders
	}
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(n)
	reader.SetMaxIdleConns(n)
	reader.SetConnMaxIdleTime(5 * time.Minute)
	return writer, reader, nil
}

// syncCommits has commits wait for the disk, and for the synchronous standby if
// there is one, whatever the server is set to.
func syncCommits(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'")
	return err
}

// migrating is the key of the advisory lock: "whither", in bytes.
const migrating = 0x77686974686572

// lockSchema has one process at a time look at the schema and migrate it.
func lockSchema(ctx context.Context, c *sql.Conn) (func(), error) {
	for {
		_, err := c.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrating))
		if err == nil {
			break
		}
		if !isCollision(err) || ctx.Err() != nil { // a long migration outlasts the wait for a lock
			return nil, fmt.Errorf("sqldb: wait for the schema: %w", err)
		}
	}
	return func() {
		// If this fails the connection is gone, and the lock with it.
		_, _ = c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrating))
	}, nil
}

// preparePostgres refuses a server on which nothing can be kept.
func preparePostgres(ctx context.Context, c *sql.Conn) error {
	var readOnly, fsync string
	err := c.QueryRowContext(ctx, "SELECT current_setting('transaction_read_only'), COALESCE(current_setting('fsync', true), 'on')").Scan(&readOnly, &fsync)
	switch {
	case err != nil:
		return fmt.Errorf("sqldb: settings of the server: %w", err)
	case readOnly != "off":
		return ErrReadOnly
	case fsync != "on":
		return fmt.Errorf("%w: fsync is %s", ErrUnsafe, fsync)
	default:
		return nil
	}
}

// warning is the name under which a connection keeps the last warning.
const warning = "whither warning"

func keepWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warning] = n.Message
	}
}

// commitPostgres commits. PostgreSQL answers COMMIT with "ROLLBACK" where the
// transaction had failed before; and where somebody cancels the wait for the
// standby it answers "COMMIT" with a warning, though a promoted standby would
// not have it. Neither is a commit.
func commitPostgres(ctx context.Context, c *sql.Conn) error {
	return c.Raw(func(raw any) error {
		conn, ok := raw.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("sqldb: a connection of another driver: %T", raw)
		}
		data := conn.Conn().PgConn().CustomData()
		delete(data, warning)
		tag, err := conn.Conn().Exec(ctx, "COMMIT")
		switch {
		case err != nil:
			return err
		case tag.String() != "COMMIT":
			return fmt.Errorf("sqldb: the server answers COMMIT with %s", tag)
		case data[warning] != nil:
			return fmt.Errorf("%w: %v", ErrUncertain, data[warning])
		default:
			return nil
		}
	})
}

// SQLSTATEs.
const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateLockTimeout   = "55P03"
	stateReadOnly      = "25006"
	stateIdleTimeout   = "25P03"
)

func stateOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func isCollision(err error) bool {
	switch stateOf(err) {
	case stateSerialization, stateDeadlock, stateLockTimeout:
		return true
	default:
		return false
	}
}

// isLost tells the errors after which another connection, perhaps to another
// server, may do better: classes 08 (connection) and 57P (the server stops or
// starts), 53300 (too many connections), a server that only reads now, and all
// that the network says.
func isLost(err error) bool {
	var refused *pgconn.ConnectError
	if errors.As(err, &refused) {
		return true
	}
	switch state := stateOf(err); {
	case state == stateReadOnly || state == stateIdleTimeout || state == "53300":
		return true
	case strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P"):
		return true
	case state != "":
		return false
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
