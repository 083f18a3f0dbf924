package directory

import (
	"context"
	"slices"
	"time"

	"whither/csi"
	"whither/registry"
	"whither/wire"
)

// Query is a lookup as the directory sees it: no word of who asks.
type Query struct {
	CSIs    []csi.ID
	MSPs    []registry.PartyID // only mappings at these; none = all
	Compact bool
}

// Lookup answers a query from what lives here, one answer a CSI, in order.
//
// An audience mapping, a mapping that the filter hides and a CSI that nobody
// ever enrolled give the same answer in every byte, so that an answer tells no
// more than it says (R9, R22).
func (d *Directory) Lookup(ctx context.Context, q Query, now time.Time) ([]wire.Answer, error) {
	found, err := d.Store.Find(ctx, q.CSIs, now)
	if err != nil {
		return nil, err
	}
	s := d.Snapshot()
	answers := make([]wire.Answer, len(found))
	for i, live := range found {
		answers[i] = d.answer(s, live, q, now)
	}
	return answers, nil
}

func (d *Directory) answer(s *registry.Snapshot, live []Stored, q Query, now time.Time) wire.Answer {
	visible := slices.DeleteFunc(slices.Clone(live), func(m Stored) bool { return m.Audience || !m.Matches(q.MSPs) || m.Over() && !now.Before(m.Until) })
	a := wire.Answer{Outcome: outcome(s, visible)}
	if q.Compact {
		a.Bits = bits(s, visible)
		return a
	}
	for _, m := range visible {
		a.Mappings = append(a.Mappings, wire.Found{Bundle: wire.BundleOf(m.Bundle), At: []registry.PartyID{d.Party}})
	}
	return a
}

// outcome names one of R9's five, or that all which was there has died.
func outcome(s *registry.Snapshot, visible []Stored) string {
	set := make([]wire.Reach, 0, len(visible))
	for _, m := range visible {
		r := wire.Reach{Listed: len(m.Providers)}
		for _, p := range m.Living() {
			if s.Reachable(p) {
				r.Reachable++
			}
		}
		set = append(set, r)
	}
	return wire.OutcomeOf(set)
}

// bits returns the positions of the MSPs that can be reached. Its length
// depends on the table alone, so that it tells nothing.
func bits(s *registry.Snapshot, visible []Stored) []byte {
	out := make([]byte, (s.BitLength()+7)/8)
	for _, m := range visible {
		for _, id := range m.Living() {
			if p, ok := s.Party(id); ok && p.Bit != nil && s.Reachable(id) {
				out[*p.Bit/8] |= 1 << (*p.Bit % 8)
			}
		}
	}
	return out
}
