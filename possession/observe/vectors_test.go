package observe_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/internal/vectortest"
	"whither/possession/observe"
	"whither/registry"
)

var rewrite = flag.Bool("update", false, "rewrite the vectors")

const vectorDir = "../../vectors/observation"

// vectorFile is the form of accept.json and reject.json; see the README there.
type vectorFile struct {
	Spec    string   `json:"spec"`
	Version int      `json:"version"`
	Vectors []vector `json:"vectors"`
}

type vector struct {
	Name        string   `json:"name"`
	Registry    string   `json:"registry"`
	Now         int64    `json:"now"`
	Barred      []string `json:"barred,omitempty"`
	Witnessed   int64    `json:"witnessed,omitempty"`
	WitnessedBy string   `json:"witnessed_by,omitempty"`
	Observation string   `json:"observation,omitempty"`
	List        string   `json:"list,omitempty"`
	Excerpt     string   `json:"excerpt,omitempty"`
	Expect      string   `json:"expect"`
	Report      *report  `json:"report,omitempty"`
}

type report struct {
	Observer string  `json:"observer"`
	Operator string  `json:"operator"`
	Signed   int64   `json:"signed"`
	First    int64   `json:"first,omitempty"`
	Last     int64   `json:"last,omitempty"`
	Day      uint32  `json:"day,omitempty"`
	Digest   string  `json:"digest,omitempty"` // of a list
	Previous string  `json:"previous,omitempty"`
	Keys     []entry `json:"keys"`
}

type entry struct {
	Kind   uint8  `json:"kind"`
	Name   string `json:"name"`
	Label  string `json:"label,omitempty"`
	Digest string `json:"digest"`
	DNSSEC uint8  `json:"dnssec"`
}

func entryOf(k observe.Key, d observe.DNSSEC) entry {
	return entry{uint8(k.Kind), k.Name, k.Label, hex.EncodeToString(k.Digest[:]), uint8(d)}
}

func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "observation-malformed": observe.ErrObservation, "list-malformed": observe.ErrList, "excerpt-malformed": observe.ErrExcerpt, "observer-unknown": observe.ErrUnknown,
		"observer-standing": observe.ErrStanding, "observer-dependent": observe.ErrDependent, "order": observe.ErrOrder,
		"signature": observe.ErrSignature,
	}
}

func kindOf(t testing.TB, err error) string {
	t.Helper()
	all := kinds()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if errors.Is(err, all[name]) {
			return name
		}
	}
	t.Fatalf("no kind for %v", err)
	return ""
}

// judge verifies a statement of either form and reports what it says.
func judge(b []byte, list bool, s *registry.Snapshot, q observe.Question) (*report, error) {
	if list {
		u, err := observe.ParseList(b)
		if err != nil {
			return nil, err
		}
		v, err := u.Verify(s, q)
		if err != nil {
			return nil, err
		}
		l, d := u.Claims(), v.Digest()
		r := &report{
			Observer: v.Observer().String(), Operator: v.Operator().String(), Signed: l.Signed.Unix(),
			Day: uint32(v.Day()), Digest: hex.EncodeToString(d[:]),
		}
		if l.Previous != [32]byte{} {
			r.Previous = hex.EncodeToString(l.Previous[:])
		}
		for _, e := range l.Entries {
			r.Keys = append(r.Keys, entryOf(e.Key, e.DNSSEC))
		}
		return r, nil
	}
	u, err := observe.Parse(b)
	if err != nil {
		return nil, err
	}
	v, err := u.Verify(s, q)
	if err != nil {
		return nil, err
	}
	o := v.Observation()
	return &report{
		Observer: v.Observer().String(), Operator: v.Operator().String(), Signed: o.Signed.Unix(),
		First: o.First.Unix(), Last: o.Last.Unix(), Keys: []entry{entryOf(o.Key, o.DNSSEC)},
	}, nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// compose makes every file anew. Everything in them is fixed, signatures too.
func compose(t *testing.T) map[string][]byte {
	t.Helper()
	base := newScene(t)
	files := map[string][]byte{"registry/members.cbor": base.File()}
	into := map[string]*vectorFile{}
	for _, name := range []string{"accept.json", "reject.json"} {
		into[name] = &vectorFile{Spec: "docs/spec/observation.md", Version: 1}
	}
	add := func(name string, expect error, s *scene, v vector, judge func(*registry.Snapshot, observe.Question) (*report, error)) {
		v.Name, v.Now, v.WitnessedBy, v.Expect = name, s.q.Now.Unix(), s.q.WitnessedBy.String(), kindOf(t, expect)
		for _, o := range s.q.Barred {
			v.Barred = append(v.Barred, o.String())
		}
		if !s.q.Witnessed.IsZero() {
			v.Witnessed = s.q.Witnessed.Unix()
		}
		file := s.File()
		v.Registry = "registry/" + strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-") + ".cbor"
		for _, other := range slices.Sorted(maps.Keys(files)) {
			if bytes.Equal(files[other], file) { // made for a case before
				v.Registry = other
			}
		}
		files[v.Registry] = file
		list := into["reject.json"]
		if expect == nil {
			list = into["accept.json"]
			var err error
			if v.Report, err = judge(s.Snapshot(), s.q); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if slices.ContainsFunc(list.Vectors, func(other vector) bool { return other.Name == v.Name }) {
			t.Fatalf("two cases are named %s", v.Name)
		}
		list.Vectors = append(list.Vectors, v)
	}
	for _, c := range cases() {
		s := newScene(t)
		c.bend(s)
		b := s.bytes(c.list)
		v := vector{Observation: hex.EncodeToString(b)}
		if c.list {
			v = vector{List: hex.EncodeToString(b)}
		}
		add(c.name, c.expect, s, v, func(snapshot *registry.Snapshot, q observe.Question) (*report, error) {
			return judge(b, c.list, snapshot, q)
		})
	}
	for _, c := range excerptCases() {
		s := newScene(t)
		b := c.excerpt(s)
		add(c.name, c.expect, s, vector{Excerpt: hex.EncodeToString(b)}, func(snapshot *registry.Snapshot, q observe.Question) (*report, error) {
			return judgeWord(b, snapshot, q)
		})
	}
	for name, f := range into {
		b, err := json.MarshalIndent(f, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files[name] = append(b, '\n')
	}
	return files
}

// TestVectorsAreCurrent composes every file again and compares; with -update it
// writes them.
func TestVectorsAreCurrent(t *testing.T) { vectortest.Whole(t, vectorDir, compose(t), *rewrite) }

func readVectors(t testing.TB, name string) []vector {
	t.Helper()
	var f vectorFile
	if vectortest.Read(t, filepath.Join(vectorDir, name), &f); f.Version != 1 || len(f.Vectors) == 0 {
		t.Fatalf("%s: version %d with %d vectors", name, f.Version, len(f.Vectors))
	}
	return f.Vectors
}

func (v vector) statement(t testing.TB) (b []byte, list bool) {
	t.Helper()
	b, err := hex.DecodeString(v.Observation + v.List + v.Excerpt)
	if err != nil {
		t.Fatal(err)
	}
	return b, v.List != ""
}

func (v vector) question(t testing.TB) (*registry.Snapshot, observe.Question) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(vectorDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r, digest, err := registry.ParseRecord(read(v.Registry))
	if err != nil {
		t.Fatal(err)
	}
	q := observe.Question{Now: time.Unix(v.Now, 0)}
	s, err := registry.Assemble(r, digest, nil, q.Now)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(name string) registry.Operator {
		o, err := registry.ParseOperator(name)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, name := range v.Barred {
		q.Barred = append(q.Barred, parse(name))
	}
	if v.Witnessed != 0 {
		q.Witnessed = time.Unix(v.Witnessed, 0)
	}
	if v.WitnessedBy != "" {
		q.WitnessedBy = parse(v.WitnessedBy)
	}
	return s, q
}

// TestR06ObservationsVerifyOffline judges every vector from the files alone, and
// checks that each kind of refusal has one.
func TestR06ObservationsVerifyOffline(t *testing.T) {
	missing := kinds()
	for _, v := range append(readVectors(t, "accept.json"), readVectors(t, "reject.json")...) {
		delete(missing, v.Expect)
		t.Run(v.Name, func(t *testing.T) {
			want, known := kinds()[v.Expect]
			if !known {
				t.Fatalf("unknown kind %q", v.Expect)
			}
			b, list := v.statement(t)
			s, q := v.question(t)
			got, err := judge(b, list, s, q)
			if v.Excerpt != "" {
				got, err = judgeWord(b, s, q)
			}
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err != nil {
				checkError(t, err)
			}
			if diff := cmp.Diff(v.Report, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name := range missing {
		t.Errorf("no vector is refused as %q", name)
	}
}

// checkError checks that an error is of one kind and names no domain, no issuer
// and no key. Parties are named: who is to be asked is no secret.
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
	for _, secret := range []string{"example.org", "example.net", "s1", "2026"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q contains %q", err, secret)
		}
	}
}
