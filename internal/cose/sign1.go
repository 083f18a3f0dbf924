package cose

import (
	"whither/internal/canon"
	"whither/key"
)

type sign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected empty
	Payload     []byte
	Signature   []byte
}

// Message1 is a parsed COSE_Sign1, not yet verified.
type Message1 struct {
	Payload   []byte
	Signature Signature
}

// Sign1 returns a tagged COSE_Sign1 over payload by k. With named false the
// header has no kid: the payload tells the key.
func Sign1(l key.Label, payload []byte, k key.Private, named bool, p Params) ([]byte, error) {
	var id *key.ID
	if named {
		own := k.Public().ID()
		id = &own
	}
	protected, err := encodeHeader(id, p)
	if err != nil {
		return nil, err
	}
	tbs, err := toBeSigned1(l, protected, payload)
	if err != nil {
		return nil, err
	}
	b, err := canon.Marshal(sign1{Protected: protected, Payload: payload, Signature: k.Sign(tbs)})
	if err != nil {
		return nil, err
	}
	return append(tagSign1[:1:1], b...), nil
}

// Parse1 reads a tagged COSE_Sign1 of at most max bytes.
func Parse1(b []byte, max int) (Message1, error) {
	rest, err := untag(b, tagSign1, max)
	if err != nil {
		return Message1{}, err
	}
	var m sign1
	if err := canon.Unmarshal(rest, max, &m); err != nil {
		return Message1{}, err
	}
	s, err := parseSignature(m.Protected, m.Signature)
	if err != nil {
		return Message1{}, err
	}
	return Message1{Payload: m.Payload, Signature: s}, nil
}

// Verify checks the signature under label l and public key p.
func (m Message1) Verify(l key.Label, p key.Public) error {
	tbs, err := toBeSigned1(l, m.Signature.protected, m.Payload)
	if err != nil {
		return err
	}
	return p.Verify(tbs, m.Signature.value)
}
