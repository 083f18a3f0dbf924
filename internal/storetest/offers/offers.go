// Package offers is the suite that a store of an MSP must pass: what the contract
// of [cosigner.Used] promises, under faults and races.
package offers

import (
	"context"
	"errors"
	"testing"
	"time"

	"whither/cosigner"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest"
	"whither/mapping"
)

// Used is what an MSP's process asks of its store.
type Used interface {
	cosigner.Used
	// Forget drops what need not be remembered any more at time now.
	Forget(ctx context.Context, now time.Time) error
}

// Open opens an empty store, which is closed by end. fault is asked before
// each write for what shall go wrong with it.
type Open func(t testing.TB, fault func(write string) sqldb.Fault) (store Used, end func())

// Store runs the suite of an MSP's store.
func Store(t *testing.T, open Open) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var fault sqldb.Fault
	fresh := func(t *testing.T) Used {
		fault = sqldb.NoFault
		store, end := open(t, func(string) sqldb.Fault { return fault })
		t.Cleanup(end)
		return store
	}
	use := func(nonce, digest byte, signed time.Time) cosigner.Use {
		return cosigner.Use{Nonce: mapping.Nonce{nonce}, Digest: mapping.Digest{digest}, Signed: signed, Until: now.Add(time.Hour)}
	}
	check := func(t *testing.T, what string, u Used, do cosigner.Use, want time.Time, wantErr error) {
		t.Helper()
		got, err := u.Use(t.Context(), do)
		if !errors.Is(err, wantErr) || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v, %v", what, got, err, want, wantErr)
		}
	}
	later := now.Add(time.Minute)

	t.Run("Use", func(t *testing.T) {
		u := fresh(t)
		check(t, "first", u, use(1, 1, now), now, nil)
		check(t, "again", u, use(1, 1, later), now, nil)
		check(t, "for another mapping", u, use(1, 2, later), time.Time{}, cosigner.ErrOfferUsed)
		check(t, "another offer", u, use(2, 2, later), later, nil)
	})
	t.Run("Forget", func(t *testing.T) {
		u := fresh(t)
		check(t, "first", u, use(1, 1, now), now, nil)
		if err := u.Forget(t.Context(), now.Add(time.Hour-time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		check(t, "remembered", u, use(1, 2, later), time.Time{}, cosigner.ErrOfferUsed)
		for i := range 1200 { // more than a portion
			do := cosigner.Use{Nonce: mapping.Nonce{9, byte(i), byte(i >> 8)}, Signed: now, Until: now.Add(time.Hour)}
			if i%100 == 0 {
				do.Until = now.Add(2 * time.Hour)
			}
			check(t, "many", u, do, now, nil)
		}
		if err := u.Forget(t.Context(), now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		check(t, "forgotten", u, use(1, 2, later), later, nil)
		check(t, "kept", u, cosigner.Use{Nonce: mapping.Nonce{9, 100}, Digest: mapping.Digest{1}, Signed: later, Until: later}, time.Time{}, cosigner.ErrOfferUsed)
	})
	t.Run("Faults", func(t *testing.T) {
		u := fresh(t)
		fault = sqldb.FailBefore
		check(t, "fails before", u, use(1, 1, now), time.Time{}, sqldb.ErrInjected)
		fault = sqldb.FailAfter
		check(t, "fails after", u, use(1, 2, now), time.Time{}, sqldb.ErrInjected)
		fault = sqldb.RunTwice
		check(t, "again", u, use(1, 2, later), now, nil)
		check(t, "run twice", u, use(2, 1, later), later, nil)
	})
	t.Run("Race", func(t *testing.T) {
		u := fresh(t)
		ends := storetest.Together(storetest.Racers, func(i int) error {
			_, err := u.Use(t.Context(), use(1, byte(i), now))
			if errors.Is(err, cosigner.ErrOfferUsed) {
				return cosigner.ErrOfferUsed
			}
			return err
		})
		if ends[nil] != 1 || ends[cosigner.ErrOfferUsed] != storetest.Racers-1 {
			t.Errorf("ends: %v", ends)
		}
	})
}
