package terminal

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"whither/internal/person"
	"whither/possession/smime"
	"whither/registry"
)

// Sign writes what is to be signed into a file, says how, and takes the
// signature from another file. One that is there already, of an interrupted
// enrolment, is taken if it is for the same text.
func (t *Terminal) Sign(_ context.Context, prover registry.PartyID, content []byte) ([]byte, error) {
	text, signature := t.folder.Path("smime", "answer.txt"), t.folder.Path("smime", "answer.p7s")
	if before, err := os.ReadFile(text); err != nil || !bytes.Equal(before, content) {
		if err := os.Remove(signature); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := person.WriteFile(text, content); err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintf(t.out, `
To sign this file with the certificate for your address says, to %s, what stands in it:

  %s

If that is what you want to say, sign it as it is, detached, with the program that has your key, for instance

  openssl cms -sign -binary -in %s -signer you.pem -certfile authority.pem -inkey key.pem -outform DER -out %s

Then type the path of the signature, or nothing if it is that one: `, prover, text, text, signature)
	line, _ := t.in.ReadString('\n') // the end of the input is as good as nothing
	if path := strings.TrimSpace(line); path != "" {
		signature = path
	}
	b, err := readSignature(signature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no signature at %s", signature)
	}
	return b, err
}

// readSignature reads a CMS signature, in DER or, as many programs write it, in
// PEM.
func readSignature(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > 2*smime.MaxSize {
		return nil, smime.ErrTooLarge
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if block, rest := pem.Decode(b); block != nil && len(bytes.TrimSpace(rest)) == 0 && (block.Type == "CMS" || block.Type == "PKCS7") {
		return block.Bytes, nil
	}
	return b, nil
}
