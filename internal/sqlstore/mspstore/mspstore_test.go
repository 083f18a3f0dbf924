package mspstore_test

import (
	"path/filepath"
	"testing"

	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/offers"
	"whither/internal/storetest/pgtest"
)

func TestStore(t *testing.T) {
	suite(t, func(t testing.TB) sqldb.Options { return sqldb.Options{Path: filepath.Join(t.TempDir(), "msp.db")} })
}

func TestStoreOnPostgres(t *testing.T) {
	server := pgtest.Start(t)
	suite(t, func(t testing.TB) sqldb.Options { return sqldb.Options{URL: pgtest.Schema(t, server)} })
}

func suite(t *testing.T, place func(testing.TB) sqldb.Options) {
	offers.Store(t, func(t testing.TB, fault func(string) sqldb.Fault) (offers.Used, func()) {
		o := place(t)
		o.Fault = fault
		s, err := mspstore.Open(t.Context(), o)
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
