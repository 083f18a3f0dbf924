package docket

import (
	"fmt"
	"slices"

	"whither/mapping"
	"whither/mapping/ending"
	"whither/registry"
)

// Living returns the MSPs that have not ended their entries, in order.
func (s Stored) Living() []registry.PartyID {
	if len(s.Ended) == 0 {
		return s.Providers
	}
	return slices.DeleteFunc(slices.Clone(s.Providers), func(p registry.PartyID) bool { return slices.Contains(s.Ended, p) })
}

// Over reports that every entry has ended: the DP does not sign the mapping any
// more, and stops showing it when its last signature runs out. It stays for its
// holder to replace.
func (s Stored) Over() bool { return len(s.Ended) > 0 && len(s.Ended) == len(s.Providers) }

// Matches applies the filter of a lookup. "Not to be found" is no MSP's, and
// passes.
func (s Stored) Matches(msps []registry.PartyID) bool {
	return len(msps) == 0 || len(s.Providers) == 0 ||
		slices.ContainsFunc(s.Providers, func(p registry.PartyID) bool { return slices.Contains(msps, p) })
}

// checkAnew refuses a successor that brings an ended entry back by a signature
// which its MSP made before the end.
func checkAnew(s Stored, p mapping.Proposal) error {
	if len(s.Ended) == 0 {
		return nil
	}
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return fmt.Errorf("docket: stored mapping %s: %w", s.ID, err)
	}
	next, err := mapping.Parse(p.Bundle())
	if err != nil {
		return err
	}
	return ending.Anew(u.Ends(), next.Signed())
}
