package observe

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/registry"
)

// excerptBytes is one entry of a list, with the signed head and the hashes that
// lead from the entry to the root in it.
type excerptBytes struct {
	_     struct{} `cbor:",toarray"`
	Head  []byte
	Entry leaf
	Index uint64
	Path  [][]byte
}

// leaf is an entry as it is hashed.
type leaf struct {
	_      struct{} `cbor:",toarray"`
	Kind   Kind
	Name   string
	Label  string
	Digest []byte
	DNSSEC DNSSEC
}

// Excerpt returns the entry of a key for who has no use for the whole list: at
// most [MaxWord] bytes that [ParseWord] reads. It is made from the list by
// whoever has it, so that nobody is asked about the domain. It returns false if
// the list does not have the key.
func (v VerifiedList) Excerpt(kind Kind, name string, digest [sha256.Size]byte) ([]byte, bool) {
	i, ok := v.find(kind, name, digest)
	if !ok {
		return nil, false
	}
	leaves, err := v.list.leaves()
	if err != nil {
		return nil, false
	}
	out := excerptBytes{Head: v.head, Entry: leafOf(v.list.Entries[i]), Index: uint64(i)}
	for _, h := range treePath(i, leaves) {
		out.Path = append(out.Path, bytes.Clone(h[:]))
	}
	b, err := canon.Marshal(out)
	return b, err == nil && len(b) <= MaxWord
}

// Word is an observer's word on one key as it travels beside evidence: an
// [Observation], or an excerpt of a [List]. Nobody has checked its signature.
type Word struct {
	key Key
	// from and until bound the evidence that it speaks for.
	from, until time.Time
	message     cose.Message1
}

// ParseWord reads an observation or an excerpt. The excerpt's entry is in the
// list that its head is of.
func ParseWord(b []byte) (Word, error) {
	if len(b) > 0 && b[0] == tag18 {
		u, err := Parse(b)
		if err != nil {
			return Word{}, err
		}
		return Word{key: u.observation.Key, from: u.observation.First.Add(-MaxLead), until: u.observation.Last, message: u.message}, nil
	}
	return parseExcerpt(b)
}

// tag18 is how a COSE_Sign1 begins; an excerpt is an array.
const tag18 = 0xd2

func parseExcerpt(b []byte) (Word, error) {
	var body excerptBytes
	if err := canon.Unmarshal(b, MaxWord, &body); err != nil {
		return Word{}, fmt.Errorf("%w: %w", ErrExcerpt, err)
	}
	message, head, err := parseHead(body.Head)
	if err != nil {
		return Word{}, fmt.Errorf("%w: its head", ErrExcerpt)
	}
	signed := time.Unix(message.Signature.Time, 0).UTC()
	e := body.Entry
	if len(e.Digest) != sha256.Size || !head.Day.allows(signed) || e.DNSSEC > Insecure {
		return Word{}, fmt.Errorf("%w: a member is out of bounds", ErrExcerpt)
	}
	w := Word{
		key:     Key{Kind: e.Kind, Name: e.Name, Label: e.Label, Digest: [sha256.Size]byte(e.Digest)},
		from:    head.Day.Begin(),
		until:   (head.Day + 1).Begin().Add(-time.Second),
		message: message,
	}
	if signed.Before(w.until) {
		w.until = signed // it cannot speak for what came after it
	}
	if !w.key.valid() {
		return Word{}, fmt.Errorf("%w: a member is out of bounds", ErrExcerpt)
	}
	own, err := e.hash()
	if err != nil {
		return Word{}, fmt.Errorf("%w: %w", ErrExcerpt, err)
	}
	root, ok := climb(own, body.Index, head.Count, body.Path)
	if !ok || !bytes.Equal(root[:], head.Root) {
		return Word{}, fmt.Errorf("%w: the entry is not in the list", ErrExcerpt)
	}
	return w, nil
}

// Key is what was seen, unverified.
func (w Word) Key() Key { return w.key }

// Signed is when the statement was made, unverified.
func (w Word) Signed() time.Time { return time.Unix(w.message.Signature.Time, 0).UTC() }

// VerifiedWord is a word that an observer of the registry vouches for.
type VerifiedWord struct {
	word Word
	by   registry.Party
}

// Verify checks who signed, and when.
func (w Word) Verify(s *registry.Snapshot, q Question) (VerifiedWord, error) {
	if w.until.After(w.Signed()) {
		return VerifiedWord{}, ErrOrder
	}
	by, err := verify(w.message, s, q)
	if err != nil {
		return VerifiedWord{}, err
	}
	return VerifiedWord{word: w, by: by}, nil
}

// Key is what was seen.
func (v VerifiedWord) Key() Key { return v.word.key }

// Observer is who saw it.
func (v VerifiedWord) Observer() registry.PartyID { return v.by.ID }

// Operator is who runs the observer: verifiers count these.
func (v VerifiedWord) Operator() registry.Operator { return v.by.Operator }

// Covers reports whether the word is about this very key, for evidence of time
// at: as [Verified.Saw] and [VerifiedList.Saw] do, whatever the place is called.
func (v VerifiedWord) Covers(digest [sha256.Size]byte, at time.Time) bool {
	return v.word.key.Digest == digest && !at.Before(v.word.from) && !at.After(v.word.until)
}

// The hash tree is that of RFC 9162 section 2.1, over one leaf for each entry.

func leafOf(e Entry) leaf {
	return leaf{Kind: e.Kind, Name: e.Name, Label: e.Label, Digest: bytes.Clone(e.Digest[:]), DNSSEC: e.DNSSEC}
}

func (l leaf) hash() ([sha256.Size]byte, error) {
	b, err := canon.Marshal(l)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(append([]byte{0}, b...)), nil
}

func (l List) leaves() ([][sha256.Size]byte, error) {
	out := make([][sha256.Size]byte, len(l.Entries))
	for i, e := range l.Entries {
		var err error
		if out[i], err = leafOf(e).hash(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func node(left, right []byte) [sha256.Size]byte {
	b := make([]byte, 0, 1+2*sha256.Size)
	b = append(b, 1)
	b = append(b, left...)
	return sha256.Sum256(append(b, right...))
}

// split is the largest power of two below n, for n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// treeRoot is the root of at least one leaf.
func treeRoot(leaves [][sha256.Size]byte) [sha256.Size]byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	left, right := treeRoot(leaves[:k]), treeRoot(leaves[k:])
	return node(left[:], right[:])
}

// treePath is the hashes beside the way from leaf i to the root, lowest first.
func treePath(i int, leaves [][sha256.Size]byte) [][sha256.Size]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(treePath(i, leaves[:k]), treeRoot(leaves[k:]))
	}
	return append(treePath(i-k, leaves[k:]), treeRoot(leaves[:k]))
}

// climb computes the root from a leaf and its path (RFC 9162 section 2.1.3.2).
func climb(h [sha256.Size]byte, index, count uint64, path [][]byte) ([sha256.Size]byte, bool) {
	if index >= count {
		return h, false
	}
	at, last := index, count-1
	for _, p := range path {
		if last == 0 || len(p) != sha256.Size {
			return h, false
		}
		if at&1 == 1 || at == last {
			h = node(p, h[:])
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			h = node(h[:], p)
		}
		at, last = at>>1, last>>1
	}
	return h, last == 0
}
