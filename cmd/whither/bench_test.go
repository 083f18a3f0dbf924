package main

import (
	"bytes"
	"strings"
	"testing"

	"whither/internal/bench/every"
)

// TestBenchNames: the command offers what there is to measure, and nothing else.
// The measurements themselves are tested in package bench.
func TestBenchNames(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"bench", "--help"}, nil, &out, &errOut); code != 0 {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	if len(every.Names()) == 0 {
		t.Fatal("nothing to measure")
	}
	for _, name := range every.Names() {
		if !strings.Contains(out.String(), name) {
			t.Errorf("%s is not offered", name)
		}
	}
	if code := run(t.Context(), []string{"bench", "nothing"}, nil, &out, &errOut); code != 2 {
		t.Errorf("an unknown name: exit %d", code)
	}
	if code := run(t.Context(), []string{"bench", "verify", "--rows=-1"}, nil, &out, &errOut); code != 2 {
		t.Errorf("a wrong size: exit %d", code)
	}
}
