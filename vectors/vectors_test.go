package vectors_test

import (
	"io/fs"
	"strings"
	"testing"

	"whither/vectors"
)

// TestEveryFolderHoldsVectors: an empty folder, and one without a word on what
// is in it, is a mistake.
func TestEveryFolderHoldsVectors(t *testing.T) {
	folders, err := fs.ReadDir(vectors.FS, ".")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, folder := range folders {
		entries, err := fs.ReadDir(vectors.FS, folder.Name())
		if err != nil {
			t.Fatal(err)
		}
		data := 0
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".json") {
				data++
			}
		}
		if data == 0 {
			t.Errorf("%s: no vectors", folder.Name())
		}
	}
}
