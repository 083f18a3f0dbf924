package stir_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/internal/vectortest"
	"whither/key"
	"whither/possession/stir"
	"whither/possession/stir/chain"
	"whither/possession/stir/passport"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorFile = "../../vectors/stir/evidence.json"

// vectors is evidence.json; see the README there.
type vectors struct {
	Certificates map[string][]byte      `json:"certificates"` // DER by name
	Trusts       map[string]trustVector `json:"trusts"`
	Cases        []caseVector           `json:"cases"`
}

type trustVector struct {
	Roots       []anchorVector      `json:"roots"`
	Authorities []anchorVector      `json:"authorities"`
	Ranges      map[string][]string `json:"ranges"`
}

type anchorVector struct {
	Certificate string   `json:"certificate"`
	Prefixes    []string `json:"prefixes,omitempty"`
}

type caseVector struct {
	Name   string        `json:"name"`
	Form   stir.Form     `json:"form"`
	Token  string        `json:"token"`
	Body   string        `json:"body,omitempty"`
	Chain  []string      `json:"chain,omitempty"`
	Trust  string        `json:"trust"`
	Want   wantVector    `json:"want"`
	Expect string        `json:"expect"`
	Report *reportVector `json:"report,omitempty"`
}

type wantVector struct {
	CSI     string `json:"csi"`
	Holder  string `json:"holder"`
	Nonce   string `json:"nonce"`
	DestTN  string `json:"dest_tn,omitempty"`
	DestURI string `json:"dest_uri,omitempty"`
	Now     int64  `json:"now"`
	MaxAge  int64  `json:"max_age"`
}

type reportVector struct {
	Form           string `json:"form"`
	Level          uint8  `json:"level"`
	Evidence       int64  `json:"evidence"`
	ArtefactDigest string `json:"artefact_digest"`
	KeySeen        string `json:"key_seen"`
}

// nameCertificate returns the name under which a certificate stands in v: that
// of its subject.
func (v *vectors) nameCertificate(t testing.TB, der []byte) string {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(c.Subject.CommonName, " ", "-")
	if have, taken := v.Certificates[name]; taken && !bytes.Equal(have, der) {
		t.Fatalf("two certificates are named %s", name)
	}
	v.Certificates[name] = der
	return name
}

func (v *vectors) anchors(t testing.TB, list []chain.Anchor) []anchorVector {
	t.Helper()
	out := []anchorVector{}
	for _, a := range list {
		out = append(out, anchorVector{v.nameCertificate(t, a.Certificate), a.Prefixes})
	}
	return out
}

func (v vectors) trust(t testing.TB, name string) stir.Trust {
	t.Helper()
	given, ok := v.Trusts[name]
	if !ok {
		t.Fatalf("no trust %q", name)
	}
	var out trust
	for _, a := range given.Roots {
		out.roots = append(out.roots, chain.Anchor{Certificate: v.Certificates[a.Certificate], Prefixes: a.Prefixes})
	}
	for _, a := range given.Authorities {
		out.authorities = append(out.authorities, chain.Anchor{Certificate: v.Certificates[a.Certificate], Prefixes: a.Prefixes})
	}
	out.ranges = given.Ranges
	return out.trust(t)
}

func (v vectors) artefact(t testing.TB, c caseVector) stir.Artefact {
	t.Helper()
	a := stir.Artefact{Form: c.Form, Token: c.Token, Body: []byte(c.Body)}
	for _, name := range c.Chain {
		der, ok := v.Certificates[name]
		if !ok {
			t.Fatalf("no certificate %q", name)
		}
		a.Chain = append(a.Chain, der)
	}
	return a
}

func (v wantVector) want(t testing.TB) stir.Want {
	t.Helper()
	raw, err := hex.DecodeString(v.Holder)
	if err != nil {
		t.Fatal(err)
	}
	k, err := key.PublicFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	w := stir.Want{
		CSI: identifier(t, v.CSI), Holder: k, Dest: passport.Party{TN: v.DestTN, URI: v.DestURI},
		Now: time.Unix(v.Now, 0), MaxAge: time.Duration(v.MaxAge) * time.Second,
	}
	if n, err := hex.Decode(w.Nonce[:], []byte(v.Nonce)); err != nil || n != len(w.Nonce) {
		t.Fatalf("nonce %q", v.Nonce)
	}
	return w
}

func reportOf(r stir.Report) *reportVector {
	return &reportVector{
		Form: r.Form.String(), Level: uint8(r.Level), Evidence: r.Evidence.Unix(),
		ArtefactDigest: hex.EncodeToString(r.ArtefactDigest[:]), KeySeen: hex.EncodeToString(r.KeySeen[:]),
	}
}

func kindOf(t testing.TB, err error) string {
	t.Helper()
	for name, kind := range kinds() {
		if errors.Is(err, kind) {
			return name
		}
	}
	t.Fatalf("%v is of no kind", err)
	return ""
}

// bytesOf encodes an artefact. What Marshal refuses cannot be a vector.
func bytesOf(a stir.Artefact) []byte {
	b, err := a.Marshal()
	if err != nil {
		return nil
	}
	return b
}

// composeVectors makes all cases anew. Keys, times and signatures are fixed.
func composeVectors(t testing.TB) vectors {
	t.Helper()
	w := newPhones(t)
	v := vectors{Certificates: make(map[string][]byte), Trusts: make(map[string]trustVector)}
	for _, c := range append(accepted(), refused()...) {
		d := newDraft(t, w, c.form)
		c.edit(t, d)
		a := d.artefact(t)
		one := caseVector{
			Name: c.name, Form: a.Form, Token: a.Token, Body: string(a.Body), Expect: kindOf(t, c.expect),
			Trust: v.nameTrust(t, trustVector{v.anchors(t, d.trust.roots), v.anchors(t, d.trust.authorities), d.trust.ranges}),
			Want: wantVector{
				CSI: d.want.CSI.Canonical(), Holder: hex.EncodeToString(d.want.Holder.Bytes()), Nonce: hex.EncodeToString(d.want.Nonce[:]),
				DestTN: d.want.Dest.TN, DestURI: d.want.Dest.URI, Now: d.want.Now.Unix(), MaxAge: int64(d.want.MaxAge / time.Second),
			},
		}
		for _, der := range a.Chain {
			one.Chain = append(one.Chain, v.nameCertificate(t, der))
		}
		if c.expect == nil {
			report, err := stir.Verify(a, d.trust.trust(t), d.want)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			one.Report = reportOf(report)
		}
		v.Cases = append(v.Cases, one)
	}
	return v
}

// nameTrust returns the name under which a view of the world stands in v.
func (v *vectors) nameTrust(t testing.TB, tv trustVector) string {
	t.Helper()
	for name, have := range v.Trusts {
		if cmp.Equal(have, tv) {
			return name
		}
	}
	name := "trust" + strconv.Itoa(len(v.Trusts)+1)
	v.Trusts[name] = tv
	return name
}

func TestVectorsAreCurrent(t *testing.T) {
	dir, name := filepath.Split(vectorFile)
	vectortest.Current(t, dir, map[string][]byte{name: vectortest.JSON(t, composeVectors(t))}, *update)
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	var v vectors
	if vectortest.Read(t, vectorFile, &v); len(v.Cases) == 0 || len(v.Trusts) == 0 || len(v.Certificates) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

// TestR06TelephoneEvidenceVerifiesOffline judges every vector from the file
// alone, and checks that each kind of refusal has one.
func TestR06TelephoneEvidenceVerifiesOffline(t *testing.T) {
	v := readVectors(t)
	missing := kinds()
	for _, c := range v.Cases {
		delete(missing, c.Expect)
		t.Run(c.Name, func(t *testing.T) {
			want, known := kinds()[c.Expect]
			if !known {
				t.Fatalf("unknown kind %q", c.Expect)
			}
			report, err := stir.Verify(v.artefact(t, c), v.trust(t, c.Trust), c.Want.want(t))
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err != nil {
				checkError(t, err)
				if report != (stir.Report{}) {
					t.Error("a report beside an error")
				}
				return
			}
			if diff := cmp.Diff(c.Report, reportOf(report)); diff != "" {
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
	for _, secret := range []string{"1215555", "prover.example", "cert.example", "eyJ", origID} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q contains %q", err, secret)
		}
	}
}
