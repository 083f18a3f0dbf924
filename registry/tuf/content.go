package tuf

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"whither/internal/canon"
	"whither/registry"
)

// MaxBins is how many bins there may be; as many as there are numbers of two
// hexadecimal digits.
const MaxBins = 256

// federation is federation.cbor.
type federation struct {
	Name   string          `cbor:"1,keyasint"`
	Issued int64           `cbor:"2,keyasint"` // seconds
	Policy registry.Policy `cbor:"3,keyasint"`
}

// Bin returns the bin of a party among n: the first two bytes of SHA-256 of its
// id, as a number, modulo n.
func Bin(id registry.PartyID, n int) int {
	h := sha256.Sum256([]byte(id.String()))
	return (int(h[0])<<8 | int(h[1])) % n
}

// grantsPath and selvesPath name the files of a bin.
func grantsPath(bin int) string { return fmt.Sprintf("grants/%02x.cbor", bin) }
func selvesPath(bin int) string { return fmt.Sprintf("selves/%02x.cbor", bin) }

// ownPath reports whether a path names a bin's file in a folder.
func ownPath(folder, name string) bool {
	var bin int
	n, err := fmt.Sscanf(strings.TrimPrefix(name, folder+"/"), "%02x.cbor", &bin)
	return n == 1 && err == nil && fmt.Sprintf("%s/%02x.cbor", folder, bin) == name
}

// hashed is the name under which a target is served (consistent snapshots).
func hashed(name string, hash []byte) string {
	dir, file := path.Split(name)
	return fmt.Sprintf("%s%x.%s", dir, hash, file)
}

// Targets are the targets of a registry, by path: what [Walk] reads. Parties
// are sorted into n bins. A grant without a self record is published and is no
// party yet.
func Targets(r registry.Record, n int) (map[string][]byte, error) {
	if n < 1 || n > MaxBins {
		return nil, fmt.Errorf("%w: %d bins", ErrContent, n)
	}
	files := make(map[string][]byte)
	put := func(name string, v any) error {
		b, err := canon.Marshal(v)
		files[name] = b
		return err
	}
	if err := put(FederationFile, federation{Name: r.Federation, Issued: r.Issued.Unix(), Policy: r.Policy}); err != nil {
		return nil, err
	}
	parties := slices.Clone(r.Parties)
	slices.SortFunc(parties, func(a, b registry.Entry) int { return strings.Compare(a.Grant.ID.String(), b.Grant.ID.String()) })
	for bin := range n {
		grants, selves := []registry.Grant{}, [][]byte{}
		for _, e := range parties {
			if Bin(e.Grant.ID, n) != bin {
				continue
			}
			grants = append(grants, e.Grant)
			if e.Self != nil {
				selves = append(selves, e.Self)
			}
		}
		if err := put(grantsPath(bin), grants); err != nil {
			return nil, err
		}
		if err := put(selvesPath(bin), selves); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// record reads the targets of a registry. A self record is that of the grant
// with its id in the same bin; one without a grant is nobody's, and refused.
func record(files map[string][]byte) (registry.Record, error) {
	var f federation
	if err := canon.Unmarshal(files[FederationFile], maxTarget, &f); err != nil {
		return registry.Record{}, fmt.Errorf("%w: %s: %w", ErrContent, FederationFile, err)
	}
	r := registry.Record{Federation: f.Name, Issued: time.Unix(f.Issued, 0), Policy: f.Policy}
	n := (len(files) - 1) / 2
	for bin := range n {
		entries, err := readBin(bin, n, files[grantsPath(bin)], files[selvesPath(bin)])
		if err != nil {
			return registry.Record{}, err
		}
		r.Parties = append(r.Parties, entries...)
	}
	return r, nil
}

// readBin reads the two files of a bin.
func readBin(bin, n int, grantsFile, selvesFile []byte) ([]registry.Entry, error) {
	wrong := func(file, why string) error { return fmt.Errorf("%w: %s: %s", ErrContent, file, why) }
	var grants []registry.Grant
	if err := canon.Unmarshal(grantsFile, maxTarget, &grants); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, grantsPath(bin), err)
	}
	var selves [][]byte
	if err := canon.Unmarshal(selvesFile, maxTarget, &selves); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, selvesPath(bin), err)
	}
	var out []registry.Entry
	before := ""
	for _, g := range grants {
		id := g.ID.String()
		if id <= before || Bin(g.ID, n) != bin {
			return nil, wrong(grantsPath(bin), "a grant out of order or in another's bin")
		}
		before = id
		if len(selves) == 0 {
			continue
		}
		self, err := registry.PeekSelf(selves[0])
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrContent, selvesPath(bin), err)
		}
		if self == g.ID {
			out = append(out, registry.Entry{Grant: g, Self: selves[0]})
			selves = selves[1:]
		}
	}
	if len(selves) > 0 {
		return nil, wrong(selvesPath(bin), "a self record out of order or without a grant")
	}
	return out, nil
}

// Read is the [Reader] of a set: what is handed on is read as what is fetched.
func (s Set) Read(name string, limit int) ([]byte, error) {
	for _, m := range []struct {
		file   string
		bytes  []byte
		suffix bool
	}{
		{TimestampFile, s.Timestamp, false}, {snapshotMeta, s.Snapshot, true}, {targetsMeta, s.Targets, true}, {selvesMeta, s.Selves, true},
	} {
		if m.bytes != nil && (name == m.file || m.suffix && strings.HasSuffix(name, "."+m.file)) {
			return m.bytes, nil
		}
	}
	if strings.HasSuffix(name, ".root.json") {
		return s.root(name)
	}
	dir, file := path.Split(name)
	hash, rest, _ := strings.Cut(file, ".")
	b, ok := s.Files[dir+rest]
	if sum := sha256.Sum256(b); !ok || fmt.Sprintf("%x", sum) != hash || len(b) > limit {
		return nil, ErrAbsent
	}
	return b, nil
}

// root finds the root of a name: the first in the set has the lowest version,
// which only its bytes tell.
func (s Set) root(name string) ([]byte, error) {
	for _, b := range s.Roots {
		if v, err := rootVersion(b); err == nil && fmt.Sprintf("%d.root.json", v) == name {
			return b, nil
		}
	}
	return nil, ErrAbsent
}

// set is Set in canonical CBOR.
type set struct {
	Roots     [][]byte          `cbor:"1,keyasint,omitempty"`
	Timestamp []byte            `cbor:"2,keyasint"`
	Snapshot  []byte            `cbor:"3,keyasint"`
	Targets   []byte            `cbor:"4,keyasint"`
	Selves    []byte            `cbor:"5,keyasint"`
	Files     map[string][]byte `cbor:"6,keyasint"`
}

// MaxSet bounds an encoded set: some 10,000 parties.
const MaxSet = 8 << 20

// Marshal encodes a set, to hand it on or to keep it.
func (s Set) Marshal() ([]byte, error) { return canon.Marshal(set(s)) }

// ParseSet reads what Marshal writes. Nothing of it is verified.
func ParseSet(b []byte) (Set, error) {
	var s set
	if err := canon.Unmarshal(b, MaxSet, &s); err != nil {
		return Set{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	return Set(s), nil
}

// Equal reports whether two sets are the same files.
func (s Set) Equal(other Set) bool {
	a, errA := s.Marshal()
	b, errB := other.Marshal()
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
