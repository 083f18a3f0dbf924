package contacts

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// A property is one content line: [group "."] name *(";" param) ":" value.
type property struct {
	name     string // in capitals, without group
	types    []string
	encoding string
	charset  string
	uri      bool // VALUE=uri: nothing is escaped
	value    string
}

// The encodings that are read.
const (
	quotedPrintable = "QUOTED-PRINTABLE"
	base64Encoding  = "BASE64"
)

// parseHead reads a property's first line; false: it is none.
func parseHead(s string) (property, bool) {
	end := valueAt(s)
	if end < 0 {
		return property{}, false
	}
	p := property{value: s[end+1:]}
	head := s[:end]
	name, params, _ := strings.Cut(head, ";")
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name = name[dot+1:]
	}
	p.name = strings.ToUpper(strings.TrimSpace(name))
	if p.name == "" || strings.Trim(p.name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return property{}, false
	}
	for _, param := range splitQuoted(params, ';') {
		p.param(param)
	}
	return p, true
}

// valueAt is the place of the colon before the value: the first that is not in
// quotes, or where quotes do not end (2.1 has none), the first.
func valueAt(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ':' && !quoted:
			return i
		}
	}
	return strings.IndexByte(s, ':')
}

// splitQuoted splits s at sep where it is not in quotes.
func splitQuoted(s string, sep byte) []string {
	var out []string
	quoted, from := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out, from = append(out, s[from:i]), i+1
		}
	}
	return append(out, s[from:])
}

// param reads a parameter. In 2.1 a word alone is a type or an encoding.
func (p *property) param(s string) {
	name, value, named := strings.Cut(s, "=")
	name = strings.ToUpper(strings.TrimSpace(name))
	if !named {
		name, value = "TYPE", name
		if value == quotedPrintable || value == base64Encoding {
			name = "ENCODING"
		}
	}
	value = strings.ToUpper(strings.Trim(strings.TrimSpace(value), `"`))
	switch name {
	case "TYPE":
		for _, t := range strings.Split(value, ",") {
			p.types = append(p.types, strings.Trim(strings.TrimSpace(t), `"`))
		}
	case "ENCODING":
		if p.encoding = value; value == "B" {
			p.encoding = base64Encoding // as 3.0 calls it
		}
	case "CHARSET":
		p.charset = value
	case "VALUE":
		p.uri = value == "URI"
	}
}

// text decodes the value: first the transfer encoding, then the characters.
func (p *property) text() (string, Reason) {
	s := p.value
	switch p.encoding {
	case "", "7BIT", "8BIT":
	case quotedPrintable:
		var ok bool
		if s, ok = fromQuotedPrintable(s); !ok {
			return "", ErrEncoding
		}
	case base64Encoding:
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
		if err != nil {
			return "", ErrEncoding
		}
		s = string(b)
	default:
		return "", ErrEncoding
	}
	switch p.charset {
	case "", "UTF-8", "UTF8", "US-ASCII", "ASCII":
		if !utf8.ValidString(s) {
			return "", ErrCharset
		}
	case "ISO-8859-1", "ISO_8859-1", "LATIN1":
		runes := make([]rune, 0, len(s))
		for _, b := range []byte(s) {
			runes = append(runes, rune(b))
		}
		s = string(runes)
	default:
		if !plain(s) || !extendsASCII(p.charset) {
			return "", ErrCharset
		}
	}
	return s, ""
}

// fromQuotedPrintable decodes RFC 2045 §6.7; soft line breaks are gone. The
// standard library's decoder lets broken escapes stand as they are.
func fromQuotedPrintable(s string) (string, bool) {
	head, rest, escaped := strings.Cut(s, "=")
	out := []byte(head)
	for escaped {
		if len(rest) < 2 {
			return "", false
		}
		b, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", false
		}
		out = append(out, b...)
		head, rest, escaped = strings.Cut(rest[2:], "=")
		out = append(out, head...)
	}
	return string(out), true
}

// extendsASCII tells of a character set that is not read whether octets of ASCII
// mean ASCII in it. Numbers and addresses are ASCII in files of every country.
func extendsASCII(charset string) bool {
	return strings.HasPrefix(charset, "ISO-8859-") || strings.HasPrefix(charset, "WINDOWS-125") ||
		slices.Contains([]string{"KOI8-R", "KOI8-U", "EUC-JP", "EUC-KR", "GB2312", "GBK", "GB18030", "BIG5", "MACINTOSH"}, charset)
}

// plain tells whether s is printable ASCII.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// unescape undoes the escapes of text values (RFC 6350 §3.4). In 2.1 only ";" is
// escaped; a number or an address has no backslash of its own.
func (p *property) unescape(s string) string {
	if p.uri || !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\:`, ":").Replace(s)
}

// joinNames writes N (family; given; additional; prefixes; suffixes) as FN has it.
func (p *property) joinNames(s string) string {
	const mark = "\x00" // an escaped semicolon; newName would drop it
	parts := strings.Split(strings.ReplaceAll(s, `\;`, mark), ";")
	for i, part := range parts {
		parts[i] = p.unescape(strings.ReplaceAll(part, mark, `\;`))
	}
	parts = append(parts, "", "", "")
	return strings.Join([]string{parts[1], parts[2], parts[0]}, " ")
}

// forMachines tells whether the types say that no person reads messages there.
func (p *property) forMachines() bool {
	machine := false
	for _, t := range p.types {
		switch t {
		case "FAX", "PAGER", "MODEM", "BBS":
			machine = true
		case "VOICE", "CELL", "TEXT", "MSG", "VIDEO":
			return false
		}
	}
	return machine
}
