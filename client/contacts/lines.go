package contacts

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// A line is one line of the file without its end: the first MaxLine octets, and
// what is known of the rest.
type line struct {
	number int
	text   string
	cut    bool // there was more
	torn   bool // the file ended before the line did
	last   byte // of the whole line
}

func (l line) blank() bool   { return strings.TrimSpace(l.text) == "" && !l.cut }
func (l line) comment() bool { return strings.HasPrefix(strings.TrimSpace(l.text), "#") }

// folded tells whether the line continues the one before it (RFC 6350 §3.2).
func (l line) folded() bool {
	return l.text != "" && (l.text[0] == ' ' || l.text[0] == '\t')
}

func (l line) begins() bool { return l.is("BEGIN") }
func (l line) ends() bool   { return l.is("END") }

func (l line) is(name string) bool {
	head, value, colon := strings.Cut(l.text, ":")
	return colon && strings.EqualFold(strings.TrimSpace(head), name) && strings.EqualFold(strings.TrimSpace(value), "VCARD")
}

// lines gives a file's lines one by one, with one to look ahead. However long a
// line is, it holds MaxLine octets of it.
type lines struct {
	in     *bufio.Reader
	kept   []byte // what read works in
	next   line
	err    error // what there is instead of next
	ready  bool  // next or err is there
	number int
}

func newLines(r io.Reader) lines {
	return lines{in: bufio.NewReaderSize(&limited{r: r, left: MaxFile}, MaxLine)}
}

// take consumes the line that peek has shown.
func (l *lines) take() { l.ready = false }

// peek shows the next line without consuming it. After an error it returns that
// error again.
func (l *lines) peek() (line, error) {
	if l.ready || l.err != nil {
		return l.next, l.err
	}
	l.next, l.err = l.read()
	l.ready = l.err == nil
	return l.next, l.err
}

// broken tells whether peek has met an error other than the file's end.
func (l *lines) broken() bool { return l.err != nil && !errors.Is(l.err, io.EOF) }

// read reads the next line. A last line without an end is one too; a line that
// an error tears is not.
func (l *lines) read() (line, error) {
	if l.number == 0 {
		if err := l.start(); err != nil {
			return line{}, err
		}
	}
	l.number++
	out := line{number: l.number}
	kept := l.kept[:0]
	for first := true; ; first = false {
		part, err := l.in.ReadSlice('\n')
		if room := MaxLine - len(kept); len(part) > room {
			kept = append(kept, part[:room]...)
			out.cut = len(bytes.TrimRight(part[room:], "\r\n")) > 0 || out.cut
		} else {
			kept = append(kept, part...)
		}
		if end := bytes.TrimRight(part, "\r\n"); len(end) > 0 {
			out.last = end[len(end)-1]
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(part) > 0 || !first):
			out.torn = true
		case err != nil:
			return line{}, err
		}
		out.text, l.kept = string(bytes.TrimRight(kept, "\r\n")), kept
		return out, nil
	}
}

// start passes over a byte order mark and refuses files of two octets a
// character.
func (l *lines) start() error {
	head, err := l.in.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return ErrFileCharset
	case bytes.Equal(head, []byte("\ufeff")):
		_, err = l.in.Discard(len(head))
		return err
	}
	return nil
}

// limited reads at most so many octets, and then fails unless r ends there.
type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		p = p[:min(len(p), 1)]
		n, err := l.r.Read(p)
		if n > 0 {
			err = ErrFile
		}
		return 0, err
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
