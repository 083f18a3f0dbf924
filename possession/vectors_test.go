package possession_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/internal/vectortest"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/mail"
	"whither/registry"
)

var rewrite = flag.Bool("update", false, "rewrite vectors/evidence")

const (
	vectorDir = "../vectors/evidence"
	specPage  = "docs/spec/evidence.md"
)

// setFile is the form of accept.json and reject.json; see the README there.
type setFile struct {
	Spec    string      `json:"spec"`
	Version int         `json:"version"`
	Vectors []setVector `json:"vectors"`
}

type setVector struct {
	Name        string   `json:"name"`
	Registry    string   `json:"registry"`
	Now         int64    `json:"now"`
	CSI         string   `json:"csi"`
	Holder      string   `json:"holder"`
	Barred      []string `json:"barred,omitempty"`
	Before      int64    `json:"before"`
	Witnessed   int64    `json:"witnessed,omitempty"`
	WitnessedBy string   `json:"witnessed_by,omitempty"`
	Receipts    []string `json:"receipts"`
	Expect      string   `json:"expect"`
	Report      *report  `json:"report,omitempty"`
}

type report struct {
	Level     uint8    `json:"level"`
	Oldest    int64    `json:"oldest"`
	Newest    int64    `json:"newest"`
	Vouchers  []string `json:"vouchers"` // prover, operator, kind
	Observers []string `json:"observers,omitempty"`
}

// hashFile is the form of hashes.json.
type hashFile struct {
	Spec     string           `json:"spec"`
	Version  int              `json:"version"`
	Hashes   []hashVector     `json:"hashes"`
	Assigned []assignedVector `json:"assigned"`
}

type hashVector struct {
	CSI      string `json:"csi"`
	Holder   string `json:"holder"`
	Subject  string `json:"subject"`
	Nonce    string `json:"nonce"`
	Response string `json:"response"`
	Token    string `json:"token"` // of the mail's subject
	Text     string `json:"text"`  // of the reply
}

type assignedVector struct {
	CSI     string   `json:"csi"`
	Time    int64    `json:"time"`
	Provers []string `json:"provers"`
}

// kindOf names the refusal of err in vectors, as the problem catalogue does.
func kindOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return "accept"
	}
	for _, row := range []struct {
		err  error
		name string
	}{
		{possession.ErrReceipt, "receipt-malformed"},
		{possession.ErrForeign, "receipt-foreign"},
		{possession.ErrUnknown, "receipt-signer"},
		{possession.ErrSignature, "receipt-signer"},
		{possession.ErrStanding, "receipt-standing"},
		{possession.ErrDependent, "receipt-dependent"},
		{possession.ErrOrder, "receipt-order"},
		{possession.ErrRepeated, "receipt-repeated"},
		{possession.ErrUnfitKind, "evidence-kind"},
		{possession.ErrKindUnknown, "evidence-kind"},
		{possession.ErrRefusedKind, "evidence-kind"},
		{possession.ErrNoIssuer, "evidence-kind"},
		{possession.ErrNoReceipts, "receipt-set"},
		{possession.ErrTooMany, "receipt-set"},
	} {
		if errors.Is(err, row.err) {
			return row.name
		}
	}
	t.Errorf("no kind for %v", err)
	return ""
}

// levelCases are sets that hold, and reach less than they could.
func levelCases() []assessCase {
	// set makes a set of statements about the scene's CSI.
	set := func(all ...statement) func(*scene, *possession.Question) [][]byte {
		return func(s *scene, _ *possession.Question) [][]byte {
			var out [][]byte
			for _, x := range all {
				out = append(out, s.receipt(x.kind, x.prover, func(r *possession.Receipt) {
					r.Level, r.Artefact, r.KeySeen = x.level, [32]byte{x.artefact}, [32]byte{x.keySeen}
				}))
			}
			return out
		}
	}
	reply := statement{prover: worldtest.ProverA, kind: possession.MailReply, level: 4, artefact: 1, keySeen: 1}
	witness := statement{prover: worldtest.ProverB, kind: possession.MailWitness, level: 4, artefact: 1, keySeen: 1}
	bend := func(x statement, f func(*statement)) statement { f(&x); return x }
	tel := func(all ...statement) func(*scene, *possession.Question) [][]byte {
		return func(s *scene, q *possession.Question) [][]byte {
			s.id = worldtest.CSI(s.t, "tel:+14085550123")
			q.CSI = s.id
			return set(all...)(s, q)
		}
	}
	message := statement{prover: worldtest.ProverA, kind: possession.CodeMessage, level: 2, artefact: 1}
	call := statement{prover: worldtest.ProverB, kind: possession.CodeCall, level: 2, artefact: 2}
	return []assessCase{
		{"a mail reply alone is one party's word: 1", set(reply), nil},
		{"a witness alone: 1", set(witness), nil},
		{"two witnesses and nobody who asked: 1", set(bend(witness, func(x *statement) { x.prover = worldtest.ProverA }), witness), nil},
		{"both of one operator: 1", set(bend(reply, func(x *statement) { x.prover = proverB2 }), witness), nil},
		{"of different replies: 1", set(reply, bend(witness, func(x *statement) { x.artefact = 2 })), nil},
		{"different keys seen: 2", set(reply, bend(witness, func(x *statement) { x.keySeen = 2 })), nil},
		{"no key seen by the challenger: 2", set(bend(reply, func(x *statement) { x.keySeen = 0 }), witness), nil},
		{"no key seen by either: 2", set(bend(reply, func(x *statement) { x.keySeen = 0 }), bend(witness, func(x *statement) { x.keySeen = 0 })), nil},
		{"the weaker link counts: 3", set(reply, bend(witness, func(x *statement) { x.level = 3 })), nil},
		{"two who asked about one reply: 4", set(reply, bend(reply, func(x *statement) { x.prover = worldtest.ProverB })), nil},
		{"the best pair of three counts: 4", set(reply, bend(witness, func(x *statement) { x.prover, x.keySeen = proverB2, 2 }), witness), nil},
		{"codes by message and by call: 2", tel(message, call), nil},
		{"codes, declared stronger than they can be: 2", tel(bend(message, func(x *statement) { x.level = 4 }), bend(call, func(x *statement) { x.level = 4 })), nil},
		{"codes by one channel: 1", tel(message, bend(message, func(x *statement) { x.prover = worldtest.ProverB })), nil},
		{"codes by one operator: 1", tel(bend(message, func(x *statement) { x.prover = proverB2 }), call), nil},
		{"a code alone: 1", tel(call), nil},
		{"a re-proof: 4", func(s *scene, _ *possession.Question) [][]byte {
			again := func(r *possession.Receipt) { r.Purpose = possession.PurposeReprove }
			return [][]byte{s.receipt(possession.MailReply, worldtest.ProverA, again), s.receipt(possession.MailWitness, worldtest.ProverB, again)}
		}, nil},
	}
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// compose makes every file of the folder but the README.
func compose(t *testing.T) map[string][]byte {
	t.Helper()
	base := newScene(t, "mailto:alice@example.org")
	files := map[string][]byte{
		"registry/members.cbor": base.File(), "annotated.txt": annotate(t, base),
	}
	sets := map[string]*setFile{"accept.json": {Spec: specPage, Version: 1}, "reject.json": {Spec: specPage, Version: 1}}
	add := func(c assessCase) {
		s := newScene(t, "mailto:alice@example.org")
		q := s.question()
		receipts := c.bend(s, &q)
		v := vectorOf(c.name, q, receipts)
		file := s.File()
		v.Registry = "registry/" + strings.Trim(notInNames.ReplaceAllString(c.name, "-"), "-") + ".cbor"
		for name, b := range files {
			if bytes.Equal(b, file) { // made for a case before
				v.Registry = name
			}
		}
		files[v.Registry] = file
		a, err := judge(s.Snapshot(), q, receipts)
		into := "reject.json"
		if v.Expect = kindOf(t, err); err == nil {
			v.Report, into = reportOf(a), "accept.json"
		}
		sets[into].Vectors = append(sets[into].Vectors, v)
	}
	for _, c := range slices.Concat(assessCases(), levelCases(), familyCases(), wordCases(), policyCases()) {
		add(c)
	}
	all := malformed(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		add(assessCase{name, func(*scene, *possession.Question) [][]byte { return [][]byte{all[name]} }, nil})
	}
	for name, f := range sets {
		files[name] = encodeJSON(t, f)
	}
	files["hashes.json"] = encodeJSON(t, hashes(t))
	return files
}

func vectorOf(name string, q possession.Question, receipts [][]byte) setVector {
	v := setVector{
		Name: name, Now: q.Now.Unix(), CSI: q.CSI.Canonical(), Holder: hex.EncodeToString(q.Holder.Bytes()), Before: q.Before.Unix(), Receipts: []string{},
	}
	for _, o := range q.Barred {
		v.Barred = append(v.Barred, o.String())
	}
	if !q.Witnessed.IsZero() {
		v.Witnessed, v.WitnessedBy = q.Witnessed.Unix(), q.WitnessedBy.String()
	}
	for _, r := range receipts {
		v.Receipts = append(v.Receipts, hex.EncodeToString(r))
	}
	return v
}

// judge parses and assesses a set.
func judge(s *registry.Snapshot, q possession.Question, receipts [][]byte) (possession.Assessment, error) {
	var set []possession.Unverified
	for _, b := range receipts {
		u, err := possession.Parse(b)
		if err != nil {
			return possession.Assessment{}, err
		}
		set = append(set, u)
	}
	return possession.Assess(s, set, q)
}

func reportOf(a possession.Assessment) *report {
	r := &report{Level: uint8(a.Level), Oldest: a.Oldest.Unix(), Newest: a.Newest.Unix()}
	for _, v := range a.Vouchers {
		r.Vouchers = append(r.Vouchers, fmt.Sprintf("%s %s %s", v.Prover, v.Operator, v.Kind))
	}
	for _, o := range a.Observers {
		r.Observers = append(r.Observers, o.String())
	}
	return r
}

func hashes(t testing.TB) hashFile {
	f := hashFile{Spec: specPage, Version: 1}
	for i, c := range []struct{ csi, holder string }{
		{"mailto:alice@example.org", "alice"}, {"mailto:alice@example.org", "bob"}, {"mailto:bob@example.org", "bob"}, {"tel:+14085550123", "alice"},
	} {
		id, holder := worldtest.CSI(t, c.csi), worldtest.Key(t, c.holder).Public()
		var nonce [possession.NonceSize]byte
		for j := range nonce {
			nonce[j] = byte(i*len(nonce) + j)
		}
		subject, response := possession.SubjectOf(id, holder), possession.Response(id, holder, nonce)
		f.Hashes = append(f.Hashes, hashVector{
			CSI: c.csi, Holder: hex.EncodeToString(holder.Bytes()), Subject: hex.EncodeToString(subject[:]),
			Nonce: hex.EncodeToString(nonce[:]), Response: hex.EncodeToString(response[:]),
			Token: mail.Token([mail.TokenSize]byte(nonce[:])), Text: mail.Response(response, holder.ID().String()),
		})
	}
	s := newScene(t, "mailto:alice@example.org")
	for _, c := range []string{"mailto:alice@example.org", "tel:+14085550123"} {
		for _, at := range []time.Time{s.Now, s.Now.AddDate(0, 3, 0)} {
			v := assignedVector{CSI: c, Time: at.Unix()}
			for _, p := range possession.Assigned(s.Snapshot(), worldtest.CSI(t, c), at) {
				v.Provers = append(v.Provers, p.ID.String())
			}
			f.Assigned = append(f.Assigned, v)
		}
	}
	return f
}

// encodeJSON writes JSON for people to read and for diffs.
func encodeJSON(t testing.TB, v any) []byte {
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

// annotate explains the receipt of a mail reply byte by byte. The bytes that
// every such receipt has stand here once more, and must be the same.
func annotate(t testing.TB, s *scene) []byte {
	t.Helper()
	b := s.pair()[0]
	var out strings.Builder
	out.WriteString("The first receipt of the first vector of accept.json, byte by byte: offset, bytes,\nmeaning.\n\n")
	at := 0
	for _, row := range []struct {
		depth   int
		fixed   string // hexadecimal
		free    int    // bytes behind it
		meaning string
	}{
		{0, "d2", 0, "tag 18: COSE_Sign1 (RFC 9052 section 4.2)"},
		{0, "84", 0, "array of 4"},
		{1, "582a", 0, "byte string of 42: protected header, one CBOR item inside"},
		{2, "a4", 0, "map of 4"},
		{2, "01 32", 0, "key 1, alg: -19, Ed25519 (RFC 9864)"},
		{2, "02 81 3a00010000", 0, "key 2, crit: the parameters"},
		{2, "04 50", 16, "key 4, kid: first 16 bytes of SHA-256(COSE_Key) of the prover's key"},
		{2, "3a00010000 a2", 0, "key -65537, parameters: map of 2"},
		{3, "01 01", 0, "key 1, role: 1, prover"},
		{3, "02 1a", 4, "key 2, time: 1793534400, 2026-11-01T12:00:00Z"},
		{1, "a0", 0, "map of 0: unprotected header"},
		{1, "5876", 0, "byte string of 118: payload, one CBOR item inside"},
		{2, "a7", 0, "map of 7"},
		{2, "01 01", 0, "key 1, purpose: 1, enrol"},
		{2, "02 5820", 32, "key 2, subject: SHA-256([\"whither/v1/subject\", CSI, COSE_Key])"},
		{2, "03 01", 0, "key 3, kind: 1, mail-reply"},
		{2, "04 04", 0, "key 4, level: 4"},
		{2, "05 5820", 32, "key 5, artefact: SHA-256 of the raw reply"},
		{2, "06 5820", 32, "key 6, key seen: SHA-256(type || 0x00 || p) of the domain's DKIM key"},
		{2, "07 1a", 4, "key 7, evidence: 1793534400, 2026-11-01T12:00:00Z"},
		{1, "5840", 64, "byte string of 64: Ed25519 signature"},
	} {
		fixed, err := hex.DecodeString(strings.ReplaceAll(row.fixed, " ", ""))
		if err != nil || !bytes.HasPrefix(b[at:], fixed) {
			t.Fatalf("offset %d: %x, not %s", at, b[at:at+len(fixed)], row.fixed)
		}
		meaning := row.meaning
		for n := len(fixed) + row.free; n > 0; {
			k := min(n, 16)
			line := fmt.Sprintf("%4d  %-47s  %s%s", at, strings.TrimSpace(fmt.Sprintf("% x", b[at:at+k])), strings.Repeat("  ", row.depth), meaning)
			out.WriteString(strings.TrimRight(line, " ") + "\n")
			at, n, meaning = at+k, n-k, ""
		}
	}
	if at != len(b) {
		t.Fatalf("%d of %d bytes explained", at, len(b))
	}
	toBeSigned := encode(t, []any{"Signature1", b[4:46], []byte(key.LabelReceipt), b[49:167]})
	if err := worldtest.Key(t, worldtest.ProverA).Public().Verify(toBeSigned, b[len(b)-64:]); err != nil {
		t.Fatalf("Sig_structure: %v", err)
	}
	fmt.Fprintf(&out, "\nSigned is the Sig_structure of RFC 9052 section 4.4, [\"Signature1\", protected\nheader, %q, payload], %d bytes:\n", key.LabelReceipt, len(toBeSigned))
	for line := range slices.Chunk(toBeSigned, 32) {
		fmt.Fprintf(&out, "  %x\n", line)
	}
	fmt.Fprintf(&out, "\nA mapping names the receipt by SHA-256 of its %d bytes:\n  %x\n", len(b), possession.Digest(b))
	return []byte(out.String())
}

// TestVectorsAreCurrent composes every file again and compares; with -update it
// writes them.
func TestVectorsAreCurrent(t *testing.T) { vectortest.Whole(t, vectorDir, compose(t), *rewrite) }

// readVectors reads a file as another implementation would.
func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	vectortest.Read(t, filepath.Join(vectorDir, name), into)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestR06EvidenceVectors runs every vector through Parse and Assess, from the
// files alone.
func TestR06EvidenceVectors(t *testing.T) {
	refused := make(map[string]bool)
	for _, name := range []string{"accept.json", "reject.json"} {
		var f setFile
		readVectors(t, name, &f)
		if f.Version != 1 || len(f.Vectors) < 15 {
			t.Fatalf("%s: version %d with %d vectors", name, f.Version, len(f.Vectors))
		}
		seen := make(map[string]bool)
		for _, v := range f.Vectors {
			t.Run(strings.TrimSuffix(name, ".json")+"/"+v.Name, func(t *testing.T) {
				if seen[v.Name] || (v.Expect == "accept") != (name == "accept.json") {
					t.Error("name twice, or in the wrong file")
				}
				seen[v.Name], refused[v.Expect] = true, true
				a, err := v.judge(t)
				if got := kindOf(t, err); got != v.Expect {
					t.Fatalf("got %s (%v), want %s", got, err, v.Expect)
				}
				if err == nil {
					if d := cmp.Diff(v.Report, reportOf(a)); d != "" {
						t.Error(d)
					}
				}
			})
		}
	}
	for _, name := range []string{
		"receipt-malformed", "receipt-foreign", "receipt-signer", "receipt-standing", "receipt-dependent", "receipt-order",
		"receipt-repeated", "receipt-set", "evidence-kind",
	} {
		if !refused[name] {
			t.Errorf("no vector is refused as %s", name)
		}
	}
}

// judge answers a vector's question.
func (v setVector) judge(t *testing.T) (possession.Assessment, error) {
	t.Helper()
	q := possession.Question{Before: time.Unix(v.Before, 0), Now: time.Unix(v.Now, 0)}
	s := openRegistry(t, v.Registry, q.Now)
	var err error
	if q.CSI, err = csi.ParseCanonical(v.CSI); err != nil {
		t.Fatal(err)
	}
	if q.Holder, err = key.PublicFromBytes(unhex(t, v.Holder)); err != nil {
		t.Fatal(err)
	}
	for _, name := range v.Barred {
		o, err := registry.ParseOperator(name)
		if err != nil {
			t.Fatal(err)
		}
		q.Barred = append(q.Barred, o)
	}
	if v.Witnessed != 0 {
		q.Witnessed = time.Unix(v.Witnessed, 0)
		if q.WitnessedBy, err = registry.ParseOperator(v.WitnessedBy); err != nil {
			t.Fatal(err)
		}
	}
	var receipts [][]byte
	for _, r := range v.Receipts {
		receipts = append(receipts, unhex(t, r))
	}
	return judge(s, q, receipts)
}

// TestHashVectors computes every hash of hashes.json from its inputs.
func TestHashVectors(t *testing.T) {
	var f hashFile
	readVectors(t, "hashes.json", &f)
	if len(f.Hashes) == 0 || len(f.Assigned) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range f.Hashes {
		id, err := csi.ParseCanonical(v.CSI)
		if err != nil {
			t.Fatal(err)
		}
		holder, err := key.PublicFromBytes(unhex(t, v.Holder))
		if err != nil {
			t.Fatal(err)
		}
		nonce := [possession.NonceSize]byte(unhex(t, v.Nonce))
		subject, response := possession.SubjectOf(id, holder), possession.Response(id, holder, nonce)
		if hex.EncodeToString(subject[:]) != v.Subject || hex.EncodeToString(response[:]) != v.Response {
			t.Errorf("%s: subject %x, response %x", v.CSI, subject, response)
		}
		if mail.Token([mail.TokenSize]byte(nonce[:])) != v.Token || mail.Response(response, holder.ID().String()) != v.Text {
			t.Errorf("%s: token or text", v.CSI)
		}
	}
	s := openRegistry(t, "registry/members.cbor", time.Unix(f.Assigned[0].Time, 0))
	for _, v := range f.Assigned {
		var provers []string
		for _, p := range possession.Assigned(s, worldtest.CSI(t, v.CSI), time.Unix(v.Time, 0)) {
			provers = append(provers, p.ID.String())
		}
		if !slices.Equal(provers, v.Provers) {
			t.Errorf("%s at %d: %v", v.CSI, v.Time, provers)
		}
	}
}

// openRegistry verifies a registry file of the vectors at a time.
func openRegistry(t *testing.T, name string, now time.Time) *registry.Snapshot {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(vectorDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r, digest, err := registry.ParseRecord(read(name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := registry.Assemble(r, digest, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
