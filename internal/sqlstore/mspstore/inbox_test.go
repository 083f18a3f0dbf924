package mspstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/cosigner"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/wire"
)

// TestInbox keeps notices, each once, some at most, until they end, whatever
// becomes of a write.
func TestInbox(t *testing.T) {
	fault := sqldb.NoFault
	m, err := mspstore.Open(t.Context(), sqldb.Options{
		Path: filepath.Join(t.TempDir(), "msp.db"), Fault: func(string) sqldb.Fault { return fault },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Unix(1_800_000_000, 0)
	notice := func(i int) wire.Notice {
		return wire.Notice{Kind: wire.NoticeClaim, Mapping: make([]byte, 16), Since: now.Unix() + int64(i), Until: now.Unix() + 100 + int64(i)}
	}
	box, other := cosigner.Box{1}, cosigner.Box{2}
	for _, fault = range []sqldb.Fault{sqldb.FailBefore, sqldb.FailAfter} {
		if _, err := m.Keep(t.Context(), box, notice(0), now); !errors.Is(err, sqldb.ErrInjected) {
			t.Fatal(err)
		}
	}
	fault = sqldb.RunTwice
	for range 2 {
		if kept, err := m.Keep(t.Context(), box, notice(0), now); !kept || err != nil {
			t.Fatal(kept, err)
		}
	}
	fault = sqldb.NoFault
	for i := 1; i < cosigner.MaxInbox+3; i++ {
		if kept, err := m.Keep(t.Context(), box, notice(i), now); kept != (i < cosigner.MaxInbox) || err != nil {
			t.Errorf("%d: %v, %v", i, kept, err)
		}
	}
	got, err := m.Kept(t.Context(), box, now)
	if err != nil || len(got) != cosigner.MaxInbox || !cmp.Equal(got[0], notice(0)) || !cmp.Equal(got[1], notice(1)) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := m.Kept(t.Context(), other, now); err != nil || len(got) != 0 {
		t.Errorf("another box: %v, %v", got, err)
	}
	later := now.Add(105 * time.Second)
	if err := m.Forget(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if got, err = m.Kept(t.Context(), box, now); err != nil || len(got) != cosigner.MaxInbox-6 {
		t.Errorf("%d are left, %v", len(got), err)
	}
}
