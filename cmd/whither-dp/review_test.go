package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whither/internal/command"
)

// TestReviewWords: the desk of reviewers opens beside a DP, makes their keys, and
// says what is wrong with a case or a word.
func TestReviewWords(t *testing.T) {
	s := newStage(t)
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := review(t.Context(), s.config(), args, &out)
		return out.String(), err
	}
	keyFile := filepath.Join(t.TempDir(), "reviewer.pem")
	public, err := run("key", keyFile)
	if err != nil || len(strings.TrimSpace(public)) != 64 {
		t.Fatalf("%q, %v", public, err)
	}
	settings, err := os.ReadFile(s.config())
	check(t, err)
	table := "\n[review]\nreviewers = [\"" + strings.TrimSpace(public) + "\"]\nquorum = "
	check(t, os.WriteFile(s.config(), append(settings, table+"1\n"...), 0o600))
	if out, err := run("list"); out != "" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	id := strings.Repeat("0f", 16)
	for _, args := range [][]string{{"show", id}, {"decide", id, "newcomer", keyFile, "seen both"}} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), "no such mapping") {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := run("show", "somebody"); err == nil || !strings.Contains(err.Error(), "id of a case") {
		t.Errorf("a wrong id: %v", err)
	}
	for _, args := range [][]string{{}, {"decide", id}, {"decide", id, "nobody", keyFile, "x"}, {"lists"}} {
		var usage command.Usage
		if _, err := run(args...); !errors.As(err, &usage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	check(t, os.WriteFile(s.config(), append(settings, table+"2\n"...), 0o600))
	if _, err := run("list"); err == nil || !strings.Contains(err.Error(), "review.quorum") {
		t.Errorf("more than there are have to agree: %v", err)
	}
}
