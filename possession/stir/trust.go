package stir

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"whither/possession/stir/chain"
	"whither/registry"
)

// TrustOf returns whom a federation believes about numbers. Of the certificates
// given, in DER, those count that its registry names, for the numbers that it
// names with them; a service provider code counts for the ranges to which the
// grants of active CSIPs tie it. What the registry does not name is passed over,
// so that it can take an anchor back while provers still have its file.
func TrustOf(s *registry.Snapshot, carriers, authorities [][]byte) (Trust, error) {
	agreed := s.Policy().Evidence
	t := Trust{Ranges: s.NumberRanges}
	var err error
	if t.Roots, err = rootsOf(agreed.Carriers, carriers); err != nil {
		return Trust{}, fmt.Errorf("%w: a carriers' root: %w", ErrCertificate, err)
	}
	if t.Authorities, err = rootsOf(agreed.Authorities, authorities); err != nil {
		return Trust{}, fmt.Errorf("%w: a token authorities' root: %w", ErrCertificate, err)
	}
	return t, nil
}

func rootsOf(named []registry.Anchor, certificates [][]byte) (chain.Roots, error) {
	var anchors []chain.Anchor
	for _, c := range certificates {
		digest := sha256.Sum256(c)
		for _, a := range named {
			if bytes.Equal(a.Digest, digest[:]) {
				anchors = append(anchors, chain.Anchor{Certificate: c, Prefixes: a.Prefixes})
			}
		}
	}
	return chain.NewRoots(anchors...)
}
