package pir_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"testing"
)

// What of each function is secret. From there on, secrecy follows assignments.
var secretFlow = map[string]map[string][]string{
	"ask.go": {
		"values":       {"s", "p"},
		"automorphism": {"s", "out"},
		"appendKeys":   {"e", "values"},
		"multiply":     {"x", "y", "out", "s"},
		"encrypt":      {"e", "values"},
		"choose":       {"column", "words"},
		"decode":       {"values"},
		"phases":       {"values"},
	},
	"sample/sample.go": {"Ternary": {"raw", "dst"}, "Binomial": {"raw", "dst"}},
	"ring/ring.go": {
		"lessQ": {"v"}, "reduce128": {"hi", "lo"}, "Mul": {"a", "b"}, "Add": {"a", "b"}, "Sub": {"a", "b"},
		"FromInt": {"v"}, "ToInt": {"v"}, "Switch": {"v"}, "Lift": {"v"},
	},
	"ring/ntt.go":  {"mulLazy": {"x"}, "lessTwoQ": {"v"}, "forward": {"a"}, "inverse": {"a"}},
	"ring/unit.go": {"AddMul": {"s", "x", "y"}, "Settle": {"s", "dst"}, "SubMul": {"dst", "x", "y"}, "Digits": {"p"}},
}

// TestR14ClientStepsDoNotDependOnSecrets reads the source of everything that a
// client does with secrets: no branch, loop bound, index or division may
// depend on one. What it cannot see is what the compiler makes of it; the code
// leaves it nothing to branch on, and the assembly has fixed loops only.
func TestR14ClientStepsDoNotDependOnSecrets(t *testing.T) {
	for file, functions := range secretFlow {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		todo := maps.Clone(functions)
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || todo[f.Name.Name] == nil {
				continue
			}
			for _, what := range leaks(f.Body, todo[f.Name.Name]) {
				t.Errorf("%s: %s %s", file, f.Name.Name, what)
			}
			delete(todo, f.Name.Name)
		}
		for name := range todo {
			t.Errorf("%s: no function %s", file, name)
		}
	}
}

// TestLeaksAreSeen holds the checker against code that leaks.
func TestLeaksAreSeen(t *testing.T) {
	for _, body := range []string{
		"if s > 0 { x = 1 }", "y := s; if y > 0 { x = 1 }", "x = table[s]", "for i := 0; i < s; i++ { x++ }",
		"switch s { case 1: x++ }", "for _, v := range s { if v == 1 { x++ } }", "x = 7 / s", "x = s % 3", "z := table[2:s]",
		"x += s; if x > 1 { y() }", "b := s > 0 && f()",
	} {
		e, err := parser.ParseFile(token.NewFileSet(), "", "package p; func f() {"+body+"}", 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(leaks(e.Decls[0].(*ast.FuncDecl).Body, []string{"s"})) == 0 {
			t.Errorf("not seen: %s", body)
		}
	}
}

// leaks lists what in body depends on a secret and must not.
func leaks(body *ast.BlockStmt, secrets []string) (found []string) {
	tainted := map[string]bool{}
	for _, s := range secrets {
		tainted[s] = true
	}
	// An error, a length and an index of a loop are not secret.
	var depends func(n ast.Node) bool
	depends = func(n ast.Node) bool {
		hit := false
		ast.Inspect(n, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.Ident:
				hit = hit || tainted[x.Name]
			case *ast.CallExpr:
				if f, ok := x.Fun.(*ast.Ident); ok && (f.Name == "len" || f.Name == "cap") {
					return false
				}
			case *ast.SelectorExpr:
				hit = hit || depends(x.X)
				return false
			}
			return true
		})
		return hit
	}
	mark := func(e ast.Expr) bool {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
				continue
			case *ast.SliceExpr:
				e = x.X
				continue
			case *ast.StarExpr:
				e = x.X
				continue
			case *ast.Ident:
				if x.Name == "err" || x.Name == "_" || tainted[x.Name] {
					return false
				}
				tainted[x.Name] = true
				return true
			}
			return false
		}
	}
	for changed := true; changed; {
		changed = false
		ast.Inspect(body, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.AssignStmt:
				for i, l := range x.Lhs {
					if r := x.Rhs[min(i, len(x.Rhs)-1)]; depends(r) && mark(l) {
						changed = true
					}
				}
			case *ast.RangeStmt:
				if x.Value != nil && depends(x.X) && mark(x.Value) {
					changed = true
				}
			}
			return true
		})
	}
	report := func(what string, e ast.Expr) {
		if e != nil && depends(e) {
			found = append(found, what)
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.IfStmt:
			report("branches on a secret", x.Cond)
		case *ast.SwitchStmt:
			report("switches on a secret", x.Tag)
		case *ast.ForStmt:
			report("loops on a secret", x.Cond)
		case *ast.IndexExpr:
			report("indexes by a secret", x.Index)
		case *ast.SliceExpr:
			report("slices by a secret", x.Low)
			report("slices by a secret", x.High)
		case *ast.BinaryExpr:
			if x.Op == token.QUO || x.Op == token.REM {
				report("divides a secret", x)
			}
			if x.Op == token.LAND || x.Op == token.LOR {
				report("short-circuits on a secret", x)
			}
		}
		return true
	})
	return found
}
