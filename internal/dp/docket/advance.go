package docket

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/dp/precedence"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

// Finish makes the mapping of a claim that has won.
type Finish func(mapping.Bundle) (mapping.Verified, error)

// Advance returns the next write that the case asks for: what time, answers,
// events and withdrawals have made of its claims. False: there is none.
func (k *Docket) Advance(finish Finish) (Write, bool, error) {
	var w Write
	k.End(&w, k.Facts.Overtaken())
	if len(w.Ends) > 0 {
		return w, true, nil
	}
	for _, c := range k.Claims {
		if !c.Phase.Open() {
			continue
		}
		after := c
		var e precedence.Effect
		after.Claim, e = precedence.Advance(k.Facts, c.Claim, k.Clock)
		w, changed, err := k.carryOut(c, after, e, finish)
		if err != nil || changed {
			return w, changed, err
		}
	}
	return Write{}, false, nil
}

// carryOut returns what has become of a claim, and whether it is worth writing.
func (k *Docket) carryOut(before, after Claim, e precedence.Effect, finish Finish) (Write, bool, error) {
	var w Write
	if e.Admit {
		v, err := finish(after.Bundle)
		if err != nil { // an MSP left, or a prover; its holder learns why
			after.Claim, after.Why, e = before.Claim, err.Error(), precedence.Effect{}
			after.Phase = precedence.Lapsed
		} else {
			w.Admit = v
		}
	}
	var ends []mapping.Lineage
	for _, one := range e.Ends {
		ends = append(ends, one.Lineage)
	}
	k.End(&w, ends)
	r, err := k.writeClaim(after)
	if err != nil {
		return w, false, err
	}
	w.Put = append(w.Put, r)
	notices, err := k.tell(e.Asks, after.Claim)
	w.Put = append(w.Put, notices...)
	late := !before.record.Due.IsZero() && !before.record.Due.After(k.Clock.Now)
	return w, late || !bytes.Equal(r.Body, before.record.Body) || !w.Admit.IsZero() || len(w.Ends) > 0, err
}

// End puts the end of lineages into w: their mappings and their re-proofs.
func (k *Docket) End(w *Write, gone []mapping.Lineage) {
	for _, s := range k.Raw.Live {
		if slices.Contains(gone, s.Lineage) {
			w.Ends = append(w.Ends, s.ID)
		}
	}
	for id, p := range k.proofs {
		if slices.Contains(gone, p.lineage) && !slices.Contains(w.Drop, id) {
			w.Drop = append(w.Drop, id)
		}
	}
}

// Notice is something to be told to a person, by one of her MSPs or, where To is
// nobody, by a message to the CSI itself. It says nothing of anybody else.
type Notice struct {
	To      registry.PartyID
	CSI     csi.ID
	Kind    string // wire.Notice…
	Mapping mapping.ID
	Since   time.Time
	Until   time.Time
}

type noticeBody struct {
	To      string    `cbor:"1,keyasint,omitempty"`
	CSI     csi.Clear `cbor:"2,keyasint"`
	Kind    string    `cbor:"3,keyasint"`
	Mapping []byte    `cbor:"4,keyasint"`
	Since   int64     `cbor:"5,keyasint"`
	Until   int64     `cbor:"6,keyasint"`
}

// tell returns the notices of a claim to incumbents: to each MSP of each of
// their mappings, and one to the CSI itself.
func (k *Docket) tell(asked []mapping.Lineage, c precedence.Claim) ([]Record, error) {
	var out []Record
	add := func(n Notice) error {
		r, err := k.notice(n)
		out = append(out, r)
		return err
	}
	for _, a := range c.Asked {
		if !slices.Contains(asked, a.Lineage) {
			continue
		}
		n := Notice{CSI: k.CSI, Kind: wire.NoticeClaim, Since: c.Opened, Until: a.Ends().Add(k.stood())}
		for _, s := range k.Raw.Live {
			if s.Lineage != a.Lineage {
				continue
			}
			n.Mapping = s.ID
			for _, msp := range s.Living() {
				n.To = msp
				if err := add(n); err != nil {
					return nil, err
				}
			}
		}
		n.To = registry.PartyID{}
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// notice returns the record of a notice, due at once.
func (k *Docket) notice(n Notice) (Record, error) {
	r := Record{Kind: RecordNotice, Due: k.Clock.Now, Until: n.Until}
	if _, err := rand.Read(r.ID[:]); err != nil {
		return Record{}, fmt.Errorf("docket: %w", err)
	}
	var err error
	r.Body, err = canon.Marshal(noticeBody{
		To: n.To.String(), CSI: csi.Clear{ID: n.CSI}, Kind: n.Kind, Mapping: n.Mapping[:], Since: millis(n.Since), Until: millis(n.Until),
	})
	return r, err
}

// ReadNotice reads a notice.
func ReadNotice(r Record) (Notice, error) {
	var b noticeBody
	if err := canon.Unmarshal(r.Body, maxRecord, &b); err != nil {
		return Notice{}, err
	}
	n := Notice{CSI: b.CSI.ID, Kind: b.Kind, Mapping: mapping.ID(fit(b.Mapping)), Since: moment(b.Since), Until: moment(b.Until)}
	if b.To == "" {
		return n, nil
	}
	var err error
	n.To, err = registry.ParsePartyID(b.To)
	return n, err
}
