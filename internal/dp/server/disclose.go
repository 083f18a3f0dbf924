package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/disclosure"
	"whither/internal/dp/directory"
	"whither/internal/dp/precedence"
	"whither/internal/endpoint"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// Lookups bounds what is asked; of the zero value each is the most that there is.
type Lookups struct {
	Body    int      // bytes of any request
	CSIs    int      // in one look-up
	Formats []string // that are answered, sorted
}

// defaultFederation is whom a look-up asks that leaves it open: nobody else, as
// the DP asks no peers.
const defaultFederation = wire.FederationNone

// visible is how soon a mapping is found after its admission. Look-ups read what
// the admission has written.
const visible = time.Second

func (l Lookups) withDefaults() Lookups {
	l.Body, l.CSIs = cmp.Or(l.Body, wire.MaxBody), cmp.Or(l.CSIs, wire.MaxLookup)
	if len(l.Formats) == 0 {
		l.Formats = []string{wire.FormatCompact, wire.FormatVerbose}
	}
	return l
}

// Disclosure is the document of the values by which this server and its directory
// work under a registry.
func (s *Server) Disclosure(r *registry.Snapshot) (disclosure.Document, error) {
	own, ok := r.Party(s.party)
	if !ok {
		return disclosure.Document{}, fmt.Errorf("server: %s is not in the registry", s.party)
	}
	return Describe(s.party, s.directory.Config, s.lookups, own.Jurisdictions), nil
}

// Describe is the document of values by which a server and a directory work that
// are made with them.
func Describe(party registry.PartyID, d directory.Config, l Lookups, jurisdictions []string) disclosure.Document {
	l = l.withDefaults()
	out := disclosure.Document{
		Evidence: make(map[string]disclosure.Evidence),
		Holds: disclosure.Holds{
			Equal: disclosure.Seconds(precedence.HoldEqual), Review: disclosure.Seconds(precedence.MaxReview),
			Stricter: disclosure.Seconds(precedence.HoldStricter),
		},
		Limits: disclosure.Limits{
			Body: l.Body, CSIs: l.CSIs, Mappings: d.Live, Offer: disclosure.Seconds(d.Offers.Life()),
		},
		Lookups: disclosure.Lookups{
			Default: defaultFederation, Formats: l.Formats, Preferences: disclosure.AsSigned, Visible: disclosure.Seconds(visible),
		},
		Provider:  party,
		Residency: append([]string{}, slices.Compact(slices.Sorted(slices.Values(jurisdictions)))...),
		Retention: disclosure.Retention{
			Claims: disclosure.Seconds(precedence.Memory), Signature: disclosure.Seconds(d.SignatureLife), Tombstones: disclosure.Unlimited,
		},
		Version: disclosure.Version,
	}
	for _, scheme := range []csi.Scheme{csi.Tel, csi.Mailto, csi.Acct} {
		e := disclosure.Evidence{Kinds: []string{}, Level: uint8(max(d.Demands.Levels[string(scheme)], possession.Level2))}
		for _, k := range possession.KindsFor(string(scheme)) {
			if !slices.Contains(d.Demands.Refused, k) {
				e.Kinds = append(e.Kinds, k.String())
			}
		}
		out.Evidence[string(scheme)] = e
	}
	return out
}

// disclose serves the document. It may be kept for a minute: what steers the DP
// changes with a restart, or with the registry.
func (s *Server) disclose(context.Context, endpoint.Read) (endpoint.Document, error) {
	d, err := s.Disclosure(s.snapshot())
	if err != nil {
		return endpoint.Document{}, err
	}
	b, err := d.Marshal()
	return endpoint.Document{Type: disclosure.Type, Body: b, Cache: "max-age=60"}, err
}

// Disclosed returns nil where the registry names the document that is served, an
// error of package disclosure where it names none or another.
func (s *Server) Disclosed() error {
	r := s.snapshot()
	d, err := s.Disclosure(r)
	if err != nil {
		return err
	}
	b, err := d.Marshal()
	if err != nil {
		return err
	}
	own, _ := r.Party(s.party)
	_, err = disclosure.Of(own, b)
	if errors.Is(err, disclosure.ErrDigest) {
		return fmt.Errorf("%w: its digest is %x", disclosure.ErrDigest, sha256.Sum256(b))
	}
	return err
}
