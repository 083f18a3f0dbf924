package mapping

import (
	"fmt"
	"time"

	"whither/internal/cose"
	"whither/key"
	"whither/possession"
	"whither/registry"
)

// Policy decides whether a mapping is true, as the registry stands and at one
// time. It is a value; make one for each request.
type Policy struct {
	snapshot *registry.Snapshot
	now      time.Time
	evidence possession.Policy
}

// PolicyAt returns the federation's policy at a time.
func PolicyAt(s *registry.Snapshot, now time.Time) Policy {
	return Policy{snapshot: s, now: now, evidence: possession.PolicyOf(s)}
}

// Stricter returns the policy with further demands on evidence, such as a DP
// has for what it admits. It is never laxer.
func (p Policy) Stricter(d possession.Demands) Policy {
	p.evidence = p.evidence.Stricter(d)
	return p
}

// Evidence returns what evidence is worth by this policy.
func (p Policy) Evidence() possession.Policy { return p.evidence }

// Level returns the lowest level that counts for a scheme.
func (p Policy) Level(scheme string) possession.Level { return p.evidence.Level(scheme) }

// Proposal is a mapping on which all but the DP's signature is verified.
type Proposal struct {
	policy   Policy
	u        Unverified
	evidence possession.Assessment
}

// Claims returns what the proposal says.
func (p Proposal) Claims() Claims { return p.u.claims }

// Evidence returns what its receipts show.
func (p Proposal) Evidence() possession.Assessment { return p.evidence }

// Digest returns the SHA-256 of the payload.
func (p Proposal) Digest() Digest { return p.u.digest }

// Verified is a mapping that a policy found true.
type Verified struct {
	p        Proposal
	signed   time.Time
	until    time.Time
	admitted time.Time
	found    Found
}

// Claims returns what the mapping says.
func (v Verified) Claims() Claims { return v.p.u.claims }

// Evidence returns what its receipts show.
func (v Verified) Evidence() possession.Assessment { return v.p.evidence }

// Bundle returns the bytes.
func (v Verified) Bundle() Bundle { return v.p.u.bundle }

// Digest returns the SHA-256 of the payload.
func (v Verified) Digest() Digest { return v.p.u.digest }

// Until is when the DP's signature runs out.
func (v Verified) Until() time.Time { return v.until }

// Signed is when the DP signed last.
func (v Verified) Signed() time.Time { return v.signed }

// Admitted is when the DP signed first.
func (v Verified) Admitted() time.Time { return v.admitted }

// Found is what the DP found at admission.
func (v Verified) Found() Found { return v.found }

// IsZero reports whether v is no mapping.
func (v Verified) IsZero() bool { return v.until.IsZero() }

// newVerified reads the DP's signature of a mapping that has one.
func newVerified(p Proposal) Verified {
	sig := p.u.message.Signatures[len(p.u.message.Signatures)-1]
	v := Verified{
		p: p, signed: time.Unix(sig.Time, 0), until: time.Unix(sig.Until, 0), found: Found(sig.Found),
		admitted: time.Unix(sig.Time, 0),
	}
	if sig.Role == roleRenewal {
		v.admitted = time.Unix(sig.Admitted, 0)
	}
	return v
}

// VerifyProposal verifies a mapping that the DP has not signed yet.
func (p Policy) VerifyProposal(u Unverified) (Proposal, error) {
	if n := len(u.message.Signatures); n > 0 {
		if last := u.message.Signatures[n-1].Role; last == roleDP || last == roleRenewal {
			return Proposal{}, ErrNotProposal
		}
	}
	dp, ok := p.snapshot.Party(u.claims.DP)
	if !ok {
		return Proposal{}, fmt.Errorf("%w: DP %s", ErrSigner, u.claims.DP)
	}
	return p.proposal(u, len(u.message.Signatures), witness{at: p.now, by: dp.Operator})
}

// Verify verifies a finished mapping.
func (p Policy) Verify(u Unverified) (Verified, error) {
	v, err := p.VerifyForRenewal(u)
	if err == nil && !p.now.Before(v.until) {
		return Verified{}, ErrStale
	}
	return v, err
}

// VerifyForRenewal is Verify for the mapping's own DP, which may renew a
// signature of its own that has run out. Nobody else calls it.
func (p Policy) VerifyForRenewal(u Unverified) (Verified, error) {
	n := len(u.message.Signatures)
	if n == 0 {
		return Verified{}, ErrHolderSig
	}
	last := u.message.Signatures[n-1]
	if last.Role != roleDP && last.Role != roleRenewal {
		if last.Role == roleMSP || last.Role == roleHolder {
			return Verified{}, ErrDPMissing
		}
		return Verified{}, ErrRole
	}
	dp, err := p.checkDP(u, n-1)
	if err != nil {
		return Verified{}, err
	}
	w := witness{at: time.Unix(last.Time, 0), by: dp.Operator}
	if last.Role == roleRenewal {
		w.at = time.Unix(last.Admitted, 0)
	}
	proposal, err := p.proposal(u, n-1, w)
	if err != nil {
		return Verified{}, err
	}
	if latest := u.message.Signatures[n-2].Time; latest > w.at.Unix() {
		return Verified{}, ErrTimeOrder
	}
	return newVerified(proposal), nil
}

// witness is somebody's word that the signatures before his existed at a time.
type witness struct {
	at time.Time
	by registry.Operator
}

// proposal verifies the first n signatures, which must be the holder's and
// every listed MSP's, and the receipts.
func (p Policy) proposal(u Unverified, n int, w witness) (Proposal, error) {
	if err := p.checkShape(u, n); err != nil {
		return Proposal{}, err
	}
	if !p.now.Before(u.claims.Expires) {
		return Proposal{}, ErrExpired
	}
	if err := u.checkHolder(); err != nil {
		return Proposal{}, err
	}
	root, err := u.checkLineage()
	if err != nil {
		return Proposal{}, err
	}
	barred := []registry.Operator{}
	if dp, ok := p.snapshot.Party(u.claims.DP); ok {
		barred = append(barred, dp.Operator)
	}
	for i, e := range u.claims.Entries {
		msp, err := p.checkMSP(u, i+1, e, w)
		if err != nil {
			return Proposal{}, err
		}
		barred = append(barred, msp.Operator)
	}
	if err := u.checkEnds(p, u.ends...); err != nil {
		return Proposal{}, err
	}
	a, err := possession.Assess(p.snapshot, u.receipts, possession.Question{
		CSI: u.claims.CSI, Holder: root, Barred: barred, Before: time.Unix(u.message.Signatures[0].Time, 0),
		Witnessed: w.at, WitnessedBy: w.by, Now: p.now, Policy: p.evidence,
	})
	if err != nil {
		return Proposal{}, err
	}
	scheme := string(u.claims.CSI.Scheme())
	switch need := p.Level(scheme); {
	case a.Level < need:
		return Proposal{}, fmt.Errorf("%w: level %d, need %d for %s", ErrLevel, a.Level, need, scheme)
	case u.claims.Expires.After(a.Newest.Add(MaxLife)):
		return Proposal{}, ErrLife
	}
	return Proposal{policy: p, u: u, evidence: a}, nil
}

// checkShape checks roles and times without any key: holder first, one
// signature for each entry in order, nothing else, times in order.
func (p Policy) checkShape(u Unverified, n int) error {
	sigs := u.message.Signatures[:n]
	if n == 0 || sigs[0].Role != roleHolder {
		return ErrHolderSig
	}
	for i, s := range sigs {
		if i > 0 && s.Role != roleMSP {
			return ErrRole
		}
		if s.HasKID != (i > 0) || s.Until != 0 || s.Found != 0 || s.Admitted != 0 {
			return ErrRole
		}
		if i > 0 && s.Time < sigs[i-1].Time {
			return ErrTimeOrder
		}
		if s.Time > p.now.Add(registry.MaxSkew).Unix() {
			return ErrFuture
		}
	}
	switch want := len(u.claims.Entries) + 1; {
	case n < want:
		return ErrMSPMissing
	case n > want:
		return ErrRole
	}
	if sigs[0].Time != u.claims.Issued.Unix() {
		return ErrTimeOrder
	}
	return nil
}

// checkHolder verifies the first signature with the key in the payload.
func (u Unverified) checkHolder() error {
	if len(u.message.Signatures) == 0 || u.message.Signatures[0].Role != roleHolder || u.message.Signatures[0].HasKID {
		return ErrHolderSig
	}
	if err := u.message.Verify(0, key.LabelMapping, u.claims.Holder); err != nil {
		return fmt.Errorf("%w: %w", ErrHolderSig, err)
	}
	return nil
}

// checkMSP verifies signature i as that of the MSP of entry e.
func (p Policy) checkMSP(u Unverified, i int, e Entry, w witness) (registry.Party, error) {
	sig := u.message.Signatures[i]
	signer, err := p.signer(sig, registry.RoleMSP)
	if err != nil {
		return registry.Party{}, err
	}
	if signer.Party.ID != e.Provider {
		return registry.Party{}, fmt.Errorf("%w: %s", ErrMSPForeign, e.Provider)
	}
	attested := w.at
	if w.by == signer.Party.Operator {
		attested = p.now
	}
	if !signer.Party.Standing.Counts(time.Unix(sig.Time, 0), attested) {
		return registry.Party{}, fmt.Errorf("%w: %s", ErrStanding, signer.Party.ID)
	}
	if err := u.message.Verify(i, key.LabelMapping, signer.Key.Public); err != nil {
		return registry.Party{}, fmt.Errorf("%w: %w", ErrMSPSig, err)
	}
	return signer.Party, nil
}

// checkDP verifies signature i as that of the DP which the payload names.
func (p Policy) checkDP(u Unverified, i int) (registry.Party, error) {
	sig := u.message.Signatures[i]
	if err := p.checkDPTimes(u, sig); err != nil {
		return registry.Party{}, err
	}
	signer, err := p.signer(sig, registry.RoleDP)
	if err != nil {
		return registry.Party{}, err
	}
	if signer.Party.ID != u.claims.DP {
		return registry.Party{}, ErrDPForeign
	}
	// Nobody else's clock stands behind the DP's own signature.
	if !signer.Party.Standing.Counts(time.Unix(sig.Time, 0), p.now) {
		return registry.Party{}, fmt.Errorf("%w: %s", ErrStanding, signer.Party.ID)
	}
	label := key.LabelMapping
	if sig.Role == roleRenewal {
		label = key.LabelRenewal
	}
	if err := u.message.Verify(i, label, signer.Key.Public); err != nil {
		return registry.Party{}, fmt.Errorf("%w: %w", ErrDPSig, err)
	}
	return signer.Party, nil
}

func (p Policy) checkDPTimes(u Unverified, sig cose.Signature) error {
	signed, until := time.Unix(sig.Time, 0), time.Unix(sig.Until, 0)
	switch {
	case !sig.HasKID, sig.Found < uint8(FoundFirst) || sig.Found > uint8(FoundSilent):
		return ErrRole
	case (sig.Role == roleRenewal) != (sig.Admitted != 0), sig.Admitted > sig.Time:
		return ErrRole
	case signed.After(p.now.Add(registry.MaxSkew)):
		return ErrFuture
	case until.After(signed.Add(MaxDPLife)):
		return fmt.Errorf("%w: the DP signed for more than %s", ErrLife, MaxDPLife)
	case !p.now.Before(u.claims.Expires):
		return ErrExpired
	}
	return nil
}

// signer looks up who made a signature.
func (p Policy) signer(sig cose.Signature, role registry.Role) (registry.Signer, error) {
	s, ok := p.snapshot.Signer(sig.KID)
	if !ok || s.Key.Role != role || !s.InForce(time.Unix(sig.Time, 0)) {
		return registry.Signer{}, fmt.Errorf("%w: %s key", ErrSigner, role)
	}
	return s, nil
}
