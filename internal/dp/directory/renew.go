package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/mapping"
)

// Sizes of a step's batches: small enough that lookups do not notice one.
const (
	renewBatch = 128
	sweepBatch = 512
)

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
	return v.Renew(d.Key, now, now.Add(d.SignatureLife))
}

// Step does what is due at now: renews DP signatures of which less than half
// is left, and sweeps what has expired. It returns how many mappings it
// renewed, how many it could not, and how many it removed.
func (d *Directory) Step(ctx context.Context, now time.Time) (Work, error) {
	var w Work
	var after Due
	for {
		due, err := d.Store.RenewalsDue(ctx, after, now.Add(d.SignatureLife/2), renewBatch)
		if err != nil {
			return w, err
		}
		if len(due) == 0 {
			break
		}
		after = due[len(due)-1]
		if err := d.renewBatch(ctx, due, now, &w); err != nil {
			return w, err
		}
	}
	for {
		n, err := d.Store.Sweep(ctx, now, sweepBatch)
		w.Swept += n
		if err != nil || n < sweepBatch {
			return w, err
		}
	}
}

// Work counts what a step did.
type Work struct {
	Renewed, Refused, Swept int
}

func (d *Directory) renewBatch(ctx context.Context, due []Due, now time.Time, w *Work) error {
	var fresh []mapping.Verified
	for _, one := range due {
		s, err := d.Store.ByID(ctx, one.ID, now)
		if errors.Is(err, ErrUnknown) {
			continue // ended meanwhile
		}
		if err != nil {
			return fmt.Errorf("directory: renew: %w", err)
		}
		v, err := d.renew(s, now)
		if err != nil {
			w.Refused++
			continue
		}
		fresh = append(fresh, v)
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := d.Store.Renew(ctx, fresh, now); err != nil {
		return fmt.Errorf("directory: renew: %w", err)
	}
	w.Renewed += len(fresh)
	return nil
}
