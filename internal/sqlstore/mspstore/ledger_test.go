package mspstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"whither/cosigner"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/pgtest"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/registry"
)

func TestLedger(t *testing.T) {
	ledger(t, sqldb.Options{Path: filepath.Join(t.TempDir(), "msp.db")})
}

func TestLedgerOnPostgres(t *testing.T) {
	ledger(t, sqldb.Options{URL: pgtest.Schema(t, pgtest.Start(t))})
}

// ledger remembers what was confirmed until it is ended and told, or expires,
// whatever becomes of a write.
func ledger(t *testing.T, o sqldb.Options) {
	fault := sqldb.NoFault
	o.Fault = func(string) sqldb.Fault { return fault }
	m, err := mspstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Unix(1_800_000_000, 0)
	// each makes a write with every fault, and then well, twice.
	each := func(do func() error) {
		t.Helper()
		for _, fault = range []sqldb.Fault{sqldb.FailBefore, sqldb.FailAfter} {
			if err := do(); !errors.Is(err, sqldb.ErrInjected) {
				t.Fatal(err)
			}
		}
		for _, fault = range []sqldb.Fault{sqldb.RunTwice, sqldb.NoFault} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
	}
	due := func(at time.Time, want ...cosigner.Confirmation) {
		t.Helper()
		got, err := m.EndsDue(t.Context(), at, 10)
		if err != nil || !cmp.Equal(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(registry.PartyID{})) {
			t.Errorf("due: %+v, %v; want %+v", got, err, want)
		}
	}
	confirmation := func(of, n byte) cosigner.Confirmation {
		return cosigner.Confirmation{
			Of: cosigner.Box{of}, Mapping: mapping.ID{n}, Digest: mapping.Digest{n}, DP: worldtest.Party(t, worldtest.DP),
			Signed: now, Expires: now.Add(time.Hour),
		}
	}
	bob, bobs, alice := confirmation(1, 1), confirmation(1, 2), confirmation(2, 3)
	for _, c := range []cosigner.Confirmation{bob, bobs, alice} {
		each(func() error { return m.Confirm(t.Context(), c) })
	}
	again := bobs
	again.Signed, bobs.Signed = now.Add(time.Second), now.Add(time.Second)
	each(func() error { return m.Confirm(t.Context(), again) })
	due(now)
	each(func() error { return m.Leave(t.Context(), bob.Of) })
	if leaving, err := m.Leaving(t.Context()); err != nil || len(leaving) != 1 || leaving[0] != bob.Of {
		t.Errorf("leaving: %v, %v", leaving, err)
	}
	bob.Ended, bobs.Ended = now.Add(time.Minute), now.Add(time.Minute)
	each(func() error { return m.End(t.Context(), bob.Of, bob.Ended) })
	if err := m.End(t.Context(), bob.Of, now.Add(time.Hour)); err != nil { // what has ended stays as it is
		t.Fatal(err)
	}
	if leaving, err := m.Leaving(t.Context()); err != nil || len(leaving) != 0 {
		t.Errorf("carried out, and still leaving: %v, %v", leaving, err)
	}
	due(now)
	due(bob.Ended, bob, bobs)
	each(func() error { return m.Postpone(t.Context(), bob, now.Add(10*time.Minute)) })
	due(bob.Ended, bobs)
	each(func() error { return m.Postpone(t.Context(), bobs, time.Time{}) })
	due(now.Add(10*time.Minute), bob)
	due(now.Add(time.Hour))
	if err := m.Forget(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	due(now.Add(10 * time.Minute))
}
