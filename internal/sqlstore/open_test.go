package sqlstore_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/keyfile"
	"whither/internal/sqlstore"
	"whither/internal/sqlstore/proverstore"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

// raw changes a closed database behind the store's back.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestOpenRefusesForeignDatabases(t *testing.T) {
	keys := newKeys(t)
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"text", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, sqldb.ErrForeign},
		{"another product", func(t *testing.T, path string) { raw(t, path, "CREATE TABLE mappings (id BLOB)") }, sqldb.ErrForeign},
		{"another meta", func(t *testing.T, path string) {
			raw(t, path, "CREATE TABLE meta (name TEXT, value TEXT)", "INSERT INTO meta VALUES ('role', 'directory'), ('schema', '1')")
		}, sqldb.ErrForeign},
		{"another role", func(t *testing.T, path string) {
			p, err := proverstore.Open(t.Context(), sqlstore.Options{Path: path, Keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}, sqldb.ErrForeign},
		{"a newer release", func(t *testing.T, path string) {
			closeDirectory(t, openDirectory(t, sqlstore.Options{Path: path, Keys: keys}))
			raw(t, path, "UPDATE meta SET value = '99' WHERE name IN ('schema', 'oldest')")
		}, sqldb.ErrNewer},
		{"a broken schema number", func(t *testing.T, path string) {
			closeDirectory(t, openDirectory(t, sqlstore.Options{Path: path, Keys: keys}))
			raw(t, path, "UPDATE meta SET value = 'x' WHERE name = 'schema'")
		}, sqldb.ErrForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dp.db")
			c.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := sqlstore.OpenDirectory(t.Context(), sqlstore.Options{Path: path, Keys: keys})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				closeDirectory(t, d)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func TestOpenRefusesWrongKeys(t *testing.T) {
	folder := t.TempDir()
	good, err := sqlstore.MakeKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "dp.db")
	d := openDirectory(t, sqlstore.Options{Path: path, Keys: good})
	f := worldtest.New(t)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
		t.Fatal(err)
	}
	closeDirectory(t, d)

	other := newKeys(t)
	for _, c := range []struct {
		name string
		bend func(*sqlstore.Keys)
		want error
	}{
		{"none", func(k *sqlstore.Keys) { *k = sqlstore.Keys{} }, vault.ErrKeys},
		{"another row key", func(k *sqlstore.Keys) { k.Row = other.Row }, vault.ErrKeys},
		{"another generation 1", func(k *sqlstore.Keys) { k.Generations[1] = other.Generations[1] }, vault.ErrKeys},
		{"no key of the current generation", func(k *sqlstore.Keys) { k.Current = 2 }, vault.ErrKeys},
		{"an empty key", func(k *sqlstore.Keys) { k.Generations[2] = keyfile.Secret{} }, vault.ErrKeys},
		{"generation 0", func(k *sqlstore.Keys) { k.Generations[0] = other.Generations[1] }, vault.ErrKeys},
		{"a generation that rows need is gone", func(k *sqlstore.Keys) {
			k.Generations = map[uint32]keyfile.Secret{2: other.Generations[1]}
			k.Current = 2
		}, vault.ErrGeneration},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := good
			k.Generations = maps.Clone(good.Generations)
			c.bend(&k)
			d, err := sqlstore.OpenDirectory(t.Context(), sqlstore.Options{Path: path, Keys: k})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				closeDirectory(t, d)
			}
		})
	}
	closeDirectory(t, openDirectory(t, sqlstore.Options{Path: path, Keys: good}))
}

func TestFilesAreForTheirOwner(t *testing.T) {
	folder := t.TempDir()
	keys, err := sqlstore.MakeKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	d := openDirectory(t, sqlstore.Options{Path: filepath.Join(folder, "dp ?#%41.db"), Keys: keys})
	defer closeDirectory(t, d)
	f := worldtest.New(t)
	if err := d.Admit(t.Context(), f.Mapping("alice@example.org", "alice", worldtest.MSPA), nil, f.Now.Add(time.Hour), f.Now); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dp ?#%41.db", "dp ?#%41.db-wal", "dp ?#%41.db-shm", "keys/row.key", "kek/1.key"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
}

// TestStolenFilesTellNothing looks for what a mapping says in all files that
// the database consists of, the log included.
func TestStolenFilesTellNothing(t *testing.T) {
	folder := t.TempDir()
	d := openDirectory(t, sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: newKeys(t)})
	f := worldtest.New(t)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
		t.Fatal(err)
	}
	files := readAll(t, folder)
	closeDirectory(t, d)
	files = append(files, readAll(t, folder)...)

	c := v.Claims()
	id := c.ID
	if !bytes.Contains(files, id[:]) {
		t.Error("the search finds not even the id, which is there")
	}
	label := sha256.Sum256([]byte(c.CSI.Canonical()))
	for name, secret := range map[string][]byte{
		"the CSI": []byte("alice"), "the address": []byte("example.org"), "the scheme": []byte("mailto"), "the provider": []byte(worldtest.MSPA),
		"the lineage": c.Lineage[:], "the holder's key": c.Holder.Bytes(), "a receipt": v.Bundle().Receipts[0][40:60],
		"a hash of the CSI": label[:], "the CSI in upper case": []byte("ALICE"),
	} {
		if bytes.Contains(files, secret) {
			t.Errorf("%s stands in clear", name)
		}
	}
}

func readAll(t *testing.T, folder string) []byte {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	var all []byte
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// TestR19WithdrawnLeavesNothing checks that what was stored of a withdrawn
// mapping is overwritten in the file and in its log, sealed as it was, once the
// DP has swept.
func TestR19WithdrawnLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "dp.db")
	keys := newKeys(t)
	d := openDirectory(t, sqlstore.Options{Path: path, Keys: keys})
	f := worldtest.New(t)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
		t.Fatal(err)
	}
	closeDirectory(t, d)
	var body, key, label []byte
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT body, key, label FROM mappings").Scan(&body, &key, &label); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readAll(t, folder), body[len(body)-64:]) {
		t.Fatal("the search does not find the row that is there")
	}
	d = openDirectory(t, sqlstore.Options{Path: path, Keys: keys})
	defer closeDirectory(t, d)
	if err := d.Withdraw(t.Context(), v.Claims().ID, v.Digest(), f.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sweep(t.Context(), f.Now, 10); err != nil {
		t.Fatal(err)
	}
	// The answer comes before the housekeeping, which the next write waits for.
	if err := d.Withdraw(t.Context(), v.Claims().ID, v.Digest(), f.Now); !errors.Is(err, directory.ErrUnknown) {
		t.Fatal(err)
	}
	files := readAll(t, folder)
	for name, gone := range map[string][]byte{"body": body[len(body)-64:], "data key": key[28:], "label": label} {
		if bytes.Contains(files, gone) {
			t.Errorf("the %s is still in the file", name)
		}
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	keys := newKeys(t)
	o := sqlstore.Options{Path: filepath.Join(t.TempDir(), "dp.db"), Keys: keys}
	d := openDirectory(t, o)
	defer closeDirectory(t, d)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, value := range []any{keys, &keys, o, d, *d, d.Store, d.Vault} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []keyfile.Secret{keys.Row, keys.Generations[1]} {
				for _, form := range []string{
					fmt.Sprintf("%x", secret[:8]), strings.Trim(fmt.Sprintf("%d", secret[:4]), "[]"), string(secret[:8]),
					strings.Trim(strings.ReplaceAll(fmt.Sprintf("%#v", secret[:4]), "[]byte", ""), "{}"),
				} {
					if strings.Contains(text, form) {
						t.Errorf("%s of %T shows a secret", verb, value)
					}
				}
			}
		}
	}
}

func TestRewrap(t *testing.T) {
	folder := t.TempDir()
	if _, err := sqlstore.MakeKeys(folder); err != nil {
		t.Fatal(err)
	}
	open := func() *sqlstore.Directory {
		keys, err := sqlstore.LoadKeys(folder)
		if err != nil {
			t.Fatal(err)
		}
		return openDirectory(t, sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: keys})
	}
	f := worldtest.New(t)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	d := open()
	if err := d.Fill(t.Context(), v, 25); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Rewrap(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("nothing to do: %d, %v", n, err)
	}
	closeDirectory(t, d)

	if n, err := vault.MakeGeneration(folder); n != 2 || err != nil {
		t.Fatalf("generation %d, %v", n, err)
	}
	d = open()
	if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil { // under the new one
		t.Fatal(err)
	}
	var took []int
	for {
		n, err := d.Rewrap(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, n)
		if used, err := d.Generations(t.Context()); err != nil || (n < 10) != (len(used) == 1) {
			t.Errorf("after %v: generations %v, %v", took, used, err)
		}
		if n < 10 {
			break
		}
	}
	if fmt.Sprint(took) != "[10 10 5]" {
		t.Errorf("rewrapped %v", took)
	}
	closeDirectory(t, d)

	// Without the old key all is still there; without the new one nothing is.
	if err := os.Remove(filepath.Join(folder, "kek", "1.key")); err != nil {
		t.Fatal(err)
	}
	d = open()
	for i := range 25 {
		person := worldtest.CSI(t, sqlstore.Person(i))
		if found, err := d.Find(t.Context(), []csi.ID{person}, f.Now); err != nil || len(found[0]) != 1 {
			t.Fatalf("person %d: %v, %v", i, found, err)
		}
	}
	if n, err := vault.MakeGeneration(folder); n != 3 || err != nil {
		t.Fatalf("generation %d, %v", n, err)
	}
	closeDirectory(t, d)
	if err := os.Remove(filepath.Join(folder, "kek", "2.key")); err != nil {
		t.Fatal(err)
	}
	keys, err := sqlstore.LoadKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqlstore.OpenDirectory(t.Context(), sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: keys})
	if !errors.Is(err, vault.ErrGeneration) {
		t.Errorf("%v, want %v", err, vault.ErrGeneration)
	}
}

// TestRewrapPassesOver has a mapping renewed between the moment in which its
// data key is wrapped anew and that in which this is written.
func TestRewrapPassesOver(t *testing.T) {
	folder := t.TempDir()
	if _, err := sqlstore.MakeKeys(folder); err != nil {
		t.Fatal(err)
	}
	f := worldtest.New(t)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	renewed, err := v.Renew(worldtest.Key(t, worldtest.DP), f.Now.Add(time.Hour), f.Now.Add(mapping.MaxDPLife))
	if err != nil {
		t.Fatal(err)
	}
	var d *sqlstore.Directory
	open := func(fault func(string) sqlstore.Fault) {
		keys, err := sqlstore.LoadKeys(folder)
		if err != nil {
			t.Fatal(err)
		}
		d = openDirectory(t, sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: keys, Fault: fault})
	}
	open(nil)
	if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
		t.Fatal(err)
	}
	closeDirectory(t, d)
	if _, err := vault.MakeGeneration(folder); err != nil {
		t.Fatal(err)
	}
	open(func(write string) sqlstore.Fault {
		if write == "rewrap" {
			if err := d.Renew(t.Context(), []mapping.Verified{renewed}, f.Now); err != nil {
				t.Error(err)
			}
		}
		return sqlstore.NoFault
	})
	defer closeDirectory(t, d)
	if n, err := d.Rewrap(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("rewrapped %d, %v", n, err)
	}
	if got, err := d.ByID(t.Context(), v.Claims().ID, f.Now); err != nil || !got.Until.Equal(renewed.Until()) {
		t.Errorf("until %v, %v", got.Until, err)
	}
}

// TestTampering changes the file as somebody would who can write it, and finds
// each change noticed when the row is read, and by fsck.
func TestTampering(t *testing.T) {
	f := worldtest.New(t)
	a, b := f.Mapping("alice@example.org", "alice", worldtest.MSPA), f.Mapping("bob@example.org", "bob", worldtest.MSPB)
	idA, idB := a.Claims().ID, b.Claims().ID
	inA, inB := "X'"+idA.String()+"'", "X'"+idB.String()+"'"
	of := func(column, id string) string { return "(SELECT " + column + " FROM mappings WHERE id = " + id + ")" }
	set := func(what string) string { return "UPDATE mappings SET " + what + " WHERE id = " + inA }
	keys := newKeys(t)
	for _, c := range []struct {
		name   string
		change []string
		hidden bool // a reader cannot tell; fsck can
	}{
		{name: "a body of another row", change: []string{set("body = " + of("body", inB))}},
		{name: "body and key of another row", change: []string{set("body = " + of("body", inB) + ", key = " + of("key", inB))}},
		{name: "all but the id of another row", change: []string{
			set("label = " + of("label", inB) + ", digest = " + of("digest", inB) + ", body = " + of("body", inB) + ", key = " + of("key", inB)),
		}},
		{name: "the label of another person", change: []string{set("label = " + of("label", inB))}},
		{name: "a longer life", change: []string{set("expires = expires + 1")}},
		{name: "a longer signature", change: []string{set("until = until + 1")}},
		{name: "another digest", change: []string{set("digest = " + of("digest", inB))}},
		{name: "a cut body", change: []string{set("body = substr(body, 1, 40)")}},
		{name: "an empty body", change: []string{set("body = X''")}},
		{name: "a cut key", change: []string{set("key = substr(key, 1, 59)")}},
		{name: "a text for a body", change: []string{set("body = 'x'")}},
		{name: "another id", change: []string{
			set("id = X'" + strings.Repeat("ab", 16) + "'"), "UPDATE changes SET id = X'" + strings.Repeat("ab", 16) + "' WHERE id = " + inA,
		}},
		{name: "a row deleted", change: []string{"DELETE FROM mappings WHERE id = " + inA}, hidden: true},
		{name: "a tombstone added", change: []string{"INSERT INTO tombstones VALUES (" + inA + ")"}, hidden: true},
		{name: "a change deleted", change: []string{"DELETE FROM changes WHERE id = " + inA}, hidden: true},
		{name: "a change added", change: []string{"INSERT INTO changes SELECT 3, 4, " + inA + ", at FROM changes WHERE seq = 1"}, hidden: true},
		{name: "numbers given out again", change: []string{"UPDATE feed SET seq = 1"}, hidden: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dp.db")
			d := openDirectory(t, sqlstore.Options{Path: path, Keys: keys})
			for _, v := range []mapping.Verified{a, b} {
				if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
					t.Fatal(err)
				}
			}
			if report, err := d.Fsck(t.Context(), nil); err != nil || !report.Sound() {
				t.Fatalf("before: %+v, %v", report, err)
			}
			closeDirectory(t, d)
			raw(t, path, c.change...)
			d = openDirectory(t, sqlstore.Options{Path: path, Keys: keys})
			defer closeDirectory(t, d)
			report, err := d.Fsck(t.Context(), nil)
			if err != nil || report.Sound() || len(report.Problems) != report.Damaged {
				t.Errorf("fsck: %+v, %v", report, err)
			}
			for _, p := range report.Problems {
				if strings.Contains(p, "alice") || strings.Contains(p, "example.org") {
					t.Errorf("fsck names a person: %s", p)
				}
			}
			found, err := d.Find(t.Context(), []csi.ID{a.Claims().CSI, b.Claims().CSI}, f.Now)
			if c.hidden {
				return
			}
			if !errors.Is(err, vault.ErrSeal) {
				t.Errorf("find: %v, %v", found, err)
			}
		})
	}
}

func TestFsckCountsAndJudges(t *testing.T) {
	f := worldtest.New(t)
	d := openDirectory(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "dp.db"), Keys: newKeys(t)})
	defer closeDirectory(t, d)
	a, b := f.Mapping("alice@example.org", "alice", worldtest.MSPA), f.Mapping("bob@example.org", "bob", worldtest.MSPB)
	for _, v := range []mapping.Verified{a, b} {
		if err := d.Admit(t.Context(), v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Withdraw(t.Context(), b.Claims().ID, b.Digest(), f.Now); err != nil {
		t.Fatal(err)
	}
	policy := mapping.PolicyAt(f.Snapshot(), f.Now)
	judge := func(p mapping.Policy) func(mapping.Unverified) error {
		return func(u mapping.Unverified) error {
			_, err := p.Verify(u)
			return err
		}
	}
	report, err := d.Fsck(t.Context(), judge(policy))
	want := sqlstore.Report{Mappings: 1, Tombstones: 1, Nonces: 2, Changes: 3}
	if err != nil || fmt.Sprint(report) != fmt.Sprint(want) {
		t.Errorf("%+v, %v, want %+v", report, err, want)
	}
	late := mapping.PolicyAt(f.Snapshot(), f.Now.Add(8*24*time.Hour)) // the DP's signature has run out
	if report, err = d.Fsck(t.Context(), judge(late)); err != nil || report.Refused != 1 || !report.Sound() {
		t.Errorf("late: %+v, %v", report, err)
	}
}
