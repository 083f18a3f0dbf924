package bymail_test

import (
	"errors"
	"strings"
	"testing"

	"whither/internal/prover"
	"whither/internal/prover/bymail"
	"whither/internal/world/worldtest"
	"whither/possession/mail"
)

// FuzzRecipient: whatever an artefact looks like, the address that is read from
// it is a mailbox of the challenger, and errors say nothing of it.
func FuzzRecipient(f *testing.F) {
	box := prover.Mailbox{9}.Local()
	for _, to := range []string{
		box + "@prover-a.example", "<" + box + "@PROVER-A.example>", "X <" + box + "@prover-a.example>, y@z.example", "\"" + box + "\"@prover-a.example", "=?utf-8?q?x?= <@a,@b:" + box + "@prover-a.example>",
	} {
		f.Add([]byte("To: " + to + "\r\n\r\n"))
	}
	f.Add([]byte("To: a\r\nTo: b\r\n\r\n"))
	challenger := worldtest.Party(f, worldtest.ProverA)
	f.Fuzz(func(t *testing.T, raw []byte) {
		address, err := bymail.Recipient(raw, challenger)
		if err != nil {
			if !errors.Is(err, mail.ErrMalformed) && !errors.Is(err, mail.ErrWrongRecipient) && !errors.Is(err, mail.ErrTooLarge) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		local, domain, _ := strings.Cut(address, "@")
		if _, ok := prover.ParseMailbox(local); !ok || domain != worldtest.ProverA {
			t.Errorf("%q", address)
		}
	})
}
