// Package tnauth says which telephone numbers a certificate or an authority
// token speaks for: the TNAuthList of RFC 8226 section 9 and, in the same
// certificates, the constraints on what may be claimed (RFC 8226 section 8,
// RFC 9118).
//
//	TNAuthorizationList ::= SEQUENCE SIZE (1..MAX) OF TNEntry
//	TNEntry ::= CHOICE {                       -- explicit tags
//	  spc   [0] ServiceProviderCode,           -- IA5String
//	  range [1] TelephoneNumberRange,
//	  one   [2] TelephoneNumber }
//	TelephoneNumberRange ::= SEQUENCE { start TelephoneNumber, count INTEGER (2..MAX), ... }
//	TelephoneNumber ::= IA5String (SIZE (1..15)) (FROM ("0123456789#*"))
//
// It promises that [Parse] accepts DER and nothing else, so that a list has one
// encoding ([List.Marshal] gives it back), and that comparing lists costs no
// more than sorting them. The scope of a list is additive (RFC 9060 section
// 4.1): what any entry gives is given.
//
// It does not know which numbers belong to a service provider code: that is the
// registry's word, see package whither/possession/stir/chain. It fetches no
// list by reference (RFC 8226 section 10.1).
//
// Numbers are digits without "+", as PASSporTs write them; sizes are bytes. A
// list with one number is personal: lists and entries print redacted.
package tnauth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds.
const (
	MaxSize    = 16 << 10 // bytes of an encoded list
	MaxEntries = 1000     // entries of a list
	MaxCode    = 32       // bytes of a service provider code; North American ones have four
	MaxNumber  = 15       // digits of a number (ITU-T E.164)
)

// OID is the dotted object identifier of the list as a certificate extension
// (id-pe 26).
const OID = "1.3.6.1.5.5.7.1.26"

// Errors. Their texts never repeat what a list says.
var (
	ErrTooLarge = errors.New("tnauth: list is too large")
	ErrEncoding = errors.New("tnauth: not a TNAuthList in DER")
	ErrCode     = errors.New("tnauth: a service provider code is empty, too long or not printable ASCII")
	ErrNumber   = errors.New("tnauth: a number is not 1 to 15 of the characters 0-9 # *")
	ErrRange    = errors.New("tnauth: a range is too short, runs past its number of digits or does not begin with a number of digits")
)

// Entry is one TNEntry: a service provider code, or a number, or a range of
// numbers of which Number is the first.
type Entry struct {
	Code   string
	Number string
	Count  uint64 // numbers in the range; 0 for the single number
}

// List is a TNAuthList. The zero value speaks for nothing.
type List []Entry

// Context tags, explicit and hence constructed.
const (
	tag0 asn1.Tag = 0xa0 + iota
	tag1
	tag2

	tagCode, tagRange, tagOne = tag0, tag1, tag2
)

// Parse reads a list in DER.
func Parse(der []byte) (List, error) {
	if len(der) > MaxSize {
		return nil, ErrTooLarge
	}
	input, entries := cryptobyte.String(der), cryptobyte.String(nil)
	if !input.ReadASN1(&entries, asn1.SEQUENCE) || !input.Empty() || entries.Empty() {
		return nil, ErrEncoding
	}
	var list List
	for !entries.Empty() {
		if len(list) == MaxEntries {
			return nil, ErrTooLarge
		}
		e, err := readEntry(&entries)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

func readEntry(s *cryptobyte.String) (Entry, error) {
	var e Entry
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return Entry{}, ErrEncoding
	}
	ok := false
	switch tag {
	case tagCode:
		ok = readText(&content, &e.Code)
	case tagOne:
		ok = readText(&content, &e.Number)
	case tagRange:
		var inner cryptobyte.String
		// The type is extensible ("..."); what an extension would mean for the
		// scope is unknown, so there is none.
		ok = content.ReadASN1(&inner, asn1.SEQUENCE) && readText(&inner, &e.Number) &&
			inner.ReadASN1Integer(&e.Count) && inner.Empty()
		if ok && e.Count < 2 {
			return Entry{}, ErrRange
		}
	default:
		return Entry{}, ErrEncoding
	}
	if !ok || !content.Empty() {
		return Entry{}, ErrEncoding
	}
	return e, e.check(tag == tagCode)
}

func readText(s *cryptobyte.String, out *string) bool {
	var text cryptobyte.String
	if !s.ReadASN1(&text, asn1.IA5String) {
		return false
	}
	*out = string(text)
	return true
}

// Marshal returns the list in DER.
func (l List) Marshal() ([]byte, error) {
	if len(l) == 0 {
		return nil, ErrEncoding
	}
	if len(l) > MaxEntries {
		return nil, ErrTooLarge
	}
	for _, e := range l {
		if err := e.check(e.Code != ""); err != nil {
			return nil, err
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range l {
			e.add(b)
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	if len(der) > MaxSize {
		return nil, ErrTooLarge
	}
	return der, nil
}

func (e Entry) add(b *cryptobyte.Builder) {
	text := func(s string) cryptobyte.BuilderContinuation {
		return func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
		}
	}
	switch {
	case e.Code != "":
		b.AddASN1(tagCode, text(e.Code))
	case e.Count == 0:
		b.AddASN1(tagOne, text(e.Number))
	default:
		b.AddASN1(tagRange, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				text(e.Number)(b)
				b.AddASN1Uint64(e.Count)
			})
		})
	}
}

// check tests the rules that the grammar does not carry. RFC 8226 section 9 on
// ranges: start + count must be less than 10^digits. That leaves out ranges that
// end in 9…9, which the example beside the formula would let in; the formula is
// called the formal one and is the stricter.
func (e Entry) check(isCode bool) error {
	if isCode {
		if e.Number != "" || e.Count != 0 {
			return ErrEncoding
		}
		return checkCode(e.Code)
	}
	if e.Number == "" || len(e.Number) > MaxNumber || strings.Trim(e.Number, "0123456789#*") != "" {
		return ErrNumber
	}
	if e.Count == 0 {
		return nil
	}
	first, ok := digits(e.Number)
	if limit := pow10(len(e.Number)); !ok || e.Count < 2 || e.Count >= limit || first+e.Count >= limit {
		return ErrRange
	}
	return nil
}

func checkCode(s string) error {
	if s == "" || len(s) > MaxCode || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ErrCode
	}
	return nil
}

// ValidNumber reports whether s is 1 to 15 digits, the form in which PASSporTs
// name a caller.
func ValidNumber(s string) bool {
	_, ok := digits(s)
	return ok
}

func digits(s string) (uint64, bool) {
	if s == "" || len(s) > MaxNumber || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// pow10 is 10^n for n up to 15.
func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// Format prints the kind of entry and nothing of it.
func (e Entry) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.kind()) }

// LogValue logs what Format prints.
func (e Entry) LogValue() slog.Value { return slog.StringValue(e.kind()) }

func (e Entry) kind() string {
	switch {
	case e.Code != "":
		return "tnauth:code"
	case e.Count != 0:
		return "tnauth:range"
	}
	return "tnauth:one"
}

// Format prints the number of entries.
func (l List) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.summary()) }

// LogValue logs what Format prints.
func (l List) LogValue() slog.Value { return slog.StringValue(l.summary()) }

func (l List) summary() string { return "tnauth:" + strconv.Itoa(len(l)) + " entries" }
