// Package cosigner is what a messaging service provider (MSP) embeds to take
// part in mappings. Its spec is docs/spec/mapping.md, section "The MSP's part".
//
//	client                         MSP                          its own systems
//	  │ OfferRequest, token         │                                 │
//	  ├────────────────────────────▶│ Accounts.Link(token, CSI) ─────▶│
//	  │◀── nonce, URI, offer ───────┤                                 │
//	  │     (challenges; the holder signs)                            │
//	  │ SignatureRequest, token     │                                 │
//	  ├────────────────────────────▶│ Accounts.Link, offer, Used.Use ▶│
//	  │◀── mapping, signed ─────────┤                                 │
//
// What it promises: the MSP's key signs a mapping only if the account that the
// request's token signs in has the mapping's CSI at that moment; the entry that
// is next to be signed is the one which this MSP offered for that CSI and that
// holder key; the offer stands and was used for no other mapping; the holder
// has signed; and everything that can be verified of the mapping so far is good
// ([mapping.Policy.VerifyProposal]). The same mapping again gets the same
// signature, so that a lost answer costs nothing.
//
// What it does not check: whether the account really has the CSI (that is the
// MSP's own knowledge, asked through [Accounts]), and which of two lineages
// came first (the DP's).
//
// Tokens, CSIs and addresses are neither logged nor put into errors. Sizes are
// bytes; times are seconds in the bytes.
package cosigner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"whither/csi"
	"whither/internal/offer"
	"whither/key"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

// Errors. Errors of packages mapping and possession come through as they are.
var (
	ErrConfig       = errors.New("cosigner: configuration")
	ErrNoToken      = errors.New("cosigner: nobody is signed in")
	ErrNoAccount    = errors.New("cosigner: the token signs in no account")
	ErrNotLinked    = errors.New("cosigner: the account does not have this CSI")
	ErrKey          = errors.New("cosigner: the holder's key is not an Ed25519 key")
	ErrForeign      = errors.New("cosigner: the mapping's entry is not what this MSP offered")
	ErrTurn         = errors.New("cosigner: another listed MSP signs before this one")
	ErrSigned       = errors.New("cosigner: this MSP has signed already")
	ErrOfferUnknown = errors.New("cosigner: the offer was not made here for this CSI and key")
	ErrOfferExpired = errors.New("cosigner: the offer has run out")
	ErrOfferNonce   = errors.New("cosigner: the entry carries the nonce of another offer")
	ErrOfferUsed    = errors.New("cosigner: the offer was used for another mapping")
	ErrNotInForce   = errors.New("cosigner: the registry does not let this MSP sign with its key")
)

// Link is how an account stands to a CSI. The zero value allows nothing.
type Link uint8

// The links.
const (
	NoAccount Link = iota // the token signs nobody in
	NotLinked             // the account does not have the CSI
	Linked                // it has
)

// Accounts is the MSP's own knowledge of its users.
type Accounts interface {
	// Link says how the account that token signs in stands to a CSI. It
	// answers from what the MSP knows now, not when the user signed in. An
	// error means that this could not be found out; nothing is signed then.
	Link(ctx context.Context, token string, id csi.ID) (Link, error)
}

// Use is what is remembered of a used offer. It names neither the CSI nor the
// account.
type Use struct {
	Nonce  mapping.Nonce
	Digest mapping.Digest // of the one mapping that it was used for
	Signed time.Time      // whole seconds
	Until  time.Time      // to be remembered until then at least
}

// Used remembers which offers were used.
type Used interface {
	// Use records u durably before it returns, and returns u.Signed. If the
	// nonce is recorded already, it changes nothing and returns the recorded
	// Signed when the recorded Digest is the same, [ErrOfferUsed] when it is
	// not. Of several calls at once for one nonce, one records.
	Use(ctx context.Context, u Use) (time.Time, error)
}

// Config is everything that a Cosigner needs.
type Config struct {
	Provider registry.PartyID // the MSP's id and provider domain
	Key      key.Private      // listed for the role msp in the provider's self record
	Secret   Secret           // processes that share it know each other's offers
	Snapshot func() *registry.Snapshot
	Accounts Accounts
	Used     Used
	Inbox    Inbox  // keeps notices for users; nil: they are refused
	Ledger   Ledger // remembers what is signed, to end it; nil: nothing can be ended
	Now      func() time.Time
	Log      *slog.Logger // nil = discard
	// Observe, if not nil, is told of every answer of [Cosigner.Routes]: path,
	// "ok" or the problem's kind, and the time taken.
	Observe func(path, outcome string, took time.Duration)
}

// Cosigner signs for one MSP. It is safe for concurrent use.
type Cosigner struct {
	config Config
	offers *offer.Maker
}

// New returns the cosigner of an MSP.
func New(c Config) (*Cosigner, error) {
	switch {
	case c.Provider.IsZero(), c.Key.IsZero(), c.Secret == (Secret{}):
		return nil, fmt.Errorf("%w: provider, key and secret are needed", ErrConfig)
	case c.Snapshot == nil, c.Accounts == nil, c.Used == nil, c.Now == nil:
		return nil, fmt.Errorf("%w: snapshot, accounts, used offers and a clock are needed", ErrConfig)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Cosigner{config: c, offers: offer.NewMaker(c.Provider, c.Secret)}, nil
}

// Ready returns ErrNotInForce unless the registry of the moment lets this MSP
// sign: an active party with the role, and its key in force.
func (c *Cosigner) Ready() error { return c.ready(c.config.Snapshot(), c.config.Now()) }

func (c *Cosigner) ready(s *registry.Snapshot, now time.Time) error {
	signer, ok := s.Signer(c.config.Key.Public().ID())
	if !ok || signer.Key.Role != registry.RoleMSP || signer.Party.ID != c.config.Provider || !signer.InForce(now) ||
		signer.Party.Standing.State != registry.Active {
		return ErrNotInForce
	}
	return nil
}

// Offer returns this MSP's part of a mapping of a CSI under a holder key, if
// the account that token signs in has that CSI. Nothing is stored.
func (c *Cosigner) Offer(ctx context.Context, token string, id csi.ID, holder key.Public) (wire.MSPOffer, error) {
	now := c.config.Now()
	if err := c.ready(c.config.Snapshot(), now); err != nil {
		return wire.MSPOffer{}, err
	}
	if err := c.link(ctx, token, id); err != nil {
		return wire.MSPOffer{}, err
	}
	b, err := c.offers.Make(id, holder, now)
	if err != nil {
		return wire.MSPOffer{}, err
	}
	e := c.entry(b)
	return wire.MSPOffer{
		Provider: e.Provider, URI: e.URI, Nonce: e.Nonce[:], Offer: b, Expires: offer.Expires(b).Unix(),
	}, nil
}

// entry is what this MSP offers, without the tags, which the holder chooses.
func (c *Cosigner) entry(offered []byte) mapping.Entry {
	return mapping.Entry{
		Provider: c.config.Provider, URI: "mimi://" + c.config.Provider.String(), Nonce: offer.Nonce(offered),
	}
}

func (c *Cosigner) link(ctx context.Context, token string, id csi.ID) error {
	if token == "" {
		return ErrNoToken
	}
	l, err := c.config.Accounts.Link(ctx, token, id)
	switch {
	case err != nil:
		return fmt.Errorf("cosigner: accounts: %w", err)
	case l == Linked:
		return nil
	case l == NotLinked:
		return ErrNotLinked
	default:
		return ErrNoAccount
	}
}
