package observer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/internal/observer"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/pgtest"
	"whither/possession/observe"
	"whither/problem"
	"whither/wire"
)

const day = 24 * time.Hour

// popular has one selector and one issuer of popular names.
func popular(c *observer.Config) {
	c.Popular = []observer.Place{
		{Kind: observe.DKIM, Name: domain, Selector: "s1"},
		{Kind: observe.JWKS, Name: issuer},
	}
}

const jwks = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// index reads the index.
func (s *scene) index() []wire.ListEntry {
	s.t.Helper()
	w := s.send(http.MethodGet, wire.PathLists, nil)
	var a wire.ListIndex
	if err := wire.Decode(wire.TypeCBOR, w.Body.Bytes(), wire.MaxAnswer, &a); err != nil {
		s.t.Fatal(err)
	}
	return a.Lists
}

// list reads a day's list and verifies it.
func (s *scene) list(d observe.Day) observe.VerifiedList {
	s.t.Helper()
	w := s.send(http.MethodGet, fmt.Sprintf("%s/%d", wire.PathLists, d), nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != wire.TypeCBOR || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		s.t.Fatalf("list of day %d: %d %v", d, w.Code, w.Header())
	}
	u, err := observe.ParseList(w.Body.Bytes())
	if err != nil {
		s.t.Fatal(err)
	}
	v, err := u.Verify(s.source.Snapshot(), observe.Question{Now: s.now()})
	if err != nil {
		s.t.Fatal(err)
	}
	if v.Day() != d {
		s.t.Errorf("list of day %d at %d", v.Day(), d)
	}
	return v
}

// nextDay goes to a quarter past the next midnight.
func (s *scene) nextDay() {
	s.add((observe.DayOf(s.now()) + 1).Begin().Add(15 * time.Minute).Sub(s.now()))
}

// TestR05DailyList: the keys of popular names, with those that somebody asked
// for, are in the list of their day, which follows the one before.
func TestR05DailyList(t *testing.T) { testDailyList(t, "") }

func testDailyList(t *testing.T, url string) {
	s := newSceneAt(t, url, popular)
	today := observe.DayOf(s.now())
	at := s.now()
	first, asked := s.publish("s1", "one"), s.publish("s9", "nine")
	s.sets[issuer] = jwks
	s.step()
	s.one("s9") // a selector that the configuration does not know
	if got := s.index(); len(got) != 0 {
		t.Errorf("before the day's end: %v", got)
	}
	s.dns.SetTXT("s1._domainkey.example.net", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	if _, err := s.ask(wire.KeyRequest{Kind: wire.KeysOfDKIM, Name: "example.net", Label: "s1"}); err != nil {
		t.Error(err)
	}
	s.add((today + 1).Begin().Sub(s.now())) // the day has ended, and looks may be under way
	s.step()
	if got := s.index(); len(got) != 0 {
		t.Errorf("at midnight: %v", got)
	}
	s.nextDay()
	s.add(-day)
	s.step()
	l := s.list(today)
	for name, digest := range map[string][sha256.Size]byte{"of the configuration": first, "asked for": asked} {
		if !l.Saw(observe.DKIM, domain, digest, at) {
			t.Errorf("the key %s is not in the list", name)
		}
		excerpt, ok := l.Excerpt(observe.DKIM, domain, digest)
		if w, err := observe.ParseWord(excerpt); !ok || err != nil || w.Key().Digest != digest {
			t.Errorf("the key %s: no excerpt, %v", name, err)
		}
	}
	keys, err := observe.FromJWKS(issuer, []byte(jwks))
	if err != nil || !l.Saw(observe.JWKS, issuer, keys[0].Digest, at) {
		t.Errorf("the issuer's key is not in the list, %v", err)
	}
	for name := range map[string]bool{"example.net": true, "op.example.org": true} {
		if l.Saw(observe.DKIM, name, first, at) {
			t.Errorf("%s is in the list", name)
		}
	}
	// Selectors that were asked for stay in the lists as long as they are there.
	for range 3 {
		for range 4 {
			s.add(observer.Interval)
			s.step()
		}
	}
	second, third := s.list(today+1), s.list(today+2)
	if second.Follows(l) != nil || third.Follows(second) != nil || !third.Saw(observe.DKIM, domain, asked, (today+2).Begin().Add(hour)) {
		t.Error("the lists do not follow each other")
	}
	var days []uint64
	for _, e := range s.index() {
		days = append(days, e.Day)
		d := s.list(observe.Day(e.Day)).Digest()
		if !bytes.Equal(e.Digest, d[:]) || e.Size < 200 {
			t.Errorf("index: %+v", e)
		}
	}
	if !slices.Equal(days, []uint64{uint64(today), uint64(today) + 1, uint64(today) + 2, uint64(today) + 3}) {
		t.Errorf("days %v", days)
	}
	for _, path := range []string{"1", "01", "-1", "x", "4294967296", "20758x"} {
		w := s.send(http.MethodGet, wire.PathLists+"/"+path, nil)
		if d, err := problem.Read(w.Body); err != nil || w.Code != http.StatusNotFound {
			t.Errorf("%s: %v %v", path, d, err)
		}
	}
}

// TestR05OneListADay: whatever fails, and however often the observer begins
// again, a day has one list, and it never changes.
func TestR05OneListADay(t *testing.T) { testOneListADay(t, func() string { return "" }) }

func testOneListADay(t *testing.T, url func() string) {
	for name, fault := range map[string]sqldb.Fault{"before": sqldb.FailBefore, "after": sqldb.FailAfter, "twice": sqldb.RunTwice} {
		t.Run(name, func(t *testing.T) {
			s := newSceneAt(t, url(), popular)
			s.sets[issuer] = jwks
			s.publish("s1", "one")
			today := observe.DayOf(s.now())
			s.step()
			s.nextDay()
			failures := 0
			s.fail(func(write string) sqldb.Fault {
				if write != "publish" || failures == 2 {
					return sqldb.NoFault
				}
				failures++
				return fault
			})
			var seen []byte
			for i := range 6 {
				err := s.o.Step(t.Context(), s.now())
				if err != nil && !errors.Is(err, sqldb.ErrInjected) {
					t.Error(err)
				}
				w := s.send(http.MethodGet, fmt.Sprintf("%s/%d", wire.PathLists, today), nil)
				if w.Code == http.StatusOK {
					if seen != nil && !bytes.Equal(seen, w.Body.Bytes()) {
						t.Fatalf("step %d: another list of the day", i)
					}
					seen = w.Body.Bytes()
				}
				s.publish("s1", fmt.Sprint("key ", i))
				s.add(time.Minute)
				if i == 3 {
					s.restart()
				}
			}
			if seen == nil || failures == 0 {
				t.Errorf("no list, or nothing failed (%d)", failures)
			}
			// A look of that day that is taken over only now, and a list by hand.
			look := observer.Look{
				Place: observer.Place{Kind: observe.DKIM, Name: domain, Selector: "s1"}, At: today.Begin().Add(hour),
				Seen: []observer.Sight{{Label: "s1", Digest: sha256.Sum256([]byte("late"))}}, Next: s.now(), Forget: s.now(), Listed: true, Room: 10,
			}
			if _, err := s.store.See(t.Context(), look); err != nil {
				t.Fatal(err)
			}
			s.step()
			if w := s.send(http.MethodGet, fmt.Sprintf("%s/%d", wire.PathLists, today), nil); !bytes.Equal(seen, w.Body.Bytes()) {
				t.Error("a straggler changed the list")
			}
			if d, entries, err := s.store.Unlisted(t.Context(), today+1); err != nil || len(entries) != 0 {
				t.Errorf("day %d: %d keys left, %v", d, len(entries), err)
			}
			last := s.index()[0]
			for what, p := range map[string]observer.Published{
				"the same day":        {Day: today, Previous: [sha256.Size]byte(last.Digest)},
				"the day before":      {Day: today - 1, Previous: [sha256.Size]byte(last.Digest)},
				"without predecessor": {Day: today + 1},
			} {
				if err := s.store.Publish(t.Context(), p); !errors.Is(err, observer.ErrPublished) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// TestListsOfLongAgo: a day that ended too long ago has no list, and lists are
// kept for 13 months, the last one for ever.
func TestListsOfLongAgo(t *testing.T) { testListsOfLongAgo(t, "") }

func testListsOfLongAgo(t *testing.T, url string) {
	s := newSceneAt(t, url, popular)
	s.publish("s1", "one")
	s.sets[issuer] = jwks
	today := observe.DayOf(s.now())
	s.step()
	s.add(4 * day)
	s.step() // the observer was down
	if got := s.index(); len(got) != 0 {
		t.Errorf("signed long after: %v", got)
	}
	s.nextDay()
	s.step()
	if got := s.index(); len(got) != 1 || got[0].Day != uint64(today)+4 {
		t.Errorf("after the gap: %v", got)
	}
	s.sets[issuer], s.fault = "{}", nil
	s.dns.Remove("s1._domainkey." + domain)
	s.add((observer.ListsKept + 10) * day)
	s.step() // the keys of the day before the gap, if any, are too old
	if got := s.index(); len(got) != 1 {
		t.Errorf("the last list: %v", got)
	}
	s.publish("s1", "two")
	s.add(observer.Interval)
	s.step()
	s.nextDay()
	s.step()
	got := s.index()
	if len(got) != 1 || got[0].Day < uint64(today)+observer.ListsKept {
		t.Errorf("13 months later: %v", got)
	}
}

// TestNobodyCrowdsAListOut: keys of the configuration come first, whatever is
// asked for beside.
func TestNobodyCrowdsAListOut(t *testing.T) {
	s := newScene(t, func(c *observer.Config) {
		c.Popular = []observer.Place{{Kind: observe.DKIM, Name: domain, Selector: "z"}}
	})
	entry := func(i int, name, label string) observe.Entry {
		return observe.Entry{Key: observe.Key{Kind: observe.DKIM, Name: name, Label: label, Digest: sha256.Sum256([]byte{byte(i), byte(i >> 8)})}}
	}
	var entries []observe.Entry
	for i := range 100 {
		entries = append(entries, entry(i, domain, fmt.Sprintf("s%03d", i)))
	}
	long := strings.Repeat("a.", 90) + "example"
	for i := range 20_000 {
		entries = append(entries, entry(i, fmt.Sprintf("d%d.%s", i/64, long), fmt.Sprint("s", i)))
	}
	entries = append(entries, entry(0, domain, "z"))
	chosen := observer.Choose(s.o, entries)
	if !slices.ContainsFunc(chosen, func(e observe.Entry) bool { return e.Label == "z" }) || len(chosen) < 1000 || len(chosen) >= len(entries) {
		t.Errorf("%d of %d keys", len(chosen), len(entries))
	}
	l := observe.List{Day: observe.DayOf(s.now()), Entries: chosen, Signed: s.now()}
	l.Sort()
	b, err := l.Sign(s.config.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := observe.ParseList(b); err != nil {
		t.Errorf("%d bytes: %v", len(b), err)
	}
}

// TestMemoryProperties: after any looks, each run is of a key that was there at
// every look since it was first seen, with no gap that is too long, and the store
// says what the memory says.
func TestMemoryProperties(t *testing.T) {
	s := newScene(t, nil)
	names := 0
	rapid.Check(t, func(t *rapid.T) {
		names++
		place := observer.Place{Kind: observe.DKIM, Name: fmt.Sprintf("d%d.example", names), Selector: "s"}
		at := s.Now
		type past struct {
			at   time.Time
			keys map[byte]bool
		}
		var looks []past
		var model observer.Memory
		for range rapid.IntRange(1, 12).Draw(t, "looks") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 3600, 6 * 3600, 24 * 3600, 24*3600 + 1, 90_000}).Draw(t, "pause")) * time.Second)
			keys := rapid.SliceOfDistinct(rapid.ByteRange(0, 2), func(b byte) byte { return b }).Draw(t, "keys")
			look := observer.Look{Place: place, At: at, Next: at.Add(hour), Forget: at.Add(day), Room: 1 << 30}
			seen := make(map[byte]bool)
			for _, k := range keys {
				seen[k] = true
				look.Seen = append(look.Seen, observer.Sight{Label: "s", Digest: [sha256.Size]byte{k, 1}})
			}
			looks = append(looks, past{at, seen})
			runs, err := s.store.See(context.Background(), look)
			if err != nil {
				t.Fatal(err)
			}
			model.Apply(look)
			if !slices.EqualFunc(runs, model.Runs, func(a, b observer.Run) bool {
				return a.Sight == b.Sight && a.First.Equal(b.First) && a.Last.Equal(b.Last)
			}) {
				t.Fatalf("the store says %v, the memory %v", runs, model.Runs)
			}
			if len(runs) != len(keys) {
				t.Fatalf("%d runs of %v", len(runs), slices.Collect(maps.Keys(seen)))
			}
			for _, r := range runs {
				if !r.Last.Equal(at) {
					t.Errorf("last seen %v, looked at %v", r.Last, at)
				}
				before := r.First
				for _, p := range looks {
					if p.at.Before(r.First) {
						continue
					}
					if !p.keys[r.Digest[0]] || p.at.Sub(before) > observer.MaxGap {
						t.Errorf("from %v, though at %v: %v", r.First, p.at, p.keys)
					}
					before = p.at
				}
			}
		}
	})
}

// TestStoreOnPostgres runs what needs a store on PostgreSQL.
func TestStoreOnPostgres(t *testing.T) {
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, string){
		"memory": testMemory, "forgetting": testForgetting, "daily list": testDailyList, "lists of long ago": testListsOfLongAgo,
	} {
		t.Run(name, func(t *testing.T) { test(t, pgtest.Schema(t, server)) })
	}
	t.Run("one list a day", func(t *testing.T) { testOneListADay(t, func() string { return pgtest.Schema(t, server) }) })
}
