package choice

import (
	"crypto/sha256"

	"whither/csi"
	"whither/registry"
)

// Rank is the order of providers.
func Rank(id csi.ID, provider registry.PartyID) [sha256.Size]byte { return rank(id, provider) }

// ReadBook reads the text of choices.json and writes it again.
func ReadBook(text []byte) ([]byte, error) {
	b, err := parseBook(text)
	if err != nil {
		return nil, err
	}
	return b.text()
}
