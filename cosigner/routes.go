package cosigner

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"whither/internal/endpoint"
	"whither/internal/refusal"
	"whither/key"
	"whither/problem"
	"whither/wire"
)

// Routes returns the handlers of [wire.PathOffers], [wire.PathSignatures] and
// [wire.PathInbox], and of [wire.PathNotices], which is for DPs. They want TLS 1.3 with the key that the registry pins for the MSP in front
// of them, and the account's token as bearer token in every request but notices.
func (c *Cosigner) Routes() map[string]http.Handler {
	e := endpoint.Config{
		Snapshot: c.config.Snapshot, Now: c.config.Now, Log: c.config.Log, Kind: Kind, Observe: c.config.Observe,
	}
	return map[string]http.Handler{
		wire.PathOffers:     endpoint.Handle(e, wire.PathOffers, c.handleOffer),
		wire.PathSignatures: endpoint.Handle(e, wire.PathSignatures, c.handleSign),
		wire.PathNotices:    endpoint.Handle(e, wire.PathNotices, c.handleNotice),
		wire.PathInbox:      endpoint.Handle(e, wire.PathInbox, c.handleInbox),
	}
}

func (c *Cosigner) handleOffer(ctx context.Context, who endpoint.Caller, r wire.OfferRequest) (wire.MSPOffer, error) {
	holder, err := key.PublicFromBytes(r.Key)
	if err != nil {
		return wire.MSPOffer{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return c.Offer(ctx, who.Token, r.CSI.ID, holder)
}

func (c *Cosigner) handleSign(ctx context.Context, who endpoint.Caller, r wire.SignatureRequest) (wire.SignatureAnswer, error) {
	b, err := c.Sign(ctx, who.Token, r.Offer, r.Bundle.Unpack())
	return wire.SignatureAnswer{Mapping: b}, err
}

// table is the one table from an MSP's errors to problem kinds; the first row
// that matches counts. A test walks every exported error of the packages below
// and fails on one without a row.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrNoToken, problem.Unauthenticated},
	{ErrNoAccount, problem.AccountUnknown},
	{ErrNotLinked, problem.AccountCSI},
	{ErrKey, problem.Malformed},
	{ErrForeign, problem.EntryForeign},
	{ErrTurn, problem.SignatureRole},
	{ErrSigned, problem.SignatureRole},
	{ErrOfferUnknown, problem.OfferUnknown},
	{ErrOfferExpired, problem.OfferExpired},
	{ErrOfferNonce, problem.OfferForeign},
	{ErrOfferUsed, problem.OfferUsed},
	{ErrNotInForce, problem.Registry},
	{ErrNotADP, problem.NotAParty},
	{ErrNotice, problem.Malformed},
	{ErrNoInbox, problem.CannotDeliver},
}

// Kind is the table from this package's errors to problem kinds; "" for an
// error that it does not know.
func Kind(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return refusal.Kind(err)
}
