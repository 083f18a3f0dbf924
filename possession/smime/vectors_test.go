package smime_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/internal/vectortest"
	"whither/possession/smime"
)

var update = flag.Bool("update", false, "rewrite the vectors")

// vector is one element of vectors/smime/vectors.json; see the README there.
type vector struct {
	Name      string        `json:"name"`
	Signature string        `json:"signature"`
	Roots     []string      `json:"roots"`
	Lists     []string      `json:"revocation_lists"`
	Want      vectorWant    `json:"want"`
	Expect    string        `json:"expect"`
	Report    *vectorReport `json:"report,omitempty"`
}

type vectorWant struct {
	CSI         string `json:"csi"`
	Response    string `json:"response"`
	Fingerprint string `json:"fingerprint"`
	Now         int64  `json:"now"`
}

type vectorReport struct {
	Leaf           string `json:"leaf"`
	KeyDigest      string `json:"key_digest"`
	Root           string `json:"root"`
	Until          int64  `json:"until"`
	SignedAt       int64  `json:"signed_at"`
	ArtefactDigest string `json:"artefact_digest"`
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hexes(list [][]byte) []string {
	out := []string{}
	for _, b := range list {
		out = append(out, hex.EncodeToString(b))
	}
	return out
}

func (v vector) made(t testing.TB) made {
	t.Helper()
	m := made{signature: unhex(t, v.Signature), want: smime.Want{
		CSI: parseCSI(t, v.Want.CSI), Response: [32]byte(unhex(t, v.Want.Response)),
		Fingerprint: v.Want.Fingerprint, Now: time.Unix(v.Want.Now, 0),
	}}
	for _, s := range v.Roots {
		m.roots = append(m.roots, unhex(t, s))
	}
	for _, s := range v.Lists {
		m.lists = append(m.lists, unhex(t, s))
	}
	return m
}

func reportOf(r smime.Report) *vectorReport {
	return &vectorReport{
		Leaf: hex.EncodeToString(r.Leaf[:]), KeyDigest: hex.EncodeToString(r.KeyDigest[:]), Root: hex.EncodeToString(r.Root[:]),
		Until: r.Until.Unix(), SignedAt: r.SignedAt.Unix(), ArtefactDigest: hex.EncodeToString(r.ArtefactDigest[:]),
	}
}

// composeVectors makes the vectors anew. Everything in them is fixed: keys,
// times, and signatures, which have no randomness or a fixed salt.
func composeVectors(t *testing.T) []byte {
	var vectors []vector
	names := make(map[string]bool)
	for _, c := range append(accepted(), refused()...) {
		m := c.build(t)
		v := vector{
			Name: c.name, Signature: hex.EncodeToString(m.signature), Roots: hexes(m.roots), Lists: hexes(m.lists), Expect: kindOf(t, c.expect),
			Want: vectorWant{
				CSI: m.want.CSI.Canonical(), Response: hex.EncodeToString(m.want.Response[:]), Fingerprint: m.want.Fingerprint, Now: m.want.Now.Unix(),
			},
		}
		if names[c.name] {
			t.Fatalf("two cases are named %s", c.name)
		}
		names[c.name] = true
		if c.expect == nil {
			report, err := smime.Verify(m.signature, m.wanted(t))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			v.Report = reportOf(report)
		}
		vectors = append(vectors, v)
	}
	return vectortest.JSON(t, vectors)
}

// TestVectorsAreCurrent composes every vector again and compares it with the
// file; with -update it writes it.
func TestVectorsAreCurrent(t *testing.T) {
	vectortest.Current(t, vectorDir, map[string][]byte{"vectors.json": composeVectors(t)}, *update)
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	var vectors []vector
	if vectortest.Read(t, filepath.Join(vectorDir, "vectors.json"), &vectors); len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	return vectors
}

// TestR06SignaturesVerifyOffline judges every vector from the file alone, and
// checks that each kind of refusal has one.
func TestR06SignaturesVerifyOffline(t *testing.T) {
	missing := kinds()
	for _, v := range readVectors(t) {
		delete(missing, v.Expect)
		t.Run(v.Name, func(t *testing.T) {
			want, known := kinds()[v.Expect]
			if !known {
				t.Fatalf("unknown kind %q", v.Expect)
			}
			m := v.made(t)
			report, err := smime.Verify(m.signature, m.wanted(t))
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err != nil {
				checkError(t, err)
				if report != (smime.Report{}) {
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

// checkError checks that an error is of one kind and tells nothing of a person
// or of what a certificate says.
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
	for _, secret := range []string{"@", "alice", "Alice", "mallory", "example", "Example", "4711", fingerprint} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q contains %q", err, secret)
		}
	}
}
