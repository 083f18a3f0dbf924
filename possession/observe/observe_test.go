package observe_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/internal/canon"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession/observe"
)

// TestGoldenBytes checks an observation against bytes written out by hand.
func TestGoldenBytes(t *testing.T) {
	k := worldtest.Key(t, observerA)
	o := observe.Observation{
		Key:   observe.Key{Kind: observe.DKIM, Name: "example.org", Label: "s1", Digest: [32]byte(bytes.Repeat([]byte{0xdd}, 32))},
		First: time.Unix(1_790_000_000, 0), Last: time.Unix(1_793_534_340, 0), DNSSEC: observe.Secure, Signed: time.Unix(1_793_534_400, 0),
	}
	b, err := o.Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	id := k.Public().ID()
	header := "a4" + // map of 4
		"0132" + // 1, alg: -19, Ed25519 (RFC 9864)
		"02813a00010000" + // 2, crit: [-65537]
		"0450" + hex.EncodeToString(id[:]) + // 4, kid: 16 bytes
		"3a00010000a2" + // -65537: map of 2
		"0101" + // 1, role: 1, about one key
		"021a6ae729c0" // 2, time: 1793534400
	payload := "a7" + // map of 7
		"0101" + // 1, kind: 1, DKIM
		"026b" + hex.EncodeToString([]byte("example.org")) + // 2, name
		"0362" + hex.EncodeToString([]byte("s1")) + // 3, label
		"045820" + strings.Repeat("dd", 32) + // 4, digest
		"051a6ab13b80" + // 5, first: 1790000000
		"061a6ae72984" + // 6, last: 1793534340
		"0701" // 7, DNSSEC: 1, secure
	want := "d284" + // tag 18, array of 4
		"582a" + header + "a0" + // protected, 42 bytes; unprotected
		"5845" + payload + // payload, 69 bytes
		"5840" // signature, 64 bytes
	got := hex.EncodeToString(b)
	if got[:len(got)-128] != want {
		t.Errorf("got  %s\nwant %s", got[:len(got)-128], want)
	}
	toBeSigned, err := hex.DecodeString("846a" + hex.EncodeToString([]byte("Signature1")) + "582a" + header +
		"56" + hex.EncodeToString([]byte("whither/v1/observation")) + "5845" + payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Public().Verify(toBeSigned, b[len(b)-64:]); err != nil {
		t.Error(err)
	}
	if len(b) != 184 {
		t.Errorf("%d bytes", len(b))
	}
}

func verified(t testing.TB, s *scene) observe.Verified {
	t.Helper()
	u, err := observe.Parse(s.bytes(false))
	if err != nil {
		t.Fatal(err)
	}
	v, err := u.Verify(s.Snapshot(), s.q)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verifiedList(t testing.TB, s *scene) observe.VerifiedList {
	t.Helper()
	u, err := observe.ParseList(s.bytes(true))
	if err != nil {
		t.Fatal(err)
	}
	v, err := u.Verify(s.Snapshot(), s.q)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestR05Saw: an observation vouches for one key in one place while it was
// there. A key that has left the DNS vouches for what it signed before, and for
// nothing after: from then on its archive signs as well.
func TestR05Saw(t *testing.T) {
	s := newScene(t)
	v := verified(t, s)
	o := v.Observation()
	if o != s.o || v.Observer().String() != observerA || v.Operator().String() != "op-"+observerA {
		t.Errorf("%+v by %s of %s", o, v.Observer(), v.Operator())
	}
	for name, c := range map[string]struct {
		kind   observe.Kind
		name   string
		digest [32]byte
		at     time.Time
		want   bool
	}{
		"while it was there":           {observe.DKIM, o.Name, o.Digest, s.Now.Add(-day), true},
		"when it was first seen":       {observe.DKIM, o.Name, o.Digest, o.First, true},
		"a day before":                 {observe.DKIM, o.Name, o.Digest, o.First.Add(-day), true},
		"more than a day before":       {observe.DKIM, o.Name, o.Digest, o.First.Add(-day - time.Second), false},
		"when it was last seen":        {observe.DKIM, o.Name, o.Digest, o.Last, true},
		"a second after":               {observe.DKIM, o.Name, o.Digest, o.Last.Add(time.Second), false},
		"another key":                  {observe.DKIM, o.Name, digest("other"), s.Now.Add(-day), false},
		"another domain":               {observe.DKIM, "mail.example.org", o.Digest, s.Now.Add(-day), false},
		"an issuer of the same digest": {observe.JWKS, o.Name, o.Digest, s.Now.Add(-day), false},
		"no key":                       {observe.DKIM, o.Name, [32]byte{}, s.Now.Add(-day), false},
	} {
		if got := v.Saw(c.kind, c.name, c.digest, c.at); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (observe.Verified{}).Saw(observe.DKIM, "example.org", digest("s1"), s.Now) {
		t.Error("the zero value saw something")
	}
}

func TestR05ListSaw(t *testing.T) {
	s := newScene(t)
	v := verifiedList(t, s)
	noon := v.Day().Begin().Add(day / 2)
	for _, e := range s.l.Entries {
		if !v.Saw(e.Kind, e.Name, e.Digest, noon) {
			t.Errorf("%s %s is not in the list", e.Name, e.Label)
		}
		for _, at := range []time.Time{v.Day().Begin().Add(-time.Second), v.Day().Begin().Add(day), {}, time.Unix(-1, 0)} {
			if v.Saw(e.Kind, e.Name, e.Digest, at) {
				t.Errorf("%s %s was seen at %v", e.Name, e.Label, at)
			}
		}
		if v.Saw(e.Kind, e.Name, digest("other"), noon) || v.Saw(e.Kind, e.Name+"a", e.Digest, noon) || v.Saw(3-e.Kind, e.Name, e.Digest, noon) {
			t.Errorf("%s %s: another one was seen", e.Name, e.Label)
		}
	}
	if v.Saw(observe.DKIM, "example.net", digest("s1"), noon) {
		t.Error("a domain has another one's key")
	}
	if (observe.VerifiedList{}).Saw(observe.DKIM, "example.org", digest("s1"), time.Unix(0, 0)) {
		t.Error("the zero value saw something")
	}
}

// TestFollows: an observer that writes a day anew contradicts its later lists.
func TestFollows(t *testing.T) {
	make := func(edit func(*scene)) observe.VerifiedList {
		s := newScene(t)
		edit(s)
		return verifiedList(t, s)
	}
	first := make(func(*scene) {})
	next := make(func(s *scene) { s.l.Day++; s.l.Previous = first.Digest(); s.l.Signed = s.Now })
	if err := next.Follows(first); err != nil {
		t.Error(err)
	}
	anew := make(func(s *scene) { s.l.Entries = s.l.Entries[1:] })
	if anew.Digest() == first.Digest() {
		t.Error("another list has the same digest")
	}
	for name, pair := range map[string][2]observe.VerifiedList{
		"itself":            {first, first},
		"the other way":     {first, next},
		"a day made anew":   {next, anew},
		"the same day":      {make(func(s *scene) { s.l.Previous = first.Digest() }), first},
		"another's list":    {make(func(s *scene) { s.l.Day++; s.l.Previous = first.Digest(); s.l.Signed = s.Now; s.signer = observerB }), first},
		"no list before it": {make(func(s *scene) { s.l.Day++; s.l.Previous = [32]byte{}; s.l.Signed = s.Now }), first},
	} {
		if err := pair[0].Follows(pair[1]); !errors.Is(err, observe.ErrSuccession) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignRefuses: an observer does not sign what nobody would read.
func TestSignRefuses(t *testing.T) {
	k := worldtest.Key(t, observerA)
	for name, edit := range map[string]func(*observe.Observation){
		"nothing":                      func(o *observe.Observation) { *o = observe.Observation{} },
		"no selector":                  func(o *observe.Observation) { o.Label = "" },
		"last before first":            func(o *observe.Observation) { o.Last = o.First.Add(-time.Second) },
		"signed before last":           func(o *observe.Observation) { o.Signed = o.Last.Add(-time.Second) },
		"a word that no resolver says": func(o *observe.Observation) { o.DNSSEC = 3 },
		"before time":                  func(o *observe.Observation) { o.First = time.Unix(-1, 0) },
	} {
		o := newScene(t).o
		edit(&o)
		if _, err := o.Sign(k); !errors.Is(err, observe.ErrObservation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*observe.List){
		"nothing":          func(l *observe.List) { *l = observe.List{} },
		"no entries":       func(l *observe.List) { l.Entries = nil },
		"unsorted":         func(l *observe.List) { slices.Reverse(l.Entries) },
		"doubled":          func(l *observe.List) { l.Entries[1] = l.Entries[0] },
		"a bad name":       func(l *observe.List) { l.Entries[0].Name = "net" },
		"of tomorrow":      func(l *observe.List) { l.Day += 2 },
		"of long ago":      func(l *observe.List) { l.Day -= 9 },
		"signed long ago":  func(l *observe.List) { l.Signed = time.Unix(0, 0) },
		"65 of one domain": func(l *observe.List) { l.Entries = manyKeys(65) },
	} {
		l := newScene(t).l
		l.Entries = slices.Clone(l.Entries)
		edit(&l)
		if _, err := l.Sign(k); !errors.Is(err, observe.ErrList) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := newScene(t).l
	l.Entries = manyKeys(64)
	if _, err := l.Sign(k); err != nil {
		t.Errorf("64 of one domain: %v", err)
	}
}

func manyKeys(n int) []observe.Entry {
	var out []observe.Entry
	for i := range n {
		label := fmt.Sprintf("s%03d", i)
		out = append(out, observe.Entry{Key: observe.Key{Kind: observe.DKIM, Name: "example.org", Label: label, Digest: digest(label)}})
	}
	return out
}

// TestFromDKIM and TestFromJWKS: what an observer writes down is what receipts
// name as the key seen.
func TestFromDKIM(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "vectors", "mail", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), `"v=DKIM1;`)
	record, _, end := strings.Cut(rest, `"`)
	if !ok || !end {
		t.Fatal("no record among the vectors of mail")
	}
	txt := []string{"v=DKIM1;" + record}
	k, err := observe.FromDKIM("example.org", "s1", txt)
	if err != nil || k.Kind != observe.DKIM || k.Name != "example.org" || k.Label != "s1" || k.Digest == [32]byte{} {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := observe.FromDKIM("Example.org", "s1", txt); !errors.Is(err, observe.ErrObservation) {
		t.Errorf("domain in capitals: %v", err)
	}
	if _, err := observe.FromDKIM("example.org", "s1", []string{"v=DKIM1; p="}); err == nil {
		t.Error("a revoked key was observed")
	}
}

func TestFromJWKS(t *testing.T) {
	const set = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}]}`
	keys, err := observe.FromJWKS("https://op.example.org", []byte(set))
	if err != nil || len(keys) != 1 || keys[0].Label != "d" || keys[0].Name != "https://op.example.org" {
		t.Errorf("%+v, %v", keys, err)
	}
	if _, err := observe.FromJWKS("http://op.example.org", []byte(set)); !errors.Is(err, observe.ErrObservation) {
		t.Errorf("issuer of http: %v", err)
	}
	if _, err := observe.FromJWKS("https://op.example.org", []byte(`{}`)); err == nil {
		t.Error("no key set was observed")
	}
}

func TestDays(t *testing.T) {
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	d := observe.DayOf(noon)
	if d != 20758 || !d.Begin().Equal(noon.Add(-12*time.Hour)) || observe.DayOf(d.Begin().Add(-time.Second)) != d-1 {
		t.Errorf("day %d begins at %v", d, d.Begin())
	}
}

// TestListsComeBack: any list that is signed is read as it was.
func TestListsComeBack(t *testing.T) {
	k := worldtest.Key(t, observerA)
	entries := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) observe.Entry {
		e := observe.Entry{DNSSEC: observe.DNSSEC(rapid.IntRange(0, 2).Draw(t, "dnssec"))}
		label := rapid.StringMatching(`[a-z0-9]{1,3}`).Draw(t, "label")
		e.Key = observe.Key{Kind: observe.DKIM, Name: rapid.SampledFrom([]string{"a.example", "b.example", "ab.example"}).Draw(t, "name"), Label: label}
		if rapid.Bool().Draw(t, "openid") {
			e.Kind, e.Name = observe.JWKS, "https://"+e.Name
		}
		e.Digest = sha256.Sum256([]byte{rapid.Byte().Draw(t, "digest")})
		return e
	}), 1, 40, func(e observe.Entry) observe.Key { return e.Key })
	rapid.Check(t, func(t *rapid.T) {
		l := observe.List{Day: 20758, Signed: time.Unix(20758*86400+5, 0).UTC(), Entries: entries.Draw(t, "entries")}
		l.Sort()
		b, err := l.Sign(k)
		if err != nil {
			t.Fatal(err)
		}
		u, err := observe.ParseList(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Claims(); !slices.Equal(got.Entries, l.Entries) || got.Day != l.Day || !got.Signed.Equal(l.Signed) {
			t.Fatalf("came back as %+v", got)
		}
	})
}

// TestR05NoByteCanBeChanged tries every change of one bit of both statements.
func TestR05NoByteCanBeChanged(t *testing.T) {
	s := newScene(t)
	snapshot := s.Snapshot()
	for _, list := range []bool{false, true} {
		b := s.bytes(list)
		if _, err := judge(b, list, snapshot, s.q); err != nil {
			t.Fatal(err)
		}
		for i := range b {
			for bit := range 8 {
				changed := bytes.Clone(b)
				changed[i] ^= 1 << bit
				if _, err := judge(changed, list, snapshot, s.q); err == nil {
					t.Errorf("accepted with bit %d of byte %d changed", bit, i)
				}
			}
		}
		if _, err := judge(b, !list, snapshot, s.q); err == nil {
			t.Error("one statement was read as the other")
		}
	}
}

// TestR05MutatedStatements bends what is signed, and signs it by one party or
// another: what verifies was signed by an observer and comes back as it went in.
// 5,000 of them, 500,000 with WHITHER_LONG=1.
func TestR05MutatedStatements(t *testing.T) {
	s := newScene(t)
	snapshot := s.Snapshot()
	names := []string{"example.org", "Example.org", "org", "https://op.example.org", "http://op.example.org", "", "a.example"}
	labels := []string{"s1", "", "S1", "a.b", "\n", "ü"}
	parties := []string{observerA, observerB, worldtest.ProverA, worldtest.DP, "mallory.example"}
	worldtest.Mutations(t, 9, func(m worldtest.Mutator) worldtest.Outcome {
		o := s.o
		o.Kind = observe.Kind(m.IntN(4))
		o.Name, o.Label = worldtest.Pick(m, names), worldtest.Pick(m, labels)
		o.DNSSEC = observe.DNSSEC(m.IntN(4))
		o.First = o.First.Add(time.Duration(m.IntN(60)) * day)
		o.Signed = o.Signed.Add(time.Duration(m.IntN(7)-3) * time.Minute)
		one := *s
		one.o, one.tree, one.signer = o, observationTree(o), worldtest.Pick(m, parties)
		if m.IntN(8) == 0 {
			one.label = key.LabelReceipt
		}
		u, err := observe.Parse(one.bytes(false))
		if err != nil {
			checkError(t, err)
			return worldtest.Refused
		}
		v, err := u.Verify(snapshot, s.q)
		if err != nil {
			checkError(t, err)
			return worldtest.Refused
		}
		honest := (one.signer == observerA || one.signer == observerB) && one.label == key.LabelObservation
		if got := v.Observation(); !honest || got != o || got.Last.After(got.Signed) || got.First.After(got.Last) {
			t.Logf("accepted %+v by %s", got, one.signer)
			return worldtest.Forged
		}
		return worldtest.Same
	})
}

// TestR05MutatedWords bends the bytes of observations and excerpts: a word that
// verifies is one that was made. 5,000 of them, 500,000 with WHITHER_LONG=1.
func TestR05MutatedWords(t *testing.T) {
	s := newScene(t)
	snapshot := s.Snapshot()
	words, made := [][]byte{s.bytes(false)}, make(map[string]bool)
	for _, n := range []int{1, 2, 5, 8} {
		one := newScene(t)
		one.l.Entries = manyKeys(n)
		list := verifiedList(t, one)
		for _, e := range one.l.Entries {
			b, _ := list.Excerpt(e.Kind, e.Name, e.Digest)
			words = append(words, b)
		}
	}
	for _, b := range words {
		made[string(b)] = true
	}
	worldtest.Mutations(t, 10, func(m worldtest.Mutator) worldtest.Outcome {
		b := worldtest.Pick(m, words)
		var parts excerptTree
		if m.IntN(2) == 0 && canon.Unmarshal(b, len(b), &parts) == nil {
			// A part of another excerpt in the place of its own.
			var other excerptTree
			if canon.Unmarshal(worldtest.Pick(m, words[1:]), observe.MaxWord, &other) != nil {
				t.Fatal("an excerpt is not read")
			}
			switch m.IntN(4) {
			case 0:
				parts.Head = other.Head
			case 1:
				parts.Entry = other.Entry
			case 2:
				parts.Path = other.Path
			default:
				parts.Index = other.Index
			}
			var err error
			if b, err = canon.Marshal(parts); err != nil {
				t.Fatal(err)
			}
		} else {
			b = m.Bend(b, words...)
		}
		if _, err := judgeWord(b, snapshot, s.q); err != nil {
			checkError(t, err)
			return worldtest.Refused
		}
		if !made[string(b)] {
			t.Logf("accepted %x", b)
			return worldtest.Forged
		}
		return worldtest.Same
	})
}

// FuzzParse: an observation that is read has one encoding, and none that was not
// signed verifies.
func FuzzParse(f *testing.F) { fuzz(f, false) }

// FuzzParseList: likewise lists.
func FuzzParseList(f *testing.F) { fuzz(f, true) }

func fuzz(f *testing.F, list bool) {
	made := make(map[string]bool)
	for _, v := range append(readVectors(f, "accept.json"), readVectors(f, "reject.json")...) {
		b, isList := v.statement(f)
		if isList == list && v.Excerpt == "" {
			made[string(b)] = true
			f.Add(b)
		}
	}
	s := newScene(f)
	snapshot := s.Snapshot()
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, want []byte
		if list {
			u, err := observe.ParseList(b)
			if err != nil {
				checkError(t, err)
				return
			}
			want = u.Payload()
			if got, err = u.Claims().Payload(); err != nil {
				t.Fatal(err)
			}
		} else {
			u, err := observe.Parse(b)
			if err != nil {
				checkError(t, err)
				return
			}
			want = u.Payload()
			if got, err = u.Claims().Payload(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("read and written again it is %x, was %x", got, want)
		}
		if _, err := judge(b, list, snapshot, s.q); err == nil && !made[string(b)] {
			t.Errorf("forged: %x", b)
		}
	})
}

// popular is a list of a size in use.
func popular(n int) observe.List {
	l := observe.List{Day: 20757, Signed: time.Unix(20758*86400+5, 0)}
	for i := range n {
		for j := range 3 {
			name, label := fmt.Sprintf("mail%05d.example", i), fmt.Sprintf("selector%d", j)
			l.Entries = append(l.Entries, observe.Entry{Key: observe.Key{Kind: observe.DKIM, Name: name, Label: label, Digest: digest(name + label)}})
		}
	}
	l.Sort()
	return l
}

func BenchmarkVerify(b *testing.B) {
	s := newScene(b)
	snapshot := s.Snapshot()
	s.l = popular(1000)
	for name, list := range map[string]bool{"observation": false, "list-of-1000-domains": true} {
		raw := s.bytes(list)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if list {
					u, err := observe.ParseList(raw)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := u.Verify(snapshot, s.q); err != nil {
						b.Fatal(err)
					}
					continue
				}
				if _, err := judge(raw, false, snapshot, s.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleObservation_Sign() {
	k, err := key.Generate(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := observe.Observation{
		Key:   observe.Key{Kind: observe.DKIM, Name: "example.org", Label: "s1", Digest: digest("record")},
		First: time.Unix(1_790_000_000, 0), Last: time.Unix(1_793_534_340, 0), DNSSEC: observe.Secure,
		Signed: time.Unix(1_793_534_400, 0),
	}.Sign(k)
	if err != nil {
		fmt.Println(err)
		return
	}
	u, err := observe.Parse(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(b), u.Claims().Name, u.Claims().Last.Format(time.DateOnly))
	// Output:
	// 184 example.org 2026-11-01
}
