package directory

import (
	"context"
	"errors"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/registry"
)

// ErrFutureEvent: an event that has not happened yet.
var ErrFutureEvent = errors.New("directory: the event is dated in the future")

// Hear takes the word of a CSIP on a CSI. A believed event ends every lineage
// that proved nothing after it, at once, and bars what was proved before it; any
// other asks the incumbents to prove again. Whether it is to be believed is the
// caller's to know: who said it, and whether his word counts for this CSI.
//
// name makes it one event, however often it is delivered: bytes that nobody can
// guess, as those of the signed token. source is for people.
func (d *Directory) Hear(ctx context.Context, id csi.ID, e precedence.Event, name []byte, source string, now time.Time) error {
	if e.At.After(now.Add(registry.MaxSkew)) {
		return ErrFutureEvent
	}
	for range attempts {
		k, err := d.open(ctx, id, now)
		if err != nil {
			return err
		}
		w, fresh, err := k.Event(docket.NameOf(name), e, source)
		if err != nil {
			return err
		}
		if fresh {
			err = d.Store.Apply(ctx, id, k.Raw, w, now)
		}
		if errors.Is(err, ErrRaced) {
			continue
		}
		if err != nil {
			return err
		}
		return d.Settle(ctx, id, now)
	}
	return ErrRaced
}
