package prover_test

import (
	"testing"

	"whither/possession"
)

// TestR01MailReplyProvesPossession goes the whole way on real sockets: a
// challenge by SMTP, a reply with the domain's DKIM signature, the receipts of
// two provers of different operators, and the level that they reach together.
func TestR01MailReplyProvesPossession(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	witness, err := f.observe(f.b, a.observation(s))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.assess(s.Receipt, witness)
	if err != nil || got.Level != possession.Level4 {
		t.Errorf("level %d, %v", got.Level, err)
	}
	f.checkSilence()
}
