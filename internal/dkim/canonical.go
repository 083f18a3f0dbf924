package dkim

import (
	"bytes"
	"strings"
)

// Canonical names a canonicalization of RFC 6376 section 3.4.
type Canonical string

// The two canonicalizations.
const (
	Simple  Canonical = "simple"
	Relaxed Canonical = "relaxed"
)

func (c Canonical) valid() bool { return c == Simple || c == Relaxed }

// header returns the canonical form of a field, without a final CRLF.
func (c Canonical) header(raw string) string {
	if c == Simple {
		return raw
	}
	name, value, _ := strings.Cut(raw, ":")
	words := strings.FieldsFunc(value, func(r rune) bool { return r < 0x80 && isFWS(byte(r)) })
	return lower(name) + ":" + strings.Join(words, " ")
}

// body returns the canonical form of a body.
func (c Canonical) body(b []byte) []byte {
	var out bytes.Buffer
	blank := 0 // empty lines not yet written: they count only if another follows
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\r\n"))
		b = rest
		if c == Relaxed {
			line = relaxedLine(line)
		}
		if len(line) == 0 {
			blank++
			continue
		}
		for ; blank > 0; blank-- {
			out.WriteString("\r\n")
		}
		out.Write(line)
		out.WriteString("\r\n")
	}
	if c == Simple && out.Len() == 0 {
		out.WriteString("\r\n") // RFC 6376 section 3.4.3: an empty body is one CRLF
	}
	return out.Bytes()
}

// relaxedLine drops trailing white space and makes every other run one space.
func relaxedLine(line []byte) []byte {
	line = bytes.TrimRight(line, " \t")
	out := make([]byte, 0, len(line))
	for i, c := range line {
		switch {
		case c != ' ' && c != '\t':
			out = append(out, c)
		case i == 0 || line[i-1] != ' ' && line[i-1] != '\t':
			out = append(out, ' ')
		}
	}
	return out
}
