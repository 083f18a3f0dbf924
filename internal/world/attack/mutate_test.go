package attack_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/cose"
	"whither/internal/world/attack/stage"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/possession/observe"
)

// Signatures in a mapping.
const (
	asHolder uint8 = iota + 1
	asMSP
	asDP
	asRenewal
)

// pool is what an adversary has to bend: bundles that were honestly made, and
// keys. It owns the DP, both MSPs, one prover, and somebody who has a CSI of his
// own; it lacks the victims' keys and a second prover.
type pool struct {
	*stage.Stage
	own        key.Private
	ownCSI     csi.ID
	bundles    []mapping.Bundle
	messages   []cose.Message // of the bundles
	receipts   [][]byte
	lineages   [][]byte // statements by which one key joined another
	authorised map[mapping.Digest]bool
	signers    map[key.ID]key.Private // that it owns
}

// kinds lists what speaks for a CSI: the first asks, and with the other it is
// enough.
func kindsOf() map[string][]possession.Kind {
	return map[string][]possession.Kind{
		"mail-reply":     {possession.MailReply, possession.MailWitness},
		"mail-recheck":   {possession.MailReply, possession.MailRecheck},
		"codes":          {possession.CodeMessage, possession.CodeCall},
		"signed-call":    {possession.SignedCall, possession.CodeMessage},
		"sip-message":    {possession.SIPMessage, possession.STIRWitness},
		"passport-key":   {possession.PassportKey, possession.STIRWitness},
		"delegate":       {possession.Delegate, possession.STIRWitness},
		"tn-token":       {possession.TNToken, possession.STIRWitness},
		"openid-token":   {possession.OpenIDToken, possession.OpenIDWitness},
		"openid-recheck": {possession.OpenIDToken, possession.OpenIDRecheck},
		"smime":          {possession.SMIME, possession.SMIMEWitness},
	}
}

// newPool makes the mappings of two honest people and the adversary's own, each
// with evidence of the kinds, of another kind, of another purpose and of another
// time, at one MSP, two and none, renewed and replaced.
func newPool(t *testing.T, kinds, others []possession.Kind) *pool {
	t.Helper()
	s := newStage(t)
	p := &pool{Stage: s, own: s.Key("adversary"), authorised: make(map[mapping.Digest]bool), signers: make(map[key.ID]key.Private)}
	for _, k := range []key.Private{p.own, s.Key(worldtest.DP), s.Key(worldtest.MSPA), s.Key(stage.OtherMSP), s.Key(s.Provers[0])} {
		p.signers[k.Public().ID()] = k
	}
	scheme := csi.Mailto
	if kinds[0].Fits("tel") {
		scheme = csi.Tel
		p.ownCSI = worldtest.CSI(t, "tel:+"+stage.NeighbourNumber)
	} else {
		p.ownCSI = worldtest.CSI(t, "mailto:"+stage.Neighbour)
	}
	alice, bob := s.Victim(scheme, stage.Unlisted), s.Victim(scheme, stage.Listed)
	p.add(t, alice.CSI, alice.Key, p.evidence(t, kinds, alice.CSI, alice.Key.Public(), possession.PurposeEnrol, s.Now), worldtest.MSPA)
	p.add(t, alice.CSI, alice.Key, p.evidence(t, others, alice.CSI, alice.Key.Public(), possession.PurposeEnrol, s.Now), stage.OtherMSP)
	p.add(t, bob.CSI, bob.Key, p.evidence(t, kinds, bob.CSI, bob.Key.Public(), possession.PurposeReprove, s.Now.Add(-time.Hour)), worldtest.MSPA, stage.OtherMSP)
	p.add(t, bob.CSI, bob.Key, p.evidence(t, kinds, bob.CSI, bob.Key.Public(), possession.PurposeEnrol, s.Now.Add(-20*24*time.Hour)))
	// What an honest prover says who is handed an artefact and a key of the
	// adversary's making.
	if _, rechecks := kinds[0].Recheck(); rechecks && kinds[1] != possession.MailWitness && kinds[1] != possession.OpenIDWitness {
		for _, v := range []stage.Victim{alice, bob} {
			r := p.Receipt(v.CSI, p.own.Public(), kinds[1], s.Now.Add(-2*time.Hour))
			r.Level, r.KeySeen = kinds[1].Best(), [32]byte{3}
			p.receipts = append(p.receipts, p.SignReceipt(r, p.Provers[1]))
		}
	}
	p.add(t, p.ownCSI, p.own, p.evidence(t, kinds, p.ownCSI, p.own.Public(), possession.PurposeEnrol, s.Now), worldtest.MSPA)
	p.join(t, alice.CSI, alice.Key, s.Key("alice's tablet"), 0)
	p.join(t, p.ownCSI, p.own, s.Key("another key of the adversary's"), len(p.bundles)-5)
	return p
}

// join makes the mapping of a second key, which joined the lineage of a bundle.
func (p *pool) join(t *testing.T, id csi.ID, older, newer key.Private, beside int) {
	t.Helper()
	first, err := mapping.Parse(p.bundles[beside])
	if err != nil {
		t.Fatal(err)
	}
	b, err := mapping.Propose(mapping.Join, id, first.Claims().Lineage, older, newer.Public(), p.Now)
	if err != nil {
		t.Fatal(err)
	}
	proposal, err := mapping.ParseProposal(b)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = proposal.Accept(newer, p.Now); err != nil {
		t.Fatal(err)
	}
	p.lineages = append(p.lineages, b)
	c := p.Claims(id, newer.Public(), "joined "+id.Canonical())
	c.Lineage, c.First, c.Expires = first.Claims().Lineage, false, first.Claims().Expires
	u, err := c.Sign(newer, first.Bundle().Receipts, p.Now, b)
	if err != nil {
		t.Fatal(err)
	}
	proposed, err := mapping.PolicyAt(p.Registry, p.Now).VerifyProposal(u)
	if err != nil {
		t.Fatal(err)
	}
	v, err := proposed.Finish(p.Key(worldtest.DP), p.Now, p.Now.Add(mapping.MaxDPLife), mapping.FoundSuccessor)
	if err != nil {
		t.Fatal(err)
	}
	p.keep(t, v)
}

// keep puts a mapping into the pool.
func (p *pool) keep(t *testing.T, v mapping.Verified) {
	t.Helper()
	m, err := cose.Parse(v.Bundle().Mapping, mapping.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	p.bundles, p.messages = append(p.bundles, v.Bundle()), append(p.messages, m)
	p.authorised[v.Digest()] = true
}

// evidence is what two honest provers say, and where one of them was handed the
// key, an observer.
func (p *pool) evidence(t *testing.T, kinds []possession.Kind, id csi.ID, holder key.Public, purpose possession.Purpose, at time.Time) [][]byte {
	t.Helper()
	place := observe.Key{Kind: observe.DKIM, Name: stage.MailDomain, Label: "s", Digest: [32]byte{7}}
	var out [][]byte
	for i, kind := range kinds {
		r := p.Receipt(id, holder, kind, at)
		r.Level, r.Purpose, r.KeySeen = kind.Best(), purpose, place.Digest
		out = append(out, p.SignReceipt(r, p.Provers[i]))
	}
	if kinds[1] == possession.OpenIDRecheck {
		place.Kind, place.Name = observe.JWKS, stage.Issuer
	}
	if kinds[1] == possession.MailRecheck || kinds[1] == possession.OpenIDRecheck {
		word, err := observe.Observation{Key: place, First: at.Add(-time.Hour), Last: at, Signed: at}.Sign(p.Key(stage.ObserverA))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, word)
	}
	return out
}

// add makes a mapping, its renewal, and the one that replaces it.
func (p *pool) add(t *testing.T, id csi.ID, holder key.Private, receipts [][]byte, msps ...string) {
	t.Helper()
	p.receipts = append(p.receipts, receipts...)
	c := p.Claims(id, holder.Public(), id.Canonical()+string(receipts[0]), msps...)
	for sequence := range uint64(2) {
		c.Sequence, c.First = sequence, sequence == 0
		if sequence > 0 {
			u, err := mapping.Parse(p.bundles[len(p.bundles)-1])
			if err != nil {
				t.Fatal(err)
			}
			c.Predecessor = u.Digest()
		}
		proposal, err := mapping.PolicyAt(p.Registry, p.Now).VerifyProposal(p.Propose(c, holder, receipts))
		if err != nil {
			t.Fatal(err)
		}
		v, err := proposal.Finish(p.Key(worldtest.DP), p.Now, p.Now.Add(mapping.MaxDPLife), mapping.FoundFirst)
		if err != nil {
			t.Fatal(err)
		}
		renewed, err := v.Renew(p.Key(worldtest.DP), p.Now.Add(time.Minute), p.Now.Add(mapping.MaxDPLife))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []mapping.Verified{v, renewed} {
			p.keep(t, v)
		}
	}
}

// judge says what became of a bundle at a client, at one time or another.
func (p *pool) judge(t *testing.T, m worldtest.Mutator, b mapping.Bundle) worldtest.Outcome {
	t.Helper()
	now := p.Now.Add(worldtest.Pick(m, []time.Duration{2 * time.Minute, 2 * time.Minute, 2 * time.Minute, -time.Hour, 8 * 24 * time.Hour, 400 * 24 * time.Hour}))
	u, err := mapping.Parse(b)
	if err != nil {
		return worldtest.Refused
	}
	v, err := mapping.PolicyAt(p.Registry, now).Verify(u)
	if err != nil {
		return worldtest.Refused
	}
	c := v.Claims()
	if p.authorised[v.Digest()] || c.CSI == p.ownCSI && (c.Holder == p.own.Public() || c.Holder == p.Key("another key of the adversary's").Public()) {
		return worldtest.Same
	}
	t.Errorf("%v: believed, and nobody has authorised it: sequence %d, %d entries, level %d", c.CSI, c.Sequence, len(c.Entries), v.Evidence().Level)
	return worldtest.Forged
}

// bend returns a bundle that is bent in one way or another.
func (p *pool) bend(m worldtest.Mutator) mapping.Bundle {
	i := m.IntN(len(p.bundles))
	b := mapping.Bundle{
		Mapping: p.bundles[i].Mapping, Receipts: slices.Clone(p.bundles[i].Receipts), Lineage: slices.Clone(p.bundles[i].Lineage),
	}
	switch m.IntN(9) {
	case 0:
		b.Mapping = m.Bend(b.Mapping, worldtest.Pick(m, p.bundles).Mapping)
	case 1:
		j := m.IntN(len(b.Receipts))
		b.Receipts[j] = m.Bend(b.Receipts[j], worldtest.Pick(m, p.receipts))
	case 2:
		b.Receipts = p.otherReceipts(m, b.Receipts)
	case 3, 4:
		message := p.otherSignatures(m, p.messages[i])
		raw, err := message.Marshal()
		if err == nil {
			b.Mapping = raw
		}
	case 5:
		b.Lineage = p.otherLineage(m, b.Lineage)
	case 6:
		return p.signedAgain(m, i, m.Bend(p.messages[i].Payload, worldtest.Pick(m, p.messages).Payload), b.Receipts)
	default:
		return p.stated(m, i)
	}
	return b
}

// otherReceipts drops, doubles, moves and exchanges receipts.
func (p *pool) otherReceipts(m worldtest.Mutator, r [][]byte) [][]byte {
	for range 1 + m.IntN(2) {
		j := m.IntN(len(r))
		switch m.IntN(4) {
		case 0:
			if len(r) > 1 {
				r = slices.Delete(r, j, j+1)
			}
		case 1:
			r = slices.Insert(r, j, r[m.IntN(len(r))])
		case 2:
			r[0], r[j] = r[j], r[0]
		default:
			r[j] = worldtest.Pick(m, p.receipts)
		}
	}
	return r
}

// otherLineage leads a holder's key back to another one.
func (p *pool) otherLineage(m worldtest.Mutator, l [][]byte) [][]byte {
	switch one := worldtest.Pick(m, p.lineages); m.IntN(4) {
	case 0:
		return nil
	case 1:
		return [][]byte{m.Bend(one, p.lineages...)}
	case 2:
		return append(l, one)
	default:
		return [][]byte{one}
	}
}

// otherSignatures drops, doubles, moves and exchanges signatures, and payloads.
func (p *pool) otherSignatures(m worldtest.Mutator, message cose.Message) cose.Message {
	message.Signatures = slices.Clone(message.Signatures)
	for range 1 + m.IntN(2) {
		if len(message.Signatures) == 0 {
			return message
		}
		other := worldtest.Pick(m, p.messages)
		j := m.IntN(len(message.Signatures))
		switch m.IntN(6) {
		case 0:
			message.Signatures = slices.Delete(message.Signatures, j, j+1)
		case 1:
			message.Signatures = slices.Insert(message.Signatures, j, message.Signatures[m.IntN(len(message.Signatures))])
		case 2:
			k := m.IntN(len(message.Signatures))
			message.Signatures[j], message.Signatures[k] = message.Signatures[k], message.Signatures[j]
		case 3:
			message.Signatures[j] = worldtest.Pick(m, other.Signatures)
		case 4:
			message.Signatures = slices.Clone(other.Signatures)
		default:
			message.Payload = other.Payload
		}
	}
	return message
}

// signedAgain puts every signature under a payload that the adversary can make,
// some of them bent, and leaves the others as they were.
func (p *pool) signedAgain(m worldtest.Mutator, i int, payload []byte, receipts [][]byte) mapping.Bundle {
	out := cose.Message{Payload: payload}
	for _, s := range p.messages[i].Signatures {
		k, owned := p.signers[s.KID]
		if !owned {
			out.Signatures = append(out.Signatures, s)
			continue
		}
		out = p.sign(m, out, k, s.Params)
	}
	raw, err := out.Marshal()
	if err != nil {
		return p.bundles[i]
	}
	return mapping.Bundle{Mapping: raw, Receipts: receipts, Lineage: p.bundles[i].Lineage}
}

// sign adds a signature, now and then with other parameters or under another
// label.
func (p *pool) sign(m worldtest.Mutator, out cose.Message, k key.Private, params cose.Params) cose.Message {
	l := key.LabelMapping
	if params.Role == asRenewal {
		l = key.LabelRenewal
	}
	switch m.IntN(12) {
	case 0:
		params.Role = worldtest.Pick(m, []uint8{asHolder, asMSP, asDP, asRenewal, 0})
	case 1:
		params.Time += int64(m.IntN(7200)) - 3600
	case 2:
		params.Until += int64(m.IntN(1 << 24))
	case 3:
		l = worldtest.Pick(m, key.Labels())
	case 4:
		params.Admitted = params.Time - int64(m.IntN(1<<24))
	case 5:
		params.Found = uint8(m.IntN(5))
	}
	next, err := out.With(l, k, params.Role != asHolder, params)
	if err != nil {
		return out
	}
	return next
}

// stated makes a statement of the adversary's own out of an honest one: with its
// own key, or the holder's name under its own signature; with receipts of its
// prover's making, of others, and copied ones; and with every signature that it
// can make.
func (p *pool) stated(m worldtest.Mutator, i int) mapping.Bundle {
	u, err := mapping.Parse(p.bundles[i])
	if err != nil {
		return p.bundles[i]
	}
	c := u.Claims()
	victim := c.Holder
	c.Holder = p.own.Public()
	p.claim(m, &c)
	receipts := p.liedReceipts(m, c.CSI, worldtest.Pick(m, []key.Public{victim, p.own.Public()}))
	at := p.Now.Add(-time.Duration(m.IntN(90)) * time.Minute)
	signed, err := c.Sign(p.own, receipts, at)
	if err != nil {
		return p.bundles[i]
	}
	raw := signed.Bundle().Mapping
	if m.IntN(4) == 0 {
		raw = bytes.Replace(raw, p.own.Public().Bytes(), victim.Bytes(), 1)
	}
	out, err := cose.Parse(raw, mapping.MaxSize)
	if err != nil {
		return p.bundles[i]
	}
	last := out.Signatures[0].Time
	for _, e := range c.Entries {
		out = p.sign(m, out, p.Key(e.Provider.String()), cose.Params{Role: asMSP, Time: last})
	}
	dp := cose.Params{Role: asDP, Time: max(last, p.Now.Unix()), Until: p.Now.Add(mapping.MaxDPLife - time.Hour).Unix(), Found: 1}
	if m.IntN(3) == 0 {
		dp.Role, dp.Admitted = asRenewal, last
	}
	if raw, err = p.sign(m, out, p.Key(worldtest.DP), dp).Marshal(); err != nil {
		return p.bundles[i]
	}
	bent := mapping.Bundle{Mapping: raw, Receipts: receipts}
	if m.IntN(3) == 0 {
		bent.Lineage = p.lied(m, c, victim)
	}
	return bent
}

// lied are statements that the adversary's key joined another: one that the
// adversary signed in its name, or another one of his keys.
func (p *pool) lied(m worldtest.Mutator, c mapping.Claims, victim key.Public) [][]byte {
	older := p.Key("another key of the adversary's")
	b, err := mapping.Propose(worldtest.Pick(m, []mapping.StatementKind{mapping.Join, mapping.HandOver}), c.CSI, c.Lineage, older, p.own.Public(), p.Now.Add(-2*time.Hour))
	if err != nil {
		return nil
	}
	proposal, err := mapping.ParseProposal(b)
	if err != nil {
		return nil
	}
	if b, err = proposal.Accept(p.own, p.Now.Add(-2*time.Hour)); err != nil {
		return nil
	}
	if m.IntN(2) == 0 {
		b = bytes.Replace(b, older.Public().Bytes(), victim.Bytes(), 1)
	}
	return [][]byte{b}
}

// claim changes what is claimed.
func (p *pool) claim(m worldtest.Mutator, c *mapping.Claims) {
	other, err := mapping.Parse(worldtest.Pick(m, p.bundles))
	if err != nil {
		return
	}
	o := other.Claims()
	switch m.IntN(9) {
	case 0:
		c.CSI = o.CSI
	case 1:
		c.Entries = o.Entries
	case 2:
		c.Entries = nil
	case 3:
		c.Expires = c.Expires.Add(time.Duration(m.IntN(400*24)) * time.Hour)
	case 4:
		c.ID, c.Lineage, c.Sequence, c.Predecessor, c.First = o.ID, o.Lineage, o.Sequence+1, other.Digest(), false
	case 5:
		c.Audience = !c.Audience
	case 6:
		c.ReproveDays = mapping.MinReprove + uint8(m.IntN(20))
	}
}

// liedReceipts are receipts for a CSI and a key: honest ones, whatever they are
// for, and those of the adversary's prover.
func (p *pool) liedReceipts(m worldtest.Mutator, id csi.ID, holder key.Public) [][]byte {
	var out [][]byte
	for range 1 + m.IntN(3) {
		honest := worldtest.Pick(m, p.receipts)
		if m.IntN(2) == 0 {
			out = append(out, honest)
			continue
		}
		u, err := possession.Parse(honest)
		if err != nil {
			continue
		}
		r := u.Claims()
		r.Subject = possession.SubjectOf(id, holder)
		switch m.IntN(5) {
		case 0:
			r.Kind = worldtest.Pick(m, possession.KindsFor(string(id.Scheme())))
			r.Level = r.Kind.Best()
		case 1:
			r.KeySeen = [32]byte{byte(m.IntN(9))}
		case 2:
			r.Evidence, r.Signed = p.Now, p.Now
		case 3:
			r.Purpose = possession.PurposeReprove
		}
		b, err := r.Sign(p.Key(p.Provers[0]))
		if err != nil {
			continue
		}
		out = append(out, b)
	}
	if len(out) == 0 {
		return p.receipts[:1]
	}
	return out
}

// TestR04MutatedBundles bends whole mappings with their receipts, for each kind of
// evidence: bytes, receipts, signatures, and statements that an adversary signs
// again who owns the DP, both MSPs, a prover and a CSI of his own. A client
// believes none that its holder has not authorised.
func TestR04MutatedBundles(t *testing.T) {
	all := kindsOf()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			others := all["mail-reply"]
			if all[name][0].Fits("tel") {
				others = all["sip-message"]
			}
			p := newPool(t, all[name], others)
			worldtest.Mutations(t, uint64(i+1), func(m worldtest.Mutator) worldtest.Outcome { return p.judge(t, m, p.bend(m)) })
		})
	}
}
