// Package registry says who the parties of a federation are: the types of the
// signed record that every party, DP and client works from, and the immutable
// [Snapshot] that a verified record becomes.
//
// A party has two halves. Its [Grant] is the federation's word: id, operator,
// roles, jurisdictions, standing. Its [Self] record is its own word, signed by
// the operator key that the grant names: endpoint, TLS pins, signing keys.
// Authority is read from the grant alone: a key that a self record lists for a
// role which the grant lacks is no key.
//
// A federation publishes both halves as a TUF repository (package tuf,
// docs/spec/registry.md), whose verification ends in [Assemble]. Rollback is
// refused by whoever remembers the version that he had before
// ([Snapshot.Succeeds]). Fetching is not done here.
//
// Times are seconds in the bytes and time.Time in Go.
package registry

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"whither/key"
)

// Errors.
var (
	ErrExpired  = errors.New("registry: expired; fetch a newer one")
	ErrNotYet   = errors.New("registry: issued in the future; check the clock")
	ErrRollback = errors.New("registry: older than, or different from, the one already seen")
	ErrContent  = errors.New("registry: content breaks a rule")
	ErrName     = errors.New("registry: not a DNS name in lower case with at least two labels")
)

// MaxSize bounds a record, and a self record in it, in bytes.
const MaxSize = 2 << 20

// MaxSkew is how far in the future a signed time may lie.
const MaxSkew = 120 * time.Second

// PartyID names a party: a DNS name in lower case. An MSP's is its provider
// domain, as in mimi://PartyID.
type PartyID struct{ name string }

// Operator names who runs a party: a DNS name in lower case. Evidence and
// privacy rest on operators being different, so verifiers count these.
type Operator struct{ name string }

// ParsePartyID reads a DNS name.
func ParsePartyID(s string) (PartyID, error) { return PartyID{s}, checkName(s) }

// ParseOperator reads a DNS name.
func ParseOperator(s string) (Operator, error) { return Operator{s}, checkName(s) }

func (p PartyID) String() string  { return p.name }
func (o Operator) String() string { return o.name }

// IsZero reports whether p names nobody.
func (p PartyID) IsZero() bool { return p.name == "" }

// MarshalText writes the name.
func (p PartyID) MarshalText() ([]byte, error) { return []byte(p.name), nil }

// UnmarshalText reads the name.
func (p *PartyID) UnmarshalText(b []byte) error {
	p.name = string(b)
	return checkName(p.name)
}

// MarshalText writes the name.
func (o Operator) MarshalText() ([]byte, error) { return []byte(o.name), nil }

// UnmarshalText reads the name.
func (o *Operator) UnmarshalText(b []byte) error {
	o.name = string(b)
	return checkName(o.name)
}

// checkName accepts LDH names of at least two labels (RFC 1123, lower case).
func checkName(s string) error {
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 {
		return ErrName
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return ErrName
		}
		if strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return ErrName
		}
	}
	return nil
}

// Role is what a party may do. One key serves one role.
type Role string

// The roles of design section 1.
const (
	RoleDP       Role = "dp"
	RoleMSP      Role = "msp"
	RoleProver   Role = "prover"
	RoleObserver Role = "observer"
	RoleCSIP     Role = "csip"
	RoleIssuer   Role = "issuer"
	RoleRelay    Role = "relay"
	RoleWitness  Role = "witness"
)

var roles = []Role{RoleDP, RoleMSP, RoleProver, RoleObserver, RoleCSIP, RoleIssuer, RoleRelay, RoleWitness}

// State is a party's standing with the federation.
type State string

const (
	Active   State = "active"
	Closed   State = "closed"   // left in order: what it signs from Since on does not count
	Expelled State = "expelled" // put out: what nobody else's clock puts before Since does not count
)

// Standing is a state and when it began.
type Standing struct {
	State State `cbor:"1,keyasint"`
	Since int64 `cbor:"2,keyasint"`
}

// Counts reports whether a signature that its maker dates signed counts, when
// somebody else attests that it existed at witnessed. A closed party is
// believed about its own past; an expelled one is not, since it may antedate.
func (s Standing) Counts(signed, witnessed time.Time) bool {
	since := time.Unix(s.Since, 0)
	switch s.State {
	case Active:
		return true
	case Closed:
		return signed.Before(since)
	default:
		return signed.Before(since) && witnessed.Before(since)
	}
}

// Grant is the federation's word on a party.
type Grant struct {
	ID            PartyID    `cbor:"1,keyasint"`
	Operator      Operator   `cbor:"2,keyasint"`
	OperatorKey   key.Public `cbor:"3,keyasint"`           // signs the self record
	Roles         []Role     `cbor:"4,keyasint"`           // sorted
	Schemes       []string   `cbor:"5,keyasint,omitempty"` // CSI schemes that it serves; empty = all
	Ranges        []string   `cbor:"6,keyasint,omitempty"` // number prefixes or mail domains that it serves; empty = all
	Jurisdictions []string   `cbor:"7,keyasint,omitempty"` // ISO 3166-1 alpha-2, where it keeps data
	Bit           *uint16    `cbor:"8,keyasint,omitempty"` // an MSP's position in compact answers, never used again
	Standing      Standing   `cbor:"9,keyasint"`
	Codes         []string   `cbor:"10,keyasint,omitempty"` // a CSIP's provider codes (RFC 8226), for its ranges
	Budget        uint32     `cbor:"11,keyasint,omitempty"` // look-ups a day that its users may cost; 0 = the federation's rule
}

// Has reports whether the grant gives role r.
func (g Grant) Has(r Role) bool { return slices.Contains(g.Roles, r) }

// Key is a signing key of a party for one role and a time.
type Key struct {
	Role   Role       `cbor:"1,keyasint"`
	Public key.Public `cbor:"2,keyasint"`
	From   int64      `cbor:"3,keyasint"`
	Until  int64      `cbor:"4,keyasint,omitempty"` // 0 = still in use; old keys stay listed
}

// Self is a party's own word.
type Self struct {
	ID       PartyID  `cbor:"1,keyasint"`
	Issued   int64    `cbor:"2,keyasint"`
	Endpoint string   `cbor:"3,keyasint"` // https URL without path
	Pins     [][]byte `cbor:"4,keyasint"` // SHA-256 of the SubjectPublicKeyInfo of each TLS key in use
	Keys     []Key    `cbor:"5,keyasint,omitempty"`
	Capacity uint32   `cbor:"6,keyasint,omitempty"` // requests a second that it can take; 0 = not said
	// Disclosure is the SHA-256 of the document in which a DP says how it behaves.
	Disclosure []byte `cbor:"7,keyasint,omitempty"`
}

// Policy is what the federation agreed for all. A DP may be stricter.
type Policy struct {
	Levels        map[string]uint8 `cbor:"1,keyasint"`           // scheme → lowest level of evidence that counts
	EvidenceHours uint16           `cbor:"2,keyasint,omitempty"` // age of evidence at a first admission; 0 = 24
	Evidence      Evidence         `cbor:"3,keyasint,omitzero"`
}

// Party is a verified grant with its verified self record.
type Party struct {
	Grant
	Self Self

	record [sha256.Size]byte // of the signed self record
}

// Signer is a key in the hands of a party, for one role.
type Signer struct {
	Party Party
	Key   Key
}

// InForce reports whether the key was listed for time t.
func (s Signer) InForce(t time.Time) bool {
	return t.Unix() >= s.Key.From && (s.Key.Until == 0 || t.Unix() < s.Key.Until)
}

// Record is the content of a registry.
type Record struct {
	Version    uint64
	Federation string
	Issued     time.Time
	Expires    time.Time
	Policy     Policy
	Parties    []Entry
}

// Entry is a grant and the signed self record beside it.
type Entry struct {
	Grant Grant  `cbor:"1,keyasint"`
	Self  []byte `cbor:"2,keyasint"` // COSE_Sign1, label whither/v1/self
}

// check tests the rules for one grant.
func (g Grant) check() error {
	if err := checkName(g.ID.name); err != nil {
		return fmt.Errorf("%w: party id", ErrContent)
	}
	if err := checkName(g.Operator.name); err != nil {
		return fmt.Errorf("%w: operator of %s", ErrContent, g.ID)
	}
	if len(g.Roles) == 0 || !slices.IsSorted(g.Roles) || len(slices.Compact(slices.Clone(g.Roles))) != len(g.Roles) {
		return fmt.Errorf("%w: roles of %s are none, unsorted or repeated", ErrContent, g.ID)
	}
	for _, r := range g.Roles {
		if !slices.Contains(roles, r) {
			return fmt.Errorf("%w: %s has unknown role %q", ErrContent, g.ID, r)
		}
	}
	if (g.Bit != nil) != g.Has(RoleMSP) {
		return fmt.Errorf("%w: %s: an MSP has a bit position, nobody else has", ErrContent, g.ID)
	}
	for _, j := range g.Jurisdictions {
		if len(j) != 2 || strings.Trim(j, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return fmt.Errorf("%w: jurisdiction of %s is no ISO 3166-1 alpha-2 code", ErrContent, g.ID)
		}
	}
	switch g.Standing.State {
	case Active, Closed, Expelled:
		return nil
	default:
		return fmt.Errorf("%w: standing of %s", ErrContent, g.ID)
	}
}
