package person_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/internal/person"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// folder makes a person's folder in a federation on paper.
func folder(t *testing.T, settings string) (*person.Folder, *worldtest.Federation, error) {
	t.Helper()
	dir, f := t.TempDir(), worldtest.New(t)
	f.WriteRegistry(dir)
	for name, b := range map[string][]byte{
		"client.toml":                    []byte(settings),
		filepath.Join("keys", "a.token"): []byte("secret\n"),
	} {
		if err := person.WriteFile(filepath.Join(dir, name), b); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := person.Open(dir, func() time.Time { return f.Now })
	return opened, f, err
}

const settings = "dp = \"dp.example\"\n\n[[account]]\nmsp = \"msp-a.example\"\ntoken = \"keys/a.token\"\n"

func TestSettingsAreStrict(t *testing.T) {
	for text, ok := range map[string]bool{
		settings: true, "dp = \"dp.example\"\nfriend = \"x\"\n": false, "dp = 1\n": false, "dp: x\n": false,
	} {
		if _, _, err := folder(t, text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := person.Open(t.TempDir(), time.Now); err == nil || !strings.Contains(err.Error(), "whither init") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAccounts(t *testing.T) {
	f, _, err := folder(t, settings)
	if err != nil {
		t.Fatal(err)
	}
	if id, token, err := f.Account(""); err != nil || id.String() != worldtest.MSPA || token != "secret" {
		t.Errorf("the first account: %s, %v", id, err)
	}
	if _, _, err := f.Account("msp-b.example"); err == nil || !strings.Contains(err.Error(), "[[account]]") {
		t.Errorf("no such account: %v", err)
	}
}

func TestMappingsAreKeptForTheOwnerAlone(t *testing.T) {
	f, paper, err := folder(t, settings)
	if err != nil {
		t.Fatal(err)
	}
	v := paper.Mapping("bob@example.org", "bob", worldtest.MSPA)
	if err := f.Save(v, []byte("artefact")); err != nil {
		t.Fatal(err)
	}
	id := v.Claims().ID.String()
	files, err := filepath.Glob(f.Path("mappings", "*"))
	if err != nil || len(files) != 1 || strings.Contains(files[0], "bob") {
		t.Fatalf("%v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, %v", info.Mode().Perm(), err)
	}
	back, own, err := f.Load(id[:6])
	if err != nil || back.Digest() != v.Digest() || string(own.Artefact) != "artefact" {
		t.Errorf("load: %v", err)
	}
	if _, _, err := f.Load("zz"); err == nil {
		t.Error("loaded what is not there")
	}
	if err := f.Remove(id); err != nil {
		t.Error(err)
	}
	if ids, err := f.IDs(); err != nil || len(ids) != 0 {
		t.Errorf("after removal: %v, %v", ids, err)
	}
}

// TestJournal: an enrolment that can go on is kept, one that cannot is dropped,
// and the file's name tells nobody.
func TestJournal(t *testing.T) {
	f, _, err := folder(t, settings)
	if err != nil {
		t.Fatal(err)
	}
	w := client.Wish{
		CSI: worldtest.CSI(t, "mailto:bob@example.org"), Key: worldtest.Key(t, "bob"),
		MSPs: []registry.PartyID{worldtest.Party(t, worldtest.MSPA)},
	}
	e, finish, err := f.Journal(w)
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("the line broke")
	if err := finish(lost); !errors.Is(err, lost) {
		t.Errorf("before anything began: %v", err)
	}
	if files, err := filepath.Glob(f.Path("enrolments", "*")); err != nil || len(files) != 0 {
		t.Errorf("nothing was kept: %v, %v", files, err)
	}
	e.DPOffer = wire.DPOffer{DP: worldtest.Party(t, worldtest.DP), Offer: wire.Bytes{1}}
	e.Token = "the token of the mail"
	if err := finish(lost); err == nil || !strings.Contains(err.Error(), "again") {
		t.Errorf("interrupted: %v", err)
	}
	files, err := filepath.Glob(f.Path("enrolments", "*"))
	if err != nil || len(files) != 1 || strings.Contains(files[0], "bob") {
		t.Fatalf("%v, %v", files, err)
	}
	e, finish, err = f.Journal(w)
	if err != nil || e.Token != "the token of the mail" {
		t.Fatalf("going on: %+v, %v", e, err)
	}
	if err := finish(problem.New(problem.OfferUsed, "")); !errors.Is(err, problem.Error(problem.OfferUsed)) {
		t.Errorf("refused: %v", err)
	}
	if files, err := filepath.Glob(f.Path("enrolments", "*")); err != nil || len(files) != 0 {
		t.Errorf("kept for nothing: %v, %v", files, err)
	}
}
