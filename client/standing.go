package client

import (
	"context"
	"fmt"
	"time"

	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// Held is the error of a mapping that did not live at once: others have the CSI,
// and are asked, or people decide. It is [ErrHeld]. How it goes on,
// [Client.Standing] says.
type Held struct {
	ID     mapping.ID // of the mapping that is held
	DP     registry.PartyID
	Review bool // people decide
	Reason string
	Until  time.Time // the latest time of the decision, if nothing stands still
}

// Error says where and for how long.
func (h *Held) Error() string {
	return fmt.Sprintf("%v by %s until %s at the latest: %s", ErrHeld, h.DP, h.Until.UTC().Format(time.RFC3339), h.Reason)
}

// Unwrap returns ErrHeld.
func (h *Held) Unwrap() error { return ErrHeld }

// held reads what a DP says of a claim.
func (w Wish) held(e *Enrolment, a wire.SubmitAnswer) error {
	u, err := mapping.Parse(e.Signed.Unpack())
	if err != nil {
		return err
	}
	return &Held{ID: u.Claims().ID, DP: w.DP, Review: a.State == wire.StateReview, Reason: a.Reason, Until: time.Unix(a.Until, 0)}
}

// Standing is how a mapping or a claim of the holder's stands at its DP.
type Standing struct {
	State   string           // wire.State…
	Mapping mapping.Verified // while it lives; else zero
	Until   time.Time        // held, review: the latest time of the decision
	Prove   bool             // it expires soon
	Claims  []wire.Claimed   // what asks its holder to prove again
}

// Standing asks a DP how the mapping of an id stands. A DP answers nobody but its
// holder.
func (c *Client) Standing(ctx context.Context, dp registry.PartyID, id mapping.ID, holder key.Private) (Standing, error) {
	question, err := mapping.Ask(id, holder, c.now())
	if err != nil {
		return Standing{}, err
	}
	var a wire.StandingAnswer
	if err := c.parties.Call(ctx, dp, wire.PathStandings, "", wire.StandingRequest{Question: question}, &a); err != nil {
		return Standing{}, fmt.Errorf("standing at %s: %w", dp, err)
	}
	s := Standing{State: a.State, Prove: a.Prove, Claims: a.Claims}
	if a.Until != 0 {
		s.Until = time.Unix(a.Until, 0)
	}
	if a.Bundle == nil {
		return s, nil
	}
	u, err := mapping.Parse(a.Bundle.Unpack())
	if err != nil {
		return Standing{}, err
	}
	// Its DP's signature may have run out, which is no fault of the holder's.
	if s.Mapping, err = mapping.PolicyAt(c.registry(), c.now()).VerifyForRenewal(u); err != nil {
		return Standing{}, err
	}
	if got := s.Mapping.Claims(); got.ID != id || got.Holder != holder.Public() {
		return Standing{}, fmt.Errorf("%w: another mapping than the one asked for", ErrAnswer)
	}
	return s, nil
}

// Reproof is what a holder showed when she proved again. It is hers to keep.
type Reproof struct {
	Statement []byte
	Receipts  []wire.Bytes
	Level     possession.Level
	Answered  int // claims that it answers
}

// Reprove answers the claims on a mapping's CSI: "it is still mine". The holder
// gives fresh evidence of the kind, zero for what the DP names first, to provers at
// which she has a budget of her own; the mapping stays as it is. After an error
// other than a refusal, calling it again with the same e goes on where it stopped.
func (c *Client) Reprove(ctx context.Context, v mapping.Verified, holder key.Private, kind possession.Kind, h Holder, e *Enrolment, say Progress) (Reproof, error) {
	claims := v.Claims()
	if holder.Public() != claims.Holder {
		return Reproof{}, fmt.Errorf("%w: this key is not the mapping's holder", mapping.ErrReproof)
	}
	bundle := wire.BundleOf(v.Bundle())
	w := Wish{CSI: claims.CSI, Key: holder, DP: claims.DP, Evidence: kind, incumbent: &bundle}
	if err := c.getOffers(ctx, w, e, say); err != nil {
		return Reproof{}, err
	}
	for _, one := range claims.Entries { // whose operators are no provers of hers
		w.MSPs = append(w.MSPs, one.Provider)
	}
	if err := c.prove(ctx, w, h, e, say); err != nil {
		return Reproof{}, err
	}
	u, err := mapping.Parse(v.Bundle())
	if err != nil {
		return Reproof{}, err
	}
	receipts := make([][]byte, len(e.Receipts))
	for i, r := range e.Receipts {
		receipts[i] = r
	}
	out := Reproof{Receipts: e.Receipts}
	if out.Statement, err = u.Reprove(holder, receipts, c.now()); err != nil {
		return Reproof{}, err
	}
	var a wire.ReproofAnswer
	r := wire.ReproofRequest{Statement: out.Statement, Receipts: out.Receipts}
	if err := c.parties.Call(ctx, claims.DP, wire.PathReproofs, "", r, &a); err != nil {
		return Reproof{}, fmt.Errorf("re-proof at %s: %w", claims.DP, err)
	}
	out.Level, out.Answered = possession.Level(a.Level), a.Answered
	say(fmt.Sprintf("%s counts it as level %d; it answers %d claims", claims.DP, out.Level, out.Answered))
	return out, nil
}
