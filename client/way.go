package client

import (
	"context"
	"fmt"
	"slices"

	"whither/possession"
	"whither/wire"
)

// way is how this client gives evidence of one kind.
type way struct {
	kind  possession.Kind
	prove func(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error
}

// ways has one value for each kind that a person can wish for. A new kind is a
// new row.
func (c *Client) ways() []way {
	by := func(make func(Wish, Holder) artefact) func(context.Context, Wish, Holder, *Enrolment, Progress) error {
		return func(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
			return c.proveByArtefact(ctx, w, e, make(w, h), say)
		}
	}
	codes := func(second possession.Kind) func(context.Context, Wish, Holder, *Enrolment, Progress) error {
		return func(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
			return c.proveByCodes(ctx, w, h, e, second, say)
		}
	}
	return []way{
		{possession.MailReply, c.proveByMail},
		{possession.CodeMessage, codes(possession.CodeCall)},
		{possession.SignedCall, codes(possession.SignedCall)},
		{possession.SIPMessage, c.proveByText},
		{possession.PassportKey, by(byPassport)},
		{possession.Delegate, by(byDelegate)},
		{possession.TNToken, by(byAuthorityToken)},
		{possession.OpenIDToken, by(c.byToken)},
		{possession.SMIME, by(byCertificate)},
	}
}

// Kinds are the kinds of evidence that a person can wish for.
func Kinds() []possession.Kind {
	var out []possession.Kind
	for _, one := range new(Client).ways() {
		out = append(out, one.kind)
	}
	return out
}

// choose picks the way: the wished one, or that of the first kind in the offer
// which this client can give.
func (c *Client) choose(w Wish, e *Enrolment) (way, error) {
	ways := c.ways()
	for _, name := range e.DPOffer.Kinds {
		kind, _ := possession.ParseKind(name)
		i := slices.IndexFunc(ways, func(one way) bool { return one.kind == kind })
		if i >= 0 && (w.Evidence == 0 || w.Evidence == kind) {
			return ways[i], nil
		}
	}
	return way{}, fmt.Errorf("%w: it counts %v", ErrKinds, e.DPOffer.Kinds)
}

// sayOfSIM tells the person that nobody could say whether her SIM card is new.
func sayOfSIM(sim string, say Progress) {
	if sim == wire.SIMUnknown {
		say("the operator of this number does not say whether its SIM card was changed")
	}
}
