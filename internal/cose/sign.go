package cose

import (
	"fmt"
	"slices"

	"whither/internal/canon"
	"whither/key"
)

type sign struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected empty
	Payload     []byte
	Signatures  []signature
}

type signature struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected empty
	Signature   []byte
}

// Message is a COSE_Sign: one payload, several signers. A value from [Parse]
// is not yet verified.
type Message struct {
	Payload    []byte
	Signatures []Signature
}

// With returns a copy of m with k's signature added at the end.
func (m Message) With(l key.Label, k key.Private, named bool, p Params) (Message, error) {
	if len(m.Signatures) >= MaxSignatures {
		return Message{}, fmt.Errorf("cose: more than %d signatures", MaxSignatures)
	}
	s := Signature{Params: p, HasKID: named}
	var id *key.ID
	if named {
		s.KID = k.Public().ID()
		id = &s.KID
	}
	var err error
	if s.protected, err = encodeHeader(id, p); err != nil {
		return Message{}, err
	}
	tbs, err := toBeSigned(l, s.protected, m.Payload)
	if err != nil {
		return Message{}, err
	}
	s.value = k.Sign(tbs)
	return Message{Payload: m.Payload, Signatures: append(slices.Clip(m.Signatures), s)}, nil
}

// Without returns a copy of m that lacks its last n signatures.
func (m Message) Without(n int) Message {
	return Message{Payload: m.Payload, Signatures: slices.Clip(m.Signatures[:len(m.Signatures)-n])}
}

// Marshal returns the tagged COSE_Sign.
func (m Message) Marshal() ([]byte, error) {
	out := sign{Protected: []byte{}, Payload: m.Payload}
	for _, s := range m.Signatures {
		out.Signatures = append(out.Signatures, signature{Protected: s.protected, Signature: s.value})
	}
	b, err := canon.Marshal(out)
	if err != nil {
		return nil, err
	}
	return append(tagSign[:2:2], b...), nil
}

// Parse reads a tagged COSE_Sign of at most max bytes.
func Parse(b []byte, max int) (Message, error) {
	rest, err := untag(b, tagSign, max)
	if err != nil {
		return Message{}, err
	}
	var in sign
	if err := canon.Unmarshal(rest, max, &in); err != nil {
		return Message{}, err
	}
	if len(in.Protected) != 0 {
		return Message{}, fmt.Errorf("%w: COSE_Sign header is not empty", ErrHeader)
	}
	if len(in.Signatures) > MaxSignatures {
		return Message{}, fmt.Errorf("%w: more than %d signatures", canon.ErrTooLarge, MaxSignatures)
	}
	m := Message{Payload: in.Payload}
	for _, raw := range in.Signatures {
		s, err := parseSignature(raw.Protected, raw.Signature)
		if err != nil {
			return Message{}, err
		}
		m.Signatures = append(m.Signatures, s)
	}
	return m, nil
}

// Verify checks signature i under label l and public key p.
func (m Message) Verify(i int, l key.Label, p key.Public) error {
	s := m.Signatures[i]
	tbs, err := toBeSigned(l, s.protected, m.Payload)
	if err != nil {
		return err
	}
	return p.Verify(tbs, s.value)
}
