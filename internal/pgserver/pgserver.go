// Package pgserver runs a PostgreSQL of one's own, for tests and measurements: a
// cluster in a fresh folder, reached over a Unix socket in that folder and by
// nobody else, under an unprivileged user where we are root, since PostgreSQL
// refuses to run as root. It can be given a standby, be killed, and leaves
// nothing behind when it is stopped.
//
// It is no way to run PostgreSQL for people: the socket trusts whoever reaches it.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNotInstalled comes where there are no programs of PostgreSQL.
var ErrNotInstalled = errors.New("pgserver: PostgreSQL is not installed; on Debian: apt-get install postgresql")

// Config says what to start.
type Config struct {
	// Parent is the folder in which the cluster's own is made; empty is memory
	// where the system has files there, else the system's temporary folder. A
	// measurement of durable writes wants a disk.
	Parent string
	// Settings are those of postgresql.conf that differ from its own, for a
	// standby from those of its primary.
	Settings map[string]string
	// Primary makes the cluster a standby that follows another one.
	Primary *Server
}

// role is PostgreSQL's own user in the cluster, database the one that it begins with.
const (
	role     = "whither"
	database = "postgres"
)

// Server is a running cluster.
type Server struct {
	dir      string // with the socket, data and log
	programs string
	owner    *owner
	settings map[string]string
	cmd      *exec.Cmd
	ended    chan struct{} // closed when the server has ended
}

// owner is the unprivileged user that the server runs as; nil is ourselves.
type owner struct{ uid, gid int }

// Programs returns the folder with the newest PostgreSQL's programs.
func Programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // none is the oldest
		return n
	}
	if len(found) != 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("initdb") // systems that keep one version have it there
	if err != nil {
		return "", ErrNotInstalled
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	return filepath.Dir(path), nil
}

// Start makes a cluster and starts it. ctx bounds the start alone.
func Start(ctx context.Context, c Config) (*Server, error) {
	programs, err := Programs()
	if err != nil {
		return nil, err
	}
	s := &Server{programs: programs, settings: make(map[string]string)}
	if c.Primary != nil {
		maps.Copy(s.settings, c.Primary.settings)
	}
	maps.Copy(s.settings, c.Settings)
	if s.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	if c.Parent == "" {
		c.Parent = os.TempDir()
		if _, err := os.Stat("/dev/shm"); err == nil {
			c.Parent = "/dev/shm"
		}
	}
	sweep(c.Parent)
	if s.dir, err = os.MkdirTemp(c.Parent, prefix); err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	if s.owner != nil {
		err = os.Chown(s.dir, s.owner.uid, s.owner.gid)
	}
	if err == nil {
		err = s.create(ctx, c.Primary)
	}
	if err == nil {
		err = s.launch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// prefix begins the names of clusters' folders.
const prefix = "whither-pg-"

// sweep removes what servers have left behind whose process was killed before it
// could stop them, if it is an hour old and nobody runs over it.
func sweep(parent string) {
	left, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Hour { //nolint:forbidigo // files have the real time
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		pid, _, _ := strings.Cut(string(b), "\n")
		if err != nil || !runs(pid) {
			_ = os.RemoveAll(dir) // what cannot be removed is somebody else's
		}
	}
}

// runs reports whether there is a process of this number, whoever's it is.
func runs(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 {
		return false
	}
	p, err := os.FindProcess(n)
	if err != nil {
		return false
	}
	return !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// unprivileged finds whom to run the server as.
func unprivileged() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var first error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			first = errors.Join(first, err)
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, fmt.Errorf("pgserver: user %s: %w", name, err)
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return nil, fmt.Errorf("pgserver: user %s: %w", name, err)
		}
		return &owner{uid, gid}, nil
	}
	return nil, fmt.Errorf("pgserver: PostgreSQL does not run as root, and there is nobody else: %w", first)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// create makes the files of a cluster, new or copied from a primary.
func (s *Server) create(ctx context.Context, primary *Server) error {
	name, args := "initdb", []string{
		"-D", s.data(), "-U", role, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
	}
	if primary != nil {
		name, args = "pg_basebackup", []string{
			"-D", s.data(), "-h", primary.dir, "-U", role, "-R", "-X", "stream", "-c", "fast", "--no-sync",
		}
	}
	_, err := s.run(ctx, name, args...)
	return err
}

// run runs a program of PostgreSQL's as the server's user, and returns what it
// printed.
func (s *Server) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, name), args...) //nolint:gosec // names and arguments are those of this package
	var out, errOut bytes.Buffer
	s.as(cmd)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("pgserver: %s: %w: %s", name, err, strings.TrimSpace(errOut.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// as has a command run as the server's user, in its folder.
func (s *Server) as(cmd *exec.Cmd) {
	cmd.Dir, cmd.Env = s.dir, []string{"HOME=" + s.dir, "PATH=" + s.programs, "LC_ALL=C", "TZ=UTC"}
	attribute(cmd, s.owner)
}

// launch starts the server and waits until it takes connections.
func (s *Server) launch(ctx context.Context) error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses="}
	for name, value := range s.settings {
		args = append(args, "-c", name+"="+value)
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	defer log.Close() //nolint:errcheck // the server has its own handle
	// Not with ctx, which bounds the start alone.
	s.cmd, s.ended = exec.Command(filepath.Join(s.programs, "postgres"), args...), make(chan struct{}) //nolint:gosec,noctx // likewise
	s.as(s.cmd)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}(s.cmd, s.ended)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.ready() {
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("pgserver: the server ended: %s", s.said())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("pgserver: the server is not ready: %w: %s", ctx.Err(), s.said()), s.Kill())
		}
	}
	return nil
}

// ready reads what the server writes of itself: line 8 of this file is its state.
func (s *Server) ready() bool {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 8 || lines[0] != strconv.Itoa(s.cmd.Process.Pid) {
		return false
	}
	state := strings.TrimSpace(lines[7])
	return state == "ready" || state == "standby"
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// said returns the end of the server's log.
func (s *Server) said() string {
	b, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// SQL runs statements and returns what they print, fields separated by |.
func (s *Server) SQL(ctx context.Context, statements string) (string, error) {
	return s.run(ctx, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-U", role, "-d", database, "-c", statements)
}

// Schema makes an empty schema and returns the URL with which a store keeps its
// tables there.
func (s *Server) Schema(ctx context.Context, name string) (string, error) {
	if _, err := s.SQL(ctx, "CREATE SCHEMA "+name); err != nil {
		return "", err
	}
	return URL(name, s), nil
}

// URL names a schema of the first of these servers that can be written to.
func URL(schema string, servers ...*Server) string {
	var hosts, ports []string
	for _, s := range servers {
		hosts, ports = append(hosts, s.dir), append(ports, "5432")
	}
	q := url.Values{"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}, "search_path": {schema}}
	if len(servers) > 1 {
		q.Set("target_session_attrs", "read-write")
	}
	return (&url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// PIDs returns the processes of the server, its own first.
func (s *Server) PIDs() []int {
	return append([]int{s.cmd.Process.Pid}, children(s.cmd.Process.Pid)...)
}

// Kill ends every process of the server at once, as a failing machine would,
// and leaves the files. It waits until the server is gone.
func (s *Server) Kill() error {
	pids := s.PIDs()
	err := s.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	for _, pid := range pids[1:] {
		if p, found := os.FindProcess(pid); found == nil {
			_ = p.Kill() // it may have ended by itself
		}
	}
	<-s.ended
	return err
}

// Restart starts a server that has ended over its files.
func (s *Server) Restart(ctx context.Context) error {
	<-s.ended
	return s.launch(ctx)
}

// Promote makes a standby a primary and waits until it takes writes.
func (s *Server) Promote(ctx context.Context) error {
	done, err := s.SQL(ctx, "SELECT pg_promote(true, 30)")
	if err == nil && done != "t" {
		return errors.New("pgserver: the standby was not promoted in time")
	}
	return err
}

// patience bounds how long an orderly stop may take.
const patience = 10 * time.Second

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	err := s.cmd.Process.Signal(os.Interrupt) // "fast": it cuts connections and ends well
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgserver: stop: %w", err)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-s.ended:
		err = nil
	case <-late.C:
		err = errors.Join(errors.New("pgserver: the server did not end and was killed"), s.Kill())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
