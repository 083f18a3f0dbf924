// Package repository publishes a federation's registry as a TUF repository in a
// folder: what package registry/tuf reads, and any web server can serve. Its
// spec is docs/spec/registry.md.
//
//	metadata/1.root.json …      who signs what
//	metadata/timestamp.json     the newest snapshot
//	metadata/N.snapshot.json, N.targets.json, N.selves.json
//	targets/HASH.federation.cbor, targets/grants/HASH.NN.cbor, targets/selves/HASH.NN.cbor
//
// The folder is the state: what stands in it is read, never remembered. Files
// are written whole, and timestamp.json last, so a reader sees the state before
// or the state after, and a publication that dies is made again.
package repository

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"whither/key"
	"whither/registry"
	"whither/registry/tuf"
)

// Errors.
var (
	// ErrSigners: the keys at hand are too few for what changed.
	ErrSigners = errors.New("repository: too few keys of the federation at hand; sign the drafts with the others and publish again")
	// ErrEmpty: nothing is published yet.
	ErrEmpty = errors.New("repository: no root yet")
)

// Lives are for how long what is signed is good.
type Lives struct {
	Root, Targets, Selves, Snapshot, Timestamp time.Duration
}

const day = 24 * time.Hour

// DefaultLives are those of a federation that publishes by a server.
func DefaultLives() Lives {
	return Lives{Root: 365 * day, Targets: 90 * day, Selves: 30 * day, Snapshot: 7 * day, Timestamp: day}
}

// ByHand are those of a federation that publishes by files that people carry:
// they must look in once a month.
func ByHand() Lives {
	return Lives{Root: 10 * 365 * day, Targets: 365 * day, Selves: 365 * day, Snapshot: 30 * day, Timestamp: 30 * day}
}

// Keys are the private keys at hand.
type Keys struct {
	Roots       []key.Private
	Federation  []key.Private
	Publication key.Private
}

// Repository is a folder in which a federation publishes.
type Repository struct {
	Dir       string
	Authority tuf.Authority
	Lives     Lives
	Bins      int // of parties; zero: 32
}

// defaultBins suits up to some 2,000 parties: more make a change cheaper and
// the first fetch dearer.
const defaultBins = 32

// Read is the folder's [tuf.Reader].
func (r Repository) Read(name string, limit int) ([]byte, error) {
	return ReadFolder(r.Dir)(name, limit)
}

// ReadFolder reads a published folder.
func ReadFolder(dir string) tuf.Reader {
	return func(name string, limit int) ([]byte, error) {
		b, err := os.ReadFile(where(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, tuf.ErrAbsent
		case err != nil:
			return nil, err
		case len(b) > limit:
			return nil, fmt.Errorf("%w: %s is larger than %d bytes", tuf.ErrContent, path.Base(name), limit)
		}
		return b, nil
	}
}

// where is the file of a name: metadata and targets lie apart.
func where(dir, name string) string { return filepath.Join(dir, filepath.FromSlash(Path(name))) }

// Path is the path of a file below a repository's base, by its name.
func Path(name string) string {
	if strings.HasSuffix(name, ".json") {
		return "metadata/" + name
	}
	return "targets/" + name
}

// First returns the first root.json, which everybody begins with.
func (r Repository) First() ([]byte, error) { return r.Read("1.root.json", tuf.MaxSet) }

// Root publishes the next root.json, which says who signs from now on. It is
// signed by the keys at hand; those of the root before must be among them.
func (r Repository) Root(now time.Time, keys Keys) ([]byte, error) {
	at, err := tuf.Current(r.Read)
	if err != nil && !errors.Is(err, tuf.ErrAbsent) {
		return nil, err
	}
	d, err := r.Authority.RootFile(at.Root.Number+1, now.Add(r.Lives.Root))
	if err != nil {
		return nil, err
	}
	b, err := sign(d, keys.Roots...)
	if err != nil {
		return nil, err
	}
	if err := tuf.CheckRoot(at.Root.File, b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigners, err)
	}
	return b, r.write(fmt.Sprintf("%d.root.json", at.Root.Number+1), b)
}

// Publish publishes what is new in the record, and a new timestamp. It returns
// the version of the snapshot.
func (r Repository) Publish(record registry.Record, now time.Time, keys Keys) (int64, error) {
	at, err := tuf.Current(r.Read)
	if err != nil {
		return 0, err
	}
	if at.Root.Number == 0 {
		return 0, ErrEmpty
	}
	record.Issued = at.Issued
	files, err := r.files(record)
	if err != nil {
		return 0, err
	}
	goodTargets, goodSelves, goodSnapshot := r.Authority.Covers(at)
	half := func(life time.Duration) time.Time { return now.Add(life / 2) }
	newTargets := !goodTargets || !same(files, at.Files, false) || at.TargetsExpire.Before(half(r.Lives.Targets))
	if newTargets {
		record.Issued = now
		if files, err = r.files(record); err != nil {
			return 0, err
		}
		d, err := r.Authority.TargetsFile(at.Targets.Number+1, now.Add(r.Lives.Targets), files)
		if err != nil {
			return 0, err
		}
		if len(keys.Federation) < r.Authority.Federation.Threshold {
			return 0, ErrSigners
		}
		if at.Targets, err = r.next("targets", at.Targets, d, keys.Federation...); err != nil {
			return 0, err
		}
	}
	newSelves := !goodSelves || !same(files, at.Files, true) || at.SelvesExpire.Before(half(r.Lives.Selves))
	if newSelves {
		d, err := tuf.SelvesFile(at.Selves.Number+1, now.Add(r.Lives.Selves), files)
		if err != nil {
			return 0, err
		}
		if at.Selves, err = r.next("selves", at.Selves, d, keys.Publication); err != nil {
			return 0, err
		}
	}
	for name, b := range files {
		if err := r.writeTarget(name, b); err != nil {
			return 0, err
		}
	}
	if newTargets || newSelves || !goodSnapshot || at.SnapshotExpires.Before(half(r.Lives.Snapshot)) {
		d, err := tuf.SnapshotFile(at.Snapshot.Number+1, now.Add(r.Lives.Snapshot), at.Targets, at.Selves)
		if err != nil {
			return 0, err
		}
		if at.Snapshot, err = r.next("snapshot", at.Snapshot, d, keys.Publication); err != nil {
			return 0, err
		}
	}
	return at.Snapshot.Number, r.stamp(at, now, keys.Publication)
}

// Stamp signs the timestamp anew: the publication lives.
func (r Repository) Stamp(now time.Time, publication key.Private) error {
	at, err := tuf.Current(r.Read)
	if err != nil {
		return err
	}
	return r.stamp(at, now, publication)
}

func (r Repository) stamp(at tuf.Published, now time.Time, publication key.Private) error {
	d, err := tuf.StampFile(at.Stamp.Number+1, now.Add(r.Lives.Timestamp), at.Snapshot)
	if err != nil {
		return err
	}
	b, err := sign(d, publication)
	if err != nil {
		return err
	}
	return r.write(tuf.TimestampFile, b)
}

func (r Repository) files(record registry.Record) (map[string][]byte, error) {
	bins := r.Bins
	if bins == 0 {
		bins = defaultBins
	}
	return tuf.Targets(record, bins)
}

// same reports whether the grants, or the self records, are those published.
func same(files, published map[string][]byte, selves bool) bool {
	n := 0
	for name, b := range files {
		if strings.HasPrefix(name, "selves/") != selves {
			continue
		}
		n++
		if !bytes.Equal(b, published[name]) {
			return false
		}
	}
	for name := range published {
		if strings.HasPrefix(name, "selves/") == selves {
			n--
		}
	}
	return n == 0
}

// next signs and writes the next version of a metadata file.
func (r Repository) next(role string, before tuf.Version, d tuf.Document, keys ...key.Private) (tuf.Version, error) {
	b, err := sign(d, keys...)
	if err != nil {
		return tuf.Version{}, err
	}
	v := tuf.Version{Number: before.Number + 1, File: b}
	return v, r.write(fmt.Sprintf("%d.%s.json", v.Number, role), b)
}

func sign(d tuf.Document, keys ...key.Private) ([]byte, error) {
	for _, k := range keys {
		var err error
		if d, err = d.Sign(k); err != nil {
			return nil, err
		}
	}
	return d.Marshal()
}

// writeTarget writes a target under its hash; targets never change.
func (r Repository) writeTarget(name string, b []byte) error {
	dir, file := path.Split(name)
	name = fmt.Sprintf("%s%x.%s", dir, sha256.Sum256(b), file)
	if _, err := os.Stat(where(r.Dir, name)); err == nil {
		return nil
	}
	return r.write(name, b)
}

// write writes a file whole. What a repository publishes is for everybody.
func (r Repository) write(name string, b []byte) error {
	file := where(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("repository: %w", err)
	}
	if err := os.WriteFile(file+".new", b, 0o644); err != nil { //nolint:gosec // likewise
		return fmt.Errorf("repository: %w", err)
	}
	return os.Rename(file+".new", file)
}
