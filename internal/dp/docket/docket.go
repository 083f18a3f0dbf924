// Package docket is what a DP knows of one CSI: the mappings that live, and
// beside them claims, re-proofs, keys that have handed over, events and notices.
// It reads them ([Read]) as the facts that package precedence decides on, and says
// what is to be written for each thing that can happen, as one [Write].
//
// All is pure: a case comes in, a write comes out. Package directory reads and
// writes; stores see the bodies of records as bytes. What the bodies say is in
// this package alone (codec.go), in deterministic CBOR.
//
// It promises that a write rests on the case that it was made from: a store makes
// it only if the case is still the same. It does not verify what a holder says;
// the directory does, before.
package docket

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/dp/precedence"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// Stored is a mapping as a store gives it back: the bytes and what answering
// needs to know of them. A store authenticates what it seals, so a Stored was
// verified at admission; whether it still holds is for the asker to verify.
type Stored struct {
	ID        mapping.ID
	Bundle    mapping.Bundle
	Digest    mapping.Digest
	Holder    key.ID
	Lineage   mapping.Lineage
	Sequence  uint64
	Providers []registry.PartyID // in the order of the entries
	Ended     []registry.PartyID // those of them that have ended their entries
	Audience  bool
	Expires   time.Time
	Until     time.Time // end of the DP's signature
}

// StoredOf returns what a store keeps of v.
func StoredOf(v mapping.Verified) Stored {
	c := v.Claims()
	s := Stored{
		ID: c.ID, Bundle: v.Bundle(), Digest: v.Digest(), Holder: c.Holder.ID(), Lineage: c.Lineage, Sequence: c.Sequence,
		Audience: c.Audience, Expires: c.Expires, Until: v.Until(),
	}
	for _, e := range c.Entries {
		s.Providers = append(s.Providers, e.Provider)
	}
	living := v.Living()
	for _, p := range s.Providers {
		if !slices.ContainsFunc(living, func(e mapping.Entry) bool { return e.Provider == p }) {
			s.Ended = append(s.Ended, p)
		}
	}
	return s
}

// RecordKind is what a record is about.
type RecordKind uint8

// The kinds of record. All but notices are part of a [Case].
const (
	// RecordClaim: a newcomer that is not decided yet, or came to nothing of
	// late; or a question to the incumbents. Its id is that of the mapping.
	RecordClaim RecordKind = 1
	// RecordProof: a re-proof of a lineage.
	RecordProof RecordKind = 2
	// RecordRetired: a key that has handed over to another.
	RecordRetired RecordKind = 3
	// RecordEvent: the word of a CSIP.
	RecordEvent RecordKind = 4
	// RecordNotice: something to be told to somebody, until he has heard it.
	RecordNotice RecordKind = 5
)

// RecordID is a record's random name.
type RecordID [16]byte

// String returns 32 hexadecimal digits.
func (id RecordID) String() string { return hex.EncodeToString(id[:]) }

// Record is what a DP keeps of a CSI beside its mappings. What a body says is
// the directory's; a store seals it.
type Record struct {
	ID   RecordID
	Kind RecordKind
	// Revision is 1 once it is stored, and one more with each change. In a
	// [Write] it is the one that was seen, 0 for a new record.
	Revision uint64
	Due      time.Time // when something is to be done about it; zero: never
	Until    time.Time // it is kept until then
	Body     []byte
}

// Case is all on which a decision about one CSI rests.
type Case struct {
	Live    []Stored // by id
	Records []Record // by id; no notices
}

// Write is what follows from a decision about one CSI: whole or not at all.
type Write struct {
	Admit   mapping.Verified // zero: none
	Replace mapping.Verified // zero: none
	Ends    []mapping.ID     // mappings that end before their time
	// Nonce of an offer is marked until NonceUntil, unless that is zero.
	Nonce      mapping.Nonce
	NonceUntil time.Time
	Put        []Record
	Drop       []RecordID
}

// Docket is a case, read and understood.
type Docket struct {
	CSI    csi.ID
	Raw    Case
	Facts  precedence.Case
	Claims []Claim // in the order of Facts.Claims
	Clock  precedence.Clock

	proofs  map[RecordID]proof  // re-proofs
	retired map[key.ID]RecordID // keys that have handed over, and by which statement
}

// Claim is a claim and what it is about.
type Claim struct {
	precedence.Claim
	Bundle    mapping.Bundle // of the newcomer, as its holder and MSPs signed it
	Decisions [][]byte       // of reviewers
	Why       string         // it came to nothing, if not by an incumbent's answer

	record Record
}

// proof is a re-proof of a lineage.
type proof struct {
	lineage mapping.Lineage
	precedence.Proof
}

// Read understands a case. The registry says what the evidence of those who live
// is worth now: a mapping whose evidence does not count any more, as when its
// provers were expelled, stands against nobody. It ends with its last signature.
func Read(id csi.ID, raw Case, s *registry.Snapshot, t precedence.Clock) (*Docket, error) {
	k := &Docket{CSI: id, Raw: raw, Clock: t, proofs: make(map[RecordID]proof), retired: make(map[key.ID]RecordID)}
	for _, r := range raw.Records {
		if err := k.read(r); err != nil {
			return nil, fmt.Errorf("docket: record %s: %w", r.ID, err)
		}
	}
	policy := mapping.PolicyAt(s, t.Now)
	for _, s := range raw.Live {
		u, err := mapping.Parse(s.Bundle)
		if err != nil {
			return nil, fmt.Errorf("docket: stored mapping %s: %w", s.ID, err)
		}
		a, err := policy.Standing(u)
		if err != nil || a.Level < possession.Level2 {
			continue
		}
		l := k.lineage(s.Lineage)
		l.Proofs = append(l.Proofs, precedence.Proof{Level: a.Level, At: a.Oldest})
		l.Term = max(l.Term, time.Duration(u.Claims().ReproveDays)*24*time.Hour)
	}
	for _, p := range k.proofs {
		for i, l := range k.Facts.Lineages {
			if l.ID == p.lineage {
				k.Facts.Lineages[i].Proofs = append(l.Proofs, p.Proof)
			}
		}
	}
	return k, nil
}

func (k *Docket) lineage(id mapping.Lineage) *precedence.Lineage {
	i := slices.IndexFunc(k.Facts.Lineages, func(l precedence.Lineage) bool { return l.ID == id })
	if i < 0 {
		i = len(k.Facts.Lineages)
		k.Facts.Lineages = append(k.Facts.Lineages, precedence.Lineage{ID: id})
	}
	return &k.Facts.Lineages[i]
}

// stood is for how long the served clock has stood still.
func (k *Docket) stood() time.Duration { return k.Clock.Now.Sub(k.Clock.Served) }

// When says when a time of the served clock comes, if it stands still no more.
func (k *Docket) When(served time.Time) time.Time { return served.Add(k.stood()) }

// Claim returns the claim of a mapping.
func (k *Docket) Claim(id mapping.ID) (Claim, bool) {
	i := slices.IndexFunc(k.Claims, func(c Claim) bool { return c.ID == id })
	if i < 0 {
		return Claim{}, false
	}
	return k.Claims[i], true
}

// Newcomer is a proposal as the table of precedence sees it.
func Newcomer(p mapping.Proposal, relation precedence.Relation) precedence.Newcomer {
	c, e := p.Claims(), p.Evidence()
	var kinds []string
	for _, v := range e.Vouchers {
		kinds = append(kinds, v.Kind.String())
	}
	slices.Sort(kinds)
	return precedence.Newcomer{
		ID: c.ID, Lineage: c.Lineage, Relation: relation, Holder: c.Holder.ID(), Family: strings.Join(slices.Compact(kinds), " "),
		Proof: precedence.Proof{Level: e.Level, At: e.Oldest}, Expires: c.Expires,
	}
}
