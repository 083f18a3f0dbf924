package mspstore_test

import (
	"path/filepath"
	"testing"

	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest"
)

func TestStore(t *testing.T) {
	storetest.UsedOffers(t, func(t testing.TB, fault func(string) sqldb.Fault) (storetest.Used, func()) {
		s, err := mspstore.Open(t.Context(), sqldb.Options{Path: filepath.Join(t.TempDir(), "msp.db"), Fault: fault})
		if err != nil {
			t.Fatal(err)
		}
		return s, func() {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
