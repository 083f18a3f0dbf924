package tuf

import (
	"errors"
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"whither/internal/canon"
)

// Published is what a repository stands at, for whoever publishes next. Nothing
// of it is verified: it is one's own.
type Published struct {
	Root, Stamp, Snapshot, Targets, Selves       Version
	SnapshotExpires, TargetsExpire, SelvesExpire time.Time
	Issued                                       time.Time
	Delegate                                     string            // id of the key that targets delegates the self records to
	Files                                        map[string][]byte // targets, by path
}

// Current reads what a repository stands at. Of one without a timestamp it
// knows the root alone, of an empty one nothing.
func Current(read Reader) (Published, error) {
	var p Published
	for {
		b, err := read(fmt.Sprintf("%d.root.json", p.Root.Number+1), maxRoot)
		if errors.Is(err, ErrAbsent) {
			break
		}
		if err != nil {
			return Published{}, err
		}
		p.Root = Version{Number: p.Root.Number + 1, File: b}
	}
	b, err := read(TimestampFile, maxTimestamp)
	if errors.Is(err, ErrAbsent) {
		return p, nil
	}
	if err != nil {
		return Published{}, err
	}
	stamp, err := metadata.Timestamp().FromBytes(b)
	if err != nil {
		return Published{}, fail(TimestampFile, err)
	}
	p.Stamp = Version{Number: stamp.Signed.Version, File: b}
	if p.Snapshot, err = current(read, stamp.Signed.Meta, snapshotMeta); err != nil {
		return Published{}, err
	}
	snapshot, err := metadata.Snapshot().FromBytes(p.Snapshot.File)
	if err != nil {
		return Published{}, fail(snapshotMeta, err)
	}
	p.SnapshotExpires = snapshot.Signed.Expires
	if p.Targets, err = current(read, snapshot.Signed.Meta, targetsMeta); err != nil {
		return Published{}, err
	}
	if p.Selves, err = current(read, snapshot.Signed.Meta, selvesMeta); err != nil {
		return Published{}, err
	}
	return p, p.targets(read)
}

// current reads the version of a metadata file that another one names.
func current(read Reader, meta map[string]*metadata.MetaFiles, name string) (Version, error) {
	m := meta[name]
	if m == nil {
		return Version{}, fmt.Errorf("%w: nothing names %s", ErrContent, name)
	}
	b, err := read(fmt.Sprintf("%d.%s", m.Version, name), maxMetadata)
	return Version{Number: m.Version, File: b}, err
}

// targets reads the targets of both lists.
func (p *Published) targets(read Reader) error {
	p.Files = make(map[string][]byte)
	for _, list := range []struct {
		file    []byte
		expires *time.Time
	}{{p.Targets.File, &p.TargetsExpire}, {p.Selves.File, &p.SelvesExpire}} {
		t, err := metadata.Targets().FromBytes(list.file)
		if err != nil {
			return fail("targets", err)
		}
		*list.expires = t.Signed.Expires
		if d := t.Signed.Delegations; d != nil && len(d.Roles) == 1 && len(d.Roles[0].KeyIDs) == 1 {
			p.Delegate = d.Roles[0].KeyIDs[0]
		}
		for path, file := range t.Signed.Targets {
			if p.Files[path], err = read(hashed(path, file.Hashes["sha256"]), maxTarget); err != nil {
				return err
			}
		}
	}
	var f federation
	if err := canon.Unmarshal(p.Files[FederationFile], maxTarget, &f); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrContent, FederationFile, err)
	}
	p.Issued = time.Unix(f.Issued, 0)
	return nil
}

// CheckRoot returns an error unless the root of before may be followed by next.
// Without one before, next must be signed by enough of its own.
func CheckRoot(before, next []byte) error {
	if before == nil {
		_, err := trustedmetadata.New(next)
		return failNil("root", err)
	}
	t, err := trustedmetadata.New(before)
	if err != nil {
		return fail("root of before", err)
	}
	_, err = t.UpdateRoot(next)
	return failNil("root", err)
}

func failNil(what string, err error) error {
	if err == nil {
		return nil
	}
	return fail(what, err)
}

// rootVersion reads the version of a root.json; it verifies nothing.
func rootVersion(b []byte) (int64, error) {
	r, err := metadata.Root().FromBytes(b)
	if err != nil {
		return 0, err
	}
	return r.Signed.Version, nil
}
