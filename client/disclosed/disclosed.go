// Package disclosed gets the documents in which DPs say how they behave, and holds
// their answers against them (R11, docs/spec/disclosure.md).
//
// A document counts when it is the one whose digest the DP's self record has; it is
// kept by that digest, so a DP is asked once. A DP that shows another one, or
// whose answer contradicts its own, is refused: the error names what does not fit.
// Asking says nothing of anybody: the document is the same for all.
package disclosed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"whither/disclosure"
	"whither/internal/pinned"
	"whither/registry"
)

// Reader reads documents. It is safe for concurrent use.
type Reader struct {
	registry func() *registry.Snapshot
	parties  *pinned.Client

	mu   sync.Mutex
	kept map[[32]byte]disclosure.Document
}

// most bounds the documents that are kept; a federation has fewer DPs.
const most = 1024

// New returns a reader for the federation of a registry.
func New(registry func() *registry.Snapshot, now func() time.Time) *Reader {
	return &Reader{registry: registry, parties: pinned.NewClient(registry, nil, now), kept: make(map[[32]byte]disclosure.Document)}
}

// Close drops idle connections.
func (r *Reader) Close() { r.parties.Close() }

// Of returns how a DP says that it behaves.
func (r *Reader) Of(ctx context.Context, dp registry.PartyID) (disclosure.Document, error) {
	p, ok := r.registry().Party(dp)
	if !ok || !p.Has(registry.RoleDP) {
		return disclosure.Document{}, fmt.Errorf("%w: %s", pinned.ErrUnknown, dp)
	}
	if len(p.Self.Disclosure) != 32 {
		return disclosure.Document{}, fmt.Errorf("%w: %s", disclosure.ErrAbsent, dp)
	}
	digest := [32]byte(p.Self.Disclosure)
	if d, ok := r.known(digest); ok && d.Provider == dp {
		return d, nil
	}
	b, err := r.parties.Get(ctx, dp, disclosure.Path)
	if err != nil {
		return disclosure.Document{}, err
	}
	d, err := disclosure.Of(p, b)
	if err != nil {
		return disclosure.Document{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) >= most {
		clear(r.kept)
	}
	r.kept[digest] = d
	return d, nil
}

func (r *Reader) known(digest [32]byte) (disclosure.Document, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.kept[digest]
	return d, ok
}

// Check holds a DP's answer against its document. An error of package disclosure
// is a reason to have nothing more to do with the DP; any other says that its
// document could not be got.
func (r *Reader) Check(ctx context.Context, dp registry.PartyID, a disclosure.Answer) error {
	d, err := r.Of(ctx, dp)
	if err != nil {
		return err
	}
	return d.Check(a)
}
