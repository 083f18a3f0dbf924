package contacts

import (
	"errors"
	"fmt"

	"whither/csi"
	"whither/csi/national"
)

// Reason says why something in an address book could not be read. Reasons are
// constants and hold nothing of the file.
type Reason string

// The reasons of this package. A refused number or address has one of package
// national or csi.
const (
	ErrNoValue   Reason = "no-value"   // a line of CSV with nothing in its first column
	ErrQuotes    Reason = "quotes"     // a line of CSV whose quotes do not end
	ErrLine      Reason = "line"       // a line too long, its continuations joined
	ErrCard      Reason = "card"       // a card too large
	ErrMalformed Reason = "malformed"  // in a card, and no property
	ErrOutside   Reason = "outside"    // between cards
	ErrNoEnd     Reason = "no-end"     // a card that does not end
	ErrCharset   Reason = "charset"    // characters of a set that is not read
	ErrEncoding  Reason = "encoding"   // a broken or unknown transfer encoding
	ErrNotPerson Reason = "not-person" // a number for fax, pager or modem
)

// Error is the reason in words, with what to do next.
func (r Reason) Error() string {
	switch r {
	case ErrNoValue:
		return "address book: nothing in the first column: put the number or address there"
	case ErrQuotes:
		return "address book: quotation marks do not end: close them on the same line"
	case ErrLine:
		return "address book: line longer than 8 KiB: it was passed over"
	case ErrCard:
		return "address book: card larger than 1 MiB: what follows in it was passed over"
	case ErrMalformed:
		return "address book: no property of a card: it was passed over"
	case ErrOutside:
		return "address book: text outside of a card: it was passed over"
	case ErrNoEnd:
		return "address book: card without an end: check whether the file is complete"
	case ErrCharset:
		return "address book: unknown character set: export the file as UTF-8"
	case ErrEncoding:
		return "address book: broken or unknown encoding: export the file once more, as vCard 3.0 or 4.0"
	case ErrNotPerson:
		return "address book: a number for fax, pager or modem: no messages reach it"
	}
	return "address book: refused"
}

// Problem is something that could not be read.
type Problem struct {
	Line   int   // where its property begins
	Reason error // a [Reason], a [national.Reason] or a csi.Reason in a csi.Error
}

// Error names the line and gives the reason in words.
func (p Problem) Error() string { return fmt.Sprintf("line %d: %v", p.Line, p.Reason) }

// Unwrap is the reason.
func (p Problem) Unwrap() error { return p.Reason }

// Kind is the reason's stable name, for machines.
func (p Problem) Kind() string {
	var (
		own    Reason
		number national.Reason
		id     csi.Reason
	)
	switch {
	case errors.As(p.Reason, &own):
		return string(own)
	case errors.As(p.Reason, &number):
		return string(number)
	case errors.As(p.Reason, &id):
		return string(id)
	}
	return "refused"
}
