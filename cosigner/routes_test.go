package cosigner_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"whither/cosigner"
)

// TestEveryErrorHasAProblem walks the source of the packages whose errors an
// MSP can meet and asks the table for each exported sentinel.
func TestEveryErrorHasAProblem(t *testing.T) {
	texts := make(map[string]bool)
	for _, err := range cosigner.TableErrors() {
		texts[err.Error()] = true
	}
	seen := 0
	for _, dir := range []string{".", "../mapping", "../possession"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no source: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for sentinel, text := range sentinels(t, name) {
				seen++
				if !texts[text] && sentinel != "ErrConfig" { // never met by a request
					t.Errorf("%s in %s has no row in the table", sentinel, name)
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("found only %d sentinels; is the walk broken?", seen)
	}
}

// sentinels returns name → text of every exported Err… = errors.New(text).
func sentinels(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
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
				out[id.Name] = text
			}
		}
		return true
	})
	return out
}

// TestTheFirstRowThatMatchesCounts: no error stands in the table twice.
func TestTheFirstRowThatMatchesCounts(t *testing.T) {
	seen := make(map[error]bool)
	for _, err := range cosigner.TableErrors() {
		if seen[err] {
			t.Errorf("%v stands twice", err)
		}
		seen[err] = true
		if cosigner.Kind(err).Row().Kind != cosigner.Kind(err) {
			t.Errorf("%v: the catalogue has no %s", err, cosigner.Kind(err))
		}
	}
}
