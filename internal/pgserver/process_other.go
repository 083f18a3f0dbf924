//go:build !linux

package pgserver

import "os/exec"

// attribute has nothing to say where credentials are set in other ways: as root
// PostgreSQL then refuses to start.
func attribute(*exec.Cmd, *owner) {}

// children are not seen; those of PostgreSQL end when their parent is gone.
func children(int) []int { return nil }
