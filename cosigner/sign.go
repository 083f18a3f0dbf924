package cosigner

import (
	"context"
	"errors"
	"slices"
	"time"

	"whither/internal/offer"
	"whither/mapping"
)

// Sign returns b's mapping with this MSP's signature added.
//
// A crash before the use is recorded leaves nothing behind; after it, the same
// request gets the signature that was lost. Nothing but the same mapping can
// get one for this offer from then on.
func (c *Cosigner) Sign(ctx context.Context, token string, offered []byte, b mapping.Bundle) ([]byte, error) {
	now, snapshot := c.config.Now(), c.config.Snapshot()
	if err := c.ready(snapshot, now); err != nil {
		return nil, err
	}
	u, err := mapping.Parse(b)
	if err != nil {
		return nil, err
	}
	claims := u.Claims()
	if err := c.link(ctx, token, claims.CSI); err != nil {
		return nil, err
	}
	policy := mapping.PolicyAt(snapshot, now)
	if err := c.checkEntry(policy, u, offered, now); err != nil {
		return nil, err
	}
	if err := c.try(ctx, policy, u, now); err != nil {
		return nil, err
	}
	signed, err := c.config.Used.Use(ctx, Use{
		Nonce: offer.Nonce(offered), Digest: u.Digest(), Signed: time.Unix(now.Unix(), 0), Until: offer.Expires(offered),
	})
	if err != nil {
		return nil, err
	}
	return c.sign(u, signed, now)
}

// checkEntry checks that it is this MSP's turn and that the entry is the one
// which it offered: provider, URI and nonce. The tags are the holder's choice.
func (c *Cosigner) checkEntry(policy mapping.Policy, u mapping.Unverified, offered []byte, now time.Time) error {
	claims := u.Claims()
	next, ok := u.NextMSP()
	if !ok {
		if _, err := policy.VerifyProposal(u); errors.Is(err, mapping.ErrNotProposal) {
			return err
		}
	}
	if !ok || next.Provider != c.config.Provider {
		return c.whyNotNext(claims.Entries, next)
	}
	switch err := c.offers.Check(offered, claims.CSI, claims.Holder, next.Nonce, now); {
	case errors.Is(err, offer.ErrExpired):
		return ErrOfferExpired
	case errors.Is(err, offer.ErrNonce):
		return ErrOfferNonce
	case err != nil:
		return ErrOfferUnknown
	}
	if own := c.entry(offered); next.URI != own.URI || next.Nonce != own.Nonce {
		return ErrForeign
	}
	return nil
}

// whyNotNext names the reason why the next signature is not this MSP's. next is
// zero when every listed MSP has signed.
func (c *Cosigner) whyNotNext(entries []mapping.Entry, next mapping.Entry) error {
	own := slices.IndexFunc(entries, func(e mapping.Entry) bool { return e.Provider == c.config.Provider })
	turn := slices.IndexFunc(entries, func(e mapping.Entry) bool { return e.Provider == next.Provider })
	switch {
	case own < 0:
		return ErrForeign
	case turn >= 0 && turn < own:
		return ErrTurn
	default:
		return ErrSigned
	}
}

// try signs for nobody to see, and verifies the outcome as a DP will: roles,
// order and times always; keys, standing, receipts and level as soon as no
// other MSP is still to sign. So a mapping that cannot become true neither
// bears this MSP's name nor spends the offer. What can is remembered.
func (c *Cosigner) try(ctx context.Context, policy mapping.Policy, u mapping.Unverified, now time.Time) error {
	signed, err := u.AddMSP(c.config.Key, now)
	if err != nil {
		return err
	}
	if _, err := policy.VerifyProposal(signed); err != nil && !errors.Is(err, mapping.ErrMSPMissing) {
		return err
	}
	return c.confirm(ctx, signed)
}

// sign dates the signature as it was dated the first time. Where an MSP before
// this one has since signed anew, that date would stand out of order; then the
// signature is dated now.
func (c *Cosigner) sign(u mapping.Unverified, first, now time.Time) ([]byte, error) {
	signed, err := u.AddMSP(c.config.Key, first)
	if errors.Is(err, mapping.ErrFuture) {
		signed, err = u.AddMSP(c.config.Key, now)
	}
	if err != nil {
		return nil, err
	}
	return signed.Bundle().Mapping, nil
}
