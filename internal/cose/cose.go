// Package cose writes and reads the two COSE structures of RFC 9052 that
// whither signs with: COSE_Sign1 (tag 18) and COSE_Sign (tag 98).
//
// It is COSE narrowed to one form. The algorithm is the fully specified
// Ed25519 of RFC 9864 (−19). Unprotected headers are empty maps. The external
// additional data is a [key.Label] and nothing else. Every signature carries
// its own parameters ([Params]: role, time, …) in its protected header under
// the private-use label −65537, marked critical. COSE_Sign's own protected
// header is the empty string. All encodings are deterministic (package canon).
//
// The package checks bytes and signatures. It does not know who may sign in
// which role, nor what a time means: callers do. Times are seconds since 1970.
//
// Why not a library: docs/adr/0003.
package cose

import (
	"bytes"
	"errors"
	"fmt"

	"whither/internal/canon"
	"whither/key"
)

// Errors of parsing. Bad signatures are reported as [key.ErrSignature].
var (
	ErrTag    = errors.New("cose: not tagged as the expected COSE structure")
	ErrHeader = errors.New("cose: protected header is not of the one accepted form")
)

const (
	algEd25519  = -19    // RFC 9864
	labelParams = -65537 // private use (RFC 9052 section 16.2)
)

// MaxSignatures bounds the signatures of one COSE_Sign: a holder, eight MSPs
// and a DP, with room for a registry's threshold.
const MaxSignatures = 16

// The tags' encodings.
var (
	tagSign1 = []byte{0xd2}
	tagSign  = []byte{0xd8, 98}
)

// maxTime is the last second of the year 9999. time.Unix wraps around on far
// larger values, and a date in the distant future would compare as one before
// everything.
const maxTime = 253402300799

// GoodTime reports whether t, in seconds, is a time that a statement may carry.
func GoodTime(t int64) bool { return t >= 0 && t <= maxTime }

// Params are a signature's own claims.
type Params struct {
	Role     uint8 `cbor:"1,keyasint"`           // in which role; the caller's enumeration
	Time     int64 `cbor:"2,keyasint"`           // when signed, seconds
	Until    int64 `cbor:"3,keyasint,omitempty"` // good until, seconds; 0 = no end of its own
	Found    uint8 `cbor:"4,keyasint,omitempty"` // what the DP found; the caller's enumeration
	Admitted int64 `cbor:"5,keyasint,omitempty"` // in a renewal: when this DP first signed, seconds
}

type header struct {
	Alg    int     `cbor:"1,keyasint"`
	Crit   []int64 `cbor:"2,keyasint"`
	KID    []byte  `cbor:"4,keyasint,omitempty"`
	Params Params  `cbor:"-65537,keyasint"`
}

// Signature is one parsed, not yet verified signature.
type Signature struct {
	Params
	KID    key.ID // zero where HasKID is false
	HasKID bool

	protected []byte // the exact bytes that were signed
	value     []byte
}

// encodeHeader returns a signature's protected header; id is nil for a signer
// whose key the payload gives in full.
func encodeHeader(id *key.ID, p Params) ([]byte, error) {
	h := header{Alg: algEd25519, Crit: []int64{labelParams}, Params: p}
	if id != nil {
		h.KID = id[:]
	}
	return canon.Marshal(h)
}

func parseSignature(protected, value []byte) (Signature, error) {
	var h header
	if err := canon.Unmarshal(protected, 256, &h); err != nil {
		return Signature{}, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	switch {
	case h.Alg != algEd25519:
		return Signature{}, fmt.Errorf("%w: algorithm %d", ErrHeader, h.Alg)
	case len(h.Crit) != 1 || h.Crit[0] != labelParams:
		return Signature{}, fmt.Errorf("%w: critical labels", ErrHeader)
	case len(h.KID) != 0 && len(h.KID) != key.IDSize:
		return Signature{}, fmt.Errorf("%w: kid of %d bytes", ErrHeader, len(h.KID))
	case len(value) != key.SignatureSize:
		return Signature{}, fmt.Errorf("%w: signature of %d bytes", ErrHeader, len(value))
	case !GoodTime(h.Params.Time), !GoodTime(h.Params.Until), !GoodTime(h.Params.Admitted):
		return Signature{}, fmt.Errorf("%w: a time before 1970 or after 9999", ErrHeader)
	}
	s := Signature{Params: h.Params, protected: protected, value: value}
	if len(h.KID) != 0 {
		s.KID, s.HasKID = key.ID(h.KID), true
	}
	return s, nil
}

type empty struct{}

// sigStructure1 and sigStructure are the Sig_structure of RFC 9052 section 4.4.
type sigStructure1 struct {
	_         struct{} `cbor:",toarray"`
	Context   string
	Body, AAD []byte
	Payload   []byte
}

type sigStructure struct {
	_               struct{} `cbor:",toarray"`
	Context         string
	Body, Sign, AAD []byte
	Payload         []byte
}

func toBeSigned1(l key.Label, protected, payload []byte) ([]byte, error) {
	return canon.Marshal(sigStructure1{Context: "Signature1", Body: protected, AAD: []byte(l), Payload: payload})
}

func toBeSigned(l key.Label, protected, payload []byte) ([]byte, error) {
	return canon.Marshal(sigStructure{Context: "Signature", Body: []byte{}, Sign: protected, AAD: []byte(l), Payload: payload})
}

// untag removes the tag's encoding.
func untag(b, tag []byte, max int) ([]byte, error) {
	if len(b) > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", canon.ErrTooLarge, len(b), max)
	}
	rest, ok := bytes.CutPrefix(b, tag)
	if !ok {
		return nil, ErrTag
	}
	return rest, nil
}
