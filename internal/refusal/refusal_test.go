package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"whither/internal/refusal"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
)

// TestEveryErrorHasAProblem holds the table against every exported error of the
// packages that it is about.
func TestEveryErrorHasAProblem(t *testing.T) {
	rows := make(map[string]bool)
	for _, err := range refusal.Errors() {
		rows[err.Error()] = true
		if k := refusal.Kind(fmt.Errorf("wrapped: %w", err)); k == "" || k.Row().Kind != k {
			t.Errorf("%v has no kind of the catalogue: %q", err, k)
		}
	}
	for name, text := range worldtest.Sentinels(t, "../../mapping", "../../possession") {
		if !rows[text] {
			t.Errorf("%s has no row in the table", name)
		}
	}
}

func TestReceiptsComeBeforeMappings(t *testing.T) {
	for _, test := range []struct {
		err  error
		want problem.Kind
	}{
		{fmt.Errorf("%w: %w", mapping.ErrMalformed, possession.ErrReceipt), problem.ReceiptMalformed},
		{mapping.ErrMalformed, problem.MappingMalformed},
		{errors.New("something else"), ""},
	} {
		if got := refusal.Kind(test.err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
