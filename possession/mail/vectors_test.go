package mail_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/possession/mail"
)

var update = flag.Bool("update", false, "rewrite the vectors")

// vector is one element of vectors/mail/vectors.json; see the README there.
type vector struct {
	Name    string              `json:"name"`
	Message string              `json:"message"`
	Records map[string][]string `json:"records"`
	Want    vectorWant          `json:"want"`
	Expect  string              `json:"expect"`
	Report  *vectorReport       `json:"report,omitempty"`
}

type vectorWant struct {
	Address     string `json:"address"`
	ReplyTo     string `json:"reply_to"`
	Part1       string `json:"part1"`
	Response    string `json:"response"`
	Fingerprint string `json:"fingerprint"`
	Now         int64  `json:"now"`
}

type vectorReport struct {
	Domain         string `json:"domain"`
	Selector       string `json:"selector"`
	KeyDigest      string `json:"key_digest"`
	SignedAt       int64  `json:"signed_at"`
	ArtefactDigest string `json:"artefact_digest"`
}

func (w vectorWant) want(t testing.TB) mail.Want {
	t.Helper()
	response, err := hex.DecodeString(w.Response)
	if err != nil || len(response) != 32 {
		t.Fatalf("response %q", w.Response)
	}
	return mail.Want{
		Address: w.Address, ReplyTo: w.ReplyTo, Part1: w.Part1, Response: [32]byte(response),
		Fingerprint: w.Fingerprint, Now: time.Unix(w.Now, 0),
	}
}

func reportOf(r mail.Report) *vectorReport {
	v := &vectorReport{
		Domain: r.Domain, Selector: r.Selector,
		KeyDigest: hex.EncodeToString(r.KeyDigest[:]), ArtefactDigest: hex.EncodeToString(r.ArtefactDigest[:]),
	}
	if !r.SignedAt.IsZero() {
		v.SignedAt = r.SignedAt.Unix()
	}
	return v
}

// composeVectors makes the vectors and their messages anew. Everything in them
// is fixed: keys, times, and signatures, which have no randomness.
func composeVectors(t *testing.T) ([]vector, map[string][]byte) {
	var vectors []vector
	messages := make(map[string][]byte)
	for _, c := range append(accepted(), refused()...) {
		d := c.build(t)
		v := vector{
			Name: c.name, Message: c.name + ".eml", Records: make(map[string][]string), Expect: kindOf(t, c.expect),
			Want: vectorWant{
				Address: d.want.Address, ReplyTo: d.want.ReplyTo, Part1: d.want.Part1,
				Response: hex.EncodeToString(d.want.Response[:]), Fingerprint: d.want.Fingerprint, Now: d.want.Now.Unix(),
			},
		}
		for _, s := range d.signers {
			if txt, ok := d.records[s.selector]; ok {
				v.Records[s.selector] = txt
			}
		}
		if _, twice := messages[v.Message]; twice {
			t.Fatalf("two cases are named %s", c.name)
		}
		if c.expect == nil {
			report, err := mail.Verify([]byte(d.raw), d.want, lookup(v.Records))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			v.Report = reportOf(report)
		}
		messages[v.Message] = []byte(d.raw)
		vectors = append(vectors, v)
	}
	return vectors, messages
}

// TestVectorsAreCurrent composes every vector again and compares it with the
// files; with -update it writes them.
func TestVectorsAreCurrent(t *testing.T) {
	vectors, messages := composeVectors(t)
	index, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	messages["vectors.json"] = append(index, '\n')
	if *update {
		writeVectors(t, messages)
	}
	for name, want := range messages {
		got, err := os.ReadFile(filepath.Join(vectorDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the test composes; run it with -update", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(vectorDir, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if _, ok := messages[filepath.Base(path)]; !ok {
			t.Errorf("%s belongs to no case", path)
		}
	}
}

func writeVectors(t *testing.T, files map[string][]byte) {
	old, err := filepath.Glob(filepath.Join(vectorDir, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(vectorDir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	return vectors
}

func (v vector) message(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(vectorDir, v.Message))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestR06RepliesVerifyOffline judges every vector from the files alone, and
// checks that each kind of refusal has one.
func TestR06RepliesVerifyOffline(t *testing.T) {
	missing := kinds()
	for _, v := range readVectors(t) {
		delete(missing, v.Expect)
		t.Run(v.Name, func(t *testing.T) {
			want, known := kinds()[v.Expect]
			if !known {
				t.Fatalf("unknown kind %q", v.Expect)
			}
			report, err := mail.Verify(v.message(t), v.Want.want(t), lookup(v.Records))
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err != nil {
				checkError(t, err)
				if report != (mail.Report{}) {
					t.Error("a report beside an error")
				}
				return
			}
			if diff := cmp.Diff(v.Report, reportOf(report)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name := range missing {
		t.Errorf("no vector is refused as %q", name)
	}
}

// checkError checks that an error is of one kind and tells nothing of a person.
func checkError(t testing.TB, err error) {
	t.Helper()
	of := 0
	for name, kind := range kinds() {
		if name != "accept" && errors.Is(err, kind) {
			of++
		}
	}
	if of != 1 {
		t.Errorf("%q is of %d kinds", err, of)
	}
	for _, secret := range []string{"@", "alice", "mallory", "example", part1, fingerprint} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q contains %q", err, secret)
		}
	}
}
