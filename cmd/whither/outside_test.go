package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/world"
	"whither/registry"
	"whither/registry/update"
)

// The people of the demo.
const (
	asker   = "alice"
	address = "bob@" + world.MailDomain
	nobody  = "nobody@" + world.MailDomain
)

// federation is a demo that runs in a process of its own. Tests know of it
// what a stranger on the same machine knows: its folder and its sockets.
type federation struct {
	once sync.Once
	err  error
	cmd  *exec.Cmd
	dir  string
	page string // of the mailboxes
}

// outside is the one federation of all tests in this package.
var outside federation

// startWithin bounds how long the demo may take to be up.
const startWithin = time.Minute

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// start returns the running federation.
func start(t *testing.T) *federation {
	t.Helper()
	outside.once.Do(func() { outside.err = outside.launch() })
	if outside.err != nil {
		t.Fatal(outside.err)
	}
	return &outside
}

func (f *federation) launch() error {
	dir, err := os.MkdirTemp("", "whither-test-")
	if err != nil {
		return err
	}
	f.dir = dir
	f.cmd = program(context.Background(), "--dir", dir, "demo")
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	f.cmd.Stderr = os.Stderr
	if err := f.cmd.Start(); err != nil {
		return err
	}
	up := make(chan error, 1)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			text.WriteString(line + "\n")
			if _, page, ok := strings.Cut(line, "with the mailboxes and phones at "); ok {
				f.page = strings.TrimSpace(page)
				up <- nil
			}
		}
		up <- fmt.Errorf("the demo ended: %s", text.String())
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case err := <-up:
		return err
	case <-time.After(startWithin):
		return errors.New("the demo is not up in time")
	}
}

// stop ends the federation's process by its id and removes its folder.
func (f *federation) stop() {
	if f.cmd == nil || f.cmd.Process == nil {
		return
	}
	_ = f.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = f.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		_ = f.cmd.Process.Kill()
	}
	_ = os.RemoveAll(f.dir)
}

// snapshot reads the federation's registry as any party does.
func (f *federation) snapshot(t *testing.T) func() *registry.Snapshot {
	t.Helper()
	source, err := update.OpenFiles(filepath.Join(f.dir, "registry", "registry.set"), f.root(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return source.Snapshot
}

func (f *federation) root() string { return filepath.Join(f.dir, "registry", "root.json") }

// stolen returns the keys of a party, as one who owns it has them.
func (f *federation) stolen(t *testing.T, name string) party.Keys {
	t.Helper()
	k, err := party.Load(filepath.Join(f.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// as returns a message client with the identity of a party, or of nobody.
func (f *federation) as(t *testing.T, name string) *pinned.Client {
	t.Helper()
	var own *pinned.Identity
	if name != "" {
		own = f.stolen(t, name).TLS
	}
	c := pinned.NewClient(f.snapshot(t), own, time.Now)
	t.Cleanup(c.Close)
	return c
}

// run carries out a command line of whither in a process of its own.
func (f *federation) run(t *testing.T, dir string, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := program(ctx, append([]string{"--dir", dir}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != want {
		t.Fatalf("whither %v exits with %d, not %d: %v\n%s%s", args, code, want, err, out.String(), errOut.String())
	}
	return out.String(), errOut.String()
}

// answers looks addresses up as the asker and returns the JSON answers.
func (f *federation) answers(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	out, _ := f.run(t, filepath.Join(f.dir, "people", asker), 0, append([]string{"--json", "lookup"}, args...)...)
	var answer struct {
		Answers []map[string]any `json:"answers"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return answer.Answers
}

func id(t *testing.T, name string) registry.PartyID {
	t.Helper()
	p, err := registry.ParsePartyID(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t *testing.T, address string) csi.ID {
	t.Helper()
	c, err := parseCSI(address, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
