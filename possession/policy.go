package possession

import (
	"maps"
	"slices"

	"whither/csi"
	"whither/possession/observe"
	"whither/possession/openid"
	"whither/registry"
)

// Policy is what evidence is worth in one federation: the table of kinds, and
// what the registry says beyond it. Verification, the DP's offer and admission
// all ask the same one.
//
// It can be made stricter and never laxer: there is no other way to one than
// [PolicyOf] and [Policy.Stricter].
type Policy struct {
	known   bool // false for the zero value
	levels  map[string]Level
	refused []Kind
	issuers []registry.Issuer
}

// PolicyOf returns what the federation agreed. Refused kinds of names that the
// table does not have are no kinds here: they count nowhere.
func PolicyOf(s *registry.Snapshot) Policy {
	agreed := s.Policy()
	p := Policy{known: true, levels: make(map[string]Level, len(agreed.Levels)), issuers: agreed.Evidence.Issuers}
	for scheme, l := range agreed.Levels {
		p.levels[scheme] = Level(l)
	}
	for _, name := range agreed.Evidence.Refused {
		if k, ok := ParseKind(name); ok {
			p.refused = append(p.refused, k)
		}
	}
	return p
}

// Demands are what one DP asks beyond its federation, for what it admits.
type Demands struct {
	Levels  map[string]Level // scheme → lowest level, where it is above the federation's
	Refused []Kind           // kinds that do not count, besides the federation's
}

// Stricter returns the policy with further demands. What they would loosen
// stays as it was.
func (p Policy) Stricter(d Demands) Policy {
	out := p
	out.levels = maps.Clone(p.levels)
	for scheme, l := range d.Levels {
		if l > p.Level(scheme) {
			out.levels[scheme] = l
		}
	}
	out.refused = slices.Concat(p.refused, d.Refused)
	return out
}

// Level returns the lowest level that is enough for a scheme. A scheme that the
// federation has not agreed on needs the highest.
func (p Policy) Level(scheme string) Level {
	if l, ok := p.levels[scheme]; ok {
		return max(l, Level2) // level 1 is never enough
	}
	return Level4
}

// Kinds returns the kinds of evidence that can be enough for a CSI, in the order
// of the table: what a DP offers.
func (p Policy) Kinds(id csi.ID) []Kind {
	scheme := string(id.Scheme())
	var out []Kind
	for _, k := range KindsFor(scheme) {
		if k.Best() >= p.Level(scheme) && p.counts(k, id) == nil {
			out = append(out, k)
		}
	}
	return out
}

// counts returns why a kind that fits the CSI's scheme does not count, or nil.
func (p Policy) counts(k Kind, id csi.ID) error {
	if slices.Contains(p.refused, k) {
		return ErrRefusedKind
	}
	row, ok := ruleOf(k)
	if ok && row.published == observe.JWKS && !slices.ContainsFunc(p.issuers, func(i registry.Issuer) bool { return speaksFor(i, id) }) {
		return ErrNoIssuer
	}
	return nil
}

// speaksFor reports whether the registry names an issuer as authoritative for a
// CSI.
func speaksFor(i registry.Issuer, id csi.ID) bool {
	return openid.IssuerOf(i, nil).SpeaksFor(i.URL, id)
}

// publishes reports whether a key at this place can be one under which evidence
// about the CSI is signed: the domain's own, or that of an authoritative issuer.
func (p Policy) publishes(place observe.Key, id csi.ID) bool {
	switch place.Kind {
	case observe.DKIM:
		return id.Domain() != "" && place.Name == id.Domain()
	case observe.JWKS:
		return slices.ContainsFunc(p.issuers, func(i registry.Issuer) bool { return i.URL == place.Name && speaksFor(i, id) })
	}
	return false
}
