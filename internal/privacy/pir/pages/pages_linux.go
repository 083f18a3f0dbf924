package pages

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// New returns n zeroed bytes, on large pages if the system grants them.
func New(n int) (*Memory, error) {
	if n == 0 {
		return &Memory{}, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("pages: %d bytes: %w", n, err)
	}
	// A wish: without large pages all is slower, and nothing is wrong.
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return &Memory{bytes: b, free: unix.Munmap}, nil
}

// Map maps a whole file for reading.
func Map(path string) (*Memory, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if info.Size() == 0 {
		return &Memory{}, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("pages: map a file: %w", err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return &Memory{bytes: b, free: unix.Munmap}, nil
}
