package bystir_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"whither/internal/prover"
	"whither/internal/prover/bystir"
	"whither/internal/world/worldtest"
	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
)

// TestEveryErrorHasAKind holds the table against every error that judging can
// end with.
func TestEveryErrorHasAKind(t *testing.T) {
	rows := make(map[string]bool)
	for _, err := range bystir.Errors() {
		rows[err.Error()] = true
		if k := bystir.Problem(fmt.Errorf("wrapped: %w", err)); k == "" || k.Row().Kind != k {
			t.Errorf("%v has no kind of the catalogue: %q", err, k)
		}
	}
	for name, text := range worldtest.Sentinels(t, ".", "../../../possession/stir") {
		if !rows[text] {
			t.Errorf("%s has no row in the table", name)
		}
	}
}

// FuzzDestination: wherever a PASSporT says that it goes, what a witness takes is
// an address that the challenger may have given out, in its one spelling.
func FuzzDestination(f *testing.F) {
	box := prover.Mailbox{9}.Local()
	for _, to := range []string{
		"sip:" + box + "@prover-a.example", "sips:" + box + "@prover-a.example", "sip:" + box + "@prover-a.example;transport=tcp",
		"sip:" + strings.ToUpper(box) + "@prover-a.example", "sip:" + box + "@prover-b.example", "sip:" + box[:25] + "@prover-a.example",
		"sip:" + box + ":p@prover-a.example", "sip:" + box + "@prover-a.example@prover-a.example", "sip:@prover-a.example", "tel:+41791234567",
	} {
		f.Add(to)
	}
	challenger := worldtest.Party(f, worldtest.ProverA)
	k := stirtest.FixedKey("fuzz")
	f.Fuzz(func(t *testing.T, to string) {
		token, err := passport.Claims{
			IssuedAt: time.Unix(1_800_000_000, 0), Orig: passport.Party{TN: "41791234567"}, Dest: passport.Destinations{URI: []string{to}},
		}.Sign(passport.Signing{X5U: "https://certificates.example/a.pem", Key: k})
		if err != nil {
			return // no PASSporT can say this
		}
		dest, err := bystir.Destination(token, challenger)
		if err != nil {
			if !errors.Is(err, bystir.ErrDestination) && !errors.Is(err, stir.ErrPassport) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		user, host, _ := strings.Cut(strings.TrimPrefix(to, "sip:"), "@")
		if m, ok := prover.ParseMailbox(user); !ok || host != worldtest.ProverA || dest.URI != to || bystir.Address(m, challenger) != to {
			t.Errorf("%q is taken as an address of the challenger", to)
		}
	})
}
