package msp_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whither/cosigner"
	"whither/internal/msp"
	"whither/internal/world/worldtest"
)

func openAccounts(t testing.TB) (*msp.Accounts, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "accounts.json")
	a, err := msp.OpenAccounts(path)
	if err != nil {
		t.Fatal(err)
	}
	return a, path
}

func TestAccountsAreKept(t *testing.T) {
	a, path := openAccounts(t)
	mail, phone := worldtest.CSI(t, "mailto:alice@example.org"), worldtest.CSI(t, "tel:+14085550123")
	other := worldtest.CSI(t, "mailto:bob@example.org")
	alice, err := a.Add("alice", mail, phone)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := a.Add("bob")
	if err != nil {
		t.Fatal(err)
	}
	if alice == bob || len(alice) < 43 {
		t.Errorf("tokens %q and %q", alice, bob)
	}
	again, err := msp.OpenAccounts(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []*msp.Accounts{a, again} {
		for _, test := range []struct {
			token string
			want  [3]cosigner.Link // mail, phone, other
		}{
			{alice, [3]cosigner.Link{cosigner.Linked, cosigner.Linked, cosigner.NotLinked}},
			{bob, [3]cosigner.Link{cosigner.NotLinked, cosigner.NotLinked, cosigner.NotLinked}},
			{strings.ToLower(alice), [3]cosigner.Link{}},
			{alice + " ", [3]cosigner.Link{}},
			{"alice", [3]cosigner.Link{}},
			{"", [3]cosigner.Link{}},
		} {
			for i, id := range []string{mail.Canonical(), phone.Canonical(), other.Canonical()} {
				if got, err := store.Link(t.Context(), test.token, worldtest.CSI(t, id)); err != nil || got != test.want[i] {
					t.Errorf("link %d: %d, %v", i, got, err)
				}
			}
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), alice) || strings.Contains(string(b), bob) {
		t.Error("a token is kept")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".accounts-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAccountsTaken(t *testing.T) {
	a, path := openAccounts(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token, err := a.Add("alice", id)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add("alice"); !errors.Is(err, msp.ErrTaken) {
		t.Errorf("name: %v", err)
	}
	if _, err := a.Add("mallory", id); !errors.Is(err, msp.ErrTaken) || strings.Contains(err.Error(), "alice") {
		t.Errorf("CSI: %v", err)
	}
	if _, err := a.Add(""); err == nil {
		t.Error("an account without a name")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file changed: %v", err)
	}
	if got, err := a.Link(t.Context(), token, id); err != nil || got != cosigner.Linked {
		t.Errorf("the account is gone: %d, %v", got, err)
	}
}

// TestAccountsNotWritten: when the file cannot be written, nothing changed.
func TestAccountsNotWritten(t *testing.T) {
	a, err := msp.OpenAccounts(filepath.Join(t.TempDir(), "missing", "accounts.json"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second try would find the name taken
		if _, err := a.Add("alice"); err == nil || errors.Is(err, msp.ErrTaken) {
			t.Errorf("got %v", err)
		}
	}
}

// TestAccountsFollowTheFile: a good file is taken over while the MSP runs, a
// bad one is not.
func TestAccountsFollowTheFile(t *testing.T) {
	a, path := openAccounts(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token, err := a.Add("alice", id)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := a.Step(); changed || err != nil {
		t.Errorf("nothing happened: %t, %v", changed, err)
	}
	writer, err := msp.OpenAccounts(path)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := writer.Add("bob", worldtest.CSI(t, "mailto:bob@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := a.Step(); !changed || err != nil {
		t.Errorf("bob: %t, %v", changed, err)
	}
	if got, err := a.Link(t.Context(), bob, id); err != nil || got != cosigner.NotLinked {
		t.Errorf("bob: %d, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := a.Step(); changed || !errors.Is(err, msp.ErrAccounts) {
		t.Errorf("a bad file: %t, %v", changed, err)
	}
	if got, err := a.Link(t.Context(), token, id); err != nil || got != cosigner.Linked {
		t.Errorf("a bad file signed alice out: %d, %v", got, err)
	}
}

const (
	tokenA = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
	tokenB = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
)

func TestAccountsFileIsStrict(t *testing.T) {
	row := func(name, token, csis string) string {
		return `{"name":"` + name + `","token":"` + token + `","csis":[` + csis + `]}`
	}
	for _, test := range []struct {
		name, content string
		mode          os.FileMode
		want          error
	}{
		{"good", `{"accounts":[` + row("alice", tokenA, `"mailto:alice@example.org"`) + `,` + row("bob", tokenB, ``) + `]}`, 0o600, nil},
		{"good, read-only", `{"accounts":[]}`, 0o400, nil},
		{"readable by the group", `{"accounts":[]}`, 0o640, msp.ErrAccounts},
		{"readable by all", `{"accounts":[]}`, 0o604, msp.ErrAccounts},
		{"empty", ``, 0o600, msp.ErrAccounts},
		{"no accounts", `{}`, 0o600, msp.ErrAccounts},
		{"null", `{"accounts":null}`, 0o600, msp.ErrAccounts},
		{"unknown member", `{"accounts":[],"x":1}`, 0o600, msp.ErrAccounts},
		{"case-folded member", `{"Accounts":[]}`, 0o600, msp.ErrAccounts},
		{"duplicate member", `{"accounts":[],"accounts":[]}`, 0o600, msp.ErrAccounts},
		{"trailing", `{"accounts":[]}{}`, 0o600, msp.ErrAccounts},
		{"token in clear", `{"accounts":[` + row("alice", "secret", ``) + `]}`, 0o600, msp.ErrAccounts},
		{"token of 31 bytes", `{"accounts":[` + row("alice", tokenA[:42], ``) + `]}`, 0o600, msp.ErrAccounts},
		{"no name", `{"accounts":[` + row("", tokenA, ``) + `]}`, 0o600, msp.ErrAccounts},
		{"CSI not canonical", `{"accounts":[` + row("alice", tokenA, `"mailto:Alice@example.org"`) + `]}`, 0o600, msp.ErrAccounts},
		{"name twice", `{"accounts":[` + row("alice", tokenA, ``) + `,` + row("alice", tokenB, ``) + `]}`, 0o600, msp.ErrTaken},
		{"token twice", `{"accounts":[` + row("alice", tokenA, ``) + `,` + row("bob", tokenA, ``) + `]}`, 0o600, msp.ErrTaken},
		{"CSI of two accounts", `{"accounts":[` + row("alice", tokenA, `"tel:+14085550123"`) + `,` + row("bob", tokenB, `"tel:+14085550123"`) + `]}`, 0o600, msp.ErrTaken},
		{"CSI twice", `{"accounts":[` + row("alice", tokenA, `"tel:+14085550123","tel:+14085550123"`) + `]}`, 0o600, msp.ErrTaken},
		{"too large", strings.Repeat(" ", 4<<20) + `{"accounts":[]}`, 0o600, msp.ErrAccounts},
	} {
		path := filepath.Join(t.TempDir(), "accounts.json")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		_, err := msp.OpenAccounts(path)
		if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		if err != nil && (strings.Contains(strings.ToLower(err.Error()), "alice") || strings.Contains(err.Error(), "4085550123")) {
			t.Errorf("%s: the error names somebody: %v", test.name, err)
		}
	}
}

// FuzzAccounts: whatever is read, is written and read again as the same.
func FuzzAccounts(f *testing.F) {
	f.Add([]byte(`{"accounts":[{"name":"alice","token":"` + tokenA + `","csis":["mailto:alice@example.org"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := msp.RewriteAccounts(b)
		if err != nil {
			return
		}
		twice, err := msp.RewriteAccounts(once)
		if err != nil || !bytes.Equal(twice, once) {
			t.Errorf("%v: %q is written again as %q", err, once, twice)
		}
	})
}
