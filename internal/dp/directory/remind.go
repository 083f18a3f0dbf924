package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/mapping"
)

// reminders are how long before its end a holder hears that a mapping expires: at
// the first renewal after each, which comes within half the life of a signature.
var reminders = [...]time.Duration{Remind, 7 * 24 * time.Hour}

// remind tells the holder of a mapping that is about to be renewed that it will
// expire, if a reminder has come due since it was signed last.
func (d *Directory) remind(ctx context.Context, s Stored, now time.Time) error {
	signed := s.Until.Add(-d.SignatureLife)
	for _, before := range reminders {
		at := s.Expires.Add(-before)
		if at.After(now) || !at.After(signed) {
			continue
		}
		u, err := mapping.Parse(s.Bundle)
		if err != nil {
			return fmt.Errorf("directory: stored mapping %s: %w", s.ID, err)
		}
		k, err := d.open(ctx, u.Claims().CSI, now)
		if err != nil {
			return err
		}
		w, err := k.Remind(s, before.String())
		if err != nil {
			return err
		}
		err = d.Store.Apply(ctx, k.CSI, k.Raw, w, now)
		if err != nil && !errors.Is(err, ErrIDTaken) && !errors.Is(err, ErrRaced) { // said already; or the next renewal comes to it
			return err
		}
	}
	return nil
}
