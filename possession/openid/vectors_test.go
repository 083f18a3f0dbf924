package openid_test

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
	"whither/possession/openid"
)

var update = flag.Bool("update", false, "rewrite the vectors")

// vector is one element of vectors/openid/vectors.json; see the README there.
type vector struct {
	Name    string              `json:"name"`
	Token   string              `json:"token"`
	Issuers map[string]provider `json:"issuers"`
	Want    vectorWant          `json:"want"`
	Expect  string              `json:"expect"`
	Report  *vectorReport       `json:"report,omitempty"`
}

type vectorWant struct {
	CSI      string `json:"csi"`
	Response string `json:"response"`
	Now      int64  `json:"now"`
}

type vectorReport struct {
	Issuer         string `json:"issuer"`
	Subject        string `json:"subject"`
	KID            string `json:"kid"`
	KeyDigest      string `json:"key_digest"`
	SignedIn       int64  `json:"signed_in"`
	SignedAt       int64  `json:"signed_at"`
	Evidence       int64  `json:"evidence"`
	ArtefactDigest string `json:"artefact_digest"`
}

func (w vectorWant) want(t testing.TB) openid.Want {
	t.Helper()
	response, err := hex.DecodeString(w.Response)
	if err != nil || len(response) != 32 {
		t.Fatalf("response %q", w.Response)
	}
	return openid.Want{CSI: parseCSI(t, w.CSI), Response: [32]byte(response), Now: time.Unix(w.Now, 0)}
}

func reportOf(r openid.Report) *vectorReport {
	return &vectorReport{
		Issuer: r.Issuer, Subject: hex.EncodeToString(r.Subject[:]), KID: r.KID, KeyDigest: hex.EncodeToString(r.KeyDigest[:]),
		SignedIn: r.SignedIn.Unix(), SignedAt: r.SignedAt.Unix(), Evidence: r.Evidence().Unix(),
		ArtefactDigest: hex.EncodeToString(r.ArtefactDigest[:]),
	}
}

// composeVectors makes the vectors anew. Everything in them is fixed: keys,
// times, and signatures, which have no randomness.
func composeVectors(t *testing.T) []byte {
	var vectors []vector
	names := make(map[string]bool)
	for _, c := range append(accepted(), refused()...) {
		d, token := c.build(t)
		v := vector{
			Name: c.name, Token: token, Issuers: d.issuers, Expect: kindOf(t, c.expect),
			Want: vectorWant{CSI: d.want.CSI.Canonical(), Response: hex.EncodeToString(d.want.Response[:]), Now: d.want.Now.Unix()},
		}
		if names[c.name] {
			t.Fatalf("two cases are named %s", c.name)
		}
		names[c.name] = true
		if c.expect == nil {
			report, err := openid.Verify([]byte(token), d.want, lookup(d.issuers))
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

// TestR06TokensVerifyOffline judges every vector from the file alone, and
// checks that each kind of refusal has one.
func TestR06TokensVerifyOffline(t *testing.T) {
	missing := kinds()
	for _, v := range readVectors(t) {
		delete(missing, v.Expect)
		t.Run(v.Name, func(t *testing.T) {
			want, known := kinds()[v.Expect]
			if !known {
				t.Fatalf("unknown kind %q", v.Expect)
			}
			report, err := openid.Verify([]byte(v.Token), v.Want.want(t), lookup(v.Issuers))
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err != nil {
				checkError(t, err)
				if report != (openid.Report{}) {
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

// checkError checks that an error is of one kind, says what to do, and tells
// nothing of a person or of what a token says.
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
	for _, secret := range []string{"@", "alice", "mallory", "example", "2482", clientID, "shop"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q contains %q", err, secret)
		}
	}
}
