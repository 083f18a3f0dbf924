package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// tag is one name=value of a tag list (RFC 6376 section 3.2). The value is
// without white space around it.
type tag struct {
	name, value string
	from, to    int // the value with its white space, in the list's text
}

type tagList []tag

var errTags = errors.New("malformed tag list")

// parseTags reads a tag list strictly: names are words, values printable, no
// name twice, nothing empty but after a last semicolon.
func parseTags(s string) (tagList, error) {
	var list tagList
	for at := 0; at <= len(s); {
		end := at + strings.IndexByte(s[at:]+";", ';')
		if trimFWS(s[at:end]) == "" && end == len(s) && len(list) > 0 {
			return list, nil // white space after the last semicolon
		}
		name, value, ok := strings.Cut(s[at:end], "=")
		t := tag{name: trimFWS(name), value: trimFWS(value), from: at + len(name) + 1, to: end}
		if !ok || !validTag(t) {
			return nil, errTags
		}
		if _, twice := list.get(t.name); twice {
			return nil, fmt.Errorf("%w: a tag twice", errTags)
		}
		list = append(list, t)
		at = end + 1
	}
	return list, nil
}

func validTag(t tag) bool {
	for i := range len(t.name) {
		c := t.name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	for i := range len(t.value) {
		if c := t.value[i]; !isFWS(c) && (c < '!' || c > '~') {
			return false
		}
	}
	return t.name != ""
}

func (l tagList) get(name string) (string, bool) {
	for _, t := range l {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// span returns where the value of a tag stands, white space included.
func (l tagList) span(name string) (from, to int) {
	for _, t := range l {
		if t.name == name {
			return t.from, t.to
		}
	}
	return 0, 0
}

// list returns the colon-separated elements of a tag, or nil if it is absent.
func (l tagList) list(name string) []string {
	value, ok := l.get(name)
	if !ok {
		return nil
	}
	items := strings.Split(value, ":")
	for i := range items {
		items[i] = trimFWS(items[i])
	}
	return items
}

func isFWS(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trimFWS(s string) string { return strings.Trim(s, " \t\r\n") }

// decodeBase64 decodes standard base64 with white space between its characters
// and no other leniency: full padding, spare bits zero.
func decodeBase64(s string) ([]byte, error) {
	compact := strings.Map(func(r rune) rune {
		if r < 0x80 && isFWS(byte(r)) {
			return -1
		}
		return r
	}, s)
	return base64.StdEncoding.Strict().DecodeString(compact)
}
