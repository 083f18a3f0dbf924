package registry

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
)

// signSelf is the role in the signature of a self record.
const signSelf uint8 = 2

// body is a record in canonical CBOR.
type body struct {
	Version    uint64  `cbor:"1,keyasint"`
	Federation string  `cbor:"2,keyasint"`
	Issued     int64   `cbor:"3,keyasint"`
	Expires    int64   `cbor:"4,keyasint"`
	Policy     Policy  `cbor:"5,keyasint"`
	Parties    []Entry `cbor:"6,keyasint"`
}

// SignSelf returns s as a signed self record.
func SignSelf(s Self, operator key.Private) ([]byte, error) {
	payload, err := canon.Marshal(s)
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelSelf, payload, operator, false, cose.Params{Role: signSelf, Time: s.Issued})
}

// Marshal encodes a record as one file. Nothing vouches for it: it is what
// vectors and tests work from; a federation publishes records by package tuf.
func (r Record) Marshal() ([]byte, error) {
	return canon.Marshal(body{
		Version: r.Version, Federation: r.Federation, Issued: r.Issued.Unix(), Expires: r.Expires.Unix(),
		Policy: r.Policy, Parties: r.Parties,
	})
}

// ParseRecord reads what Marshal writes, and returns its digest too.
func ParseRecord(b []byte) (Record, [sha256.Size]byte, error) {
	var f body
	digest := sha256.Sum256(b)
	if err := canon.Unmarshal(b, MaxSize, &f); err != nil {
		return Record{}, digest, fmt.Errorf("registry: %w", err)
	}
	if !cose.GoodTime(f.Issued) || !cose.GoodTime(f.Expires) {
		return Record{}, digest, fmt.Errorf("%w: a time before 1970 or after 9999", ErrContent)
	}
	return Record{
		Version: f.Version, Federation: f.Federation, Issued: time.Unix(f.Issued, 0), Expires: time.Unix(f.Expires, 0),
		Policy: f.Policy, Parties: f.Parties,
	}, digest, nil
}

// Assemble makes a snapshot of a record that the federation vouches for: the
// caller has verified that. It checks the times, every grant and every self
// record. What previous has of the same bytes need not be verified again; a
// self record older than the one there is a step back, and refused. Previous
// may be nil.
func Assemble(r Record, digest [sha256.Size]byte, previous *Snapshot, now time.Time) (*Snapshot, error) {
	switch {
	case r.Issued.After(now.Add(MaxSkew)):
		return nil, ErrNotYet
	case !now.Before(r.Expires):
		return nil, ErrExpired
	}
	if err := r.Policy.Evidence.check(); err != nil {
		return nil, err
	}
	s := &Snapshot{
		version: r.Version, digest: digest, federation: r.Federation,
		issued: r.Issued, expires: r.Expires, policy: r.Policy,
		parties: make(map[PartyID]Party, len(r.Parties)),
		signers: make(map[key.ID]Signer, len(r.Parties)),
		bits:    make(map[uint16]PartyID),
		pins:    make(map[[sha256.Size]byte]PartyID, len(r.Parties)),
	}
	for _, e := range r.Parties {
		if err := s.add(e, previous, now); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add verifies one entry and puts it into s.
func (s *Snapshot) add(e Entry, previous *Snapshot, now time.Time) error {
	if !cose.GoodTime(e.Grant.Standing.Since) {
		return fmt.Errorf("%w: standing of %s is since before 1970 or after 9999", ErrContent, e.Grant.ID)
	}
	if err := e.Grant.check(); err != nil {
		return err
	}
	id := e.Grant.ID
	if _, twice := s.parties[id]; twice {
		return fmt.Errorf("%w: %s is listed twice", ErrContent, id)
	}
	p := Party{Grant: e.Grant, record: sha256.Sum256(e.Self)}
	if known, ok := previous.known(id); ok && known.record == p.record && known.OperatorKey == p.OperatorKey {
		p.Self = known.Self
	} else {
		var err error
		if p.Self, err = openSelf(e, now); err != nil {
			return err
		}
		if ok && p.Self.Issued < known.Self.Issued {
			return fmt.Errorf("%w: self record of %s", ErrRollback, id)
		}
	}
	self := p.Self
	s.parties[id] = p
	if e.Grant.Bit != nil {
		if other, taken := s.bits[*e.Grant.Bit]; taken {
			return fmt.Errorf("%w: %s and %s share a bit position", ErrContent, id, other)
		}
		s.bits[*e.Grant.Bit] = id
	}
	for _, pin := range self.Pins {
		if other, taken := s.pins[[sha256.Size]byte(pin)]; taken {
			return fmt.Errorf("%w: %s and %s share a TLS key", ErrContent, id, other)
		}
		s.pins[[sha256.Size]byte(pin)] = id
	}
	for _, k := range self.Keys {
		if !e.Grant.Has(k.Role) {
			continue // no authority: the grant does not give the role
		}
		kid := k.Public.ID()
		if _, taken := s.signers[kid]; taken {
			return fmt.Errorf("%w: %s lists a key id that is already in use", ErrContent, id)
		}
		s.signers[kid] = Signer{Party: p, Key: k}
	}
	return nil
}

// openSelf verifies a self record against the grant beside it.
func openSelf(e Entry, now time.Time) (Self, error) {
	fail := func(why string) (Self, error) {
		return Self{}, fmt.Errorf("%w: self record of %s: %s", ErrContent, e.Grant.ID, why)
	}
	m, err := cose.Parse1(e.Self, MaxSize)
	if err != nil {
		return fail(err.Error())
	}
	if m.Signature.Params != (cose.Params{Role: signSelf, Time: m.Signature.Time}) || m.Signature.HasKID ||
		m.Verify(key.LabelSelf, e.Grant.OperatorKey) != nil {
		return fail("not signed by the operator key of its grant")
	}
	var self Self
	if err := canon.Unmarshal(m.Payload, MaxSize, &self); err != nil {
		return fail(err.Error())
	}
	if self.ID != e.Grant.ID || self.Issued != m.Signature.Time || self.Issued > now.Add(MaxSkew).Unix() {
		return fail("other id or time than its signature")
	}
	u, err := url.Parse(self.Endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return fail("endpoint is not an https URL without path")
	}
	if len(self.Disclosure) != 0 && len(self.Disclosure) != sha256.Size {
		return fail("the disclosure's digest is not 32 bytes")
	}
	if len(self.Pins) == 0 {
		return fail("no TLS pin")
	}
	for _, k := range self.Keys {
		if !cose.GoodTime(k.From) || !cose.GoodTime(k.Until) {
			return fail("a key's time is before 1970 or after 9999")
		}
	}
	for _, pin := range self.Pins {
		if len(pin) != sha256.Size {
			return fail("a TLS pin is not 32 bytes")
		}
	}
	return self, nil
}

// PeekSelf returns whose self record b says that it is. It verifies nothing.
func PeekSelf(b []byte) (PartyID, error) {
	m, err := cose.Parse1(b, MaxSize)
	if err != nil {
		return PartyID{}, fmt.Errorf("registry: self record: %w", err)
	}
	var self Self
	if err := canon.Unmarshal(m.Payload, MaxSize, &self); err != nil {
		return PartyID{}, fmt.Errorf("registry: self record: %w", err)
	}
	return self.ID, nil
}
