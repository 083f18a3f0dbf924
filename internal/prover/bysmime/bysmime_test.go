package bysmime_test

import (
	"fmt"
	"testing"

	"whither/internal/prover/bysmime"
	"whither/internal/world/worldtest"
)

// TestEveryErrorHasAKind holds the table against every error that judging can
// end with.
func TestEveryErrorHasAKind(t *testing.T) {
	rows := make(map[string]bool)
	for _, err := range bysmime.Errors() {
		rows[err.Error()] = true
		if k := bysmime.Problem(fmt.Errorf("wrapped: %w", err)); k == "" || k.Row().Kind != k {
			t.Errorf("%v has no kind of the catalogue: %q", err, k)
		}
	}
	for name, text := range worldtest.Sentinels(t, "../../../possession/smime") {
		if !rows[text] {
			t.Errorf("%s has no row in the table", name)
		}
	}
}
