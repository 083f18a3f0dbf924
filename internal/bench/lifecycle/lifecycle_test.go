package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"whither/internal/bench"
	"whither/internal/bench/lifecycle"
	"whither/internal/dp"
	"whither/internal/storetest/pgtest"
)

// asDP has the test binary be a DP process.
const asDP = "WHITHER_TEST_AS_DP"

func TestMain(m *testing.M) {
	if os.Getenv(asDP) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dp.Run(ctx, os.Args[1], dp.Options{Now: time.Now, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestRun measures hardly anything: whether it works, not how fast it is.
func TestRun(t *testing.T) {
	pgtest.Start(t) // skips the test where there is none
	t.Setenv(asDP, "1")
	dir, err := os.MkdirTemp("", "whither-test-") // open to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := lifecycle.Run(t.Context(), lifecycle.Options{
		Admissions: 64, Rows: 50, Slice: 100 * time.Millisecond, Dir: dir, Program: []string{os.Args[0]}, Progress: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, of := range r.Ratios {
		if of.Rounds != bench.MinRounds || of.Min < 0 || of.Median > of.Max {
			t.Errorf("%s: %+v", key, of)
		}
	}
	for _, key := range []string{"admit_over_bare_sqlite", "admit_over_bare_postgres"} {
		if r.Ratios[key].Min <= 0 {
			t.Errorf("%s: %+v", key, r.Ratios[key])
		}
	}
	for key, f := range r.Figures {
		if f < 0 {
			t.Errorf("%s: %f", key, f)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []lifecycle.Options{{}, {Admissions: 1, Rows: 1, Slice: 1}, {Admissions: -1, Rows: 1, Slice: 1, Program: []string{"x"}}} {
		if _, err := lifecycle.Run(t.Context(), o); !errors.Is(err, bench.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
