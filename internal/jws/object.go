package jws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth bounds the nesting of arrays and objects. Claims have two levels,
// some providers' own ones a few more.
const maxDepth = 16

// maxSeconds is the end of the year 9999, the last that time.Time writes.
const maxSeconds = 253402300799

// Object is a JSON object whose members have different names, as have those of
// every object inside. The zero value has no members.
type Object struct {
	members map[string]any // string, bool, nil, json.Number, []any, Object
}

// ParseObject reads one JSON object and nothing after it. Two readers of an
// object with doubled members see two different ones; so they are refused, and
// with them what decoders replace by U+FFFD: octets that are not UTF-8 and
// surrogates without their other half.
func ParseObject(b []byte) (Object, error) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return Object{}, ErrJSON
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return Object{}, err
	}
	o, ok := v.(Object)
	if !ok {
		return Object{}, ErrJSON
	}
	return o, nil
}

// readValue reads the next value of what is known to be valid JSON.
func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested too deeply", ErrJSON)
	}
	token, err := d.Token()
	if err != nil {
		return nil, ErrJSON
	}
	switch t := token.(type) {
	case string:
		return t, checkText(t)
	case json.Delim:
		if t == '[' {
			return readArray(d, depth)
		}
		return readObject(d, depth)
	}
	return token, nil
}

func readArray(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func readObject(d *json.Decoder, depth int) (any, error) {
	o := Object{members: make(map[string]any)}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, ErrJSON
		}
		name, ok := token.(string)
		if !ok || checkText(name) != nil {
			return nil, ErrJSON
		}
		if _, twice := o.members[name]; twice {
			return nil, fmt.Errorf("%w: a member occurs twice", ErrJSON)
		}
		if o.members[name], err = readValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return o, err
}

func checkText(s string) error {
	if strings.ContainsRune(s, utf8.RuneError) {
		return fmt.Errorf("%w: text is not Unicode", ErrJSON)
	}
	return nil
}

// Has reports whether o has a member of that name, null included.
func (o Object) Has(name string) bool {
	_, ok := o.members[name]
	return ok
}

// Names returns the names of o's members, sorted.
func (o Object) Names() []string { return slices.Sorted(maps.Keys(o.members)) }

// member returns the member of that name if it is a T.
func member[T any](o Object, name string) (T, error) {
	v, ok := o.members[name].(T)
	if !ok {
		return v, fmt.Errorf("%w: %s", ErrMember, name)
	}
	return v, nil
}

// Text returns a member that is a string.
func (o Object) Text(name string) (string, error) { return member[string](o, name) }

// Bool returns a member that is true or false; "true" is a string.
func (o Object) Bool(name string) (bool, error) { return member[bool](o, name) }

// Object returns a member that is an object.
func (o Object) Object(name string) (Object, error) { return member[Object](o, name) }

// Texts returns a member that is an array of strings.
func (o Object) Texts(name string) ([]string, error) {
	list, err := member[[]any](o, name)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%w: %s", ErrMember, name)
		}
		out[i] = s
	}
	return out, nil
}

// Objects returns a member that is an array of objects.
func (o Object) Objects(name string) ([]Object, error) {
	list, err := member[[]any](o, name)
	if err != nil {
		return nil, err
	}
	out := make([]Object, len(list))
	for i, v := range list {
		inner, ok := v.(Object)
		if !ok {
			return nil, fmt.Errorf("%w: %s", ErrMember, name)
		}
		out[i] = inner
	}
	return out, nil
}

// Time returns a member that is a NumericDate (RFC 7519 section 2) in whole
// seconds, without fraction, sign or exponent.
func (o Object) Time(name string) (time.Time, error) {
	n, err := member[json.Number](o, name)
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseUint(n.String(), 10, 63)
	if err != nil || seconds == 0 || seconds > maxSeconds {
		return time.Time{}, fmt.Errorf("%w: %s", ErrMember, name)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
