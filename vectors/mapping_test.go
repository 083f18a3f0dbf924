package vectors_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/cosigner"
	"whither/mapping"
	"whither/problem"
	"whither/registry"
	"whither/vectors"
)

var rewrite = flag.Bool("update", false, "rewrite vectors/mapping")

// mappingFile is the form of accept.json and reject.json; see the README there.
type mappingFile struct {
	Spec    string          `json:"spec"`
	Version int             `json:"version"`
	Vectors []mappingVector `json:"vectors"`
}

type mappingVector struct {
	Name     string   `json:"name"`
	Why      string   `json:"why"`
	Registry string   `json:"registry"`
	Now      int64    `json:"now"`
	Expect   string   `json:"expect"`
	Mapping  string   `json:"mapping"`
	Receipts []string `json:"receipts"`
	Lineage  []string `json:"lineage,omitempty"`
	Report   *report  `json:"report,omitempty"`
}

// report is what a verified mapping says.
type report struct {
	ID          string        `json:"id"`
	CSI         string        `json:"csi"`
	DP          string        `json:"dp"`
	Holder      string        `json:"holder"`
	Entries     []reportEntry `json:"entries"`
	Lineage     string        `json:"lineage"`
	Sequence    uint64        `json:"sequence"`
	Predecessor string        `json:"predecessor,omitempty"`
	First       bool          `json:"first"`
	Issued      int64         `json:"issued"`
	Expires     int64         `json:"expires"`
	Residency   []string      `json:"residency,omitempty"`
	Audience    bool          `json:"audience"`
	CopyBy      []string      `json:"copy_by,omitempty"`
	ReproveDays uint8         `json:"reprove_days"`
	DPNonce     string        `json:"dp_nonce"`
	Digest      string        `json:"digest"`
	Level       uint8         `json:"level"`
	Found       uint8         `json:"found"`
	Admitted    int64         `json:"admitted"`
	Signed      int64         `json:"signed"`
	Until       int64         `json:"until"`
}

type reportEntry struct {
	Provider string   `json:"provider"`
	URI      string   `json:"uri"`
	Tags     []string `json:"tags"`
	Nonce    string   `json:"nonce"`
}

func reportOf(v mapping.Verified) *report {
	c := v.Claims()
	digest := v.Digest()
	r := &report{
		ID: c.ID.String(), CSI: c.CSI.Canonical(), DP: c.DP.String(), Holder: hex.EncodeToString(c.Holder.Bytes()),
		Entries: []reportEntry{}, Lineage: c.Lineage.String(), Sequence: c.Sequence, First: c.First,
		Issued: c.Issued.Unix(), Expires: c.Expires.Unix(), Residency: c.Residency, Audience: c.Audience,
		ReproveDays: c.ReproveDays, DPNonce: hex.EncodeToString(c.DPNonce[:]), Digest: hex.EncodeToString(digest[:]),
		Level: uint8(v.Evidence().Level), Found: uint8(v.Found()), Admitted: v.Admitted().Unix(),
		Signed: v.Signed().Unix(), Until: v.Until().Unix(),
	}
	for _, e := range c.Entries {
		r.Entries = append(r.Entries, reportEntry{
			Provider: e.Provider.String(), URI: e.URI, Tags: append([]string{}, e.Tags...), Nonce: hex.EncodeToString(e.Nonce[:]),
		})
	}
	if c.Predecessor != (mapping.Digest{}) {
		r.Predecessor = hex.EncodeToString(c.Predecessor[:])
	}
	for _, dp := range c.CopyBy {
		r.CopyBy = append(r.CopyBy, dp.String())
	}
	return r
}

func (v mappingVector) bundle(t *testing.T) mapping.Bundle {
	t.Helper()
	b := mapping.Bundle{Mapping: unhex(t, v.Mapping)}
	for _, r := range v.Receipts {
		b.Receipts = append(b.Receipts, unhex(t, r))
	}
	for _, s := range v.Lineage {
		b.Lineage = append(b.Lineage, unhex(t, s))
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// composeMapping makes every file of vectors/mapping anew.
func composeMapping(t *testing.T) map[string][]byte {
	files := make(map[string][]byte)
	for name, change := range registries {
		m := newMaker(t)
		change(m)
		files["registry/"+name+".cbor"] = m.File()
	}
	for name, cases := range map[string][]mappingCase{"accept.json": accepted(), "reject.json": refused()} {
		f := mappingFile{Spec: "docs/spec/mapping.md", Version: 1}
		for _, c := range cases {
			f.Vectors = append(f.Vectors, c.vector(t))
		}
		files[name] = encode(t, f)
	}
	files["withdrawals.json"] = encode(t, composeWithdrawals(t))
	files["ends.json"] = encode(t, composeEnds(t))
	files["answers.json"] = encode(t, composeAnswers(t))
	b := newMaker(t).draft(mspName).bundle()
	files["annotated.txt"] = annotate(t, b)
	files["sizes.txt"] = sizes(t)
	return files
}

func (c mappingCase) vector(t *testing.T) mappingVector {
	t.Helper()
	m := newMaker(t)
	b := c.make(m)
	v := mappingVector{
		Name: c.name, Why: c.why, Registry: "registry/" + c.registry + ".cbor", Now: m.Now.Add(c.after).Unix(),
		Expect: string(c.expect), Mapping: hex.EncodeToString(b.Mapping), Receipts: []string{},
	}
	if c.registry == "" {
		v.Registry = "registry/members.cbor"
	}
	for _, r := range b.Receipts {
		v.Receipts = append(v.Receipts, hex.EncodeToString(r))
	}
	for _, s := range b.Lineage {
		v.Lineage = append(v.Lineage, hex.EncodeToString(s))
	}
	if c.expect == "" {
		v.Expect = "accept"
		change := registries[strings.TrimSuffix(path.Base(v.Registry), ".cbor")]
		change(m)
		verified, err := verifyAt(m.Snapshot(), time.Unix(v.Now, 0), b)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		v.Report = reportOf(verified)
	}
	return v
}

func verifyAt(s *registry.Snapshot, now time.Time, b mapping.Bundle) (mapping.Verified, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return mapping.Verified{}, err
	}
	return mapping.PolicyAt(s, now).Verify(u)
}

// encode writes JSON for people to read and for diffs.
func encode(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMappingVectorsAreCurrent composes every file again and compares; with
// -update it writes them.
func TestMappingVectorsAreCurrent(t *testing.T) {
	files := composeMapping(t)
	if *rewrite {
		for name, b := range files {
			p := path.Join("mapping", name)
			if err := os.MkdirAll(path.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		got, err := os.ReadFile(path.Join("mapping", name))
		if err != nil || !bytes.Equal(got, files[name]) {
			t.Errorf("%s differs from what is composed (%v): look, then run go test ./vectors -update", name, err)
		}
	}
	// Nothing else lies there, so that no vector is forgotten.
	err := fs.WalkDir(os.DirFS("mapping"), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && p != "README.md" && files[p] == nil {
			t.Errorf("%s: nobody makes this file", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readMapping reads a file of the embedded vectors, as another implementation
// would read it.
func readMapping(t *testing.T, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(vectors.FS, path.Join("mapping", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snapshot reads a registry file and verifies it at a time.
func snapshot(t *testing.T, name string, now time.Time) *registry.Snapshot {
	t.Helper()
	r, digest, err := registry.ParseRecord(readMapping(t, name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := registry.Assemble(r, digest, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kindOf names the refusal of err in vectors.
func kindOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "accept"
	}
	k := cosigner.Kind(err)
	if k == "" {
		t.Errorf("no kind for %v", err)
	}
	return string(k)
}

// TestR06MappingVectors runs every vector through Parse and Verify.
func TestR06MappingVectors(t *testing.T) {
	used := make(map[string]bool)
	for _, name := range []string{"accept.json", "reject.json"} {
		var f mappingFile
		if err := json.Unmarshal(readMapping(t, name), &f); err != nil {
			t.Fatal(err)
		}
		if len(f.Vectors) == 0 {
			t.Fatalf("%s: no vectors", name)
		}
		seen := make(map[string]bool)
		for _, v := range f.Vectors {
			t.Run(strings.TrimSuffix(name, ".json")+"/"+v.Name, func(t *testing.T) {
				if seen[v.Name] || (v.Expect == "accept") != (name == "accept.json") {
					t.Error("name twice, or in the wrong file")
				}
				seen[v.Name], used[v.Registry] = true, true
				now := time.Unix(v.Now, 0)
				verified, err := verifyAt(snapshot(t, v.Registry, now), now, v.bundle(t))
				if got := kindOf(t, err); got != v.Expect {
					t.Fatalf("got %s (%v), want %s", got, err, v.Expect)
				}
				if err == nil {
					if diff := cmp.Diff(v.Report, reportOf(verified)); diff != "" {
						t.Error(diff)
					}
				}
			})
		}
	}
	for name := range registries {
		if file := "registry/" + name + ".cbor"; !used[file] {
			t.Errorf("%s: no vector needs it", file)
		}
	}
}

// TestMappingVectorsNameEveryRefusal: each way in which a bundle can be refused
// has a vector.
func TestMappingVectorsNameEveryRefusal(t *testing.T) {
	named := make(map[string]bool)
	for _, c := range refused() {
		named[string(c.expect)] = true
	}
	for _, k := range []problem.Kind{
		problem.MappingMalformed, problem.MappingClaims, problem.HolderSignature, problem.MSPMissing, problem.MSPSignature,
		problem.MSPForeign, problem.DPMissing, problem.DPSignature, problem.DPForeign, problem.SignatureRole,
		problem.SignerUnknown, problem.SignerStanding, problem.TimeOrder, problem.TimeFuture, problem.MappingExpired,
		problem.MappingLife, problem.MappingStale, problem.ReceiptMalformed, problem.ReceiptForeign, problem.ReceiptSigner,
		problem.ReceiptStanding, problem.ReceiptDependent, problem.ReceiptOrder, problem.ReceiptRepeated, problem.ReceiptSet,
		problem.EvidenceKind, problem.EvidenceLevel, problem.LineageStatement,
	} {
		if !named[string(k)] {
			t.Errorf("no vector is refused as %s", k)
		}
	}
}

// withdrawalFile is the form of withdrawals.json.
type withdrawalFile struct {
	Spec    string             `json:"spec"`
	Version int                `json:"version"`
	Mapping string             `json:"mapping"` // the mapping of all vectors
	Vectors []withdrawalVector `json:"vectors"`
}

type withdrawalVector struct {
	Name      string `json:"name"`
	Why       string `json:"why"`
	Now       int64  `json:"now"`
	Expect    string `json:"expect"`
	Statement string `json:"statement"`
}

// mspName is the MSP of the vector that is annotated and withdrawn.
const mspName = "msp-a.example"

func composeWithdrawals(t *testing.T) withdrawalFile {
	m := newMaker(t)
	b := m.draft(mspName).bundle()
	f := withdrawalFile{Spec: "docs/spec/mapping.md", Version: 1, Mapping: hex.EncodeToString(b.Mapping)}
	for _, c := range withdrawals(m, b) {
		expect := string(c.expect)
		if expect == "" {
			expect = "accept"
		}
		f.Vectors = append(f.Vectors, withdrawalVector{
			Name: c.name, Why: c.why, Now: m.Now.Add(c.after).Unix(), Expect: expect, Statement: hex.EncodeToString(c.statement),
		})
	}
	return f
}

// TestR19WithdrawalVectors runs every withdrawal against the mapping.
func TestR19WithdrawalVectors(t *testing.T) {
	var f withdrawalFile
	if err := json.Unmarshal(readMapping(t, "withdrawals.json"), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	m := newMaker(t)
	u, err := mapping.Parse(mapping.Bundle{
		Mapping: unhex(t, f.Mapping), Receipts: m.MailReceipts(m.id, m.holder().Public(), m.Now),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range f.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			w, err := mapping.ParseWithdrawal(unhex(t, v.Statement))
			if err == nil {
				err = w.Authorises(u, time.Unix(v.Now, 0))
			}
			if got := kindOf(t, err); got != v.Expect {
				t.Errorf("got %s (%v), want %s", got, err, v.Expect)
			}
		})
	}
}

// TestPayloadsAreEncodedAlike: the vectors' own encoder and package mapping
// make the same bytes of the same claims.
func TestPayloadsAreEncodedAlike(t *testing.T) {
	m := newMaker(t)
	d := m.draft(mspName)
	u, err := d.claims.Sign(m.holder(), d.receipts, m.Now)
	if err != nil {
		t.Fatal(err)
	}
	u, err = u.AddMSP(m.key(mspName), m.Now)
	if err != nil {
		t.Fatal(err)
	}
	v := m.Finish(u, mapping.FoundFirst)
	if diff := cmp.Diff(hex.EncodeToString(d.bundle().Mapping), hex.EncodeToString(v.Bundle().Mapping)); diff != "" {
		t.Error(diff)
	}
}

// TestSizesAreWithinBounds: one MSP signed, with two codes, with a mail reply.
func TestSizesAreWithinBounds(t *testing.T) {
	for _, c := range accepted() {
		b := c.make(newMaker(t))
		switch {
		case c.name == "one MSP" && (len(b.Mapping) > 700 || b.Size() > 1280), c.name == "telephone" && b.Size() > 1024:
			t.Errorf("%s: %d bytes, %d with receipts", c.name, len(b.Mapping), b.Size())
		}
	}
}
