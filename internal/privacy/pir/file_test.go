package pir_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/pages"
)

func stored(t testing.TB, s *pir.Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := s.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("stored %d of %d bytes: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// TestUpdateEqualsRebuild changes slots in place and compares all bytes with a
// table that was built from the changed content.
func TestUpdateEqualsRebuild(t *testing.T) {
	bands := []pir.Band{{Rows: 2040, Cols: 2048}, {Rows: 32, Cols: 192}}
	x := newTable(t, pir.BestEngine(2), 24, bands, sealed)
	before := x.snapshot.Params().ID()
	for _, c := range []struct{ band, col, offset, n int }{{0, 2047, 2000, 40}, {0, 0, 0, 4}, {1, 191, 7, 25}, {1, 5, 0, 32}} {
		value := make([]byte, c.n)
		sealed(value)
		if err := x.builder.Put(c.band, c.col, c.offset, value); err != nil {
			t.Fatal(err)
		}
		copy(x.columns[c.band][c.col][c.offset:], value)
	}
	x.snapshot = x.builder.Build()
	if x.snapshot.Params().ID() == before {
		t.Error("another content, the same ID")
	}
	x.ask(t, pir.BestEngine(1), []int{2047, 191})

	anew, err := pir.NewBuilder(&pir.Params{Identity: testID, QueryBits: 24, Bands: bands}, pir.BestEngine(1))
	if err != nil {
		t.Fatal(err)
	}
	anew.Fill(func(band, col int, dst []byte) { copy(dst, x.columns[band][col]) })
	if !bytes.Equal(stored(t, x.snapshot), stored(t, anew.Build())) {
		t.Error("updated and rebuilt snapshots differ")
	}
}

func TestStoredSnapshotServes(t *testing.T) {
	x := newTable(t, pir.BestEngine(2), 24, []pir.Band{{Rows: 8, Cols: 128}}, sealed)
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, stored(t, x.snapshot), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := pages.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Release(); err != nil {
			t.Error(err)
		}
	}()
	if x.snapshot, err = pir.Open(m.Bytes()); err != nil {
		t.Fatal(err)
	}
	x.ask(t, pir.BestEngine(1), []int{100})
}

func TestTornFileIsRefused(t *testing.T) {
	x := newTable(t, pir.BestEngine(2), 24, []pir.Band{{Rows: 8, Cols: 128}}, sealed)
	whole := stored(t, x.snapshot)
	for _, n := range []int{0, 1, 19, 20, 4096, len(whole) / 2, len(whole) - 33, len(whole) - 1} {
		if _, err := pir.Open(whole[:n]); !errors.Is(err, pir.ErrFile) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := pir.Open(append(bytes.Clone(whole), 0)); !errors.Is(err, pir.ErrFile) {
		t.Errorf("a byte too many: %v", err)
	}
	for _, at := range []int{0, 17, 21, 50, 4096, 4097 + 1024, len(whole) / 2, len(whole) - 40, len(whole) - 1} {
		whole[at] ^= 1
		if _, err := pir.Open(whole); !errors.Is(err, pir.ErrFile) {
			t.Errorf("byte %d altered: %v", at, err)
		}
		whole[at] ^= 1
	}
	// A hole of zeros, as a crash between two writes leaves it.
	hole := bytes.Clone(whole)
	clear(hole[8192:12288])
	if _, err := pir.Open(hole); !errors.Is(err, pir.ErrFile) {
		t.Errorf("hole: %v", err)
	}
}
