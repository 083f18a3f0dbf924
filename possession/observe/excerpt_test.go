package observe_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/possession/observe"
	"whither/registry"
)

// excerptTree is an excerpt before it is encoded.
type excerptTree struct {
	_     struct{} `cbor:",toarray"`
	Head  []byte
	Entry []any
	Index uint64
	Path  [][]byte
}

// excerptCase is a list whose second key of example.org is cut out, and what
// happens to the excerpt.
type excerptCase struct {
	name   string
	list   func(*scene) // bends the list, nil for none
	bend   func(*scene, *excerptTree)
	after  func([]byte) []byte
	expect error
}

// excerpt makes the bytes of a case.
func (c excerptCase) excerpt(s *scene) []byte {
	s.t.Helper()
	if c.list != nil {
		c.list(s)
	}
	own := newScene(s.t) // everybody can cut, whoever signed
	own.l, own.signer = s.l, observerA
	own.q.Now = s.l.Signed
	v := verifiedList(s.t, own)
	last := s.l.Entries[min(2, len(s.l.Entries)-1)].Key
	b, ok := v.Excerpt(last.Kind, last.Name, last.Digest)
	if !ok {
		s.t.Fatal("the list does not have its key")
	}
	if c.bend != nil {
		var tree excerptTree
		if err := canon.Unmarshal(b, len(b), &tree); err != nil {
			s.t.Fatal(err)
		}
		c.bend(s, &tree)
		var err error
		if b, err = canon.Marshal(tree); err != nil {
			s.t.Fatal(err)
		}
	}
	if c.after != nil {
		b = c.after(b)
	}
	return b
}

// headOf signs the scene's list and returns its head.
func headOf(s *scene) []byte {
	s.t.Helper()
	var parts []canonRaw
	if err := canon.Unmarshal(s.bytes(true), observe.MaxList, &parts); err != nil {
		s.t.Fatal(err)
	}
	var head []byte
	if err := canon.Unmarshal(parts[0], len(parts[0]), &head); err != nil {
		s.t.Fatal(err)
	}
	return head
}

// canonRaw is an item that is not looked into.
type canonRaw []byte

// UnmarshalCBOR keeps the bytes.
func (r *canonRaw) UnmarshalCBOR(b []byte) error { *r = bytes.Clone(b); return nil }

// MarshalCBOR gives them back.
func (r canonRaw) MarshalCBOR() ([]byte, error) { return r, nil }

func excerptCases() []excerptCase {
	bent := func(name string, bend func(*excerptTree)) excerptCase {
		return excerptCase{name: name, bend: func(_ *scene, e *excerptTree) { bend(e) }, expect: observe.ErrExcerpt}
	}
	all := []excerptCase{
		{name: "excerpt"},
		{name: "excerpt of a list of one key", list: func(s *scene) { s.l.Entries = s.l.Entries[1:2] }},
		{name: "excerpt of a list of two keys", list: func(s *scene) { s.l.Entries = s.l.Entries[1:3] }},
		{name: "excerpt of 65 places", list: func(s *scene) { s.l.Entries = slices.Concat(popular(30).Entries[:63], s.l.Entries[1:3]); s.l.Sort() }},
		{name: "excerpt of a list signed on its day", list: func(s *scene) { s.l.Day, s.l.Signed = observe.DayOf(s.Now), s.Now }},
		bent("excerpt with another key", func(e *excerptTree) { e.Entry[3] = bytes.Repeat([]byte{1}, 32) }),
		bent("excerpt with another domain", func(e *excerptTree) { e.Entry[1] = "example.com" }),
		bent("excerpt with another word on DNSSEC", func(e *excerptTree) { e.Entry[4] = uint64(2) }),
		bent("excerpt with a bad domain", func(e *excerptTree) { e.Entry[1] = "Example.org" }),
		bent("excerpt with a short digest", func(e *excerptTree) { e.Entry[3] = []byte{1} }),
		bent("excerpt with four members of an entry", func(e *excerptTree) { e.Entry = e.Entry[:4] }),
		bent("excerpt at another index", func(e *excerptTree) { e.Index ^= 1 }),
		bent("excerpt beyond the list", func(e *excerptTree) { e.Index += 8 }),
		bent("excerpt with a path too short", func(e *excerptTree) { e.Path = e.Path[1:] }),
		bent("excerpt with a path too long", func(e *excerptTree) { e.Path = append(e.Path, bytes.Repeat([]byte{1}, 32)) }),
		bent("excerpt with a path in another order", func(e *excerptTree) { slices.Reverse(e.Path) }),
		bent("excerpt with a short hash", func(e *excerptTree) { e.Path[0] = e.Path[0][:31] }),
		bent("excerpt of an inner node", func(e *excerptTree) {
			// What is hashed for a node cannot be an entry: it begins with another byte.
			e.Entry, e.Path = []any{uint64(1), "example.org", "s1", e.Path[0], uint64(1)}, e.Path[1:]
		}),
		bent("excerpt without head", func(e *excerptTree) { e.Head = nil }),
		{name: "excerpt under the head of another list", bend: func(s *scene, e *excerptTree) {
			s.l.Entries = s.l.Entries[:2]
			e.Head = headOf(s)
		}, expect: observe.ErrExcerpt},
		{name: "excerpt under an observation", bend: func(s *scene, e *excerptTree) { e.Head = s.bytes(false) }, expect: observe.ErrExcerpt},
		{name: "excerpt of a day long ago", bend: func(s *scene, e *excerptTree) {
			s.header = cose.Params{Role: 2, Time: s.l.Signed.Unix() + 9*86400}
			s.tree = listTree(s.l, groupTree{1, "example.org", []any{keyTree("s1")}})
			e.Head = headOf(s)
		}, expect: observe.ErrExcerpt},
		{name: "excerpt with bytes after it", after: func(b []byte) []byte { return append(b, 0) }, expect: observe.ErrExcerpt},
		{name: "excerpt, cut", after: func(b []byte) []byte { return b[:len(b)-1] }, expect: observe.ErrExcerpt},
		{name: "excerpt, too large", after: func(b []byte) []byte { return append(b, make([]byte, observe.MaxWord)...) }, expect: observe.ErrExcerpt},
		{name: "excerpt, signature changed", bend: func(_ *scene, e *excerptTree) { e.Head[len(e.Head)-1] ^= 1 }, expect: observe.ErrSignature},
		{name: "excerpt, operator barred", list: func(s *scene) { s.q.Barred = []registry.Operator{s.Grant(observerA).Operator} }, expect: observe.ErrDependent},
		{name: "excerpt, closed before", list: func(s *scene) { s.standing(registry.Closed, -20*time.Hour) }, expect: observe.ErrStanding},
		{name: "excerpt, from the future", list: func(s *scene) {
			s.l.Day, s.l.Signed = observe.DayOf(s.Now), s.Now.Add(registry.MaxSkew+time.Second)
			s.q.Now = s.Now
		}, expect: observe.ErrOrder},
	}
	for signer, name := range map[string]string{worldtest.ProverA: "a prover", worldtest.DP: "a DP"} {
		all = append(all, excerptCase{name: "excerpt, signed by " + name, bend: func(s *scene, e *excerptTree) {
			s.signer = signer
			e.Head = headOf(s)
		}, expect: observe.ErrUnknown})
	}
	slices.SortStableFunc(all[len(all)-2:], func(a, b excerptCase) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return all
}

// judgeWord verifies an excerpt and reports what it says.
func judgeWord(b []byte, s *registry.Snapshot, q observe.Question) (*report, error) {
	w, err := observe.ParseWord(b)
	if err != nil {
		return nil, err
	}
	v, err := w.Verify(s, q)
	if err != nil {
		return nil, err
	}
	return &report{
		Observer: v.Observer().String(), Operator: v.Operator().String(), Signed: w.Signed().Unix(), Keys: []entry{entryOf(v.Key(), 0)},
	}, nil
}

// TestR05ExcerptsSayWhatListsSay: an excerpt vouches for what the list does, at
// the same times, and nothing else can be cut out of it.
func TestR05ExcerptsSayWhatListsSay(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33} {
		s := newScene(t)
		s.l.Entries = manyKeys(n)
		list := verifiedList(t, s)
		snapshot := s.Snapshot()
		for _, e := range s.l.Entries {
			b, ok := list.Excerpt(e.Kind, e.Name, e.Digest)
			if !ok || len(b) > observe.MaxWord {
				t.Fatalf("no excerpt of %s in %d keys, or one of %d bytes", e.Label, n, len(b))
			}
			w, err := observe.ParseWord(b)
			if err != nil {
				t.Fatal(err)
			}
			v, err := w.Verify(snapshot, s.q)
			if err != nil || v.Key() != e.Key || v.Observer().String() != observerA || v.Operator().String() != "op-"+observerA {
				t.Fatalf("%+v by %s, %v", v.Key(), v.Observer(), err)
			}
			begin := list.Day().Begin()
			for _, at := range []time.Time{begin.Add(-time.Second), begin, begin.Add(day / 2), begin.Add(day - time.Second), begin.Add(day)} {
				if got, want := v.Covers(e.Digest, at), list.Saw(e.Kind, e.Name, e.Digest, at); got != want {
					t.Errorf("excerpt %t, list %t at %s", got, want, at)
				}
			}
			if v.Covers(digest("other"), begin) {
				t.Error("another key is covered")
			}
		}
		if _, ok := list.Excerpt(observe.DKIM, "example.org", digest("none")); ok {
			t.Error("an excerpt of a key that is not there")
		}
	}
}

// TestR05NoWordOnWhatComesLater: a list that was signed in the morning does not
// speak for the evening.
func TestR05NoWordOnWhatComesLater(t *testing.T) {
	s := newScene(t)
	s.l.Day, s.l.Signed = observe.DayOf(s.Now), s.Now
	list, e := verifiedList(t, s), s.l.Entries[1]
	b, _ := list.Excerpt(e.Kind, e.Name, e.Digest)
	w, err := observe.ParseWord(b)
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.Verify(s.Snapshot(), s.q)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]bool{s.Now: true, s.Now.Add(time.Second): false} {
		if list.Saw(e.Kind, e.Name, e.Digest, at) != want || v.Covers(e.Digest, at) != want {
			t.Errorf("at %s: list %t, excerpt %t, want %t", at, list.Saw(e.Kind, e.Name, e.Digest, at), v.Covers(e.Digest, at), want)
		}
	}
}

// TestWordOfAnObservation: an observation is a word as it is.
func TestWordOfAnObservation(t *testing.T) {
	s := newScene(t)
	w, err := observe.ParseWord(s.bytes(false))
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.Verify(s.Snapshot(), s.q)
	if err != nil || v.Key() != s.o.Key || !w.Signed().Equal(s.o.Signed) || w.Key() != s.o.Key {
		t.Fatalf("%+v, %v", v.Key(), err)
	}
	for _, at := range []time.Time{s.o.First.Add(-day - time.Second), s.o.First.Add(-day), s.o.First, s.o.Last, s.o.Last.Add(time.Second)} {
		if got, want := v.Covers(s.o.Digest, at), verified(t, s).Saw(s.o.Kind, s.o.Name, s.o.Digest, at); got != want {
			t.Errorf("word %t, observation %t at %s", got, want, at)
		}
	}
	if _, err := observe.ParseWord(s.bytes(true)); !errors.Is(err, observe.ErrExcerpt) {
		t.Errorf("a whole list is a word: %v", err)
	}
}

// FuzzParseWord: what verifies as an excerpt was made from a list.
func FuzzParseWord(f *testing.F) {
	made := make(map[string]bool)
	f.Add([]byte{})
	for _, c := range excerptCases() {
		s := newScene(f)
		b := c.excerpt(s)
		f.Add(b)
		made[string(b)] = made[string(b)] || c.bend == nil && c.after == nil
	}
	s := newScene(f)
	snapshot := s.Snapshot()
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := judgeWord(b, snapshot, s.q); err != nil {
			checkError(t, err)
		} else if !made[string(b)] {
			t.Errorf("forged: %x", b)
		}
	})
}
