package observe

import (
	"bytes"
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

// allows reports whether a list of the day may be signed at t.
func (d Day) allows(t time.Time) bool {
	return DayOf(t) >= d && !t.After((d + 1).Begin().Add(MaxDelay))
}

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

// listBytes is a list as it is published: the signed head, and the entries in
// groups of one place each, since most domains publish several keys.
type listBytes struct {
	_      struct{} `cbor:",toarray"`
	Head   []byte
	Groups []group
}

// headBody is the signed payload: the entries by the root of their hash tree, so
// that one of them can be shown without the others (excerpt.go).
type headBody struct {
	Day      Day    `cbor:"1,keyasint"`
	Previous []byte `cbor:"2,keyasint,omitempty"`
	Root     []byte `cbor:"3,keyasint"`
	Count    uint64 `cbor:"4,keyasint"`
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
	if !l.Day.allows(l.Signed) {
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

// groups puts the entries into groups of one place each.
func (l List) groups() ([]group, error) {
	var out []group
	for _, e := range l.Entries {
		last := len(out) - 1
		if last < 0 || out[last].Kind != e.Kind || out[last].Name != e.Name {
			out = append(out, group{Kind: e.Kind, Name: e.Name})
			last++
		}
		out[last].Keys = append(out[last].Keys, groupKey{Label: e.Label, Digest: slices.Clone(e.Digest[:]), DNSSEC: e.DNSSEC})
		if len(out[last].Keys) > MaxKeys {
			return nil, fmt.Errorf("%w: more than %d keys in one place", ErrList, MaxKeys)
		}
	}
	if len(out) > canon.MaxElements {
		return nil, fmt.Errorf("%w: more than %d places", ErrList, canon.MaxElements)
	}
	return out, nil
}

// payload is what is signed.
func (l List) payload() ([]byte, error) {
	leaves, err := l.leaves()
	if err != nil {
		return nil, err
	}
	root := treeRoot(leaves)
	body := headBody{Day: l.Day, Root: root[:], Count: uint64(len(leaves))}
	if l.Previous != [sha256.Size]byte{} {
		body.Previous = l.Previous[:]
	}
	return canon.Marshal(body)
}

// Sign returns the list's bytes, signed by an observer's key.
func (l List) Sign(observer key.Private) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	groups, err := l.groups()
	if err != nil {
		return nil, err
	}
	payload, err := l.payload()
	if err != nil {
		return nil, err
	}
	head, err := cose.Sign1(key.LabelObservation, payload, observer, true, cose.Params{Role: signDaily, Time: l.Signed.Unix()})
	if err != nil {
		return nil, err
	}
	return canon.Marshal(listBytes{Head: head, Groups: groups})
}

// UnverifiedList is a parsed list whose signature nobody has checked.
type UnverifiedList struct {
	list    List
	message cose.Message1
	head    []byte // the message's bytes
}

// ParseList reads a list.
func ParseList(b []byte) (UnverifiedList, error) {
	var body listBytes
	if err := canon.Unmarshal(b, MaxList, &body); err != nil {
		return UnverifiedList{}, fmt.Errorf("%w: %w", ErrList, err)
	}
	message, head, err := parseHead(body.Head)
	if err != nil {
		return UnverifiedList{}, fmt.Errorf("%w: %w", ErrList, err)
	}
	l := List{Day: head.Day, Signed: time.Unix(message.Signature.Time, 0).UTC()}
	if len(head.Previous) != 0 {
		l.Previous = [sha256.Size]byte(head.Previous)
	}
	for i, g := range body.Groups {
		if len(g.Keys) == 0 || len(g.Keys) > MaxKeys {
			return UnverifiedList{}, fmt.Errorf("%w: %d keys in one place", ErrList, len(g.Keys))
		}
		// One place in two groups can have its keys in order and is another encoding.
		if i > 0 && body.Groups[i-1].Kind == g.Kind && body.Groups[i-1].Name == g.Name {
			return UnverifiedList{}, fmt.Errorf("%w: one place in two groups", ErrList)
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
	leaves, err := l.leaves()
	if err != nil {
		return UnverifiedList{}, err
	}
	if root := treeRoot(leaves); head.Count != uint64(len(leaves)) || !bytes.Equal(head.Root, root[:]) {
		return UnverifiedList{}, fmt.Errorf("%w: the entries are not those that were signed", ErrList)
	}
	return UnverifiedList{list: l, message: message, head: body.Head}, nil
}

// parseHead reads the signed part of a list.
func parseHead(b []byte) (cose.Message1, headBody, error) {
	m, err := parse1(b, maxHead, signDaily)
	if err != nil {
		return cose.Message1{}, headBody{}, err
	}
	var h headBody
	if err := canon.Unmarshal(m.Payload, maxHead, &h); err != nil {
		return cose.Message1{}, headBody{}, err
	}
	if len(h.Root) != sha256.Size || h.Count == 0 || h.Count > maxEntries {
		return cose.Message1{}, headBody{}, fmt.Errorf("%w: a member is out of bounds", ErrList)
	}
	if len(h.Previous) != 0 && (len(h.Previous) != sha256.Size || [sha256.Size]byte(h.Previous) == [sha256.Size]byte{}) {
		return cose.Message1{}, headBody{}, fmt.Errorf("%w: digest of the list before", ErrList)
	}
	return m, h, nil
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
	head   []byte
	digest [sha256.Size]byte
}

// Verify checks who signed the list, and when.
func (u UnverifiedList) Verify(s *registry.Snapshot, q Question) (VerifiedList, error) {
	by, err := verify(u.message, s, q)
	if err != nil {
		return VerifiedList{}, err
	}
	return VerifiedList{list: u.list, by: by, head: u.head, digest: sha256.Sum256(u.message.Payload)}, nil
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
// whatever label, on the day of at, and not before it made the list.
func (v VerifiedList) Saw(kind Kind, name string, digest [sha256.Size]byte, at time.Time) bool {
	if at.Unix() < 0 || DayOf(at) != v.list.Day || at.After(v.list.Signed) {
		return false
	}
	_, ok := v.find(kind, name, digest)
	return ok
}

// find returns the place of the first entry of a key.
func (v VerifiedList) find(kind Kind, name string, digest [sha256.Size]byte) (int, bool) {
	first := Key{Kind: kind, Name: name}
	i, _ := slices.BinarySearchFunc(v.list.Entries, first, func(e Entry, k Key) int { return e.compare(k) })
	for ; i < len(v.list.Entries); i++ {
		e := v.list.Entries[i]
		if e.Kind != kind || e.Name != name {
			return 0, false
		}
		if e.Digest == digest {
			return i, true
		}
	}
	return 0, false
}

// Follows returns ErrSuccession unless v is the same observer's next list after
// the other: of a later day, and naming it as the one before.
func (v VerifiedList) Follows(other VerifiedList) error {
	if v.by.ID != other.by.ID || v.list.Day <= other.list.Day || v.list.Previous != other.digest {
		return ErrSuccession
	}
	return nil
}
