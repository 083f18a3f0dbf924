package cosigner

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/internal/endpoint"
	"whither/registry"
	"whither/wire"
)

// Errors of notices.
var (
	ErrNotADP  = errors.New("cosigner: notices come from a DP of the registry only")
	ErrNotice  = errors.New("cosigner: a member of the notice is out of bounds")
	ErrNoInbox = errors.New("cosigner: this MSP keeps no notices")
)

// MaxInbox is how many notices are kept for one CSI.
const MaxInbox = 16

// Box is where the notices of a CSI are kept: a label that nobody makes without
// the MSP's secret.
type Box [sha256.Size]byte

// Inbox keeps what DPs have to tell users: that somebody else claims their CSI, or
// that a mapping expires. It learns no CSI.
type Inbox interface {
	// Keep keeps n durably until its end, unless it is there already or the box
	// holds MaxInbox notices that have not ended at now; it says whether n is kept.
	Keep(ctx context.Context, b Box, n wire.Notice, now time.Time) (bool, error)
	// Kept returns the notices of a box that have not ended at now, the oldest
	// first.
	Kept(ctx context.Context, b Box, now time.Time) ([]wire.Notice, error)
}

func (c *Cosigner) box(id csi.ID) Box { return BoxOf(c.config.Secret, id) }

// handleNotice takes a DP's notice. Whether an account has the CSI is not looked
// at: it may have it tomorrow.
func (c *Cosigner) handleNotice(ctx context.Context, who endpoint.Caller, r wire.NoticeRequest) (wire.NoticeAnswer, error) {
	if !who.IsParty || !who.Party.Has(registry.RoleDP) {
		return wire.NoticeAnswer{}, ErrNotADP
	}
	if c.config.Inbox == nil {
		return wire.NoticeAnswer{}, ErrNoInbox
	}
	now, n := c.config.Now(), r.Notice
	if n.Kind != wire.NoticeClaim && n.Kind != wire.NoticeExpiry || len(n.Mapping) != 16 || r.CSI.IsZero() ||
		n.Until <= now.Unix() || n.Since > now.Add(registry.MaxSkew).Unix() {
		return wire.NoticeAnswer{}, ErrNotice
	}
	kept, err := c.config.Inbox.Keep(ctx, c.box(r.CSI.ID), n, now)
	if err != nil {
		return wire.NoticeAnswer{}, fmt.Errorf("cosigner: inbox: %w", err)
	}
	return wire.NoticeAnswer{Taken: kept}, nil
}

// handleInbox shows a user what there is to tell her.
func (c *Cosigner) handleInbox(ctx context.Context, who endpoint.Caller, r wire.InboxRequest) (wire.InboxAnswer, error) {
	if err := c.link(ctx, who.Token, r.CSI.ID); err != nil {
		return wire.InboxAnswer{}, err
	}
	if c.config.Inbox == nil {
		return wire.InboxAnswer{Notices: []wire.Notice{}}, nil
	}
	kept, err := c.config.Inbox.Kept(ctx, c.box(r.CSI.ID), c.config.Now())
	if err != nil {
		return wire.InboxAnswer{}, fmt.Errorf("cosigner: inbox: %w", err)
	}
	return wire.InboxAnswer{Notices: append([]wire.Notice{}, kept...)}, nil
}
