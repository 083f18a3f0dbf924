// Package contacts reads a person's address book, on her own device, and yields
// the cross-service identifiers in it.
//
// Two kinds of file are read, and told apart by their first lines: vCard (4.0 of
// RFC 6350, 3.0 of RFC 2426, and 2.1, which phones still write), and plain lists
// with one identifier a line. Decisions are in docs/adr/0012-address-books.md.
//
// Of a vCard it reads FN, N, TEL and EMAIL, in whatever group and of whatever
// TYPE, save fax, pager and modem numbers, which it refuses. Everything else,
// photographs above all, is passed over without being held. A list has comments
// behind "#" at the beginning of a line; a line with "," ";" or a tab is CSV, of
// which the first column counts. [Identifier] says which spellings are read.
//
// # Promises
//
//   - Nothing is lost in silence. Every value becomes an identifier, a repetition
//     or a refusal with its line and reason, and [Counts] adds up; what else
//     cannot be read is a [Problem] too. Empty values are none.
//   - Memory does not grow with the file beyond the identifiers themselves, of
//     which there are at most MaxIDs: lines and cards are bounded, and longer
//     ones are refused and passed over.
//   - Problems and errors hold no part of the file, and a [Contact] printed or
//     logged shows nobody.
//
// # Not checked
//
// Whether a card is a good vCard otherwise. Whether two cards are one person.
//
// Units: lines count from 1, sizes are octets.
package contacts

import (
	"errors"
	"io"
	"slices"

	"whither/csi"
	"whither/csi/national"
)

// Limits.
const (
	MaxFile     = 64 << 20 // a file
	MaxCard     = 1 << 20  // the lines of one card that are read; those passed over are free
	MaxLine     = 8 << 10  // a line that is read, continuations joined
	MaxName     = 200      // a display name; longer ones are cut
	MaxIDs      = 100_000  // identifiers of a file
	MaxProblems = 10_000   // problems of a file: with more it is no address book
)

// Errors of a whole file. What was yielded before them stands.
var (
	ErrFile        = errors.New("contacts: file larger than 64 MiB: split it")
	ErrIDs         = errors.New("contacts: more than 100,000 identifiers: split the file")
	ErrProblems    = errors.New("contacts: more than 10,000 problems: this is no address book")
	ErrFileCharset = errors.New("contacts: file is UTF-16: export it as UTF-8")
)

// Contact is one card, or one line of a list.
type Contact struct {
	Line     int      // where it begins
	Name     Name     // stays on this device; lists have none
	IDs      []csi.ID // not seen before in this file
	Repeated []csi.ID // seen before, in an earlier contact
	Problems []Problem
}

// Counts says what became of a file so far.
// Values = Identifiers + Repeated + Refused.
type Counts struct {
	Contacts    int // yielded
	Values      int // numbers, addresses and lines of a list that are not empty
	Identifiers int // different ones
	Repeated    int
	Refused     int
	Problems    int // the refusals, and what else could not be read
}

// Reader yields the contacts of one file.
type Reader struct {
	lines  lines
	region national.Region
	cards  bool // the first card has begun
	seen   map[csi.ID]bool
	counts Counts
	err    error
}

// NewReader returns a reader of r. Telephone numbers without "+" are read as
// written for region; without a region they are refused.
func NewReader(r io.Reader, region national.Region) (*Reader, error) {
	if _, err := national.ParseRegion(string(region)); region != "" && err != nil {
		return nil, err
	}
	return &Reader{lines: newLines(r), region: region, seen: make(map[csi.ID]bool)}, nil
}

// Counts returns what became of the file so far.
func (r *Reader) Counts() Counts { return r.counts }

// Next yields the next contact, and io.EOF after the last. A contact may have
// problems and nothing else. After an error it returns that error again.
func (r *Reader) Next() (Contact, error) {
	for r.err == nil {
		c, ok := r.next()
		if !ok || r.err != nil && len(c.IDs)+len(c.Repeated)+len(c.Problems) == 0 {
			continue // nothing, or nothing yet when the file ended for us
		}
		r.counts.Contacts++
		return c, nil
	}
	return Contact{}, r.err
}

// next reads one card or line; false: there was nothing to yield in it.
func (r *Reader) next() (Contact, bool) {
	line, err := r.lines.peek()
	if err != nil {
		r.err = err
		return Contact{}, false
	}
	if line.begins() {
		r.cards = true
		return r.card(), true
	}
	r.lines.take()
	switch {
	case line.blank(), !r.cards && line.comment():
		return Contact{}, false
	case r.cards:
		c := Contact{Line: line.number}
		r.problem(&c, line.number, ErrOutside)
		return c, true
	default:
		return r.entry(line), true
	}
}

// problem notes something that could not be read.
func (r *Reader) problem(c *Contact, line int, reason error) {
	c.Problems = append(c.Problems, Problem{Line: line, Reason: reason})
	if r.counts.Problems++; r.counts.Problems > MaxProblems {
		r.err = ErrProblems
	}
}

// refuse notes a value that is no identifier.
func (r *Reader) refuse(c *Contact, line int, reason error) {
	r.counts.Values++
	r.counts.Refused++
	r.problem(c, line, reason)
}

// value reads a number or an address into the contact.
func (r *Reader) value(c *Contact, line int, text string) {
	id, err := Identifier(text, r.region)
	if err != nil {
		r.refuse(c, line, err)
		return
	}
	if !r.seen[id] && len(r.seen) == MaxIDs {
		r.err = ErrIDs
		return
	}
	r.counts.Values++
	switch known := r.seen[id]; {
	case known && (slices.Contains(c.IDs, id) || slices.Contains(c.Repeated, id)):
		r.counts.Repeated++
	case known:
		r.counts.Repeated++
		c.Repeated = append(c.Repeated, id)
	default:
		r.counts.Identifiers++
		r.seen[id] = true
		c.IDs = append(c.IDs, id)
	}
}
