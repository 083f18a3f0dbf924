package pgserver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"whither/internal/pgserver"
	"whither/internal/storetest/pgtest"
)

// TestLife starts a server with a standby, kills the first, promotes the second,
// and leaves nothing behind.
func TestLife(t *testing.T) {
	primary := pgtest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	standby, err := pgserver.Start(ctx, pgserver.Config{Primary: primary})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(standby.Socket())
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = standby.Stop()
		}
	})
	if user, err := primary.SQL(ctx, "SELECT current_user; CREATE TABLE t (k BIGINT); INSERT INTO t VALUES (7)"); err != nil || user != "whither" {
		t.Fatalf("%q, %v", user, err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v, %v", info.Mode(), err)
	}
	for caught := ""; caught != "7"; {
		if caught, err = standby.SQL(ctx, "SELECT k FROM t"); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if out, err := standby.SQL(ctx, "INSERT INTO t VALUES (8)"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a standby took a write: %q, %v", out, err)
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if out, err := standby.SQL(ctx, "INSERT INTO t VALUES (8); SELECT count(*) FROM t"); err != nil || out != "2" {
		t.Errorf("after the promotion: %q, %v", out, err)
	}
	if err := primary.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if out, err := primary.SQL(ctx, "SELECT count(*) FROM t"); err != nil || out != "1" {
		t.Errorf("after a restart: %q, %v", out, err)
	}
	stopped = true
	if err := standby.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// TestSweep leaves folders behind as a killed process would, and as a living one
// has them: the next start removes the former alone.
func TestSweep(t *testing.T) {
	server := pgtest.Start(t)
	parent := filepath.Dir(filepath.Dir(server.Socket()))
	kept := map[string]bool{"old": false, "fresh": true, "running": true}
	dirs := make(map[string]string)
	for name := range kept {
		dir, err := os.MkdirTemp(parent, "whither-pg-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		dirs[name] = dir
		pid := "999999999"
		if name == "running" {
			pid = strconv.Itoa(os.Getpid())
		}
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "data"), 0o700), os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(pid+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if name != "fresh" {
			before := time.Now().Add(-2 * time.Hour)
			if err := os.Chtimes(dir, before, before); err != nil {
				t.Fatal(err)
			}
		}
	}
	pgtest.Start(t)
	for name, want := range kept {
		if _, err := os.Stat(dirs[name]); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := server.SQL(t.Context(), "SELECT 1"); err != nil {
		t.Error(err)
	}
}
