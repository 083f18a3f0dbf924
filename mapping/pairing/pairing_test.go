package pairing_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/mapping/pairing"
)

func TestShortCode(t *testing.T) {
	older, newer, mallory := worldtest.Key(t, "bob").Public(), worldtest.Key(t, "tablet").Public(), worldtest.Key(t, "mallory").Public()
	p, err := pairing.New(rand.Reader, newer)
	if err != nil {
		t.Fatal(err)
	}
	l, nonce := mapping.Lineage{1}, mapping.Nonce{2}
	code := p.Code(older, l, nonce)
	if len(code) != 6 || p.Code(older, l, nonce) != code {
		t.Errorf("code %q", code)
	}
	if err := p.Opens(p.Commitment()); err != nil {
		t.Error(err)
	}
	other := p
	other.Newer = mallory
	if err := other.Opens(p.Commitment()); !errors.Is(err, pairing.ErrChanged) {
		t.Errorf("another key opens the commitment: %v", err)
	}
	same := 0
	for i := range 1000 {
		if p.Code(older, l, mapping.Nonce{3, byte(i), byte(i >> 8)}) == code {
			same++
		}
	}
	if same > 1 {
		t.Errorf("%d of 1000 nonces give the same code", same)
	}
}
