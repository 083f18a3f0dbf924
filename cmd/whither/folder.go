package main

import (
	"fmt"

	"whither/client/contacts"
	"whither/csi"
	"whither/csi/national"
	"whither/internal/console"
	"whither/internal/person"
	"whither/registry"
)

// folder is the person's folder that a command works in.
type folder struct{ *person.Folder }

func openFolder(s *session) (*folder, error) {
	f, err := person.Open(s.dir, s.Now)
	return &folder{f}, err
}

// parseCSI reads what a person types: a URI, an address, or a number, which
// without + needs a region.
func parseCSI(s, region string) (csi.ID, error) {
	id, err := contacts.Identifier(s, national.Region(region))
	if err != nil {
		return csi.ID{}, fmt.Errorf("%w: %w", console.ErrUsage, err)
	}
	return id, nil
}

func parseParties(names []string) ([]registry.PartyID, error) {
	var out []registry.PartyID
	for _, n := range names {
		id, err := registry.ParsePartyID(n)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", console.ErrUsage, err)
		}
		out = append(out, id)
	}
	return out, nil
}
