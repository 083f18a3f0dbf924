package stir

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"whither/internal/canon"
	"whither/possession"
	"whither/possession/stir/chain"
	"whither/possession/stir/jose"
)

// Form is a form of evidence.
type Form uint8

// The forms. Do not reorder: they stand in artefacts.
const (
	FormMessage  Form = 1
	FormKey      Form = 2
	FormDelegate Form = 3
	FormToken    Form = 4
	FormCall     Form = 5
)

// Kind is the kind of a receipt about an artefact of the form, by the prover to
// which it was made; 0 for no form.
func (f Form) Kind() possession.Kind {
	switch f {
	case FormMessage:
		return possession.SIPMessage
	case FormKey:
		return possession.PassportKey
	case FormDelegate:
		return possession.Delegate
	case FormToken:
		return possession.TNToken
	case FormCall:
		return possession.SignedCall
	}
	return 0
}

// Level is what the form reaches at most, by the table of kinds.
func (f Form) Level() possession.Level { return f.Kind().Best() }

// String names the form in listings.
func (f Form) String() string {
	switch f {
	case FormMessage:
		return "message"
	case FormKey:
		return "key"
	case FormDelegate:
		return "delegate"
	case FormToken:
		return "token"
	case FormCall:
		return "call"
	}
	return "unknown"
}

// Bounds.
const (
	MaxBody     = 4 << 10   // bytes of a message
	MaxArtefact = 160 << 10 // bytes of an artefact
)

// Artefact is raw evidence, complete: with the trust of its verifier it can be
// judged without anything else. Its encoding is deterministic CBOR:
//
//	artefact = [form: uint, token: tstr, body: bstr, chain: [* bstr]]
//
// token is the PASSporT in full form or the authority token; body that of the
// message, empty for other forms; chain the signer's certificates in DER, signer
// first, empty if the token has them itself (x5c).
//
// An artefact names people. It is kept for the holder, audits and complaints,
// and is never logged; it prints its form only.
type Artefact struct {
	Form  Form
	Token string
	Body  []byte
	Chain [][]byte
}

// artefactBody is the encoded form.
type artefactBody struct {
	_     struct{} `cbor:",toarray"`
	Form  Form
	Token string
	Body  []byte
	Chain [][]byte
}

// Collect makes an artefact of what was received: pemChain is what was found at
// the token's x5u, empty if the token has x5c.
func Collect(form Form, token string, body, pemChain []byte) (Artefact, error) {
	a := Artefact{Form: form, Token: token, Body: body}
	if len(pemChain) > 0 {
		var err error
		if a.Chain, err = chain.ParsePEM(pemChain); err != nil {
			return Artefact{}, fmt.Errorf("%w: %w", ErrCertificate, err)
		}
	}
	return a, a.check(form)
}

// Marshal returns the artefact's bytes, whose SHA-256 names it in receipts.
func (a Artefact) Marshal() ([]byte, error) {
	if err := a.check(a.Form); err != nil {
		return nil, err
	}
	b, err := canon.Marshal(artefactBody{Form: a.Form, Token: a.Token, Body: a.Body, Chain: a.Chain})
	if err != nil || len(b) > MaxArtefact {
		return nil, ErrArtefact
	}
	return b, nil
}

// Parse reads what Marshal writes. Nothing is verified.
func Parse(b []byte) (Artefact, error) {
	var body artefactBody
	if err := canon.Unmarshal(b, MaxArtefact, &body); err != nil {
		return Artefact{}, fmt.Errorf("%w: %w", ErrArtefact, err)
	}
	a := Artefact{Form: body.Form, Token: body.Token, Body: body.Body, Chain: body.Chain}
	return a, a.check(a.Form)
}

// check bounds the members.
func (a Artefact) check(form Form) error {
	if a.Form != form || form < FormMessage || form > FormCall {
		return ErrArtefact
	}
	if a.Token == "" || len(a.Token) > jose.MaxToken || len(a.Chain) > chain.MaxLength || len(a.Body) > MaxBody ||
		(len(a.Body) != 0) != (form == FormMessage) || strings.ContainsFunc(a.Token, notPrintable) {
		return ErrArtefact
	}
	for _, der := range a.Chain {
		if len(der) == 0 || len(der) > chain.MaxCertificate {
			return ErrArtefact
		}
	}
	return nil
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }

// certificates returns the chain, from the one place where it is.
func (a Artefact) certificates(x5c [][]byte) ([][]byte, error) {
	if (len(a.Chain) == 0) == (len(x5c) == 0) {
		return nil, fmt.Errorf("%w: certificates in the token or beside it, not in both or neither", ErrArtefact)
	}
	if len(x5c) > 0 {
		return x5c, nil
	}
	return a.Chain, nil
}

// Format prints the form.
func (a Artefact) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "stir:"+a.Form.String()) }

// LogValue logs what Format prints.
func (a Artefact) LogValue() slog.Value { return slog.StringValue("stir:" + a.Form.String()) }
