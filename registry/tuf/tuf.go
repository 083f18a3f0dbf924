// Package tuf reads a federation's registry from a TUF repository (The Update
// Framework, specification 1.0) and verifies it: bytes in, a
// [registry.Snapshot] out. Its spec is docs/spec/registry.md.
//
// The roles, and who signs:
//
//	root       a threshold of root keys, kept offline; says who signs the rest
//	timestamp  the publication key, every few hours: which snapshot is current
//	snapshot   the publication key: which versions of targets and selves belong together
//	targets    a threshold of the federation's keys: federation.cbor and the grants
//	selves     the publication key, delegated by targets: the self records, each
//	           signed by its operator inside
//
// The publication key, which must be at hand all the time, gives nobody any
// authority: who steals it can hide a party or freeze the registry until the
// timestamp expires, and nothing else.
//
// Parties lie in bins, by a hash of their ids: grants/NN.cbor and
// selves/NN.cbor. A change costs its bin.
//
// [Walk] is the client workflow of the specification (section 5) on top of the
// TUF library's verified steps: it refuses rollback, freezing, mixtures and
// endless data. It does no I/O: the caller gives it files by name, from a
// server, a folder or a [Set].
//
// Times are seconds, sizes are bytes.
package tuf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"whither/registry"
)

// Errors.
var (
	// ErrAbsent is what a [Reader] returns for a file that is not there.
	ErrAbsent = errors.New("tuf: no such file")
	// ErrUnsigned: too few good signatures, or by keys that may not sign it.
	ErrUnsigned = errors.New("tuf: not signed by enough of those who may")
	// ErrExpired: the newest that is there has run out; the publication stands still, or somebody holds it back.
	ErrExpired = errors.New("tuf: expired; the publication stands still, or somebody holds it back")
	// ErrRollback: an older version than the one already seen.
	ErrRollback = errors.New("tuf: older than what was already seen")
	// ErrMixed: files that do not belong together, by version, length or hash.
	ErrMixed = errors.New("tuf: files that do not belong together")
	// ErrContent: malformed, or against a rule of the format.
	ErrContent = errors.New("tuf: content breaks a rule")
)

// Sizes that no file of a kind passes, in bytes, and how many roots one walk
// follows.
const (
	maxRoot      = 64 << 10
	maxTimestamp = 16 << 10
	maxMetadata  = 512 << 10
	maxTarget    = 1 << 20
	maxRoots     = 256
)

// Names of roles and files.
const (
	RoleSelves     = "selves"
	TimestampFile  = "timestamp.json"
	FederationFile = "federation.cbor"
	snapshotMeta   = "snapshot.json"
	targetsMeta    = "targets.json"
	selvesMeta     = "selves.json"
)

// Set is all that a client has of a repository, verified or not: the files by
// which the newest snapshot was reached. A verified one is what a client keeps
// for the next time, and what it hands to others together with mappings.
type Set struct {
	Roots     [][]byte          // after the trusted one, in order
	Timestamp []byte            // timestamp.json
	Snapshot  []byte            // N.snapshot.json
	Targets   []byte            // N.targets.json
	Selves    []byte            // N.selves.json
	Files     map[string][]byte // targets, by path
}

// Reader gives the file of a name, of at most max bytes, or [ErrAbsent]. Names
// are those of TUF with consistent snapshots: metadata as "7.snapshot.json",
// targets as "grants/HASH.07.cbor".
type Reader func(name string, max int) ([]byte, error)

// Known is what a client knows already: the verified set and snapshot of
// before. The zero value is a client's on its first day.
type Known struct {
	Set      Set
	Snapshot *registry.Snapshot
}

// Walk reads the newest registry and verifies it, from a trusted root.json on.
// What known has of it is not read again. The result is known to the next walk.
func Walk(root []byte, known Known, now time.Time, read Reader) (Known, error) {
	w := walk{known: known, read: read, now: now}
	if err := w.roots(root); err != nil {
		return Known{}, err
	}
	for _, step := range []func() error{w.timestamp, w.snapshot, w.targets, w.selves, w.files} {
		if err := step(); err != nil {
			return Known{}, err
		}
	}
	s, err := w.assemble()
	if err != nil {
		return Known{}, err
	}
	return Known{Set: w.set, Snapshot: s}, nil
}

// walk is the state of one Walk.
type walk struct {
	known   Known
	read    Reader
	now     time.Time
	trusted *trustedmetadata.TrustedMetadata
	set     Set
}

// fail puts the library's errors under those of this package.
func fail(what string, err error) error {
	var (
		unsigned *metadata.ErrUnsignedMetadata
		expired  *metadata.ErrExpiredMetadata
		version  *metadata.ErrBadVersionNumber
		mixed    *metadata.ErrLengthOrHashMismatch
	)
	kind := ErrContent
	switch {
	case errors.Is(err, ErrAbsent), errors.Is(err, ErrContent), errors.Is(err, ErrMixed), errors.Is(err, ErrRollback):
		return fmt.Errorf("%s: %w", what, err)
	case errors.As(err, &unsigned):
		kind = ErrUnsigned
	case errors.As(err, &expired):
		kind = ErrExpired
	case errors.As(err, &version):
		kind = ErrRollback
	case errors.As(err, &mixed):
		kind = ErrMixed
	}
	return fmt.Errorf("%w: %s: %w", kind, what, err)
}

// get reads a file that must be there.
func (w *walk) get(name string, limit int) ([]byte, error) {
	b, err := w.read(name, limit)
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrContent, limit)
	}
	if err != nil {
		return nil, fail(name, err)
	}
	return b, nil
}

// roots follows the chain of roots to the newest (specification, 5.3).
func (w *walk) roots(root []byte) error {
	var err error
	if w.trusted, err = trustedmetadata.New(root); err != nil {
		return fail("trusted root", err)
	}
	w.trusted.RefTime = w.now
	for _, b := range w.known.Set.Roots {
		if _, err := w.trusted.UpdateRoot(b); err != nil {
			return fail("root of before", err)
		}
		w.set.Roots = append(w.set.Roots, b)
	}
	for range maxRoots {
		name := fmt.Sprintf("%d.root.json", w.trusted.Root.Signed.Version+1)
		b, err := w.get(name, maxRoot)
		if errors.Is(err, ErrAbsent) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.trusted.UpdateRoot(b); err != nil {
			return fail(name, err)
		}
		w.set.Roots = append(w.set.Roots, b)
	}
	return fmt.Errorf("%w: more than %d roots at once", ErrContent, maxRoots)
}

// timestamp takes the newest timestamp (5.4).
func (w *walk) timestamp() error {
	if b := w.known.Set.Timestamp; b != nil {
		// Only to refuse what is older. It may have expired, and a new root may
		// have taken its key away: then it says nothing.
		_, _ = w.trusted.UpdateTimestamp(b)
	}
	b, err := w.get(TimestampFile, maxTimestamp)
	if err != nil {
		return err
	}
	fresh, err := metadata.Timestamp().FromBytes(b)
	if err != nil {
		return fail(TimestampFile, err)
	}
	if m := fresh.Signed.Meta[snapshotMeta]; m == nil || len(fresh.Signed.Meta) != 1 {
		return fmt.Errorf("%w: %s names no snapshot", ErrContent, TimestampFile)
	}
	_, err = w.trusted.UpdateTimestamp(b)
	var same *metadata.ErrEqualVersionNumber
	if errors.As(err, &same) {
		b, err = w.known.Set.Timestamp, nil
		if w.trusted.Timestamp.Signed.IsExpired(w.now) {
			return fmt.Errorf("%w: %s", ErrExpired, TimestampFile)
		}
	}
	if err != nil {
		return fail(TimestampFile, err)
	}
	w.set.Timestamp = b
	return nil
}

// snapshot takes the snapshot that the timestamp names (5.5).
func (w *walk) snapshot() error {
	meta := w.trusted.Timestamp.Signed.Meta[snapshotMeta]
	before := w.known.Set.Snapshot
	if before != nil {
		_, _ = w.trusted.UpdateSnapshot(before, true) // likewise
	}
	b := before
	if before == nil || w.trusted.Snapshot == nil || w.trusted.Snapshot.Signed.Version != meta.Version || meta.VerifyLengthHashes(before) != nil {
		var err error
		if b, err = w.get(fmt.Sprintf("%d.%s", meta.Version, snapshotMeta), maxMetadata); err != nil {
			return err
		}
	}
	if _, err := w.trusted.UpdateSnapshot(b, false); err != nil {
		return fail(snapshotMeta, err)
	}
	for _, name := range []string{targetsMeta, selvesMeta} {
		// With the hashes, the digest of the snapshot stands for all that it names.
		if m := w.trusted.Snapshot.Signed.Meta[name]; m == nil || len(m.Hashes) == 0 {
			return fmt.Errorf("%w: %s names no %s by its hash", ErrContent, snapshotMeta, name)
		}
	}
	w.set.Snapshot = b
	return nil
}

// targets and selves take the two lists of files (5.6).
func (w *walk) targets() (err error) {
	w.set.Targets, err = w.list(targetsMeta, w.known.Set.Targets, metadata.TARGETS, metadata.ROOT)
	return err
}

func (w *walk) selves() (err error) {
	w.set.Selves, err = w.list(selvesMeta, w.known.Set.Selves, RoleSelves, metadata.TARGETS)
	return err
}

func (w *walk) list(name string, before []byte, role, by string) ([]byte, error) {
	meta := w.trusted.Snapshot.Signed.Meta[name]
	b := before
	if before == nil || meta.VerifyLengthHashes(before) != nil {
		var err error
		if b, err = w.get(fmt.Sprintf("%d.%s", meta.Version, name), maxMetadata); err != nil {
			return nil, err
		}
	}
	if _, err := w.trusted.UpdateDelegatedTargets(b, role, by); err != nil {
		return nil, fail(name, err)
	}
	return b, nil
}

// files takes every target that the two lists name: they name nothing that is
// not of the registry, and each only its own.
func (w *walk) files() error {
	w.set.Files = make(map[string][]byte)
	bins := 0
	for role, folder := range map[string]string{metadata.TARGETS: "grants", RoleSelves: "selves"} {
		listed := w.trusted.Targets[role].Signed.Targets
		if role == metadata.TARGETS {
			if _, ok := listed[FederationFile]; !ok {
				return fmt.Errorf("%w: no %s", ErrContent, FederationFile)
			}
			bins = len(listed) - 1
		}
		for path, file := range listed {
			if path != FederationFile && !ownPath(folder, path) || path == FederationFile && role != metadata.TARGETS {
				return fmt.Errorf("%w: %s lists a target that is not its own", ErrContent, role)
			}
			if err := w.file(path, file); err != nil {
				return err
			}
		}
	}
	if n := len(w.trusted.Targets[RoleSelves].Signed.Targets); n != bins || bins < 1 || bins > MaxBins {
		return fmt.Errorf("%w: %d bins of grants and %d of self records", ErrContent, bins, n)
	}
	return nil
}

// file takes one target.
func (w *walk) file(path string, listed *metadata.TargetFiles) error {
	hash, ok := listed.Hashes["sha256"]
	if !ok || listed.Length < 0 || listed.Length > maxTarget {
		return fmt.Errorf("%w: %s has no SHA-256 or is too large", ErrContent, path)
	}
	b := w.known.Set.Files[path]
	if b == nil || listed.VerifyLengthHashes(b) != nil {
		var err error
		if b, err = w.get(hashed(path, hash), int(listed.Length)); err != nil {
			return err
		}
		if err := listed.VerifyLengthHashes(b); err != nil {
			return fail(path, err)
		}
	}
	w.set.Files[path] = b
	return nil
}

// assemble makes the registry out of the files.
func (w *walk) assemble() (*registry.Snapshot, error) {
	r, err := record(w.set.Files)
	if err != nil {
		return nil, err
	}
	t := w.trusted
	r.Version = uint64(t.Snapshot.Signed.Version)
	r.Expires = slices.MinFunc([]time.Time{
		t.Root.Signed.Expires, t.Timestamp.Signed.Expires, t.Snapshot.Signed.Expires,
		t.Targets[metadata.TARGETS].Signed.Expires, t.Targets[RoleSelves].Signed.Expires,
	}, time.Time.Compare)
	s, err := registry.Assemble(r, sha256.Sum256(w.set.Snapshot), w.known.Snapshot, w.now)
	if err != nil {
		return nil, err
	}
	return s, s.Succeeds(w.known.Snapshot)
}
