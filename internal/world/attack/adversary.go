package attack

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"whither/cosigner"
	"whither/internal/cose"
	"whither/internal/dp/directory"
	"whither/internal/dp/server"
	"whither/internal/offer"
	"whither/internal/prover"
	"whither/internal/prover/bycode"
	"whither/internal/prover/bymail"
	"whither/internal/prover/byopenid"
	"whither/internal/prover/bysip"
	"whither/internal/prover/bysmime"
	"whither/internal/prover/bystir"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/forge"
	"whither/internal/world/attack/stage"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
)

// Style is how an adversary does without a signature that it cannot make.
type Style uint8

// The styles.
const (
	OwnKey   Style = iota // signs with a key that nobody lists
	Borrowed              // the same, under the key id of the party whose word it needs
	Misused               // signs with a key that is listed, for another role
	Again                 // has a prover speak that has spoken already
	Sister                // has another prover of an operator speak that may not speak, or has
	Copied                // takes the signature, or the receipt, of an honest mapping
	Missing               // leaves it out
)

const styles = int(Missing) + 1

// Roles of the signatures of a mapping and of a receipt, as docs/spec has them.
const (
	roleMSP   uint8 = 2
	roleDP    uint8 = 3
	roleRenew uint8 = 4
)

// Adversary is a coalition at work on one victim.
type Adversary struct {
	w      *stage.Stage
	owned  cast.Set
	style  Style
	victim stage.Victim
	key    key.Private // of its own

	asked    map[cast.Party]bool // which parties' keys it looked for, and whether it had them
	lacked   bool                // it did without a signature
	spoken   bool                // that of a prover was among them
	refusals []string            // what honest parties said to it

	hand  forge.Hand
	dated dates
}

// dates are when the adversary's statements say that they were made.
type dates struct{ evidence, signed time.Time }

func newAdversary(w *stage.Stage, owned cast.Set, s Style, v stage.Victim) *Adversary {
	a := &Adversary{
		w: w, owned: owned, style: s, victim: v, key: w.Key("adversary"), asked: make(map[cast.Party]bool), dated: dates{w.Now, w.Now},
	}
	a.hand = forge.Hand{Stage: w, Owns: a.Owns, Names: namesOf(w), CSI: v.CSI, Holder: a.key.Public()}
	return a
}

// Owns reports whether the adversary owns a party.
func (a *Adversary) Owns(p cast.Party) bool {
	a.asked[p] = a.owned.Has(p)
	return a.asked[p]
}

// refused notes what an honest party said.
func (a *Adversary) refused(err error) { a.refusals = append(a.refusals, check(err)) }

// check names the check that refused something, as docs/spec/problems.md does.
func check(err error) string {
	if errors.Is(err, stage.ErrHeld) {
		return "held"
	}
	for _, kind := range []func(error) problem.Kind{server.Kind, cosigner.Kind, prover.Problem, bymail.Problem, bycode.Problem, bystir.Problem, byopenid.Problem, bysmime.Problem, bysip.Problem} {
		if k := kind(err); k != "" {
			return string(k)
		}
	}
	return err.Error()
}

// provers lists those that an adversary turns to, its own first.
func (a *Adversary) provers() []cast.Party {
	all := []cast.Party{cast.ProverA, cast.ProverB, cast.ProverX}
	slices.SortStableFunc(all, func(p, q cast.Party) int {
		switch own, other := a.Owns(p), a.Owns(q); {
		case own == other:
			return 0
		case own:
			return -1
		}
		return 1
	})
	return all
}

// misused returns a key that is listed for another role than the one wanted.
func (a *Adversary) misused(role registry.Role) key.Private {
	for _, p := range slices.Sorted(maps.Keys(a.hand.Names)) {
		name := a.hand.Names[p]
		if !a.w.Granted(name).Has(role) && a.Owns(p) {
			return a.w.Key(name)
		}
	}
	return a.key
}

// receipt returns a receipt in the name of a prover: signed by it if it is
// owned, else in the adversary's style, nil if that is to leave it out.
func (a *Adversary) receipt(by cast.Party, r possession.Receipt) ([]byte, error) {
	if a.Owns(by) {
		return r.Sign(a.w.Key(a.hand.Names[by]))
	}
	a.lacked, a.spoken = true, true
	switch a.style {
	case Borrowed:
		b, err := r.Sign(a.key)
		return borrow(b, a.key, a.w.Key(a.hand.Names[by])), err
	case Misused:
		return r.Sign(a.misused(registry.RoleProver))
	case Again:
		if p := a.provers()[0]; a.Owns(p) {
			return r.Sign(a.w.Key(a.hand.Names[p]))
		}
	case Sister:
		if a.Owns(cast.DP) {
			return r.Sign(a.w.Key(stage.SisterOfDP))
		}
		if a.Owns(cast.ProverA) {
			return r.Sign(a.w.Key(stage.SisterOfProver))
		}
	case Copied:
		for _, b := range a.w.Victim(a.victim.CSI.Scheme(), stage.Listed).Honest.Receipts {
			if u, err := possession.Parse(b); err == nil && u.Claims().Kind == r.Kind {
				return b, nil
			}
		}
	case Missing:
		return nil, nil
	case OwnKey:
	}
	return r.Sign(a.key)
}

// borrow puts the key id of whose into what k has signed.
func borrow(b []byte, k, whose key.Private) []byte {
	from, to := k.Public().ID(), whose.Public().ID()
	return bytes.Replace(b, from[:], to[:], 1)
}

// statement is a mapping in the making.
type statement struct {
	claims   mapping.Claims
	holder   key.Private // signs
	named    key.Public  // is named as the holder
	receipts [][]byte
	lineage  [][]byte          // how the holder's key came into it
	offer    []byte            // of the DP
	offers   map[string][]byte // of MSPs
	tokens   map[string]string
	message  cose.Message
}

// draft begins a mapping of the victim's CSI under the adversary's key.
func (a *Adversary) draft(goal Goal) (*statement, error) {
	return a.draftAs(a.key, goal == Steal)
}

// draftAs begins a mapping under a key. If it is to lead somewhere, then to an
// MSP that the adversary owns, else to one where it may have an account.
func (a *Adversary) draftAs(holder key.Private, leads bool) (*statement, error) {
	terms, err := a.w.DP.Offer(a.victim.CSI, holder.Public(), a.w.Now)
	if err != nil {
		return nil, err
	}
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // never fails
	s := &statement{
		holder: holder, named: holder.Public(), offer: terms.Offer, offers: make(map[string][]byte), tokens: make(map[string]string),
		claims: a.w.Claims(a.victim.CSI, holder.Public(), string(seed[:])),
	}
	s.claims.DPNonce = offer.Nonce(terms.Offer)
	if leads {
		msp := worldtest.MSPA
		if !a.Owns(cast.MSP) && a.Owns(cast.ForeignMSP) {
			msp = stage.OtherMSP
		}
		a.list(s, msp)
	}
	return s, nil
}

// list adds an entry for an MSP, as that MSP offers it if it does.
func (a *Adversary) list(s *statement, msp string) {
	e := mapping.Entry{Provider: worldtest.Party(a.w.T, msp), URI: "mimi://" + msp, Tags: []string{mapping.TagDefault}}
	_, _ = rand.Read(e.Nonce[:])
	if !a.Owns(a.partyOf(msp)) {
		token := a.token(msp)
		o, err := a.w.MSPs[msp].Offer(a.w.Context(), token, s.claims.CSI, s.claims.Holder)
		if err != nil {
			a.refused(err)
		} else {
			s.offers[msp], s.tokens[msp], e.Nonce = o.Offer, token, mapping.Nonce(o.Nonce)
		}
	}
	s.claims.Entries = append(s.claims.Entries, e)
}

// token is that of the best account that the adversary has at an MSP.
func (a *Adversary) token(msp string) string {
	reads := a.hand.Reads(cast.Parties) // no prover
	switch {
	case reads, msp == worldtest.MSPA && a.Owns(cast.VictimKey):
		return stage.TokenOfReader
	case a.Owns(cast.Neighbour):
		return stage.TokenOfNeighbour
	}
	return stage.TokenOfStranger
}

// publish signs s as the holder, gets or makes the other signatures, and returns
// the mapping that is to be believed.
func (a *Adversary) publish(s *statement) (mapping.Bundle, error) {
	s.receipts = slices.DeleteFunc(s.receipts, func(b []byte) bool { return b == nil })
	u, err := s.claims.Sign(s.holder, s.receipts, a.dated.signed)
	if err != nil {
		return mapping.Bundle{}, err
	}
	raw := bytes.Replace(u.Bundle().Mapping, s.holder.Public().Bytes(), s.named.Bytes(), 1)
	if s.message, err = cose.Parse(raw, mapping.MaxSize); err != nil {
		return mapping.Bundle{}, err
	}
	if s.named != s.holder.Public() {
		if err := a.withoutHolder(s); err != nil {
			return mapping.Bundle{}, err
		}
	}
	for _, e := range s.claims.Entries {
		if err := a.addMSP(s, e.Provider.String()); err != nil {
			return mapping.Bundle{}, err
		}
	}
	return a.finish(s)
}

func (s *statement) bundle() (mapping.Bundle, error) {
	b, err := s.message.Marshal()
	return mapping.Bundle{Mapping: b, Receipts: s.receipts, Lineage: s.lineage}, err
}

// latest is the time of the last signature, before which none may be dated.
func (s *statement) latest() int64 {
	if len(s.message.Signatures) == 0 {
		return s.claims.Expires.Unix() - 1 // nobody has signed
	}
	return s.message.Signatures[len(s.message.Signatures)-1].Time
}

// withoutHolder leaves the adversary's signature under another key's name, or
// puts in its place what its style says.
func (a *Adversary) withoutHolder(s *statement) error {
	a.lacked = true
	switch a.style {
	case Copied:
		honest, err := cose.Parse(a.victim.Honest.Mapping, mapping.MaxSize)
		if err != nil {
			return err
		}
		s.message.Signatures = honest.Signatures[:1:1]
	case Missing:
		s.message.Signatures = nil
	case OwnKey, Borrowed, Misused, Again, Sister:
	}
	return nil
}

// addMSP adds an MSP's signature.
func (a *Adversary) addMSP(s *statement, msp string) error {
	p := cose.Params{Role: roleMSP, Time: s.latest()}
	if a.Owns(a.partyOf(msp)) {
		return s.sign(key.LabelMapping, a.w.Key(msp), p)
	}
	if s.offers[msp] != nil {
		b, err := s.bundle()
		if err != nil {
			return err
		}
		signed, err := a.w.MSPs[msp].Sign(a.w.Context(), s.tokens[msp], s.offers[msp], b)
		if err == nil {
			s.message, err = cose.Parse(signed, mapping.MaxSize)
			return err
		}
		a.refused(err)
	}
	return a.withoutSigner(s, key.LabelMapping, msp, registry.RoleMSP, 1, p)
}

// withoutSigner adds a signature that is not its maker's.
func (a *Adversary) withoutSigner(s *statement, l key.Label, name string, role registry.Role, at int, p cose.Params) error {
	a.lacked = true
	k := a.key
	switch a.style {
	case Missing:
		return nil
	case Copied:
		honest, err := cose.Parse(a.w.Victim(a.victim.CSI.Scheme(), stage.Listed).Honest.Mapping, mapping.MaxSize)
		if err != nil {
			return err
		}
		s.message.Signatures = append(slices.Clip(s.message.Signatures), honest.Signatures[at])
		return nil
	case Misused:
		k = a.misused(role)
	case Borrowed:
		if err := s.sign(l, k, p); err != nil {
			return err
		}
		b, err := s.message.Marshal()
		if err != nil {
			return err
		}
		s.message, err = cose.Parse(borrow(b, k, a.w.Key(name)), mapping.MaxSize)
		return err
	case OwnKey, Again, Sister:
	}
	return s.sign(l, k, p)
}

func (s *statement) sign(l key.Label, k key.Private, p cose.Params) error {
	var err error
	s.message, err = s.message.With(l, k, true, p)
	return err
}

// finish submits s to the honest DP, or signs it as the DP.
func (a *Adversary) finish(s *statement) (mapping.Bundle, error) {
	b, err := s.bundle()
	if err != nil {
		return mapping.Bundle{}, err
	}
	p := cose.Params{
		Role: roleDP, Time: s.latest(), Until: min(a.w.Now.Add(mapping.MaxDPLife).Unix(), s.claims.Expires.Unix()), Found: uint8(mapping.FoundFirst),
	}
	if !a.dated.signed.Equal(a.w.Now) { // antedated: renewed today
		p.Role, p.Admitted, p.Time = roleRenew, p.Time, a.w.Now.Unix()
	}
	if a.Owns(cast.DP) {
		l := key.LabelMapping
		if p.Role == roleRenew {
			l = key.LabelRenewal
		}
		if err := s.sign(l, a.w.Key(worldtest.DP), p); err != nil {
			return mapping.Bundle{}, err
		}
		return s.bundle()
	}
	r, err := a.w.DP.Submit(a.w.Context(), s.offer, b, a.w.Now)
	switch {
	case err == nil && !r.Held:
		return r.Bundle, nil
	case err == nil:
		err = stage.ErrHeld
	case errors.Is(err, directory.ErrRaced):
		return mapping.Bundle{}, fmt.Errorf("attack: nobody else is at the DP: %w", err)
	}
	a.refused(err)
	p.Role, p.Admitted = roleDP, 0
	if err := a.withoutSigner(s, key.LabelMapping, worldtest.DP, registry.RoleDP, 2, p); err != nil {
		return mapping.Bundle{}, err
	}
	return s.bundle()
}

// namesOf says which parties of the registry are which.
func namesOf(w *stage.Stage) map[cast.Party]string {
	return map[cast.Party]string{
		cast.DP: worldtest.DP, cast.MSP: worldtest.MSPA, cast.ForeignMSP: stage.OtherMSP, cast.ProverA: w.Provers[0], cast.ProverB: w.Provers[1],
		cast.ProverX: w.Provers[len(w.Provers)-1], cast.ObserverA: stage.ObserverA, cast.ObserverB: stage.ObserverB,
	}
}

// partyOf is the party that a name stands for.
func (a *Adversary) partyOf(name string) cast.Party {
	for p, n := range a.hand.Names {
		if n == name {
			return p
		}
	}
	return cast.Parties
}
