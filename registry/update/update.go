// Package update keeps a party's registry current: it fetches what the
// federation publishes (package registry/tuf), verifies it from the root on,
// and remembers it in a file, so that a restart forgets nothing and nobody can
// lead a party back.
//
// A [Source] hands out immutable snapshots and is safe for concurrent use. It
// never replaces a good snapshot by a bad one: [Source.Step] reports the
// trouble, and what was known stays in force until it expires.
package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"whither/internal/canon"
	"whither/registry"
	"whither/registry/tuf"
)

// Errors.
var (
	// ErrNone: there is no registry to work from yet.
	ErrNone = errors.New("update: no registry yet")
	// ErrState refuses the file of what was known.
	ErrState = errors.New("update: the file of the registry known before is damaged; remove it to begin again from the root")
)

// Fetch gets a file of the federation's publication by its name in TUF, of at
// most max bytes, or tuf.ErrAbsent.
type Fetch func(ctx context.Context, name string, max int) ([]byte, error)

// Options say where a registry comes from and where it is remembered.
type Options struct {
	Root  []byte // root.json, got by a way that is trusted
	State string // the file of what is known; empty: nothing is remembered
	Fetch Fetch  // from a publication
	File  string // an encoded tuf.Set that is handed on as a file; instead of Fetch
}

// OpenFiles reads a set and a root from files, once, for tools.
func OpenFiles(set, root string, now time.Time) (*Source, error) {
	b, err := os.ReadFile(root)
	if err != nil {
		return nil, fmt.Errorf("update: root: %w", err)
	}
	return Open(context.Background(), Options{Root: b, File: set}, now)
}

// Source gives the snapshot of the moment.
type Source struct {
	options Options

	step sync.Mutex // one look at a time

	mu      sync.RWMutex
	known   tuf.Known
	encoded []byte
}

// state is the file of what is known. It is verified again when it is read, as
// it was when it was new: so that what has expired since still bars the way
// back.
type state struct {
	Set  []byte `cbor:"1,keyasint"`
	Seen int64  `cbor:"2,keyasint"` // when it was verified last, seconds
}

// Open reads what is known and looks for what is new. It returns a source that
// has a snapshot, maybe an expired one, or an error.
func Open(ctx context.Context, o Options, now time.Time) (*Source, error) {
	s := &Source{options: o}
	if err := s.recall(); err != nil {
		return nil, err
	}
	if _, err := s.Step(ctx, now); err != nil && s.Snapshot() == nil {
		return nil, err
	}
	if s.Snapshot() == nil {
		return nil, ErrNone
	}
	return s, nil
}

// recall reads the file of what is known.
func (s *Source) recall() error {
	if s.options.State == "" {
		return nil
	}
	b, err := os.ReadFile(s.options.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	var f state
	if err := canon.Unmarshal(b, tuf.MaxSet+64, &f); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	set, err := tuf.ParseSet(f.Set)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	known, err := tuf.Walk(s.options.Root, tuf.Known{}, time.Unix(f.Seen, 0), set.Read)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	s.known, s.encoded = known, f.Set
	return nil
}

// Snapshot returns the newest verified registry.
func (s *Source) Snapshot() *registry.Snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known.Snapshot
}

// File returns the same as an encoded [tuf.Set], to hand on.
func (s *Source) File() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.encoded
}

// Step looks at the publication and takes over what is newer and good. It
// reports whether the snapshot changed; that it lasts longer now is a change.
func (s *Source) Step(ctx context.Context, now time.Time) (bool, error) {
	if s.options.File != "" {
		b, err := os.ReadFile(s.options.File)
		if err != nil {
			return false, fmt.Errorf("update: %w", err)
		}
		return s.Take(b, now)
	}
	if s.options.Fetch == nil {
		return false, nil
	}
	return s.walk(now, func(name string, limit int) ([]byte, error) { return s.options.Fetch(ctx, name, limit) })
}

// Take takes over a set that somebody handed on, if it is newer and good.
func (s *Source) Take(b []byte, now time.Time) (bool, error) {
	if bytes.Equal(b, s.File()) {
		return false, nil
	}
	set, err := tuf.ParseSet(b)
	if err != nil {
		return false, err
	}
	return s.walk(now, set.Read)
}

func (s *Source) walk(now time.Time, read tuf.Reader) (bool, error) {
	s.step.Lock()
	defer s.step.Unlock()
	before := s.known // only we write it
	fresh, err := tuf.Walk(s.options.Root, before, now, read)
	if err != nil {
		return false, err
	}
	encoded, err := fresh.Set.Marshal()
	if err != nil {
		return false, err
	}
	if bytes.Equal(encoded, s.encoded) {
		return false, nil
	}
	// What is not remembered could be undone by a restart.
	if err := s.remember(encoded, now); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.encoded = fresh, encoded
	return true, nil
}

// remember writes the file of what is known, whole and durable.
func (s *Source) remember(set []byte, now time.Time) error {
	if s.options.State == "" {
		return nil
	}
	b, err := canon.Marshal(state{Set: set, Seen: now.Unix()})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.options.State), 0o700); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.options.State), ".new-")
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.options.State)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("update: %w", err), os.Remove(f.Name()))
	}
	return nil
}
