package tuf

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"whither/key"
)

// Document is a metadata file on its way to being signed. Signers need not be
// where the document is made: Payload is what each signs, Attach takes what
// comes back.
type Document struct {
	payload    []byte
	signatures []metadata.Signature
}

// Payload returns the bytes to sign: the canonical JSON of the signed part.
func (d Document) Payload() []byte { return slices.Clone(d.payload) }

// Sign returns the document with the signature of k added. TUF keys sign
// nothing else, so the payload needs no label.
func (d Document) Sign(k key.Private) (Document, error) {
	return d.Attach(k.Public(), k.Sign(d.payload))
}

// Attach returns the document with a signature by k added, in the place of one
// that k made before.
func (d Document) Attach(k key.Public, signature []byte) (Document, error) {
	if err := k.Verify(d.payload, signature); err != nil {
		return Document{}, err
	}
	_, id, err := tufKey(k)
	if err != nil {
		return Document{}, err
	}
	d.signatures = slices.DeleteFunc(slices.Clone(d.signatures), func(s metadata.Signature) bool { return s.KeyID == id })
	d.signatures = append(d.signatures, metadata.Signature{KeyID: id, Signature: signature})
	return d, nil
}

// Marshal returns the file.
func (d Document) Marshal() ([]byte, error) {
	if d.signatures == nil {
		d.signatures = []metadata.Signature{}
	}
	return json.Marshal(struct {
		Signatures []metadata.Signature `json:"signatures"`
		Signed     json.RawMessage      `json:"signed"`
	}{d.signatures, d.payload})
}

// ParseDocument reads a metadata file for signing it further; it verifies
// nothing.
func ParseDocument(b []byte) (Document, error) {
	var f struct {
		Signatures []metadata.Signature `json:"signatures"`
		Signed     any                  `json:"signed"`
	}
	if len(b) > maxMetadata {
		return Document{}, fmt.Errorf("%w: too large", ErrContent)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	payload, err := cjson.EncodeCanonical(f.Signed)
	if err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	return Document{payload: payload, signatures: f.Signatures}, nil
}

func document(signed any) (Document, error) {
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return Document{}, fmt.Errorf("tuf: %w", err)
	}
	return Document{payload: payload}, nil
}

// tufKey returns a key and its id in TUF.
func tufKey(k key.Public) (*metadata.Key, string, error) {
	t := &metadata.Key{
		Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519,
		Value: metadata.KeyVal{PublicKey: hex.EncodeToString(k.Bytes())},
	}
	id, err := t.ID()
	return t, id, err
}

// Signers are the keys of a role and how many of them must sign.
type Signers struct {
	Threshold int
	Keys      []key.Public
}

// add puts the signers into a table of keys and returns their role.
func (s Signers) add(keys map[string]*metadata.Key) (*metadata.Role, error) {
	if s.Threshold < 1 || s.Threshold > len(s.Keys) {
		return nil, fmt.Errorf("%w: threshold %d of %d keys", ErrContent, s.Threshold, len(s.Keys))
	}
	role := &metadata.Role{Threshold: s.Threshold}
	for _, k := range s.Keys {
		t, id, err := tufKey(k)
		if err != nil {
			return nil, err
		}
		keys[id] = t
		role.KeyIDs = append(role.KeyIDs, id)
	}
	return role, nil
}

// Signed reports whether enough of the signers have signed a metadata file.
func (s Signers) Signed(file []byte) bool {
	d, err := ParseDocument(file)
	if err != nil {
		return false
	}
	good := 0
	for _, k := range s.Keys {
		_, id, err := tufKey(k)
		if err != nil {
			return false
		}
		if slices.ContainsFunc(d.signatures, func(sig metadata.Signature) bool {
			return sig.KeyID == id && k.Verify(d.payload, sig.Signature) == nil
		}) {
			good++
		}
	}
	return good >= s.Threshold
}

// Authority is who signs what, the content of root.json.
type Authority struct {
	Root        Signers
	Federation  Signers    // targets: the grants
	Publication key.Public // timestamp, snapshot and the self records
}

// Covers reports whether what stands published is signed as this authority asks
// for: not so after its keys have changed.
func (a Authority) Covers(p Published) (targets, selves, snapshot bool) {
	one := Signers{Threshold: 1, Keys: []key.Public{a.Publication}}
	_, id, err := tufKey(a.Publication)
	return err == nil && id == p.Delegate && a.Federation.Signed(p.Targets.File), one.Signed(p.Selves.File), one.Signed(p.Snapshot.File)
}

// RootFile returns root.json. From its second version on it must be signed by
// enough of the roots before it as well.
func (a Authority) RootFile(version int64, expires time.Time) (Document, error) {
	root := metadata.Root(seconds(expires)).Signed
	root.Version = version
	root.ConsistentSnapshot = true
	one := Signers{Threshold: 1, Keys: []key.Public{a.Publication}}
	for name, signers := range map[string]Signers{
		metadata.ROOT: a.Root, metadata.TARGETS: a.Federation, metadata.SNAPSHOT: one, metadata.TIMESTAMP: one,
	} {
		role, err := signers.add(root.Keys)
		if err != nil {
			return Document{}, err
		}
		root.Roles[name] = role
	}
	return document(root)
}

// TargetsFile returns targets.json over the grants and federation.cbor.
func (a Authority) TargetsFile(version int64, expires time.Time, files map[string][]byte) (Document, error) {
	t := metadata.Targets(seconds(expires)).Signed
	t.Version = version
	t.Targets = list(files, func(path string) bool { return !strings.HasPrefix(path, "selves/") })
	t.Delegations = &metadata.Delegations{Keys: make(map[string]*metadata.Key)}
	role, err := (Signers{Threshold: 1, Keys: []key.Public{a.Publication}}).add(t.Delegations.Keys)
	if err != nil {
		return Document{}, err
	}
	t.Delegations.Roles = []metadata.DelegatedRole{{
		Name: RoleSelves, KeyIDs: role.KeyIDs, Threshold: role.Threshold, Terminating: true, Paths: []string{"selves/*"},
	}}
	return document(t)
}

// SelvesFile returns selves.json over the self records.
func SelvesFile(version int64, expires time.Time, files map[string][]byte) (Document, error) {
	t := metadata.Targets(seconds(expires)).Signed
	t.Version = version
	t.Targets = list(files, func(path string) bool { return strings.HasPrefix(path, "selves/") })
	return document(t)
}

// list returns the entries of the files that are wanted.
func list(files map[string][]byte, wanted func(path string) bool) map[string]*metadata.TargetFiles {
	out := make(map[string]*metadata.TargetFiles)
	for path, b := range files {
		if wanted(path) {
			out[path] = &metadata.TargetFiles{Length: int64(len(b)), Hashes: hashes(b)}
		}
	}
	return out
}

func hashes(b []byte) metadata.Hashes {
	sum := sha256.Sum256(b)
	return metadata.Hashes{"sha256": sum[:]}
}

// Version is a file and the version that it is.
type Version struct {
	Number int64
	File   []byte
}

func (v Version) meta() *metadata.MetaFiles {
	return &metadata.MetaFiles{Version: v.Number, Length: int64(len(v.File)), Hashes: hashes(v.File)}
}

// SnapshotFile returns snapshot.json.
func SnapshotFile(version int64, expires time.Time, targets, selves Version) (Document, error) {
	s := metadata.Snapshot(seconds(expires)).Signed
	s.Version = version
	s.Meta = map[string]*metadata.MetaFiles{targetsMeta: targets.meta(), selvesMeta: selves.meta()}
	return document(s)
}

// StampFile returns timestamp.json.
func StampFile(version int64, expires time.Time, snapshot Version) (Document, error) {
	t := metadata.Timestamp(seconds(expires)).Signed
	t.Version = version
	t.Meta = map[string]*metadata.MetaFiles{snapshotMeta: snapshot.meta()}
	return document(t)
}

// seconds is a time as TUF writes it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
