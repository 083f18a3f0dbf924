package csi

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// The scheme is the most that a printed ID says. A country code or a mail
// domain already names a small group: +290 has five thousand people, many mail
// domains have one. No scheme can choose to show more, so there is no function
// for it in [Row].

// String is the scheme and an ellipsis, never more.
func (id ID) String() string {
	if id.IsZero() {
		return "csi:none"
	}
	return string(id.Scheme()) + ":…"
}

// GoString is String; %#v would print the fields otherwise.
func (id ID) GoString() string { return id.String() }

// Format prints String under every verb and flag.
func (id ID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, id.String()) }

// LogValue is String as a log value.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// ErrSealed is the error of every encoder that meets a bare [ID].
var ErrSealed = errors.New("csi: an ID does not encode itself: use csi.Clear in messages")

// MarshalText refuses. Structured loggers hand nested values to encoding/json,
// which asks for this method and not for LogValue; with a canonical text here, a
// struct with an ID in it, logged whole, would show it. Messages use [Clear].
func (id ID) MarshalText() ([]byte, error) { return nil, ErrSealed }

// Clear is an [ID] in a message: the one type here whose encoding is the
// canonical form. A wire struct has fields of this type and says thereby that it
// must not be logged. Clear itself prints and logs redacted, as its ID does.
type Clear struct{ ID }

var (
	_ encoding.TextMarshaler   = Clear{}
	_ encoding.TextUnmarshaler = (*Clear)(nil)
)

// MarshalText is the canonical form; the zero value is refused.
func (c Clear) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, &Error{Reason: ErrScheme}
	}
	return []byte(c.Canonical()), nil
}

// UnmarshalText accepts the canonical form of a built-in scheme only.
func (c *Clear) UnmarshalText(text []byte) error {
	id, err := ParseCanonical(string(text))
	if err != nil {
		return err
	}
	c.ID = id
	return nil
}
