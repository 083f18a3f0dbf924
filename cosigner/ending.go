package cosigner

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/mapping/ending"
	"whither/registry"
)

// Confirmation is what an MSP remembers of a mapping that it has signed, to end
// its entry when the account goes. It names neither the CSI nor the account.
type Confirmation struct {
	Of      Box // of the CSI, which one account has
	Mapping mapping.ID
	Digest  mapping.Digest
	DP      registry.PartyID
	Signed  time.Time
	Expires time.Time // to be remembered until then
	Ended   time.Time // zero: it stands
}

// Ledger remembers confirmations. What a method has returned nil for is durable.
type Ledger interface {
	// Confirm records c, which stands. Recorded again it gets the later time of
	// signing and changes nothing else.
	Confirm(ctx context.Context, c Confirmation) error
	// Leave notes that the account which has a CSI is to go; Leaving returns what
	// was noted and not carried out.
	Leave(ctx context.Context, of Box) error
	Leaving(ctx context.Context) ([]Box, error)
	// End carries it out: whatever was confirmed for the CSI and stands has
	// ended at the time, and is due.
	End(ctx context.Context, of Box, at time.Time) error
	// EndsDue returns at most max ended confirmations that are due, and have not
	// expired, at now.
	EndsDue(ctx context.Context, now time.Time, max int) ([]Confirmation, error)
	// Postpone sets when an ended confirmation is due next, or forgets it if that
	// is zero.
	Postpone(ctx context.Context, c Confirmation, due time.Time) error
}

// BoxOf returns the label of a CSI. Nobody makes it without the MSP's secret.
func BoxOf(s Secret, id csi.ID) Box {
	h := hmac.New(sha256.New, s[:])
	h.Write([]byte("whither/v1/inbox\x00" + id.Canonical()))
	return Box(h.Sum(nil))
}

// confirm records what is about to be signed: a signature that is not remembered
// could not be taken back.
func (c *Cosigner) confirm(ctx context.Context, signed mapping.Unverified) error {
	if c.config.Ledger == nil {
		return nil
	}
	entries, claims := signed.Signed(), signed.Claims()
	err := c.config.Ledger.Confirm(ctx, Confirmation{
		Of: BoxOf(c.config.Secret, claims.CSI), Mapping: claims.ID, Digest: signed.Digest(), DP: claims.DP,
		Signed: entries[len(entries)-1].Time, Expires: claims.Expires,
	})
	if err != nil {
		return fmt.Errorf("cosigner: ledger: %w", err)
	}
	return nil
}

// Statement returns the statement that ends the entry of c at its DP.
func (c Confirmation) Statement(provider registry.PartyID, msp key.Private) ([]byte, error) {
	return ending.Sign(ending.Subject{ID: c.Mapping, Payload: c.Digest}, ending.Signed{Provider: provider, Time: c.Signed}, msp, c.Ended)
}
