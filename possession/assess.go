package possession

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/key"
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
}

// Assessment is what a verified set of receipts shows.
type Assessment struct {
	Level  Level
	Oldest time.Time // oldest evidence time that the level rests on
	Newest time.Time // newest evidence time
	// Vouchers are the provers behind it, in the order of the receipts.
	Vouchers []Voucher
}

// Voucher is a prover and what it vouched for.
type Voucher struct {
	Prover   registry.PartyID
	Operator registry.Operator
	Kind     Kind
	Evidence time.Time
}

// Assess verifies every receipt of a set and computes the level. One bad
// receipt spoils the set: whoever puts it there has something to explain.
func Assess(s *registry.Snapshot, set []Unverified, q Question) (Assessment, error) {
	switch {
	case len(set) == 0:
		return Assessment{}, ErrNoReceipts
	case len(set) > MaxReceipts:
		return Assessment{}, ErrTooMany
	}
	subject := SubjectOf(q.CSI, q.Holder)
	var good []vouched
	for i, u := range set {
		for _, earlier := range set[:i] {
			if earlier.digest == u.digest {
				return Assessment{}, ErrRepeated
			}
		}
		v, err := u.verify(s, subject, q)
		if err != nil {
			return Assessment{}, err
		}
		good = append(good, v)
	}
	a := Assessment{Level: Level1, Oldest: good[0].Evidence, Newest: good[0].Evidence}
	for _, v := range good {
		a.Vouchers = append(a.Vouchers, Voucher{Prover: v.prover, Operator: v.operator, Kind: v.Kind, Evidence: v.Evidence})
		if v.Evidence.Before(a.Oldest) {
			a.Oldest = v.Evidence
		}
		if v.Evidence.After(a.Newest) {
			a.Newest = v.Evidence
		}
	}
	a.Level = level(good)
	return a, nil
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

// level computes the strength of a verified set: for each family of kinds the
// weakest of its links, then the best family.
func level(good []vouched) Level {
	best := Level1
	for _, v := range good {
		if v.rule.asked {
			best = max(best, familyLevel(v, good))
		}
	}
	return best
}

// familyLevel is the level that first, a receipt of a prover which challenged
// the CSI itself, reaches together with receipts of other operators. Alone it
// is one party's word: Level1.
func familyLevel(first vouched, good []vouched) Level {
	best := Level1
	for _, other := range good {
		if other.operator != first.operator && other.rule.family == first.rule.family {
			best = max(best, pairLevel(first, other))
		}
	}
	return best
}

// pairLevel is the level of two receipts of one family and of different
// operators: the weaker of the two, if they corroborate each other.
func pairLevel(a, b vouched) Level {
	pair := min(a.Level, a.rule.best, b.Level, b.rule.best)
	if a.rule.agree == otherChannel {
		if a.rule.channel == b.rule.channel {
			return Level1 // whoever owns the channel owns both
		}
		return pair
	}
	switch unnamed := a.KeySeen == [sha256.Size]byte{}; {
	case a.Artefact != b.Artefact:
		return Level1
	case a.rule.asked && b.rule.asked && a.Kind != b.Kind:
		return Level1 // an artefact has one form: one of the two is wrong
	case a.KeySeen != b.KeySeen, unnamed && a.rule.agree == sameKey:
		// Whoever keeps old keys could have made the artefact.
		return min(pair, Level2)
	}
	return pair
}
