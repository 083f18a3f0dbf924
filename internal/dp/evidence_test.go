package dp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whither/internal/dp"
)

// TestEvidenceSettings: a level or a kind that would mean nothing stops a DP at
// once, with the setting's name.
func TestEvidenceSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dp.toml")
	for text, want := range map[string]string{
		"levels = { tel = 4, mailto = 2 }": "",
		`refused = ["smime", "code-call"]`: "",
		"levels = { tel = 1 }":             "evidence.levels",
		"levels = { tel = 5 }":             "evidence.levels",
		"levels = { fax = 4 }":             "evidence.levels",
		`refused = ["seance"]`:             "evidence.refused",
		"refuse = []":                      "evidence.refuse",
	} {
		if err := os.WriteFile(path, []byte("party = \"dp.example\"\n[evidence]\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := dp.ReadSettings(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
