// Package dkim makes and checks DKIM signatures (RFC 6376, RFC 8301, RFC 8463)
// on whole messages in memory, in given time.
//
// It is stricter than a mail filter needs to be, because here a signature is
// evidence and not a hint: lines end in CRLF and in nothing else, names have no
// spaces, tags occur once, base64 has one encoding, a body length (l=) is
// refused, RSA keys have 2,048 bits or more, SHA-1 does not exist, and a key
// that its owner calls a test (t=y) signs nothing.
//
// It promises that [Signature.Verify] is a pure function of the message, the
// key record and nothing else: no DNS, no sockets, no clock. Lookup, alignment
// of d= with the author, the list of fields that must be signed and the times
// t= and x= are the caller's business; see whither/possession/mail.
//
// Times are seconds since 1970; sizes are bytes.
package dkim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Bounds on what is parsed, so that work stays linear in the message.
const (
	MaxFields      = 500     // header fields of a message
	MaxRecord      = 4096    // bytes of a key record
	MaxSigned      = 100     // names in h=
	MinRSABits     = 2048    // RFC 8301 asks for 1,024 and recommends 2,048
	MaxRSABits     = 8192    // keeps one verification under a millisecond or so
	maxTime        = 1 << 40 // t= and x=: 34,000 years, and no overflow anywhere
	maxDomainBytes = 253     // RFC 1035 section 2.3.4, in text
)

// Errors. Their texts never repeat what a message says.
var (
	ErrMessage    = errors.New("dkim: malformed message")
	ErrSyntax     = errors.New("dkim: malformed signature field")
	ErrBodyLength = errors.New("dkim: signature covers only a part of the body (l=)")
	ErrAlgorithm  = errors.New("dkim: algorithm is not rsa-sha256 or ed25519-sha256")
	ErrKeyRecord  = errors.New("dkim: unusable key record")
	ErrWeakKey    = errors.New("dkim: RSA key size out of bounds")
	ErrUnsigned   = errors.New("dkim: signature does not cover From")
	ErrBodyHash   = errors.New("dkim: body hash differs")
	ErrSignature  = errors.New("dkim: signature does not verify")
)

// SignatureField is the name of the field that carries a signature.
const SignatureField = "DKIM-Signature"

// Field is one header field as it stands in the message.
type Field struct {
	Name string // as written
	raw  string // name, colon and folded value, without the last CRLF
}

// Is compares the field's name, ignoring ASCII case.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// Value returns the unfolded value without white space around it.
func (f Field) Value() string {
	return strings.Trim(strings.ReplaceAll(f.raw[len(f.Name)+1:], "\r\n", ""), " \t")
}

// Message is a parsed message. It keeps no reference to what it was parsed from.
type Message struct {
	Fields []Field // in the order of the message
	Body   []byte  // after the empty line; may be empty
}

// ParseMessage splits raw into fields and body. It refuses what different
// readers of mail are known to read differently: bare CR or LF, NUL, bytes
// above 127 in the header, white space before a colon, folds that are blank,
// and a header without an end.
func ParseMessage(raw []byte) (*Message, error) {
	if err := checkLines(raw); err != nil {
		return nil, err
	}
	m := new(Message)
	for rest := raw; ; {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			return nil, fmt.Errorf("%w: header does not end", ErrMessage)
		}
		rest = after
		if len(line) == 0 {
			m.Body = bytes.Clone(rest)
			break
		}
		if err := m.addLine(string(line)); err != nil {
			return nil, err
		}
	}
	if len(m.Fields) == 0 {
		return nil, fmt.Errorf("%w: no header", ErrMessage)
	}
	return m, nil
}

// checkLines refuses NUL and any CR or LF that is not half of a CRLF.
func checkLines(raw []byte) error {
	for i, c := range raw {
		switch {
		case c == 0:
			return fmt.Errorf("%w: NUL", ErrMessage)
		case c == '\r' && (i+1 == len(raw) || raw[i+1] != '\n'):
			return fmt.Errorf("%w: bare CR", ErrMessage)
		case c == '\n' && (i == 0 || raw[i-1] != '\r'):
			return fmt.Errorf("%w: bare LF", ErrMessage)
		}
	}
	return nil
}

// addLine adds a field, or a continuation to the last one.
func (m *Message) addLine(line string) error {
	for i := range len(line) {
		if c := line[i]; c != '\t' && (c < ' ' || c > '~') {
			return fmt.Errorf("%w: header byte outside printable ASCII", ErrMessage)
		}
	}
	if line[0] == ' ' || line[0] == '\t' {
		if len(m.Fields) == 0 || strings.Trim(line, " \t") == "" {
			return fmt.Errorf("%w: continuation of nothing or with nothing", ErrMessage)
		}
		m.Fields[len(m.Fields)-1].raw += "\r\n" + line
		return nil
	}
	name, _, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return fmt.Errorf("%w: line is no field", ErrMessage)
	}
	if len(m.Fields) == MaxFields {
		return fmt.Errorf("%w: more than %d fields", ErrMessage, MaxFields)
	}
	m.Fields = append(m.Fields, Field{Name: name, raw: line})
	return nil
}

// All returns the fields of that name, from the top down.
func (m *Message) All(name string) []Field {
	var found []Field
	for _, f := range m.Fields {
		if f.Is(name) {
			found = append(found, f)
		}
	}
	return found
}

// ValidDomain reports whether s is a lower-case ASCII domain name of at least
// two labels, in the form that DKIM names domains; IDNs are A-labels.
func ValidDomain(s string) bool { return strings.Contains(s, ".") && validName(s) }

// validName accepts lower-case labels of letters, digits, hyphens and, since
// selectors in use have them, underscores.
func validName(s string) bool {
	if s == "" || len(s) > maxDomainBytes {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// lower lower-cases ASCII and nothing else: strings.ToLower would fold the
// Kelvin sign into a k.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
