package wire_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/registry"
	"whither/wire"
)

const specPage = "../docs/spec/messages.md"

// messages lists every struct of the package; a test compares it with the source.
var messages = []any{
	wire.Stamp{},
	wire.OfferRequest{},
	wire.DPOffer{},
	wire.MSPOffer{},
	wire.Bundle{},
	wire.SignatureRequest{},
	wire.SignatureAnswer{},
	wire.SubmitRequest{},
	wire.SubmitAnswer{},
	wire.RenewalRequest{},
	wire.RenewalAnswer{},
	wire.WithdrawalRequest{},
	wire.WithdrawalAnswer{},
	wire.EndRequest{},
	wire.EndAnswer{},
	wire.StandingRequest{},
	wire.StandingAnswer{},
	wire.Claimed{},
	wire.ReproofRequest{},
	wire.ReproofAnswer{},
	wire.NoticeRequest{},
	wire.Notice{},
	wire.NoticeAnswer{},
	wire.InboxRequest{},
	wire.InboxAnswer{},
	wire.LookupRequest{},
	wire.LookupAnswer{},
	wire.Answer{},
	wire.Found{},
	wire.AskedDP{},
	wire.BitTable{},
	wire.ChallengeRequest{},
	wire.Challenge{},
	wire.StatusRequest{},
	wire.ChallengeStatus{},
	wire.AnswerRequest{},
	wire.ObservationRequest{},
	wire.Observation{},
	wire.KeyRequest{},
	wire.KeyAnswer{},
	wire.ListIndex{},
	wire.ListEntry{},
}

// member is a member of a message, as the code or the page has it.
type member struct {
	Name     string
	Optional bool
	Type     string // bstr, tstr, uint, bool, the name of a message, or one of these in brackets
}

// TestSpecMembers compares the members of every message with the page's CDDL.
func TestSpecMembers(t *testing.T) {
	rules := readRules(t)
	seen := make(map[string]bool)
	for _, m := range messages {
		typ := reflect.TypeOf(m)
		name := kebab(typ.Name())
		seen[name] = true
		body, ok := rules[name]
		if !ok {
			t.Errorf("%s has no rule for %s", specPage, name)
			continue
		}
		want, err := rules.members(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, coded(t, typ)); diff != "" {
			t.Errorf("%s: page (-) and code (+) differ:\n%s", name, diff)
		}
	}
	for name, body := range rules {
		if strings.HasPrefix(body, "{") && !seen[name] {
			t.Errorf("%s has a rule %s for which there is no message", specPage, name)
		}
	}
}

// word matches the names of constants that members take as values.
var word = regexp.MustCompile(`^(State|Federation|Format|Outcome|Asked|Challenge|Notice)[A-Z]`)

// TestSpecNamesEveryConstant: every path has a section, and words that
// members take stand in the CDDL.
func TestSpecNamesEveryConstant(t *testing.T) {
	page, rules := readPage(t), readRules(t)
	var cddl strings.Builder
	for _, body := range rules {
		cddl.WriteString(body)
	}
	found := 0
	for name, value := range constants(t) {
		switch {
		case name == "PathRegistry": // not a message
			if !strings.Contains(page, "`GET "+value+"`") {
				t.Errorf("%s does not say how to get %s", specPage, value)
			}
		case strings.HasPrefix(name, "Path"):
			if !strings.Contains(page, "\n### `"+value+"`\n") {
				t.Errorf("%s has no section on %s", specPage, value)
			}
		case word.MatchString(name):
			if !strings.Contains(cddl.String(), strconv.Quote(value)) {
				t.Errorf("the CDDL of %s does not have %q (%s)", specPage, value, name)
			}
		default: // media types and the header
			if !strings.Contains(page, value) {
				t.Errorf("%s does not name %q (%s)", specPage, value, name)
			}
		}
		found++
	}
	if found < 30 {
		t.Errorf("found only %d constants; is the walk broken?", found)
	}
}

// TestSpecListsEveryMessage: a new struct cannot be forgotten above.
func TestSpecListsEveryMessage(t *testing.T) {
	listed := make(map[string]bool)
	for _, m := range messages {
		listed[reflect.TypeOf(m).Name()] = true
	}
	for _, decl := range source(t).Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.TYPE {
			continue
		}
		for _, spec := range d.Specs {
			ts, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := ts.Type.(*ast.StructType); ok && s.Fields.List[0].Tag != nil && !listed[ts.Name.Name] {
				t.Errorf("%s is not in the list of messages", ts.Name.Name)
			}
		}
	}
}

func source(t *testing.T) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "messages.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants returns the string constants of messages.go and the media types.
func constants(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"TypeCBOR": wire.TypeCBOR, "TypeJSON": wire.TypeJSON, "TypeMapping": wire.TypeMapping}
	ast.Inspect(source(t), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, id := range spec.Names {
			if lit, ok := spec.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out[id.Name] = value
			}
		}
		return true
	})
	return out
}

// coded returns the members of a struct.
func coded(t *testing.T, typ reflect.Type) []member {
	t.Helper()
	var out []member
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("cbor") != f.Tag.Get("json") {
			t.Errorf("%s.%s: names differ between the encodings", typ.Name(), f.Name)
		}
		name, option, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		out = append(out, member{Name: name, Optional: option == "omitempty", Type: codedType(t, f.Type)})
	}
	return out
}

func codedType(t *testing.T, typ reflect.Type) string {
	t.Helper()
	switch typ {
	case reflect.TypeFor[wire.Bytes]():
		return "bstr"
	case reflect.TypeFor[csi.Clear](), reflect.TypeFor[registry.PartyID]():
		return "tstr"
	}
	switch typ.Kind() {
	case reflect.String:
		return "tstr"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint8:
		return "uint"
	case reflect.Bool:
		return "bool"
	case reflect.Slice:
		return "[" + codedType(t, typ.Elem()) + "]"
	case reflect.Pointer:
		return codedType(t, typ.Elem())
	case reflect.Struct:
		return kebab(typ.Name())
	default:
		t.Fatalf("%s: no CDDL type for it", typ)
		return ""
	}
}

var humps = regexp.MustCompile(`([a-z])([A-Z])|([A-Z]+)([A-Z][a-z])`)

// kebab turns AskedDP into asked-dp and DPOffer into dp-offer.
func kebab(name string) string {
	return strings.ToLower(humps.ReplaceAllString(name, "$1$3-$2$4"))
}

// ruleSet is the CDDL of the page: name → right-hand side, comments dropped.
type ruleSet map[string]string

func readPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(specPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	cddlBlock = regexp.MustCompile("(?ms)^```cddl\n(.*?)^```$")
	comment   = regexp.MustCompile(`;[^\n]*`)
	ruleStart = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*) = `)
)

func readRules(t *testing.T) ruleSet {
	t.Helper()
	rules := make(ruleSet)
	for _, block := range cddlBlock.FindAllStringSubmatch(readPage(t), -1) {
		text := comment.ReplaceAllString(block[1], "")
		starts := ruleStart.FindAllStringSubmatchIndex(text, -1)
		for i, at := range starts {
			end := len(text)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			name := text[at[2]:at[3]]
			if _, twice := rules[name]; twice {
				t.Errorf("%s: two rules %s", specPage, name)
			}
			rules[name] = strings.TrimSpace(text[at[1]:end])
		}
	}
	if len(rules) < 30 {
		t.Fatalf("%s: found only %d rules", specPage, len(rules))
	}
	return rules
}

var memberLine = regexp.MustCompile(`^(\? )?"([a-z_]+)": (.+),$`)

// members reads the right-hand side of a map, one member a line.
func (r ruleSet) members(body string) ([]member, error) {
	inner, ok := strings.CutPrefix(body, "{")
	inner, ok2 := strings.CutSuffix(inner, "}")
	if !ok || !ok2 {
		return nil, fmt.Errorf("not a map: %s", body)
	}
	var out []member
	for line := range strings.Lines(inner) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		m := memberLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("not a member: %s", line)
		}
		typ, err := r.base(m[3])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m[2], err)
		}
		out = append(out, member{Name: m[2], Optional: m[1] != "", Type: typ})
	}
	return out, nil
}

var occurrence = regexp.MustCompile(`^([*+]|[0-9]*\*[0-9]*) *`)

// base reduces a type to what Go tells apart.
func (r ruleSet) base(expr string) (string, error) {
	expr = strings.TrimSpace(expr)
	if inner, ok := strings.CutPrefix(expr, "["); ok {
		inner = strings.TrimSuffix(inner, "]")
		element, err := r.base(occurrence.ReplaceAllString(inner, ""))
		return "[" + element + "]", err
	}
	first, rest, several := strings.Cut(expr, " / ")
	if several {
		a, err := r.base(first)
		if err != nil {
			return "", err
		}
		if b, err := r.base(rest); err != nil || a != b {
			return "", fmt.Errorf("a choice of several types: %s", expr)
		}
		return a, nil
	}
	name, _, _ := strings.Cut(expr, " ") // what follows is a control, as .size
	switch {
	case name == "bstr" || name == "tstr" || name == "uint" || name == "bool":
		return name, nil
	case strings.HasPrefix(name, `"`):
		return "tstr", nil
	case name[0] >= '0' && name[0] <= '9':
		return "uint", nil
	}
	body, ok := r[name]
	if !ok {
		return "", fmt.Errorf("no rule %s", name)
	}
	if strings.HasPrefix(body, "{") {
		return name, nil
	}
	return r.base(body)
}
