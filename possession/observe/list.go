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

// Day is a day in UTC, counted from 1 January 1970.
type Day uint32

const secondsPerDay = 24 * 60 * 60

// DayOf is the day of a time.
func DayOf(t time.Time) Day { return Day(t.Unix() / secondsPerDay) }

// Begin is the first second of the day.
func (d Day) Begin() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// Entry is a key that was seen on a day.
type Entry struct {
	Key
	DNSSEC DNSSEC
}

// List is an observer's statement about a day: these keys it saw on it.
type List struct {
	Day Day
	// Previous is the digest of the observer's list before this one, zero in its
	// first. So an observer that rewrites a day contradicts every later list.
	Previous [sha256.Size]byte
	// Entries are in order, see [List.Sort].
	Entries []Entry
	// Signed is when the statement was made: on the day or up to MaxDelay after it.
	Signed time.Time
}

// listBody is the signed payload: the entries in groups of one place each, since
// most domains publish several keys.
type listBody struct {
	Day      Day     `cbor:"1,keyasint"`
	Previous []byte  `cbor:"2,keyasint,omitempty"`
	Groups   []group `cbor:"3,keyasint"`
}

type group struct {
	_    struct{} `cbor:",toarray"`
	Kind Kind
	Name string
	Keys []groupKey
}

type groupKey struct {
	_      struct{} `cbor:",toarray"`
	Label  string
	Digest []byte
	DNSSEC DNSSEC
}

// Sort puts the entries into the order in which they are signed: by kind, name,
// label and digest, all bytewise.
func (l List) Sort() {
	slices.SortFunc(l.Entries, func(a, b Entry) int { return a.compare(b.Key) })
}

// check refuses entries that are out of order, doubled or not valid.
func (l List) check() error {
	if len(l.Entries) == 0 {
		return fmt.Errorf("%w: no entries", ErrList)
	}
	if DayOf(l.Signed) < l.Day || l.Signed.After((l.Day + 1).Begin().Add(MaxDelay)) {
		return fmt.Errorf("%w: signed before its day or long after", ErrList)
	}
	for i, e := range l.Entries {
		if !e.valid() || e.DNSSEC > Insecure {
			return fmt.Errorf("%w: a member is out of bounds", ErrList)
		}
		if i > 0 && l.Entries[i-1].compare(e.Key) >= 0 {
			return fmt.Errorf("%w: entries are doubled or out of order", ErrList)
		}
	}
	return nil
}

// payload is what is signed.
func (l List) payload() ([]byte, error) {
	body := listBody{Day: l.Day}
	if l.Previous != [sha256.Size]byte{} {
		body.Previous = l.Previous[:]
	}
	for _, e := range l.Entries {
		last := len(body.Groups) - 1
		if last < 0 || body.Groups[last].Kind != e.Kind || body.Groups[last].Name != e.Name {
			body.Groups = append(body.Groups, group{Kind: e.Kind, Name: e.Name})
			last++
		}
		body.Groups[last].Keys = append(body.Groups[last].Keys, groupKey{Label: e.Label, Digest: slices.Clone(e.Digest[:]), DNSSEC: e.DNSSEC})
		if len(body.Groups[last].Keys) > MaxKeys {
			return nil, fmt.Errorf("%w: more than %d keys in one place", ErrList, MaxKeys)
		}
	}
	if len(body.Groups) > canon.MaxElements {
		return nil, fmt.Errorf("%w: more than %d places", ErrList, canon.MaxElements)
	}
	return canon.Marshal(body)
}

// Sign returns the list's bytes, signed by an observer's key.
func (l List) Sign(observer key.Private) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	payload, err := l.payload()
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelObservation, payload, observer, true, cose.Params{Role: signDaily, Time: l.Signed.Unix()})
}

// UnverifiedList is a parsed list whose signature nobody has checked.
type UnverifiedList struct {
	list    List
	message cose.Message1
}

// ParseList reads a list.
func ParseList(b []byte) (UnverifiedList, error) {
	m, err := parse1(b, MaxList, signDaily)
	if err != nil {
		return UnverifiedList{}, fmt.Errorf("%w: %w", ErrList, err)
	}
	var body listBody
	if err := canon.Unmarshal(m.Payload, MaxList, &body); err != nil {
		return UnverifiedList{}, fmt.Errorf("%w: %w", ErrList, err)
	}
	l := List{Day: body.Day, Signed: time.Unix(m.Signature.Time, 0).UTC()}
	if len(body.Previous) != 0 {
		if len(body.Previous) != sha256.Size || [sha256.Size]byte(body.Previous) == [sha256.Size]byte{} {
			return UnverifiedList{}, fmt.Errorf("%w: digest of the list before", ErrList)
		}
		l.Previous = [sha256.Size]byte(body.Previous)
	}
	for _, g := range body.Groups {
		if len(g.Keys) == 0 || len(g.Keys) > MaxKeys {
			return UnverifiedList{}, fmt.Errorf("%w: %d keys in one place", ErrList, len(g.Keys))
		}
		for _, k := range g.Keys {
			if len(k.Digest) != sha256.Size {
				return UnverifiedList{}, fmt.Errorf("%w: a member is out of bounds", ErrList)
			}
			l.Entries = append(l.Entries, Entry{Key{g.Kind, g.Name, k.Label, [sha256.Size]byte(k.Digest)}, k.DNSSEC})
		}
	}
	if err := l.check(); err != nil {
		return UnverifiedList{}, err
	}
	// One place in two groups has its keys in order and is another encoding.
	for i, g := range body.Groups[1:] {
		if before := body.Groups[i]; before.Kind == g.Kind && before.Name == g.Name {
			return UnverifiedList{}, fmt.Errorf("%w: one place in two groups", ErrList)
		}
	}
	return UnverifiedList{list: l, message: m}, nil
}

// Claims returns what the list says, unverified.
func (u UnverifiedList) Claims() List {
	l := u.list
	l.Entries = slices.Clone(l.Entries)
	return l
}

// VerifiedList is a list that an observer of the registry vouches for.
type VerifiedList struct {
	list   List
	by     registry.Party
	digest [sha256.Size]byte
}

// Verify checks who signed the list, and when.
func (u UnverifiedList) Verify(s *registry.Snapshot, q Question) (VerifiedList, error) {
	by, err := verify(u.message, s, q)
	if err != nil {
		return VerifiedList{}, err
	}
	return VerifiedList{list: u.list, by: by, digest: sha256.Sum256(u.message.Payload)}, nil
}

// Digest is SHA-256 of the signed payload. Two digests of one observer and one
// day are proof that it told two tales.
func (v VerifiedList) Digest() [sha256.Size]byte { return v.digest }

// Day is the day of the list.
func (v VerifiedList) Day() Day { return v.list.Day }

// Observer is who made it.
func (v VerifiedList) Observer() registry.PartyID { return v.by.ID }

// Operator is who runs the observer: verifiers count these.
func (v VerifiedList) Operator() registry.Operator { return v.by.Operator }

// Saw reports whether the observer saw name publish this very key, under
// whatever label, on the day of at.
func (v VerifiedList) Saw(kind Kind, name string, digest [sha256.Size]byte, at time.Time) bool {
	if at.Unix() < 0 || DayOf(at) != v.list.Day {
		return false
	}
	first := Key{Kind: kind, Name: name}
	i, _ := slices.BinarySearchFunc(v.list.Entries, first, func(e Entry, k Key) int { return e.compare(k) })
	for _, e := range v.list.Entries[i:] {
		if e.Kind != kind || e.Name != name {
			return false
		}
		if e.Digest == digest {
			return true
		}
	}
	return false
}

// Follows returns ErrSuccession unless v is the same observer's next list after
// the other: of a later day, and naming it as the one before.
func (v VerifiedList) Follows(other VerifiedList) error {
	if v.by.ID != other.by.ID || v.list.Day <= other.list.Day || v.list.Previous != other.digest {
		return ErrSuccession
	}
	return nil
}
