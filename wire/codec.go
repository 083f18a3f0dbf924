// Package wire holds the messages between clients, DPs, MSPs and provers, and
// their two encodings. Its spec is docs/spec/messages.md.
//
// A message is a map with the member names of the struct tags, as
// deterministic CBOR (application/cbor) or as JSON (application/json; byte
// strings in base64url without padding). Both decoders are strict: unknown,
// duplicate, case-folded, null and needlessly empty members are refused, as is
// anything that would not encode to the same message again.
//
// The package encodes and decodes only. What a message may contain is decided
// where it is used. Messages hold CSIs in clear and must never be logged.
package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"reflect"
	"unicode/utf8"

	"whither/csi"
	"whither/internal/canon"
)

// Media types.
const (
	TypeCBOR    = "application/cbor"
	TypeJSON    = "application/json"
	TypeMapping = `application/cose; cose-type="cose-sign"`
)

// MaxBody bounds a request, in bytes.
const MaxBody = 64 << 10

// MaxAnswer bounds an answer, in bytes: a thousand verbose mappings.
const MaxAnswer = 4 << 20

// Errors.
var (
	ErrType      = errors.New("wire: content type is neither application/cbor nor application/json")
	ErrMalformed = errors.New("wire: message is not in its one accepted form")
	ErrTooLarge  = errors.New("wire: message too large")
)

// Bytes is a byte string: itself in CBOR, base64url without padding in JSON.
type Bytes []byte

// MarshalJSON writes base64url.
func (b Bytes) MarshalJSON() ([]byte, error) {
	return []byte(`"` + base64.RawURLEncoding.EncodeToString(b) + `"`), nil
}

// UnmarshalJSON reads base64url; other alphabets, padding, line breaks and
// stray bits are refused.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	n := len(text)
	if n < 2 || text[0] != '"' || text[n-1] != '"' || bytes.ContainsAny(text, "\\\r\n") {
		return ErrMalformed
	}
	out, err := base64.RawURLEncoding.Strict().DecodeString(string(text[1 : n-1]))
	if err != nil {
		return ErrMalformed
	}
	*b = out
	return nil
}

// Accepts returns the encoding that a Content-Type or Accept value names.
func Accepts(mediaType string) (string, error) {
	t, params, err := mime.ParseMediaType(mediaType)
	if err != nil || len(params) > 1 || (len(params) == 1 && params["charset"] != "utf-8") {
		return "", ErrType
	}
	switch t {
	case TypeCBOR, TypeJSON:
		return t, nil
	default:
		return "", ErrType
	}
}

// Encode writes message v in the encoding of a media type.
func Encode(mediaType string, v any) ([]byte, error) {
	if mediaType == TypeJSON {
		return json.Marshal(v)
	}
	return canon.Marshal(v)
}

// Decode reads message v, of at most max bytes, in the encoding of a media type.
func Decode(mediaType string, b []byte, max int, v any) error {
	t, err := Accepts(mediaType)
	if err != nil {
		return err
	}
	if len(b) > max {
		return ErrTooLarge
	}
	if t == TypeCBOR {
		err = canon.Unmarshal(b, max, v)
	} else {
		err = decodeJSON(b, v)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// decodeJSON refuses what encoding/json lets pass: it compares the input,
// read without a struct in mind, with what the decoded message encodes to.
func decodeJSON(b []byte, v any) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8") // encoding/json would put U+FFFD in its place
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if reason := (*csi.Error)(nil); errors.As(err, &reason) {
			return reason // it holds nothing of the input
		}
		return errors.New("not JSON of this message") // the parser's words may quote the input
	}
	given, err := readTree(b)
	if err != nil {
		return err
	}
	again, err := json.Marshal(v)
	if err != nil {
		return errors.New("not JSON of this message")
	}
	meant, err := readTree(again)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(given, meant) {
		return errors.New("a member is missing, null, empty, or written in another form")
	}
	return nil
}

const maxJSONDepth = 12

// readTree reads exactly one JSON value and refuses duplicate members.
func readTree(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes after the message")
	}
	return v, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("not JSON")
	}
	switch token {
	case nil:
		return nil, errors.New("null")
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, closing(d)
	case json.Delim('{'):
		object := make(map[string]any)
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, errors.New("not JSON")
			}
			k, ok := name.(string)
			if _, twice := object[k]; !ok || twice {
				return nil, errors.New("duplicate member")
			}
			if object[k], err = readValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		return object, closing(d)
	default:
		return token, nil
	}
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errors.New("not JSON")
	}
	return nil
}
