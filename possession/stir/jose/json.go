package jose

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a [Value].
type Kind uint8

// The kinds of values. There are no fractions: no token here has one.
const (
	Null Kind = iota + 1
	Bool
	Integer
	String
	Array
	Object
)

// Value is a JSON value. The zero value is none.
type Value struct {
	Kind    Kind
	True    bool     // of a Bool
	Int     int64    // of an Integer
	Text    string   // of a String
	List    []Value  // of an Array
	Members []Member // of an Object, in the order of the text
}

// Member is a member of an object.
type Member struct {
	Name  string
	Value Value
}

// Text makes a string.
func Text(s string) Value { return Value{Kind: String, Text: s} }

// Number makes an integer.
func Number(n int64) Value { return Value{Kind: Integer, Int: n} }

// Flag makes a boolean.
func Flag(b bool) Value { return Value{Kind: Bool, True: b} }

// Texts makes an array of strings.
func Texts(list []string) Value {
	v := Value{Kind: Array}
	for _, s := range list {
		v.List = append(v.List, Text(s))
	}
	return v
}

// Get returns the member of an object with exactly that name.
func (v Value) Get(name string) (Value, bool) {
	for _, m := range v.Members {
		if m.Name == name {
			return m.Value, true
		}
	}
	return Value{}, false
}

// Format prints the kind only: values name people.
func (v Value) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "jose:value of kind "+strconv.Itoa(int(v.Kind)))
}

// Canonical returns the one encoding of RFC 8225 section 9: no white space,
// members sorted by name, integers. On strings that section is silent; here
// they stand as they are in UTF-8, with a backslash before " and \ alone.
func (v Value) Canonical() []byte { return v.append(nil) }

func (v Value) append(b []byte) []byte {
	switch v.Kind {
	case Bool:
		return strconv.AppendBool(b, v.True)
	case Integer:
		return strconv.AppendInt(b, v.Int, 10)
	case String:
		return appendText(b, v.Text)
	case Array:
		b = append(b, '[')
		for i, e := range v.List {
			if i > 0 {
				b = append(b, ',')
			}
			b = e.append(b)
		}
		return append(b, ']')
	case Object:
		members := slices.Clone(v.Members)
		slices.SortFunc(members, func(x, y Member) int { return strings.Compare(x.Name, y.Name) })
		b = append(b, '{')
		for i, m := range members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, m.Name), ':')
			b = m.Value.append(b)
		}
		return append(b, '}')
	default:
		return append(b, "null"...)
	}
}

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// ParseJSON reads one JSON object strictly: valid UTF-8, no name twice, no
// fraction or exponent, no control character, and of the escapes only \" \\ \/.
func ParseJSON(text []byte) (Value, error) {
	if !utf8.Valid(text) {
		return Value{}, fmt.Errorf("%w: not UTF-8", ErrJSON)
	}
	r := reader{rest: string(text)}
	v, err := r.value(1)
	if err != nil {
		return Value{}, err
	}
	if r.space(); r.rest != "" || v.Kind != Object {
		return Value{}, fmt.Errorf("%w: not one object", ErrJSON)
	}
	return v, nil
}

// ParseCanonical reads what [Value.Canonical] writes and nothing else.
func ParseCanonical(text []byte) (Value, error) {
	v, err := ParseJSON(text)
	if err != nil {
		return Value{}, err
	}
	if string(v.Canonical()) != string(text) {
		return Value{}, ErrNotCanonical
	}
	return v, nil
}

// reader reads JSON from the front of rest.
type reader struct {
	rest  string
	count int // values so far
}

func (r *reader) space() { r.rest = strings.TrimLeft(r.rest, " \t\r\n") }

// take removes a prefix and white space before it.
func (r *reader) take(prefix string) bool {
	r.space()
	var ok bool
	r.rest, ok = strings.CutPrefix(r.rest, prefix)
	return ok
}

func (r *reader) value(depth int) (Value, error) {
	if r.count++; r.count > maxValues || depth > maxDepth {
		return Value{}, fmt.Errorf("%w: too many values or too deep", ErrJSON)
	}
	switch {
	case r.take("{"):
		return r.object(depth)
	case r.take("["):
		return r.array(depth)
	case r.take(`"`):
		s, err := r.text()
		return Text(s), err
	case r.take("true"):
		return Flag(true), nil
	case r.take("false"):
		return Flag(false), nil
	case r.take("null"):
		return Value{Kind: Null}, nil
	}
	return r.integer()
}

func (r *reader) integer() (Value, error) {
	end := len(r.rest) - len(strings.TrimLeft(r.rest, "-0123456789"))
	digits := r.rest[:end]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != digits {
		return Value{}, fmt.Errorf("%w: not an integer, or no value at all", ErrJSON)
	}
	r.rest = r.rest[end:]
	return Number(n), nil
}

// text reads on after the opening quote.
func (r *reader) text() (string, error) {
	var b strings.Builder
	for i := 0; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '"':
			r.rest = r.rest[i+1:]
			return b.String(), nil
		case c < ' ':
			return "", fmt.Errorf("%w: control character", ErrJSON)
		case c == '\\':
			if i++; i == len(r.rest) || !strings.ContainsRune(`"\/`, rune(r.rest[i])) {
				return "", fmt.Errorf("%w: escape", ErrJSON)
			}
			b.WriteByte(r.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("%w: text does not end", ErrJSON)
}

func (r *reader) array(depth int) (Value, error) {
	v := Value{Kind: Array}
	if r.take("]") {
		return v, nil
	}
	for {
		e, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.List = append(v.List, e)
		if r.take("]") {
			return v, nil
		}
		if !r.take(",") {
			return Value{}, fmt.Errorf("%w: array does not end", ErrJSON)
		}
	}
}

func (r *reader) object(depth int) (Value, error) {
	v := Value{Kind: Object}
	if r.take("}") {
		return v, nil
	}
	for {
		if !r.take(`"`) {
			return Value{}, fmt.Errorf("%w: member without name", ErrJSON)
		}
		name, err := r.text()
		if err != nil {
			return Value{}, err
		}
		if _, twice := v.Get(name); twice {
			return Value{}, fmt.Errorf("%w: name twice", ErrJSON)
		}
		if !r.take(":") {
			return Value{}, fmt.Errorf("%w: member without value", ErrJSON)
		}
		e, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.Members = append(v.Members, Member{name, e})
		if r.take("}") {
			return v, nil
		}
		if !r.take(",") {
			return Value{}, fmt.Errorf("%w: object does not end", ErrJSON)
		}
	}
}
