package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
	"whither/mapping"
)

// Teller carries a notice to whom it is for. It is told again until it returns
// nil, or until the notice is of no use any more; so it may be told twice.
type Teller interface {
	Tell(ctx context.Context, n docket.Notice) error
}

// maxSettle bounds the writes that one look at a case leads to, each of which
// changes what the next one rests on.
const maxSettle = 64

// Settle brings the claims on a CSI up to date: what time, answers, events and
// withdrawals have made of them. It may be called at any time and as often as
// one likes. Each write leaves a case that is true by itself; a crash between
// two is made good by the next call, which is due.
func (d *Directory) Settle(ctx context.Context, id csi.ID, now time.Time) error {
	for range maxSettle {
		k, err := d.open(ctx, id, now)
		if err != nil {
			return err
		}
		w, changed, err := k.Advance(d.finish(now))
		if err != nil || !changed {
			return err
		}
		if err := d.Store.Apply(ctx, id, k.Raw, w, now); err != nil && !errors.Is(err, ErrRaced) {
			return err
		}
	}
	return ErrRaced
}

// finish makes mappings of claims that have won.
func (d *Directory) finish(now time.Time) docket.Finish {
	return func(b mapping.Bundle) (mapping.Verified, error) {
		u, err := mapping.Parse(b)
		if err != nil {
			return mapping.Verified{}, err
		}
		p, err := d.policy(d.Snapshot(), now).VerifyProposal(u)
		if err != nil {
			return mapping.Verified{}, err
		}
		return p.Finish(d.Key, now, now.Add(d.SignatureLife), mapping.FoundSilent)
	}
}

// tick returns where the served clock stands at now. It stands still while
// nobody saw a DP at work for longer than the grace, and while it is stopped. So
// a clock that is set forward moves it no more than a gap does, and one that is
// set back by more than the grace takes it along: it goes on where it stood.
func (d *Directory) tick(was Tick, now time.Time, stopped bool) Tick {
	gap := now.Sub(was.Seen).Truncate(time.Millisecond)
	switch {
	case was.Seen.IsZero():
		return Tick{Seen: now}
	case gap > d.Grace, gap < -d.Grace, gap > 0 && stopped:
		was.Stood += gap
	case gap < d.Grace/8:
		return was // nothing that is worth a write, or another process's clock
	}
	was.Seen = was.Seen.Add(gap)
	return was
}

// Beat notes that this DP is at work, or, with stopped, that incumbents cannot
// answer though it is, as when the provers are down. Whoever runs the directory
// calls it at least twice within the grace.
func (d *Directory) Beat(ctx context.Context, stopped bool, now time.Time) error {
	was, err := d.Store.Clock(ctx)
	if err != nil {
		return err
	}
	is := d.tick(was, now, stopped)
	if is == was {
		return nil
	}
	if is.Seen.Before(was.Seen) { // what was due by the other clock is due at another time by this one
		if err := d.wake(ctx, now); err != nil {
			return err
		}
	}
	if err := d.Store.Tick(ctx, was, is); err != nil && !errors.Is(err, ErrRaced) { // another process was faster
		return err
	}
	return nil
}

// wake has every claim looked at now that is looked at some day.
func (d *Directory) wake(ctx context.Context, now time.Time) error {
	for after := (RecordID{}); ; {
		page, err := d.Store.Records(ctx, docket.RecordClaim, after, reviewPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			after = r.ID
			if r.Due.After(now) {
				if err := d.Store.Postpone(ctx, r.ID, r.Revision, now); err != nil {
					return err
				}
			}
		}
		if len(page) < reviewPage {
			return nil
		}
	}
}

// Disputed reports whether anybody claims a CSI, or did of late, or is to be
// told something. If not, nothing is due but what mappings need.
func (d *Directory) Disputed(ctx context.Context) (bool, error) {
	for _, kind := range []RecordKind{docket.RecordClaim, docket.RecordNotice} {
		some, err := d.Store.Records(ctx, kind, RecordID{}, 1)
		if err != nil || len(some) > 0 {
			return len(some) > 0, err
		}
	}
	return false, nil
}

// dueBatch is how many records one step looks at.
const dueBatch = 16

// StepCases brings some of the claims up to date that are due, and delivers some
// notices. It returns how many it looked at; fewer than a batch means that
// nothing more is due now.
func (d *Directory) StepCases(ctx context.Context, now time.Time) (int, bool, error) {
	due, err := d.Store.RecordsDue(ctx, now, dueBatch)
	if err != nil {
		return 0, false, err
	}
	var trouble error
	for _, r := range due {
		if err := d.doRecord(ctx, r, now); err != nil {
			// It must not keep the others waiting: it comes again later.
			trouble = errors.Join(trouble, err, d.Store.Postpone(ctx, r.ID, r.Revision, now.Add(d.Grace)))
		}
	}
	return len(due), len(due) == dueBatch, trouble
}

func (d *Directory) doRecord(ctx context.Context, r Record, now time.Time) error {
	switch r.Kind {
	case docket.RecordClaim:
		who, _, err := docket.ReadClaim(r)
		if err != nil {
			return fmt.Errorf("directory: record %s: %w", r.ID, err)
		}
		return d.Settle(ctx, who, now)
	case docket.RecordNotice:
		return d.deliver(ctx, r, now)
	default:
		return d.Store.Postpone(ctx, r.ID, r.Revision, r.Until)
	}
}

// Backoff of a notice that cannot be delivered: the time that it has waited,
// between these.
const (
	minBackoff = time.Minute
	maxBackoff = time.Hour
)

// deliver has a notice told. A crash after it was told and before that is noted
// tells it twice.
func (d *Directory) deliver(ctx context.Context, r Record, now time.Time) error {
	n, err := docket.ReadNotice(r)
	if err != nil {
		return fmt.Errorf("directory: record %s: %w", r.ID, err)
	}
	if d.Teller == nil || !now.Before(n.Until) {
		return d.Store.Postpone(ctx, r.ID, r.Revision, time.Time{})
	}
	if err := d.Teller.Tell(ctx, n); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := min(max(now.Sub(n.Since), minBackoff), maxBackoff)
		return d.Store.Postpone(ctx, r.ID, r.Revision, now.Add(wait)) // the next time may go better
	}
	return d.Store.Postpone(ctx, r.ID, r.Revision, time.Time{})
}
