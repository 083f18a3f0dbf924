package whither_test

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// A check that cannot fail is worth nothing: here every rule of arch_test.go is
// broken once, in a tree made up for it, and must answer with that one breach.

// soundTree is the smallest tree that keeps the rules: every room of the floors,
// each with a package comment and nothing else.
func soundTree(h house) fstest.MapFS {
	tree := make(fstest.MapFS)
	for _, floor := range h.floors {
		for _, dir := range floor {
			name := path.Base(dir)
			switch {
			case dir == ".":
				name = h.module
			case strings.HasPrefix(dir, "cmd/"):
				name = "main"
			}
			put(tree, path.Join(dir, "doc.go"), fmt.Sprintf("// Package %s is a room.\npackage %s\n", name, name))
		}
	}
	return tree
}

func put(tree fstest.MapFS, name, src string) {
	tree[name] = &fstest.MapFile{Data: []byte(src)}
}

func TestArchitectureCatches(t *testing.T) {
	h := rules
	h.planned = nil // in the tree of this test every room is built

	long := strings.Repeat("\n", 81)
	tests := []struct {
		name  string
		files map[string]string // added; without a text, removed
		want  string            // part of the one breach; empty for none
	}{
		{name: "nothing in a sound tree"},

		// Rooms.
		{name: "an unlisted room", files: map[string]string{"internal/cellar/cellar.go": "// Package cellar is new.\npackage cellar"}, want: "internal/cellar: has no floor"},
		{name: "a room that is gone", files: map[string]string{"csi/doc.go": ""}, want: "csi: is listed in arch_test.go and missing"},
		{name: "no package comment", files: map[string]string{"csi/doc.go": "package csi"}, want: "csi: has 0 package comments"},
		{name: "an empty package comment", files: map[string]string{"csi/doc.go": "//\npackage csi"}, want: "csi: has 0 package comments"},
		{name: "a directive as package comment", files: map[string]string{"csi/doc.go": "//go:build linux\npackage csi"}, want: "csi: has 0 package comments"},
		{name: "two package comments", files: map[string]string{"csi/b.go": "// Package csi again.\npackage csi"}, want: "csi: has 2 package comments"},
		{name: "a name unlike the folder", files: map[string]string{"csi/doc.go": "// Package x is a room.\npackage x"}, want: `package names ["x"], want only "csi"`},
		{name: "a program hidden in a room", files: map[string]string{"csi/gen.go": "//go:build ignore\n\npackage main"}, want: `package names ["csi" "main"]`},
		{name: "tests without code", files: map[string]string{"csi/doc.go": "", "csi/csi_test.go": "package csi_test"}, want: "csi: has test files only"},

		// Floors.
		{name: "upwards", files: map[string]string{"key/a.go": imports("key", "whither/mapping")}, want: "key/a.go imports whither/mapping: floor 0 must not know floor 1"},
		{name: "upwards by another name", files: map[string]string{"key/a.go": "package key\nimport m \"whither/mapping\""}, want: "floor 0 must not know floor 1"},
		{name: "upwards for the effect", files: map[string]string{"key/a.go": "package key\nimport _ \"whither/mapping\""}, want: "floor 0 must not know floor 1"},
		{name: "upwards on another system", files: map[string]string{"key/a_plan9.go": imports("key", "whither/mapping")}, want: "floor 0 must not know floor 1"},
		{name: "upwards behind a build tag", files: map[string]string{"key/a.go": "//go:build never\n\n" + imports("key", "whither/mapping")}, want: "floor 0 must not know floor 1"},
		{name: "sideways", files: map[string]string{"csi/a.go": imports("csi", "whither/key")}, want: "both stand on floor 0"},
		{name: "sideways where listed", files: map[string]string{"key/a.go": imports("key", "whither/internal/canon")}},
		{name: "sideways the wrong way", files: map[string]string{"internal/canon/a.go": imports("canon", "whither/key")}, want: "both stand on floor 0"},
		{name: "downwards", files: map[string]string{"mapping/a.go": imports("mapping", "whither/csi")}},
		{name: "upwards in a test", files: map[string]string{"key/a_test.go": imports("key_test", "whither/mapping")}},

		// Who may know what.
		{name: "SQL outside the store", files: map[string]string{"internal/prover/a.go": imports("prover", "database/sql")}, want: "SQL stays behind"},
		{name: "a driver outside the store", files: map[string]string{"internal/prover/a.go": imports("prover", "modernc.org/sqlite/lib")}, want: "SQL stays behind"},
		{name: "SQL in the store", files: map[string]string{"internal/sqlstore/a.go": imports("sqlstore", "database/sql")}},
		{name: "another judge of signatures", files: map[string]string{"mapping/a.go": imports("mapping", "crypto/ed25519")}, want: "one place decides that a signature is good"},
		{name: "testing in production", files: map[string]string{"client/a.go": imports("client", "testing")}, want: "no testing in production"},
		{name: "weak randomness", files: map[string]string{"client/a.go": imports("client", "math/rand")}, want: "use crypto/rand"},
		{name: "weak randomness, second edition", files: map[string]string{"client/a.go": imports("client", "math/rand/v2")}, want: "use crypto/rand"},
		{name: "flags below commands", files: map[string]string{"internal/dp/a.go": imports("dp", "flag")}, want: "flags are read in commands"},
		{name: "flags in commands", files: map[string]string{"cmd/whither/a.go": imports("main", "flag")}},
		{name: "the oracle in production", files: map[string]string{"internal/world/a.go": imports("world", "github.com/veraison/go-cose")}, want: "test oracle"},
		{name: "a dot import", files: map[string]string{"client/a.go": "package client\nimport . \"strings\""}, want: "no dot imports"},
		{name: "a new dependency of the trust core", files: map[string]string{"mapping/a.go": imports("mapping", "github.com/google/go-cmp/cmp")}, want: "floors 0-2 stand on the standard library"},
		{name: "files below the roles", files: map[string]string{"mapping/a.go": imports("mapping", "os")}, want: "floors 0-2 do no I/O"},
		{name: "network in a role", files: map[string]string{"internal/dp/directory/a.go": imports("directory", "net/http")}, want: "no network I/O"},
		{name: "addresses without network", files: map[string]string{"mapping/a.go": imports("mapping", "net/url")}},

		// What must not be reached.
		{name: "a relay that knows CSIs", files: map[string]string{"relay/a.go": imports("relay", "whither/csi")}, want: "R14"},
		{name: "a relay that knows CSIs through others", files: map[string]string{
			"cmd/whither-relay/a.go": imports("main", "whither/internal/limit"),
			"internal/limit/a.go":    imports("limit", "whither/wire"),
			"wire/a.go":              imports("wire", "whither/csi"),
		}, want: "cmd/whither-relay > internal/limit > wire: R14"},
		{name: "an SDK with SQL", files: map[string]string{
			"client/a.go":          imports("client", "whither/internal/pinned"),
			"internal/pinned/a.go": imports("pinned", "whither/internal/dp/directory"),
		}, want: "the SDK carries no server"},
		{name: "a daemon with the demonstration", files: map[string]string{"cmd/whither-dp/a.go": imports("main", "whither/internal/world")}, want: "carries no demonstration"},

		// What code does.
		{name: "the clock", files: map[string]string{"mapping/a.go": imports("mapping", "time") + "func f() { _ = time.Now() }"}, want: "time.Now: the clock is handed in"},
		{name: "the clock, renamed", files: map[string]string{"mapping/a.go": "package mapping\nimport clock \"time\"\nvar now = clock.Now"}, want: "time.Now: the clock is handed in"},
		{name: "the clock, implied", files: map[string]string{"internal/dp/directory/a.go": imports("directory", "time") + "func f(t time.Time) { _ = time.Since(t) }"}, want: "time.Since"},
		{name: "something else called time", files: map[string]string{"mapping/a.go": "package mapping\nfunc f(time struct{ Now int }) int { return time.Now }"}},
		{name: "a timer in a role", files: map[string]string{"internal/dp/directory/a.go": imports("directory", "time") + "func f() { time.Sleep(1) }"}, want: "no timers in roles"},
		{name: "the clock at the edge", files: map[string]string{"client/a.go": imports("client", "time") + "func f() { _ = time.Now() }"}},
		{name: "a logger in a statement", files: map[string]string{"mapping/a.go": imports("mapping", "log/slog") + "type t struct { l *slog.Logger }"}, want: "floors 0-2 do not log"},
		{name: "a redacting value", files: map[string]string{"key/a.go": imports("key", "log/slog") + "type t struct{}\nfunc (t) LogValue() slog.Value { return slog.StringValue(\"\") }"}},
		{name: "the default logger", files: map[string]string{"internal/dp/a.go": imports("dp", "log/slog") + "func f() { slog.Info(\"\") }"}, want: "the logger is handed in"},
		{name: "the default HTTP client", files: map[string]string{"cmd/whither/a.go": imports("main", "net/http") + "var c = http.DefaultClient"}, want: "R23"},
		{name: "printing below commands", files: map[string]string{"client/a.go": imports("client", "fmt") + "func f() { fmt.Println() }"}, want: "only commands print"},
		{name: "init", files: map[string]string{"client/a.go": "package client\nfunc init() {}"}, want: "init is for commands"},
		{name: "init in a command", files: map[string]string{"cmd/whither/a.go": "package main\nfunc init() {}"}},
		{name: "a method called init", files: map[string]string{"client/a.go": "package client\ntype t int\nfunc (t) init() {}"}},
		{name: "a goroutine in a mechanism", files: map[string]string{"translog/a.go": "package translog\nfunc f() { go f() }"}, want: "start no goroutines"},
		{name: "a goroutine that is listed", files: map[string]string{"internal/privacy/pir/a.go": "package pir\nfunc f() { go f() }"}},

		// Global state.
		{name: "a global counter", files: map[string]string{"client/a.go": "package client\nvar n int\nfunc f() { n++ }"}, want: "n is written after"},
		{name: "a global table, written from another file", files: map[string]string{"client/a.go": "package client\nvar m = map[int]int{}", "client/b.go": "package client\nfunc f() { m[1] = 2 }"}, want: "m is written after"},
		{name: "a global lock", files: map[string]string{"client/a.go": imports("client", "sync") + "var mu sync.Mutex"}, want: "mu: no global state"},
		{name: "a local of the same name", files: map[string]string{"client/a.go": "package client\nvar n int\nfunc f() { n := 0; n++ }"}},
		{name: "a global table, read", files: map[string]string{"client/a.go": "package client\nvar m = map[int]int{1: 2}\nfunc f() int { return m[1] }"}},

		// Sizes.
		{name: "a long function", files: map[string]string{"client/a.go": "package client\nfunc f() {" + long + "}"}, want: "f has 82 lines"},
		{name: "a long file", files: map[string]string{"client/a.go": "package client\n" + strings.Repeat("var _ int\n", 600)}, want: "is it still one subject?"},
		{name: "a long package", files: map[string]string{
			"client/a.go": "package client\n" + strings.Repeat("var _ int\n", 500),
			"client/b.go": "package client\n" + strings.Repeat("var _ int\n", 500),
			"client/c.go": "package client\n" + strings.Repeat("var _ int\n", 500),
		}, want: "client: has 1504 lines"},

		// Tests.
		{name: "a test that skips", files: map[string]string{"key/a_test.go": imports("key_test", "testing") + "func TestX(t *testing.T) { t.Skip() }"}, want: "Skip: a check that does not run"},
		{name: "a subtest that skips", files: map[string]string{"key/a_test.go": imports("key_test", "testing") + "func TestX(t *testing.T) { t.Run(\"\", func(t *testing.T) { t.SkipNow() }) }"}, want: "SkipNow"},
		{name: "a suite that skips", files: map[string]string{"internal/storetest/a.go": imports("storetest", "testing") + "func Run(t testing.TB) { t.Skipf(\"\") }"}, want: "Skipf"},
		{name: "a property that discards a value", files: map[string]string{"key/a_test.go": imports("key_test", "pgregory.net/rapid") + "func prop(t *rapid.T) { t.Skip() }"}},
		{name: "a test from inside", files: map[string]string{"key/a_test.go": "package key"}, want: "tests are external"},
		{name: "a door for tests", files: map[string]string{"key/export_test.go": "package key"}},
		{name: "a requirement that there is not", files: map[string]string{"key/a_test.go": imports("key_test", "testing") + "func TestR24Nothing(t *testing.T) {}"}, want: "TestR24Nothing: write two digits"},
		{name: "a requirement with one digit", files: map[string]string{"key/a_test.go": imports("key_test", "testing") + "func TestR4DP(t *testing.T) {}"}, want: "TestR4DP"},
		{name: "a requirement and a small letter", files: map[string]string{"key/a_test.go": imports("key_test", "testing") + "func TestR04dp(t *testing.T) {}"}, want: "TestR04dp"},
		{name: "a requirement", files: map[string]string{"key/a_test.go": imports("key_test", "testing") + "func TestR04DPAlone(t *testing.T) {}"}},

		// What is not ours to judge.
		{name: "test data", files: map[string]string{"key/testdata/x.go": "package anything"}},
		{name: "another module", files: map[string]string{"bench/go.mod": "module x", "bench/x.go": "package x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := soundTree(h)
			for name, src := range test.files {
				if put(tree, name, src); src == "" {
					delete(tree, name)
				}
			}
			expectBreach(t, h, tree, test.want)
		})
	}
}

// TestArchitectureCatchesTables breaks the rules about the tables themselves.
func TestArchitectureCatchesTables(t *testing.T) {
	tests := []struct {
		name   string
		change func(*house)
		want   string
	}{
		{"a planned room that is built", func(h *house) { h.planned = []string{"csi"} }, "csi: is built now"},
		{"a misspelt room", func(h *house) { h.sameFloor = map[string]string{"kye": ""} }, "kye stands on no floor"},
		{"a misspelt wall", func(h *house) { h.never = map[string]never{"cmd/relay": {}} }, "cmd/relay stands on no floor"},
		{"a neighbour upstairs", func(h *house) { h.sameFloor = map[string]string{"key": "mapping"} }, "different floors"},
		{"a forbidden name", func(h *house) { h.names = []string{"csi"} }, "csi: says nothing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := rules
			h.planned = nil
			test.change(&h)
			expectBreach(t, h, soundTree(h), test.want)
		})
	}
}

// expectBreach wants one breach that contains want, or none if want is empty.
func expectBreach(t *testing.T, h house, tree fstest.MapFS, want string) {
	t.Helper()
	rooms, err := load(tree)
	if err != nil {
		t.Fatal(err)
	}
	got := h.breaches(rooms)
	if want == "" {
		if len(got) != 0 {
			t.Errorf("false alarm:\n%s", strings.Join(got, "\n"))
		}
		return
	}
	if len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("got %d breaches, want one with %q\n%s", len(got), want, strings.Join(got, "\n"))
	}
}

// imports writes the head of a file.
func imports(pkg, target string) string {
	return fmt.Sprintf("package %s\nimport %q\n", pkg, target)
}
