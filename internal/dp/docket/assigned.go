package docket

import (
	"errors"
	"fmt"
	"slices"

	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// ErrUnassigned: a share of evidence is by a prover that is not assigned to
// this CSI.
var ErrUnassigned = errors.New("docket: a receipt is by a prover that is not assigned to this CSI")

// CheckAssigned refuses shares of provers that the claimant chose himself. The
// provers assigned to a CSI are the first two, and a spare, of those whose
// operators are nobody else's in the mapping, in the quarter of the evidence.
func CheckAssigned(s *registry.Snapshot, c mapping.Claims, e possession.Assessment) error {
	for _, v := range e.Vouchers {
		if !v.Kind.Assigned() {
			continue
		}
		left := 2 + possession.Spares
		ok := slices.ContainsFunc(possession.Assigned(s, c.CSI, v.Evidence), func(candidate registry.Party) bool {
			if left == 0 || barred(s, c, candidate.Operator) {
				return false
			}
			left--
			return candidate.ID == v.Prover
		})
		if !ok {
			return fmt.Errorf("%w: %s", ErrUnassigned, v.Prover)
		}
	}
	return nil
}

// barred reports whether an operator runs the mapping's DP or one of its MSPs.
func barred(s *registry.Snapshot, c mapping.Claims, o registry.Operator) bool {
	is := func(id registry.PartyID) bool {
		p, ok := s.Party(id)
		return ok && p.Operator == o
	}
	return is(c.DP) || slices.ContainsFunc(c.Entries, func(e mapping.Entry) bool { return is(e.Provider) })
}
