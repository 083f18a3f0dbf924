// Package syntax reads and writes what a SIP user agent server of a prover
// needs of SIP messages (RFC 3261), descriptions of sound (RFC 8866) and
// reports of pressed keys. It is pure: bytes in, bytes out.
//
// It promises that what it reads is bounded, has no control characters where a
// line could end in the eyes of another reader, and has each field once that
// stands once; that a message in a stream ends where its one Content-Length
// says; and that errors do not quote what was read.
//
// The grammar of start lines, addresses and Via fields is read by the library
// sipgo; what of it is used stays within this package. Whether a request makes
// sense is for package sipin to say.
//
// Sizes are bytes.
package syntax

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Bounds of a message, in bytes.
const (
	// MaxHead is the largest start line with header fields; an Identity field of
	// passport.MaxIdentity fits in it.
	MaxHead = 16 << 10
	// MaxBody is the largest body.
	MaxBody = 8 << 10

	maxFields = 64  // header fields
	maxTag    = 128 // of From and To, and a Call-ID
)

// Errors: what a message is refused for before anybody looks at what it says.
var (
	ErrMalformed = errors.New("syntax: malformed message")
	ErrTooLarge  = errors.New("syntax: message is too large")
)

// ReadMessage reads one message from a stream (RFC 3261 section 7.5): its
// header fields, and as many bytes more as they say. It returns nil for an empty
// line, which keeps a connection alive (RFC 5626 section 3.5.1).
func ReadMessage(r *bufio.Reader) ([]byte, error) {
	var raw []byte
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, ErrTooLarge
		case err != nil:
			return nil, err
		case len(raw) == 0 && string(line) == "\r\n":
			return nil, nil // a keep-alive between messages
		case len(raw)+len(line) > MaxHead:
			return nil, ErrTooLarge
		}
		raw = append(raw, line...)
		if string(line) == "\r\n" {
			break
		}
	}
	n, said, err := contentLength(raw)
	switch {
	case err != nil:
		return nil, err
	case !said: // section 18.3: only datagrams may leave it out
		return nil, ErrMalformed
	case n > MaxBody:
		return nil, ErrTooLarge
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return append(raw, body...), nil
}

// CutDatagram returns the message in a datagram: what stands behind the length
// that it says does not belong to it.
func CutDatagram(b []byte) ([]byte, error) {
	head, body, found := bytes.Cut(b, []byte("\r\n\r\n"))
	if !found {
		return nil, ErrMalformed
	}
	if len(head)+4 > MaxHead {
		return nil, ErrTooLarge
	}
	n, said, err := contentLength(b[:len(head)+4])
	switch {
	case err != nil:
		return nil, err
	case !said:
		n = len(body)
	case n > len(body):
		return nil, ErrMalformed
	}
	if n > MaxBody {
		return nil, ErrTooLarge
	}
	return b[:len(head)+4+n], nil
}

// contentLength finds the one Content-Length of a head, which is not folded.
func contentLength(head []byte) (n int, said bool, err error) {
	for line := range bytes.Lines(head) {
		name, value, _ := strings.Cut(string(line), ":")
		if strings.HasPrefix(name, " ") || strings.HasPrefix(name, "\t") || longName(name) != "content-length" {
			continue
		}
		digits := strings.TrimSpace(value)
		if said || digits == "" || len(digits) > 6 || strings.Trim(digits, "0123456789") != "" {
			return 0, false, ErrMalformed
		}
		if n, err = strconv.Atoi(digits); err != nil {
			return 0, false, ErrMalformed
		}
		said = true
	}
	return n, said, nil
}

// longName returns the name of a header field in lower case, written out if it
// is of the compact form (RFC 3261 section 7.3.3, RFC 8224 section 4).
func longName(name string) string {
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	switch name {
	case "c":
		return "content-type"
	case "e":
		return "content-encoding"
	case "f":
		return "from"
	case "i":
		return "call-id"
	case "l":
		return "content-length"
	case "m":
		return "contact"
	case "t":
		return "to"
	case "v":
		return "via"
	case "y":
		return "identity"
	}
	return name
}

// Message is a parsed request or response.
type Message struct {
	Method string // of a response: empty until Check
	Status int    // of a response, else 0
	// Scheme and User are parts of a Request-URI.
	Scheme, User string
	Branch       string // of the top Via
	Seq          uint64 // of CSeq, after Check
	Body         []byte

	top    via
	vias   []string            // all of them, as they came; the first is top
	fields map[string][]string // by their long names, in lower case
}

// Get returns the first value of a field, "" if there is none. The name is the
// long one, in lower case. Via is not among them.
func (m *Message) Get(name string) string {
	if v := m.fields[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// All returns all values of a field in their order.
func (m *Message) All(name string) []string { return m.fields[name] }

// Parser reads messages. It is safe for concurrent use.
type Parser struct{ sip *sip.Parser }

// NewParser returns a parser. Of the library it uses what reads start lines and
// unfolds fields. Fields are kept as they are, so that a bad one can be refused
// with an answer, and so that Via goes back as it came: the library writes
// another one than it read where there is white space before a comma.
func NewParser() *Parser {
	p := sip.NewParser(sip.WithHeadersParsers(map[string]sip.HeaderParser{}))
	p.MaxMessageLength = MaxHead + MaxBody
	return &Parser{p}
}

// Parse reads one whole message, and keeps raw. An error says that it cannot
// even be answered.
func (p *Parser) Parse(raw []byte) (m *Message, err error) {
	// A parser of others stands here at a socket that anybody can write to: what
	// it trips over is to cost that one message, not the process.
	defer func() {
		if recover() != nil {
			m, err = nil, ErrMalformed
		}
	}()
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found || !printable(head) {
		return nil, ErrMalformed
	}
	parsed, err := p.sip.ParseSIP(raw[:len(head)+4])
	if err != nil {
		return nil, ErrMalformed // the parser's words quote the message
	}
	m = &Message{fields: make(map[string][]string), Body: body}
	var all []sip.Header
	switch one := parsed.(type) {
	case *sip.Request:
		m.Method, m.Scheme, m.User, all = string(one.Method), one.Recipient.Scheme, one.Recipient.User, one.Headers()
		line, _, _ := strings.Cut(string(head), "\r\n")
		if one.SipVersion != "SIP/2.0" || !strings.HasPrefix(line, m.Method+" ") {
			return nil, ErrMalformed // methods are case-sensitive, the parser is not
		}
	case *sip.Response:
		m.Status, all = one.StatusCode, one.Headers()
		if one.SipVersion != "SIP/2.0" || m.Status < 100 || m.Status > 699 {
			return nil, ErrMalformed
		}
	}
	if len(all) > maxFields {
		return nil, ErrTooLarge
	}
	for _, h := range all {
		if name := longName(h.Name()); name == "via" {
			m.vias = append(m.vias, split(h.Value(), ',')...)
		} else {
			m.fields[name] = append(m.fields[name], h.Value())
		}
	}
	if len(m.vias) == 0 {
		return nil, ErrMalformed
	}
	if m.top, err = parseVia(m.vias[0]); err != nil {
		return nil, err
	}
	m.Branch = m.top.branch
	return m, nil
}

// printable reports whether a head has no control characters but the ends of its
// lines and tabulators.
func printable(head []byte) bool {
	for i, c := range head {
		switch {
		case c == '\r':
			if i+1 == len(head) || head[i+1] != '\n' {
				return false
			}
		case c == '\n':
			if i == 0 || head[i-1] != '\r' {
				return false
			}
		case c < ' ' && c != '\t', c == 0x7f:
			return false
		}
	}
	return true
}

// Check checks the fields that every message has (RFC 3261 section 8.1.1): a
// request for which it fails is answered with 400 and its words.
func (m *Message) Check() error {
	for name, values := range m.fields {
		switch name {
		case "from", "to", "call-id", "cseq", "content-length", "content-type", "content-encoding", "date", "max-forwards", "contact":
			if len(values) > 1 {
				return fmt.Errorf("%w: a field that stands once is repeated", ErrMalformed)
			}
		}
	}
	if id := m.Get("call-id"); id == "" || len(id) > maxTag || strings.ContainsAny(id, " \t") {
		return fmt.Errorf("%w: Call-ID", ErrMalformed)
	}
	seq, method, found := strings.Cut(m.Get("cseq"), " ")
	n, err := strconv.ParseUint(seq, 10, 31)
	method = strings.TrimSpace(method)
	if !found || err != nil || m.Status == 0 && method != m.Method {
		return fmt.Errorf("%w: CSeq", ErrMalformed)
	}
	m.Seq, m.Method = n, method
	if tag, err := tagOf(m.Get("from")); err != nil || tag == "" {
		return fmt.Errorf("%w: From", ErrMalformed)
	}
	if _, err := tagOf(m.Get("to")); err != nil {
		return fmt.Errorf("%w: To", ErrMalformed)
	}
	return nil
}

// Tag returns the tag of From or To, "" if there is none.
func (m *Message) Tag(name string) string {
	tag, _ := tagOf(m.Get(name)) // Check has read it
	return tag
}

// Target returns the URI of Contact.
func (m *Message) Target() (string, error) {
	var uri sip.Uri
	var params sip.HeaderParams
	if _, err := sip.ParseAddressValue(m.Get("contact"), &uri, &params); err != nil || uri.Wildcard {
		return "", ErrMalformed
	}
	return uri.String(), nil
}

func tagOf(address string) (string, error) {
	var uri sip.Uri
	var params sip.HeaderParams
	if _, err := sip.ParseAddressValue(address, &uri, &params); err != nil {
		return "", ErrMalformed
	}
	tag := params.GetOr("tag", "")
	if len(tag) > maxTag {
		return "", ErrMalformed
	}
	return tag, nil
}

// MediaType returns the media type of the body in lower case, without its
// parameters.
func (m *Message) MediaType() string {
	t, _, _ := strings.Cut(m.Get("content-type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// Answer is a response to m: its start line, what it takes over from the
// request (RFC 3261 section 8.2.6), more fields and a body.
func (m *Message) Answer(status int, reason, toTag string, fields []string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", status, reason)
	for _, v := range m.vias {
		b.WriteString("Via: " + v + "\r\n")
	}
	to := m.Get("to")
	if tag, err := tagOf(to); err == nil && tag == "" && toTag != "" && to != "" {
		to += ";tag=" + toTag
	}
	for _, f := range [...]struct{ name, value string }{
		{"From", m.Get("from")}, {"To", to}, {"Call-ID", m.Get("call-id")}, {"CSeq", m.Get("cseq")},
	} {
		if f.value != "" {
			b.WriteString(f.name + ": " + f.value + "\r\n")
		}
	}
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	return b.Bytes()
}
