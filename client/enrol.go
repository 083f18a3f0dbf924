package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Holder does what only the person can do while she proves possession.
type Holder interface {
	// SubjectToken returns the token in the subject of the challenge mail that
	// comes from the given address.
	SubjectToken(ctx context.Context, from string) (string, error)
	// SendReply sends body, exactly, as a reply to that mail.
	SendReply(ctx context.Context, from, token, body string) error
	// Code returns the code that a prover sends to the number, over the channel
	// of the kind: a message or a call.
	Code(ctx context.Context, prover registry.PartyID, kind possession.Kind) (string, error)
	// Sign has her sign content, exactly, with the key of her S/MIME certificate. It
	// returns a detached CMS signature in DER.
	Sign(ctx context.Context, prover registry.PartyID, content []byte) ([]byte, error)
	// SignIn shows her what a sign-in at her OpenID provider says in her name, and
	// a URL to open for it. It may wait until she has been there.
	SignIn(ctx context.Context, prover registry.PartyID, sentence, url string) error
	// SendText has her phone send text, exactly, to a SIP address.
	SendText(ctx context.Context, to, text string) error
	// Call has her phone call a SIP address and enter code by its keys, once she
	// has read what that says in her name.
	Call(ctx context.Context, to, sentence, code string) error
	// Attest has who speaks for her number sign that a key does too. It returns a
	// PASSporT or an authority token and, unless they stand in it, behind it the
	// signer's certificates in PEM.
	Attest(ctx context.Context, prover registry.PartyID, a Attestation) ([]byte, error)
}

// Wish is what a holder wants.
type Wish struct {
	CSI       csi.ID
	Key       key.Private
	DP        registry.PartyID
	MSPs      []registry.PartyID // none: registered, and not to be found
	Tokens    map[registry.PartyID]string
	Tags      []string
	Residency []string
	// ByObserver has the second prover judge by the key that an observer saw, and
	// takes the observer's word along. Without it that is done only where the second
	// prover does not find the key any more: an observer that is asked about a
	// domain learns that somebody there enrols.
	ByObserver bool
	// Evidence is the kind of evidence to give; zero: the first that the DP's offer
	// names and this client can give. Codes are named by CodeMessage, for both; where
	// the second comes by her own call, by SignedCall.
	Evidence possession.Kind
	// Replaces is the mapping that this one takes the place of, if any. Its
	// receipts are used again; nothing is proved anew.
	Replaces *mapping.Verified
	// Beside is another mapping of this CSI by the same person, to whose lineage
	// this one belongs; nil for a person's first.
	Beside *mapping.Verified
	// Statement leads from the holder of Replaces or Beside to Key, where that is
	// another: a hand-over or a join, complete. What that mapping rests on is used
	// again; nothing is proved anew.
	Statement []byte

	incumbent *wire.Bundle // a re-proof: the mapping that it is for
}

// rests returns the mapping whose evidence is used again; nil if there is none.
func (w Wish) rests() *mapping.Verified {
	if w.Replaces == nil && len(w.Statement) > 0 {
		return w.Beside
	}
	return w.Replaces
}

// purpose is what evidence is given for.
func (w Wish) purpose() uint8 {
	if w.incumbent != nil {
		return uint8(possession.PurposeReprove)
	}
	return uint8(possession.PurposeEnrol)
}

// Progress is told of each step of an enrolment, for people to watch.
type Progress func(step string)

// Enrolment is the state of an enrolment after each step. It can be written
// down (it is plain data) and continued after a crash of either side.
type Enrolment struct {
	DPOffer    wire.DPOffer
	MSPOffers  []wire.MSPOffer
	Provers    []registry.PartyID // two of different operators, in the DP's order
	Kind       string             // of the evidence that is being given
	Challenges []wire.Challenge   // mail: the first prover's; codes: one of each
	Refused    string             // problem type of the last refused reply
	Token      string             // of the challenge mail; kept so that the reply can be shown again
	Receipts   []wire.Bytes
	Artefact   wire.Bytes
	Nonce      wire.Bytes
	Word       wire.Bytes  // of an observer, on the key of the artefact
	Published  wire.Bytes  // what it found published
	Signed     wire.Bundle // by holder and MSPs
}

// Enrolled is a finished enrolment.
type Enrolled struct {
	Mapping  mapping.Verified
	Artefact []byte // the raw evidence; it is the holder's to keep
}

// pollInterval is how often a waiting challenge is asked for.
const pollInterval = 200 * time.Millisecond

// Enrol makes a mapping: offers, proof of possession, signatures, submission.
// e carries the state; an empty one starts afresh. After an error other than
// a refusal, calling it again with the same e goes on where it stopped.
func (c *Client) Enrol(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) (Enrolled, error) {
	if err := c.getOffers(ctx, w, e, say); err != nil {
		return Enrolled{}, err
	}
	if old := w.rests(); old != nil {
		e.Receipts = wire.BundleOf(old.Bundle()).Receipts
	} else if err := c.prove(ctx, w, h, e, say); err != nil {
		return Enrolled{}, err
	}
	if err := c.sign(ctx, w, e, say); err != nil {
		return Enrolled{}, err
	}
	v, err := c.submit(ctx, w, e, say)
	if err != nil {
		return Enrolled{}, err
	}
	return Enrolled{Mapping: v, Artefact: e.Artefact}, nil
}

// getOffers asks the DP and each MSP for its part.
func (c *Client) getOffers(ctx context.Context, w Wish, e *Enrolment, say Progress) error {
	r := wire.OfferRequest{CSI: csi.Clear{ID: w.CSI}, Key: w.Key.Public().Bytes()}
	if len(e.DPOffer.Offer) == 0 {
		if err := c.parties.Call(ctx, w.DP, wire.PathOffers, "", r, &e.DPOffer); err != nil {
			return fmt.Errorf("offer of %s: %w", w.DP, err)
		}
		say(fmt.Sprintf("%s offers: evidence of level %d, by %v", w.DP, e.DPOffer.Level, e.DPOffer.Provers))
	}
	for i := len(e.MSPOffers); i < len(w.MSPs); i++ {
		var o wire.MSPOffer
		if err := c.parties.Call(ctx, w.MSPs[i], wire.PathOffers, w.Tokens[w.MSPs[i]], r, &o); err != nil {
			return fmt.Errorf("offer of %s: %w", w.MSPs[i], err)
		}
		e.MSPOffers = append(e.MSPOffers, o)
		say(fmt.Sprintf("%s confirms the account and offers %s", w.MSPs[i], o.URI))
	}
	return nil
}

// prove collects the receipts that the DP's offer asks for.
func (c *Client) prove(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
	if len(e.Receipts) >= 2 {
		return nil
	}
	if len(e.Provers) == 0 {
		if err := c.pickProvers(w, e); err != nil {
			return err
		}
	}
	by, err := c.choose(w, e)
	if err != nil {
		return err
	}
	if e.Kind != by.kind.String() {
		// What was begun by another kind is of no use for this one.
		e.Kind, e.Challenges, e.Receipts, e.Artefact, e.Nonce, e.Token, e.Refused = by.kind.String(), nil, nil, nil, nil, "", ""
	}
	return by.prove(ctx, w, h, e, say)
}

// pickProvers takes the first two provers of the DP's order whose operators
// differ from each other's, the DP's and every listed MSP's.
func (c *Client) pickProvers(w Wish, e *Enrolment) error {
	s := c.registry()
	var barred []registry.Operator
	for _, id := range append([]registry.PartyID{w.DP}, w.MSPs...) {
		if p, ok := s.Party(id); ok {
			barred = append(barred, p.Operator)
		}
	}
	var picked []registry.PartyID
	for _, id := range e.DPOffer.Provers {
		p, ok := s.Party(id)
		if !ok || !p.Has(registry.RoleProver) || slices.Contains(barred, p.Operator) {
			continue
		}
		picked = append(picked, id)
		barred = append(barred, p.Operator)
	}
	if len(picked) < 2 {
		return ErrProvers
	}
	e.Provers = picked[:2]
	return nil
}

// start starts a challenge of one kind at a prover.
func (c *Client) start(ctx context.Context, w Wish, at registry.PartyID, kind possession.Kind) (wire.Challenge, error) {
	var ch wire.Challenge
	err := c.parties.Call(ctx, at, wire.PathChallenges, "", wire.ChallengeRequest{
		CSI: csi.Clear{ID: w.CSI}, Key: w.Key.Public().Bytes(), Kind: kind.String(), Purpose: w.purpose(), Incumbent: w.incumbent,
	}, &ch)
	if err != nil {
		return ch, fmt.Errorf("challenge by %s: %w", at, err)
	}
	return ch, nil
}

// sign composes the mapping and collects the signatures of holder and MSPs.
func (c *Client) sign(ctx context.Context, w Wish, e *Enrolment, say Progress) error {
	if len(e.Signed.Mapping) > 0 {
		return nil
	}
	claims, err := c.compose(w, e)
	if err != nil {
		return err
	}
	receipts := make([][]byte, len(e.Receipts))
	for i, r := range e.Receipts {
		receipts[i] = r
	}
	var lineage [][]byte
	if old := w.rests(); old != nil {
		lineage = slices.Clone(old.Bundle().Lineage)
	}
	if len(w.Statement) > 0 {
		lineage = append(lineage, w.Statement)
	}
	u, err := claims.Sign(w.Key, receipts, c.now(), lineage...)
	if err != nil {
		return err
	}
	b := wire.BundleOf(u.Bundle())
	for i, msp := range w.MSPs {
		var a wire.SignatureAnswer
		r := wire.SignatureRequest{Offer: e.MSPOffers[i].Offer, Bundle: b}
		if err := c.parties.Call(ctx, msp, wire.PathSignatures, w.Tokens[msp], r, &a); err != nil {
			return fmt.Errorf("signature of %s: %w", msp, err)
		}
		b.Mapping = a.Mapping
		say(fmt.Sprintf("%s signs: this account has this address", msp))
	}
	e.Signed = b
	return nil
}

// compose builds the claims from the offers.
func (c *Client) compose(w Wish, e *Enrolment) (mapping.Claims, error) {
	if len(e.DPOffer.Nonce) != mapping.NonceSize {
		return mapping.Claims{}, fmt.Errorf("%w: nonce of the DP's offer", ErrAnswer)
	}
	claims := mapping.Claims{
		CSI: w.CSI, DP: w.DP, Holder: w.Key.Public(), DPNonce: mapping.Nonce(e.DPOffer.Nonce),
		Residency: w.Residency, ReproveDays: mapping.MinReprove, First: true,
	}
	if _, err := rand.Read(claims.ID[:]); err != nil {
		return mapping.Claims{}, fmt.Errorf("client: %w", err)
	}
	if _, err := rand.Read(claims.Lineage[:]); err != nil {
		return mapping.Claims{}, fmt.Errorf("client: %w", err)
	}
	oldest := time.Time{}
	for _, r := range e.Receipts {
		u, err := possession.Parse(r)
		if err != nil {
			return mapping.Claims{}, err
		}
		if _, word := u.Word(); word {
			continue
		}
		if at := u.Claims().Evidence; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	claims.Expires = oldest.Add(mapping.MaxLife)
	if w.Beside != nil {
		claims.Lineage, claims.First = w.Beside.Claims().Lineage, false
	}
	if old := w.Replaces; old != nil {
		o := old.Claims()
		claims.ID, claims.Lineage, claims.First = o.ID, o.Lineage, false
		claims.Sequence, claims.Predecessor = o.Sequence+1, old.Digest()
	}
	for _, o := range e.MSPOffers {
		if len(o.Nonce) != mapping.NonceSize {
			return mapping.Claims{}, fmt.Errorf("%w: nonce of an MSP's offer", ErrAnswer)
		}
		claims.Entries = append(claims.Entries, mapping.Entry{
			Provider: o.Provider, URI: o.URI, Tags: w.Tags, Nonce: mapping.Nonce(o.Nonce),
		})
	}
	return claims, nil
}

// submit hands the mapping to its DP and verifies what comes back.
func (c *Client) submit(ctx context.Context, w Wish, e *Enrolment, say Progress) (mapping.Verified, error) {
	var a wire.SubmitAnswer
	r := wire.SubmitRequest{Offer: e.DPOffer.Offer, Bundle: e.Signed}
	if err := c.parties.Call(ctx, w.DP, wire.PathMappings, "", r, &a); err != nil {
		return mapping.Verified{}, fmt.Errorf("submission to %s: %w", w.DP, err)
	}
	if a.State == wire.StateHeld || a.State == wire.StateReview {
		return mapping.Verified{}, w.held(e, a)
	}
	if a.State != wire.StateAdmitted || a.Bundle == nil {
		return mapping.Verified{}, fmt.Errorf("%w: submission state %q", ErrAnswer, a.State)
	}
	v, err := c.Verify(a.Bundle.Unpack())
	if err != nil {
		return mapping.Verified{}, fmt.Errorf("the mapping that %s finished does not verify: %w", w.DP, err)
	}
	proposed, err := mapping.Parse(e.Signed.Unpack())
	if err != nil {
		return mapping.Verified{}, err
	}
	if v.Digest() != proposed.Digest() {
		return mapping.Verified{}, fmt.Errorf("%w: %s finished another mapping than the one submitted", ErrAnswer, w.DP)
	}
	say(fmt.Sprintf("%s countersigns; the mapping is good until %s", w.DP, v.Until().UTC().Format(time.RFC3339)))
	return v, nil
}

// Verify verifies a bundle as the registry stands now.
func (c *Client) Verify(b mapping.Bundle) (mapping.Verified, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return mapping.Verified{}, err
	}
	return mapping.PolicyAt(c.registry(), c.now()).Verify(u)
}

// Withdraw ends a mapping. Withdrawing again what has ended is no error.
func (c *Client) Withdraw(ctx context.Context, v mapping.Verified, holder key.Private) error {
	statement, err := v.Claims().Withdraw(holder, v.Digest(), c.now())
	if err != nil {
		return err
	}
	var a wire.WithdrawalAnswer
	err = c.parties.Call(ctx, v.Claims().DP, wire.PathWithdrawals, "", wire.WithdrawalRequest{Statement: statement}, &a)
	if errors.Is(err, problem.Error(problem.MappingUnknown)) {
		return nil
	}
	return err
}

// Refresh fetches a mapping with a fresh DP signature.
func (c *Client) Refresh(ctx context.Context, dp registry.PartyID, id mapping.ID) (mapping.Verified, error) {
	var a wire.RenewalAnswer
	if err := c.parties.Call(ctx, dp, wire.PathRenewals, "", wire.RenewalRequest{ID: id[:]}, &a); err != nil {
		return mapping.Verified{}, err
	}
	v, err := c.Verify(a.Bundle.Unpack())
	if err != nil {
		return mapping.Verified{}, err
	}
	if v.Claims().ID != id {
		return mapping.Verified{}, fmt.Errorf("%w: another mapping than the one asked for", ErrAnswer)
	}
	return v, nil
}
