package tuf_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/key"
	"whither/registry"
	"whither/registry/tuf"
)

var day0 = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const bins = 32

// repository is a publication in memory: files by name.
type repository struct {
	t         testing.TB
	files     map[string][]byte
	authority tuf.Authority
	roots     []key.Private
	record    registry.Record
	root      []byte // the first
	now       time.Time

	rootVersion, targetsVersion, selvesVersion, snapshotVersion, stampVersion int64
	targets, selves, snapshot                                                 []byte
	listed                                                                    map[string][]byte
}

func newRepository(t testing.TB, parties int) *repository {
	r := &repository{t: t, files: make(map[string][]byte), now: day0}
	for i := range 3 {
		r.roots = append(r.roots, worldtest.Key(t, fmt.Sprintf("root-%d", i)))
	}
	r.authority = tuf.Authority{
		Root:        tuf.Signers{Threshold: 2, Keys: []key.Public{r.roots[0].Public(), r.roots[1].Public(), r.roots[2].Public()}},
		Federation:  tuf.Signers{Threshold: 2, Keys: []key.Public{r.key("fed-0").Public(), r.key("fed-1").Public(), r.key("fed-2").Public()}},
		Publication: r.key("publication").Public(),
	}
	r.record = registry.Record{Federation: "federation.example", Issued: day0, Policy: registry.Policy{Levels: map[string]uint8{"mailto": 4, "tel": 2}}}
	for i := range parties {
		r.record.Parties = append(r.record.Parties, r.party(i))
	}
	r.rotate()
	r.publish()
	r.root = r.files["1.root.json"]
	return r
}

func (r *repository) key(name string) key.Private { return worldtest.Key(r.t, name) }

// party is a member: every tenth a DP, the others MSPs.
func (r *repository) party(i int) registry.Entry {
	name, role := fmt.Sprintf("msp-%04d.example", i), registry.RoleMSP
	if i%10 == 0 {
		name, role = fmt.Sprintf("dp-%04d.example", i), registry.RoleDP
	}
	operator, err := registry.ParseOperator(fmt.Sprintf("operator-%04d.example", i))
	if err != nil {
		r.t.Fatal(err)
	}
	g := registry.Grant{
		ID: worldtest.Party(r.t, name), Operator: operator, OperatorKey: r.key("operator " + name).Public(),
		Roles: []registry.Role{role}, Jurisdictions: []string{[]string{"CH", "DE", "US", "FR"}[i%4]},
		Standing: registry.Standing{State: registry.Active, Since: day0.Add(-time.Duration(i) * time.Hour).Unix()},
	}
	if role == registry.RoleMSP {
		bit := uint16(i)
		g.Bit = &bit
	}
	return registry.Entry{Grant: g, Self: r.self(g, 0)}
}

// self is a self record with the n-th signing key.
func (r *repository) self(g registry.Grant, n int) []byte {
	name := g.ID.String()
	pin := sha256.Sum256([]byte(name))
	b, err := registry.SignSelf(registry.Self{
		ID: g.ID, Issued: r.now.Add(-time.Minute).Unix(), Endpoint: "https://" + name + ":8443", Pins: [][]byte{pin[:]},
		Keys: []registry.Key{{Role: g.Roles[0], Public: r.key(fmt.Sprintf("%s %d", name, n)).Public(), From: r.now.Unix()}},
	}, r.key("operator "+name))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// sign returns a signed document's file.
func (r *repository) sign(d tuf.Document, err error, keys ...key.Private) []byte {
	r.t.Helper()
	for _, k := range keys {
		if err == nil {
			d, err = d.Sign(k)
		}
	}
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := d.Marshal()
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// rotate publishes the next root.
func (r *repository) rotate() {
	r.rootVersion++
	d, err := r.authority.RootFile(r.rootVersion, r.now.AddDate(1, 0, 0))
	r.files[fmt.Sprintf("%d.root.json", r.rootVersion)] = r.sign(d, err, r.roots[0], r.roots[1])
}

// publish makes what changed.
func (r *repository) publish() {
	r.t.Helper()
	files, err := tuf.Targets(r.record, bins)
	if err != nil {
		r.t.Fatal(err)
	}
	for path, b := range files {
		dir, name, ok := strings.Cut(path, "/")
		if !ok {
			dir, name = "", path
		} else {
			dir += "/"
		}
		r.files[fmt.Sprintf("%s%x.%s", dir, sha256.Sum256(b), name)] = b
	}
	changed := func(selves bool) bool {
		for path, b := range files {
			if strings.HasPrefix(path, "selves/") == selves && !bytes.Equal(r.listed[path], b) {
				return true
			}
		}
		return false
	}
	if changed(false) {
		r.targetsVersion++
		d, err := r.authority.TargetsFile(r.targetsVersion, r.now.AddDate(0, 3, 0), files)
		r.targets = r.sign(d, err, r.key("fed-0"), r.key("fed-2"))
		r.files[fmt.Sprintf("%d.targets.json", r.targetsVersion)] = r.targets
	}
	if changed(true) {
		r.selvesVersion++
		d, err := tuf.SelvesFile(r.selvesVersion, r.now.AddDate(0, 0, 30), files)
		r.selves = r.sign(d, err, r.key("publication"))
		r.files[fmt.Sprintf("%d.selves.json", r.selvesVersion)] = r.selves
	}
	r.listed = files
	r.snapshotVersion++
	d, err := tuf.SnapshotFile(r.snapshotVersion, r.now.AddDate(0, 0, 7), tuf.Version{Number: r.targetsVersion, File: r.targets}, tuf.Version{Number: r.selvesVersion, File: r.selves})
	r.snapshot = r.sign(d, err, r.key("publication"))
	r.files[fmt.Sprintf("%d.snapshot.json", r.snapshotVersion)] = r.snapshot
	r.stamp()
}

// stamp signs the timestamp anew.
func (r *repository) stamp() {
	r.stampVersion++
	d, err := tuf.StampFile(r.stampVersion, r.now.AddDate(0, 0, 1), tuf.Version{Number: r.snapshotVersion, File: r.snapshot})
	r.files[tuf.TimestampFile] = r.sign(d, err, r.key("publication"))
}

// read is the repository's reader; it counts what it gives.
func (r *repository) read(transferred *int) tuf.Reader {
	return func(name string, limit int) ([]byte, error) {
		b, ok := r.files[name]
		switch {
		case !ok:
			return nil, tuf.ErrAbsent
		case len(b) > limit:
			return nil, errors.New("longer than asked for")
		}
		*transferred += compressed(b)
		return b, nil
	}
}

func (r *repository) walk(known tuf.Known) (tuf.Known, error) {
	n := 0
	return tuf.Walk(r.root, known, r.now, r.read(&n))
}

func (r *repository) mustWalk(known tuf.Known) tuf.Known {
	r.t.Helper()
	k, err := r.walk(known)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

func compressed(b []byte) int {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Len()
}

func TestWalk(t *testing.T) {
	r := newRepository(t, 30)
	first := r.mustWalk(tuf.Known{})
	s := first.Snapshot
	if s.Version() != 1 || s.Federation() != "federation.example" || len(s.Parties(registry.RoleMSP)) != 27 || s.Digest() != sha256.Sum256(r.snapshot) {
		t.Errorf("version %d of %s with %d MSPs", s.Version(), s.Federation(), len(s.Parties(registry.RoleMSP)))
	}
	if want := day0.AddDate(0, 0, 1); !s.Expires().Equal(want) {
		t.Errorf("expires %v, want with the timestamp, %v", s.Expires(), want)
	}

	// Nothing new: the same again.
	again := r.mustWalk(first)
	if !again.Set.Equal(first.Set) {
		t.Error("another set without a change")
	}
	// A later timestamp of the same snapshot lasts longer.
	r.now = r.now.Add(time.Hour)
	r.stamp()
	later := r.mustWalk(again)
	if later.Snapshot.Version() != 1 || !later.Snapshot.Expires().After(s.Expires()) {
		t.Error("the new timestamp did not count")
	}
	// A party changes its key, another is closed, a third one joins.
	r.now = r.now.Add(time.Hour)
	r.record.Parties[3].Self = r.self(r.record.Parties[3].Grant, 1)
	r.record.Parties[4].Grant.Standing = registry.Standing{State: registry.Closed, Since: r.now.Unix()}
	r.record.Parties = append(r.record.Parties, r.party(31))
	r.publish()
	k := r.mustWalk(later)
	p, _ := k.Snapshot.Party(r.record.Parties[3].Grant.ID)
	if k.Snapshot.Version() != 2 || p.Self.Keys[0].Public != r.key("msp-0003.example 1").Public() {
		t.Error("the new key did not arrive")
	}
	if p, ok := k.Snapshot.Party(r.record.Parties[4].Grant.ID); !ok || p.Standing.State != registry.Closed {
		t.Error("the standing did not arrive")
	}
	if _, ok := k.Snapshot.Party(r.record.Parties[30].Grant.ID); !ok {
		t.Error("the new member did not arrive")
	}

	// What a client keeps is enough for somebody who has nothing but the root.
	b, err := k.Set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tuf.ParseSet(b)
	if err != nil {
		t.Fatal(err)
	}
	handed, err := tuf.Walk(r.root, tuf.Known{}, r.now, set.Read)
	if err != nil || handed.Snapshot.Digest() != k.Snapshot.Digest() {
		t.Errorf("from a set: %v", err)
	}
}

// TestRootRotation: all root keys change in two steps; a client that slept
// through both follows, and a root that the old ones did not sign is refused.
func TestRootRotation(t *testing.T) {
	r := newRepository(t, 5)
	first := r.mustWalk(tuf.Known{})
	old := []key.Private{r.roots[0], r.roots[1]}
	for step := range 2 {
		r.roots = []key.Private{r.key(fmt.Sprintf("next-%d-0", step)), r.key(fmt.Sprintf("next-%d-1", step))}
		r.authority.Root = tuf.Signers{Threshold: 2, Keys: []key.Public{r.roots[0].Public(), r.roots[1].Public()}}
		r.rootVersion++
		d, err := r.authority.RootFile(r.rootVersion, r.now.AddDate(1, 0, 0))
		r.files[fmt.Sprintf("%d.root.json", r.rootVersion)] = r.sign(d, err, r.roots[0], r.roots[1], old[0], old[1])
		old = r.roots
	}
	k := r.mustWalk(first)
	if len(k.Set.Roots) != 2 {
		t.Errorf("%d roots followed, want 2", len(k.Set.Roots))
	}
	if handed, err := tuf.Walk(r.root, tuf.Known{}, r.now, k.Set.Read); err != nil || len(handed.Set.Roots) != 2 {
		t.Errorf("from a set: %v", err)
	}
	r.rootVersion++
	d, err := r.authority.RootFile(r.rootVersion, r.now.AddDate(1, 0, 0))
	r.files[fmt.Sprintf("%d.root.json", r.rootVersion)] = r.sign(d, err, r.roots[0], r.key("stranger"))
	if _, err := r.walk(k); !errors.Is(err, tuf.ErrUnsigned) {
		t.Errorf("a root below its threshold: %v", err)
	}
}

// TestRefused plays the attacks that TUF is for, each on a client that knows
// the state before.
func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		attack func(r *repository, before map[string][]byte)
		want   error
	}{
		{"frozen", func(r *repository, _ map[string][]byte) { r.now = r.now.AddDate(0, 0, 1).Add(time.Second) }, tuf.ErrExpired},
		{"rolled back", func(r *repository, before map[string][]byte) { maps.Copy(r.files, before) }, tuf.ErrRollback},
		{"snapshot of before under a new timestamp", func(r *repository, before map[string][]byte) {
			d, err := tuf.StampFile(9, r.now.AddDate(0, 0, 1), tuf.Version{Number: 1, File: before["1.snapshot.json"]})
			r.files[tuf.TimestampFile] = r.sign(d, err, r.key("publication"))
		}, tuf.ErrRollback},
		{"targets of before under a new snapshot", func(r *repository, before map[string][]byte) {
			d, err := tuf.SnapshotFile(9, r.now.AddDate(0, 0, 1), tuf.Version{Number: 1, File: before["1.targets.json"]}, tuf.Version{Number: r.selvesVersion, File: r.selves})
			r.snapshotVersion, r.snapshot = 9, r.sign(d, err, r.key("publication"))
			r.files["9.snapshot.json"] = r.snapshot
			r.stamp()
		}, tuf.ErrRollback},
		{"timestamp by a stranger", func(r *repository, _ map[string][]byte) {
			d, err := tuf.StampFile(9, r.now.AddDate(0, 0, 1), tuf.Version{Number: 2, File: r.snapshot})
			r.files[tuf.TimestampFile] = r.sign(d, err, r.key("stranger"))
		}, tuf.ErrUnsigned},
		{"grants by one of two", func(r *repository, _ map[string][]byte) {
			r.record.Parties[1].Grant.Standing.State = registry.Active
			files, _ := tuf.Targets(r.record, bins)
			r.targetsVersion++
			d, err := r.authority.TargetsFile(r.targetsVersion, r.now.AddDate(0, 3, 0), files)
			r.targets = r.sign(d, err, r.key("fed-1"))
			r.files[fmt.Sprintf("%d.targets.json", r.targetsVersion)] = r.targets
			r.listed = files
			r.publish()
		}, tuf.ErrUnsigned},
		{"grants by the publication key", func(r *repository, _ map[string][]byte) {
			files, _ := tuf.Targets(r.record, bins)
			r.targetsVersion++
			d, err := r.authority.TargetsFile(r.targetsVersion, r.now.AddDate(0, 3, 0), files)
			r.targets = r.sign(d, err, r.key("publication"))
			r.files[fmt.Sprintf("%d.targets.json", r.targetsVersion)] = r.targets
			r.publish()
		}, tuf.ErrUnsigned},
		{"garbage", func(r *repository, _ map[string][]byte) { r.files[tuf.TimestampFile] = []byte("<html>") }, tuf.ErrContent},
		{"timestamp without a snapshot", func(r *repository, _ map[string][]byte) {
			d, err := tuf.ParseDocument([]byte(`{"signed":{"_type":"timestamp","spec_version":"1.0.31","version":9,"expires":"2030-01-01T00:00:00Z","meta":{}},"signatures":[]}`))
			r.files[tuf.TimestampFile] = r.sign(d, err, r.key("publication"))
		}, tuf.ErrContent},
		{"bin of another hash", func(r *repository, _ map[string][]byte) {
			for name := range r.files {
				if strings.HasPrefix(name, "grants/") {
					r.files[name] = append([]byte{0x80}, r.files[name][1:]...)
				}
			}
			r.record.Policy.EvidenceHours = 3
			r.publish()
		}, nil}, // publish made the bins anew: the control
		{"self record of an operator of before", func(r *repository, _ map[string][]byte) {
			r.now = r.now.Add(-48 * time.Hour)
			old := r.self(r.record.Parties[2].Grant, 7)
			r.now = r.now.Add(48 * time.Hour)
			r.record.Parties[2].Self = old
			r.publish()
		}, registry.ErrRollback},
		{"self record by another operator", func(r *repository, _ map[string][]byte) {
			g := r.record.Parties[2].Grant
			b, err := registry.SignSelf(registry.Self{ID: g.ID, Issued: r.now.Unix(), Endpoint: "https://x.example", Pins: [][]byte{make([]byte, 32)}}, r.key("stranger"))
			if err != nil {
				r.t.Fatal(err)
			}
			r.record.Parties[2].Self = b
			r.publish()
		}, registry.ErrContent},
		{"no grant for a self record", func(r *repository, _ map[string][]byte) {
			files, _ := tuf.Targets(r.record, bins)
			r.record.Parties = r.record.Parties[:2]
			fewer, _ := tuf.Targets(r.record, bins)
			for path := range files {
				if strings.HasPrefix(path, "grants/") {
					files[path] = fewer[path]
				}
			}
			r.publishFiles(files)
		}, tuf.ErrContent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRepository(t, 6)
			before := maps.Clone(r.files)
			known := r.mustWalk(tuf.Known{})
			r.now = r.now.Add(time.Hour)
			r.record.Parties[1].Grant.Standing = registry.Standing{State: registry.Expelled, Since: r.now.Unix()}
			r.record.Parties[1].Self = r.self(r.record.Parties[1].Grant, 2)
			r.publish()
			known = r.mustWalk(known)
			test.attack(r, before)
			_, err := r.walk(known)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// publishFiles publishes targets that Targets would not make.
func (r *repository) publishFiles(files map[string][]byte) {
	for path, b := range files {
		if dir, name, ok := strings.Cut(path, "/"); ok {
			r.files[fmt.Sprintf("%s/%x.%s", dir, sha256.Sum256(b), name)] = b
		}
	}
	r.targetsVersion++
	d, err := r.authority.TargetsFile(r.targetsVersion, r.now.AddDate(0, 3, 0), files)
	r.targets = r.sign(d, err, r.key("fed-0"), r.key("fed-1"))
	r.files[fmt.Sprintf("%d.targets.json", r.targetsVersion)] = r.targets
	r.snapshotVersion++
	d, err = tuf.SnapshotFile(r.snapshotVersion, r.now.AddDate(0, 0, 7), tuf.Version{Number: r.targetsVersion, File: r.targets}, tuf.Version{Number: r.selvesVersion, File: r.selves})
	r.snapshot = r.sign(d, err, r.key("publication"))
	r.files[fmt.Sprintf("%d.snapshot.json", r.snapshotVersion)] = r.snapshot
	r.stamp()
}

// TestThousandParties holds the sizes and the time of the issue: a first fetch,
// a day with five changes, and the verification of one.
func TestThousandParties(t *testing.T) {
	r := newRepository(t, 1000)
	first := 0
	known, err := tuf.Walk(r.root, tuf.Known{}, r.now, r.read(&first))
	if err != nil {
		t.Fatal(err)
	}
	b, err := known.Set.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	daily := 0
	var slowest time.Duration
	for hour := range 24 {
		r.now = r.now.Add(time.Hour)
		if hour%5 == 1 {
			i := 37 * hour
			r.record.Parties[i].Self = r.self(r.record.Parties[i].Grant, 1)
			if hour == 1 {
				r.record.Parties[i].Grant.Standing = registry.Standing{State: registry.Closed, Since: r.now.Unix()}
			}
			r.publish()
		} else {
			r.stamp()
		}
		began := time.Now()
		if known, err = tuf.Walk(r.root, known, r.now, r.read(&daily)); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("1,000 parties: first fetch %d bytes by files, %d as one set; a day with 5 changes %d bytes; slowest update %v", first, compressed(b), daily, slowest)
	if one := compressed(b); one > 200_000 {
		t.Errorf("the first fetch takes %d bytes, want at most 200,000", one)
	}
	if daily > 50_000 {
		t.Errorf("a day takes %d bytes, want at most 50,000", daily)
	}
}
