package observe_test

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession/observe"
	"whither/registry"
)

const (
	observerA = "observer-a.example"
	observerB = "observer-b.example"
	day       = 24 * time.Hour
)

// scene is a federation with two observers, a statement about to be made and the
// question that it is judged by.
type scene struct {
	*worldtest.Federation
	t      testing.TB
	o      observe.Observation
	l      observe.List
	q      observe.Question
	signer string // whose key signs
	header cose.Params
	label  key.Label
	// tree, if set, is signed as it is; else the observation or the list.
	tree  map[int64]any
	head  func(map[int64]any) // bends the signed head of a list
	after func([]byte) []byte // what happens to the bytes on their way
}

func digest(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func newScene(t testing.TB) *scene {
	f := worldtest.New(t)
	f.Add(observerA, registry.RoleObserver, nil)
	f.Add(observerB, registry.RoleObserver, nil)
	s := &scene{Federation: f, t: t, signer: observerA, label: key.LabelObservation}
	s.o = observe.Observation{
		Key:   observe.Key{Kind: observe.DKIM, Name: "example.org", Label: "s1", Digest: digest("s1")},
		First: f.Now.Add(-30 * day), Last: f.Now.Add(-time.Minute), DNSSEC: observe.Secure, Signed: f.Now,
	}
	today := observe.DayOf(f.Now)
	s.l = observe.List{Day: today - 1, Signed: today.Begin().Add(time.Hour), Previous: digest("list before"), Entries: []observe.Entry{
		{Key: observe.Key{Kind: observe.DKIM, Name: "example.net", Label: "k", Digest: digest("k")}, DNSSEC: observe.Insecure},
		{Key: observe.Key{Kind: observe.DKIM, Name: "example.org", Label: "s1", Digest: digest("s1")}, DNSSEC: observe.Secure},
		{Key: observe.Key{Kind: observe.DKIM, Name: "example.org", Label: "s2", Digest: digest("s2")}, DNSSEC: observe.Secure},
		{Key: observe.Key{Kind: observe.JWKS, Name: "https://op.example.org", Label: "", Digest: digest("nameless")}},
		{Key: observe.Key{Kind: observe.JWKS, Name: "https://op.example.org", Label: "2026-10", Digest: digest("2026-10")}},
	}}
	s.q = observe.Question{Now: f.Now}
	return s
}

func (s *scene) bytes(list bool) []byte {
	s.t.Helper()
	b, err := s.o.Sign(worldtest.Key(s.t, s.signer))
	if list {
		b, err = s.l.Sign(worldtest.Key(s.t, s.signer))
	}
	if s.tree != nil || s.header != (cose.Params{}) || s.label != key.LabelObservation {
		b, err = s.bent(list)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if s.after != nil {
		b = s.after(b)
	}
	return b
}

// bent signs what Sign would not.
func (s *scene) bent(list bool) ([]byte, error) {
	tree, role, at := s.tree, uint8(1), s.o.Signed
	if tree == nil {
		tree = observationTree(s.o)
	}
	if list {
		role, at = 2, s.l.Signed
	}
	header := s.header
	if header == (cose.Params{}) {
		header = cose.Params{Role: role, Time: at.Unix()}
	}
	groups, isList := tree[3].([]any)
	if list && isList {
		leaves := leavesOf(s.t, groups)
		root := rootOf(leaves)
		tree = maps.Clone(tree)
		tree[3], tree[4] = root[:], len(leaves)
		if s.head != nil {
			s.head(tree)
		}
	}
	payload, err := canon.Marshal(tree)
	if err != nil {
		return nil, err
	}
	b, err := cose.Sign1(s.label, payload, worldtest.Key(s.t, s.signer), true, header)
	if err != nil || !list {
		return b, err
	}
	return canon.Marshal([]any{b, groups})
}

// leavesOf hashes the entries of groups by another way than the package does.
func leavesOf(t testing.TB, groups []any) [][32]byte {
	t.Helper()
	var out [][32]byte
	for _, g := range groups {
		g := g.(groupTree)
		for _, k := range g[2].([]any) {
			b, err := canon.Marshal(append([]any{g[0], g[1]}, k.([]any)...))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, sha256.Sum256(append([]byte{0}, b...)))
		}
	}
	return out
}

// rootOf computes the root level by level: what has no neighbour goes up as it is.
func rootOf(level [][32]byte) [32]byte {
	if len(level) == 0 {
		return [32]byte{1}
	}
	for len(level) > 1 {
		var up [][32]byte
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, sha256.Sum256(slices.Concat([]byte{1}, level[i][:], level[i+1][:])))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		level = up
	}
	return level[0]
}

// observationTree encodes by another way than the package does.
func observationTree(o observe.Observation) map[int64]any {
	tree := map[int64]any{1: uint8(o.Kind), 2: o.Name, 4: bytes.Clone(o.Digest[:]), 5: o.First.Unix(), 6: o.Last.Unix()}
	if o.Label != "" {
		tree[3] = o.Label
	}
	if o.DNSSEC != 0 {
		tree[7] = uint8(o.DNSSEC)
	}
	return tree
}

type groupTree = []any // kind, name, keys

func listTree(l observe.List, groups ...groupTree) map[int64]any {
	list := make([]any, len(groups))
	for i, g := range groups {
		list[i] = g
	}
	return map[int64]any{1: uint32(l.Day), 2: bytes.Clone(l.Previous[:]), 3: list}
}

func keyTree(label string) []any {
	d := digest(label)
	return []any{label, d[:], 1}
}

type statementCase struct {
	name   string
	list   bool
	bend   func(*scene)
	expect error
}

func (s *scene) standing(state registry.State, since time.Duration) {
	s.Grant(observerA).Standing = registry.Standing{State: state, Since: s.Now.Add(since).Unix()}
}

func cases() []statementCase {
	return slices.Concat(acceptedCases(), refusedObservations(), refusedLists(), refusedSigners(false), refusedSigners(true))
}

func acceptedCases() []statementCase {
	return []statementCase{
		{"DKIM key", false, func(*scene) {}, nil},
		{"DKIM key, seen once, no resolver asked", false, func(s *scene) { s.o.First, s.o.DNSSEC = s.o.Last, observe.NotAsked }, nil},
		{"DKIM key, selector of three labels", false, func(s *scene) { s.o.Label = "2026.mail.b_2" }, nil},
		{"DKIM key, domain in A-labels", false, func(s *scene) { s.o.Name = "xn--bcher-kva.example" }, nil},
		{"OpenID key", false, func(s *scene) { s.o.Key = s.l.Entries[4].Key }, nil},
		{"OpenID key without a name", false, func(s *scene) { s.o.Key = s.l.Entries[3].Key }, nil},
		{"OpenID key with a name in Unicode", false, func(s *scene) { s.o.Key = s.l.Entries[4].Key; s.o.Label = "schlüssel 1" }, nil},
		{"list", true, func(*scene) {}, nil},
		{"list, the first of its observer", true, func(s *scene) { s.l.Previous = [32]byte{} }, nil},
		{"list of one key, signed on its day", true, func(s *scene) {
			s.l.Entries, s.l.Day, s.l.Signed = s.l.Entries[:1], observe.DayOf(s.Now), s.Now
		}, nil},
		{"list with a selector that changed its key", true, func(s *scene) {
			s.l.Entries[2].Label = "s1"
			s.l.Sort()
		}, nil},
		{"observer closed later", false, func(s *scene) { s.standing(registry.Closed, time.Second) }, nil},
		{"observer expelled after it was witnessed", false, func(s *scene) {
			s.standing(registry.Expelled, 2*day)
			s.q.Now, s.q.Witnessed = s.Now.Add(9*day), s.Now.Add(day)
		}, nil},
		{"key given up after it signed", false, func(s *scene) { s.Selfs[observerA].Keys[0].Until = s.Now.Unix() + 1 }, nil},
		{"another operator barred", false, func(s *scene) { s.q.Barred = []registry.Operator{s.Grant(observerB).Operator} }, nil},
	}
}

func refusedObservations() []statementCase {
	edit := func(name string, f func(*observe.Observation)) statementCase {
		return statementCase{name, false, func(s *scene) { f(&s.o); s.tree = observationTree(s.o) }, observe.ErrObservation}
	}
	member := func(name string, number int64, value any) statementCase {
		return statementCase{name, false, func(s *scene) {
			s.tree = observationTree(s.o)
			if s.tree[number] = value; value == nil {
				delete(s.tree, number)
			}
		}, observe.ErrObservation}
	}
	return []statementCase{
		edit("kind 0", func(o *observe.Observation) { o.Kind = 0 }),
		edit("kind 3", func(o *observe.Observation) { o.Kind = 3 }),
		edit("DKIM key without a selector", func(o *observe.Observation) { o.Label = "" }),
		edit("selector in capitals", func(o *observe.Observation) { o.Label = "S1" }),
		edit("selector with a dot at its end", func(o *observe.Observation) { o.Label = "s1." }),
		edit("domain in capitals", func(o *observe.Observation) { o.Name = "Example.org" }),
		edit("domain of one label", func(o *observe.Observation) { o.Name = "org" }),
		edit("domain with a dot at its end", func(o *observe.Observation) { o.Name = "example.org." }),
		edit("domain in Unicode", func(o *observe.Observation) { o.Name = "bücher.example" }),
		edit("domain and selector too long", func(o *observe.Observation) { o.Label = strings.Repeat(strings.Repeat("a", 60)+".", 4) + "a" }),
		edit("issuer of http", func(o *observe.Observation) { o.Kind, o.Name = observe.JWKS, "http://op.example.org" }),
		edit("issuer without a scheme", func(o *observe.Observation) { o.Kind, o.Name = observe.JWKS, "op.example.org" }),
		edit("issuer of a DKIM key", func(o *observe.Observation) { o.Name = "https://op.example.org" }),
		edit("kid with a control character", func(o *observe.Observation) { o.Kind, o.Name, o.Label = observe.JWKS, "https://op.example.org", "a\nb" }),
		edit("kid too long", func(o *observe.Observation) {
			o.Kind, o.Name, o.Label = observe.JWKS, "https://op.example.org", strings.Repeat("k", 256)
		}),
		edit("digest of zeros", func(o *observe.Observation) { o.Digest = [32]byte{} }),
		edit("last before first", func(o *observe.Observation) { o.Last = o.First.Add(-time.Second) }),
		edit("first at 0", func(o *observe.Observation) { o.First = time.Unix(0, 0) }),
		edit("DNSSEC 3", func(o *observe.Observation) { o.DNSSEC = 3 }),
		member("digest short", 4, make([]byte, 31)),
		member("no digest", 4, nil),
		member("no first", 5, nil),
		member("time beyond all times", 6, int64(1)<<62),
		member("DNSSEC 0 written", 7, 0),
		member("empty label written", 3, ""),
		member("member unknown", 8, 1),
		{"role of a list", false, func(s *scene) { s.header = cose.Params{Role: 2, Time: s.Now.Unix()} }, observe.ErrObservation},
		{"role 0", false, func(s *scene) { s.header = cose.Params{Time: s.Now.Unix()} }, observe.ErrObservation},
		{"an end of its own", false, func(s *scene) { s.header = cose.Params{Role: 1, Time: s.Now.Unix(), Until: s.Now.Unix() + 9} }, observe.ErrObservation},
		{"signed beyond all times", false, func(s *scene) { s.header = cose.Params{Role: 1, Time: 1 << 62} }, observe.ErrObservation},
		{"list's payload", false, func(s *scene) {
			s.tree = listTree(s.l, groupTree{1, "example.org", []any{keyTree("s1")}})
		}, observe.ErrObservation},
		{"signed before it was last seen", false, func(s *scene) {
			s.header = cose.Params{Role: 1, Time: s.o.Last.Unix() - 1}
		}, observe.ErrOrder},
		{"bytes after it", false, func(s *scene) { s.after = func(b []byte) []byte { return append(b, 0) } }, observe.ErrObservation},
		{"cut", false, func(s *scene) { s.after = func(b []byte) []byte { return b[:len(b)-1] } }, observe.ErrObservation},
		{"empty", false, func(s *scene) { s.after = func([]byte) []byte { return nil } }, observe.ErrObservation},
		{"too large", false, func(s *scene) {
			s.after = func(b []byte) []byte { return append(b, make([]byte, observe.MaxObservation)...) }
		}, observe.ErrObservation},
	}
}

func refusedLists() []statementCase {
	edit := func(name string, f func(*scene) []groupTree) statementCase {
		return statementCase{name, true, func(s *scene) { s.tree = listTree(s.l, f(s)...) }, observe.ErrList}
	}
	org := func(labels ...string) groupTree {
		var keys []any
		for _, l := range labels {
			keys = append(keys, keyTree(l))
		}
		return groupTree{1, "example.org", keys}
	}
	return []statementCase{
		edit("list without entries", func(*scene) []groupTree { return nil }),
		edit("list with a domain without keys", func(*scene) []groupTree { return []groupTree{{1, "example.org", []any{}}} }),
		edit("list with a doubled key", func(*scene) []groupTree { return []groupTree{org("s1", "s1")} }),
		edit("list with keys out of order", func(*scene) []groupTree { return []groupTree{org("s2", "s1")} }),
		edit("list with a domain in two groups", func(*scene) []groupTree { return []groupTree{org("s1"), org("s2")} }),
		edit("list with domains out of order", func(*scene) []groupTree { return []groupTree{org("s1"), {1, "example.net", []any{keyTree("k")}}} }),
		edit("list with kinds out of order", func(*scene) []groupTree {
			return []groupTree{{2, "https://op.example.org", []any{keyTree("k")}}, org("s1")}
		}),
		edit("list with an unknown kind", func(*scene) []groupTree { return []groupTree{{3, "example.org", []any{keyTree("k")}}} }),
		edit("list with a domain in capitals", func(*scene) []groupTree { return []groupTree{{1, "EXAMPLE.org", []any{keyTree("k")}}} }),
		edit("list with a short digest", func(*scene) []groupTree { return []groupTree{{1, "example.org", []any{[]any{"k", []byte{1}, 0}}}} }),
		edit("list with DNSSEC 3", func(*scene) []groupTree {
			return []groupTree{{1, "example.org", []any{append(keyTree("k")[:2], 3)}}}
		}),
		edit("list with an entry of two", func(*scene) []groupTree { return []groupTree{{1, "example.org", []any{keyTree("k")[:2]}}} }),
		edit("list with 65 keys of a domain", func(*scene) []groupTree {
			labels := make([]string, 65)
			for i := range labels {
				labels[i] = "s" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			}
			return []groupTree{org(labels...)}
		}),
		edit("list after one of zeros", func(s *scene) []groupTree { s.l.Previous = [32]byte{}; return []groupTree{org("s1")} }),
		{"list of tomorrow", true, func(s *scene) {
			s.l.Day = observe.DayOf(s.l.Signed) + 1
			s.tree = listTree(s.l, org("s1"))
		}, observe.ErrList},
		{"list of a day long ago", true, func(s *scene) { s.l.Day -= 3; s.tree = listTree(s.l, org("s1")) }, observe.ErrList},
		{"list of the last day of all", true, func(s *scene) { s.l.Day = 1<<32 - 1; s.tree = listTree(s.l, org("s1")) }, observe.ErrList},
		{"list signed beyond all times", true, func(s *scene) {
			s.tree, s.header = listTree(s.l, org("s1")), cose.Params{Role: 2, Time: 1 << 62}
		}, observe.ErrList},
		{"list with the role of an observation", true, func(s *scene) {
			s.tree, s.header = listTree(s.l, org("s1")), cose.Params{Role: 1, Time: s.l.Signed.Unix()}
		}, observe.ErrList},
		{"list with an observation's payload", true, func(s *scene) { s.tree = observationTree(s.o) }, observe.ErrList},
		{"list with another root", true, func(s *scene) {
			s.tree, s.head = listTree(s.l, org("s1")), func(h map[int64]any) { h[3] = bytes.Repeat([]byte{1}, 32) }
		}, observe.ErrList},
		{"list with another count", true, func(s *scene) {
			s.tree, s.head = listTree(s.l, org("s1")), func(h map[int64]any) { h[4] = 2 }
		}, observe.ErrList},
		{"list without count", true, func(s *scene) {
			s.tree, s.head = listTree(s.l, org("s1")), func(h map[int64]any) { delete(h, 4) }
		}, observe.ErrList},
		{"list of entries beside the signed ones", true, func(s *scene) {
			s.after = func(b []byte) []byte { return bytes.Replace(b, []byte("s2"), []byte("s3"), 1) }
		}, observe.ErrList},
		{"list with bytes after it", true, func(s *scene) { s.after = func(b []byte) []byte { return append(b, 0) } }, observe.ErrList},
	}
}

// refusedSigners are wrong in the same ways for both statements.
func refusedSigners(list bool) []statementCase {
	prefix := map[bool]string{false: "", true: "list, "}[list]
	all := []statementCase{
		{"signed by a prover", list, func(s *scene) { s.signer = worldtest.ProverA }, observe.ErrUnknown},
		{"signed by a DP", list, func(s *scene) { s.signer = worldtest.DP }, observe.ErrUnknown},
		{"signed by a stranger", list, func(s *scene) { s.signer = "mallory.example" }, observe.ErrUnknown},
		{"signed by who lost the role", list, func(s *scene) { s.Grant(observerA).Roles = []registry.Role{registry.RoleWitness} }, observe.ErrUnknown},
		{"key not yet in force", list, func(s *scene) { s.Selfs[observerA].Keys[0].From = s.Now.Unix() + 1 }, observe.ErrUnknown},
		{"key given up", list, func(s *scene) { s.Selfs[observerA].Keys[0].Until = s.Now.Add(-20 * time.Hour).Unix() }, observe.ErrUnknown},
		{"operator barred", list, func(s *scene) { s.q.Barred = []registry.Operator{s.Grant(observerA).Operator} }, observe.ErrDependent},
		{"from the future", list, func(s *scene) {
			s.o.Signed = s.Now.Add(registry.MaxSkew + time.Second)
			s.l.Day, s.l.Signed = observe.DayOf(s.Now), s.o.Signed
		}, observe.ErrOrder},
		{"closed before", list, func(s *scene) { s.standing(registry.Closed, -20*time.Hour) }, observe.ErrStanding},
		{"expelled before", list, func(s *scene) { s.standing(registry.Expelled, -20*time.Hour) }, observe.ErrStanding},
		{"expelled later, nobody saw it before", list, func(s *scene) {
			s.standing(registry.Expelled, day)
			s.q.Now = s.Now.Add(2 * day)
		}, observe.ErrStanding},
		{"expelled later, seen before by its own operator alone", list, func(s *scene) {
			s.standing(registry.Expelled, day)
			s.q.Now, s.q.Witnessed, s.q.WitnessedBy = s.Now.Add(2*day), s.Now, s.Grant(observerA).Operator
		}, observe.ErrStanding},
		{"signature changed", list, func(s *scene) {
			s.after = func(b []byte) []byte {
				last := len(b) - 1
				if list {
					last = 2 + int(b[2]) // the head comes first, as a byte string of up to 255
				}
				b[last] ^= 1
				return b
			}
		}, observe.ErrSignature},
		{"signed as a receipt", list, func(s *scene) {
			s.label = key.LabelReceipt
			if list {
				s.tree = listTree(s.l, groupTree{1, "example.org", []any{keyTree("s1")}})
			}
		}, observe.ErrSignature},
	}
	for i := range all {
		all[i].name = prefix + all[i].name
	}
	return all
}
