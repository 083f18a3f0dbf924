// Package canon encodes and decodes the deterministic CBOR that every whither
// statement is made of: RFC 8949 section 4.2.1 (core deterministic encoding)
// narrowed to what our formats use.
//
// It promises that a value has one encoding and that Unmarshal accepts no
// other: shortest integers and lengths, definite lengths, map keys sorted
// bytewise and unique, valid UTF-8, no floating point, no undefined, no simple
// values besides false, true and null, no tags (package cose takes off its
// own), at most [MaxDepth] levels and [MaxElements] elements an array or map. A
// struct field that is unknown, absent though required by the re-encoding, or
// present though it would be left out, is refused: the decoded value must
// encode to the very bytes that were read.
//
// It does not know what the values mean; that is the business of the packages
// above. All sizes are bytes.
package canon

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Bounds of every decoded item, whatever its size.
const (
	// MaxDepth is the deepest nesting of arrays and maps.
	MaxDepth = 12
	// MaxElements bounds the elements of one array and the pairs of one map,
	// so that a short input cannot ask for a large allocation.
	MaxElements = 8192
)

// Errors of [Unmarshal] and [Check]. Each names one kind of refusal.
var (
	ErrTruncated    = errors.New("canon: input ends inside an item")
	ErrTooLarge     = errors.New("canon: input exceeds its size limit")
	ErrTrailing     = errors.New("canon: bytes after the item")
	ErrNotCanonical = errors.New("canon: not the deterministic encoding")
	ErrDuplicateKey = errors.New("canon: duplicate map key")
	ErrDepth        = errors.New("canon: nested too deeply or too many elements")
	ErrType         = errors.New("canon: unexpected type, field or value")
)

// Raw is one already encoded item, embedded as it is.
type Raw = cbor.RawMessage

// modes holds the two configured codecs; they are immutable after creation.
type modes struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

var codec = newModes()

func newModes() modes {
	encOptions := cbor.CoreDetEncOptions()
	encOptions.NilContainers = cbor.NilContainerAsEmpty
	encOptions.TextMarshaler = cbor.TextMarshalerTextString
	enc, err := encOptions.EncMode()
	if err != nil {
		panic("canon: encoder options: " + err.Error())
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		MaxNestedLevels:   MaxDepth + 4, // Check is the stricter bound
		MaxArrayElements:  MaxElements,
		MaxMapPairs:       MaxElements,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		TextUnmarshaler:   cbor.TextUnmarshalerTextString,
	}.DecMode()
	if err != nil {
		panic("canon: decoder options: " + err.Error())
	}
	return modes{enc: enc, dec: dec}
}

// Marshal returns the deterministic encoding of v. Nil slices and maps encode
// as empty ones, types with a text form (encoding.TextMarshaler) as text. It fails only on types that CBOR or this package cannot carry.
func Marshal(v any) ([]byte, error) {
	b, err := codec.enc.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("canon: encode %T: %w", v, err)
	}
	return b, nil
}

// Unmarshal decodes the one item in b, of at most max bytes, into v. It
// refuses b unless v encodes to exactly b again.
func Unmarshal(b []byte, max int, v any) error {
	if err := Check(b, max); err != nil {
		return err
	}
	if err := codec.dec.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrType, err)
	}
	again, err := codec.enc.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrType, err)
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%w: a field is missing, null or repeated in another form", ErrNotCanonical)
	}
	return nil
}
