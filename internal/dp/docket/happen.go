package docket

import (
	"slices"

	"whither/internal/canon"
	"whither/internal/dp/precedence"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

// Hold returns the write of a claim that was decided, with the notices to the
// incumbents that are asked.
func (k *Docket) Hold(d precedence.Decision, b mapping.Bundle) (Write, error) {
	var w Write
	k.End(&w, d.Ends)
	r, err := k.writeClaim(Claim{Claim: *d.Claim, Bundle: b})
	if err != nil {
		return w, err
	}
	w.Put = append(w.Put, r)
	if d.Verdict != precedence.Hold {
		return w, nil
	}
	notices, err := k.tell(lineages(d.Claim.Asked), *d.Claim)
	w.Put = append(w.Put, notices...)
	return w, err
}

func lineages(asked []precedence.Asked) []mapping.Lineage {
	var out []mapping.Lineage
	for _, a := range asked {
		out = append(out, a.Lineage)
	}
	return out
}

// InLineage puts into w what an accepted mapping means for its lineage: keys
// that have handed over, claims by the same person, and claims that its evidence
// answers.
func (k *Docket) InLineage(w *Write, p mapping.Proposal) error {
	c := p.Claims()
	for _, s := range p.Statements() {
		older := s.Older.ID()
		if _, known := k.retired[older]; known || s.Kind != mapping.HandOver {
			continue
		}
		body, err := canon.Marshal(retiredBody{Key: older[:]})
		if err != nil {
			return err
		}
		w.Put = append(w.Put, Record{ID: NameOf(s.Bytes()), Kind: RecordRetired, Until: k.Clock.Now.Add(2 * mapping.MaxLife), Body: body})
	}
	for _, one := range k.Claims {
		joined := one.Phase.Open() && one.Holder == c.Holder.ID() && one.Lineage != c.Lineage
		if joined {
			one.Phase, one.Why = precedence.Joined, "its key has joined the lineage that it claimed against"
		}
		var answered bool
		one.Claim, answered = one.Answer(c.Lineage, precedence.Proof{Level: p.Evidence().Level, At: p.Evidence().Oldest})
		if joined || answered {
			if err := k.put(w, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// put adds a changed claim to w. An open one is looked at soon.
func (k *Docket) put(w *Write, c Claim) error {
	r, err := k.writeClaim(c)
	if c.Phase.Open() {
		r.Due = k.Clock.Now
	}
	w.Put = append(w.Put, r)
	return err
}

// wake has every open claim looked at soon.
func (k *Docket) wake(w *Write) error {
	for _, c := range k.Claims {
		if !c.Phase.Open() {
			continue
		}
		if err := k.put(w, c); err != nil {
			return err
		}
	}
	return nil
}

// Withdraw returns the write of a mapping's end on its holder's word.
func (k *Docket) Withdraw(id mapping.ID) (Write, error) {
	w := Write{Ends: []mapping.ID{id}}
	return w, k.wake(&w)
}

// Lapse returns the write by which an open claim whose mapping does not live
// comes to nothing; false if it is no such claim.
func (k *Docket) Lapse(c Claim, why string) (Write, bool, error) {
	var w Write
	if !c.Phase.Open() || c.Lives {
		return w, false, nil
	}
	c.Phase, c.Why = precedence.Lapsed, why
	return w, true, k.put(&w, c)
}

// maxProofs bounds the re-proofs of one lineage that are kept.
const maxProofs = 8

// Reproof returns the write of a re-proof by its name, and how many claims it
// answers. One that is known already changes nothing: false.
func (k *Docket) Reproof(id RecordID, l mapping.Lineage, p precedence.Proof) (w Write, answered int, fresh bool, err error) {
	if _, known := k.proofs[id]; known {
		for _, c := range k.Claims {
			if slices.ContainsFunc(c.Asked, func(a precedence.Asked) bool { return a.Lineage == l && a.Answered }) {
				answered++
			}
		}
		return w, answered, false, nil
	}
	body, err := canon.Marshal(proofBody{Lineage: l[:], Level: uint8(p.Level), Proved: millis(p.At)})
	if err != nil {
		return w, 0, false, err
	}
	w.Put = append(w.Put, Record{ID: id, Kind: RecordProof, Until: p.At.Add(mapping.MaxLife), Body: body})
	kept := 0
	for other, old := range k.proofs { // those that say least are forgotten
		if old.lineage != l {
			continue
		}
		if kept++; old.Level <= p.Level && !old.At.After(p.At) || kept >= maxProofs {
			w.Drop = append(w.Drop, other)
		}
	}
	for _, c := range k.Claims {
		var counts bool
		if c.Claim, counts = c.Answer(l, p); !counts {
			continue
		}
		answered++
		if err := k.put(&w, c); err != nil {
			return w, 0, false, err
		}
	}
	return w, answered, true, nil
}

// Event returns the write of a CSIP's word by its name: it is noted, and ends what
// was proved before it; if it is not believed, it asks the incumbents. Known
// already: false. source is for people.
func (k *Docket) Event(id RecordID, e precedence.Event, source string) (Write, bool, error) {
	var w Write
	if slices.ContainsFunc(k.Raw.Records, func(r Record) bool { return r.ID == id }) {
		return w, false, nil
	}
	body, err := canon.Marshal(eventBody{Kind: uint8(e.Kind), At: millis(e.At), Believed: e.Believed, Source: source})
	if err != nil {
		return w, false, err
	}
	// It bars what was proved before it, for as long as such evidence can live.
	w.Put = append(w.Put, Record{ID: id, Kind: RecordEvent, Until: e.At.Add(mapping.MaxLife), Body: body})
	if e.Believed {
		after := k.Facts
		after.Events = append(slices.Clone(after.Events), e)
		k.End(&w, after.Overtaken())
		return w, true, k.wake(&w)
	}
	question := mapping.ID(id)
	question[0] ^= 0xff // a record of its own, as random as the event's
	c, asks := precedence.Question(k.Facts, question, e, k.Clock)
	if !asks {
		return w, true, nil
	}
	r, err := k.writeClaim(Claim{Claim: c, Why: source})
	if err != nil {
		return w, false, err
	}
	w.Put = append(w.Put, r)
	notices, err := k.tell(lineages(c.Asked), c)
	w.Put = append(w.Put, notices...)
	return w, true, err
}

// judge returns the write of decisions on a claim, and what follows from them if
// they decide it.
func (k *Docket) judge(c Claim, decisions [][]byte, decided, newcomer bool, finish Finish) (Write, error) {
	before := c
	c.Decisions = decisions
	if !decided {
		var w Write
		r, err := k.writeClaim(c)
		w.Put = append(w.Put, r)
		return w, err
	}
	var e precedence.Effect
	c.Claim, e = c.Judge(k.Facts, newcomer, k.Clock)
	w, _, err := k.carryOut(before, c, e, finish)
	return w, err
}

// Remind returns the write of notices to the holder of a mapping that it expires:
// to each of its MSPs, and one to the CSI itself. name tells this reminder from
// others of the mapping, so that each is made once.
func (k *Docket) Remind(s Stored, name string) (Write, error) {
	var w Write
	for _, to := range append(slices.Clone(s.Living()), registry.PartyID{}) {
		r, err := k.notice(Notice{To: to, CSI: k.CSI, Kind: wire.NoticeExpiry, Mapping: s.ID, Since: k.Clock.Now, Until: s.Expires})
		if err != nil {
			return w, err
		}
		r.ID = NameOf([]byte("whither/v1/reminder " + s.ID.String() + " " + name + " " + to.String()))
		w.Put = append(w.Put, r)
	}
	return w, nil
}
