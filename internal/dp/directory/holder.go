package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/mapping"
	"whither/possession"
	"whither/wire"
)

// Withdraw ends a mapping, or a claim, on its holder's word.
func (d *Directory) Withdraw(ctx context.Context, statement []byte, now time.Time) error {
	w, err := mapping.ParseWithdrawal(statement)
	if err != nil {
		return err
	}
	s, err := d.Store.ByID(ctx, w.ID, now)
	if errors.Is(err, ErrUnknown) {
		if err := d.withdrawClaim(ctx, w, now); !errors.Is(err, ErrUnknown) {
			return err
		}
		s, err = d.Store.ByID(ctx, w.ID, now) // the claim may have won between the two looks
	}
	if err != nil {
		return err
	}
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return fmt.Errorf("directory: stored mapping %s: %w", w.ID, err)
	}
	if err := w.Authorises(u, now); err != nil {
		return err
	}
	for range attempts {
		k, err := d.open(ctx, u.Claims().CSI, now)
		if err != nil {
			return err
		}
		if len(k.Claims) == 0 {
			return d.Store.Withdraw(ctx, w.ID, w.Payload, now)
		}
		if !slices.ContainsFunc(k.Raw.Live, func(s Stored) bool { return s.ID == w.ID && s.Digest == w.Payload }) {
			return ErrUnknown
		}
		end, err := k.Withdraw(w.ID)
		if err != nil {
			return err
		}
		err = d.Store.Apply(ctx, k.CSI, k.Raw, end, now)
		if err == nil { // whoever was held against it may live now; if this fails, it is due
			_ = d.Settle(ctx, k.CSI, now)
		}
		if !errors.Is(err, ErrRaced) {
			return err
		}
	}
	return ErrRaced
}

// withdrawClaim ends an open claim.
func (d *Directory) withdrawClaim(ctx context.Context, w mapping.Withdrawal, now time.Time) error {
	for range attempts {
		k, c, u, err := d.claimOf(ctx, w.ID, now)
		if err != nil {
			return err
		}
		if err := w.Authorises(u, now); err != nil {
			return err
		}
		lapse, open, err := k.Lapse(c, "its holder has withdrawn it")
		if err != nil || !open {
			return errors.Join(err, ErrUnknown)
		}
		if err := d.Store.Apply(ctx, k.CSI, k.Raw, lapse, now); !errors.Is(err, ErrRaced) {
			return err
		}
	}
	return ErrRaced
}

// claimOf returns the claim of a mapping, with its case.
func (d *Directory) claimOf(ctx context.Context, id mapping.ID, now time.Time) (*docket.Docket, docket.Claim, mapping.Unverified, error) {
	k, c, err := d.caseOf(ctx, RecordID(id), now)
	if err != nil {
		return nil, docket.Claim{}, mapping.Unverified{}, err
	}
	u, err := mapping.Parse(c.Bundle)
	if err != nil { // it has none: a question, or a claim that has won
		return nil, docket.Claim{}, mapping.Unverified{}, ErrUnknown
	}
	return k, c, u, nil
}

// caseOf returns a claim by its record, with its case.
func (d *Directory) caseOf(ctx context.Context, id RecordID, now time.Time) (*docket.Docket, docket.Claim, error) {
	r, err := d.Store.Record(ctx, id)
	if err != nil {
		return nil, docket.Claim{}, err
	}
	if r.Kind != docket.RecordClaim {
		return nil, docket.Claim{}, ErrUnknown
	}
	who, _, err := docket.ReadClaim(r)
	if err != nil {
		return nil, docket.Claim{}, fmt.Errorf("directory: record %s: %w", id, err)
	}
	k, err := d.open(ctx, who, now)
	if err != nil {
		return nil, docket.Claim{}, err
	}
	c, ok := k.Claim(mapping.ID(id))
	if !ok {
		return nil, docket.Claim{}, ErrUnknown
	}
	return k, c, nil
}

// Remind is how long before a mapping ends its holder is reminded.
const Remind = 30 * 24 * time.Hour

// Standing answers a holder's question how her mapping stands. It says that the
// CSI is claimed, and what an answer needs, and not a word of who claims it.
func (d *Directory) Standing(ctx context.Context, question []byte, now time.Time) (wire.StandingAnswer, error) {
	q, err := mapping.ParseQuestion(question)
	if err != nil {
		return wire.StandingAnswer{}, err
	}
	s, err := d.Store.ByID(ctx, q.ID, now)
	if errors.Is(err, ErrUnknown) {
		return d.standingClaim(ctx, q, now)
	}
	if err != nil {
		return wire.StandingAnswer{}, err
	}
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return wire.StandingAnswer{}, fmt.Errorf("directory: stored mapping %s: %w", q.ID, err)
	}
	if err := q.Authorises(u, now); err != nil {
		return wire.StandingAnswer{}, err
	}
	k, err := d.open(ctx, u.Claims().CSI, now)
	if err != nil {
		return wire.StandingAnswer{}, err
	}
	b := wire.BundleOf(s.Bundle)
	a := wire.StandingAnswer{
		State: wire.StateAdmitted, Bundle: &b, Expires: s.Expires.Unix(), Prove: !now.Before(s.Expires.Add(-Remind)),
	}
	for _, c := range k.Claims {
		i := slices.IndexFunc(c.Asked, func(one precedence.Asked) bool { return one.Lineage == s.Lineage })
		if i < 0 || c.Phase != precedence.Held && c.Phase != precedence.Leaving {
			continue
		}
		one := c.Asked[i]
		a.Claims = append(a.Claims, wire.Claimed{
			Opened: c.Opened.Unix(), Level: uint8(c.Need), Until: k.When(one.Ends()).Unix(), Answered: one.Answered,
		})
		if c.Phase == precedence.Leaving && !one.Answered {
			a.State = wire.StateLeaving
		}
	}
	return a, nil
}

// standingClaim answers for a mapping that does not live.
func (d *Directory) standingClaim(ctx context.Context, q mapping.Question, now time.Time) (wire.StandingAnswer, error) {
	k, c, u, err := d.claimOf(ctx, q.ID, now)
	if err != nil {
		return wire.StandingAnswer{}, err
	}
	if err := q.Authorises(u, now); err != nil {
		return wire.StandingAnswer{}, err
	}
	a := wire.StandingAnswer{State: wire.StateRefused}
	switch {
	case c.Lives:
		a.State = wire.StateEnded
	case c.Phase == precedence.Held:
		a.State, a.Until = wire.StateHeld, k.When(c.Next()).Unix()
	case c.Phase == precedence.Reviewed:
		a.State, a.Until = wire.StateReview, k.When(c.Next()).Unix()
	}
	return a, nil
}

// Reprove takes a holder's re-proof: it answers the claims on her CSI that ask
// her, and counts as evidence of her lineage. It returns the level that it
// shows, and how many claims it answers. The same one again changes nothing.
func (d *Directory) Reprove(ctx context.Context, statement []byte, receipts [][]byte, now time.Time) (possession.Level, int, error) {
	r, err := mapping.ParseReproof(statement, receipts)
	if err != nil {
		return 0, 0, err
	}
	for range attempts {
		level, n, err := d.tryReprove(ctx, r, statement, now)
		if !errors.Is(err, ErrRaced) {
			return level, n, err
		}
	}
	return 0, 0, ErrRaced
}

func (d *Directory) tryReprove(ctx context.Context, r mapping.Reproof, statement []byte, now time.Time) (possession.Level, int, error) {
	s, err := d.Store.ByID(ctx, r.ID, now)
	if err != nil {
		return 0, 0, err
	}
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return 0, 0, fmt.Errorf("directory: stored mapping %s: %w", r.ID, err)
	}
	a, err := d.policy(d.Snapshot(), now).VerifyReproof(r, u)
	if err != nil {
		return 0, 0, err
	}
	k, err := d.open(ctx, u.Claims().CSI, now)
	if err != nil {
		return 0, 0, err
	}
	if err := k.CheckRetired(s.Holder, nil); err != nil {
		return 0, 0, err
	}
	p := precedence.Proof{Level: a.Level, At: a.Oldest}
	w, answered, fresh, err := k.Reproof(docket.NameOf(statement), s.Lineage, p)
	if err != nil || !fresh {
		return a.Level, answered, err
	}
	if a.Oldest.Before(now.Add(-d.evidenceAge())) {
		return 0, 0, ErrStale
	}
	if err := docket.CheckAssigned(d.Snapshot(), u.Claims(), a); err != nil {
		return 0, 0, err
	}
	if err := d.Store.Apply(ctx, k.CSI, k.Raw, w, now); err != nil {
		return 0, 0, err
	}
	_ = d.Settle(ctx, k.CSI, now) // the answers are stored; what follows from them is due
	return a.Level, answered, nil
}
