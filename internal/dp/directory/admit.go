package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/internal/offer"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// ErrResidency: the DP keeps data where the mapping may not be kept.
var ErrResidency = errors.New("directory: the mapping may not be kept where this DP keeps data")

// ErrUnassigned: see package docket.
var ErrUnassigned = docket.ErrUnassigned

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
	// Peers asks the other DPs; nil asks none.
	Peers Peers
	// Teller carries notices out; nil leaves them lying.
	Teller Teller
	// Grace is for how long nobody may have seen this DP at work before holds
	// stand still; zero means 15 minutes.
	Grace time.Duration
	// Reviewers decide cases, each with a key; Quorum is how many have to agree,
	// zero means one.
	Reviewers []key.Public
	Quorum    int
	// Live bounds the live mappings of one CSI; zero means MaxLive, the most.
	Live int
}

// Peers asks the other DPs of the federation.
type Peers interface {
	// Ask returns the lineages of a CSI that live elsewhere, and whether every
	// DP that may hold one has answered.
	Ask(ctx context.Context, id csi.ID) (held []precedence.Lineage, complete bool, err error)
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
	case c.Live < 0 || c.Live > MaxLive:
		return nil, fmt.Errorf("directory: at most %d mappings of a CSI live", MaxLive)
	case c.Grace < 0 || c.Quorum < 0 || c.Quorum > max(1, len(c.Reviewers)):
		return nil, errors.New("directory: grace and quorum are not negative, and there are as many reviewers as have to agree")
	}
	c.SignatureLife, c.Grace = cmp.Or(c.SignatureLife, mapping.MaxDPLife), cmp.Or(c.Grace, 15*time.Minute)
	c.Live = cmp.Or(c.Live, MaxLive)
	c.Quorum = max(1, c.Quorum)
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
	Held   bool // the incumbents are asked
	Review bool // people decide
	Reason string
	Until  time.Time      // held, review: the latest time of the decision, if nothing stands still
	Bundle mapping.Bundle // the finished mapping, unless held or in review
}

// attempts bounds how often a decision is made again because somebody else
// changed the CSI's mappings meanwhile.
const attempts = 16

// Submit verifies a mapping that holder and MSPs have signed, decides, and
// stores and countersigns it, or answers that it is held. Submitting the same
// mapping again gives the same answer, or what has become of it since.
func (d *Directory) Submit(ctx context.Context, o []byte, b mapping.Bundle, now time.Time) (Result, error) {
	return d.submit(ctx, o, b, false, now)
}

// Appeal is Submit, but what would be refused as weaker goes to people.
func (d *Directory) Appeal(ctx context.Context, o []byte, b mapping.Bundle, now time.Time) (Result, error) {
	return d.submit(ctx, o, b, true, now)
}

func (d *Directory) submit(ctx context.Context, o []byte, b mapping.Bundle, appeal bool, now time.Time) (Result, error) {
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
		r, err := d.try(ctx, o, p, appeal, now)
		if !errors.Is(err, ErrRaced) {
			return r, err
		}
	}
	return Result{}, ErrRaced
}

// open reads what is known of a CSI.
func (d *Directory) open(ctx context.Context, id csi.ID, now time.Time) (*docket.Docket, error) {
	raw, err := d.Store.Case(ctx, id, now)
	if err != nil {
		return nil, err
	}
	t := precedence.Clock{Now: now, Served: now}
	if len(raw.Live) > 0 || len(raw.Records) > 0 {
		was, err := d.Store.Clock(ctx)
		if err != nil {
			return nil, err
		}
		t.Served = now.Add(-d.tick(was, now, false).Stood)
	}
	s := d.Snapshot()
	k, err := docket.Read(id, raw, s, t)
	if err != nil {
		return nil, err
	}
	if d.Peers == nil {
		k.Facts.Complete = len(s.Parties(registry.RoleDP)) <= 1
		return k, nil
	}
	held, complete, err := d.Peers.Ask(ctx, id)
	// A peer that cannot be asked does not block.
	k.Facts.Lineages, k.Facts.Complete = append(k.Facts.Lineages, held...), complete && err == nil
	return k, nil
}

// try makes one decision and carries it out. Commit point: the store's return.
func (d *Directory) try(ctx context.Context, o []byte, p mapping.Proposal, appeal bool, now time.Time) (Result, error) {
	c := p.Claims()
	k, err := d.open(ctx, c.CSI, now)
	if err != nil {
		return Result{}, err
	}
	if r, known, err := again(k, p); known {
		return r, err
	}
	relation, conflict := k.Relate(p)
	if errors.Is(conflict, docket.ErrRepeated) {
		i := slices.IndexFunc(k.Raw.Live, func(s Stored) bool { return s.ID == c.ID })
		return Result{Bundle: k.Raw.Live[i].Bundle}, nil
	}
	if err := d.Offers.Check(o, c.CSI, c.Holder, c.DPNonce, now); err != nil {
		return Result{}, err
	}
	if conflict != nil {
		return Result{}, conflict
	}
	if err := d.checkReceipts(k, p, relation); err != nil {
		return Result{}, err
	}
	n := docket.Newcomer(p, relation)
	n.Appeal, n.FreshFor = appeal, d.evidenceAge()
	decision := precedence.Decide(k.Facts, n, k.Clock)
	switch decision.Verdict {
	case precedence.Accept, precedence.Provisional:
		return d.accept(ctx, k, p, relation, decision, offer.Expires(o))
	case precedence.Hold, precedence.Review:
		return d.hold(ctx, k, p, decision, offer.Expires(o))
	default:
		return Result{}, refusal(decision)
	}
}

// refusal is the error of a decision.
func refusal(d precedence.Decision) error {
	why := map[precedence.Row]error{
		precedence.RowStale: ErrStale, precedence.RowBarred: ErrBarred, precedence.RowWeaker: ErrWeaker, precedence.RowTooMany: ErrTooMany,
	}[d.Row]
	return fmt.Errorf("%w: %s", why, d.Reason)
}

// again answers for a mapping that is a claim here.
func again(k *docket.Docket, p mapping.Proposal) (Result, bool, error) {
	c, known := k.Claim(p.Claims().ID)
	if !known || c.Lives {
		return Result{}, false, nil
	}
	u, err := mapping.Parse(c.Bundle)
	switch {
	case err != nil || u.Digest() != p.Digest():
		return Result{}, true, ErrIDTaken
	case !c.Phase.Open():
		return Result{}, true, fmt.Errorf("%w: its claim has ended: %s", ErrIDTaken, c.Phase)
	}
	return result(k, c.Claim, "the claim is open"), true, nil
}

func result(k *docket.Docket, c precedence.Claim, reason string) Result {
	return Result{Held: c.Phase == precedence.Held, Review: c.Phase == precedence.Reviewed, Reason: reason, Until: k.When(c.Next())}
}

// accept stores and countersigns a mapping.
func (d *Directory) accept(
	ctx context.Context, k *docket.Docket, p mapping.Proposal, relation precedence.Relation, decision precedence.Decision, until time.Time,
) (Result, error) {
	w := Write{Nonce: p.Claims().DPNonce, NonceUntil: until}
	k.End(&w, decision.Ends)
	if relation != precedence.Successor && len(k.Raw.Live)-len(w.Ends) >= d.Live {
		return Result{}, ErrFull
	}
	found := mapping.FoundSuccessor
	switch {
	case relation == precedence.Stranger && decision.Verdict == precedence.Provisional:
		found = mapping.FoundProvisional
	case relation == precedence.Stranger:
		found = mapping.FoundFirst
	}
	now := k.Clock.Now
	v, err := p.Finish(d.Key, now, now.Add(d.SignatureLife), found)
	if err != nil {
		return Result{}, err
	}
	if err := k.InLineage(&w, p); err != nil {
		return Result{}, err
	}
	if err := d.store(ctx, k, v, w, relation); err != nil {
		return Result{}, err
	}
	if len(k.Claims) > 0 {
		_ = d.Settle(ctx, k.CSI, now) // the mapping lives, and that was asked; what follows is due
	}
	return Result{Bundle: v.Bundle()}, nil
}

// store makes the write of a mapping: the plain one where nothing else is known
// of the CSI.
func (d *Directory) store(ctx context.Context, k *docket.Docket, v mapping.Verified, w Write, relation precedence.Relation) error {
	plain := len(k.Raw.Records) == 0 && len(w.Put) == 0 && len(w.Ends) == 0
	switch {
	case plain && relation == precedence.Successor:
		return d.Store.Replace(ctx, v, w.NonceUntil, k.Clock.Now)
	case plain:
		var saw []mapping.ID
		for _, s := range k.Raw.Live {
			saw = append(saw, s.ID)
		}
		return d.Store.Admit(ctx, v, saw, w.NonceUntil, k.Clock.Now)
	case relation == precedence.Successor:
		w.Replace = v
	default:
		w.Admit = v
	}
	return d.Store.Apply(ctx, k.CSI, k.Raw, w, k.Clock.Now)
}

// hold stores a claim.
func (d *Directory) hold(ctx context.Context, k *docket.Docket, p mapping.Proposal, decision precedence.Decision, until time.Time) (Result, error) {
	w, err := k.Hold(decision, p.Bundle())
	if err != nil {
		return Result{}, err
	}
	w.Nonce, w.NonceUntil = p.Claims().DPNonce, until
	if err := d.Store.Apply(ctx, k.CSI, k.Raw, w, k.Clock.Now); err != nil {
		return Result{}, err
	}
	return result(k, *decision.Claim, decision.Reason), nil
}

// checkReceipts looks at receipts that are not those of a mapping of the
// lineage, which were looked at when they came: who made them, and when.
func (d *Directory) checkReceipts(k *docket.Docket, p mapping.Proposal, relation precedence.Relation) error {
	if relation != precedence.Stranger {
		known := make(map[[32]byte]bool)
		for _, s := range k.Raw.Live {
			u, err := mapping.Parse(s.Bundle)
			if err != nil {
				return fmt.Errorf("directory: stored mapping %s: %w", s.ID, err)
			}
			for _, r := range u.Claims().Receipts {
				known[r] = known[r] || s.Lineage == p.Claims().Lineage
			}
		}
		if !slices.ContainsFunc(p.Claims().Receipts, func(r [32]byte) bool { return !known[r] }) {
			return nil
		}
		if p.Evidence().Oldest.Before(k.Clock.Now.Add(-d.evidenceAge())) {
			return ErrStale
		}
	}
	return docket.CheckAssigned(d.Snapshot(), p.Claims(), p.Evidence())
}

// evidenceAge is how old evidence may be when it admits a mapping.
func (d *Directory) evidenceAge() time.Duration {
	if h := d.Snapshot().Policy().EvidenceHours; h != 0 {
		return time.Duration(h) * time.Hour
	}
	return precedence.FreshFor
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
