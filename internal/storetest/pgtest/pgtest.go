// Package pgtest gives tests a private PostgreSQL (package pgserver), and a way
// to break the connections to it.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"whither/internal/pgserver"
)

// Start starts a private PostgreSQL for a test and what is below it. Without
// the programs the test is skipped, and fails where CI is set.
func Start(t testing.TB) *pgserver.Server {
	t.Helper()
	return StartWith(t, nil)
}

// StartWith is Start with settings of its own.
func StartWith(t testing.TB, settings map[string]string) *pgserver.Server {
	t.Helper()
	all := map[string]string{"max_connections": "300", "shared_buffers": "64MB"}
	maps.Copy(all, settings)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := pgserver.Start(ctx, pgserver.Config{Settings: all})
	if errors.Is(err, pgserver.ErrNotInstalled) && os.Getenv("CI") == "" {
		t.Skipf("NOT RUN: nothing is tested on PostgreSQL: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Schema makes an empty schema in a server and returns its URL.
func Schema(t testing.TB, s *pgserver.Server) string {
	t.Helper()
	u, err := s.Schema(t.Context(), "test_"+strings.ToLower(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	return u
}
