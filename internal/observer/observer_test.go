package observer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/internal/endpoint"
	"whither/internal/observer"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession/observe"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

const hour = time.Hour

// TestR05ObservationOfWhatIsPublishedNow: a key that is there is signed for; one
// that is not, or that evidence cannot use, is refused with its reason.
func TestR05ObservationOfWhatIsPublishedNow(t *testing.T) {
	s := newScene(t, nil)
	want := s.publish("s1", "one")
	got := s.one("s1")
	if d := cmp.Diff(observe.Observation{
		Key:   observe.Key{Kind: observe.DKIM, Name: domain, Label: "s1", Digest: want},
		First: s.now(), Last: s.now(), Signed: s.now(),
	}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	ed25519 := "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	for name, c := range map[string]struct {
		texts  []string
		fault  mailnet.Fault
		expect problem.Kind
	}{
		"nothing":           {nil, mailnet.Fault{}, problem.KeyUnpublished},
		"a good one":        {[]string{ed25519}, mailnet.Fault{}, ""},
		"revoked":           {[]string{"v=DKIM1; k=ed25519; p="}, mailnet.Fault{}, problem.KeyUnusable},
		"testing":           {[]string{ed25519 + "; t=y"}, mailnet.Fault{}, problem.KeyUnusable},
		"testing, strictly": {[]string{ed25519 + "; t=s:y"}, mailnet.Fault{}, problem.KeyUnusable},
		"two records":       {[]string{ed25519, ed25519}, mailnet.Fault{}, problem.KeyUnusable},
		"beside an SPF":     {[]string{ed25519, "v=spf1 -all"}, mailnet.Fault{}, problem.KeyUnusable},
		"another record":    {[]string{"v=spf1 -all"}, mailnet.Fault{}, problem.KeyUnusable},
		"another type":      {[]string{"v=DKIM1; k=rainbow; p=AAAA"}, mailnet.Fault{}, problem.KeyUnusable},
		"weak":              {[]string{"v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKxw3S5GdxHOgpMqbwLmkgMsfQ9oaTfKLGJOMfkEAcUkCnKMBPmZbDrkcGTq3R4vCsm8YTKcvJMWBcBlIvBNdKkCAwEAAQ=="}, mailnet.Fault{}, problem.KeyUnusable},
		"very long":         {[]string{ed25519 + "; n=" + strings.Repeat("x", 20_000)}, mailnet.Fault{}, problem.KeyUnusable},
		"servers fail":      {[]string{ed25519}, mailnet.Fault{ServFail: true}, problem.KeyLookup},
	} {
		s.dns.SetTXT("s2._domainkey."+domain, c.texts...)
		s.dns.SetFault("s2._domainkey."+domain, c.fault)
		_, err := s.ask(dkimKey("s2"))
		if c.expect == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.expect != "" {
			refused(t, name, err, c.expect)
		}
	}
	for name, r := range map[string]wire.KeyRequest{
		"no kind":            {Name: domain, Label: "s1"},
		"unknown kind":       {Kind: "x509", Name: domain, Label: "s1"},
		"no selector":        {Kind: wire.KeysOfDKIM, Name: domain},
		"capitals":           {Kind: wire.KeysOfDKIM, Name: "Example.org", Label: "s1"},
		"selector capital":   {Kind: wire.KeysOfDKIM, Name: domain, Label: "S1"},
		"last dot":           {Kind: wire.KeysOfDKIM, Name: domain + ".", Label: "s1"},
		"one label":          {Kind: wire.KeysOfDKIM, Name: "org", Label: "s1"},
		"an address":         {Kind: wire.KeysOfDKIM, Name: "alice@example.org", Label: "s1"},
		"too long together":  {Kind: wire.KeysOfDKIM, Name: domain, Label: strings.Repeat("a.", 120) + "a"},
		"issuer by http":     {Kind: wire.KeysOfJWKS, Name: "http://op.example.org"},
		"issuer is a domain": {Kind: wire.KeysOfJWKS, Name: domain},
	} {
		_, err := s.ask(r)
		refused(t, name, err, problem.KeyKind)
	}
	if s.dns.Asked("alice@example.org") != 0 || strings.Contains(s.logs.String(), domain) {
		t.Errorf("logs: %s", s.logs.String())
	}
}

// TestR05RetiredKey: who keeps a key that its domain has retired gets no word on
// it, and none on the new one that would fit the old.
func TestR05RetiredKey(t *testing.T) {
	s := newScene(t, nil)
	old := s.publish("s1", "old")
	if got := s.one("s1"); got.Digest != old {
		t.Error("another key")
	}
	s.add(hour)
	s.dns.Remove("s1._domainkey." + domain)
	_, err := s.ask(dkimKey("s1"))
	refused(t, "retired", err, problem.KeyUnpublished)
	s.add(hour)
	fresh := s.publish("s1", "new")
	got, err := s.ask(dkimKey("s1"))
	if err != nil || got[0].Observation().Digest != fresh || got[0].Saw(observe.DKIM, domain, old, s.now()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestJWKS(t *testing.T) {
	s := newScene(t, nil)
	const one = `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	const nameless = `{"kty":"OKP","crv":"Ed25519","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}`
	r := wire.KeyRequest{Kind: wire.KeysOfJWKS, Name: issuer, Label: "a"}
	_, err := s.ask(r)
	refused(t, "no answer", err, problem.KeyLookup)
	s.sets[issuer] = `{"keys":[` + one + `,` + nameless + `,` + one + `]}`
	got, err := s.ask(r)
	if err != nil || len(got) != 1 || got[0].Observation().Label != "a" || got[0].Observation().DNSSEC != observe.NotAsked {
		t.Errorf("%+v, %v", got, err)
	}
	r.Label = ""
	if got, err = s.ask(r); err != nil || len(got) != 1 || got[0].Observation().Label != "" {
		t.Errorf("nameless: %+v, %v", got, err)
	}
	r.Label = "b"
	_, err = s.ask(r)
	refused(t, "another kid", err, problem.KeyUnpublished)
	for name, set := range map[string]string{"no set": "{", "no key": `{"keys":[{"kty":"oct"}]}`, "a private key": `{"keys":[{"kty":"OKP","d":"AA"}]}`} {
		s.sets[issuer] = set
		_, err = s.ask(r)
		refused(t, name, err, problem.KeyUnusable)
	}
	s = newScene(t, func(c *observer.Config) { c.Sets = nil })
	_, err = s.ask(r)
	refused(t, "not looked at here", err, problem.KeyKind)
}

// TestMemory: "from … until …" is what was seen, over restarts.
func TestMemory(t *testing.T) { testMemory(t, "") }

func testMemory(t *testing.T, url string) {
	s := newSceneAt(t, url, nil)
	begin := s.now()
	digest := s.publish("s1", "one")
	s.one("s1")
	for range 9 { // every six hours, without anybody asking
		s.add(observer.Interval)
		s.step()
	}
	s.restart()
	s.add(observer.MaxGap)
	if got := s.one("s1"); !got.First.Equal(begin) || !got.Last.Equal(s.now()) || got.Digest != digest {
		t.Errorf("from %v until %v", got.First, got.Last)
	}
	// Nobody looked for too long.
	s.add(observer.MaxGap + time.Second)
	if got := s.one("s1"); !got.First.Equal(s.now()) {
		t.Errorf("over a gap: from %v", got.First)
	}
	// Gone for one look, though nobody asked.
	s.dns.Remove("s1._domainkey." + domain)
	s.add(observer.Interval)
	s.step()
	s.publish("s1", "one")
	s.add(hour)
	if got := s.one("s1"); !got.First.Equal(s.now()) {
		t.Errorf("over a look without the key: from %v", got.First)
	}
	// Trouble is no verdict, and is tried again sooner.
	begin = s.now()
	s.dns.SetFault("", mailnet.Fault{ServFail: true})
	s.add(observer.Interval)
	s.step()
	asked := s.dns.Asked("s1._domainkey." + domain)
	s.add(observer.RetryInterval - time.Second)
	s.step()
	if s.dns.Asked("s1._domainkey."+domain) != asked {
		t.Error("asked again too soon")
	}
	s.dns.SetFault("", mailnet.Fault{})
	s.add(time.Second)
	s.step()
	if got := s.one("s1"); !got.First.Equal(begin) || s.dns.Asked("s1._domainkey."+domain) != asked+2 {
		t.Errorf("over trouble: from %v, asked %d times more", got.First, s.dns.Asked("s1._domainkey."+domain)-asked)
	}
	// Another key at the same place has a memory of its own.
	s.add(hour)
	s.publish("s1", "two")
	if got := s.one("s1"); !got.First.Equal(s.now()) {
		t.Errorf("another key: from %v", got.First)
	}
}

// TestForgetting: what nobody asks for is forgotten after some days, to the day.
func TestForgetting(t *testing.T) { testForgetting(t, "") }

func testForgetting(t *testing.T, url string) {
	s := newSceneAt(t, url, nil)
	s.publish("s1", "one")
	s.one("s1")
	name := "s1._domainkey." + domain
	for range (observer.Remembered + 1) * 4 {
		s.add(observer.Interval)
		s.step()
	}
	asked := s.dns.Asked(name)
	if asked < observer.Remembered*4 || asked > observer.Remembered*4+4 {
		t.Errorf("looked %d times", asked)
	}
	s.add(observer.Interval)
	s.step()
	if s.dns.Asked(name) != asked {
		t.Error("looked at what was forgotten")
	}
	if got := s.one("s1"); !got.First.Equal(s.now()) {
		t.Errorf("remembered from %v", got.First)
	}
}

// TestDNSSEC: the word beside an observation is that of a resolver which
// validates, or none.
func TestDNSSEC(t *testing.T) {
	s := newScene(t, nil)
	s.publish("s1", "one")
	word := func(what string, want observe.DNSSEC) {
		t.Helper()
		if got := s.one("s1").DNSSEC; got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	word("before the probe", observe.NotAsked)
	s.step()
	word("it does not validate", observe.NotAsked)
	s.dns.SetSigned(".")
	word("before the next probe", observe.NotAsked)
	s.add(hour)
	s.step()
	word("it validates, the zone is not signed", observe.Insecure)
	s.dns.SetSigned(".", domain)
	word("the zone is signed", observe.Secure)
	s.dns.SetFault("", mailnet.Fault{ServFail: true})
	s.add(hour)
	s.step()
	s.dns.SetFault("", mailnet.Fault{})
	s.dns.SetSigned()
	word("the probe failed", observe.NotAsked)
}

// TestBounds: people share a budget, a party has its own, and memory has an end.
func TestBounds(t *testing.T) {
	s := newScene(t, func(c *observer.Config) { c.Bounds = observer.Bounds{PerParty: 2, People: 3, Places: 2} })
	for i := range 3 {
		s.publish(fmt.Sprintf("s%d", i), "one")
		s.one(fmt.Sprintf("s%d", i))
	}
	_, err := s.ask(dkimKey("s0"))
	refused(t, "the fourth", err, problem.Limited)
	s.add(hour / 3)
	s.one("s0")
	_, err = s.ask(dkimKey("s1"))
	refused(t, "after a third of an hour", err, problem.Limited)
	// There was room for two places: the third begins anew each time.
	s.add(hour)
	if got := s.one("s2"); !got.First.Equal(s.now()) {
		t.Errorf("remembered beyond the room: from %v", got.First)
	}
	if got := s.one("s1"); got.First.Equal(s.now()) {
		t.Error("not remembered within the room")
	}
	if _, err := observer.New(observer.Config{}); err == nil {
		t.Error("made of nothing")
	}
	bad := s.config
	bad.Bounds.Places = -1
	if _, err := observer.New(bad); err == nil {
		t.Error("made with bad bounds")
	}
	bad = s.config
	bad.Key = worldtest.Key(t, "somebody")
	if _, err := observer.New(bad); !errors.Is(err, observer.ErrUnlisted) {
		t.Errorf("another key: %v", err)
	}
	bad = s.config
	bad.Popular = []observer.Place{{Kind: observe.DKIM, Name: "Example.org", Selector: "s1"}}
	if _, err := observer.New(bad); !errors.Is(err, observer.ErrKind) {
		t.Errorf("popular in capitals: %v", err)
	}
}

// TestStanding: an observer that the registry has closed signs nothing.
func TestStanding(t *testing.T) {
	s := newScene(t, nil)
	s.publish("s1", "one")
	s.Grant(observerA).Standing = registry.Standing{State: registry.Closed, Since: s.Now.Unix()}
	s.source.snapshot = s.Snapshot()
	_, err := s.ask(dkimKey("s1"))
	refused(t, "closed", err, problem.Unavailable)
	if err := s.o.Ready(); !errors.Is(err, observer.ErrUnlisted) {
		t.Errorf("ready: %v", err)
	}
	if err := s.o.Step(t.Context(), s.now()); !errors.Is(err, observer.ErrUnlisted) {
		t.Errorf("step: %v", err)
	}
}

// TestNothingToldOfWhoAsks: the files of the store name no domain that somebody
// asked for.
func TestNothingToldOfWhoAsks(t *testing.T) {
	s := newScene(t, nil)
	digest := s.publish("s1", "one")
	s.one("s1")
	found := 0
	for _, name := range []string{"observer.db", "observer.db-wal"} {
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		found += len(b)
		for _, secret := range []string{"example", "domainkey", string(digest[:])} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%q stands in %s", secret, name)
			}
		}
	}
	if found < 8192 {
		t.Errorf("the store has %d bytes; is it another?", found)
	}
}

// TestManyAtOnce: looks of many at one place and at several end, in one memory.
func TestManyAtOnce(t *testing.T) {
	s := newScene(t, nil)
	for i := range 4 {
		s.publish(fmt.Sprintf("s%d", i), fmt.Sprint(i))
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if got, err := s.ask(dkimKey(fmt.Sprintf("s%d", i%4))); err != nil || len(got) != 1 {
				t.Errorf("%d, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	due, err := s.store.Due(t.Context(), s.now().Add(observer.Interval), 100)
	if err != nil || len(due) != 4 {
		t.Errorf("%d places, %v", len(due), err)
	}
}

// TestStoreFails: what is not remembered is not signed.
func TestStoreFails(t *testing.T) {
	s := newScene(t, nil)
	s.publish("s1", "one")
	for _, fault := range []sqldb.Fault{sqldb.FailBefore, sqldb.FailAfter} {
		s.fail(func(string) sqldb.Fault { return fault })
		_, err := s.ask(dkimKey("s1"))
		refused(t, "the store fails", err, problem.Internal)
	}
	s.fail(func(string) sqldb.Fault { return sqldb.RunTwice })
	s.one("s1")
}

// TestServe runs the observer on its sockets.
func TestServe(t *testing.T) {
	s := newScene(t, func(c *observer.Config) { c.Tick = 10 * time.Millisecond })
	var l [2]net.Listener
	for i := range l {
		var err error
		if l[i], err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.o.Serve(ctx, l[0], l[1]) }()
	for path, want := range map[string]string{"/readyz": "ready", "/metrics": "whither_observer_resolver_validates 0"} {
		resp, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + l[1].Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s, %v", path, b, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestEveryErrorHasAKind walks the exported errors of the package.
func TestEveryErrorHasAKind(t *testing.T) {
	sentinels := []error{
		observer.ErrKind, observer.ErrUnpublished, observer.ErrUnusable, observer.ErrLookup, observer.ErrLimited, observer.ErrBusy,
		observer.ErrUnlisted, observer.ErrNoList, observer.ErrPublished,
	}
	for name, text := range worldtest.Sentinels(t, ".") {
		i := slices.IndexFunc(sentinels, func(err error) bool { return err.Error() == text })
		if i < 0 {
			t.Errorf("%s is not in the test's list", name)
			continue
		}
		if k := observer.Kind(fmt.Errorf("wrapped: %w", sentinels[i])); k == "" || k.Row().Kind != k {
			t.Errorf("%s has no kind in the catalogue: %q", name, k)
		}
	}
	if observer.Kind(errors.New("else")) != "" || observer.Kind(endpoint.ErrRegistryStale) != problem.Registry {
		t.Error("an unknown error has a kind, or a known one has none")
	}
}

// BenchmarkKeys is one question: a look over UDP, a durable write, a signature.
func BenchmarkKeys(b *testing.B) {
	s := newScene(b, func(c *observer.Config) { c.Bounds = observer.Bounds{PerParty: 1, People: 1 << 30, Places: 1 << 20} })
	s.publish("s1", "one")
	body, err := wire.Encode(wire.TypeCBOR, dkimKey("s1"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if w := s.send(http.MethodPost, wire.PathKeys, body); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
