package possession

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/key"
	"whither/possession/observe"
	"whither/registry"
)

// Question is what a set of receipts is asked to show.
type Question struct {
	CSI    csi.ID
	Holder key.Public
	// Barred are the operators whose word does not count: the DP's and those
	// of the listed MSPs.
	Barred []registry.Operator
	// Before bounds the receipts' times: the holder signed after them.
	Before time.Time
	// Witnessed is when somebody in good standing, and of another operator,
	// attested that the receipts existed. It saves the receipts of a prover
	// expelled later. Zero means now.
	Witnessed   time.Time
	WitnessedBy registry.Operator
	Now         time.Time
	// Policy says which kinds count. The zero value is the federation's own.
	Policy Policy
}

// Assessment is what a verified set of receipts shows.
type Assessment struct {
	Level  Level
	Oldest time.Time // oldest evidence time of all receipts that count
	// Newest is the newest evidence time that the level rests on: of each pair
	// that reaches it the older one, so that no single party can refresh it.
	Newest time.Time
	// Vouchers are the provers behind it, in the order of the receipts.
	Vouchers []Voucher
	// Observers are those whose word on a key is among the receipts.
	Observers []registry.PartyID
}

// Voucher is a prover and what it vouched for.
type Voucher struct {
	Prover   registry.PartyID
	Operator registry.Operator
	Kind     Kind
	Evidence time.Time
}

// Assess verifies every statement of a set and computes the level. One bad
// statement spoils the set: whoever puts it there has something to explain. One
// of a kind that the policy does not count is no more than passed over, since
// policies change while mappings live.
func Assess(s *registry.Snapshot, set []Unverified, q Question) (Assessment, error) {
	switch {
	case len(set) == 0:
		return Assessment{}, ErrNoReceipts
	case len(set) > MaxReceipts:
		return Assessment{}, ErrTooMany
	}
	if !q.Policy.known {
		q.Policy = PolicyOf(s)
	}
	subject := SubjectOf(q.CSI, q.Holder)
	var e evidence
	why := ErrNoReceipts
	for i, u := range set {
		for _, earlier := range set[:i] {
			if earlier.digest == u.digest {
				return Assessment{}, ErrRepeated
			}
		}
		if u.isWord {
			w, err := u.verifyWord(s, q)
			if err != nil {
				return Assessment{}, err
			}
			e.words = append(e.words, w)
			continue
		}
		v, err := u.verify(s, subject, q)
		if err != nil {
			return Assessment{}, err
		}
		if err := q.Policy.counts(v.Kind, q.CSI); err != nil {
			why = err
			continue
		}
		e.receipts = append(e.receipts, v)
	}
	if len(e.receipts) == 0 {
		return Assessment{}, why
	}
	return e.assess(), nil
}

// evidence is a set whose signers and bindings are verified.
type evidence struct {
	receipts []vouched
	words    []observe.VerifiedWord
}

// assess computes what the set shows; it has at least one receipt.
func (e evidence) assess() Assessment {
	a := Assessment{Oldest: e.receipts[0].Evidence}
	for _, v := range e.receipts {
		a.Vouchers = append(a.Vouchers, Voucher{Prover: v.prover, Operator: v.operator, Kind: v.Kind, Evidence: v.Evidence})
		if v.Evidence.Before(a.Oldest) {
			a.Oldest = v.Evidence
		}
	}
	for _, w := range e.words {
		a.Observers = append(a.Observers, w.Observer())
	}
	a.Level, a.Newest = e.level()
	if a.Newest.IsZero() {
		a.Newest = a.Oldest
	}
	return a
}

// vouched is a receipt whose signer and binding are verified.
type vouched struct {
	Receipt
	rule     rule
	prover   registry.PartyID
	operator registry.Operator
}

// verify checks one receipt.
func (u Unverified) verify(s *registry.Snapshot, subject Subject, q Question) (vouched, error) {
	r := u.receipt
	row, ok := ruleOf(r.Kind)
	if !ok {
		return vouched{}, ErrKindUnknown
	}
	signer, ok := s.Signer(u.message.Signature.KID)
	if !ok || signer.Key.Role != registry.RoleProver || !signer.InForce(r.Signed) {
		return vouched{}, ErrUnknown
	}
	operator := signer.Party.Operator
	switch {
	case !slices.Contains(row.schemes, string(q.CSI.Scheme())):
		return vouched{}, ErrUnfitKind
	case !bytes.Equal(r.Subject[:], subject[:]):
		return vouched{}, ErrForeign
	case slices.Contains(q.Barred, operator):
		return vouched{}, fmt.Errorf("%w: %s", ErrDependent, operator)
	case r.Evidence.After(r.Signed), r.Signed.After(q.Before), r.Signed.After(q.Now.Add(registry.MaxSkew)):
		return vouched{}, ErrOrder
	}
	witnessed := q.Witnessed
	if witnessed.IsZero() || q.WitnessedBy == operator {
		witnessed = q.Now
	}
	if !signer.Party.Standing.Counts(r.Signed, witnessed) {
		return vouched{}, fmt.Errorf("%w: %s", ErrStanding, signer.Party.ID)
	}
	if err := u.message.Verify(key.LabelReceipt, signer.Key.Public); err != nil {
		return vouched{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return vouched{Receipt: r, rule: row, prover: signer.Party.ID, operator: operator}, nil
}

// verifyWord checks an observer's word and that it is about the place where the
// CSI's key is published.
func (u Unverified) verifyWord(s *registry.Snapshot, q Question) (observe.VerifiedWord, error) {
	if q.CSI.Scheme() == csi.Tel {
		return observe.VerifiedWord{}, ErrUnfitKind // no key of a number is published
	}
	if place := u.word.Key(); place.Kind == observe.DKIM && !q.Policy.publishes(place, q.CSI) {
		return observe.VerifiedWord{}, ErrForeign
	}
	if u.word.Signed().After(q.Before) {
		return observe.VerifiedWord{}, ErrOrder
	}
	w, err := u.word.Verify(s, observe.Question{Barred: q.Barred, Witnessed: q.Witnessed, WitnessedBy: q.WitnessedBy, Now: q.Now})
	if err != nil {
		return observe.VerifiedWord{}, translate(err)
	}
	if !q.Policy.publishes(w.Key(), q.CSI) {
		return observe.VerifiedWord{}, nil // an issuer that does not count covers nothing
	}
	return w, nil
}

// translate gives an observer's statement the reasons of a receipt.
func translate(err error) error {
	for _, row := range []struct{ theirs, ours error }{
		{observe.ErrUnknown, ErrUnknown},
		{observe.ErrStanding, ErrStanding},
		{observe.ErrDependent, ErrDependent},
		{observe.ErrOrder, ErrOrder},
		{observe.ErrSignature, ErrSignature},
	} {
		if errors.Is(err, row.theirs) {
			return fmt.Errorf("%w: %w", row.ours, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrReceipt, err)
}

// level computes the strength of the set and the newest evidence that has it:
// the best of its pairs, each as strong as its weakest link. A pair is two words
// by different operators, the first by a prover that challenged the CSI itself.
// Without a pair all is one party's word: Level1.
func (e evidence) level() (Level, time.Time) {
	best, newest := Level1, time.Time{}
	take := func(l Level, at time.Time) {
		if l > best || l == best && l > Level1 && at.After(newest) {
			best, newest = l, at
		}
	}
	for _, first := range e.receipts {
		if !first.rule.asked {
			continue
		}
		for _, other := range e.receipts {
			if other.operator == first.operator || other.rule.family != first.rule.family {
				continue
			}
			at := first.Evidence
			if other.Evidence.Before(at) {
				at = other.Evidence
			}
			take(e.pairLevel(first, other), at)
		}
	}
	return best, newest
}

// pairLevel is the level of two receipts of one family and of different
// operators, the first by a prover that asked: the weaker of the two, if they
// corroborate each other.
func (e evidence) pairLevel(first, other vouched) Level {
	pair := min(first.Level, first.rule.best, other.Level, other.rule.best)
	if first.rule.agree == otherChannel {
		if first.rule.channel == other.rule.channel {
			return Level1 // whoever owns the channel owns both
		}
		return pair
	}
	named := first.KeySeen != [sha256.Size]byte{} || first.rule.agree == sameArtefact
	oneKey := named && first.KeySeen == other.KeySeen
	switch {
	case first.Artefact != other.Artefact:
		return Level1
	case other.rule.asked && first.Kind != other.Kind:
		return Level1 // an artefact has one form: one of the two is wrong
	case !oneKey && first.rule.published == 0:
		return Level1 // the key is in the artefact: one of the two is wrong
	case other.rule.unseen && (!oneKey || !e.seenBeside(first)):
		// That it is a key of the CSIP's, or that the artefact verified under one, is
		// the first one's word alone: who is handed an artefact and a key of his own
		// making finds both in order.
		return Level1
	case !oneKey:
		// Whoever keeps old keys could have made the artefact.
		return min(pair, Level2)
	}
	return pair
}

// seenBeside reports whether an observer of another operator saw the key of a
// receipt published when the evidence was made. It stands in for the look-up of
// another prover, and for no more: an observer has not seen the artefact, and
// that it exists would be one prover's word.
func (e evidence) seenBeside(a vouched) bool {
	return slices.ContainsFunc(e.words, func(w observe.VerifiedWord) bool {
		return w.Operator() != a.operator && w.Key().Kind == a.rule.published && w.Covers(a.KeySeen, a.Evidence)
	})
}
