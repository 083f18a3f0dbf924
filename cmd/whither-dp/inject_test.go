package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"whither/internal/dp"
	"whither/internal/keyfile"
	"whither/internal/offer"
	"whither/internal/party"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sqldb"
	"whither/registry"
	"whither/registry/update"
)

// serveOnOneThread is a DP whose store writes on one thread of the system,
// since strace counts the calls of each thread apart. All else is as in dp.Run.
func serveOnOneThread(dir string) error {
	runtime.LockOSThread() // this is where the store is opened
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	settings, err := dp.ReadSettings(filepath.Join(dir, dp.SettingsFile))
	if err != nil {
		return err
	}
	keys, err := party.Load(dir)
	if err != nil {
		return err
	}
	offers, err := keyfile.ReadSecret(filepath.Join(dir, "keys", "offer.key"))
	if err != nil {
		return err
	}
	source, err := update.OpenFiles(filepath.Join(dir, settings.Registry), filepath.Join(dir, settings.Root), time.Now())
	if err != nil {
		return err
	}
	store, err := openOnOneThread(ctx, dir)
	if err != nil {
		// The fault that is meant for a later write may hit this one: start again.
		log.Error("opening failed", slog.Any("error", err))
		if store, err = openOnOneThread(ctx, dir); err != nil {
			return err
		}
	}
	id, err := registry.ParsePartyID(settings.Party)
	if err != nil {
		return err
	}
	d, err := dp.New(dp.Config{
		Party: id, Key: keys.Sign, TLS: keys.TLS, Offers: [offer.SecretSize]byte(offers), Store: store, Registry: source, Now: time.Now, Log: log,
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	l, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	log.Info("serving", slog.Int("pid", os.Getpid()))
	return errors.Join(d.Serve(ctx, l, nil), store.Close())
}

func openOnOneThread(ctx context.Context, dir string) (*sqlstore.Directory, error) {
	keys, err := sqlstore.LoadKeys(dir)
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.OpenDirectory(ctx, sqlstore.Options{Path: filepath.Join(dir, "dp.db"), Keys: keys})
	if err != nil {
		return nil, err
	}
	// All writes are made by one goroutine; this one binds it.
	err = store.DB.Write(ctx, "bind", func(context.Context, *sqldb.Tx) error { runtime.LockOSThread(); return nil })
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// writing are the calls that can change a file or a folder, and reading those
// that cannot; a call on the database's files that is in neither fails the test.
var (
	writing = strings.Fields(`open openat creat write pwrite64 writev pwritev pwritev2 fsync fdatasync sync_file_range msync
		ftruncate truncate fallocate copy_file_range sendfile rename renameat renameat2 link linkat symlink symlinkat
		unlink unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat chown fchown fchownat utimensat`)
	reading = strings.Fields(`read pread64 readv preadv stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2
		readlink readlinkat lseek fcntl mmap munmap close getdents64 execve flock fadvise64 epoll_ctl`)
)

// mode is what goes wrong and what follows.
type mode struct {
	name, errno string
	on          string // "+": it goes wrong from then on
	crash       bool   // the DP is killed as soon as it has answered with an error
}

// Each call gets the modes of once, with WHITHER_LONG=1 the others too. A DP
// that is killed does not come to the calls with which it would end.
var (
	once   = []mode{{"EIO, then killed", "EIO", "", true}, {"ENOSPC, then on", "ENOSPC", "", false}}
	others = []mode{
		{"EIO, then on", "EIO", "", false},
		{"ENOSPC, then killed", "ENOSPC", "", true},
		{"ENOSPC from then on", "ENOSPC", "+", true},
	}
)

// TestCrashInjection lets each writing system call of an enrolment and a
// withdrawal fail, one after the other, those included with which the DP opens
// its store before and closes it after. Whatever was acknowledged holds, nothing
// is half there, and what failed can be sent again.
func TestCrashInjection(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no strace: faults of system calls have to be tested in CI")
		}
		t.Skip("NOT RUN: no strace on this machine, so no write of the DP is made to fail by the system")
	}
	t.Parallel()
	j := newInjection(t, strace)
	runs, begun := 0, time.Now()
	for _, call := range j.calls() {
		n := 1
		for ; ; n++ {
			modes := once
			if long() {
				modes = slices.Concat(once, others)
			}
			hits := 0
			for _, m := range modes {
				runs++
				hits += j.run(call, n, m)
				if t.Failed() {
					t.Fatalf("%s %d: %s", call, n, m.name)
				}
			}
			if hits == 0 {
				break
			}
		}
		t.Logf("%-10s %3d a thread", call, n-1)
	}
	if missing := j.missing(); len(missing) != 0 {
		t.Errorf("of %d calls of an undisturbed run these never failed: %q", len(j.calm), missing)
	}
	t.Logf("%d runs; %d writing calls of an undisturbed run, by name, file and place, and %d that failed; %d answers were errors; %.1f s",
		runs, len(j.calm), len(j.failed), j.refused, time.Since(begun).Seconds())
}

// injection is a stage whose store is put back for each run: one mapping lives,
// to be withdrawn, and another is about to be submitted.
type injection struct {
	*stage
	strace   string
	program  string // whither
	database []byte
	holding  *person
	newcomer *person
	refused  int
	// Writing calls by name, file and place: those of an undisturbed run, and
	// those that have failed.
	calm, failed map[string]bool
}

func newInjection(t *testing.T, strace string) *injection {
	t.Helper()
	j := &injection{stage: newStage(t), strace: strace, program: whither(t), calm: make(map[string]bool), failed: make(map[string]bool)}
	p := j.start(wholeProgram)
	if !p.up(t) {
		t.Fatal(p.said())
	}
	j.holding, j.newcomer = j.person("holding"), j.person("newcomer")
	check(t, j.submit(t.Context(), j.holding))
	j.hangUp()
	p.stop(t)
	var err error
	j.database, err = os.ReadFile(j.file(""))
	check(t, err)
	return j
}

// file is one of the database's files.
func (j *injection) file(suffix string) string { return filepath.Join(j.dir, "dp.db"+suffix) }

// suffixes of the files that belong to the database.
var suffixes = []string{"", "-wal", "-shm", "-journal"}

// reset puts the store back.
func (j *injection) reset() {
	j.t.Helper()
	for _, s := range suffixes {
		if err := os.Remove(j.file(s)); err != nil && !errors.Is(err, os.ErrNotExist) {
			j.t.Fatal(err)
		}
	}
	check(j.t, os.WriteFile(j.file(""), j.database, 0o600))
	j.newcomer.answer, j.newcomer.unheard = nil, nil
}

// traced starts a DP under strace, which looks at the database's files only.
func (j *injection) traced(trace string, expressions ...string) (p *process, pid int) {
	j.t.Helper()
	args := []string{j.strace, "-f", "-qq", "-y", "-o", trace, "-P", j.dir}
	for _, s := range suffixes {
		args = append(args, "-P", j.file(s))
	}
	for _, e := range expressions {
		args = append(args, "-e", e)
	}
	p = j.start(oneThreadedDP, append(args, "--")...)
	if !p.up(j.t) {
		return p, 0
	}
	m := regexp.MustCompile(`"msg":"serving","pid":(\d+)`).FindStringSubmatch(p.said())
	if m == nil {
		j.t.Fatal("the DP does not say its pid: ", p.said())
	}
	_, err := fmt.Sscan(m[1], &pid)
	check(j.t, err)
	// A strace that is killed leaves the DP running.
	j.t.Cleanup(func() { p.end(pid, syscall.SIGKILL) })
	return p, pid
}

// end has the DP under strace end, and strace with it.
func (p *process) end(pid int, s syscall.Signal) {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = syscall.Kill(pid, s)
	<-p.ended
}

// calls are the names of the writing calls that an undisturbed run makes.
func (j *injection) calls() []string {
	j.t.Helper()
	j.reset()
	trace := filepath.Join(j.t.TempDir(), "trace")
	p, pid := j.traced(trace, "trace=all")
	check(j.t, j.submit(j.t.Context(), j.newcomer))
	check(j.t, j.withdraw(j.t.Context(), j.holding))
	j.hangUp()
	p.end(pid, syscall.SIGTERM)
	names := make(map[string]bool)
	for _, c := range j.read(trace) {
		switch {
		case slices.Contains(writing, c.name):
			names[c.name] = true
			j.calm[c.name+" "+c.place] = true
		case !slices.Contains(reading, c.name):
			j.t.Errorf("is %s a call that writes?", c.name)
		}
	}
	if !names["pwrite64"] || !names["fsync"] && !names["fdatasync"] {
		j.t.Fatalf("the DP writes by %v", names)
	}
	return slices.Sorted(maps.Keys(names))
}

// call is a line of a trace.
type call struct {
	name, place string
	injected    bool
}

var (
	traceLine = regexp.MustCompile(`^(\d+) +(\w+)\((.*)`)
	traceRest = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>`)
	traceFile = regexp.MustCompile(`/(dp(?:\.db[a-z-]*)?)["<>]`)
	// The offset of a write, the length to which a file is cut.
	traceOffset = regexp.MustCompile(`, (\d+)(?:\) += | <unfinished)`)
)

// read returns the calls of a trace.
func (j *injection) read(trace string) []call {
	j.t.Helper()
	text, err := os.ReadFile(trace)
	check(j.t, err)
	var all []call
	begun := make(map[string]int) // by thread: its last call
	for line := range bytes.Lines(text) {
		injected := bytes.Contains(line, []byte("(INJECTED)"))
		if m := traceRest.FindSubmatch(line); m != nil {
			if i, ok := begun[string(m[1])]; ok && injected {
				all[i].injected = true
			}
			continue
		}
		m := traceLine.FindSubmatch(line)
		if m == nil {
			continue // a signal, an end
		}
		c := call{name: string(m[2]), injected: injected}
		if f := traceFile.FindSubmatch(m[3]); f != nil {
			c.place = string(f[1])
		}
		if o := traceOffset.FindSubmatch(m[3]); o != nil {
			c.place += " " + string(o[1])
		}
		begun[string(m[1])] = len(all)
		all = append(all, c)
	}
	return all
}

// missing are the calls of an undisturbed run that never failed.
func (j *injection) missing() []string {
	var out []string
	for what := range j.calm {
		if !j.failed[what] {
			out = append(out, what)
		}
	}
	slices.Sort(out)
	return out
}

// run lets the n-th call of that name in each thread fail, and returns how many
// did.
func (j *injection) run(name string, n int, m mode) (hits int) {
	j.t.Helper()
	j.reset()
	trace := filepath.Join(j.t.TempDir(), "trace")
	p, pid := j.traced(trace, "trace="+name, fmt.Sprintf("inject=%s:error=%s:when=%d%s", name, m.errno, n, m.on))
	submitted, withdrawn := false, false
	if pid != 0 {
		submitted, withdrawn = j.disturbed(m)
		j.hangUp()
		switch all := submitted && withdrawn; {
		case all:
			p.end(pid, syscall.SIGTERM)
		case m.crash:
			p.end(pid, syscall.SIGKILL)
		default:
			j.t.Errorf("the DP does not recover from one error: %s", p.said())
		}
	} else if m.on == "" {
		j.t.Errorf("the DP does not open its store after one error: %s", p.said())
	}
	for _, c := range j.read(trace) {
		if c.injected {
			hits++
			j.failed[c.name+" "+c.place] = true
		}
	}
	j.judge(submitted, withdrawn)
	return hits
}

// disturbed submits and withdraws and reports what of it was acknowledged. If
// no crash shall follow, it tries again what failed.
func (j *injection) disturbed(m mode) (submitted, withdrawn bool) {
	try := func(what func() error) bool {
		for range 3 {
			err := what()
			if err == nil {
				return true
			}
			if j.refused++; m.crash {
				return false
			}
		}
		return false
	}
	ctx := j.t.Context()
	if submitted = try(func() error { return j.submit(ctx, j.newcomer) }); !submitted {
		return false, false
	}
	withdrawn = try(func() error {
		err := j.withdraw(ctx, j.holding)
		if gone(err) {
			return nil // the first time was made, and not acknowledged
		}
		return err
	})
	return submitted, withdrawn
}

// judge looks at what a run left, sends again, and looks again.
func (j *injection) judge(submitted, withdrawn bool) {
	j.t.Helper()
	before := j.fsck(j.program)
	p := j.start(wholeProgram)
	if !p.up(j.t) {
		j.t.Fatal("the DP does not start again: ", p.said())
	}
	there := j.found(j.newcomer, j.holding)
	if submitted && there[0].IsZero() {
		j.t.Error("acknowledged, and not there")
	}
	if withdrawn && !there[1].IsZero() {
		j.t.Error("withdrawn, and there")
	}
	live, changes := 0, 1 // the holder's admission
	if !there[0].IsZero() {
		live, changes = live+1, changes+1
	}
	if !there[1].IsZero() {
		live++
	} else {
		changes++
	}
	if before.Mappings != live || before.Changes != changes {
		j.t.Errorf("%d mappings found after %d changes; fsck says %+v", live, changes, before)
	}
	check(j.t, j.submit(j.t.Context(), j.newcomer))
	if err := j.withdraw(j.t.Context(), j.holding); err != nil && !gone(err) {
		j.t.Errorf("a withdrawal sent again: %v", err)
	}
	if there = j.found(j.newcomer, j.holding); there[0].IsZero() || !there[1].IsZero() {
		j.t.Errorf("in the end, the newcomer is there: %t, the withdrawn: %t", !there[0].IsZero(), !there[1].IsZero())
	}
	p.kill()
	<-p.ended
	j.hangUp()
	if r := j.fsck(j.program); r.Mappings != 1 || r.Tombstones != 1 || r.Changes != 3 || r.Nonces != 2 {
		j.t.Errorf("in the end, fsck says %+v", r)
	}
}
