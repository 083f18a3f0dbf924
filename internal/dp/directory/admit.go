package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/offer"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// ErrResidency: the DP keeps data where the mapping may not be kept.
var ErrResidency = errors.New("directory: the mapping may not be kept where this DP keeps data")

// ErrUnassigned: a share of evidence is by a prover that is not assigned to
// this CSI.
var ErrUnassigned = errors.New("directory: a receipt is by a prover that is not assigned to this CSI")

// ErrFull: the CSI has as many mappings as it may.
var ErrFull = errors.New("directory: the CSI has as many mappings as it may; withdraw one")

// MaxLive bounds the live mappings of one CSI, so that answers stay small: more
// MSPs than a person has apps.
const MaxLive = 16

// ErrForeignDP: the mapping names another DP.
var ErrForeignDP = errors.New("directory: the mapping names another DP")

// Config is all that a directory depends on.
type Config struct {
	Party    registry.PartyID
	Key      key.Private // signs in the role DP
	Offers   *offer.Maker
	Store    Store
	Snapshot func() *registry.Snapshot
	// SignatureLife is for how long a DP signature is good; at most seven
	// days, which is also what zero means.
	SignatureLife time.Duration
	// Demands on evidence beyond the federation's, for what this DP admits. Being
	// laxer is not possible.
	Demands possession.Demands
}

// Directory is a DP's mind. It is safe for concurrent use.
type Directory struct {
	Config
	progress progress // of the steps
}

// New returns a directory over a store.
func New(c Config) (*Directory, error) {
	switch {
	case c.Party.IsZero(), c.Key.IsZero(), c.Offers == nil, c.Store == nil, c.Snapshot == nil:
		return nil, errors.New("directory: party, key, offers, store and snapshot are needed")
	case c.SignatureLife < 0 || c.SignatureLife > mapping.MaxDPLife:
		return nil, fmt.Errorf("directory: a DP signature lives at most %s", mapping.MaxDPLife)
	case c.SignatureLife == 0:
		c.SignatureLife = mapping.MaxDPLife
	}
	return &Directory{Config: c}, nil
}

// Terms are what a DP asks of a mapping of one CSI.
type Terms struct {
	Offer     []byte
	Level     possession.Level
	Kinds     []possession.Kind
	Provers   []registry.PartyID // that are not of this DP's operator, in their assigned order
	Residency []string
}

// Offer returns an offer and its terms. It depends on the registry alone,
// never on what is stored: it tells nobody whether a CSI is known here.
func (d *Directory) Offer(id csi.ID, holder key.Public, now time.Time) (Terms, error) {
	s := d.Snapshot()
	own, ok := s.Party(d.Party)
	if !ok {
		return Terms{}, fmt.Errorf("directory: %s is not in the registry", d.Party)
	}
	o, err := d.Offers.Make(id, holder, now)
	if err != nil {
		return Terms{}, err
	}
	evidence := d.policy(s, now).Evidence()
	t := Terms{
		Offer: o, Level: evidence.Level(string(id.Scheme())), Kinds: evidence.Kinds(id), Residency: own.Jurisdictions,
	}
	for _, p := range possession.Assigned(s, id, now) {
		if p.Operator != own.Operator {
			t.Provers = append(t.Provers, p.ID)
		}
	}
	return t, nil
}

// policy is what this DP asks of what it admits.
func (d *Directory) policy(s *registry.Snapshot, now time.Time) mapping.Policy {
	return mapping.PolicyAt(s, now).Stricter(d.Demands)
}

// Result is what became of a submission.
type Result struct {
	Held   bool
	Reason string
	Bundle mapping.Bundle // the finished mapping, unless held
}

// attempts bounds how often a decision is made again because somebody else
// changed the CSI's mappings meanwhile.
const attempts = 5

// Submit verifies a mapping that holder and MSPs have signed, decides, and
// stores and countersigns it, or answers that it is held. Submitting the same
// mapping again gives the same answer.
func (d *Directory) Submit(ctx context.Context, o []byte, b mapping.Bundle, now time.Time) (Result, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return Result{}, err
	}
	c := u.Claims()
	if c.DP != d.Party {
		return Result{}, ErrForeignDP
	}
	s := d.Snapshot()
	p, err := d.policy(s, now).VerifyProposal(u)
	if err != nil {
		return Result{}, err
	}
	if err := d.checkResidency(s, c); err != nil {
		return Result{}, err
	}
	for range attempts {
		r, err := d.try(ctx, o, p, now)
		if !errors.Is(err, ErrRaced) {
			return r, err
		}
	}
	return Result{}, ErrRaced
}

// try makes one decision and carries it out.
func (d *Directory) try(ctx context.Context, o []byte, p mapping.Proposal, now time.Time) (Result, error) {
	c := p.Claims()
	found, err := d.Store.Find(ctx, []csi.ID{c.CSI}, now)
	if err != nil {
		return Result{}, err
	}
	live := found[0]
	decision := Decide(live, c, p.Digest())
	if decision.Verdict == Repeat {
		i := slices.IndexFunc(live, func(s Stored) bool { return s.ID == c.ID })
		return Result{Bundle: live[i].Bundle}, nil
	}
	if err := d.Offers.Check(o, c.CSI, c.Holder, c.DPNonce, now); err != nil {
		return Result{}, err
	}
	switch decision.Verdict {
	case Hold:
		return Result{Held: true, Reason: decision.Reason}, nil
	case Refuse:
		return Result{}, fmt.Errorf("%w: %s", ErrConflict, decision.Reason)
	case AcceptFirst:
		return d.admit(ctx, o, p, live, d.firstFound(), now)
	case AcceptBeside:
		if len(live) >= MaxLive {
			return Result{}, ErrFull
		}
		return d.admit(ctx, o, p, live, mapping.FoundSuccessor, now)
	case AcceptReplace:
		return d.replace(ctx, o, p, now)
	default:
		return Result{}, fmt.Errorf("directory: verdict %d", decision.Verdict)
	}
}

// firstFound is what this DP can say of a mapping that it found to be the first
// here: peers of whom nobody has asked may hold another.
func (d *Directory) firstFound() mapping.Found {
	if len(d.Snapshot().Parties(registry.RoleDP)) > 1 {
		return mapping.FoundProvisional
	}
	return mapping.FoundFirst
}

// admit stores a mapping that was not there. Commit point: the store's return.
func (d *Directory) admit(ctx context.Context, o []byte, p mapping.Proposal, live []Stored, f mapping.Found, now time.Time) (Result, error) {
	if p.Evidence().Oldest.Before(now.Add(-d.evidenceAge())) {
		return Result{}, ErrStale
	}
	if err := checkAssigned(d.Snapshot(), p); err != nil {
		return Result{}, err
	}
	v, err := p.Finish(d.Key, now, now.Add(d.SignatureLife), f)
	if err != nil {
		return Result{}, err
	}
	var saw []mapping.ID
	for _, s := range live {
		saw = append(saw, s.ID)
	}
	if err := d.Store.Admit(ctx, v, saw, offer.Expires(o), now); err != nil {
		return Result{}, err
	}
	return Result{Bundle: v.Bundle()}, nil
}

// checkAssigned refuses shares of provers that the claimant chose himself. The
// provers assigned to a CSI are the first two, and a spare, of those whose
// operators are nobody else's in the mapping, in the quarter of the evidence.
func checkAssigned(s *registry.Snapshot, p mapping.Proposal) error {
	c := p.Claims()
	for _, v := range p.Evidence().Vouchers {
		if !v.Kind.Assigned() {
			continue
		}
		left := 2 + possession.Spares
		ok := slices.ContainsFunc(possession.Assigned(s, c.CSI, v.Evidence), func(candidate registry.Party) bool {
			if left == 0 || barred(s, c, candidate.Operator) {
				return false
			}
			left--
			return candidate.ID == v.Prover
		})
		if !ok {
			return fmt.Errorf("%w: %s", ErrUnassigned, v.Prover)
		}
	}
	return nil
}

// barred reports whether an operator runs the mapping's DP or one of its MSPs.
func barred(s *registry.Snapshot, c mapping.Claims, o registry.Operator) bool {
	is := func(id registry.PartyID) bool {
		p, ok := s.Party(id)
		return ok && p.Operator == o
	}
	return is(c.DP) || slices.ContainsFunc(c.Entries, func(e mapping.Entry) bool { return is(e.Provider) })
}

// replace stores the next sequence of a mapping. Commit point: the store's return.
func (d *Directory) replace(ctx context.Context, o []byte, p mapping.Proposal, now time.Time) (Result, error) {
	v, err := p.Finish(d.Key, now, now.Add(d.SignatureLife), mapping.FoundSuccessor)
	if err != nil {
		return Result{}, err
	}
	if err := d.Store.Replace(ctx, v, offer.Expires(o), now); err != nil {
		return Result{}, err
	}
	return Result{Bundle: v.Bundle()}, nil
}

// evidenceAge is how old evidence may be when it admits a mapping.
func (d *Directory) evidenceAge() time.Duration {
	if h := d.Snapshot().Policy().EvidenceHours; h != 0 {
		return time.Duration(h) * time.Hour
	}
	return 24 * time.Hour
}

// checkResidency refuses to keep a mapping where its holder does not allow it.
// Without a set of its own a mapping may be kept in the CSI's home; a CSI
// without a known home, as a mail address, may be kept anywhere.
func (d *Directory) checkResidency(s *registry.Snapshot, c mapping.Claims) error {
	allowed := c.Residency
	if len(allowed) == 0 {
		allowed = c.CSI.Home()
	}
	own, ok := s.Party(d.Party)
	if !ok {
		return fmt.Errorf("directory: %s is not in the registry", d.Party)
	}
	if len(allowed) == 0 {
		return nil
	}
	for _, j := range own.Jurisdictions {
		if !slices.Contains(allowed, j) {
			return fmt.Errorf("%w: %s", ErrResidency, j)
		}
	}
	return nil
}

// Withdraw ends a mapping on its holder's word.
func (d *Directory) Withdraw(ctx context.Context, statement []byte, now time.Time) error {
	w, err := mapping.ParseWithdrawal(statement)
	if err != nil {
		return err
	}
	s, err := d.Store.ByID(ctx, w.ID, now)
	if err != nil {
		return err
	}
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return fmt.Errorf("directory: stored mapping %s: %w", w.ID, err)
	}
	if err := w.Authorises(u, now); err != nil {
		return err
	}
	return d.Store.Withdraw(ctx, w.ID, w.Payload, now)
}
