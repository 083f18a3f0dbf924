package contacts

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is what the device's owner calls somebody. It is for her screen alone:
// printed, logged or encoded by accident it shows nothing; [Name.Clear] shows it.
type Name struct{ text string }

// newName makes a name fit for a line of a screen: no controls, no signs that
// turn the direction of what stands beside it, at most MaxName octets.
func newName(s string) Name {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > MaxName {
		s = s[:MaxName]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return Name{s}
}

// Clear is the name; empty: the card has none.
func (n Name) Clear() string { return n.text }

// IsZero reports whether there is no name.
func (n Name) IsZero() bool { return n.text == "" }

// String shows nothing of the name.
func (n Name) String() string {
	if n.IsZero() {
		return "name:none"
	}
	return "name:…"
}

// Format prints String under every verb.
func (n Name) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.String()) }

// LogValue is String.
func (n Name) LogValue() slog.Value { return slog.StringValue(n.String()) }

// ErrName is the error of encoders that meet a name.
var ErrName = errors.New("contacts: a name does not leave the device")

// MarshalText refuses.
func (n Name) MarshalText() ([]byte, error) { return nil, ErrName }
