package attack

import (
	"crypto/sha256"
	"time"

	"whither/internal/prover"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/forge"
	"whither/possession"
	"whither/possession/observe"
)

// rechecked lists evidence under keys that are published no longer: a challenger's
// receipt, that of an honest prover who judges by the key that it is handed, and
// an observer's word that the key was published.
func rechecked() []evidence {
	askers := []cast.Set{cast.Of(cast.ProverA), cast.Of(cast.ProverB), cast.Of(cast.ProverX)}
	observers := []cast.Set{cast.Of(cast.ObserverA), cast.Of(cast.ObserverB)}
	var out []evidence
	for _, f := range forge.Forgeries() {
		kind, ok := f.Kind.Recheck()
		if !ok || f.Recheck == nil {
			continue
		}
		needs := append(cast.Cross(askers, observers), f.Needs...)
		if f.Kind == possession.MailReply { // keys of issuers are had over HTTPS
			needs = append(needs, cast.Cross([]cast.Set{cast.Of(cast.DNSA), cast.Of(cast.DNSB)}, observers)...)
		}
		out = append(out, evidence{
			name: f.Name + ", rechecked", scheme: f.Scheme, needs: cast.Minimal(append(needs, twoProvers...)), first: f.Kind == possession.MailReply,
			get: func(a *Adversary) ([][]byte, error) { return a.rechecked(f, kind) },
		})
	}
	return out
}

// rechecked gets a challenger's receipt, another prover's, and a word.
func (a *Adversary) rechecked(f forge.Forgery, kind possession.Kind) ([][]byte, error) {
	a.hand.Holder = a.key.Public()
	all := a.provers()
	for _, by := range all {
		s, err := a.show(f, by)
		if err != nil {
			return nil, err
		}
		claimed := s
		if a.style == Sister { // who asked says that it was the key of today
			claimed.artefact.Seen = f.Today(&a.hand).Digest
		}
		first, ok := a.voucher(claimed, by, f.Kind)
		if !ok {
			continue
		}
		second, err := a.second(s, by, kind)
		if err != nil || len(second) == 0 {
			return nil, err
		}
		word, err := a.word(s)
		if err != nil {
			return nil, err
		}
		out := [][]byte{first, second}
		if word != nil {
			out = append(out, word)
		}
		return out, nil
	}
	return a.vouched(f) // nobody has asked
}

// second is the receipt of another prover than by: of a witness, or of one that
// judges by the key that it is handed.
func (a *Adversary) second(s shown, by cast.Party, kind possession.Kind) ([]byte, error) {
	for _, other := range a.provers() {
		if other == by {
			continue
		}
		if b, ok := a.voucher(s, other, s.f.Witness); ok {
			return b, nil
		}
	}
	for _, other := range a.provers() {
		if other == by {
			continue
		}
		finding, err := s.f.Recheck(&a.hand, s.challenge, s.artefact.Raw)
		if err != nil {
			a.refused(err)
			continue
		}
		return a.attest(finding, kind).Sign(a.w.Key(a.hand.Names[other]))
	}
	return a.receipt(by, a.lie(kind, s.artefact))
}

// word is an observer's on the key of what is shown: false if it is owned, else in
// the adversary's style. What may be copied is what honest observers have said:
// that the retired key was published until it was retired, or that the one of today
// is.
func (a *Adversary) word(s shown) ([]byte, error) {
	o := observe.Observation{Key: s.artefact.Place, First: a.w.Now.Add(-time.Hour), Last: a.w.Now, Signed: a.w.Now}
	for _, p := range []cast.Party{cast.ObserverA, cast.ObserverB} {
		if a.Owns(p) {
			return o.Sign(a.w.Key(a.hand.Names[p]))
		}
	}
	a.lacked, a.spoken = true, true
	switch observer := a.w.Key(a.hand.Names[cast.ObserverA]); a.style {
	case Missing:
		return nil, nil
	case Copied:
		o.First, o.Last, o.Signed = a.w.Now.Add(-500*24*time.Hour), a.w.Now.Add(-200*24*time.Hour), a.w.Now.Add(-200*24*time.Hour)
		return o.Sign(observer)
	case Borrowed:
		b, err := o.Sign(a.key)
		return borrow(b, a.key, observer), err
	case Misused, Again:
		if p := a.provers()[0]; a.Owns(p) { // who asked says as well that it saw the key
			return o.Sign(a.w.Key(a.hand.Names[p]))
		}
	case Sister:
		o.Key = s.f.Today(&a.hand)
		return o.Sign(observer)
	case OwnKey:
	}
	return o.Sign(a.key)
}

// attest is the receipt of an honest prover for what it found.
func (a *Adversary) attest(found prover.Finding, kind possession.Kind) possession.Receipt {
	return possession.Receipt{
		Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(a.victim.CSI, a.hand.Holder), Kind: kind, Level: found.Level,
		Artefact: sha256.Sum256(found.Artefact), KeySeen: found.KeySeen, Evidence: a.w.Now, Signed: a.w.Now,
	}
}
