package choice_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/client/choice"
	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

func memoAt(t testing.TB, provider string, by choice.By) choice.Memo {
	return choice.Memo{Lineage: mapping.Lineage{1, 2}, Holder: key.ID{3, 4}, Provider: party(t, provider), DP: party(t, dp), By: by}
}

func open(t testing.TB, dir string) *choice.Folder {
	t.Helper()
	f, err := choice.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantMemo(t testing.TB, m choice.Memory, id csi.ID, purpose string, want *choice.Memo) {
	t.Helper()
	past, err := m.Recall(id, purpose)
	if err != nil {
		t.Fatal(err)
	}
	got := past.Purpose
	if purpose == "" {
		got = past.General
		if past.Purpose != nil {
			t.Error("a memo for no purpose twice")
		}
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(registry.PartyID{})); d != "" {
		t.Errorf("for %q (-want +got):\n%s", purpose, d)
	}
}

// wantOthers counts what is remembered for purposes beside this one.
func wantOthers(t testing.TB, m choice.Memory, id csi.ID, purpose string, want int) {
	t.Helper()
	if past, err := m.Recall(id, purpose); err != nil || len(past.Others) != want {
		t.Errorf("beside %q: %d, %v", purpose, len(past.Others), err)
	}
}

// TestMemories holds every memory to the contract.
func TestMemories(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	var scratch choice.Scratch
	for name, c := range map[string]struct {
		memory choice.Memory
		reopen func() choice.Memory
	}{
		"scratch": {&scratch, func() choice.Memory { return &scratch }},
		"folder":  {open(t, dir), func() choice.Memory { return open(t, dir) }},
	} {
		t.Run(name, func(t *testing.T) {
			alice, carol := mustCSI(t, "mailto:alice@example.org"), mustCSI(t, "tel:+14085550199")
			first, second, third := memoAt(t, blue, choice.ByPick), memoAt(t, green, choice.ByUser), memoAt(t, red, choice.ByTag)
			wantMemo(t, c.memory, alice, "", nil)
			if err := c.memory.Remember(choice.Note{CSI: alice, Memo: first}, choice.Note{CSI: alice, Purpose: "choir", Memo: second}, choice.Note{CSI: carol, Memo: third}); err != nil {
				t.Fatal(err)
			}
			for _, m := range []choice.Memory{c.memory, c.reopen()} {
				wantMemo(t, m, alice, "", &first)
				wantMemo(t, m, alice, "choir", &second)
				wantMemo(t, m, alice, "Choir", nil)
				wantOthers(t, m, alice, "", 1)
				wantOthers(t, m, alice, "choir", 0)
				wantOthers(t, m, alice, "Choir", 1)
				wantMemo(t, m, carol, "", &third)
				wantMemo(t, m, carol, "choir", nil)
			}
			if err := c.memory.Remember(choice.Note{CSI: alice, Memo: third}); err != nil {
				t.Fatal(err)
			}
			if err := c.memory.Forget(carol, mustCSI(t, "mailto:nobody@example.org")); err != nil {
				t.Fatal(err)
			}
			for _, m := range []choice.Memory{c.memory, c.reopen()} {
				wantMemo(t, m, alice, "", &third)
				wantMemo(t, m, alice, "choir", &second)
				wantMemo(t, m, carol, "", nil)
			}
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					id, err := csi.Parse(fmt.Sprintf("tel:+1408555020%d", i))
					if err == nil {
						err = c.memory.Remember(choice.Note{CSI: id, Memo: first})
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for i := range 8 {
				wantMemo(t, c.reopen(), mustCSI(t, fmt.Sprintf("tel:+1408555020%d", i)), "", &first)
			}
		})
	}
}

// TestFolderNamesNobody looks at the files.
func TestFolderNamesNobody(t *testing.T) {
	texts := map[string]bool{}
	for range 2 {
		dir := t.TempDir()
		if err := open(t, dir).Remember(choice.Note{CSI: mustCSI(t, bob), Purpose: "choir", Memo: memoAt(t, blue, choice.ByUser)}); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Fatalf("%v, %v", entries, err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
			}
		}
		text, err := os.ReadFile(filepath.Join(dir, "choices.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"choir", "4085550123", "tel"} {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("choices.json shows %q", s)
			}
		}
		texts[string(text)] = true
	}
	if len(texts) != 2 {
		t.Error("two folders call a contact the same")
	}
}

// TestTwoProcesses: what one has written, the other does not undo.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	folders := make([]*choice.Folder, 2)
	for i := range folders {
		all.Go(func() {
			f, err := choice.OpenFolder(dir)
			if err != nil {
				t.Error(err)
			}
			folders[i] = f
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	alice, memo := mustCSI(t, "mailto:alice@example.org"), memoAt(t, blue, choice.ByPick)
	for i, f := range folders {
		if err := f.Remember(choice.Note{CSI: alice, Purpose: fmt.Sprint(i), Memo: memo}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range folders {
		wantMemo(t, open(t, dir), alice, fmt.Sprint(i), &memo)
	}
}

// TestFolderThatCannotBeWritten: the note is not taken, what was there stays,
// and no file is left behind.
func TestFolderThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	alice, memo := mustCSI(t, "mailto:alice@example.org"), memoAt(t, blue, choice.ByPick)
	if err := os.MkdirAll(filepath.Join(dir, "choices.json", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Remember(choice.Note{CSI: alice, Memo: memo}); err == nil {
		t.Error("remembered into a folder")
	}
	wantMemo(t, f, alice, "", nil)
	if err := os.RemoveAll(filepath.Join(dir, "choices.json")); err != nil {
		t.Fatal(err)
	}
	if err := f.Remember(choice.Note{CSI: alice, Memo: memo}); err != nil {
		t.Fatal(err)
	}
	wantMemo(t, f, alice, "", &memo)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

const (
	hexName = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	goodOne = `{"lineage":"00112233445566778899aabbccddeeff","holder":"00112233445566778899aabbccddeeff","provider":"a.example","dp":"dp.example","by":"pick"}`
	goodAll = `{"version":1,"contacts":{"` + hexName + `":{"` + hexName + `":` + goodOne + `}}}`
)

// TestFolderRefusesRatherThanForgets: a memory that cannot be read is an error.
func TestFolderRefusesRatherThanForgets(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"good", goodAll, nil},
		{"empty memory", `{"version":1,"contacts":{}}`, nil},
		{"empty file", "", choice.ErrFolder},
		{"half", goodAll[:len(goodAll)/2], choice.ErrFolder},
		{"more behind it", goodAll + "{}", choice.ErrFolder},
		{"newer", `{"version":2,"people":[]}`, choice.ErrVersion},
		{"no version", `{"contacts":{}}`, choice.ErrFolder},
		{"no contacts", `{"version":1}`, choice.ErrFolder},
		{"unknown member", strings.Replace(goodAll, `{"version"`, `{"owner":"bob","version"`, 1), choice.ErrFolder},
		{"name too short", strings.Replace(goodAll, hexName, hexName[2:], 1), choice.ErrFolder},
		{"name in capitals", strings.Replace(goodAll, hexName, strings.ToUpper(hexName), 1), choice.ErrFolder},
		{"purpose in clear", strings.Replace(goodAll, `{"`+hexName+`":`+goodOne, `{"choir":`+goodOne, 1), choice.ErrFolder},
		{"lineage", strings.Replace(goodAll, `"lineage":"00`, `"lineage":"`, 1), choice.ErrFolder},
		{"holder", strings.Replace(goodAll, `"holder":"00`, `"holder":"zz`, 1), choice.ErrFolder},
		{"provider", strings.Replace(goodAll, `a.example`, `A example`, 1), choice.ErrFolder},
		{"dp", strings.Replace(goodAll, `dp.example`, ``, 1), choice.ErrFolder},
		{"by", strings.Replace(goodAll, `pick`, `guess`, 1), choice.ErrFolder},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			f := open(t, dir)
			path := filepath.Join(dir, "choices.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := choice.OpenFolder(dir); !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
			if err := f.Remember(choice.Note{CSI: mustCSI(t, bob), Memo: memoAt(t, blue, choice.ByPick)}); !errors.Is(err, c.want) {
				t.Errorf("remember: %v, want %v", err, c.want)
			}
			if after, err := os.ReadFile(path); err != nil || c.want != nil && string(after) != c.text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
	t.Run("no secret", func(t *testing.T) {
		dir := t.TempDir()
		if err := open(t, dir).Remember(choice.Note{CSI: mustCSI(t, bob), Memo: memoAt(t, blue, choice.ByPick)}); err != nil {
			t.Fatal(err)
		}
		secret := filepath.Join(dir, "choices.key")
		if err := os.WriteFile(secret, []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := choice.OpenFolder(dir); !errors.Is(err, choice.ErrFolder) {
			t.Errorf("short: %v", err)
		}
		if err := os.Remove(secret); err != nil {
			t.Fatal(err)
		}
		if _, err := choice.OpenFolder(dir); !errors.Is(err, choice.ErrFolder) {
			t.Errorf("missing: %v", err)
		}
	})
}

// FuzzReadBook: what is accepted is written back, and that is accepted as the same.
func FuzzReadBook(f *testing.F) {
	f.Add([]byte(goodAll))
	f.Add([]byte(`{"version":1,"contacts":{}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := choice.ReadBook(text)
		if err != nil {
			return
		}
		twice, err := choice.ReadBook(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v:\n%s\n%s", err, once, twice)
		}
	})
}

// BenchmarkRemember writes one note into a memory of 1,000 contacts.
func BenchmarkRemember(b *testing.B) {
	f, memo := open(b, b.TempDir()), memoAt(b, blue, choice.ByPick)
	var notes []choice.Note
	for i := range 1000 {
		notes = append(notes, choice.Note{CSI: mustCSI(b, fmt.Sprintf("tel:+1408555%04d", i)), Memo: memo})
	}
	if err := f.Remember(notes...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := f.Remember(notes[0]); err != nil {
			b.Fatal(err)
		}
	}
}
