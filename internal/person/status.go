package person

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"whither/client"
	"whither/csi"
	"whither/mapping"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Status is how something of the person's stands at its DP.
type Status struct {
	ID     string         `json:"id"`
	CSI    string         `json:"csi"`
	DP     string         `json:"dp"`
	State  string         `json:"state"`            // wire.State…, or empty where the DP did not say
	Until  time.Time      `json:"until,omitzero"`   // held, review
	Prove  bool           `json:"prove,omitempty"`  // it expires soon
	Claims []wire.Claimed `json:"claims,omitempty"` // of others, who are not named
	// Problem is why the DP did not say.
	Problem string `json:"problem,omitempty"`
}

// Status asks the DP of everything in the folder how it stands, and brings the
// folder up to date: a claim that has won becomes a mapping, and what has ended is
// put away. What one DP does not say holds nothing else up.
func (f *Folder) Status(ctx context.Context, c *client.Client) ([]Status, error) {
	out := []Status{}
	ids, err := f.IDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		one, err := f.statusOf(ctx, c, id)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	claims, err := f.Claims()
	if err != nil {
		return nil, err
	}
	for _, one := range claims {
		s, err := f.statusOfClaim(ctx, c, one)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (f *Folder) statusOf(ctx context.Context, c *client.Client, id string) (Status, error) {
	v, own, err := f.Load(id)
	if err != nil {
		return Status{ID: id, Problem: err.Error()}, nil //nolint:nilerr // it is said beside the others
	}
	k, err := f.HolderKey()
	if err != nil {
		return Status{}, err
	}
	claims := v.Claims()
	out := Status{ID: id, CSI: claims.CSI.Canonical(), DP: claims.DP.String()}
	s, err := c.Standing(ctx, claims.DP, claims.ID, k)
	switch {
	case errors.Is(err, problem.Error(problem.MappingUnknown)):
		out.State = wire.StateEnded
		return out, f.End(id)
	case err != nil:
		out.Problem = err.Error()
		return out, nil //nolint:nilerr // it is said beside the others
	}
	out.State, out.Until, out.Prove, out.Claims = s.State, s.Until, s.Prove, s.Claims
	if !s.Mapping.IsZero() {
		return out, f.Save(s.Mapping, own.Artefact)
	}
	return out, f.End(id)
}

func (f *Folder) statusOfClaim(ctx context.Context, c *client.Client, one Claim) (Status, error) {
	out := Status{ID: one.ID, CSI: one.CSI, DP: one.DP, State: wire.StateHeld, Until: one.Until}
	k, err := f.HolderKey()
	if err != nil {
		return Status{}, err
	}
	dp, err := registry.ParsePartyID(one.DP)
	if err != nil {
		return Status{}, err
	}
	b, err := hex.DecodeString(one.ID)
	if err != nil || len(b) != len(mapping.ID{}) {
		return Status{}, errors.New("claims/" + one.ID + ".json is damaged")
	}
	s, err := c.Standing(ctx, dp, mapping.ID(b), k)
	switch {
	case errors.Is(err, problem.Error(problem.MappingUnknown)): // it was decided so long ago that nobody remembers
		out.State = wire.StateEnded
	case err != nil:
		out.Problem = err.Error()
		return out, nil //nolint:nilerr // it is said beside the others
	default:
		out.State, out.Until, out.Claims = s.State, s.Until, s.Claims
	}
	if out.State == wire.StateHeld || out.State == wire.StateReview {
		return out, nil
	}
	return out, f.Settled(one, s.Mapping)
}

// Found is a mapping that anybody finds under an address of the person's.
type Found struct {
	CSI   string `json:"csi"`
	ID    string `json:"id"`
	DP    string `json:"dp"`
	At    string `json:"at"`
	Whose string `json:"whose"`
}

// Where asks about the person's own addresses at every DP, as anybody can. What
// is found and not in this folder is another device's of hers, or somebody else's.
func (f *Folder) Where(ctx context.Context, c *client.Client, msp registry.PartyID, token string) ([]Found, []wire.AskedDP, error) {
	ids, err := f.IDs()
	if err != nil {
		return nil, nil, err
	}
	var q client.Query
	lineages := make(map[mapping.Lineage]bool)
	for _, id := range ids {
		v, _, err := f.Load(id)
		if err != nil {
			continue // whither list and whither status tell of it
		}
		lineages[v.Claims().Lineage] = true
		if !slices.ContainsFunc(q.CSIs, func(other csi.ID) bool { return other == v.Claims().CSI }) {
			q.CSIs = append(q.CSIs, v.Claims().CSI)
		}
	}
	if len(q.CSIs) == 0 {
		return []Found{}, nil, nil
	}
	q.Federation = wire.FederationAll
	answers, err := c.Lookup(ctx, msp, token, q)
	if err != nil {
		return nil, nil, err
	}
	out := []Found{}
	for _, a := range answers.Answers {
		for _, m := range a.Mappings {
			claims := m.Claims()
			whose := "not yours, and not joined to yours"
			switch {
			case slices.Contains(ids, claims.ID.String()):
				whose = "this device's"
			case lineages[claims.Lineage]:
				whose = "another device of yours"
			}
			at := "nowhere (registered, not to be found)"
			if living := m.Living(); len(living) > 0 {
				at = living[0].URI
			} else if len(claims.Entries) > 0 {
				at = "nowhere any more (every MSP has ended its entry)"
			}
			for _, dp := range m.At {
				out = append(out, Found{CSI: claims.CSI.Canonical(), ID: claims.ID.String(), DP: dp.String(), At: at, Whose: whose})
			}
		}
	}
	return out, answers.Asked, nil
}
