package possession

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/registry"
)

// Spares is how many assigned provers may be passed over because they do not
// answer: a kind of evidence that needs two counts with two of the first three.
const Spares = 1

// Assigned returns the active provers of a federation in the order in which
// they are assigned to a CSI for the quarter of t: by rendezvous hash, so that
// a claimant cannot choose who verifies him, and that one prover's coming or
// going moves only its own share.
//
// The rank of a prover is SHA-256 over the canonical CBOR array
// ["whither/v1/assign", quarter as "2026Q4" in UTC, CSI, prover id], lowest first.
func Assigned(s *registry.Snapshot, id csi.ID, t time.Time) []registry.Party {
	t = t.UTC()
	quarter := fmt.Sprintf("%dQ%d", t.Year(), (int(t.Month())-1)/3+1)
	type ranked struct {
		rank  [sha256.Size]byte
		party registry.Party
	}
	var all []ranked
	for _, p := range s.Parties(registry.RoleProver) {
		b, err := canon.Marshal([]string{"whither/v1/assign", quarter, id.Canonical(), p.ID.String()})
		if err != nil {
			panic("possession: " + err.Error()) // four strings
		}
		all = append(all, ranked{sha256.Sum256(b), p})
	}
	slices.SortFunc(all, func(a, b ranked) int { return bytes.Compare(a.rank[:], b.rank[:]) })
	out := make([]registry.Party, len(all))
	for i, r := range all {
		out[i] = r.party
	}
	return out
}
