package dp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/client/disclosed"
	"whither/csi"
	"whither/disclosure"
	"whither/internal/dp"
	"whither/internal/keyfile"
	"whither/internal/pinned"
	"whither/internal/publish"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

const secondDP = "dp-2.example"

// site is a DP on a socket, and who asks it.
type site struct {
	*worldtest.Federation
	t        *testing.T
	d        *dp.DP
	snapshot *registry.Snapshot
	clock    atomic.Int64
	msp      *pinned.Client
	drafts   int
}

// newSite serves a DP. bend, if any, bends settings and federation before.
func newSite(t *testing.T, bend func(*dp.Settings, *worldtest.Federation)) *site {
	t.Helper()
	dir, f := folder(t)
	s := &site{Federation: f, t: t}
	s.clock.Store(f.Now.Unix())
	own, set := settings, &f.Record.Policy
	set.Levels["mailto"] = 2
	f.Add(secondDP, registry.RoleDP, nil)
	if bend != nil {
		bend(&own, f)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asker, err := keyfile.MakeTLS(filepath.Join(dir, "asker.pem"), worldtest.Party(t, worldtest.MSPA), f.Now)
	if err != nil {
		t.Fatal(err)
	}
	pin := asker.Pin()
	f.Selfs[worldtest.MSPA].Pins = [][]byte{pin[:]}
	f.Selfs[worldtest.DP].Endpoint = "https://" + l.Addr().String()
	f.WriteRegistry(filepath.Join(dir, "registry"))
	s.snapshot = f.Snapshot()
	d, closeStore, err := dp.Open(t.Context(), dir, own, dp.Options{Now: s.now, Log: slog.New(slog.DiscardHandler), Tick: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.d, s.msp = d, pinned.NewClient(func() *registry.Snapshot { return s.snapshot }, asker, s.now)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l, nil) }()
	t.Cleanup(func() {
		s.msp.Close()
		stop()
		if err := errors.Join(<-ended, closeStore()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) now() time.Time { return time.Unix(s.clock.Load(), 0) }

func (s *site) dp() registry.PartyID { return worldtest.Party(s.t, worldtest.DP) }

// wait lets time pass, and the DP work.
func (s *site) wait(d time.Duration) {
	s.t.Helper()
	s.clock.Add(int64(d / time.Second))
	s.Now = s.now()
	if _, err := s.d.Pass(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// call asks the DP.
func (s *site) call(path string, in, out any) error {
	return s.msp.Call(s.t.Context(), s.dp(), path, "", in, out)
}

// must ends the test where the DP refuses.
func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// document fetches what the DP serves.
func (s *site) document() (disclosure.Document, []byte) {
	s.t.Helper()
	b, err := s.msp.Get(s.t.Context(), s.dp(), disclosure.Path)
	s.must(err)
	d, err := disclosure.Parse(b)
	s.must(err)
	return d, b
}

const bob = "mailto:bob@example.org"

func (s *site) offer(address, holder string) wire.DPOffer {
	s.t.Helper()
	var o wire.DPOffer
	r := wire.OfferRequest{CSI: csi.Clear{ID: worldtest.CSI(s.t, address)}, Key: worldtest.Key(s.t, holder).Public().Bytes()}
	s.must(s.call(wire.PathOffers, r, &o))
	return o
}

// draft is a mapping for bob's address, with evidence of a level.
func (s *site) draft(holder string, level possession.Level, bend func(*mapping.Claims)) wire.SubmitRequest {
	s.t.Helper()
	id, k, o := worldtest.CSI(s.t, bob), worldtest.Key(s.t, holder), s.offer(bob, holder)
	s.drafts++
	c := s.Claims(id, k.Public(), fmt.Sprint(holder, s.drafts), worldtest.MSPA)
	c.DPNonce = mapping.Nonce(o.Nonce)
	if bend != nil {
		bend(&c)
	}
	var receipts [][]byte
	for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
		r := s.Receipt(id, k.Public(), kind, s.Now)
		r.Level = level
		receipts = append(receipts, s.SignReceipt(r, []string{worldtest.ProverA, worldtest.ProverB}[i]))
	}
	return wire.SubmitRequest{Offer: o.Offer, Bundle: wire.BundleOf(s.Propose(c, k, receipts).Bundle())}
}

func (s *site) submit(r wire.SubmitRequest) (a wire.SubmitAnswer, err error) {
	err = s.call(wire.PathMappings, r, &a)
	return a, err
}

// enrol has a mapping of bob's admitted.
func (s *site) enrol(level possession.Level, bend func(*mapping.Claims)) mapping.Verified {
	s.t.Helper()
	a, err := s.submit(s.draft("bob", level, bend))
	s.must(err)
	if a.State != wire.StateAdmitted {
		s.t.Fatalf("%+v", a)
	}
	u, err := mapping.Parse(a.Bundle.Unpack())
	s.must(err)
	v, err := mapping.PolicyAt(s.snapshot, s.now()).Verify(u)
	s.must(err)
	return v
}

func (s *site) lookup(federation, format string, n int) (wire.LookupAnswer, error) {
	r := wire.LookupRequest{Federation: federation, Format: format, CSIs: []csi.Clear{{ID: worldtest.CSI(s.t, bob)}}}
	for i := range n - 1 {
		r.CSIs = append(r.CSIs, csi.Clear{ID: worldtest.CSI(s.t, fmt.Sprintf("tel:+4179%07d", i))})
	}
	var a wire.LookupAnswer
	err := s.call(wire.PathLookups, r, &a)
	return a, err
}

// largest returns the largest number below bound that is taken.
func (s *site) largest(bound int, taken func(n int) bool) int {
	low, high := 0, bound
	for high-low > 1 {
		if middle := (low + high) / 2; taken(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// holdOf returns for how long a claim waits on an incumbent.
func (s *site) holdOf(incumbent, newcomer possession.Level, appeal bool) int64 {
	s.t.Helper()
	s.enrol(incumbent, nil)
	s.wait(time.Hour)
	r := s.draft("carol", newcomer, nil)
	r.Appeal = appeal
	a, err := s.submit(r)
	s.must(err)
	return a.Until - s.now().Unix()
}

// claimsKept returns after how long a claim that was answered is forgotten.
func (s *site) claimsKept() int64 {
	s.t.Helper()
	v := s.enrol(possession.Level4, nil)
	s.wait(time.Hour)
	r := s.draft("carol", possession.Level4, nil)
	_, err := s.submit(r)
	s.must(err)
	claim, err := mapping.Parse(r.Bundle.Unpack())
	s.must(err)
	s.wait(time.Hour)
	u, err := mapping.Parse(v.Bundle())
	s.must(err)
	k := worldtest.Key(s.t, "bob")
	var receipts [][]byte
	var sent []wire.Bytes
	for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
		one := s.Receipt(worldtest.CSI(s.t, bob), k.Public(), kind, s.Now)
		one.Purpose = possession.PurposeReprove
		b := s.SignReceipt(one, []string{worldtest.ProverA, worldtest.ProverB}[i])
		receipts, sent = append(receipts, b), append(sent, b)
	}
	statement, err := u.Reprove(k, receipts, s.Now)
	s.must(err)
	var answer wire.ReproofAnswer
	s.must(s.call(wire.PathReproofs, wire.ReproofRequest{Statement: statement, Receipts: sent}, &answer))
	began := s.now()
	for range 120 {
		s.wait(24 * time.Hour)
		question, err := mapping.Ask(claim.Claims().ID, worldtest.Key(s.t, "carol"), s.Now)
		s.must(err)
		var stands wire.StandingAnswer
		err = s.call(wire.PathStandings, wire.StandingRequest{Question: question}, &stands)
		if errors.Is(err, problem.Error(problem.MappingUnknown)) {
			return disclosure.Seconds(s.now().Sub(began))
		}
		s.must(err)
	}
	return 0
}

// tombstone says whether a mapping's id is taken long after its end.
func (s *site) tombstone() string {
	s.t.Helper()
	v := s.enrol(possession.Level4, nil)
	s.wait(300 * 24 * time.Hour)
	_, err := s.submit(s.draft("bob", possession.Level4, func(c *mapping.Claims) { c.ID = v.Claims().ID }))
	if errors.Is(err, problem.Error(problem.MappingConflict)) {
		return disclosure.Unlimited
	}
	return fmt.Sprint(err)
}

// row is one field of the document: how to read it there, how to see it in the
// DP's behaviour, in the same unit, and how to change it. What has no bend is the
// same for all DPs of this program: there the behaviour is measured alone.
type row struct {
	read  func(disclosure.Document) any
	probe func(*site) any
	bend  func(*dp.Settings, *worldtest.Federation)
}

func rows() map[string]row {
	type doc = disclosure.Document
	type set = dp.Settings
	type fed = worldtest.Federation
	return map[string]row{
		"evidence.kinds": {
			func(d doc) any { return d.Evidence["tel"].Kinds }, func(s *site) any { return s.offer("tel:+41791234567", "bob").Kinds },
			func(s *set, _ *fed) { s.Evidence.Refused = []string{"code-call"} },
		},
		"evidence.level": {
			func(d doc) any { return d.Evidence["mailto"].Level }, func(s *site) any { return s.offer(bob, "bob").Level },
			func(s *set, _ *fed) { s.Evidence.Levels = map[string]uint8{"mailto": 3} },
		},
		"holds.equal":    {func(d doc) any { return d.Holds.Equal }, func(s *site) any { return s.holdOf(4, 4, false) }, nil},
		"holds.review":   {func(d doc) any { return d.Holds.Review }, func(s *site) any { return s.holdOf(4, 2, true) }, nil},
		"holds.stricter": {func(d doc) any { return d.Holds.Stricter }, func(s *site) any { return s.holdOf(2, 4, false) }, nil},
		"limits.body": {
			func(d doc) any { return d.Limits.Body }, func(s *site) any {
				return s.largest(80_000, func(n int) bool {
					_, err := s.msp.Post(s.t.Context(), s.dp(), wire.PathOffers, "", make([]byte, n))
					return errors.Is(err, problem.Error(problem.Malformed))
				})
			}, func(s *set, _ *fed) { s.Limits.Body = 5000 },
		},
		"limits.csis": {
			func(d doc) any { return d.Limits.CSIs }, func(s *site) any {
				return s.largest(1200, func(n int) bool { _, err := s.lookup(wire.FederationNone, wire.FormatVerbose, n); return err == nil })
			}, func(s *set, _ *fed) { s.Limits.CSIs = 7 },
		},
		"limits.mappings": {
			func(d doc) any { return d.Limits.Mappings }, func(s *site) any {
				v, n := s.enrol(possession.Level4, nil), 1
				for ; n < 30; n++ {
					_, err := s.submit(s.draft("bob", possession.Level4, func(c *mapping.Claims) { c.Lineage, c.First = v.Claims().Lineage, false }))
					if errors.Is(err, problem.Error(problem.CSIFull)) {
						break
					}
					s.must(err)
				}
				return n
			}, func(s *set, _ *fed) { s.Limits.Mappings = 2 },
		},
		"limits.offer": {
			func(d doc) any { return d.Limits.Offer }, func(s *site) any { return s.offer(bob, "bob").Expires - s.now().Unix() },
			func(s *set, _ *fed) { s.Limits.OfferHours = 5 },
		},
		"lookups.default": {func(d doc) any { return d.Lookups.Default }, func(s *site) any {
			a, err := s.lookup("", wire.FormatVerbose, 1)
			s.must(err)
			return map[int]string{1: wire.FederationNone, 2: wire.FederationAll}[len(a.Asked)]
		}, nil},
		"lookups.formats": {func(d doc) any { return d.Lookups.Formats }, func(s *site) any {
			var out []string
			for _, format := range []string{wire.FormatCompact, wire.FormatVerbose} {
				if _, err := s.lookup(wire.FederationNone, format, 1); err == nil {
					out = append(out, format)
				}
			}
			return out
		}, func(s *set, _ *fed) { s.Limits.Formats = []string{wire.FormatVerbose} }},
		"lookups.preferences": {func(d doc) any { return d.Lookups.Preferences }, func(s *site) any {
			business := func(c *mapping.Claims) { c.Entries[0].Tags = []string{"Business"} }
			v := s.enrol(possession.Level4, nil)
			s.must(second(s.submit(s.draft("bob", possession.Level4, func(c *mapping.Claims) {
				c.Lineage, c.First = v.Claims().Lineage, false
				business(c)
			}))))
			return map[bool]string{true: disclosure.AsSigned}[slices.Equal(s.tags(), []string{"Business", mapping.TagDefault})]
		}, nil},
		"lookups.visible": {func(d doc) any { return d.Lookups.Visible }, func(s *site) any {
			s.enrol(possession.Level4, nil)
			began := time.Now()
			for len(s.tags()) == 0 {
				if time.Since(began) > time.Minute {
					break
				}
			}
			return int64(time.Since(began)/time.Second) + 1
		}, nil},
		"provider": {func(d doc) any { return d.Provider.String() }, func(s *site) any { return s.offer(bob, "bob").DP.String() }, nil},
		"residency": {
			func(d doc) any { return d.Residency }, func(s *site) any { return s.offer(bob, "bob").Residency },
			func(_ *set, f *fed) { f.Grant(worldtest.DP).Jurisdictions = []string{"CH", "DE"} },
		},
		"retention.claims": {func(d doc) any { return d.Retention.Claims }, func(s *site) any { return s.claimsKept() }, nil},
		"retention.signature": {
			func(d doc) any { return d.Retention.Signature }, func(s *site) any {
				v := s.enrol(possession.Level4, nil)
				return disclosure.Seconds(v.Until().Sub(v.Signed()))
			}, func(s *set, _ *fed) { s.SignatureDays = 3 },
		},
		"retention.tombstones": {func(d doc) any { return d.Retention.Tombstones }, func(s *site) any { return s.tombstone() }, nil},
		"version":              {func(d doc) any { return d.Version }, func(*site) any { return disclosure.Version }, nil},
	}
}

func second[T any](_ T, err error) error { return err }

// tags are those of bob's mappings, as they are found.
func (s *site) tags() []string {
	s.t.Helper()
	a, err := s.lookup(wire.FederationNone, wire.FormatVerbose, 1)
	s.must(err)
	var out []string
	for _, m := range a.Answers[0].Mappings {
		u, err := mapping.Parse(m.Bundle.Unpack())
		s.must(err)
		for _, e := range u.Claims().Entries {
			out = append(out, e.Tags...)
		}
	}
	slices.Sort(out)
	return out
}

// fields are the names of a struct's fields in JSON, without those that hold others.
func fields(t reflect.Type, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, inner := prefix+f.Tag.Get("json"), f.Type
		if inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[registry.PartyID]() {
			out = append(out, fields(inner, name+".")...)
			continue
		}
		out = append(out, name)
	}
	return out
}

// TestR11BehaviourIsAsDisclosed changes, for every field of the document, what it
// comes from, and sees both the document and the behaviour change, to the same.
func TestR11BehaviourIsAsDisclosed(t *testing.T) {
	all, known := rows(), fields(reflect.TypeFor[disclosure.Document](), "")
	if len(known) < 10 {
		t.Fatalf("fields: %q", known)
	}
	for _, name := range known {
		if _, ok := all[name]; !ok {
			t.Errorf("%s: nothing shows that the DP does as it says", name)
		}
	}
	for name, r := range all {
		if !slices.Contains(known, name) {
			t.Errorf("%s is no field", name)
		}
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			d, _ := s.document()
			plain := r.read(d)
			if diff := cmp.Diff(plain, r.probe(s)); diff != "" {
				t.Errorf("said (-) and done (+): %s", diff)
			}
			if r.bend == nil {
				return
			}
			s = newSite(t, r.bend)
			d, _ = s.document()
			bent := r.read(d)
			if cmp.Equal(plain, bent) {
				t.Errorf("the document still says %v", bent)
			}
			if diff := cmp.Diff(bent, r.probe(s)); diff != "" {
				t.Errorf("bent: said (-) and done (+): %s", diff)
			}
		})
	}
}

// TestR11DocumentAndDigest: who names the document of another DP's settings is not
// ready and is refused by clients; who names his own is taken at his word.
func TestR11DocumentAndDigest(t *testing.T) {
	digestOf := func(s dp.Settings) []byte {
		t.Helper()
		_, digest, err := s.Disclose([]string{"CH"})
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	other := settings
	other.SignatureDays = 3
	for name, c := range map[string]struct {
		digest       []byte
		ready, taken error
	}{
		"own":     {digestOf(settings), nil, nil},
		"another": {digestOf(other), disclosure.ErrDigest, disclosure.ErrDigest},
		"none":    {nil, nil, disclosure.ErrAbsent},
	} {
		s := newSite(t, func(_ *dp.Settings, f *worldtest.Federation) { f.Selfs[worldtest.DP].Disclosure = c.digest })
		if err := s.d.Ready(); !errors.Is(err, c.ready) {
			t.Errorf("%s: ready: %v", name, err)
		}
		reader := disclosed.New(func() *registry.Snapshot { return s.snapshot }, s.now)
		defer reader.Close()
		if _, err := reader.Of(t.Context(), s.dp()); !errors.Is(err, c.taken) {
			t.Errorf("%s: taken: %v", name, err)
		}
		o := disclosure.Answer{Offer: &disclosure.Offered{CSI: worldtest.CSI(t, bob), Answer: s.offer(bob, "bob"), Now: s.now()}}
		if err := reader.Check(t.Context(), s.dp(), o); !errors.Is(err, c.taken) {
			t.Errorf("%s: answer: %v", name, err)
		}
	}
}

// TestR11LaxerDoesNotStart: what the federation agreed is tightened, never loosened.
func TestR11LaxerDoesNotStart(t *testing.T) {
	dir, f := folder(t)
	for level, want := range map[uint8]error{3: disclosure.ErrLaxer, 4: nil} {
		s := settings
		s.Evidence.Levels = map[string]uint8{"mailto": level}
		_, closeStore, err := dp.Open(t.Context(), dir, s, dp.Options{Now: func() time.Time { return f.Now }, Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, want) {
			t.Errorf("level %d: %v", level, err)
		}
		if err == nil {
			err = closeStore()
		}
		if err != nil && !strings.Contains(err.Error(), "evidence.levels") {
			t.Error(err)
		}
	}
}

// TestR11ReapplyCarriesTheDigest: after a change of a setting the application has
// the digest of what the DP will serve.
func TestR11ReapplyCarriesTheDigest(t *testing.T) {
	dir, f := folder(t)
	path := filepath.Join(dir, dp.SettingsFile)
	if err := os.WriteFile(path, []byte("party = \"dp.example\"\nsignature_days = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	document, err := dp.Document(t.Context(), path, f.Now)
	if err != nil {
		t.Fatal(err)
	}
	d, err := disclosure.Parse(document)
	if err != nil || d.Retention.Signature != 3*24*3600 {
		t.Errorf("%+v, %v", d.Retention, err)
	}
	application, err := dp.Reapply(t.Context(), path, f.Now)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile(filepath.Join(application, publish.SelfFile))
	digest := disclosure.Digest(document)
	if err != nil || !bytes.Contains(self, digest[:]) {
		t.Errorf("self record of %d bytes without the digest, %v", len(self), err)
	}
}

// TestDocumentIsKeptByItsDigest: a DP is asked once, until the registry names
// another document; what it had before does not count then.
func TestDocumentIsKeptByItsDigest(t *testing.T) {
	_, digest, err := settings.Disclose([]string{"CH"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(_ *dp.Settings, f *worldtest.Federation) { f.Selfs[worldtest.DP].Disclosure = digest })
	reader := disclosed.New(func() *registry.Snapshot { return s.snapshot }, s.now)
	defer reader.Close()
	if _, err := reader.Of(t.Context(), s.dp()); err != nil {
		t.Fatal(err)
	}
	next := func(endpoint string, digest []byte) {
		self := s.Selfs[worldtest.DP]
		self.Endpoint, self.Disclosure = endpoint, digest
		s.Record.Version++
		s.snapshot = s.Snapshot()
	}
	next("https://127.0.0.1:1", digest)
	if _, err := reader.Of(t.Context(), s.dp()); err != nil {
		t.Errorf("asked again: %v", err)
	}
	next("https://127.0.0.1:1", bytes.Repeat([]byte{1}, 32))
	if _, err := reader.Of(t.Context(), s.dp()); !errors.Is(err, pinned.ErrUnreachable) {
		t.Errorf("not asked for another document: %v", err)
	}
}
