package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"whither/mapping"
	"whither/mapping/ending"
)

// Sizes of a step: some milliseconds of work, so that nobody waits for one.
const (
	renewBatch = 8
	sweepBatch = 512
)

// sweepEvery is how often a step sweeps while there is much to renew.
const sweepEvery = time.Minute

// progress is where the steps are. A pass goes through all that is due, in the
// order of [Due]; what could not be renewed is left behind until the next pass,
// so that it keeps nobody waiting.
type progress struct {
	mu    sync.Mutex
	after Due       // the last one that was seen in this pass; zero before its first
	swept time.Time // when
}

// Renewed returns a mapping with a DP signature that is good for a while.
func (d *Directory) Renewed(ctx context.Context, id mapping.ID, now time.Time) (mapping.Bundle, error) {
	s, err := d.Store.ByID(ctx, id, now)
	if err != nil {
		return mapping.Bundle{}, err
	}
	if s.Until.After(now.Add(d.SignatureLife / 2)) {
		return s.Bundle, nil
	}
	v, err := d.renew(s, now)
	if err != nil {
		return mapping.Bundle{}, err
	}
	if err := d.Store.Renew(ctx, []mapping.Verified{v}, now); err != nil {
		return mapping.Bundle{}, err
	}
	return v.Bundle(), nil
}

// renew judges a stored mapping again as the registry stands now, and signs it
// anew. A mapping whose evidence or signers no longer count is not renewed and
// so ends with its last signature. A signature that has already run out does
// not stop a renewal: only the DP's own delay is to blame for that.
func (d *Directory) renew(s Stored, now time.Time) (mapping.Verified, error) {
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return mapping.Verified{}, err
	}
	v, err := mapping.PolicyAt(d.Snapshot(), now).VerifyForRenewal(u)
	if err != nil {
		return mapping.Verified{}, err
	}
	if s.Over() {
		return mapping.Verified{}, ending.ErrEnded
	}
	return v.Renew(d.Key, now, now.Add(d.SignatureLife))
}

// Step does a part of what is due at now: it renews some DP signatures of which
// less than half is left, and sweeps some of what has expired. It returns soon,
// and says whether there is more to do; where a pass is, the directory knows.
func (d *Directory) Step(ctx context.Context, now time.Time) (Work, error) {
	d.progress.mu.Lock()
	defer d.progress.mu.Unlock()
	var w Work
	if d.progress.after == (Due{}) || now.Sub(d.progress.swept) >= sweepEvery {
		n, err := d.Store.Sweep(ctx, now, sweepBatch)
		w.Swept = n
		if err != nil {
			return w, err
		}
		if n == sweepBatch {
			w.More = true
			return w, nil
		}
		d.progress.swept = now
	}
	due, err := d.Store.RenewalsDue(ctx, d.progress.after, now.Add(d.SignatureLife/2), renewBatch)
	if err != nil {
		return w, err
	}
	err = d.renewBatch(ctx, due, now, &w)
	if err != nil && !errors.Is(err, errSome) {
		return w, err // the next step tries the same again
	}
	d.progress.after, w.More = Due{}, len(due) == renewBatch
	if w.More {
		d.progress.after = due[len(due)-1]
	}
	return w, err
}

// Work counts what a step did.
type Work struct {
	Renewed int
	Refused int // mappings that no longer hold, or could not be read
	Swept   int
	More    bool // is to be done at this time still
}

// Add counts the work of another step to w.
func (w *Work) Add(other Work) {
	w.Renewed += other.Renewed
	w.Refused += other.Refused
	w.Swept += other.Swept
	w.More = other.More
}

// errSome marks trouble with some mappings of a batch; the others are renewed.
var errSome = errors.New("directory: a stored mapping could not be read for renewal")

func (d *Directory) renewBatch(ctx context.Context, due []Due, now time.Time, w *Work) error {
	var fresh []mapping.Verified
	var trouble error
	for _, one := range due {
		s, err := d.Store.ByID(ctx, one.ID, now)
		switch {
		case errors.Is(err, ErrUnknown):
			continue // ended meanwhile
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			w.Refused++
			trouble = fmt.Errorf("%w: %w", errSome, err)
			continue
		}
		v, err := d.renew(s, now)
		if err != nil {
			w.Refused++
			continue
		}
		if err := d.remind(ctx, s, now); err != nil {
			return err // first told, then renewed: a crash between the two tells again
		}
		fresh = append(fresh, v)
	}
	if len(fresh) == 0 {
		return trouble
	}
	if err := d.Store.Renew(ctx, fresh, now); err != nil {
		return fmt.Errorf("directory: renew: %w", err)
	}
	w.Renewed += len(fresh)
	return trouble
}
