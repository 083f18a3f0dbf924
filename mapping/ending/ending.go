// Package ending is the statement by which an MSP takes back its own entry of a
// mapping: the account has died, or does not have the CSI any more. Its spec is
// docs/spec/mapping.md, section "End of an entry".
//
// It is a COSE_Sign1 in the role of an MSP over {mapping id, payload digest,
// provider}, under a label of its own. It names no CSI, and travels beside the
// mapping whose entry it ends (package mapping).
//
// What it promises of a set of ends that [Check] finds good: each is by the MSP
// that it names, for exactly this mapping and this payload, dated not before that
// MSP's signature on it. It revokes one confirmation and nothing else. What it
// does not check: whether an end was left out, as whoever hands a mapping over
// can do; the DP's signature, which it does not renew once every entry has
// ended, bounds that to seven days.
//
// An end counts whatever has become of its MSP since: it only takes away, and
// what it takes away is its own.
//
// Sizes are bytes; times are seconds in the bytes.
package ending

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/registry"
)

// MaxSize bounds one statement.
const MaxSize = 512

// roleMSP is the role of an MSP's signature on a mapping, too.
const roleMSP = 2

// Errors.
var (
	ErrMalformed = errors.New("ending: not the end of an entry in its one form")
	ErrForeign   = errors.New("ending: not by the MSP of an entry of this mapping for this payload")
	ErrFuture    = errors.New("ending: dated in the future")
	// ErrEnded refuses an MSP's signature that is not newer than the end of the
	// entry which it would bring back, and to renew what has no entry left.
	ErrEnded = errors.New("ending: an MSP has ended its entry and has not signed anew since")
)

// Subject is the mapping that an entry is of.
type Subject struct {
	ID      [16]byte
	Payload [sha256.Size]byte // digest
}

// Signed is an entry of a mapping: who has signed for it, and when.
type Signed struct {
	Provider registry.PartyID
	Time     time.Time
}

// End is a parsed statement; [Check] verifies it.
type End struct {
	Subject
	Provider registry.PartyID
	Time     time.Time

	message cose.Message1
	raw     []byte
}

type body struct {
	ID       []byte           `cbor:"1,keyasint"`
	Payload  []byte           `cbor:"2,keyasint"`
	Provider registry.PartyID `cbor:"3,keyasint"`
}

// Sign returns the statement by which provider ends its entry. It is dated with
// the later of now and its signature on the mapping.
func Sign(of Subject, entry Signed, msp key.Private, now time.Time) ([]byte, error) {
	if entry.Time.After(now.Add(registry.MaxSkew)) {
		return nil, ErrFuture
	}
	at := now
	if entry.Time.After(at) {
		at = entry.Time
	}
	payload, err := canon.Marshal(body{ID: of.ID[:], Payload: of.Payload[:], Provider: entry.Provider})
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelEntryEnd, payload, msp, true, cose.Params{Role: roleMSP, Time: at.Unix()})
}

// Parse reads a statement. It checks form only.
func Parse(b []byte) (End, error) {
	m, err := cose.Parse1(b, MaxSize)
	if err != nil {
		return End{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var in body
	if err := canon.Unmarshal(m.Payload, MaxSize, &in); err != nil {
		return End{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	s := m.Signature
	if len(in.ID) != 16 || len(in.Payload) != sha256.Size || in.Provider.IsZero() || s.Role != roleMSP || !s.HasKID ||
		s.Until != 0 || s.Found != 0 || s.Admitted != 0 {
		return End{}, fmt.Errorf("%w: a member is out of bounds", ErrMalformed)
	}
	return End{
		Subject: Subject{ID: [16]byte(in.ID), Payload: [sha256.Size]byte(in.Payload)}, Provider: in.Provider,
		Time: time.Unix(s.Time, 0), message: m, raw: b,
	}, nil
}

// ParseAll reads what stands beside a mapping of so many entries.
func ParseAll(raw [][]byte, entries int) ([]End, error) {
	if len(raw) > entries {
		return nil, fmt.Errorf("%w: more ends than entries", ErrForeign)
	}
	var out []End
	for _, b := range raw {
		e, err := Parse(b)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Bytes returns the statement as it was parsed.
func (e End) Bytes() []byte { return e.raw }

// Check verifies ends of a mapping with the keys of the registry, as of now. They
// stand in the order of the entries, each entry's once.
func Check(s *registry.Snapshot, now time.Time, of Subject, entries []Signed, ends []End) error {
	next := 0
	for _, e := range ends {
		i := slices.IndexFunc(entries[next:], func(one Signed) bool { return one.Provider == e.Provider })
		switch {
		case i < 0:
			return fmt.Errorf("%w: %s", ErrForeign, e.Provider)
		case e.Subject != of:
			return fmt.Errorf("%w: another mapping or payload", ErrForeign)
		case e.Time.Before(entries[next+i].Time):
			return fmt.Errorf("%w: dated before the MSP signed", ErrForeign)
		case e.Time.After(now.Add(registry.MaxSkew)):
			return ErrFuture
		}
		signer, ok := s.Signer(e.message.Signature.KID)
		if !ok || signer.Key.Role != registry.RoleMSP || signer.Party.ID != e.Provider || !signer.InForce(e.Time) {
			return fmt.Errorf("%w: not a key of %s", ErrForeign, e.Provider)
		}
		if err := e.message.Verify(key.LabelEntryEnd, signer.Key.Public); err != nil {
			return fmt.Errorf("%w: %w", ErrForeign, err)
		}
		next += i + 1
	}
	return nil
}

// Add puts an end in its place among others, in the order of the entries, and
// returns their bytes, too. Where that entry has one, that one stands.
func Add(ends []End, e End, entries []Signed) (all []End, raw [][]byte) {
	for _, one := range entries {
		of := func(x End) bool { return x.Provider == one.Provider }
		if i := slices.IndexFunc(ends, of); i >= 0 {
			all = append(all, ends[i])
		} else if of(e) {
			all = append(all, e)
		}
	}
	for _, one := range all {
		raw = append(raw, one.Bytes())
	}
	return all, raw
}

// Anew checks that what follows a mapping brings no ended entry of it back by a
// signature that its MSP made before.
func Anew(ends []End, following []Signed) error {
	for _, e := range ends {
		for _, one := range following {
			if one.Provider == e.Provider && !one.Time.After(e.Time) {
				return fmt.Errorf("%w: %s", ErrEnded, e.Provider)
			}
		}
	}
	return nil
}
