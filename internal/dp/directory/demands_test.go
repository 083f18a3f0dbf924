package directory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"whither/internal/offer"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
)

// TestR01OfferAndAdmissionReadOneTable: what a DP offers is what it admits, by
// its federation's policy and by further demands of its own, which cannot loosen it.
func TestR01OfferAndAdmissionReadOneTable(t *testing.T) {
	codes := []possession.Kind{possession.CodeMessage, possession.CodeCall, possession.SignedCall}
	for _, test := range []struct {
		name    string
		agreed  uint8 // by the federation, for numbers
		refused []string
		demands possession.Demands
		level   possession.Level
		codes   []possession.Kind // of those offered
		want    error
	}{
		{"as agreed", 2, nil, possession.Demands{}, 2, codes, nil},
		{"stricter DP", 2, nil, possession.Demands{Levels: map[string]possession.Level{"tel": 4}}, 4, nil, mapping.ErrLevel},
		{"DP that would be laxer", 4, nil, possession.Demands{Levels: map[string]possession.Level{"tel": 2}}, 4, nil, mapping.ErrLevel},
		{"no codes in the federation", 2, []string{"code-call", "code-message", "signed-call"}, possession.Demands{}, 2, nil, possession.ErrRefusedKind},
		{"no codes at this DP", 2, nil, possession.Demands{Refused: codes}, 2, nil, possession.ErrRefusedKind},
		{"no calls at this DP", 2, nil, possession.Demands{Refused: codes[1:]}, 2, codes[:1], mapping.ErrLevel},
		{"messages refused twice", 2, []string{"code-message"}, possession.Demands{Refused: codes[:1]}, 2, codes[1:], mapping.ErrLevel},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.Record.Policy.Levels["tel"], b.Record.Policy.Evidence.Refused = test.agreed, test.refused
			b.Demands = test.demands
			id, bob := worldtest.CSI(t, "tel:+41791234567"), worldtest.Key(t, "bob")
			terms, err := b.Offer(id, bob.Public(), b.Now)
			if err != nil {
				t.Fatal(err)
			}
			offered := slices.DeleteFunc(terms.Kinds, func(k possession.Kind) bool { return !slices.Contains(codes, k) })
			if terms.Level != test.level || !slices.Equal(offered, test.codes) {
				t.Errorf("level %d, codes %v", terms.Level, offered)
			}
			c := b.Claims(id, bob.Public(), test.name, worldtest.MSPA)
			c.DPNonce, c.Residency = offer.Nonce(terms.Offer), []string{"CH"}
			u := b.Propose(c, bob, b.CodeReceipts(id, bob.Public(), b.Now, terms.Provers[0].String(), terms.Provers[1].String()))
			r, err := b.Submit(t.Context(), terms.Offer, u.Bundle(), b.Now)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil {
				b.verified(t, r)
			}
		})
	}
}

// TestDemandsEndNothing: a DP that becomes stricter renews what it has admitted.
func TestDemandsEndNothing(t *testing.T) {
	b := newBench(t)
	o, u := b.propose(t, "bob", nil, worldtest.MSPA)
	r, err := b.Submit(t.Context(), o, u.Bundle(), b.Now)
	if err != nil {
		t.Fatal(err)
	}
	b.Demands = possession.Demands{Refused: []possession.Kind{possession.MailReply}}
	v := b.verified(t, r)
	later := b.Now.Add(6 * 24 * time.Hour)
	renewed, err := b.Renewed(t.Context(), v.Claims().ID, later)
	if err != nil || slices.Equal(renewed.Mapping, v.Bundle().Mapping) {
		t.Errorf("not renewed: %v", err)
	}
}
