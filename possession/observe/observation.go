package observe

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/registry"
)

// Roles in the headers: they tell the two statements apart, as their payloads do.
const (
	signObserver uint8 = 1
	signDaily    uint8 = 2
)

// Observation is an observer's statement about one key.
type Observation struct {
	Key
	// First and Last are when the observer first and last saw the key published,
	// without having seen the place without it in between.
	First, Last time.Time
	// DNSSEC is the resolver's word when it was last seen.
	DNSSEC DNSSEC
	// Signed is when the statement was made.
	Signed time.Time
}

// observationBody is the signed payload.
type observationBody struct {
	Kind   Kind   `cbor:"1,keyasint"`
	Name   string `cbor:"2,keyasint"`
	Label  string `cbor:"3,keyasint,omitempty"`
	Digest []byte `cbor:"4,keyasint"`
	First  int64  `cbor:"5,keyasint"`
	Last   int64  `cbor:"6,keyasint"`
	DNSSEC DNSSEC `cbor:"7,keyasint,omitempty"`
}

func (o Observation) valid() bool {
	return o.Key.valid() && o.DNSSEC <= Insecure && o.First.Unix() > 0 && o.First.Unix() <= o.Last.Unix()
}

// payload is what is signed. Fractions of seconds are dropped.
func (o Observation) payload() ([]byte, error) {
	return canon.Marshal(observationBody{
		Kind: o.Kind, Name: o.Name, Label: o.Label, Digest: o.Digest[:], First: o.First.Unix(), Last: o.Last.Unix(), DNSSEC: o.DNSSEC,
	})
}

// Sign returns the observation's bytes, signed by an observer's key.
func (o Observation) Sign(observer key.Private) ([]byte, error) {
	if !o.valid() || o.Signed.Unix() < o.Last.Unix() {
		return nil, ErrObservation
	}
	payload, err := o.payload()
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelObservation, payload, observer, true, cose.Params{Role: signObserver, Time: o.Signed.Unix()})
}

// Unverified is a parsed observation whose signature nobody has checked.
type Unverified struct {
	observation Observation
	message     cose.Message1
	digest      [sha256.Size]byte
}

// Parse reads an observation.
func Parse(b []byte) (Unverified, error) {
	m, err := parse1(b, MaxObservation, signObserver)
	if err != nil {
		return Unverified{}, fmt.Errorf("%w: %w", ErrObservation, err)
	}
	var body observationBody
	if err := canon.Unmarshal(m.Payload, MaxObservation, &body); err != nil {
		return Unverified{}, fmt.Errorf("%w: %w", ErrObservation, err)
	}
	if len(body.Digest) != sha256.Size || body.Last > maxSeconds {
		return Unverified{}, fmt.Errorf("%w: a member is out of bounds", ErrObservation)
	}
	o := Observation{
		Key:   Key{Kind: body.Kind, Name: body.Name, Label: body.Label, Digest: [sha256.Size]byte(body.Digest)},
		First: time.Unix(body.First, 0).UTC(), Last: time.Unix(body.Last, 0).UTC(), DNSSEC: body.DNSSEC,
		Signed: time.Unix(m.Signature.Time, 0).UTC(),
	}
	if !o.valid() {
		return Unverified{}, fmt.Errorf("%w: a member is out of bounds", ErrObservation)
	}
	return Unverified{observation: o, message: m, digest: sha256.Sum256(b)}, nil
}

// parse1 reads a COSE_Sign1 whose header has a role, a time, a kid and nothing
// else.
func parse1(b []byte, max int, role uint8) (cose.Message1, error) {
	m, err := cose.Parse1(b, max)
	if err != nil {
		return cose.Message1{}, err
	}
	want := cose.Params{Role: role, Time: m.Signature.Time}
	if m.Signature.Params != want || !m.Signature.HasKID || want.Time > maxSeconds {
		return cose.Message1{}, fmt.Errorf("%w: its parameters", cose.ErrHeader)
	}
	return m, nil
}

// Claims returns what the observation says, unverified.
func (u Unverified) Claims() Observation { return u.observation }

// Digest is SHA-256 of the observation's bytes.
func (u Unverified) Digest() [sha256.Size]byte { return u.digest }

// Question is for whom and when a statement is judged.
type Question struct {
	// Barred are the operators whose word does not count.
	Barred []registry.Operator
	// Witnessed is when somebody in good standing, and of another operator,
	// attested that the statement existed. It saves the statements of an observer
	// expelled later. Zero means now.
	Witnessed   time.Time
	WitnessedBy registry.Operator
	Now         time.Time
}

// Verified is an observation that an observer of the registry vouches for.
type Verified struct {
	observation Observation
	by          registry.Party
}

// Verify checks who signed the observation, and when.
func (u Unverified) Verify(s *registry.Snapshot, q Question) (Verified, error) {
	if u.observation.Last.After(u.observation.Signed) {
		return Verified{}, ErrOrder
	}
	by, err := verify(u.message, s, q)
	if err != nil {
		return Verified{}, err
	}
	return Verified{observation: u.observation, by: by}, nil
}

// verify is the part that both statements share.
func verify(m cose.Message1, s *registry.Snapshot, q Question) (registry.Party, error) {
	signed := time.Unix(m.Signature.Time, 0)
	signer, ok := s.Signer(m.Signature.KID)
	if !ok || signer.Key.Role != registry.RoleObserver || !signer.InForce(signed) {
		return registry.Party{}, ErrUnknown
	}
	operator := signer.Party.Operator
	switch {
	case slices.Contains(q.Barred, operator):
		return registry.Party{}, fmt.Errorf("%w: %s", ErrDependent, operator)
	case signed.After(q.Now.Add(registry.MaxSkew)):
		return registry.Party{}, ErrOrder
	}
	witnessed := q.Witnessed
	if witnessed.IsZero() || q.WitnessedBy == operator {
		witnessed = q.Now
	}
	if !signer.Party.Standing.Counts(signed, witnessed) {
		return registry.Party{}, fmt.Errorf("%w: %s", ErrStanding, signer.Party.ID)
	}
	if err := m.Verify(key.LabelObservation, signer.Key.Public); err != nil {
		return registry.Party{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return signer.Party, nil
}

// Observation returns what was seen.
func (v Verified) Observation() Observation { return v.observation }

// Observer is who saw it.
func (v Verified) Observer() registry.PartyID { return v.by.ID }

// Operator is who runs the observer: verifiers count these.
func (v Verified) Operator() registry.Operator { return v.by.Operator }

// Saw reports whether the observer saw name publish this very key, under
// whatever label, for evidence of time at. After a key was last seen it does not
// count: from then on somebody else may have it. Before it was first seen it
// counts for a while, since observers are asked when the evidence is there.
func (v Verified) Saw(kind Kind, name string, digest [sha256.Size]byte, at time.Time) bool {
	o := v.observation
	return o.Kind == kind && o.Name == name && o.Digest == digest && !at.After(o.Last) && !at.Before(o.First.Add(-MaxLead))
}
