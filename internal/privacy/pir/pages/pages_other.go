//go:build !linux

package pages

import (
	"fmt"
	"os"
)

// New returns n zeroed bytes.
func New(n int) (*Memory, error) { return &Memory{bytes: make([]byte, n)}, nil }

// Map reads a whole file.
func Map(path string) (*Memory, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	return &Memory{bytes: b}, nil
}
