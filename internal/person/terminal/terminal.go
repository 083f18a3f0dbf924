// Package terminal is a person who proves possession by hand: it shows what to
// do, in her mailbox, on her phone, in her browser, and asks for what came of it.
//
// What she would say in her own name by doing it is shown before it is asked for.
// It opens, sends and calls nothing itself.
package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"whither/client"
	"whither/internal/person"
	"whither/possession"
	"whither/registry"
)

// Terminal is a [client.Holder] who reads and types.
type Terminal struct {
	// Signed is the file with what she has had signed elsewhere; empty: she is
	// asked where it is.
	Signed string

	in     *bufio.Reader
	out    io.Writer
	folder *person.Folder
}

var _ client.Holder = (*Terminal)(nil)

// New returns the person at a terminal. What she has to sign elsewhere is put
// into her folder.
func New(in io.Reader, out io.Writer, folder *person.Folder) *Terminal {
	return &Terminal{in: bufio.NewReader(in), out: out, folder: folder}
}

// SubjectToken asks for the token of the mail.
func (t *Terminal) SubjectToken(_ context.Context, from string) (string, error) {
	_, _ = fmt.Fprintf(t.out, "\nA mail comes from %s.\nIts subject is \"Whither: TOKEN\". Type the token here: ", from)
	line, err := t.in.ReadString('\n')
	token := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "Whither:"))
	if token == "" {
		return "", errors.Join(errors.New("no token was typed; run the same command again when the mail is there"), err)
	}
	return token, nil
}

// SendReply shows what to send.
func (t *Terminal) SendReply(_ context.Context, _, _, body string) error {
	_, _ = fmt.Fprintf(t.out, "\nReply to that mail as plain text, keep its subject, and send exactly this and nothing else:\n\n%s\n\nWaiting for the reply …\n", body)
	return nil
}

// Code asks for the code that came by message or call.
func (t *Terminal) Code(_ context.Context, prover registry.PartyID, kind possession.Kind) (string, error) {
	by := "A message"
	if kind == possession.CodeCall {
		by = "A call"
	}
	_, _ = fmt.Fprintf(t.out, "\n%s comes from %s. Type the code here: ", by, prover)
	line, err := t.in.ReadString('\n')
	code := strings.Join(strings.Fields(line), "")
	if code == "" {
		return "", errors.Join(errors.New("no code was typed; run the same command again to go on"), err)
	}
	return code, nil
}

// SignIn shows what a sign-in says, and where.
func (t *Terminal) SignIn(_ context.Context, prover registry.PartyID, sentence, url string) error {
	_, _ = fmt.Fprintf(t.out, "\nTo sign in at your provider says, to %s:\n\n%s\n\nIf that is what you want to say, open this in a browser on this machine:\n\n%s\n\nWaiting for you to come back …\n",
		prover, sentence, url)
	return nil
}

// SendText shows what to send from the phone, and where.
func (t *Terminal) SendText(_ context.Context, to, text string) error {
	_, _ = fmt.Fprintf(t.out, "\nSend exactly this and nothing else, from the phone with this number, to %s:\n\n%s\nWaiting for the message …\n", to, text)
	return nil
}

// Call shows where to call, and what to enter.
func (t *Terminal) Call(_ context.Context, to, sentence, code string) error {
	_, _ = fmt.Fprintf(t.out, "\nTo enter the code in a call says, in your name:\n\n%s\n\nIf that is what you want to say, call %s\nfrom the phone with this number and enter %s. Waiting for the call …\n", sentence, to, code)
	return nil
}
