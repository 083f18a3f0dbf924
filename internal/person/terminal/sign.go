package terminal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"whither/client"
	"whither/internal/person"
	"whither/possession"
	"whither/possession/smime"
	"whither/possession/stir"
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

`, prover, text, text, signature)
	path, err := t.file("signature", signature)
	if err != nil {
		return nil, err
	}
	return readSignature(path)
}

// Attest says what is to be signed about her number, and takes the file with it.
func (t *Terminal) Attest(_ context.Context, prover registry.PartyID, a client.Attestation) ([]byte, error) {
	// A PASSporT is good for its challenge alone, a token for the key.
	usual := t.folder.Path("telephone", a.Key[:min(len(a.Key), 16)]+".txt")
	if a.Kind == possession.TNToken {
		usual = t.folder.Path("telephone", "token.txt")
		_, _ = fmt.Fprintf(t.out, `
With an authority token (RFC 9448) an authority over numbers says, to %s, that your key may answer for your number:

  TNAuthList   %s
  fingerprint  %s
`, prover, a.Number, a.Key)
	} else {
		who := "your carrier says"
		if a.Kind == possession.Delegate {
			who = "you say, by the certificate that was delegated to you for it"
		}
		_, _ = fmt.Fprintf(t.out, `
With a PASSporT (RFC 8225) %s, to %s, that your key answers for your number:

  orig  tn       %s
  dest  uri      %s
  mky   sha-256  %s
`, who, prover, a.Number, a.To, a.Key)
	}
	_, _ = fmt.Fprint(t.out, "\nPut it into a file, and behind it the signer's certificates in PEM, unless they stand in it.\n\n")
	path, err := t.file("file", usual)
	if err != nil {
		return nil, err
	}
	return readFile(path, stir.MaxArtefact)
}

// file returns where something signed lies: where she said before, where she says
// now, or in its usual place.
func (t *Terminal) file(what, usual string) (string, error) {
	path := t.Signed
	t.Signed = "" // if it is refused, the same once more helps nobody
	if path == "" {
		_, _ = fmt.Fprintf(t.out, "Type the path of the %s, or nothing if it is %s: ", what, usual)
		line, _ := t.in.ReadString('\n') // the end of the input is as good as nothing
		path = cmp.Or(strings.TrimSpace(line), usual)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s at %s", what, path)
	}
	return path, nil
}

// readSignature reads a CMS signature, in DER or, as many programs write it, in
// PEM.
func readSignature(path string) ([]byte, error) {
	b, err := readFile(path, 2*smime.MaxSize)
	if err != nil {
		return nil, err
	}
	if block, rest := pem.Decode(b); block != nil && len(bytes.TrimSpace(rest)) == 0 && (block.Type == "CMS" || block.Type == "PKCS7") {
		return block.Bytes, nil
	}
	return b, nil
}

// readFile reads a file that may have at most so many bytes.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return os.ReadFile(path)
}
