package tnauth

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Dotted object identifiers of the constraints as certificate extensions.
const (
	ConstraintsOID         = "1.3.6.1.5.5.7.1.27" // id-pe 27, RFC 8226 section 8
	EnhancedConstraintsOID = "1.3.6.1.5.5.7.1.33" // id-pe 33, RFC 9118
)

// MaxConstraints bounds the claims that a constraint names, and the values that
// it permits for one.
const MaxConstraints = 64

// Errors.
var (
	ErrConstraints = errors.New("tnauth: not JWT claim constraints in DER")
	ErrMissing     = errors.New("tnauth: certificate demands a claim that is absent")
	ErrForbidden   = errors.New("tnauth: certificate forbids a claim that is present")
	ErrValue       = errors.New("tnauth: certificate does not permit the value of a claim")
)

// Constraints are what a CA allows the holder of a certificate to sign.
//
//	JWTClaimConstraints ::= SEQUENCE {         -- explicit tags; one at least
//	  mustInclude     [0] SEQUENCE OF IA5String OPTIONAL,
//	  permittedValues [1] SEQUENCE OF SEQUENCE {
//	                        claim IA5String, permitted SEQUENCE OF UTF8String } OPTIONAL,
//	  mustExclude     [2] SEQUENCE OF IA5String OPTIONAL }  -- RFC 9118 only
type Constraints struct {
	MustInclude []string
	Permitted   []Permitted
	MustExclude []string
}

// Permitted lists the values that a claim may have if it is there.
type Permitted struct {
	Claim  string
	Values []string
}

// ParseConstraints reads the extension's value. Only the enhanced one (RFC
// 9118) can exclude claims.
func ParseConstraints(der []byte, enhanced bool) (Constraints, error) {
	if len(der) > MaxSize {
		return Constraints{}, ErrTooLarge
	}
	var c Constraints
	input, body := cryptobyte.String(der), cryptobyte.String(nil)
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() || body.Empty() {
		return Constraints{}, ErrConstraints
	}
	ok := readOptional(&body, tag0, func(s *cryptobyte.String) bool { return readNames(s, asn1.IA5String, &c.MustInclude) }) &&
		readOptional(&body, tag1, c.readPermitted) &&
		(!enhanced || readOptional(&body, tag2, func(s *cryptobyte.String) bool { return readNames(s, asn1.IA5String, &c.MustExclude) }))
	if !ok || !body.Empty() {
		return Constraints{}, ErrConstraints
	}
	return c, nil
}

func readOptional(s *cryptobyte.String, tag asn1.Tag, read func(*cryptobyte.String) bool) bool {
	var content cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&content, &present, tag) {
		return false
	}
	return !present || read(&content) && content.Empty()
}

// readNames reads a sequence of one or more strings.
func readNames(s *cryptobyte.String, tag asn1.Tag, out *[]string) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) || list.Empty() {
		return false
	}
	for !list.Empty() {
		var text cryptobyte.String
		if len(*out) == MaxConstraints || !list.ReadASN1(&text, tag) || !validText(string(text), tag) {
			return false
		}
		*out = append(*out, string(text))
	}
	return true
}

func (c *Constraints) readPermitted(s *cryptobyte.String) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) || list.Empty() {
		return false
	}
	for !list.Empty() {
		var item cryptobyte.String
		var p Permitted
		if len(c.Permitted) == MaxConstraints || !list.ReadASN1(&item, asn1.SEQUENCE) || !readText(&item, &p.Claim) ||
			!validText(p.Claim, asn1.IA5String) || !readNames(&item, asn1.UTF8String, &p.Values) || !item.Empty() {
			return false
		}
		c.Permitted = append(c.Permitted, p)
	}
	return true
}

// validText accepts claim names of printable ASCII, and values in UTF-8.
func validText(s string, tag asn1.Tag) bool {
	if tag == asn1.IA5String {
		return checkCode(s) == nil
	}
	return utf8.ValidString(s)
}

// Marshal returns the value of the extension in DER: the enhanced one if claims
// are excluded.
func (c Constraints) Marshal() ([]byte, error) {
	names := func(list []string, tag asn1.Tag) cryptobyte.BuilderContinuation {
		return func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, s := range list {
					b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
				}
			})
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if len(c.MustInclude) > 0 {
			b.AddASN1(tag0, names(c.MustInclude, asn1.IA5String))
		}
		if len(c.Permitted) > 0 {
			b.AddASN1(tag1, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, p := range c.Permitted {
						b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1(asn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.Claim)) })
							names(p.Values, asn1.UTF8String)(b)
						})
					}
				})
			})
		}
		if len(c.MustExclude) > 0 {
			b.AddASN1(tag2, names(c.MustExclude, asn1.IA5String))
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConstraints, err)
	}
	// What could not be read is not written.
	if _, err := ParseConstraints(der, len(c.MustExclude) > 0); err != nil {
		return nil, err
	}
	return der, nil
}

// Check applies the constraints to the claims of a token. claim returns the
// value of a claim and whether it is there; a claim whose value is not a string
// has isString false and matches no permitted value.
func (c Constraints) Check(claim func(name string) (value string, isString, present bool)) error {
	for _, name := range c.MustInclude {
		if _, _, present := claim(name); !present {
			return ErrMissing
		}
	}
	for _, name := range c.MustExclude {
		if _, _, present := claim(name); present {
			return ErrForbidden
		}
	}
	for _, p := range c.Permitted {
		value, isString, present := claim(p.Claim)
		if present && (!isString || !slices.Contains(p.Values, value)) {
			return ErrValue
		}
	}
	return nil
}
