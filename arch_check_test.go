package whither_test

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A house is a set of rules about the packages of one module; arch_test.go has
// ours, and says what each field means.
type house struct {
	module     string
	floors     [][]string
	planned    []string
	sameFloor  map[string]string
	only       map[string]only
	never      map[string]never
	lowest     map[string]lowest
	uses       []use
	foreign    map[string]string
	goroutines string
	names      []string
	oversize   map[string]string
	skips      map[string]string

	maxFile, maxFunc, maxMain, maxPackage int
}

type (
	only   struct{ who, why string }
	never  struct{ deps, why string }
	lowest struct {
		floor int
		why   string
	}
	use struct {
		path, names, except string // names, or else all but except
		from                int
		why                 string
	}
)

// A room is one package of the tree, by its folder.
type room struct {
	path  string // "." for the root
	files []file
}

// A file is one parsed Go file.
type file struct {
	path    string
	tree    *ast.File
	fset    *token.FileSet
	imports map[string]string // local name to import path
}

func words(s string) []string { return strings.Fields(s) }

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f file) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(p).Line)
}

func (f file) lines(n ast.Node) int {
	return f.fset.Position(n.End()).Line - f.fset.Position(n.Pos()).Line + 1
}

// load parses every Go file below fsys, whatever its build constraints. It runs
// no other program: the test cache would not see the files that a child reads,
// and would answer "ok" from before the breach.
func load(fsys fs.FS) (map[string]room, error) {
	rooms := make(map[string]room)
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && foreignDir(fsys, p):
			return fs.SkipDir
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		f, err := parse(fsys, p)
		if err != nil {
			return err
		}
		r := rooms[path.Dir(p)]
		r.path = path.Dir(p)
		r.files = append(r.files, f)
		rooms[r.path] = r
		return nil
	})
	return rooms, err
}

// foreignDir tells whether the folder p holds no packages of this module, as
// the go command sees it.
func foreignDir(fsys fs.FS, p string) bool {
	base := path.Base(p)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(p, "go.mod"))
	return !errors.Is(err, fs.ErrNotExist)
}

func parse(fsys fs.FS, p string) (file, error) {
	src, err := fs.ReadFile(fsys, p)
	if err != nil {
		return file{}, err
	}
	f := file{path: p, fset: token.NewFileSet(), imports: make(map[string]string)}
	if f.tree, err = parser.ParseFile(f.fset, p, src, parser.ParseComments); err != nil {
		return file{}, fmt.Errorf("parse: %w", err)
	}
	for _, spec := range f.tree.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, fmt.Errorf("%s: import %s: %w", p, spec.Path.Value, err)
		}
		name := importName(target)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "_" || name == "." {
			name += target // several may share the name
		}
		f.imports[name] = target
	}
	return f, nil
}

// importName guesses the name under which a package is imported. It is right
// for all packages that the rules speak of.
func importName(target string) string {
	base := path.Base(target)
	if regexp.MustCompile(`^v[0-9]+$`).MatchString(base) {
		base = path.Base(path.Dir(target))
	}
	return base
}

// match tells whether one of the patterns covers target. A pattern is a path,
// or a path followed by "/..." for it and all below.
func match(patterns, target string) bool {
	return slices.ContainsFunc(words(patterns), func(pattern string) bool {
		prefix, deep := strings.CutSuffix(pattern, "/...")
		return target == prefix || deep && strings.HasPrefix(target, prefix+"/")
	})
}

// local gives the folder of an import path of this module.
func (h house) local(target string) (dir string, ok bool) {
	if target == h.module {
		return ".", true
	}
	return strings.CutPrefix(target, h.module+"/")
}

// rel is target as the tables write it.
func (h house) rel(target string) string {
	if dir, ok := h.local(target); ok {
		return dir
	}
	return target
}

func (h house) floor(dir string) (int, bool) {
	for i, floor := range h.floors {
		if slices.Contains(floor, dir) {
			return i, true
		}
	}
	return 0, false
}

// breaches lists every place where rooms break the rules.
func (h house) breaches(rooms map[string]room) []string {
	all := h.tables()
	for _, floor := range h.floors {
		for _, dir := range floor {
			_, built := rooms[dir]
			switch planned := slices.Contains(h.planned, dir); {
			case built && planned:
				all = append(all, dir+": is built now: take it out of rules.planned in arch_test.go")
			case !built && !planned:
				all = append(all, dir+": is listed in arch_test.go and missing from the tree")
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(rooms)) {
		r := rooms[dir]
		slices.SortFunc(r.files, func(a, b file) int { return cmp.Compare(a.path, b.path) })
		floor, ok := h.floor(dir)
		if !ok {
			all = append(all, dir+": has no floor: give it one in arch_test.go")
			continue
		}
		all = append(all, h.room(r)...)
		for _, f := range r.files {
			if f.test() {
				all = append(all, h.testFile(r, f)...)
				continue
			}
			all = append(all, h.imports(r, f, floor)...)
			all = append(all, h.code(r, f, floor)...)
		}
		all = append(all, globals(r)...)
	}
	return append(all, h.reached(rooms)...)
}

// tables checks the rules themselves: a misspelt name would rule nothing.
func (h house) tables() []string {
	var all []string
	known := func(table, names string) {
		for _, name := range words(names) {
			name = strings.TrimSuffix(name, "/...")
			if _, ok := h.floor(name); !ok && name != "cmd" {
				all = append(all, fmt.Sprintf("rules.%s: %s stands on no floor", table, name))
			}
		}
	}
	known("planned", strings.Join(h.planned, " "))
	known("goroutines", h.goroutines)
	for dir, targets := range h.sameFloor {
		known("sameFloor", dir+" "+targets)
		for _, target := range words(targets) {
			from, _ := h.floor(dir)
			if to, _ := h.floor(target); from != to {
				all = append(all, fmt.Sprintf("rules.sameFloor: %s and %s stand on different floors", dir, target))
			}
		}
	}
	for _, rule := range h.only {
		known("only", rule.who)
	}
	for dir := range h.never {
		known("never", dir)
	}
	for dir := range h.foreign {
		known("foreign", dir)
	}
	return all
}

// room checks what a package is as a whole.
func (h house) room(r room) []string {
	var all []string
	var docs, lines, production int
	names := make(map[string]bool)
	for _, f := range r.files {
		name := f.tree.Name.Name
		if f.test() {
			name = strings.TrimSuffix(name, "_test")
		} else {
			production++
			lines += f.lines(f.tree)
			if f.tree.Doc != nil && strings.TrimSpace(f.tree.Doc.Text()) != "" {
				docs++
			}
		}
		names[name] = true
	}
	want := path.Base(r.path)
	switch {
	case r.path == ".":
		want = h.module
	case strings.HasPrefix(r.path, "cmd/"):
		want = "main"
	}
	if production == 0 {
		all = append(all, r.path+": has test files only")
	} else if docs != 1 {
		all = append(all, fmt.Sprintf("%s: has %d package comments, want exactly one", r.path, docs))
	}
	if len(names) != 1 || !names[want] {
		all = append(all, fmt.Sprintf("%s: package names %q, want only %q", r.path, slices.Sorted(maps.Keys(names)), want))
	}
	if slices.Contains(h.names, path.Base(r.path)) {
		all = append(all, r.path+": says nothing or hides a standard package: find a better name")
	}
	if lines > h.maxPackage && h.oversize[r.path] == "" {
		all = append(all, fmt.Sprintf("%s: has %d lines, more than %d: does a second reader need half of it?", r.path, lines, h.maxPackage))
	}
	return all
}

// imports checks what a production file imports itself.
func (h house) imports(r room, f file, floor int) []string {
	var all []string
	breach := func(target, why string) {
		all = append(all, fmt.Sprintf("%s imports %s: %s", f.path, target, why))
	}
	for _, name := range slices.Sorted(maps.Keys(f.imports)) {
		target := f.imports[name]
		if name[0] == '.' {
			breach(target, "no dot imports")
		}
		for pattern, rule := range h.only {
			if match(pattern, target) && !match(rule.who, r.path) {
				breach(target, fmt.Sprintf("only for %q: %s", rule.who, rule.why))
			}
		}
		for pattern, rule := range h.lowest {
			if match(pattern, target) && floor < rule.floor {
				breach(target, rule.why)
			}
		}
		dir, local := h.local(target)
		switch {
		case local:
			to, ok := h.floor(dir)
			switch {
			case !ok:
				breach(target, "it has no floor")
			case to > floor:
				breach(target, fmt.Sprintf("floor %d must not know floor %d", floor, to))
			case to == floor && !match(h.sameFloor[r.path], dir):
				breach(target, fmt.Sprintf("both stand on floor %d and sameFloor does not list it", floor))
			}
		case strings.Contains(strings.Split(target, "/")[0], "."):
			if floor <= 2 && !match(h.foreign[r.path], target) {
				breach(target, "floors 0-2 stand on the standard library; see rules.foreign")
			}
		}
	}
	return all
}

// code checks what a production file does.
func (h house) code(r room, f file, floor int) []string {
	var all []string
	breach := func(at token.Pos, format string, args ...any) {
		all = append(all, f.at(at)+": "+fmt.Sprintf(format, args...))
	}
	command := strings.HasPrefix(r.path, "cmd/")
	if n := f.lines(f.tree); n > h.maxFile && h.oversize[f.path] == "" {
		breach(f.tree.Pos(), "%d lines, more than %d: is it still one subject?", n, h.maxFile)
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			name, limit := n.Name.Name, h.maxFunc
			if name == "main" && command {
				limit = h.maxMain
			}
			if lines := f.lines(n); lines > limit && h.oversize[f.path+" "+name] == "" {
				breach(n.Pos(), "%s has %d lines, more than %d", name, lines, limit)
			}
			if name == "init" && n.Recv == nil && !command {
				breach(n.Pos(), "init is for commands: nothing happens by being imported")
			}
		case *ast.GoStmt:
			if floor <= 2 && !match(h.goroutines, r.path) {
				breach(n.Pos(), "floors 0-2 start no goroutines")
			}
		case *ast.SelectorExpr:
			from, name, ok := f.selector(n)
			if !ok {
				return true
			}
			for _, rule := range h.uses {
				if from == rule.path && floor < rule.from && rule.covers(name) {
					breach(n.Pos(), "%s.%s: %s", from, name, rule.why)
				}
			}
		}
		return true
	})
	return append(all, h.skipping(f)...)
}

func (u use) covers(name string) bool {
	if u.names != "" {
		return match(u.names, name)
	}
	return !match(u.except, name)
}

// selector resolves pkg.Name to the import path of pkg and Name.
func (f file) selector(n *ast.SelectorExpr) (target, name string, ok bool) {
	id, isIdent := n.X.(*ast.Ident)
	if !isIdent || id.Obj != nil { // Obj is set where a local name shadows the import
		return "", "", false
	}
	target, ok = f.imports[id.Name]
	return target, n.Sel.Name, ok
}

var (
	requirementTest = regexp.MustCompile(`^(Test|Fuzz|Benchmark)R[0-9]`)
	wellNamedTest   = regexp.MustCompile(`^(Test|Fuzz|Benchmark)R(0[1-9]|1[0-9]|2[0-3])[A-Z]`)
)

// testFile checks a test file: it sees the package from outside, save for
// export_test.go, and commands, whose main nobody can import; it does not skip;
// and a name that claims a requirement names one that there is (R01 to R23).
func (h house) testFile(r room, f file) []string {
	var all []string
	external := strings.HasSuffix(f.tree.Name.Name, "_test")
	if !external && path.Base(f.path) != "export_test.go" && !strings.HasPrefix(r.path, "cmd/") {
		all = append(all, f.path+": tests are external: package "+f.tree.Name.Name+"_test")
	}
	for _, decl := range f.tree.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if ok && requirementTest.MatchString(fn.Name.Name) && !wellNamedTest.MatchString(fn.Name.Name) {
			all = append(all, fmt.Sprintf("%s: %s: write two digits of a requirement that there is, then a capital", f.at(fn.Pos()), fn.Name.Name))
		}
	}
	return append(all, h.skipping(f)...)
}

// skipping finds calls of Skip, Skipf and SkipNow. Those of rapid only discard a
// drawn value, and rapid fails when it discards too many.
func (h house) skipping(f file) []string {
	var all []string
	if h.skips[f.path] != "" {
		return nil
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if ok && slices.Contains(words("Skip Skipf SkipNow"), sel.Sel.Name) && !f.rapid(sel.X) {
			all = append(all, f.at(n.Pos())+": "+sel.Sel.Name+": a check that does not run is a check that nobody has; see rules.skips")
		}
		return true
	})
	return all
}

// rapid tells whether e is a parameter of type *rapid.T.
func (f file) rapid(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	if !ok || id.Obj == nil {
		return false
	}
	field, ok := id.Obj.Decl.(*ast.Field)
	if !ok {
		return false
	}
	star, ok := field.Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	target, name, ok := f.selector(sel)
	return ok && target == "pgregory.net/rapid" && name == "T"
}

// globals finds package-level variables of production code that are written
// after their declaration, or whose type can only be for writing. It sees
// assignments, not writes through a pointer or a method: those are for review.
func globals(r room) []string {
	var all []string
	vars := make(map[string]bool)
	for _, f := range r.files {
		if f.test() {
			continue
		}
		for _, decl := range f.tree.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec)
				for _, id := range v.Names {
					vars[id.Name] = id.Name != "_"
				}
				if sel, ok := v.Type.(*ast.SelectorExpr); ok {
					if from, _, ok := f.selector(sel); ok && (from == "sync" || from == "sync/atomic") {
						all = append(all, fmt.Sprintf("%s: %s: no global state", f.at(v.Pos()), v.Names[0].Name))
					}
				}
			}
		}
	}
	for _, f := range r.files {
		if f.test() {
			continue
		}
		written := func(e ast.Expr) {
			if id := root(e); id != nil && vars[id.Name] && packageLevel(f.tree, id) {
				all = append(all, fmt.Sprintf("%s: %s is written after its declaration: no global state", f.at(id.Pos()), id.Name))
			}
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						written(e)
					}
				}
			case *ast.IncDecStmt:
				written(n.X)
			}
			return true
		})
	}
	return all
}

// root gives the variable of x, x.f, x[i], *x and so on.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// packageLevel tells whether id means a declaration of the package and not a
// local one. The parser resolves names within one file only; what it leaves
// open stands in another file.
func packageLevel(f *ast.File, id *ast.Ident) bool {
	return id.Obj == nil || f.Scope.Lookup(id.Name) == id.Obj
}

// reached checks the rules about what a package must not depend on, however
// many packages of this module lie between.
func (h house) reached(rooms map[string]room) []string {
	var all []string
	for _, dir := range slices.Sorted(maps.Keys(h.never)) {
		rule := h.never[dir]
		via := map[string]string{dir: dir} // package to the path that leads to it
		queue := []string{dir}
		for len(queue) > 0 {
			from := queue[0]
			queue = queue[1:]
			for _, f := range rooms[from].files {
				if f.test() {
					continue
				}
				for _, target := range slices.Sorted(maps.Values(f.imports)) {
					target = h.rel(target)
					if via[target] != "" {
						continue
					}
					via[target] = via[from] + " > " + target
					if match(rule.deps, target) {
						all = append(all, fmt.Sprintf("%s: %s", via[target], rule.why))
						continue
					}
					queue = append(queue, target)
				}
			}
		}
	}
	return all
}
