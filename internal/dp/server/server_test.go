package server_test

import (
	"testing"

	"whither/internal/dp/server"
	"whither/internal/world/worldtest"
)

// TestEveryErrorHasAProblem holds the DP's own table against every exported
// error of the packages that it is about; those of mappings are package refusal's.
func TestEveryErrorHasAProblem(t *testing.T) {
	rows := make(map[string]bool)
	for _, text := range server.TableTexts() {
		rows[text] = true
	}
	for name, text := range worldtest.Sentinels(t, ".", "../directory", "../docket", "../../offer") {
		if !rows[text] {
			t.Errorf("%s has no row in the table", name)
		}
	}
}
