package problem_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"whither/problem"
)

var update = flag.Bool("update", false, "rewrite docs/spec/problems.md from the catalogue")

const (
	problemsPage = "../docs/spec/problems.md"
	messagesPage = "../docs/spec/messages.md"
)

const intro = `# Problems

Every refusal is a problem document (RFC 9457) whose type is ` + "`urn:whither:problem:`" + ` and one of the names below; its form is in
[messages.md](messages.md#answers), and which endpoint answers what stands there too. In vectors and in a challenge's status the same names
mean the same. A name keeps its meaning for ever; new ones are added, and a client that meets an unknown one goes by the status.

*Retry* says when the request can succeed:

| retry | meaning |
| --- | --- |
| never | not without changing the request |
| fresh | after fetching anew what the request rests on: the offer, the registry, the receipt, the mapping |
| later | unchanged, after the seconds of ` + "`Retry-After`" + ` |

This page is generated from package ` + "`problem`" + ` by ` + "`go generate`" + `.
`

// TestPageIsCurrent composes docs/spec/problems.md from the catalogue and
// compares; with -update it writes the page.
func TestPageIsCurrent(t *testing.T) {
	var page strings.Builder
	page.WriteString(intro)
	heading := headings(t)
	for _, r := range problem.Catalogue() {
		if h := heading[string(r.Kind)]; h != "" {
			fmt.Fprintf(&page, "\n## %s\n\n| name | status | meaning | retry | what to do |\n| --- | --- | --- | --- | --- |\n", h)
		}
		fmt.Fprintf(&page, "| `%s` | %d | %s | %s | %s |\n", r.Kind, r.Status, r.Title, r.Retry, r.Do)
	}
	if *update {
		if err := os.WriteFile(problemsPage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(problemsPage)
	if err != nil || string(got) != page.String() {
		t.Errorf("%s is stale: run go test ./problem -update (%v)", problemsPage, err)
	}
}

// headings reads the comments over the groups of catalogue.go: first kind of a
// group → heading.
func headings(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "catalogue.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Doc == nil || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			kind, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out[kind] = strings.TrimSuffix(strings.TrimSpace(spec.Doc.Text()), ".")
		}
		return true
	})
	if len(out) < 5 {
		t.Fatalf("found only %d groups of kinds", len(out))
	}
	return out
}

// heldByClients are kinds that no endpoint answers: clients give them to what
// they verify themselves.
var heldByClients = map[string]bool{"mapping-stale": true}

var refusals = regexp.MustCompile("`([a-z]+(?:-[a-z]+)*)`")

// TestMessagesNameEveryKind: a kind that no endpoint is said to answer is dead
// or forgotten.
func TestMessagesNameEveryKind(t *testing.T) {
	b, err := os.ReadFile(messagesPage)
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for _, m := range refusals.FindAllStringSubmatch(string(b), -1) {
		named[m[1]] = true
	}
	for _, r := range problem.Catalogue() {
		if k := string(r.Kind); named[k] == heldByClients[k] {
			t.Errorf("%s: named in %s: %v, held by clients: %v", k, messagesPage, named[k], heldByClients[k])
		}
	}
}
