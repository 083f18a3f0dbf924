package demo_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"whither/internal/demo"
)

// TestDemoChecksWhatItShows runs the story with a program that does nothing
// well: the demonstration must notice. That it succeeds with the real one is
// shown by the tests of cmd/whither, which run it in a process of its own.
func TestDemoChecksWhatItShows(t *testing.T) {
	for name, program := range map[string]func(out io.Writer) int{
		"fails":           func(io.Writer) int { return 1 },
		"says nothing":    func(io.Writer) int { return 0 },
		"finds what isnt": func(out io.Writer) int { _, _ = io.WriteString(out, `{"answers":[{"outcome":"one"}]}`); return 0 },
	} {
		var out bytes.Buffer
		err := demo.Run(t.Context(), demo.Config{
			Once: true, Log: slog.New(slog.DiscardHandler), Out: &out, Now: time.Now, Dir: t.TempDir(),
			Command: func(_ context.Context, args []string, _ io.Reader, stdout, _ io.Writer) int {
				if len(args) > 3 && args[3] == "list" {
					_, _ = io.WriteString(stdout, "[]")
					return 0
				}
				return program(stdout)
			},
		})
		if err == nil || !strings.Contains(err.Error(), "step 1") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}
