package whither_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// plannedDocs may be linked before they are written. A page is taken out on the
// day it is written.
var plannedDocs []string

// mainCommand is what README tells a stranger to run, and what .ci/run ends with.
const mainCommand = "go test ./..."

// forbidden is what the project does not say: it knows neither the machine on
// which it was written nor from where somebody fetches packages, and it leaves
// no marks of unfinished work. The patterns are written so that none matches
// itself.
var forbidden = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`(?:^|[^\w.])/(?:work|root|home|Users)/`), "a path of somebody's machine"},
	{regexp.MustCompile(`\b(?:proxy|sum|index)\.golang\.|\b(?:registry\.npmjs|files\.pythonhosted|pypi|crates|goproxy)\.(?:org|io|cn|com)\b|\bGOPROXY[=]`), "a package registry"},
	{regexp.MustCompile(`(?:^|[^.\w])(?:TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b`), "a mark of unfinished work"},
}

// TestDocs holds every page against the tree.
func TestDocs(t *testing.T) {
	tree := os.DirFS(".")
	pages := read(t, tree, func(p string) bool { return path.Ext(p) == ".md" })
	if len(pages) < 3 {
		t.Fatalf("found %d pages: the tree was not read", len(pages))
	}
	names := declared(t, tree)
	for _, p := range plannedDocs {
		if _, err := fs.Stat(tree, p); err == nil {
			t.Errorf("%s: is written now: take it out of plannedDocs in docs_test.go", p)
		}
	}
	for p, text := range pages {
		for _, fault := range pageFaults(tree, p, text, names) {
			t.Error(fault)
		}
	}
}

// TestForbiddenWords looks at every text file, code and scripts included.
func TestForbiddenWords(t *testing.T) {
	texts := read(t, os.DirFS("."), func(p string) bool { return path.Base(p) != "go.sum" })
	for p, text := range texts {
		for _, fault := range wordFaults(p, text) {
			t.Error(fault)
		}
	}
}

// TestSpecIndex: every specification is found from the list of them.
func TestSpecIndex(t *testing.T) {
	index, err := os.ReadFile("docs/spec/README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := fs.Glob(os.DirFS("docs/spec"), "*.md")
	if err != nil || len(pages) < 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, p := range pages {
		if p != "README.md" && !strings.Contains(string(index), "]("+p+")") {
			t.Errorf("docs/spec/README.md does not list %s", p)
		}
	}
}

// TestDecisionsAreNumbered: docs/adr/NNNN-title.md, each number once and under
// a heading with it. A gap is a number given away and not used.
func TestDecisionsAreNumbered(t *testing.T) {
	tree := os.DirFS(".")
	found, err := fs.Glob(tree, "docs/adr/*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("no decision records: %v", err)
	}
	for _, fault := range decisionFaults(tree, found) {
		t.Error(fault)
	}
}

var decisionName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)

func decisionFaults(tree fs.FS, found []string) []string {
	var faults []string
	seen := make(map[string]bool)
	for _, p := range found {
		m := decisionName.FindStringSubmatch(path.Base(p))
		if m == nil {
			faults = append(faults, p+": want a name NNNN-title.md")
			continue
		}
		if seen[m[1]] {
			faults = append(faults, p+": the number is taken")
		}
		seen[m[1]] = true
		head := "# " + strings.TrimLeft(m[1], "0") + ". "
		if text, err := fs.ReadFile(tree, p); err != nil || !strings.HasPrefix(string(text), head) {
			faults = append(faults, fmt.Sprintf("%s: want a first line %q", p, head+"Title"))
		}
	}
	return faults
}

// TestCIEndsWithMainCommand: what a stranger is told to run is what is run last.
func TestCIEndsWithMainCommand(t *testing.T) {
	script, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(script)), "\n")
	if last := lines[len(lines)-1]; last != mainCommand {
		t.Errorf(".ci/run ends with %q, want %q", last, mainCommand)
	}
	readme, err := os.ReadFile("README.md")
	switch {
	case errors.Is(err, fs.ErrNotExist) && slices.Contains(plannedDocs, "README.md"):
	case err != nil:
		t.Error(err)
	case !slices.ContainsFunc(codeBlocks(string(readme)), func(b block) bool {
		return slices.ContainsFunc(strings.Split(b.text, "\n"), func(line string) bool {
			command, _, _ := strings.Cut(line, "#")
			return strings.TrimSpace(command) == mainCommand
		})
	}):
		t.Errorf("README.md does not show %q in a code block", mainCommand)
	}
}

// TestGenerateKnowsVectors: what tests write with -update, go generate writes,
// so that check compares it with what is checked in.
func TestGenerateKnowsVectors(t *testing.T) {
	tree := os.DirFS(".")
	src, err := fs.ReadFile(tree, "doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var generated []string
	for _, line := range strings.Split(string(src), "\n") {
		if strings.HasPrefix(line, "//go:generate ") {
			generated = append(generated, strings.Fields(line)...)
		}
	}
	flagged := regexp.MustCompile(`flag\.Bool\(\s*"update"`)
	for p, text := range read(t, tree, func(p string) bool { return strings.HasSuffix(p, "_test.go") }) {
		if dir := "./" + path.Dir(p); flagged.MatchString(text) && !slices.Contains(generated, dir) {
			t.Errorf("%s knows -update: name %s in the go:generate line of doc.go", p, dir)
		}
	}
}

// read gives the text files of the tree that want accepts, without what the
// version control and caches keep.
func read(t *testing.T, tree fs.FS, want func(string) bool) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "bin" || len(d.Name()) > 1 && d.Name()[0] == '.' && d.Name() != ".ci"):
			return fs.SkipDir
		case !d.Type().IsRegular() || !want(p):
			return nil
		}
		b, err := fs.ReadFile(tree, p)
		if err == nil && !bytes.ContainsRune(b, 0) {
			texts[p] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

var testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example|Benchmark)\w*)\(`)

// declared gives the names of all tests.
func declared(t *testing.T, tree fs.FS) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, text := range read(t, tree, func(p string) bool { return strings.HasSuffix(p, "_test.go") }) {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			names[m[1]] = true
		}
	}
	return names
}

func wordFaults(p, text string) []string {
	var faults []string
	for i, line := range strings.Split(text, "\n") {
		for _, f := range forbidden {
			if m := f.pattern.FindString(line); m != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: %q is %s", p, i+1, strings.TrimSpace(m), f.why))
			}
		}
	}
	return faults
}

var (
	inlineCode = regexp.MustCompile("`[^`]+`")
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)`)
	refLink    = regexp.MustCompile(`^\s*\[[^\]]+\]:\s+<?([^\s>]+)`)
	namedTest  = regexp.MustCompile("^`(?:Test|Fuzz|Example|Benchmark)[A-Z0-9]\\w*`$")
)

// pageFaults finds links that lead nowhere, copies that differ from their
// source, and names of tests that there are not.
func pageFaults(tree fs.FS, p, text string, tests map[string]bool) []string {
	var faults []string
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s:%d: ", p, line)+fmt.Sprintf(format, args...))
	}
	for i, line := range prose(text) {
		for _, code := range inlineCode.FindAllString(line, -1) {
			if namedTest.MatchString(code) && !tests[strings.Trim(code, "`")] {
				fault(i+1, "there is no test %s", code)
			}
		}
		line = inlineCode.ReplaceAllString(line, "")
		for _, m := range append(inlineLink.FindAllStringSubmatch(line, -1), refLink.FindAllStringSubmatch(line, -1)...) {
			if err := follow(tree, p, m[1]); err != nil {
				fault(i+1, "link %s: %v", m[1], err)
			}
		}
	}
	for _, b := range codeBlocks(text) {
		if b.from == "" {
			continue
		}
		want, err := excerpt(tree, b.from)
		if err != nil {
			fault(b.line, "copy from %s: %v", b.from, err)
		} else if strings.TrimSpace(b.text) != strings.TrimSpace(want) {
			fault(b.line, "differs from %s, which is:\n%s", b.from, want)
		}
	}
	return faults
}

// follow checks that a link of page p leads to a file, and to a heading in it.
func follow(tree fs.FS, p, link string) error {
	if strings.HasPrefix(link, "https://") {
		return nil // no network in tests
	}
	target, heading, _ := strings.Cut(link, "#")
	if strings.Contains(target, ":") || strings.HasPrefix(target, "/") {
		return errors.New("want https or a relative path")
	}
	full := p
	if target != "" {
		full = path.Join(path.Dir(p), target)
	}
	if _, err := fs.Stat(tree, full); err != nil {
		if slices.ContainsFunc(plannedDocs, func(d string) bool { return full == d || strings.HasPrefix(full, d+"/") }) {
			return nil
		}
		return err
	}
	if heading == "" {
		return nil
	}
	text, err := fs.ReadFile(tree, full)
	if err != nil {
		return err
	}
	for _, line := range prose(string(text)) {
		if strings.HasPrefix(line, "#") && anchor(line) == heading {
			return nil
		}
	}
	return errors.New("no such heading")
}

var notAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)

// anchor is the fragment by which repository hosts name a heading.
func anchor(line string) string {
	line = strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
	return strings.ReplaceAll(notAnchor.ReplaceAllString(line, ""), " ", "-")
}

// A block is a fenced code block. It is a copy if a comment stands right above
// it: <!-- from FILE --> or <!-- from FILE NAME -->, where NAME is a top-level
// declaration of a Go file; of an Example, the body is meant.
type block struct {
	line       int
	from, text string
}

var (
	fence  = regexp.MustCompile("^\\s*(```+|~~~+)")
	marker = regexp.MustCompile(`^\s*<!-- from (\S+(?: \w+)?) -->\s*$`)
)

// split separates prose from code blocks; the lines of blocks are empty in prose.
func split(text string) (prose []string, blocks []block) {
	var open string
	var current block
	var above string
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open == "" && m != nil:
			open, current = m[1], block{line: i + 1}
			if from := marker.FindStringSubmatch(above); from != nil {
				current.from = from[1]
			}
			line = ""
		case open != "" && m != nil && strings.HasPrefix(m[1], open) && strings.TrimSpace(line) == m[1]:
			blocks = append(blocks, current)
			open, line = "", ""
		case open != "":
			current.text += line + "\n"
			line = ""
		}
		prose = append(prose, line)
		above = line
	}
	return prose, blocks
}

func prose(text string) []string {
	lines, _ := split(text)
	return lines
}

func codeBlocks(text string) []block {
	_, blocks := split(text)
	return blocks
}

// excerpt gives the text that from names.
func excerpt(tree fs.FS, from string) (string, error) {
	name, symbol, named := strings.Cut(from, " ")
	src, err := fs.ReadFile(tree, name)
	if err != nil || !named {
		return string(src), err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.ParseComments)
	if err != nil {
		return "", err
	}
	at := func(p token.Pos) int { return fset.Position(p).Offset }
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.Name != symbol {
				continue
			}
			if strings.HasPrefix(symbol, "Example") {
				body := string(src[at(d.Body.Lbrace)+1 : at(d.Body.Rbrace)])
				return strings.ReplaceAll(body, "\n\t", "\n"), nil
			}
			return string(src[at(d.Pos()):at(d.End())]), nil
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.Name == symbol {
					return string(src[at(d.Pos()):at(d.End())]), nil
				}
			}
		}
	}
	return "", fmt.Errorf("no declaration of %s", symbol)
}

// TestDocsCatch plants a fault of each kind.
func TestDocsCatch(t *testing.T) {
	tree := fstest.MapFS{}
	put(tree, "docs/b.md", "# Life of a `mapping`, in short\n```\n# no heading\n```\n")
	put(tree, "a/a_test.go", "package a\n\nfunc ExampleA() {\n\tf()\n\t// Output: 1\n}\n\ntype T struct {\n\tX int\n}\n")
	put(tree, "a/demo.txt", "hello\n")
	tests := map[string]bool{"TestR04There": true}
	const ticks = "```"
	for _, test := range []struct{ name, text, want string }{
		{"a good link", "[b](docs/b.md) and [c](https://example.org/x)", ""},
		{"a dead link", "[b](docs/c.md)", "page.md:1: link docs/c.md"},
		{"a dead image", "text\n![b](docs/c.png \"title\")", "page.md:2: link docs/c.png"},
		{"a dead reference", "[b]: docs/c.md", "link docs/c.md"},
		{"a link out of the tree", "[b](../b.md)", "link ../b.md"},
		{"an absolute link", "[b](/docs/b.md)", "want https or a relative path"},
		{"a link without encryption", "[b](http://example.org)", "want https or a relative path"},
		{"a heading", "[b](docs/b.md#life-of-a-mapping-in-short)", ""},
		{"a heading that is gone", "[b](docs/b.md#death)", "no such heading"},
		{"a heading in a code block", "[b](docs/b.md#no-heading)", "no such heading"},
		{"a link in code", "`[b](docs/c.md)`\n" + ticks + "\n[b](docs/c.md)\n" + ticks, ""},
		{"a test", "`TestR04There`", ""},
		{"a test that is gone", "`TestR04Gone`", "there is no test `TestR04Gone`"},
		{"a copied file", "<!-- from a/demo.txt -->\n" + ticks + "\nhello\n" + ticks, ""},
		{"a stale copy of a file", "<!-- from a/demo.txt -->\n" + ticks + "\nhallo\n" + ticks, "page.md:2: differs from a/demo.txt"},
		{"a copied example", "<!-- from a/a_test.go ExampleA -->\n" + ticks + "go\nf()\n// Output: 1\n" + ticks, ""},
		{"a stale copy of an example", "<!-- from a/a_test.go ExampleA -->\n" + ticks + "go\ng()\n" + ticks, "differs from a/a_test.go ExampleA"},
		{"a copied type", "<!-- from a/a_test.go T -->\n" + ticks + "go\ntype T struct {\n\tX int\n}\n" + ticks, ""},
		{"a copy of nothing", "<!-- from a/a_test.go U -->\n" + ticks + "\n" + ticks, "no declaration of U"},
	} {
		expectFault(t, test.name, pageFaults(tree, "page.md", test.text, tests), test.want)
	}
	for _, test := range []struct{ name, text, want string }{
		{"plain words", "the framework/root/leaf at https://example.org/work/x, context.TO" + "DO()", ""},
		{"a machine", "cd /wo" + "rk/main", "a path of somebody's machine"},
		{"a home", "see\n/ho" + "me/alice/x", "page.md:2"},
		{"a registry", "from pro" + "xy.golang.org", "a package registry"},
		{"another registry", "from py" + "pi.org", "a package registry"},
		{"a mark", "// TO" + "DO: later", "a mark of unfinished work"},
	} {
		expectFault(t, test.name, wordFaults("page.md", test.text), test.want)
	}
}

func TestDecisionsCatch(t *testing.T) {
	tree := fstest.MapFS{}
	put(tree, "0001-a.md", "# 1. A\n")
	put(tree, "0010-b.md", "# 10. B\n")
	put(tree, "0010-c.md", "# 10. C\n")
	put(tree, "0011-d.md", "# 12. D\n")
	put(tree, "e.md", "# 13. E\n")
	expectFault(t, "good", decisionFaults(tree, words("0001-a.md 0010-b.md")), "")
	expectFault(t, "doubled", decisionFaults(tree, words("0010-b.md 0010-c.md")), "0010-c.md: the number is taken")
	expectFault(t, "wrong heading", decisionFaults(tree, words("0011-d.md")), `want a first line "# 11. Title"`)
	expectFault(t, "no number", decisionFaults(tree, words("e.md")), "want a name")
}

func expectFault(t *testing.T, name string, got []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("%s: false alarm: %q", name, got)
	case want != "" && (len(got) != 1 || !strings.Contains(got[0], want)):
		t.Errorf("%s: got %q, want one fault with %q", name, got, want)
	}
}
