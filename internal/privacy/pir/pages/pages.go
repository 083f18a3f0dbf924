// Package pages gives the retrieval engine its memory: zeroed memory on large
// pages, which a scan of a gigabyte wants, and stored snapshots mapped from
// files.
//
// It promises nothing about content: [whither/internal/privacy/pir.Open]
// checks that a mapped file is whole. A file must not be changed while it is
// mapped; snapshots are written under another name and renamed.
package pages

import "errors"

// ErrClosed means that memory was released before.
var ErrClosed = errors.New("pages: already released")

// Memory is a region outside the garbage-collected heap where the system has
// one. Its bytes must not be used after Release.
type Memory struct {
	bytes    []byte
	released bool
	free     func([]byte) error
}

// Bytes returns the region.
func (m *Memory) Bytes() []byte { return m.bytes }

// Release gives the region back.
func (m *Memory) Release() error {
	if m.released {
		return ErrClosed
	}
	m.released = true
	b := m.bytes
	m.bytes = nil
	if m.free == nil || len(b) == 0 {
		return nil
	}
	return m.free(b)
}
