package cosigner_test

import (
	"testing"

	"whither/cosigner"
	"whither/internal/world/worldtest"
)

// TestEveryErrorHasAProblem holds the MSP's own table against every exported
// error of this package; those of mappings are package refusal's.
func TestEveryErrorHasAProblem(t *testing.T) {
	rows := make(map[string]bool)
	for _, err := range cosigner.TableErrors() {
		rows[err.Error()] = true
	}
	for name, text := range worldtest.Sentinels(t, ".") {
		if !rows[text] && name != "..ErrConfig" { // never met by a request
			t.Errorf("%s has no row in the table", name)
		}
	}
}

// TestTheFirstRowThatMatchesCounts: no error stands in the table twice.
func TestTheFirstRowThatMatchesCounts(t *testing.T) {
	seen := make(map[error]bool)
	for _, err := range cosigner.TableErrors() {
		if seen[err] {
			t.Errorf("%v stands twice", err)
		}
		seen[err] = true
		if cosigner.Kind(err).Row().Kind != cosigner.Kind(err) {
			t.Errorf("%v: the catalogue has no %s", err, cosigner.Kind(err))
		}
	}
}
