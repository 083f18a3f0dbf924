package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/world"
)

// devices are folders of one person in a world of their own.
type devices struct {
	*world.World
	first, second string
}

const own = "bob@" + world.MailDomain

// newDevices starts a world in which bob has two devices, at an MSP each.
func newDevices(t *testing.T) devices {
	t.Helper()
	bob := world.Person{Name: "bob"}
	w, err := world.Start(t.Context(), world.Config{
		Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), People: []world.Person{bob}, Tick: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	dir, err := w.Settle(t.Context(), bob, world.MSPA, world.MSPB)
	if err != nil {
		t.Fatal(err)
	}
	d := devices{World: w, first: dir, second: filepath.Join(t.TempDir(), "second")}
	if err := os.CopyFS(d.second, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	d.do(t, d.first, 0, "keygen")
	d.do(t, d.second, 0, "keygen")
	return d
}

// do carries out a command line and returns its JSON, or what it says is wrong.
func (d devices) do(t *testing.T, dir string, want int, args ...string) (answer map[string]any, complaint string) {
	t.Helper()
	var out, errOut bytes.Buffer
	if got := run(t.Context(), append([]string{"--json", "--dir", dir}, args...), strings.NewReader(""), &out, &errOut); got != want {
		t.Fatalf("whither %v exits with %d, not %d: %s%s", args, got, want, out.String(), errOut.String())
	}
	if want == 0 && strings.HasPrefix(out.String(), "{") {
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
	}
	if strings.HasPrefix(out.String(), "[") {
		var list []any
		if err := json.Unmarshal(out.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		answer = map[string]any{"list": list}
	}
	return answer, errOut.String()
}

// text is what a device shows for the other one.
func text(t *testing.T, answer map[string]any, name string) string {
	t.Helper()
	s, ok := answer[name].(string)
	if !ok {
		t.Fatalf("no %s in %v", name, answer)
	}
	return s
}

// states are the states of everything in a folder, by id.
func (d devices) states(t *testing.T, dir string) map[string]string {
	t.Helper()
	answer, _ := d.do(t, dir, 0, "status")
	list, _ := answer["list"].([]any)
	out := make(map[string]string)
	for _, one := range list {
		m, _ := one.(map[string]any)
		out[text(t, m, "id")] = text(t, m, "state")
	}
	return out
}

// TestR19SecondDeviceJoins: two devices show each other four texts and one code.
// A device that shows another code is refused, and each text is good once.
func TestR19SecondDeviceJoins(t *testing.T) {
	d := newDevices(t)
	answer, _ := d.do(t, d.first, 0, "enrol", own, "--msp", world.MSPA, "--desk", d.Desk)
	id := text(t, answer, "id")
	pair := func() (open, code string) {
		begin, _ := d.do(t, d.second, 0, "join")
		reply, _ := d.do(t, d.first, 0, "join", "--mapping", id, text(t, begin, "text"))
		shown, _ := d.do(t, d.second, 0, "join", text(t, reply, "text"))
		d.do(t, d.second, 1, "join", text(t, reply, "text")) // answered once
		return text(t, shown, "text"), text(t, shown, "code")
	}
	open, code := pair()
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	if _, said := d.do(t, d.first, 1, "join", "--code", wrong, open); !strings.Contains(said, "another code") {
		t.Error(said)
	}
	d.do(t, d.first, 1, "join", "--code", code, open) // one try a code
	open, code = pair()
	grant, _ := d.do(t, d.first, 0, "join", "--code", code, open)
	d.do(t, d.first, 1, "join", text(t, grant, "text")+"x", "--msp", world.MSPB)
	joined, _ := d.do(t, d.second, 0, "join", "--msp", world.MSPB, text(t, grant, "text"))
	if joined["lineage"] != answer["lineage"] || joined["id"] == id {
		t.Errorf("joined: %v", joined)
	}
	where, _ := d.do(t, d.first, 0, "where")
	if found, _ := where["found"].([]any); len(found) != 2 || !strings.Contains(stringOf(t, where), "another device of yours") {
		t.Errorf("where: %v", where)
	}
	for id, state := range d.states(t, d.second) {
		if state != "admitted" {
			t.Errorf("%s is %s", id, state)
		}
	}
}

func stringOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestR19RotateRecoverReprove: a key is handed over; another device, without it,
// recovers and is held; the holder sees the claim and proves again; the claim is
// refused, and each device has been told.
func TestR19RotateRecoverReprove(t *testing.T) {
	d := newDevices(t)
	answer, _ := d.do(t, d.first, 0, "enrol", own, "--msp", world.MSPA, "--desk", d.Desk)
	id := text(t, answer, "id")
	before, err := os.ReadFile(filepath.Join(d.first, "keys", "holder.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a key can be handed over again and again
		d.do(t, d.first, 0, "rotate")
	}
	after, err := os.ReadFile(filepath.Join(d.first, "keys", "holder.pem"))
	if err != nil || bytes.Equal(before, after) {
		t.Errorf("the key is the old one: %v", err)
	}
	if got := d.states(t, d.first); got[id] != "admitted" || len(got) != 1 {
		t.Errorf("rotated: %v", got)
	}
	held, _ := d.do(t, d.second, 0, "recover", own, "--msp", world.MSPB, "--desk", d.Desk)
	claim := text(t, held, "id")
	until, err := time.Parse(time.RFC3339, text(t, held, "until"))
	if err != nil || text(t, held, "state") != "held" || time.Until(until) < 6*24*time.Hour {
		t.Errorf("recovered at once: %v, %v", held, err)
	}
	if got := d.states(t, d.second); got[claim] != "held" {
		t.Errorf("the claim: %v", got)
	}
	status, _ := d.do(t, d.first, 0, "status")
	if !strings.Contains(stringOf(t, status), `"level":4`) {
		t.Errorf("nothing of the claim: %v", status)
	}
	time.Sleep(1100 * time.Millisecond) // evidence is dated in seconds, and after the claim
	proved, _ := d.do(t, d.first, 0, "reprove", id, "--desk", d.Desk)
	if proved["answered"] != float64(1) {
		t.Errorf("proved again: %v", proved)
	}
	if kept, err := filepath.Glob(filepath.Join(d.first, "answers", "*.json")); err != nil || len(kept) != 1 {
		t.Errorf("kept: %v, %v", kept, err)
	}
	if got := d.states(t, d.second); got[claim] != "refused" {
		t.Errorf("the claim, answered: %v", got)
	}
	if got := d.states(t, d.second); len(got) != 0 {
		t.Errorf("what was decided is still there: %v", got)
	}
	d.do(t, d.first, 0, "withdraw", id)
	if _, err := os.Stat(filepath.Join(d.first, "ended", id+".json")); err != nil {
		t.Errorf("what has ended is not kept: %v", err)
	}
}
