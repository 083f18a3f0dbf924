package sqlstore_test

import (
	"bytes"
	"errors"
	"testing"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/registry"
)

func bodies(t testing.TB) []directory.Stored {
	t.Helper()
	whole := directory.StoredOf(worldtest.New(t).Mapping("alice@example.org", "alice", worldtest.MSPA))
	audience, unlisted, several := whole, whole, whole
	audience.Audience, audience.Sequence = true, 1<<32-1
	unlisted.Providers, unlisted.Bundle.Receipts = nil, nil
	several.Providers = []registry.PartyID{worldtest.Party(t, worldtest.MSPB), worldtest.Party(t, worldtest.MSPA)}
	joined := whole
	joined.Bundle.Lineage = [][]byte{{1, 2, 3}, {4}}
	ended := several
	ended.Ended, ended.Bundle.Ends = ended.Providers[1:], [][]byte{{5, 6}}
	return []directory.Stored{whole, audience, unlisted, several, joined, ended}
}

func TestBody(t *testing.T) {
	for i, s := range bodies(t) {
		b, err := sqlstore.AppendBody(s)
		if err != nil {
			t.Fatal(err)
		}
		var got directory.Stored
		if err := sqlstore.ParseBody(b, &got); err != nil {
			t.Fatal(err)
		}
		got.ID, got.Digest, got.Until, got.Expires = s.ID, s.Digest, s.Until, s.Expires // columns
		again, err := sqlstore.AppendBody(got)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%d: encodes to other bytes, %v", i, err)
		}
		if got.Holder != s.Holder || got.Lineage != s.Lineage || got.Sequence != s.Sequence || got.Audience != s.Audience ||
			len(got.Providers) != len(s.Providers) || len(got.Bundle.Receipts) != len(s.Bundle.Receipts) ||
			len(got.Bundle.Lineage) != len(s.Bundle.Lineage) ||
			len(got.Ended) != len(s.Ended) || len(got.Bundle.Ends) != len(s.Bundle.Ends) ||
			!bytes.Equal(got.Bundle.Mapping, s.Bundle.Mapping) {
			t.Errorf("%d: %+v, want %+v", i, got, s)
		}
		for n := range b {
			if err := sqlstore.ParseBody(b[:n], new(directory.Stored)); !errors.Is(err, sealed.ErrCorrupt) {
				t.Fatalf("%d: cut to %d of %d bytes: %v", i, n, len(b), err)
			}
		}
		if err := sqlstore.ParseBody(append(bytes.Clone(b), 0), new(directory.Stored)); !errors.Is(err, sealed.ErrCorrupt) {
			t.Errorf("%d: with a byte more: %v", i, err)
		}
	}
	big := bodies(t)[0]
	big.Bundle = mapping.Bundle{Mapping: make([]byte, 1<<16)}
	if _, err := sqlstore.AppendBody(big); err == nil {
		t.Error("encoded a mapping that is longer than its length can say")
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range bodies(f) {
		b, err := sqlstore.AppendBody(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s directory.Stored
		if sqlstore.ParseBody(b, &s) != nil {
			return
		}
		again, err := sqlstore.AppendBody(s)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x parses and encodes to %x, %v", b, again, err)
		}
	})
}
