// Package csi is the cross-service identifier: the name of a person that many
// services can use, a telephone number or a mail address first.
//
// Specification: docs/spec/csi.md; the reasons are in docs/adr/0010-csi.md.
// The rules come from RFC 3966 and ITU-T E.164 (tel), RFC 6068, RFC 5321 and
// RFC 5890–5893 (mailto), RFC 7565 (acct).
//
// # Promises
//
//   - An [ID] is a URI in its one canonical form; two IDs are equal (==) exactly
//     if they name the same person's identifier. Every canonical form is a valid
//     RFC 3986 URI of printable ASCII.
//   - [Parse] accepts each spelling that has one canonical form without a guess.
//     [ParseCanonical] accepts the canonical form only; every decoder of signed
//     bytes uses it.
//   - No ID shows itself by accident: fmt, slog and encoders print or refuse,
//     they never reveal. Only the methods [ID.Canonical], [ID.Address],
//     [ID.Domain], [ID.PASSporTDigits], [ID.ENUM] and [ID.CAMARA], and the type
//     [Clear] give clear text.
//   - Errors never contain what was given to the parser.
//
// # Not checked
//
// Whether a national number or a mailbox exists, and who holds it: that is what
// package possession is for. National numbers without a country code are not
// read here: package csi/national does that, together with a region.
//
// # Units
//
// All lengths are octets of ASCII; see [MaxCanonical] and [MaxInput].
package csi

import (
	"strings"
	"unique"
)

const (
	// MaxCanonical is the length of the longest canonical form of the built-in
	// schemes: "mailto:" and an address of 254 octets (RFC 5321 §4.5.3.1.3: a
	// path of 256 octets with its two angle brackets).
	MaxCanonical = len("mailto:") + maxAddress

	// MaxInput bounds what the parser looks at. It is larger than MaxCanonical
	// because a domain in Unicode and a number with separators are longer than
	// their canonical forms.
	MaxInput = 1024
)

// Scheme is the name of a kind of identifier: a URI scheme in lower case,
// without the colon.
type Scheme string

// The built-in schemes.
const (
	Tel    Scheme = "tel"
	Mailto Scheme = "mailto"
	Acct   Scheme = "acct"
)

// ID is a cross-service identifier in canonical form. It is comparable and can
// be a map key. The zero value names nobody.
//
// The text sits behind a [unique.Handle], not in a string field: fmt cannot
// call methods on an unexported field of somebody else's struct and would
// print a string that lies there; of a handle it prints an address.
type ID struct {
	uri unique.Handle[string]
}

// Parse reads a CSI of a built-in scheme in any spelling that has one canonical
// form. The error wraps one of this package's [Reason] values.
func Parse(s string) (ID, error) { return builtin.Parse(s) }

// ParseCanonical reads a CSI of a built-in scheme that is spelled canonically
// and refuses every other spelling.
func ParseCanonical(s string) (ID, error) { return builtin.ParseCanonical(s) }

// Canonical is the whole URI in clear. Think before you call it: what it returns
// must not reach a log line, a metric, a URL, a file name or an operator's error.
func (id ID) Canonical() string {
	if id.IsZero() {
		return ""
	}
	return id.uri.Value()
}

// IsZero reports whether id is the zero value.
func (id ID) IsZero() bool { return id == ID{} }

// Equal reports whether two IDs are the same; it is == as a method.
func (id ID) Equal(other ID) bool { return id == other }

// Scheme is the kind of identifier, and the empty string for the zero value.
func (id ID) Scheme() Scheme {
	scheme, _, _ := strings.Cut(id.Canonical(), ":")
	return Scheme(scheme)
}

// part is what follows "scheme:", or the empty string if id is of another scheme.
func (id ID) part(s Scheme) string {
	scheme, rest, _ := strings.Cut(id.Canonical(), ":")
	if Scheme(scheme) != s {
		return ""
	}
	return rest
}

// Home is the set of jurisdictions that the identifier can be at home in, as
// sorted ISO 3166-1 alpha-2 codes, by the built-in table; see [Table.Home].
func (id ID) Home() []string { return builtin.Home(id) }
