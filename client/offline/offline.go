// Package offline verifies a mapping from one file, without any network: what a
// person hands to another, or keeps as evidence.
package offline

import (
	"fmt"
	"time"

	"whither/mapping"
	"whither/registry"
	"whither/registry/tuf"
	"whither/wire"
)

// Export is what a mapping needs to be verified without any network: itself,
// its receipts, and the registry that lists its signers. The federation's root
// is not in it: a verifier has that from elsewhere. Registry is a tuf.Set.
type Export struct {
	Bundle   wire.Bundle `cbor:"bundle" json:"bundle"`
	Registry wire.Bytes  `cbor:"registry" json:"registry"`
}

// MaxSize bounds an export file, in bytes.
const MaxSize = tuf.MaxSet + wire.MaxBody

// New puts an export together; registryFile is an encoded tuf.Set.
func New(v mapping.Verified, registryFile []byte) Export {
	return Export{Bundle: wire.BundleOf(v.Bundle()), Registry: registryFile}
}

// Encode writes the file's bytes (deterministic CBOR).
func (e Export) Encode() ([]byte, error) { return wire.Encode(wire.TypeCBOR, e) }

// Verify reads an export file and verifies the mapping in it offline, as
// of now: the registry against the federation's root.json, the mapping against
// the registry.
func Verify(file, root []byte, now time.Time) (mapping.Verified, *registry.Snapshot, error) {
	var e Export
	if err := wire.Decode(wire.TypeCBOR, file, MaxSize, &e); err != nil {
		return mapping.Verified{}, nil, fmt.Errorf("offline: not an export file: %w", err)
	}
	set, err := tuf.ParseSet(e.Registry)
	if err != nil {
		return mapping.Verified{}, nil, err
	}
	known, err := tuf.Walk(root, tuf.Known{}, now, set.Read)
	if err != nil {
		return mapping.Verified{}, nil, err
	}
	s := known.Snapshot
	u, err := mapping.Parse(e.Bundle.Unpack())
	if err != nil {
		return mapping.Verified{}, s, err
	}
	v, err := mapping.PolicyAt(s, now).Verify(u)
	return v, s, err
}
