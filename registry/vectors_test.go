package registry_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/vectortest"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/registry"
)

var rewrite = flag.Bool("update", false, "rewrite vectors/registry")

const vectorDir = "../vectors/registry"

// vectorFile is the form of accept.json and reject.json; see the README there.
type vectorFile struct {
	Spec    string   `json:"spec"`
	Version int      `json:"version"`
	Vectors []vector `json:"vectors"`
}

type vector struct {
	Name     string  `json:"name"`
	Why      string  `json:"why"`
	Now      int64   `json:"now"`
	Previous string  `json:"previous,omitempty"`
	Expect   string  `json:"expect"`
	File     string  `json:"file"`
	Report   *report `json:"report,omitempty"`
}

// report is what a verified registry says.
type report struct {
	Version    uint64         `json:"version"`
	Digest     string         `json:"digest"`
	Federation string         `json:"federation"`
	Issued     int64          `json:"issued"`
	Expires    int64          `json:"expires"`
	Length     int            `json:"length"`
	Bits       map[int]string `json:"bits"`
	Parties    []reportParty  `json:"parties"`
}

type reportParty struct {
	ID        string      `json:"id"`
	Operator  string      `json:"operator"`
	Roles     []string    `json:"roles"`
	State     string      `json:"state"`
	Endpoint  string      `json:"endpoint"`
	Reachable bool        `json:"reachable"`
	Pins      []string    `json:"pins"`
	Keys      []reportKey `json:"keys"`
}

// reportKey is a signing key that counts.
type reportKey struct {
	KID   string `json:"kid"`
	Role  string `json:"role"`
	From  int64  `json:"from"`
	Until int64  `json:"until,omitempty"`
}

func reportOf(t *testing.T, s *registry.Snapshot, d *draft) *report {
	t.Helper()
	digest := s.Digest()
	r := &report{
		Version: s.Version(), Digest: hex.EncodeToString(digest[:]), Federation: s.Federation(), Issued: s.Issued().Unix(),
		Expires: s.Expires().Unix(), Length: s.BitLength(), Bits: make(map[int]string), Parties: []reportParty{},
	}
	for i := range s.BitLength() {
		if id, ok := s.Bit(uint16(i)); ok {
			r.Bits[i] = id.String()
		}
	}
	for _, p := range d.parties {
		id := worldtest.Party(t, p.id)
		found, ok := s.Party(id)
		if !ok {
			t.Fatalf("%s is not in the snapshot", p.id)
		}
		out := reportParty{
			ID: p.id, Operator: found.Operator.String(), State: string(found.Standing.State), Endpoint: found.Self.Endpoint,
			Reachable: s.Reachable(id), Keys: []reportKey{},
		}
		for _, role := range found.Roles {
			out.Roles = append(out.Roles, string(role))
		}
		for _, pin := range found.Self.Pins {
			out.Pins = append(out.Pins, hex.EncodeToString(pin))
			if back, ok := s.ByPin([32]byte(pin)); !ok || back.ID != id {
				t.Errorf("%s is not found by its pin", p.id)
			}
		}
		for _, k := range found.Self.Keys {
			kid := k.Public.ID()
			if signer, ok := s.Signer(kid); ok && signer.Party.ID == id {
				out.Keys = append(out.Keys, reportKey{KID: hex.EncodeToString(kid[:]), Role: string(k.Role), From: k.From, Until: k.Until})
			}
		}
		r.Parties = append(r.Parties, out)
	}
	return r
}

// expectation names an error as vectors do.
func expectation(err error) string {
	for name, sentinel := range map[string]error{
		"not-yet": registry.ErrNotYet, "expired": registry.ErrExpired,
		"content": registry.ErrContent, "rollback": registry.ErrRollback,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	if err != nil {
		return "malformed"
	}
	return "accept"
}

// composeVectors makes every file of vectors/registry anew.
func composeVectors(t *testing.T) map[string][]byte {
	t.Helper()
	accept := vectorFile{Spec: "docs/spec/registry.md", Version: 1}
	reject := accept
	byName := make(map[string]vector)
	for _, c := range vectorCases {
		d := newDraft(t)
		if c.bend != nil {
			c.bend(d)
		}
		b := d.file()
		v := vector{
			Name: c.name, Why: c.why, Now: d.now.Add(c.after).Unix(), Previous: c.previous, Expect: c.expect, File: hex.EncodeToString(b),
		}
		if _, twice := byName[c.name]; twice {
			t.Fatalf("two vectors %q", c.name)
		}
		byName[c.name] = v
		if c.expect != "accept" {
			reject.Vectors = append(reject.Vectors, v)
			continue
		}
		s, err := open(b, time.Unix(v.Now, 0))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		v.Report = reportOf(t, s, d)
		accept.Vectors = append(accept.Vectors, v)
	}
	return map[string][]byte{
		"accept.json": vectortest.JSON(t, accept), "reject.json": vectortest.JSON(t, reject),
	}
}

// TestVectorsAreCurrent composes every file again and compares; with -update it
// writes them.
func TestVectorsAreCurrent(t *testing.T) {
	vectortest.Whole(t, vectorDir, composeVectors(t), *rewrite)
}

func readVectors(t *testing.T, name string) []vector {
	t.Helper()
	var f vectorFile
	if vectortest.Read(t, filepath.Join(vectorDir, name), &f); f.Version != 1 || len(f.Vectors) == 0 {
		t.Fatalf("%s: version %d with %d vectors", name, f.Version, len(f.Vectors))
	}
	return f.Vectors
}

// TestR21RegistryVectors reads the vectors as another implementation would: from
// the files alone.
func TestR21RegistryVectors(t *testing.T) {
	accept, reject := readVectors(t, "accept.json"), readVectors(t, "reject.json")
	snapshot := func(v vector) (*registry.Snapshot, error) {
		file, err := hex.DecodeString(v.File)
		if err != nil {
			t.Fatal(err)
		}
		return open(file, time.Unix(v.Now, 0))
	}
	named := make(map[string]vector)
	expected := make(map[string]bool)
	for _, v := range slices.Concat(accept, reject) {
		named[v.Name] = v
		expected[v.Expect] = true
		t.Run(v.Name, func(t *testing.T) {
			s, err := snapshot(v)
			if err == nil && v.Previous != "" {
				previous, err := snapshot(named[v.Previous])
				if err != nil {
					t.Fatal(err)
				}
				if got := expectation(s.Succeeds(previous)); got != v.Expect {
					t.Fatalf("after %s: %s, want %s", v.Previous, got, v.Expect)
				}
			} else if got := expectation(err); got != v.Expect {
				t.Fatalf("%s (%v), want %s", got, err, v.Expect)
			}
			if v.Report != nil {
				checkReport(t, s, v.Report)
			}
		})
	}
	for _, name := range []string{"accept", "malformed", "not-yet", "expired", "content", "rollback"} {
		if !expected[name] {
			t.Errorf("no vector expects %s", name)
		}
	}
}

// checkReport holds a snapshot against a report, party by party.
func checkReport(t *testing.T, s *registry.Snapshot, want *report) {
	t.Helper()
	d := &draft{}
	for _, p := range want.Parties {
		d.parties = append(d.parties, &entry{id: p.ID})
	}
	if diff := cmp.Diff(want, reportOf(t, s, d)); diff != "" {
		t.Error(diff)
	}
}

// TestTooLarge: the limit is looked at before anything else.
func TestTooLarge(t *testing.T) {
	if _, _, err := registry.ParseRecord(make([]byte, registry.MaxSize+1)); !errors.Is(err, canon.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// TestPayloadsAreEncodedAlike: the vectors' payloads are composed by another
// way than the package's own.
func TestPayloadsAreEncodedAlike(t *testing.T) {
	f := newFixture(t)
	ours := f.sign(t)
	d := newDraft(t)
	d.parties = nil
	for i, e := range f.record.Parties {
		s := f.selfs[i]
		p := &entry{id: e.Grant.ID.String(), selfBytes: e.Self, grant: tree{
			1: e.Grant.ID.String(), 2: e.Grant.Operator.String(), 3: keyTree(e.Grant.OperatorKey), 4: []string{string(e.Grant.Roles[0])},
			7: e.Grant.Jurisdictions, 9: tree{1: "active", 2: e.Grant.Standing.Since},
		}}
		if e.Grant.Bit != nil {
			p.grant[8] = *e.Grant.Bit
		}
		d.parties = append(d.parties, p)
		p.self = tree{1: p.id, 2: s.Issued, 3: s.Endpoint, 4: s.Pins, 5: []any{
			tree{1: string(s.Keys[0].Role), 2: keyTree(s.Keys[0].Public), 3: s.Keys[0].From},
		}}
		self, err := cose.Parse1(e.Self, registry.MaxSize)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(self.Payload, d.marshal(p.self)) {
			t.Errorf("self record of %s is encoded otherwise", p.id)
		}
	}
	r := f.record
	d.body = tree{1: r.Version, 2: r.Federation, 3: r.Issued.Unix(), 4: r.Expires.Unix(), 5: tree{1: map[string]uint8{"mailto": 3}}}
	if got := d.payload(); !bytes.Equal(got, ours) {
		t.Errorf("encoded otherwise:\n%x\n%x", got, ours)
	}
}

// keyTree is a COSE_Key.
func keyTree(k key.Public) tree { return tree{1: 1, -1: 6, -2: k.Bytes()} }

// TestVectorNamesAreWords keeps names usable in listings.
func TestVectorNamesAreWords(t *testing.T) {
	for _, c := range vectorCases {
		if c.name == "" || c.why == "" || strings.Trim(c.name, "abcdefghijklmnopqrstuvwxyz0123456789 -") != "" || !strings.HasSuffix(c.why, ".") {
			t.Errorf("%q: %q", c.name, c.why)
		}
	}
}
