package contacts

import (
	"strings"
	"unicode/utf8"
)

// entry reads a line of a list.
func (r *Reader) entry(l line) Contact {
	c := Contact{Line: l.number}
	text, reason := firstColumn(strings.TrimSpace(l.text))
	switch {
	case l.cut:
		reason = ErrLine // what is in front of the cut may be the identifier, or half of it
	case reason == "" && !utf8.ValidString(text):
		reason = ErrCharset
	}
	if reason != "" {
		r.refuse(&c, l.number, reason)
		return c
	}
	r.value(&c, l.number, text)
	return c
}

// firstColumn takes what a line of CSV has in front: in quotes with "" for one
// (RFC 4180), or up to the separator. A telephone URI may have a ";" of its own,
// and cut there it would lose its extension and reach somebody else.
func firstColumn(s string) (string, Reason) {
	if quoted, ok := strings.CutPrefix(s, `"`); ok {
		var out strings.Builder
		for {
			part, rest, closed := strings.Cut(quoted, `"`)
			out.WriteString(part)
			again, doubled := strings.CutPrefix(rest, `"`)
			switch {
			case !closed:
				return "", ErrQuotes
			case !doubled:
				s = strings.TrimSpace(rest)
				if s != "" && !strings.ContainsAny(s[:1], ",;\t") {
					return "", ErrQuotes
				}
				return given(out.String())
			}
			out.WriteByte('"')
			quoted = again
		}
	}
	separators := ",;\t"
	if len(s) > 4 && strings.EqualFold(s[:4], "tel:") {
		separators = ",\t"
	}
	if i := strings.IndexAny(s, separators); i >= 0 {
		s = s[:i]
	}
	return given(s)
}

func given(s string) (string, Reason) {
	if s = strings.TrimSpace(s); s == "" {
		return "", ErrNoValue
	}
	return s, ""
}
