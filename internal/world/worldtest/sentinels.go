package worldtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Sentinels reads the source of the packages in some folders and returns the
// text of every exported Err… = errors.New(text), by folder and name. A table
// that must have a row for each is held against it. A folder without source or
// without sentinels fails the test.
func Sentinels(t testing.TB, dirs ...string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		before := len(out)
		for _, name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				readSentinels(t, name, out)
			}
		}
		if len(out) == before {
			t.Fatalf("%s: no sentinels; is the walk broken?", dir)
		}
	}
	return out
}

func readSentinels(t testing.TB, name string, out map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, id := range spec.Names {
			if !strings.HasPrefix(id.Name, "Err") || i >= len(spec.Values) {
				continue
			}
			call, ok := spec.Values[i].(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				continue
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out[filepath.Dir(name)+"."+id.Name] = text
			}
		}
		return true
	})
}
