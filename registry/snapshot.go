package registry

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"whither/key"
)

// Snapshot is a verified registry. It never changes and may be shared.
type Snapshot struct {
	version    uint64
	digest     [sha256.Size]byte
	federation string
	issued     time.Time
	expires    time.Time
	policy     Policy
	parties    map[PartyID]Party
	signers    map[key.ID]Signer
	bits       map[uint16]PartyID
	pins       map[[sha256.Size]byte]PartyID
}

// Version counts upwards; every answer of every server names it.
func (s *Snapshot) Version() uint64 { return s.version }

// Digest is the SHA-256 of snapshot.json, which names all else by hashes. Two
// digests of one version are proof that somebody was shown a registry of his own.
func (s *Snapshot) Digest() [sha256.Size]byte { return s.digest }

// Federation is the federation's name.
func (s *Snapshot) Federation() string { return s.federation }

// Issued is when the federation signed last.
func (s *Snapshot) Issued() time.Time { return s.issued }

// Expires is when the snapshot stops being good.
func (s *Snapshot) Expires() time.Time { return s.expires }

// Policy is what the federation agreed for all.
func (s *Snapshot) Policy() Policy { return s.policy }

// Party returns the party of that id, whatever its standing.
func (s *Snapshot) Party(id PartyID) (Party, bool) {
	p, ok := s.parties[id]
	return p, ok
}

// known is Party, for a snapshot that there may not be.
func (s *Snapshot) known(id PartyID) (Party, bool) {
	if s == nil {
		return Party{}, false
	}
	return s.Party(id)
}

// Parties returns the parties that have role r and are active, by id.
func (s *Snapshot) Parties(r Role) []Party {
	return slices.DeleteFunc(s.Members(r), func(p Party) bool { return p.Standing.State != Active })
}

// Members returns the parties that have role r, whatever their standing, by id.
func (s *Snapshot) Members(r Role) []Party {
	var out []Party
	for _, p := range s.parties {
		if p.Has(r) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Party) int { return cmp.Compare(a.ID.name, b.ID.name) })
	return out
}

// Reachable reports whether an MSP of that id can be reached: it is active and
// has the role.
func (s *Snapshot) Reachable(id PartyID) bool {
	p, ok := s.parties[id]
	return ok && p.Has(RoleMSP) && p.Standing.State == Active
}

// Signer returns the party and role of a signing key.
func (s *Snapshot) Signer(id key.ID) (Signer, bool) {
	sig, ok := s.signers[id]
	return sig, ok
}

// ByPin returns the party whose TLS key has this SHA-256 of its
// SubjectPublicKeyInfo, whatever its standing.
func (s *Snapshot) ByPin(pin [sha256.Size]byte) (Party, bool) {
	id, ok := s.pins[pin]
	return s.parties[id], ok
}

// Bit returns who has a position in compact answers.
func (s *Snapshot) Bit(position uint16) (PartyID, bool) {
	id, ok := s.bits[position]
	return id, ok
}

// BitLength is the number of positions, taken or not: one more than the highest.
func (s *Snapshot) BitLength() int {
	n := 0
	for b := range s.bits {
		n = max(n, int(b)+1)
	}
	return n
}

// Succeeds returns ErrRollback unless s may follow previous: a higher version,
// or the same version with the same digest.
func (s *Snapshot) Succeeds(previous *Snapshot) error {
	if previous == nil || s.version > previous.version ||
		(s.version == previous.version && s.digest == previous.digest) {
		return nil
	}
	return ErrRollback
}
