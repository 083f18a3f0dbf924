package csi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unique"
)

// Row is one scheme: all that a new kind of identifier needs (R8). Which
// evidence a scheme accepts is written in package possession.
type Row struct {
	// Scheme is the URI scheme (RFC 3986 §3.1) in lower case.
	Scheme Scheme

	// Canonicalise turns what follows "scheme:" into its canonical form, or
	// refuses with a [Reason]; any other error becomes [ErrRefused], so that no
	// row can put the input into a message. It must not guess, must be
	// idempotent, must depend on nothing but its argument, and must return
	// printable ASCII without spaces. Its argument is valid UTF-8 without
	// control characters, at most MaxInput octets long.
	Canonicalise func(rest string) (string, error)

	// Home is the set of jurisdictions (ISO 3166-1 alpha-2) that a canonical
	// rest can be at home in; empty means unknown. Nil: always unknown.
	Home func(rest string) []string
}

// Table is an immutable set of schemes. The zero value knows none.
type Table struct {
	rows []Row
}

// builtin is never written; Table has no method that could.
var builtin = Table{rows: []Row{
	{Scheme: Tel, Canonicalise: canonicalTel, Home: homeOfTel},
	// A mail address has no home: see docs/adr/0010-csi.md.
	{Scheme: Mailto, Canonicalise: canonicalAddress},
	// A handle is written as an address is; who issues it is the host's owner.
	{Scheme: Acct, Canonicalise: canonicalAddress},
}}

// Default is the table that [Parse] uses.
func Default() Table { return builtin }

// NewTable makes a table. A scheme that is doubled, misspelled or without
// Canonicalise is a mistake of the program and refused.
func NewTable(rows ...Row) (Table, error) {
	seen := make(map[Scheme]bool, len(rows))
	for _, r := range rows {
		switch {
		case !validScheme(string(r.Scheme)):
			return Table{}, fmt.Errorf("csi: row %q: scheme is not a lower-case URI scheme", string(r.Scheme))
		case r.Canonicalise == nil:
			return Table{}, fmt.Errorf("csi: row %q: no Canonicalise", string(r.Scheme))
		case seen[r.Scheme]:
			return Table{}, fmt.Errorf("csi: row %q: doubled", string(r.Scheme))
		}
		seen[r.Scheme] = true
	}
	return Table{rows: slices.Clone(rows)}, nil
}

// With is a table with further rows; t itself stays as it is.
func (t Table) With(rows ...Row) (Table, error) {
	return NewTable(slices.Concat(t.rows, rows)...)
}

// Schemes lists the schemes in the order of the rows.
func (t Table) Schemes() []Scheme {
	out := make([]Scheme, len(t.rows))
	for i, r := range t.rows {
		out[i] = r.Scheme
	}
	return out
}

// Parse is [Parse] over this table.
func (t Table) Parse(s string) (ID, error) {
	uri, err := t.canonical(s)
	if err != nil {
		return ID{}, err
	}
	return ID{unique.Make(uri)}, nil
}

// ParseCanonical is [ParseCanonical] over this table.
func (t Table) ParseCanonical(s string) (ID, error) {
	uri, err := t.canonical(s)
	if err != nil {
		return ID{}, err
	}
	if uri != s {
		scheme, _, _ := strings.Cut(uri, ":")
		return ID{}, &Error{Scheme(scheme), ErrNotCanonical}
	}
	return ID{unique.Make(uri)}, nil
}

// Home is the set of jurisdictions that id can be at home in, as sorted
// ISO 3166-1 alpha-2 codes. Several codes mean: in one of these, and the
// identifier does not tell which. None means unknown or international, never
// "anywhere": a policy that needs a home must then have it from elsewhere.
func (t Table) Home(id ID) []string {
	scheme, rest, _ := strings.Cut(id.Canonical(), ":")
	row, ok := t.row(scheme)
	if !ok || row.Home == nil {
		return nil
	}
	return row.Home(rest)
}

func (t Table) row(scheme string) (Row, bool) {
	for _, r := range t.rows {
		if string(r.Scheme) == scheme {
			return r, true
		}
	}
	return Row{}, false
}

// canonical is the one path of all parsers: bound, look for what no scheme may
// contain, find the row, let it canonicalise, check what it returned.
func (t Table) canonical(s string) (string, error) {
	if len(s) > MaxInput {
		return "", &Error{Reason: ErrOverlong}
	}
	if reason := forbidden(s); reason != "" {
		return "", &Error{Reason: reason}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return "", &Error{Reason: ErrScheme}
	}
	row, ok := t.row(lowerASCII(scheme)) // RFC 3986 §3.1: schemes are case-insensitive
	if !ok {
		return "", &Error{Reason: ErrScheme}
	}
	out, err := row.Canonicalise(rest)
	if err != nil {
		var reason Reason
		if !errors.As(err, &reason) || reason.text() == "" {
			reason = ErrRefused // not of this package: it may hold the input
		}
		return "", &Error{row.Scheme, reason}
	}
	if out == "" || strings.ContainsFunc(out, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", &Error{row.Scheme, ErrRefused} // the row broke its contract
	}
	if out == rest && string(row.Scheme) == scheme {
		return s, nil
	}
	return string(row.Scheme) + ":" + out, nil
}

// forbidden finds what is wrong in every scheme: broken UTF-8, and characters
// that cannot be seen but change what is read: controls (Cc, with NUL), bidi
// controls (UAX #9), line and paragraph separators, the byte order mark.
func forbidden(s string) Reason {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return ErrControl
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError:
			return ErrNonASCII
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff':
			return ErrControl
		}
		i += n
	}
	return ""
}

// validScheme is RFC 3986 §3.1 in lower case.
func validScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z'
		other := '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return s != ""
}

// lowerASCII lowers A–Z and nothing else. strings.ToLower would also turn the
// Kelvin sign (U+212A) into k, and so a look-alike into a match.
func lowerASCII(s string) string {
	i := strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' })
	if i < 0 {
		return s
	}
	b := []byte(s)
	for ; i < len(b); i++ {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// ascii reports whether every octet of s is ASCII.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
