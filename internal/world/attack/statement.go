package attack

import (
	"bytes"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/cose"
	"whither/internal/offer"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/forge"
	"whither/internal/world/attack/stage"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// statements lists the strategies that do not begin with new evidence: they bend,
// follow, or bring back what there is.
func statements() []Strategy {
	withDP := func(sets []cast.Set) []cast.Set { return cast.Cross(sets, []cast.Set{cast.Of(cast.DP)}) }
	anywhere := []cast.Set{cast.Of(cast.ForeignMSP), cast.Of(cast.VictimWord), cast.Of(cast.CSIP)}
	withKey := cast.Cross([]cast.Set{cast.Of(cast.VictimKey)}, anywhere)
	formerSteals := cast.Cross([]cast.Set{cast.Of(cast.FormerHolder, cast.DP)}, []cast.Set{cast.Of(cast.MSP), cast.Of(cast.ForeignMSP), cast.Of(cast.VictimKey), cast.Of(cast.VictimWord), cast.Of(cast.CSIP)})
	mailto := csi.Mailto
	return []Strategy{
		{Name: "the holder's mapping with another MSP put in", Goal: Alter, Scheme: mailto, State: stage.Listed, Needs: withDP(withKey), Run: tamper},
		{Name: "a successor in the holder's name", Goal: Alter, Scheme: mailto, State: stage.Listed, Needs: withKey, Run: succeed},
		{Name: "a successor that nobody finds, in the holder's name", Goal: Alter, Scheme: mailto, State: stage.Listed, Needs: []cast.Set{cast.Of(cast.VictimKey)}, Run: hide},
		{Name: "a successor under another key", Goal: Block, Scheme: mailto, State: stage.Listed, Needs: withDP(twoProvers), Run: usurp},
		{Name: "a second app that has not joined", Goal: Block, Scheme: mailto, State: stage.Listed, Needs: withDP(twoProvers), Run: intrude},
		{Name: "a second app in the holder's name", Goal: Block, Scheme: mailto, State: stage.Listed, Needs: []cast.Set{cast.Of(cast.VictimKey)}, Run: joined(mapping.Join)},
		{Name: "a hand-over in the holder's name", Goal: Block, Scheme: mailto, State: stage.Listed, Needs: []cast.Set{cast.Of(cast.VictimKey)}, Run: joined(mapping.HandOver)},
		{Name: "a withdrawn mapping, renewed", Goal: Revive, Scheme: mailto, State: stage.Ended, Needs: []cast.Set{cast.Of(cast.DP)}, Run: revive},
		{Name: "evidence of a month ago", Goal: Block, Scheme: mailto, State: stage.Unlisted, Needs: []cast.Set{cast.Of(cast.FormerHolder, cast.DP)}, Run: returned(Block)},
		{Name: "evidence of a month ago", Goal: Block, Scheme: mailto, State: stage.Listed, Needs: []cast.Set{cast.Of(cast.FormerHolder, cast.DP)}, Run: returned(Block)},
		{Name: "evidence of a month ago", Goal: Steal, Scheme: mailto, State: stage.Unlisted, Needs: formerSteals, Run: returned(Steal)},
		{Name: "evidence of a month ago", Goal: Steal, Scheme: mailto, State: stage.Listed, Needs: formerSteals, Run: returned(Steal)},
		{Name: "old evidence with a fresh word beside it", Goal: Outlive, Scheme: mailto, State: stage.Listed, Needs: cast.Cross([]cast.Set{cast.Of(cast.FormerHolder)}, twoProvers), Run: outlive},
		{Name: "receipts antedated by provers that were put out", Goal: Block, Scheme: mailto, State: stage.Unlisted, Needs: withDP(twoProvers), Run: antedate, Expelled: true},
		{Name: "a word in each family of kinds", Goal: Block, Scheme: mailto, State: stage.Unlisted, Needs: []cast.Set{cast.Of(cast.ProverA, cast.ProverB, cast.ProverX)}, Run: scattered},
	}
}

// honest is the victim's mapping.
func (a *Adversary) honest() (mapping.Unverified, error) { return mapping.Parse(a.victim.Honest) }

// inTheName begins a statement that is to pass for the holder's: under her key,
// with the receipts of her mapping, which are no secret.
func (a *Adversary) inTheName(holder cast.Party, leads bool) (*statement, mapping.Unverified, error) {
	u, err := a.honest()
	if err != nil {
		return nil, u, err
	}
	s, err := a.draftAs(a.key, false)
	if err != nil {
		return nil, u, err
	}
	s.named = a.victim.Key.Public()
	if a.Owns(holder) {
		s.holder, s.claims.Holder = a.victim.Key, s.named
		terms, err := a.w.DP.Offer(a.victim.CSI, s.named, a.w.Now)
		if err != nil {
			return nil, u, err
		}
		s.offer, s.claims.DPNonce = terms.Offer, offer.Nonce(terms.Offer)
	}
	old := u.Claims()
	s.claims.ID, s.claims.Lineage, s.claims.First, s.claims.Expires = old.ID, old.Lineage, false, old.Expires
	s.receipts = slices.Clone(a.victim.Honest.Receipts)
	if leads {
		a.list(s, stage.OtherMSP)
	}
	return s, u, nil
}

// tamper leads the holder's mapping, as it stands, elsewhere.
func tamper(a *Adversary) (mapping.Bundle, error) {
	s, u, err := a.inTheName(cast.VictimKey, true)
	if err != nil {
		return mapping.Bundle{}, err
	}
	s.claims.First, s.claims.DPNonce = true, u.Claims().DPNonce
	return a.publish(s)
}

// succeed replaces the holder's mapping by one that leads elsewhere.
func succeed(a *Adversary) (mapping.Bundle, error) {
	s, u, err := a.inTheName(cast.VictimKey, true)
	if err != nil {
		return mapping.Bundle{}, err
	}
	s.claims.Sequence, s.claims.Predecessor = u.Claims().Sequence+1, u.Digest()
	return a.publish(s)
}

// hide replaces it by one that leads nowhere.
func hide(a *Adversary) (mapping.Bundle, error) {
	s, u, err := a.inTheName(cast.VictimKey, false)
	if err != nil {
		return mapping.Bundle{}, err
	}
	s.claims.Sequence, s.claims.Predecessor = u.Claims().Sequence+1, u.Digest()
	return a.publish(s)
}

// usurp replaces it by one under the adversary's key.
func usurp(a *Adversary) (mapping.Bundle, error) {
	u, err := a.honest()
	if err != nil {
		return mapping.Bundle{}, err
	}
	s, err := a.lied()
	if err != nil {
		return mapping.Bundle{}, err
	}
	old := u.Claims()
	s.claims.ID, s.claims.Lineage, s.claims.First = old.ID, old.Lineage, false
	s.claims.Sequence, s.claims.Predecessor = old.Sequence+1, u.Digest()
	return a.publish(s)
}

// intrude adds a mapping under the adversary's key to the holder's lineage.
func intrude(a *Adversary) (mapping.Bundle, error) {
	u, err := a.honest()
	if err != nil {
		return mapping.Bundle{}, err
	}
	s, err := a.lied()
	if err != nil {
		return mapping.Bundle{}, err
	}
	s.claims.Lineage, s.claims.First = u.Claims().Lineage, false
	return a.publish(s)
}

// joined puts the adversary's key beside the holder's or in its place, and uses her
// receipts: with her key's signature, or with one that only bears her name; under a
// key that has no receipts; or without any statement.
func joined(kind mapping.StatementKind) func(a *Adversary) (mapping.Bundle, error) {
	return func(a *Adversary) (mapping.Bundle, error) {
		u, err := a.honest()
		if err != nil {
			return mapping.Bundle{}, err
		}
		s, err := a.draft(Block)
		if err != nil {
			return mapping.Bundle{}, err
		}
		old := u.Claims()
		s.claims.Lineage, s.claims.First, s.claims.Expires = old.Lineage, false, old.Expires
		s.receipts = slices.Clone(a.victim.Honest.Receipts)
		older := a.w.Key("another key of the adversary's")
		switch owned := a.Owns(cast.VictimKey); {
		case owned:
			older = a.victim.Key
		case a.style == Misused:
			older = a.misused(registry.RoleCSIP)
		default:
			a.lacked = true
		}
		b, err := mapping.Propose(kind, old.CSI, old.Lineage, older, a.key.Public(), a.w.Now)
		if err != nil {
			return mapping.Bundle{}, err
		}
		proposal, err := mapping.ParseProposal(b)
		if err != nil {
			return mapping.Bundle{}, err
		}
		if b, err = proposal.Accept(a.key, a.w.Now); err != nil {
			return mapping.Bundle{}, err
		}
		if older.Public() != old.Holder && (a.style == OwnKey || a.style == Borrowed) {
			b = bytes.Replace(b, older.Public().Bytes(), old.Holder.Bytes(), 1)
		}
		if a.Owns(cast.VictimKey) || a.style != Missing {
			s.lineage = [][]byte{b}
		}
		return a.publish(s)
	}
}

// lied begins a mapping under the adversary's key with receipts about a mail that
// there never was.
func (a *Adversary) lied() (*statement, error) {
	s, err := a.draft(Block)
	if err != nil {
		return nil, err
	}
	s.receipts, err = a.lies(possession.MailReply, possession.MailWitness)
	return s, err
}

// unsent is what there is not.
var unsent = forge.Artefact{Raw: []byte("what was never sent"), Seen: [32]byte{1}}

// lies returns receipts of the given kinds, by one prover after the other.
func (a *Adversary) lies(kinds ...possession.Kind) ([][]byte, error) {
	var out [][]byte
	all := a.provers()
	for i, kind := range kinds {
		b, err := a.receipt(all[i%len(all)], a.lie(kind, unsent))
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// revive has a mapping signed anew that its holder has withdrawn.
func revive(a *Adversary) (mapping.Bundle, error) {
	u, err := a.honest()
	if err != nil {
		return mapping.Bundle{}, err
	}
	m, err := cose.Parse(a.victim.Honest.Mapping, mapping.MaxSize)
	if err != nil {
		return mapping.Bundle{}, err
	}
	last := m.Signatures[len(m.Signatures)-1]
	s := &statement{claims: u.Claims(), receipts: a.victim.Honest.Receipts, message: m.Without(1)}
	p := cose.Params{
		Role: roleRenew, Time: a.w.Now.Unix(), Until: a.w.Now.Add(mapping.MaxDPLife).Unix(), Found: last.Found, Admitted: last.Time,
	}
	if a.Owns(cast.DP) {
		err = s.sign(key.LabelRenewal, a.w.Key(worldtest.DP), p)
	} else {
		if b, renewErr := a.w.DP.Renewed(a.w.Context(), u.Claims().ID, a.w.Now); renewErr == nil {
			return b, nil
		} else {
			a.refused(renewErr)
		}
		if a.style == Copied { // as it was signed at last
			return a.victim.Honest, nil
		}
		err = a.withoutSigner(s, key.LabelRenewal, worldtest.DP, registry.RoleDP, 0, p)
	}
	if err != nil {
		return mapping.Bundle{}, err
	}
	return s.bundle()
}

// returned uses the receipts of somebody who had the CSI once. They were in a
// mapping, so everybody may have them.
func returned(goal Goal) func(a *Adversary) (mapping.Bundle, error) {
	return func(a *Adversary) (mapping.Bundle, error) {
		former := a.w.Key("former holder")
		if a.Owns(cast.FormerHolder) {
			a.key = former
		}
		s, err := a.draft(goal)
		if err != nil {
			return mapping.Bundle{}, err
		}
		s.receipts = a.w.Receipts(a.victim.CSI, former.Public(), a.w.Now.Add(-30*24*time.Hour))
		return a.publish(s)
	}
}

// outlive prolongs a mapping whose holder has lost the CSI: what shows that he
// had it is old, what is new is as many words as there are.
func outlive(a *Adversary) (mapping.Bundle, error) {
	s, u, err := a.inTheName(cast.FormerHolder, false)
	if err != nil {
		return mapping.Bundle{}, err
	}
	s.claims.Sequence, s.claims.Predecessor = u.Claims().Sequence+1, u.Digest()
	s.claims.Expires = a.w.Now.Add(mapping.MaxLife - time.Hour)
	pair := a.provers()[:2]
	if a.Owns(pair[0]) && a.Owns(pair[1]) {
		s.receipts = nil // two fresh words need no old one
	}
	kinds := []possession.Kind{possession.MailReply, possession.MailWitness}
	for i, p := range pair {
		r := a.lie(kinds[i], unsent)
		r.Subject = possession.SubjectOf(a.victim.CSI, a.victim.Key.Public())
		if b, err := a.receipt(p, r); err != nil {
			return mapping.Bundle{}, err
		} else if !slices.ContainsFunc(s.receipts, func(c []byte) bool { return slices.Equal(b, c) }) {
			s.receipts = append(s.receipts, b)
		}
	}
	return a.publish(s)
}

// antedate dates everything before the day on which the provers were put out.
func antedate(a *Adversary) (mapping.Bundle, error) {
	at := a.w.Now.Add(-48 * time.Hour)
	a.dated = dates{at, at}
	s, err := a.lied()
	if err != nil {
		return mapping.Bundle{}, err
	}
	return a.publish(s)
}

// scattered brings a receipt of every family that speaks for mail addresses, each
// by one prover: many words, and no two about the same. Only a witness joins two.
func scattered(a *Adversary) (mapping.Bundle, error) {
	s, err := a.draft(Block)
	if err != nil {
		return mapping.Bundle{}, err
	}
	all := a.provers()
	families := []possession.Kind{possession.MailReply, possession.OpenIDToken, possession.SMIME}
	for i, kind := range families {
		b, err := a.receipt(all[i%2], a.lie(kind, unsent))
		if err != nil {
			return mapping.Bundle{}, err
		}
		s.receipts = append(s.receipts, b)
	}
	if a.Owns(all[2]) {
		b, err := a.receipt(all[2], a.lie(possession.MailWitness, unsent))
		if err != nil {
			return mapping.Bundle{}, err
		}
		s.receipts = append(s.receipts, b)
	}
	return a.publish(s)
}
