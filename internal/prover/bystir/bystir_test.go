package bystir_test

import (
	"fmt"
	"testing"

	"whither/internal/prover/bystir"
	"whither/internal/world/worldtest"
)

// TestEveryErrorHasAKind holds the table against every error that judging can
// end with.
func TestEveryErrorHasAKind(t *testing.T) {
	rows := make(map[string]bool)
	for _, err := range bystir.Errors() {
		rows[err.Error()] = true
		if k := bystir.Problem(fmt.Errorf("wrapped: %w", err)); k == "" || k.Row().Kind != k {
			t.Errorf("%v has no kind of the catalogue: %q", err, k)
		}
	}
	for name, text := range worldtest.Sentinels(t, ".", "../../../possession/stir") {
		if !rows[text] {
			t.Errorf("%s has no row in the table", name)
		}
	}
}
