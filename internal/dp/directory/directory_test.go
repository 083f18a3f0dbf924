package directory_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/offer"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

const address = "bob@example.org"

// bench is a directory over a real store, with a federation on paper.
type bench struct {
	*worldtest.Federation
	*directory.Directory
	maker *offer.Maker
	store *sqlstore.Directory
	fault sqlstore.Fault // of the next writes
}

func newBench(t *testing.T) *bench {
	t.Helper()
	f, dir := worldtest.New(t), t.TempDir()
	keys, err := sqlstore.MakeKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Federation: f, maker: offer.NewMaker(worldtest.Party(t, worldtest.DP), [32]byte{7})}
	b.store, err = sqlstore.OpenDirectory(t.Context(), sqlstore.Options{
		Path: filepath.Join(dir, "dp.db"), Keys: keys, Fault: func(string) sqlstore.Fault { return b.fault },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Directory, err = directory.New(directory.Config{
		Party: worldtest.Party(t, worldtest.DP), Key: worldtest.Key(t, worldtest.DP), Offers: b.maker, Store: b.store,
		Snapshot: f.Snapshot,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// propose makes an offer and a proposal that takes it up.
func (b *bench) propose(t *testing.T, holder string, bend func(*mapping.Claims), msps ...string) ([]byte, mapping.Unverified) {
	t.Helper()
	id, k := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, holder)
	terms, err := b.Offer(id, k.Public(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := b.Claims(id, k.Public(), fmt.Sprintf("%s %x", holder, terms.Offer), msps...)
	c.DPNonce = offer.Nonce(terms.Offer)
	if bend != nil {
		bend(&c)
	}
	return terms.Offer, b.Propose(c, k, b.MailReceipts(id, k.Public(), b.Now))
}

func (b *bench) outcome(t *testing.T, q directory.Query) wire.Answer {
	t.Helper()
	if q.CSIs == nil {
		q.CSIs = []csi.ID{worldtest.CSI(t, "mailto:"+address)}
	}
	answers, err := b.Lookup(t.Context(), q, b.Now)
	if err != nil || len(answers) != len(q.CSIs) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	return answers[0]
}

// next makes the claims that replace v.
func next(v mapping.Verified, bend func(*mapping.Claims)) func(*mapping.Claims) {
	return func(c *mapping.Claims) {
		old := v.Claims()
		c.ID, c.Lineage, c.First = old.ID, old.Lineage, false
		c.Sequence, c.Predecessor = old.Sequence+1, v.Digest()
		if bend != nil {
			bend(c)
		}
	}
}

func (b *bench) verified(t *testing.T, r directory.Result) mapping.Verified {
	t.Helper()
	u, err := mapping.Parse(r.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	v, err := mapping.PolicyAt(b.Snapshot(), b.Now).Verify(u)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestR09LifeOfAMapping(t *testing.T) {
	b := newBench(t)
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeNone {
		t.Errorf("before: %s", got.Outcome)
	}
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	r, err := b.Submit(t.Context(), o, u.Bundle(), b.Now)
	if err != nil || r.Held {
		t.Fatal(r.Reason, err)
	}
	first := b.verified(t, r)
	if first.Found() != mapping.FoundFirst {
		t.Errorf("found %d", first.Found())
	}
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeOne || len(got.Mappings) != 1 {
		t.Errorf("one: %+v", got)
	}
	// A mapping at a second MSP, by the same key, in the same lineage.
	o, u = b.propose(t, "bob", func(c *mapping.Claims) { c.Lineage, c.First = first.Claims().Lineage, false }, worldtest.MSPB)
	if r, err = b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil || r.Held {
		t.Fatal(r.Reason, err)
	}
	second := b.verified(t, r)
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeMany || len(got.Mappings) != 2 {
		t.Errorf("several: %s", got.Outcome)
	}
	if got := b.outcome(t, directory.Query{MSPs: []registry.PartyID{worldtest.Party(t, worldtest.MSPB)}}); got.Outcome != wire.OutcomeOne {
		t.Errorf("filtered: %s", got.Outcome)
	}
	b.withdraw(t, second, "bob", nil)
	// Replaced by a set of both, then by the empty set.
	o, u = b.propose(t, "bob", next(first, nil), worldtest.MSPA, worldtest.MSPB)
	if r, err = b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil || r.Held {
		t.Fatal(r.Reason, err)
	}
	set := b.verified(t, r)
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeSeveral || set.Found() != mapping.FoundSuccessor {
		t.Errorf("one at several: %s", got.Outcome)
	}
	o, u = b.propose(t, "bob", next(set, nil))
	if r, err = b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil || r.Held {
		t.Fatal(r.Reason, err)
	}
	empty := b.verified(t, r)
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeUnlisted {
		t.Errorf("unlisted: %s", got.Outcome)
	}
	b.withdraw(t, empty, "bob", nil)
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeNone {
		t.Errorf("after: %s", got.Outcome)
	}
}

func (b *bench) withdraw(t *testing.T, v mapping.Verified, holder string, want error) {
	t.Helper()
	statement, err := v.Claims().Withdraw(worldtest.Key(t, holder), v.Digest(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Withdraw(t.Context(), statement, b.Now); !errors.Is(err, want) {
		t.Errorf("withdraw by %s: got %v, want %v", holder, err, want)
	}
}

func TestR17SecondLineageIsHeldAndNothingStored(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil {
		t.Fatal(err)
	}
	before, err := b.store.Changes(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	o, u = b.propose(t, "mallory", nil, worldtest.MSPB)
	r, err := b.Submit(t.Context(), o, u.Bundle(), b.Now)
	if err != nil || !r.Held || r.Reason == "" || len(r.Bundle.Mapping) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	after, err := b.store.Changes(t.Context(), 0, 100)
	if err != nil || len(after) != len(before) {
		t.Errorf("a held claim left a trace: %d changes, %v", len(after)-len(before), err)
	}
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeOne {
		t.Errorf("the incumbent: %s", got.Outcome)
	}
}

func TestSubmitRefuses(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil {
		t.Fatal(err)
	}
	otherOffer, otherU := b.propose(t, "bob", nil, worldtest.MSPA)
	_, foreignDP := b.propose(t, "bob", func(c *mapping.Claims) { c.DP = worldtest.Party(t, "dp-2.example") }, worldtest.MSPA)
	_, resident := b.propose(t, "bob", func(c *mapping.Claims) { c.Residency = []string{"FR"} }, worldtest.MSPA)
	usedOffer := func() ([]byte, mapping.Unverified) {
		first, err := mapping.Parse(u.Bundle())
		if err != nil {
			t.Fatal(err)
		}
		_, second := b.propose(t, "bob", func(c *mapping.Claims) {
			c.Lineage, c.First, c.DPNonce = first.Claims().Lineage, false, first.Claims().DPNonce
		}, worldtest.MSPB)
		return o, second
	}
	used, usedU := usedOffer()
	tests := []struct {
		name   string
		offer  []byte
		bundle mapping.Bundle
		at     time.Time
		want   error
	}{
		{"offer of nobody", make([]byte, offer.Size), otherU.Bundle(), b.Now, offer.ErrUnknown},
		{"offer of another nonce", o, otherU.Bundle(), b.Now, offer.ErrNonce},
		{"offer run out", otherOffer, otherU.Bundle(), b.Now.Add(25 * time.Hour), offer.ErrExpired},
		{"offer used", used, usedU.Bundle(), b.Now, directory.ErrOfferUsed},
		{"another DP's", otherOffer, foreignDP.Bundle(), b.Now, directory.ErrForeignDP},
		{"may not be kept here", otherOffer, resident.Bundle(), b.Now, directory.ErrResidency},
		{"clock behind", otherOffer, otherU.Bundle(), b.Now.Add(-time.Hour), mapping.ErrFuture},
		{"nonsense", otherOffer, mapping.Bundle{Mapping: []byte("x")}, b.Now, mapping.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := b.Submit(t.Context(), test.offer, test.bundle, test.at); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	if changes, err := b.store.Changes(t.Context(), 0, 100); err != nil || len(changes) != 1 {
		t.Errorf("refusals left traces: %d changes, %v", len(changes), err)
	}
}

func TestStaleEvidenceAdmitsNothing(t *testing.T) {
	b := newBench(t)
	id, bob := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	terms, err := b.Offer(id, bob.Public(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		age  time.Duration
		want error
	}{{24*time.Hour + time.Second, directory.ErrStale}, {24 * time.Hour, nil}} {
		c := b.Claims(id, bob.Public(), test.age.String(), worldtest.MSPA)
		c.DPNonce = offer.Nonce(terms.Offer)
		u := b.Propose(c, bob, b.MailReceipts(id, bob.Public(), b.Now.Add(-test.age)))
		if _, err := b.Submit(t.Context(), terms.Offer, u.Bundle(), b.Now); !errors.Is(err, test.want) {
			t.Errorf("evidence %s old: %v", test.age, err)
		}
	}
}

// TestSubmitAgain: a lost answer and a failed write are both healed by sending
// the same again.
func TestSubmitAgain(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	for _, fault := range []sqlstore.Fault{sqldb.FailBefore, sqldb.FailAfter} {
		b.fault = fault
		if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); !errors.Is(err, sqldb.ErrInjected) {
			t.Fatalf("fault %d: %v", fault, err)
		}
	}
	b.fault = sqldb.NoFault
	for range 2 {
		r, err := b.Submit(t.Context(), o, u.Bundle(), b.Now)
		if err != nil || r.Held {
			t.Fatal(r.Reason, err)
		}
		if v := b.verified(t, r); v.Digest() != u.Digest() {
			t.Error("another mapping came back")
		}
	}
	if changes, err := b.store.Changes(t.Context(), 0, 100); err != nil || len(changes) != 1 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}

// TestRaceHasOneWinner: of several first mappings of one CSI that arrive at
// once, one is admitted and all others are held.
func TestRaceHasOneWinner(t *testing.T) {
	b := newBench(t)
	const rivals = 8
	type entry struct {
		o []byte
		u mapping.Unverified
	}
	var entries []entry
	for i := range rivals {
		o, u := b.propose(t, fmt.Sprint("rival ", i), nil, worldtest.MSPA)
		entries = append(entries, entry{o, u})
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted, held := 0, 0
	snapshot := b.Snapshot()
	b.Directory.Snapshot = func() *registry.Snapshot { return snapshot }
	for _, e := range entries {
		wg.Go(func() {
			r, err := b.Submit(context.WithoutCancel(t.Context()), e.o, e.u.Bundle(), b.Now)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case r.Held:
				held++
			default:
				admitted++
			}
		})
	}
	wg.Wait()
	if admitted != 1 || held != rivals-1 {
		t.Errorf("%d admitted, %d held", admitted, held)
	}
}

func TestR19OnlyTheHolderWithdraws(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	r, err := b.Submit(t.Context(), o, u.Bundle(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	v := b.verified(t, r)
	for _, name := range []string{"mallory", worldtest.DP, worldtest.MSPA} {
		b.withdraw(t, v, name, mapping.ErrWithdrawal)
	}
	b.withdraw(t, v, "bob", nil)
	b.withdraw(t, v, "bob", directory.ErrUnknown)
	// The withdrawn id never lives again, not even with the holder's help.
	if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); !errors.Is(err, directory.ErrIDTaken) && !errors.Is(err, directory.ErrOfferUsed) {
		t.Errorf("a withdrawn mapping was admitted again: %v", err)
	}
}

func TestStepRenewsAndSweeps(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	r, err := b.Submit(t.Context(), o, u.Bundle(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	v := b.verified(t, r)
	if w, err := b.Step(t.Context(), b.Now.Add(time.Hour)); err != nil || w != (directory.Work{}) {
		t.Errorf("nothing is due: %+v, %v", w, err)
	}
	b.Now = b.Now.Add(4 * 24 * time.Hour)
	if w, err := b.Step(t.Context(), b.Now); err != nil || w.Renewed != 1 {
		t.Errorf("renewal: %+v, %v", w, err)
	}
	fresh, err := b.Renewed(t.Context(), v.Claims().ID, b.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.verified(t, directory.Result{Bundle: fresh}); !got.Until().Equal(b.Now.Add(mapping.MaxDPLife)) || got.Digest() != v.Digest() {
		t.Errorf("good until %s", got.Until())
	}
	// An expelled MSP's mapping is not renewed any more, and blocks nobody.
	b.Grant(worldtest.MSPA).Standing = registry.Standing{State: registry.Expelled, Since: 1}
	b.Record.Version++
	b.Now = b.Now.Add(4 * 24 * time.Hour)
	if w, err := b.Step(t.Context(), b.Now); err != nil || w.Refused != 1 || w.Renewed != 0 {
		t.Errorf("expelled: %+v, %v", w, err)
	}
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeEnded {
		t.Errorf("its only entry has died: %s", got.Outcome)
	}
	b.Now = v.Claims().Expires
	if w, err := b.Step(t.Context(), b.Now); err != nil || w.Swept != 1 {
		t.Errorf("sweep: %+v, %v", w, err)
	}
	if got := b.outcome(t, directory.Query{}); got.Outcome != wire.OutcomeNone {
		t.Errorf("after its expiry: %s", got.Outcome)
	}
}

func TestR15CompactBits(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPB)
	if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil {
		t.Fatal(err)
	}
	got := b.outcome(t, directory.Query{Compact: true})
	if got.Outcome != wire.OutcomeOne || len(got.Mappings) != 0 || len(got.Bits) != 1 || got.Bits[0] != 0b10 {
		t.Errorf("%+v", got)
	}
	none := b.outcome(t, directory.Query{Compact: true, CSIs: []csi.ID{worldtest.CSI(t, "mailto:nobody@example.org")}})
	if none.Outcome != wire.OutcomeNone || len(none.Bits) != len(got.Bits) || none.Bits[0] != 0 {
		t.Errorf("the length of the bits tells something: %+v", none)
	}
}

// TestR22AbsentAndAudienceAnswersAreEqual: an answer does not tell a CSI that
// has only audience mappings from one that nobody ever enrolled.
func TestR22AbsentAndAudienceAnswersAreEqual(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", func(c *mapping.Claims) { c.Audience = true }, worldtest.MSPA)
	if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil {
		t.Fatal(err)
	}
	for _, compact := range []bool{false, true} {
		q := directory.Query{Compact: compact, CSIs: []csi.ID{worldtest.CSI(t, "mailto:"+address), worldtest.CSI(t, "mailto:nobody@example.org")}}
		answers, err := b.Lookup(t.Context(), q, b.Now)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := wire.Encode(wire.TypeCBOR, answers[0])
		if err != nil {
			t.Fatal(err)
		}
		absent, err := wire.Encode(wire.TypeCBOR, answers[1])
		if err != nil || string(hidden) != string(absent) {
			t.Errorf("compact %v: %x differs from %x", compact, hidden, absent)
		}
	}
}

func TestOfferTellsNothing(t *testing.T) {
	b := newBench(t)
	id, bob := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob").Public()
	before, err := b.Offer(id, bob, b.Now)
	if err != nil {
		t.Fatal(err)
	}
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	if _, err := b.Submit(t.Context(), o, u.Bundle(), b.Now); err != nil {
		t.Fatal(err)
	}
	after, err := b.Offer(id, bob, b.Now)
	if err != nil {
		t.Fatal(err)
	}
	before.Offer, after.Offer = nil, nil
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("offers differ: %v, %v", before, after)
	}
	if len(before.Provers) != 2 {
		t.Errorf("provers %v", before.Provers)
	}
}

// TestR05CodesCountByAssignedProversOnly: a claimant cannot choose who sends
// the codes, not even with two true provers on his side.
func TestR05CodesCountByAssignedProversOnly(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"prover-c.example", "prover-d.example", "prover-e.example", "prover-f.example"} {
		b.Add(name, registry.RoleProver, nil)
	}
	// The DP's own prover is passed over in the order, as is an MSP's.
	b.Add("prover-dp.example", registry.RoleProver, nil)
	b.Grant("prover-dp.example").Operator = b.Grant(worldtest.DP).Operator
	b.Add("prover-msp.example", registry.RoleProver, nil)
	b.Grant("prover-msp.example").Operator = b.Grant(worldtest.MSPA).Operator
	id, bob := worldtest.CSI(t, "tel:+41791234567"), worldtest.Key(t, "bob")
	terms, err := b.Offer(id, bob.Public(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, p := range terms.Provers {
		if p.String() != "prover-msp.example" {
			order = append(order, p.String())
		}
	}
	if len(order) != 6 {
		t.Fatalf("provers %v", order)
	}
	for _, test := range []struct {
		name, message, call string
		want                error
	}{
		{"first and fourth", order[0], order[3], directory.ErrUnassigned},
		{"last two", order[4], order[5], directory.ErrUnassigned},
		{"one prover for both", order[0], order[0], mapping.ErrLevel},
		{"second and third", order[1], order[2], nil},
	} {
		c := b.Claims(id, bob.Public(), test.name, worldtest.MSPA)
		c.DPNonce, c.Residency = offer.Nonce(terms.Offer), []string{"CH"}
		u := b.Propose(c, bob, b.CodeReceipts(id, bob.Public(), b.Now, test.message, test.call))
		if _, err := b.Submit(t.Context(), terms.Offer, u.Bundle(), b.Now); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}
