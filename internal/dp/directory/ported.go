package directory

import (
	"context"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/dp/precedence"
)

// Ported reports whether a believed event said that a CSI went to another
// provider. From then on the word of the one that gave it out ends nothing.
func (d *Directory) Ported(ctx context.Context, id csi.ID, now time.Time) (bool, error) {
	k, err := d.open(ctx, id, now)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(k.Facts.Events, func(e precedence.Event) bool { return e.Believed && e.Kind == precedence.Ported }), nil
}
