package prover_test

import (
	"strings"
	"testing"

	"whither/internal/prover"
)

// FuzzMailbox: a mailbox has one spelling.
func FuzzMailbox(f *testing.F) {
	f.Add(prover.Mailbox{1, 2, 3}.Local())
	f.Add(strings.Repeat("a", 26))
	f.Add(strings.Repeat("7", 26))
	f.Add(strings.Repeat("A", 26))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if m, ok := prover.ParseMailbox(s); ok && m.Local() != s {
			t.Errorf("%q is read, and written as %q", s, m.Local())
		}
	})
}
