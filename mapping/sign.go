package mapping

import (
	"crypto/sha256"
	"fmt"
	"time"

	"whither/internal/cose"
	"whither/key"
	"whither/possession"
	"whither/registry"
)

// Roles of the signatures, in the order in which they stand.
const (
	roleHolder  uint8 = 1
	roleMSP     uint8 = 2
	roleDP      uint8 = 3 // the signature at admission
	roleRenewal uint8 = 4 // a later signature of the same DP, in its place
)

// Sign starts a mapping: the holder's signature over c and the receipts that
// it rests on. c.Receipts and c.Issued are set here. Where the receipts are for
// an older key of the lineage, the statements lead from that one to the holder's.
func (c Claims) Sign(holder key.Private, receipts [][]byte, now time.Time, lineage ...[]byte) (Unverified, error) {
	c.Receipts = nil
	for _, r := range receipts {
		c.Receipts = append(c.Receipts, possession.Digest(r))
	}
	parsed, err := parseReceipts(receipts, c.Receipts)
	if err != nil {
		return Unverified{}, err
	}
	// Clocks differ; order must not. A signature is never dated before what
	// it rests on.
	at := now
	for _, r := range parsed {
		if at, err = notBefore(at, r.Signed()); err != nil {
			return Unverified{}, err
		}
	}
	statements, err := parseLineage(lineage)
	if err != nil {
		return Unverified{}, err
	}
	for _, s := range statements {
		if at, err = notBefore(at, s.Time()); err != nil {
			return Unverified{}, err
		}
	}
	if holder.Public() != c.Holder {
		return Unverified{}, fmt.Errorf("%w: signing with another key than the one named", ErrClaims)
	}
	c.Issued = time.Unix(at.Unix(), 0)
	payload, err := c.encode()
	if err != nil {
		return Unverified{}, err
	}
	m, err := cose.Message{Payload: payload}.With(key.LabelMapping, holder, false, cose.Params{Role: roleHolder, Time: at.Unix()})
	if err != nil {
		return Unverified{}, err
	}
	return Unverified{
		claims: c, receipts: parsed, lineage: statements, digest: sha256.Sum256(payload),
		bundle: Bundle{Receipts: receipts, Lineage: lineage},
	}.with(m)
}

// notBefore returns the later of now and earlier, or ErrFuture when earlier is
// further ahead than clocks may differ.
func notBefore(now, earlier time.Time) (time.Time, error) {
	if earlier.After(now.Add(registry.MaxSkew)) {
		return time.Time{}, ErrFuture
	}
	if earlier.After(now) {
		return earlier, nil
	}
	return now, nil
}

// with returns u with m in the place of its signatures.
func (u Unverified) with(m cose.Message) (Unverified, error) {
	b, err := m.Marshal()
	if err != nil {
		return Unverified{}, err
	}
	if len(b) > MaxSize {
		return Unverified{}, fmt.Errorf("%w: larger than %d bytes", ErrClaims, MaxSize)
	}
	u.message, u.bundle.Mapping = m, b
	return u, nil
}

// AddMSP adds the next listed MSP's signature. The caller has checked that the
// account has this CSI and that the entry is the one which it offered; the
// holder's signature is checked here, so that an MSP signs no stranger's words.
func (u Unverified) AddMSP(msp key.Private, now time.Time) (Unverified, error) {
	if err := u.checkHolder(); err != nil {
		return Unverified{}, err
	}
	next := len(u.message.Signatures) - 1
	if next >= len(u.claims.Entries) {
		return Unverified{}, fmt.Errorf("%w: every listed MSP has signed", ErrRole)
	}
	at, err := notBefore(now, time.Unix(u.lastTime(), 0))
	if err != nil {
		return Unverified{}, err
	}
	m, err := u.message.With(key.LabelMapping, msp, true, cose.Params{Role: roleMSP, Time: at.Unix()})
	if err != nil {
		return Unverified{}, err
	}
	return u.with(m)
}

// NextMSP returns the entry whose MSP signs next, false when all have.
func (u Unverified) NextMSP() (Entry, bool) {
	next := len(u.message.Signatures) - 1
	if next < 0 || next >= len(u.claims.Entries) {
		return Entry{}, false
	}
	return u.claims.Entries[next], true
}

func (u Unverified) lastTime() int64 {
	return u.message.Signatures[len(u.message.Signatures)-1].Time
}

// Finish countersigns an admitted proposal: the DP's signature, good until the
// earliest of until, seven days from now, and the mapping's own expiry.
func (p Proposal) Finish(dp key.Private, now, until time.Time, found Found) (Verified, error) {
	if err := p.ownKey(dp, now); err != nil {
		return Verified{}, err
	}
	at, err := notBefore(now, time.Unix(p.u.lastTime(), 0))
	if err != nil {
		return Verified{}, err
	}
	params := cose.Params{Role: roleDP, Time: at.Unix(), Until: p.u.bound(at, until), Found: uint8(found)}
	return p.sign(dp, key.LabelMapping, p.u.message, params)
}

// Renew replaces the DP's signature with a fresh one; payload and all other
// signatures stay as they are.
func (v Verified) Renew(dp key.Private, now, until time.Time) (Verified, error) {
	if err := v.p.ownKey(dp, now); err != nil {
		return Verified{}, err
	}
	old := v.p.u.message.Signatures[len(v.p.u.message.Signatures)-1]
	at, err := notBefore(now, time.Unix(old.Time, 0))
	if err != nil {
		return Verified{}, err
	}
	params := cose.Params{
		Role: roleRenewal, Time: at.Unix(), Until: v.p.u.bound(at, until), Found: old.Found, Admitted: v.admitted.Unix(),
	}
	return v.p.sign(dp, key.LabelRenewal, v.p.u.message.Without(1), params)
}

// sign adds the DP's signature to m and makes a Verified of it: all else has
// been verified and this signature is our own.
func (p Proposal) sign(dp key.Private, l key.Label, m cose.Message, params cose.Params) (Verified, error) {
	m, err := m.With(l, dp, true, params)
	if err != nil {
		return Verified{}, err
	}
	if p.u, err = p.u.with(m); err != nil {
		return Verified{}, err
	}
	return newVerified(p), nil
}

// ownKey refuses a key that verifiers would refuse.
func (p Proposal) ownKey(dp key.Private, now time.Time) error {
	s, ok := p.policy.snapshot.Signer(dp.Public().ID())
	if !ok || s.Key.Role != registry.RoleDP || !s.InForce(now) {
		return ErrSigner
	}
	if s.Party.ID != p.u.claims.DP {
		return ErrDPForeign
	}
	return nil
}

// bound returns until when a DP signature made at time at may be good.
func (u Unverified) bound(at, until time.Time) int64 {
	if limit := at.Add(MaxDPLife); until.After(limit) {
		until = limit
	}
	if until.After(u.claims.Expires) {
		until = u.claims.Expires
	}
	return until.Unix()
}
