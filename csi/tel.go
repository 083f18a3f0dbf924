package csi

import "strings"

const (
	// minDigits is the shortest number accepted, country code included: the
	// shortest subscriber numbers in use have four digits after three of the
	// country code (+683, +290 and +500 have four and five). ITU-T E.164 sets no minimum.
	minDigits = 7
	// maxDigits is the longest international number (ITU-T E.164 §6.2.1).
	maxDigits = 15
)

// canonicalTel reads the part of a tel URI after the colon: a global number of
// RFC 3966 §3 whose visual separators are dropped.
//
// Nothing here depends on a national numbering plan: such plans change every
// year, and a signed statement must parse for ever.
func canonicalTel(s string) (string, error) {
	switch {
	case !ascii(s):
		return "", ErrNonASCII
	case strings.Contains(s, "%"):
		return "", ErrEscape
	case strings.Contains(s, ";"), strings.Contains(s, "?"):
		return "", ErrParameter
	case !strings.HasPrefix(s, "+"):
		return "", ErrNotGlobal
	case strings.Contains(s, "(0"):
		// "+44 (0)20 …": people mean "leave the 0 out", RFC 3966 means "the
		// brackets are decoration". Neither reading is taken.
		return "", ErrNotGlobal
	}
	digits, err := stripSeparators(s[1:])
	switch {
	case err != nil:
		return "", err
	case len(digits) < minDigits, len(digits) > maxDigits:
		return "", ErrLength
	case countryCode(digits) == "":
		return "", ErrCountryCode
	case len(digits) == len(s)-1:
		return s, nil
	}
	return "+" + digits, nil
}

// stripSeparators drops the visual separators of RFC 3966 §5.1.1.
func stripSeparators(s string) (string, error) {
	digits := make([]byte, 0, maxDigits+1) // on the stack; longer input is on its way to ErrLength
	for _, c := range []byte(s) {
		switch c {
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			digits = append(digits, c)
		case '-', '.', '(', ')':
		default:
			return "", ErrNumber
		}
	}
	if len(digits) == len(s) {
		return s, nil
	}
	return string(digits), nil
}

// countryCode is the country code that digits begin with, or the empty string.
// No code is the beginning of another, so at most one matches.
func countryCode(digits string) string {
	for n := 1; n <= 3 && n <= len(digits); n++ {
		if _, ok := countries[digits[:n]]; ok {
			return digits[:n]
		}
	}
	return ""
}

// PASSporTDigits is the number as PASSporT and TNAuthList write it: digits
// without "+" (RFC 8225 §5.2.1, RFC 8226 §9). Empty if id is no telephone number.
func (id ID) PASSporTDigits() string { return strings.TrimPrefix(id.part(Tel), "+") }

// CAMARA is the number as the CAMARA interfaces write it: "+" and digits.
// Empty if id is no telephone number.
func (id ID) CAMARA() string { return id.part(Tel) }

// ENUM is the number's domain name (RFC 6116 §3.2), without the final dot:
// +442079460148 is 8.4.1.0.6.4.9.7.0.2.4.4.e164.arpa. A query for it shows the
// number to every resolver on the way. Empty if id is no telephone number.
func (id ID) ENUM() string {
	digits := id.PASSporTDigits()
	if digits == "" {
		return ""
	}
	b := make([]byte, 0, 2*len(digits)+len("e164.arpa"))
	for i := len(digits) - 1; i >= 0; i-- {
		b = append(b, digits[i], '.')
	}
	return string(append(b, "e164.arpa"...))
}
