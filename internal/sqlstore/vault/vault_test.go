package vault_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"whither/internal/keyfile"
	"whither/internal/sqlstore/vault"
)

// keys are fixed, so that derived values are.
func keys() vault.Keys {
	return vault.Keys{
		Row:         keyfile.Secret(bytes.Repeat([]byte{1}, 32)),
		Generations: map[uint32]keyfile.Secret{1: keyfile.Secret(bytes.Repeat([]byte{2}, 32)), 2: keyfile.Secret(bytes.Repeat([]byte{3}, 32))},
		Current:     1,
	}
}

func open(t testing.TB, k vault.Keys) *vault.Vault {
	t.Helper()
	v, err := vault.New(k)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var (
	place   = vault.Place{Table: "people", Label: vault.Label{4}, ID: []byte{5, 6}}
	columns = []byte("columns in clear")
	body    = []byte("what the row says")
)

// TestDerivations pins what is derived from the keys: another value would find
// no row and open none. They were computed with another implementation of HMAC
// and HKDF (RFC 2104, RFC 5869).
func TestDerivations(t *testing.T) {
	v := open(t, keys())
	label := v.Label([]byte("mailto:alice@example.org"))
	row, err := v.RowCheck()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want string }{
		"label":   {hex.EncodeToString(label[:]), "7ea34c4720bb49c49a808216a5ca37db50e32a157417d501aeb012884a1ba44b"},
		"row key": {row, "38e39a99ac50aad88fbe17a19f478e38d59edbf81bc7cd449ab98f20f166db36"},
		"kek 1":   {v.Checks()[1], "e89d94605f0535fcfe30eb96c2026742693ab6ec86935952166663412cdbd6cc"},
		"kek 2":   {v.Checks()[2], "37180b0c303fdd4e0cea0543d738556d65c1947e1797b7f38852d18a9922641c"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

func TestSealAndOpen(t *testing.T) {
	v := open(t, keys())
	for _, size := range []int{0, 1, 1200, 64 << 10} {
		body := bytes.Repeat([]byte{7}, size)
		s, err := v.Seal(place, columns, body)
		if err != nil {
			t.Fatal(err)
		}
		if s.Generation != 1 || len(s.Key) != 60 || len(s.Body) != size+28 {
			t.Errorf("generation %d, %d and %d bytes", s.Generation, len(s.Key), len(s.Body))
		}
		if got, err := v.Open(place, columns, s); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
	}
	a, _ := v.Seal(place, columns, body)
	b, _ := v.Seal(place, columns, body)
	if bytes.Equal(a.Key, b.Key) || bytes.Equal(a.Body, b.Body) {
		t.Error("sealing twice gives the same bytes")
	}
	a.Key = b.Key
	if _, err := v.Open(place, columns, a); !errors.Is(err, vault.ErrSeal) {
		t.Errorf("the data key of another write opens the row: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	v := open(t, keys())
	good, err := v.Seal(place, columns, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		bend func(*vault.Place, *[]byte, *vault.Sealed)
		want error
	}{
		{"table", func(p *vault.Place, _ *[]byte, _ *vault.Sealed) { p.Table = "others" }, vault.ErrSeal},
		{"label", func(p *vault.Place, _ *[]byte, _ *vault.Sealed) { p.Label[31] = 1 }, vault.ErrSeal},
		{"id", func(p *vault.Place, _ *[]byte, _ *vault.Sealed) { p.ID = []byte{5, 7} }, vault.ErrSeal},
		{"longer id", func(p *vault.Place, c *[]byte, _ *vault.Sealed) { p.ID, *c = append([]byte{5, 6}, (*c)[0]), (*c)[1:] }, vault.ErrSeal},
		{"columns", func(_ *vault.Place, c *[]byte, _ *vault.Sealed) { *c = []byte("columns in clean") }, vault.ErrSeal},
		{"no columns", func(_ *vault.Place, c *[]byte, _ *vault.Sealed) { *c = nil }, vault.ErrSeal},
		{"other generation", func(_ *vault.Place, _ *[]byte, s *vault.Sealed) { s.Generation = 2 }, vault.ErrSeal},
		{"unknown generation", func(_ *vault.Place, _ *[]byte, s *vault.Sealed) { s.Generation = 3 }, vault.ErrGeneration},
		{"body for key", func(_ *vault.Place, _ *[]byte, s *vault.Sealed) { s.Key = s.Body }, vault.ErrSeal},
		{"no key", func(_ *vault.Place, _ *[]byte, s *vault.Sealed) { s.Key = nil }, vault.ErrSeal},
		{"no body", func(_ *vault.Place, _ *[]byte, s *vault.Sealed) { s.Body = nil }, vault.ErrSeal},
	} {
		p, cols, s := place, bytes.Clone(columns), good
		c.bend(&p, &cols, &s)
		if _, err := v.Open(p, cols, s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for i := range good.Key {
		s := good
		s.Key = bytes.Clone(good.Key)
		s.Key[i] ^= 1
		if _, err := v.Open(place, columns, s); !errors.Is(err, vault.ErrSeal) {
			t.Errorf("key byte %d: %v", i, err)
		}
	}
	for i := range good.Body {
		s := good
		s.Body = bytes.Clone(good.Body)
		s.Body[i] ^= 1
		if _, err := v.Open(place, columns, s); !errors.Is(err, vault.ErrSeal) {
			t.Errorf("body byte %d: %v", i, err)
		}
	}
}

// TestDestroyedGeneration wraps a row anew and throws the old key away: the
// row opens, a copy of what it was does not.
func TestDestroyedGeneration(t *testing.T) {
	old, err := open(t, keys()).Seal(place, columns, body)
	if err != nil {
		t.Fatal(err)
	}
	k := keys()
	k.Current = 2
	fresh, err := open(t, k).Rewrap(place, old)
	if err != nil || fresh.Generation != 2 || !bytes.Equal(fresh.Body, old.Body) {
		t.Fatalf("generation %d, %v", fresh.Generation, err)
	}
	if old.Generation != 1 {
		t.Error("the old row was changed")
	}
	delete(k.Generations, 1)
	v := open(t, k)
	if got, err := v.Open(place, columns, fresh); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := v.Open(place, columns, old); !errors.Is(err, vault.ErrGeneration) {
		t.Errorf("the copy: %v", err)
	}
	if _, err := v.Rewrap(place, old); !errors.Is(err, vault.ErrGeneration) {
		t.Errorf("wrapping the copy anew: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	folder := t.TempDir()
	if _, err := vault.LoadKeys(folder); !errors.Is(err, keyfile.ErrMissing) {
		t.Errorf("nothing there: %v", err)
	}
	made, err := vault.MakeKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := vault.LoadKeys(folder)
	if err != nil || loaded.Row != made.Row || loaded.Current != 1 || !maps.Equal(loaded.Generations, made.Generations) {
		t.Errorf("loaded others than were made, %v", err)
	}
	if _, err := vault.MakeKeys(folder); err == nil {
		t.Error("made keys over keys")
	}
	for want := uint32(2); want <= 11; want++ { // 10 sorts before 2 as text
		if n, err := vault.MakeGeneration(folder); n != want || err != nil {
			t.Fatalf("generation %d, %v, want %d", n, err, want)
		}
	}
	if loaded, err = vault.LoadKeys(folder); err != nil || loaded.Current != 11 || len(loaded.Generations) != 11 || loaded.Generations[1] != made.Generations[1] {
		t.Errorf("current %d of %d, %v", loaded.Current, len(loaded.Generations), err)
	}
	if _, err := vault.New(loaded); err != nil {
		t.Error(err)
	}
}

func TestKeyFilesRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(folder string) error
		want error
	}{
		{"others can read a generation", func(f string) error { return os.Chmod(filepath.Join(f, "kek", "1.key"), 0o640) }, keyfile.ErrMode},
		{"others can read the row key", func(f string) error { return os.Chmod(filepath.Join(f, "keys", "row.key"), 0o604) }, keyfile.ErrMode},
		{"no row key", func(f string) error { return os.Remove(filepath.Join(f, "keys", "row.key")) }, keyfile.ErrMissing},
		{"no generation", func(f string) error { return os.Remove(filepath.Join(f, "kek", "1.key")) }, keyfile.ErrMissing},
		{"no folder", func(f string) error { return os.RemoveAll(filepath.Join(f, "kek")) }, keyfile.ErrMissing},
		{"a cut key", func(f string) error { return os.WriteFile(filepath.Join(f, "kek", "1.key"), []byte("00\n"), 0o600) }, keyfile.ErrContent},
		{"a number spelt otherwise", func(f string) error {
			return os.Rename(filepath.Join(f, "kek", "1.key"), filepath.Join(f, "kek", "01.key"))
		}, vault.ErrKeys},
		{"number 0", func(f string) error {
			return os.Rename(filepath.Join(f, "kek", "1.key"), filepath.Join(f, "kek", "0.key"))
		}, vault.ErrKeys},
		{"a number too large", func(f string) error {
			return os.Rename(filepath.Join(f, "kek", "1.key"), filepath.Join(f, "kek", "4294967296.key"))
		}, vault.ErrKeys},
		{"a stray file", func(f string) error { return os.WriteFile(filepath.Join(f, "kek", "1.key~"), nil, 0o600) }, vault.ErrKeys},
	} {
		folder := t.TempDir()
		if _, err := vault.MakeKeys(folder); err != nil {
			t.Fatal(err)
		}
		if err := c.do(folder); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.LoadKeys(folder); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestPrintsNothing(t *testing.T) {
	k := keys()
	v := open(t, k)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, value := range []any{v, *v, k, struct{ V *vault.Vault }{v}} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []string{"010101", "1 1 1", "1, 1, 1", "0x1, 0x1", "\x01\x01", "020202", "2 2 2"} {
				if bytes.Contains([]byte(text), []byte(secret)) {
					t.Errorf("%s of %T: %s", verb, value, text)
				}
			}
		}
	}
}
