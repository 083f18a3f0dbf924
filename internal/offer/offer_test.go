package offer_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"whither/internal/offer"
	"whither/internal/world/worldtest"
)

func TestOffer(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	id, other := worldtest.CSI(t, "mailto:bob@example.org"), worldtest.CSI(t, "mailto:carol@example.org")
	bob, mallory := worldtest.Key(t, "bob").Public(), worldtest.Key(t, "mallory").Public()
	m := offer.NewMaker(worldtest.Party(t, "dp.example"), [32]byte{1})
	b, err := m.Make(id, bob, now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Make(id, bob, now)
	if err != nil || bytes.Equal(b, again) {
		t.Fatal("two offers are equal")
	}
	nonce := offer.Nonce(b)
	if err := m.Check(b, id, bob, nonce, now); err != nil {
		t.Error(err)
	}
	bent := bytes.Clone(b)
	bent[0] ^= 1
	for name, test := range map[string]struct {
		got, want error
	}{
		"other CSI":    {m.Check(b, other, bob, nonce, now), offer.ErrUnknown},
		"other key":    {m.Check(b, id, mallory, nonce, now), offer.ErrUnknown},
		"other party":  {offer.NewMaker(worldtest.Party(t, "dp-2.example"), [32]byte{1}).Check(b, id, bob, nonce, now), offer.ErrUnknown},
		"other secret": {offer.NewMaker(worldtest.Party(t, "dp.example"), [32]byte{2}).Check(b, id, bob, nonce, now), offer.ErrUnknown},
		"longer life":  {m.Check(bent, id, bob, offer.Nonce(bent), now), offer.ErrUnknown},
		"cut":          {m.Check(b[:20], id, bob, nonce, now), offer.ErrUnknown},
		"expired":      {m.Check(b, id, bob, nonce, now.Add(offer.Life)), offer.ErrExpired},
		"other nonce":  {m.Check(b, id, bob, offer.Nonce(again), now), offer.ErrNonce},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: got %v, want %v", name, test.got, test.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	id, bob := worldtest.CSI(f, "mailto:bob@example.org"), worldtest.Key(f, "bob").Public()
	// Each fuzzing process has a secret of its own, so that the offer of another
	// process is a forgery here.
	var secret [offer.SecretSize]byte
	if _, err := rand.Read(secret[:]); err != nil {
		f.Fatal(err)
	}
	m := offer.NewMaker(worldtest.Party(f, "dp.example"), secret)
	good, err := m.Make(id, bob, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m.Check(b, id, bob, offer.Nonce(b), now) == nil && !bytes.Equal(b, good) {
			t.Error("a forged offer is accepted")
		}
	})
}
