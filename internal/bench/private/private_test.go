package private_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"whither/internal/bench/private"
)

// TestRun measures a small matrix: the figures are there, and none is wrong.
// WHITHER_BENCH_MIB measures that many MiB instead and shows the result.
func TestRun(t *testing.T) {
	o := private.Options{Rows: 2048, Columns: 2048, Rounds: 2, Now: time.Now}
	if mib, err := strconv.Atoi(os.Getenv("WHITHER_BENCH_MIB")); err == nil {
		o = private.Full(mib<<20, time.Now)
	}
	res, err := private.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", raw)
	for _, name := range []string{"scan_over_read", "scan_over_answer", "batch8_over_single", "batch16_over_single"} {
		if s := res.Ratios[name]; s.Rounds != o.Rounds || s.Min <= 0 || s.Median < s.Min || s.Max < s.Median {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if n := res.Figures["wrong_coefficients"]; n != 0 {
		t.Errorf("%v wrong coefficients", n)
	}
	if n := res.Figures["wire_bytes_1m_256"]; n <= 0 || n > 180_000 {
		t.Errorf("%v bytes on the wire", n)
	}
}

func TestOPRF(t *testing.T) {
	const rounds = 11
	res, err := private.OPRF(t.Context(), 16, rounds, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", res)
	if s := res.Ratios["oprf_batch_over_2n_mults"]; s.Rounds != rounds || s.Min <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestRefused(t *testing.T) {
	if _, err := private.Run(t.Context(), private.Options{}); !errors.Is(err, private.ErrOptions) {
		t.Errorf("no options: %v", err)
	}
	if _, err := private.OPRF(t.Context(), 0, 1, time.Now); !errors.Is(err, private.ErrOptions) {
		t.Errorf("no inputs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := private.OPRF(ctx, 1, 1, time.Now); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
