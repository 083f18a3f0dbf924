// Package storetest is the suite that every store of a DP must pass: what the
// contract of [directory.Store] promises, method by method, under faults, races
// and random histories. A store of another engine passes it by being opened
// here. The suite of an MSP's stores stands in package offers.
//
// It does not test what an engine promises by itself, as durability over a
// crash; that stands beside each engine. The suite of a prover's stores stands
// in package internal/prover, beside the one that it keeps in memory.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/mapping/ending"
	"whither/registry"
)

// OpenDirectory opens an empty store, which is closed by end. fault is asked
// before each write for what shall go wrong with it.
type OpenDirectory func(t testing.TB, fault func(write string) sqldb.Fault) (store directory.Store, end func())

// Directory runs the suite of a DP's store, with so many hundred random
// histories.
func Directory(t *testing.T, histories int, open OpenDirectory) {
	c := newCast(t)
	for _, one := range []struct {
		name string
		run  func(*stage)
	}{
		{"Find", testFind},
		{"FindMany", testFindMany},
		{"ByID", testByID},
		{"Admit", testAdmit},
		{"AdmitUsedNonce", testAdmitUsedNonce},
		{"AdmitUsedID", testAdmitUsedID},
		{"Replace", testReplace},
		{"Renew", testRenew},
		{"End", testEnd},
		{"Withdraw", testWithdraw},
		{"Sweep", testSweep},
		{"SweepNonces", testSweepNonces},
		{"Changes", testChanges},
		{"RenewalsDue", testRenewalsDue},
		{"Apply", testApply},
		{"Records", testRecords},
		{"Tick", testTick},
		{"Faults", testFaults},
		{"Twice", testTwice},
		{"EndedContext", testEndedContext},
		{"RaceForCSI", testRaceForCSI},
		{"RaceForNonce", testRaceForNonce},
		{"RaceForMapping", testRaceForMapping},
		{"ReadersAmongWriters", testReadersAmongWriters},
	} {
		t.Run(one.name, func(t *testing.T) { one.run(newStage(t, c, open)) })
	}
	t.Run("Histories", func(t *testing.T) { testHistories(t, histories, c, open) })
}

// cast makes mappings for the tests. All of a run share one, since signing
// takes its time.
type cast struct {
	f      *worldtest.Federation
	policy mapping.Policy
	dp     key.Private
	now    time.Time
}

func newCast(t *testing.T) *cast {
	f := worldtest.New(t)
	return &cast{f: f, policy: mapping.PolicyAt(f.Snapshot(), f.Now), dp: worldtest.Key(t, worldtest.DP), now: f.Now}
}

// finish signs c as everybody.
func (c *cast) finish(t testing.TB, claims mapping.Claims, holder key.Private, found mapping.Found) mapping.Verified {
	t.Helper()
	u := c.f.Propose(claims, holder, c.f.MailReceipts(claims.CSI, holder.Public(), c.now))
	p, err := c.policy.VerifyProposal(u)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Finish(c.dp, c.now, c.now.Add(mapping.MaxDPLife), found)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// first makes a mapping of a mail address. name seeds its random parts.
func (c *cast) first(t testing.TB, address, name string, bend func(*mapping.Claims)) mapping.Verified {
	t.Helper()
	holder := worldtest.Key(t, address)
	claims := c.f.Claims(worldtest.CSI(t, "mailto:"+address), holder.Public(), address+name, worldtest.MSPA)
	if bend != nil {
		bend(&claims)
	}
	return c.finish(t, claims, holder, mapping.FoundFirst)
}

// next makes the mapping that replaces v. name seeds its nonces.
func (c *cast) next(t testing.TB, v mapping.Verified, address, name string, bend func(*mapping.Claims)) mapping.Verified {
	t.Helper()
	holder, old := worldtest.Key(t, address), v.Claims()
	claims := c.f.Claims(old.CSI, holder.Public(), address+name, worldtest.MSPB)
	claims.ID, claims.Lineage, claims.First = old.ID, old.Lineage, false
	claims.Sequence, claims.Predecessor = old.Sequence+1, v.Digest()
	if bend != nil {
		bend(&claims)
	}
	return c.finish(t, claims, holder, mapping.FoundSuccessor)
}

// renewed gives v a DP signature made some time later.
func (c *cast) renewed(t testing.TB, v mapping.Verified, later time.Duration) mapping.Verified {
	t.Helper()
	now := c.now.Add(later)
	r, err := v.Renew(c.dp, now, now.Add(mapping.MaxDPLife))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ended ends the entry of an MSP.
func (c *cast) ended(t testing.TB, v mapping.Verified, msp string) mapping.Verified {
	t.Helper()
	of := ending.Subject{ID: v.Claims().ID, Payload: v.Digest()}
	b, err := ending.Sign(of, ending.Signed{Provider: worldtest.Party(t, msp)}, worldtest.Key(t, msp), c.now)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ending.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = v.End(e); err != nil {
		t.Fatal(err)
	}
	return v
}

// living is how long a mapping lives from the cast's now on.
func (c *cast) living(d time.Duration) func(*mapping.Claims) {
	return func(claims *mapping.Claims) { claims.Expires = c.now.Add(d) }
}

// stage is one test's store with shorthands that fail the test.
type stage struct {
	*cast
	t     *testing.T
	open  OpenDirectory
	store directory.Store
	fault sqldb.Fault // of the writes from now on; the test's goroutine sets it
}

func newStage(t *testing.T, c *cast, open OpenDirectory) *stage {
	s := &stage{cast: c, t: t, open: open}
	store, end := open(t, func(string) sqldb.Fault { return s.fault })
	t.Cleanup(end)
	s.store = store
	return s
}

// sub runs a test within a test, on a store of its own.
func (s *stage) sub(name string, run func(*stage)) {
	s.t.Run(name, func(t *testing.T) { run(newStage(t, s.cast, s.open)) })
}

func (s *stage) ctx() context.Context { return s.t.Context() }

// hour is the end of every nonce that a test does not care for.
func (s *stage) hour() time.Time { return s.now.Add(time.Hour) }

// check fails the test unless err is want.
func (s *stage) check(what string, err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (s *stage) admit(v mapping.Verified, saw ...mapping.ID) {
	s.t.Helper()
	if err := s.store.Admit(s.ctx(), v, saw, s.hour(), s.now); err != nil {
		s.t.Fatalf("admit: %v", err)
	}
}

// holds checks that exactly these mappings of a CSI live at a time.
func (s *stage) holds(now time.Time, id csi.ID, want ...mapping.Verified) {
	s.t.Helper()
	found, err := s.store.Find(s.ctx(), []csi.ID{id}, now)
	if err != nil || len(found) != 1 {
		s.t.Fatalf("find: %d results, %v", len(found), err)
	}
	s.same("found", found[0], want)
}

func (s *stage) same(what string, got []directory.Stored, want []mapping.Verified) {
	s.t.Helper()
	var stored []directory.Stored
	for _, v := range want {
		stored = append(stored, directory.StoredOf(v))
	}
	slices.SortFunc(stored, func(a, b directory.Stored) int { return slices.Compare(a.ID[:], b.ID[:]) })
	if d := diff(stored, got); d != "" {
		s.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// diff compares what stores give back, to the last byte.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(bytes.Equal), cmpopts.EquateComparable(
		registry.PartyID{}, mapping.ID{}, mapping.Digest{}, mapping.Lineage{}, key.ID{}))
}

// history checks the change feed from its beginning.
func (s *stage) history(want ...directory.Change) {
	s.t.Helper()
	got, err := s.store.Changes(s.ctx(), 0, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	last := uint64(0)
	for i := range got {
		if got[i].Seq <= last {
			s.t.Errorf("change %d has number %d after %d", i, got[i].Seq, last)
		}
		last, got[i].Seq = got[i].Seq, 0
	}
	if d := diff(want, got); d != "" {
		s.t.Errorf("changes (-want +got):\n%s", d)
	}
}

func (s *stage) change(kind directory.ChangeKind, v mapping.Verified, at time.Time) directory.Change {
	return directory.Change{Kind: kind, ID: v.Claims().ID, At: at}
}
