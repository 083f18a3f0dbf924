package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pageWithin bounds how long the whole page may take, building not included.
const pageWithin = 4 * time.Minute

// daemons are built for the page; whither is the test binary itself.
var daemons = []string{"whither-dp", "whither-msp", "whither-observer", "whither-prover"}

// TestOperatePage types what docs/operate.md says, word by word, in one shell
// and an empty folder. Only the addresses are of another part of loopback, so
// that two tests on one machine do not meet.
func TestOperatePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlocks(string(page))
	if len(blocks) < 10 {
		t.Fatalf("%d blocks: the page was not read", len(blocks))
	}
	bin := buildDaemons(t)
	pid := os.Getpid()
	third, second := 1+pid%250, 1+pid/250%250
	script := strings.NewReplacer(
		"127.0.0.", fmt.Sprintf("127.%d.%d.", second, third),
		`127\.0\.0\.`, fmt.Sprintf(`127\.%d\.%d\.`, second, third), // in a pattern
	).Replace(strings.Join(blocks, "\n"))

	// What is still running when the shell ends, ends with it, by its id.
	const head = "set -eux\ntrap 'for job in $(jobs -p); do kill \"$job\" || true; done; wait' EXIT\ntrap 'exit 1' TERM\n"
	ctx, cancel := context.WithTimeout(t.Context(), pageWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", head+script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asProgram+"=1", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // the shell's own group
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run()
	t.Logf("%d blocks in %s", len(blocks), time.Since(began).Round(100*time.Millisecond))
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("something was still running: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), logs(t, cmd.Dir))
	}
	for _, want := range []string{"TLS 1.3 and nothing older", "evidence level 4", "evidence level 2", "evidence level 3", "no mapping", "0 damaged"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the page's commands never say %q:\n%s", want, out.String())
		}
	}
}

// shellBlocks returns the code blocks of a page that are marked sh.
func shellBlocks(page string) []string {
	var blocks []string
	for i, part := range strings.Split(page, "```") {
		if text, ok := strings.CutPrefix(part, "sh\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	return blocks
}

// buildDaemons returns a folder with the programs of the page. The sources of
// the daemons are read, so that the test's result is not remembered across a
// change of them: the go command knows only what a test itself opens.
func buildDaemons(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	args := []string{"build", "-o", bin}
	for _, name := range daemons {
		dir := filepath.Join("..", name)
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(sources) == 0 {
			t.Fatalf("no sources in %s: %v", dir, err)
		}
		for _, s := range sources {
			if _, err := os.ReadFile(s); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, "./"+filepath.ToSlash(dir))
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "whither")); err != nil {
		t.Fatal(err)
	}
	return bin
}

// logs are the ends of the daemons' logs.
func logs(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s:\n%s\n", filepath.Base(f), b)
	}
	return all.String()
}
