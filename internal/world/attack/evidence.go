package attack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"whither/csi"
	"whither/internal/camara"
	"whither/internal/prover"
	"whither/internal/prover/bycode"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/forge"
	"whither/internal/world/attack/stage"
	"whither/mapping"
	"whither/possession"
)

// evidence is a way to get receipts without the victim: from provers that the
// adversary owns, who sign what they like, and from honest ones who are shown
// what it could make.
type evidence struct {
	name   string
	scheme csi.Scheme
	// needs are the smallest sets with which two receipts are had that count at
	// the honest DP.
	needs []cast.Set
	// first for its scheme: what can be done with receipts is tried in full. What the
	// others get is receipts as good, and it is enough to try for the easiest goal.
	first bool
	// get returns receipts for the adversary's key.
	get func(a *Adversary) ([][]byte, error)
}

// evidences lists every way.
func evidences() []evidence {
	var out []evidence
	tried := make(map[csi.Scheme]bool)
	for _, f := range forge.Forgeries() {
		first := !tried[f.Scheme]
		tried[f.Scheme] = true
		out = append(out, evidence{
			name: f.Name, scheme: f.Scheme, first: first, needs: cast.Minimal(append(f.Needs, twoProvers...)),
			get: func(a *Adversary) ([][]byte, error) { return a.vouched(f) },
		})
	}
	out = append(out, rechecked()...)
	return append(out, codes(), codeAndCall())
}

// twoProvers are the pairs of which each can vouch for anything.
var twoProvers = []cast.Set{cast.Of(cast.ProverA, cast.ProverB), cast.Of(cast.ProverA, cast.ProverX), cast.Of(cast.ProverB, cast.ProverX)}

// strategies returns what can be done with the receipts: a mapping that leads
// nowhere or somewhere, for a CSI that nobody or its holder has listed.
func (e evidence) strategies() []Strategy {
	msps := []cast.Set{cast.Of(cast.MSP), cast.Of(cast.ForeignMSP), cast.Of(cast.VictimKey), cast.Of(cast.VictimWord), cast.Of(cast.CSIP)}
	if e.scheme == csi.Tel {
		msps = append(msps, cast.Of(cast.SIMSwapper))
	}
	var out []Strategy
	for _, goal := range []Goal{Block, Steal} {
		for _, state := range []stage.State{stage.Unlisted, stage.Listed} {
			if !e.first && (goal != Block || state != stage.Unlisted) {
				continue
			}
			needs := e.needs
			if goal == Steal {
				needs = cast.Cross(needs, msps)
			}
			if state == stage.Listed {
				needs = cast.Cross(needs, []cast.Set{cast.Of(cast.DP)})
			}
			out = append(out, Strategy{Name: e.name, Goal: goal, Scheme: e.scheme, State: state, Needs: needs, Run: func(a *Adversary) (mapping.Bundle, error) {
				s, err := a.draft(goal)
				if err != nil {
					return mapping.Bundle{}, err
				}
				if s.receipts, err = e.get(a); err != nil {
					return mapping.Bundle{}, err
				}
				return a.publish(s)
			}})
		}
	}
	return out
}

// vouched gets a receipt of a challenger and one of a witness. Where no two
// provers can be had, the missing ones are done without.
func (a *Adversary) vouched(f forge.Forgery) ([][]byte, error) {
	a.hand.Holder = a.key.Public()
	all := a.provers()
	var last shown
	for _, by := range all {
		s, err := a.show(f, by)
		if err != nil {
			return nil, err
		}
		if last.f.Name == "" {
			last = s
		}
		first, ok := a.voucher(s, by, f.Kind)
		if !ok {
			continue
		}
		for _, other := range all {
			if other == by {
				continue
			}
			if second, ok := a.voucher(s, other, f.Witness); ok {
				return [][]byte{first, second}, nil
			}
		}
	}
	var out [][]byte
	for i, kind := range []possession.Kind{f.Kind, f.Witness} {
		b, err := a.receipt(all[i], a.lie(kind, last.artefact))
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// shown is a forgery that is made for a challenge.
type shown struct {
	f         forge.Forgery
	challenge forge.Challenge
	artefact  forge.Artefact
}

// show makes one for the challenge of a prover.
func (a *Adversary) show(f forge.Forgery, by cast.Party) (shown, error) {
	s := shown{f: f}
	var err error
	if s.challenge, err = a.hand.Ask(by, f.Kind == possession.MailReply); err == nil {
		s.artefact, err = f.Make(&a.hand, s.challenge)
	}
	return s, err
}

// voucher returns the receipt of a prover that is owned or takes the artefact
// for true.
func (a *Adversary) voucher(s shown, by cast.Party, kind possession.Kind) ([]byte, bool) {
	r := a.lie(kind, s.artefact)
	if !a.Owns(by) {
		finding, err := s.f.Judge(&a.hand, by, s.challenge, s.artefact.Raw)
		if err != nil {
			a.refused(err)
			return nil, false
		}
		r = a.attest(finding, kind)
	}
	b, err := r.Sign(a.w.Key(a.hand.Names[by]))
	return b, err == nil
}

// lie is a receipt about an artefact that nobody has judged.
func (a *Adversary) lie(kind possession.Kind, about forge.Artefact) possession.Receipt {
	return possession.Receipt{
		Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(a.victim.CSI, a.key.Public()), Kind: kind, Level: kind.Best(),
		Artefact: sha256.Sum256(about.Raw), KeySeen: about.Seen, Evidence: a.dated.evidence, Signed: a.dated.evidence,
	}
}

// twoCodes are the sets with which two codes of one channel each are had, where the
// second is a code as well or the victim's own call.
func twoCodes(more ...cast.Set) []cast.Set {
	return append([]cast.Set{
		cast.Of(cast.ProverA, cast.ProverB), cast.Of(cast.DP, cast.ProverA, cast.ProverX), cast.Of(cast.DP, cast.ProverB, cast.ProverX), // the DP is who sees to the assignment
		cast.Of(cast.VictimWord), cast.Of(cast.CSIP), cast.Of(cast.SIMSwapper), cast.Of(cast.ProverB, cast.CodesA), cast.Of(cast.DP, cast.ProverX, cast.CodesA),
	}, more...)
}

// codes are one-time codes by two channels, of two provers.
func codes() evidence {
	needs := twoCodes(cast.Of(cast.CodesA, cast.CodesB), cast.Of(cast.ProverA, cast.CodesB), cast.Of(cast.DP, cast.ProverX, cast.CodesB))
	return evidence{name: "codes", scheme: csi.Tel, first: true, needs: needs, get: func(a *Adversary) ([][]byte, error) {
		return a.shares(possession.CodeMessage, possession.CodeCall)
	}}
}

// codeAndCall are a code by message, and a call from the victim's number.
func codeAndCall() evidence {
	overheard := cast.Of(cast.LuredCaller, cast.Archive)
	needs := twoCodes(overheard|cast.Of(cast.ProverA), overheard|cast.Of(cast.CodesA), overheard|cast.Of(cast.DP, cast.ProverX))
	return evidence{name: "a code and a lured call", scheme: csi.Tel, needs: needs, get: func(a *Adversary) ([][]byte, error) {
		return a.shares(possession.CodeMessage, possession.SignedCall)
	}}
}

// shares gets receipts of two provers, each of a kind.
func (a *Adversary) shares(kinds ...possession.Kind) ([][]byte, error) {
	a.hand.Holder = a.key.Public()
	pairs := [][2]cast.Party{{cast.ProverA, cast.ProverB}, {cast.ProverA, cast.ProverX}, {cast.ProverX, cast.ProverB}}
	for _, pair := range pairs {
		var out [][]byte
		for j, by := range pair {
			b, err := a.share(by, kinds[j])
			if err != nil {
				return nil, err
			}
			if b != nil {
				out = append(out, b)
			}
		}
		if len(out) == 2 {
			return out, nil
		}
	}
	var out [][]byte
	for j, by := range pairs[0] {
		b, err := a.receipt(by, a.codeReceipt(kinds[j], by))
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// share returns a prover's receipt of a kind, nil if it cannot be had.
func (a *Adversary) share(by cast.Party, kind possession.Kind) ([]byte, error) {
	if kind != possession.SignedCall || a.Owns(by) {
		return a.code(by, kind)
	}
	found, err := a.hand.SignedCall(by)
	if err != nil {
		a.refused(err)
		return nil, nil
	}
	return a.attest(found, kind).Sign(a.w.Key(a.hand.Names[by]))
}

// code returns the receipt of a prover for a code that it had sent to the
// victim's number, nil if the adversary does not know the code.
func (a *Adversary) code(by cast.Party, kind possession.Kind) ([]byte, error) {
	if !a.Owns(by) {
		phone := &courier{}
		method := bycode.Method(map[possession.Kind]bycode.Courier{kind: phone})
		channel, ok := method.Challengers[kind].(prover.Answerer)
		if !ok {
			return nil, errBroken
		}
		c := prover.Challenge{CSI: a.victim.CSI, Holder: a.key.Public(), Kind: kind, Started: a.w.Now}
		if _, err := channel.Begin(a.w.Context(), &c); err != nil {
			return nil, err
		}
		known := "a guess"
		if a.hand.Reads(by) || by == cast.ProverA && a.Owns(cast.CodesA) || by == cast.ProverB && a.Owns(cast.CodesB) {
			known = phone.code
		}
		if _, err := channel.Answer(a.w.Context(), c, prover.Answer{Code: known}, a.w.Now); err != nil {
			a.refused(err)
			return nil, nil
		}
	}
	return a.codeReceipt(kind, by).Sign(a.w.Key(a.hand.Names[by]))
}

// courier is an operator's service for codes, with one phone.
type courier struct{ code string }

// Send sends a code.
func (c *courier) Send(context.Context, csi.ID, string) (string, error) {
	c.code = rand.Text()[:6]
	return "1", nil
}

// Validate compares one.
func (c *courier) Validate(_ context.Context, _, code string) error {
	if code != c.code {
		return camara.ErrCode
	}
	return nil
}

func (a *Adversary) codeReceipt(kind possession.Kind, by cast.Party) possession.Receipt {
	return a.lie(kind, forge.Artefact{Raw: []byte(fmt.Sprint(kind, " ", by))})
}
