package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/registry"
	"whither/wire"
)

// Attestation is what a person has signed about her number, by her carrier, with
// a certificate that was delegated to her, or by an authority over numbers.
type Attestation struct {
	// Kind is PassportKey, Delegate or TNToken: who signs, and what.
	Kind possession.Kind
	// Number is the number in digits: orig.tn of a PASSporT, in the TNAuthList of an
	// authority token.
	Number string
	// To is the one destination of a PASSporT, a SIP address; empty for a token.
	To string
	// Key is what is attested: the digest in mky of a PASSporT (sha-256), the
	// fingerprint in a token.
	Key string
}

// byPassport is a PASSporT that the person's carrier signs.
func byPassport(w Wish, h Holder) artefact {
	return byCarrier(w, h, possession.PassportKey, stir.FormKey, "PASSporT")
}

// byDelegate is one that she signs herself, with a certificate that was delegated
// to her.
func byDelegate(w Wish, h Holder) artefact {
	return byCarrier(w, h, possession.Delegate, stir.FormDelegate, "PASSporT")
}

// byAuthorityToken is a token of an authority over numbers.
func byAuthorityToken(w Wish, h Holder) artefact {
	return byCarrier(w, h, possession.TNToken, stir.FormToken, "authority token")
}

// byCarrier is what somebody signs who speaks for the number, with the
// certificates that show it.
func byCarrier(w Wish, h Holder, kind possession.Kind, form stir.Form, what string) artefact {
	return artefact{
		kind: kind, witness: possession.STIRWitness, what: what, again: "stir-",
		waits: "a signature by who speaks for this number", checked: "the roots that it has itself",
		make: func(ctx context.Context, prover registry.PartyID, ch wire.Challenge, response [sha256.Size]byte) ([]byte, error) {
			a := Attestation{Kind: kind, Number: w.CSI.PASSporTDigits(), To: ch.To, Key: passport.SHA256Key(response).Digest}
			if form == stir.FormToken {
				a.Key = stir.Fingerprint(w.Key.Public())
			}
			signed, err := h.Attest(ctx, prover, a)
			if err != nil {
				return nil, err
			}
			return collect(form, signed)
		},
	}
}

// collect makes an artefact of what a person was given: the token, and behind it
// the signer's certificates in PEM, unless they stand in the token.
func collect(form stir.Form, signed []byte) ([]byte, error) {
	token, chain := signed, []byte(nil)
	if i := bytes.Index(signed, []byte("-----BEGIN ")); i >= 0 {
		token, chain = signed[:i], signed[i:]
	}
	a, err := stir.Collect(form, string(bytes.TrimSpace(token)), nil, chain)
	if err != nil {
		return nil, fmt.Errorf("what was signed cannot be read: %w", err)
	}
	return a.Marshal()
}
