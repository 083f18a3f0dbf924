package sqlstore_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

// childFolder names the folder in which a child process works; without it,
// TestCrashChild has nothing to do.
const childFolder = "WHITHER_TEST_CRASH_FOLDER"

// TestCrashChild is the process that is killed: it admits mappings from four
// goroutines, withdraws every third, and says so when each is done.
func TestCrashChild(t *testing.T) {
	folder := os.Getenv(childFolder)
	if folder == "" {
		return
	}
	keys, err := sqlstore.LoadKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	d := openDirectory(t, sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: keys})
	f := worldtest.New(t)
	policy := mapping.PolicyAt(f.Snapshot(), f.Now)
	dp := worldtest.Key(t, worldtest.DP)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("user-%d-%d-%d@example.org", os.Getpid(), g, i)
				id, k := worldtest.CSI(t, "mailto:"+name), worldtest.Key(t, name)
				p, err := policy.VerifyProposal(f.Propose(f.Claims(id, k.Public(), name, worldtest.MSPA), k, f.MailReceipts(id, k.Public(), f.Now)))
				if err != nil {
					t.Error(err)
					return
				}
				v, err := p.Finish(dp, f.Now, f.Now.Add(mapping.MaxDPLife), mapping.FoundFirst)
				if err != nil {
					t.Error(err)
					return
				}
				say := func(what string, err error) {
					if err != nil {
						t.Error(err)
					}
					// One system call a line, so that none is cut in two.
					_, _ = os.Stdout.WriteString(what + " " + v.Claims().ID.String() + "\n")
				}
				say("admitted", d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now))
				if i%3 == 0 {
					say("withdrawing", nil)
					say("withdrawn", d.Withdraw(t.Context(), v.Claims().ID, v.Digest(), f.Now))
				}
			}
		})
	}
	wg.Wait()
}

// TestAcknowledgedSurvivesKill kills the process that writes, ten times, at
// different points, and looks each time at what it left.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	folder := t.TempDir()
	keys, err := sqlstore.MakeKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	now := worldtest.New(t).Now
	last := make(map[string]string) // by id: the last that was said of it
	for round := range 10 {
		killed(t, program, folder, 5+17*round, last)
		d := openDirectory(t, sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: keys})
		admitted := 0
		for text, said := range last {
			raw, err := hex.DecodeString(text)
			if err != nil || len(raw) != len(mapping.ID{}) {
				t.Fatalf("the child said %q", text)
			}
			_, err = d.ByID(t.Context(), mapping.ID(raw), now)
			switch {
			case said == "admitted" && err != nil:
				t.Errorf("round %d: %s was admitted: %v", round, text, err)
			case said == "withdrawn" && !errors.Is(err, directory.ErrUnknown):
				t.Errorf("round %d: %s was withdrawn: %v", round, text, err)
			case err == nil:
				admitted++
			}
		}
		report, err := d.Fsck(t.Context(), nil)
		if err != nil || !report.Sound() {
			t.Fatalf("round %d: %+v, %v", round, report, err)
		}
		// What was written and not answered any more is there whole: at most one
		// mapping of each of the four writers in each round.
		if extra := report.Mappings - admitted; extra < 0 || extra > 4*(round+1) {
			t.Errorf("round %d: %d mappings live, %d are known", round, report.Mappings, admitted)
		}
		closeDirectory(t, d)
	}
}

// killed runs a child until it has said some lines, kills it, and notes all
// that it said.
func killed(t *testing.T, program, folder string, lines int, last map[string]string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, "-test.run=^TestCrashChild$", "-test.timeout=1m")
	c.Env = append(os.Environ(), childFolder+"="+folder)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		what, id, ok := strings.Cut(scanner.Text(), " ")
		if !ok || len(id) != 32 {
			t.Errorf("the child said %q", scanner.Text())
			continue
		}
		last[id] = what
		if n++; n == lines {
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	if n < lines {
		t.Fatalf("the child said %d lines", n)
	}
}
