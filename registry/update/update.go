// Package update keeps a party's registry current. Today it reads the signed
// file from disk, where an operator or the federation's publication puts it,
// checks it, and refuses to go back; fetching over the network takes its place
// later behind the same [Source].
//
// A [Source] hands out immutable snapshots and is safe for concurrent use. It
// never replaces a good snapshot by a bad one: [Source.Step] reports the
// trouble and what was known stays in force until it expires.
package update

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"whither/key"
	"whither/registry"
)

// ErrRoot refuses a root file.
var ErrRoot = errors.New("update: root file: want threshold = N and keys = [\"base64url of 32 bytes\", …]")

type rootFile struct {
	Threshold int      `toml:"threshold"`
	Keys      []string `toml:"keys"`
}

// ParseRoot reads a root file (TOML).
func ParseRoot(b []byte) (registry.Root, error) {
	var f rootFile
	md, err := toml.Decode(string(b), &f)
	if err != nil {
		return registry.Root{}, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return registry.Root{}, fmt.Errorf("%w: unknown key %s", ErrRoot, unknown[0])
	}
	root := registry.Root{Threshold: f.Threshold}
	for _, s := range f.Keys {
		raw, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return registry.Root{}, ErrRoot
		}
		k, err := key.PublicFromBytes(raw)
		if err != nil {
			return registry.Root{}, fmt.Errorf("%w: %w", ErrRoot, err)
		}
		root.Keys = append(root.Keys, k)
	}
	if root.Threshold < 1 || root.Threshold > len(root.Keys) {
		return registry.Root{}, fmt.Errorf("%w: threshold %d of %d keys", ErrRoot, root.Threshold, len(root.Keys))
	}
	return root, nil
}

// FormatRoot writes a root file.
func FormatRoot(r registry.Root) []byte {
	f := rootFile{Threshold: r.Threshold}
	for _, k := range r.Keys {
		f.Keys = append(f.Keys, base64.RawURLEncoding.EncodeToString(k.Bytes()))
	}
	var out bytes.Buffer
	out.WriteString("# Who may sign the federation's registry. Get this file by a way that you trust.\n")
	if err := toml.NewEncoder(&out).Encode(f); err != nil {
		panic("update: " + err.Error()) // an int and strings
	}
	return out.Bytes()
}

// Source gives the snapshot of the moment.
type Source struct {
	path string
	root registry.Root

	mu       sync.RWMutex
	snapshot *registry.Snapshot
	file     []byte
}

// Open reads and verifies the registry file at path.
func Open(path string, root registry.Root, now time.Time) (*Source, error) {
	s := &Source{path: path, root: root}
	if _, err := s.Step(now); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenFiles is Open with the root read from a file.
func OpenFiles(registryPath, rootPath string, now time.Time) (*Source, error) {
	b, err := os.ReadFile(rootPath)
	if err != nil {
		return nil, fmt.Errorf("update: root: %w", err)
	}
	root, err := ParseRoot(b)
	if err != nil {
		return nil, err
	}
	return Open(registryPath, root, now)
}

// Snapshot returns the newest verified registry.
func (s *Source) Snapshot() *registry.Snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.snapshot
}

// File returns the bytes of the same.
func (s *Source) File() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.file
}

// Step looks at the file again and takes it over if it is newer and good. It
// reports whether the snapshot changed.
func (s *Source) Step(now time.Time) (bool, error) {
	b, err := os.ReadFile(s.path)
	if err != nil {
		return false, fmt.Errorf("update: registry: %w", err)
	}
	if bytes.Equal(b, s.File()) {
		return false, nil
	}
	u, err := registry.Parse(b)
	if err != nil {
		return false, err
	}
	fresh, err := u.Verify(s.root, now)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := fresh.Succeeds(s.snapshot); err != nil {
		return false, err
	}
	s.snapshot, s.file = fresh, b
	return true, nil
}
