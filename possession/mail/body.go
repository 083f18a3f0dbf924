package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"

	"whither/internal/dkim"
)

// The lines around a response.
const (
	beginLine = "-----BEGIN WHITHER RESPONSE-----"
	endLine   = "-----END WHITHER RESPONSE-----"
)

// Sentence returns the plain sentence that a reply begins with, so that nobody
// sends one without having been told what it says.
func Sentence(fingerprint string) string {
	return "I let key " + fingerprint + " answer for this address."
}

// Response returns the exact text of a reply: the sentence, an empty line, one
// block with the digest in base64url. Lines end in LF, for a clipboard; mail
// programs send CRLF. fingerprint is what the person is shown of her key.
func Response(digest [sha256.Size]byte, fingerprint string) string {
	return Sentence(fingerprint) + "\n\n" + beginLine + "\n" +
		base64.RawURLEncoding.EncodeToString(digest[:]) + "\n" + endLine + "\n"
}

// checkContent checks that the message is plain text, and that this text is
// what Response returns.
func checkContent(m *dkim.Message, want Want) error {
	text, err := decodeText(m)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for _, line := range lines {
		if strings.HasPrefix(line, ">") {
			return ErrQuoted
		}
	}
	return checkLines(lines, want)
}

// decodeText undoes the transfer encoding of a message that is plain text.
func decodeText(m *dkim.Message) (string, error) {
	if err := checkContentType(m); err != nil {
		return "", err
	}
	encoding := "7bit"
	if f := m.All("Content-Transfer-Encoding"); len(f) > 0 {
		encoding = lowerASCII(f[0].Value())
	}
	switch encoding {
	case "7bit", "8bit":
		return string(m.Body), nil
	case "quoted-printable":
		text, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(m.Body)))
		if err != nil {
			return "", fmt.Errorf("%w: quoted-printable", ErrMalformed)
		}
		return string(text), nil
	case "base64":
		compact := bytes.ReplaceAll(m.Body, []byte("\r\n"), nil)
		text, err := base64.StdEncoding.Strict().DecodeString(string(compact))
		if err != nil {
			return "", fmt.Errorf("%w: base64", ErrMalformed)
		}
		return string(text), nil
	}
	return "", fmt.Errorf("%w: transfer encoding", ErrContentType)
}

func checkContentType(m *dkim.Message) error {
	f := m.All("Content-Type")
	if len(f) == 0 {
		return nil // RFC 2045 section 5.2: text/plain in US-ASCII
	}
	kind, params, err := mime.ParseMediaType(f[0].Value())
	if err != nil {
		return fmt.Errorf("%w: unreadable", ErrContentType)
	}
	if kind == "multipart/report" {
		return ErrAutomatic // RFC 6522: bounces and receipts
	}
	if kind != "text/plain" {
		return ErrContentType
	}
	switch charset, ok := params["charset"]; {
	case !ok, strings.EqualFold(charset, "utf-8"), strings.EqualFold(charset, "us-ascii"):
		return nil
	}
	return fmt.Errorf("%w: character set", ErrContentType)
}

// checkLines compares the lines of a text with what Response returns. The
// sentence may be wrapped, since programs wrap at 72 columns and it is longer;
// so may the digest.
func checkLines(lines []string, want Want) error {
	var sentence []string
	for len(lines) > 0 && lines[0] != "" {
		sentence = append(sentence, lines[0])
		lines = lines[1:]
	}
	said := strings.Join(sentence, " ")
	if said != Sentence(want.Fingerprint) {
		if strings.HasPrefix(said, "I let key ") && strings.HasSuffix(said, " answer for this address.") {
			return fmt.Errorf("%w: key", ErrWrongResponse)
		}
		return ErrExtraContent
	}
	if len(lines) < 2 {
		return ErrNoResponse
	}
	if lines = lines[1:]; lines[0] != beginLine {
		return ErrExtraContent
	}
	var digits strings.Builder
	for lines = lines[1:]; len(lines) > 0 && lines[0] != endLine; lines = lines[1:] {
		digits.WriteString(lines[0])
	}
	switch {
	case len(lines) == 0:
		return ErrNoResponse
	case len(lines) > 1:
		return ErrExtraContent
	}
	digest, err := base64.RawURLEncoding.Strict().DecodeString(digits.String())
	if err != nil || len(digest) != sha256.Size {
		return fmt.Errorf("%w: no digest", ErrWrongResponse)
	}
	if !bytes.Equal(digest, want.Response[:]) {
		return ErrWrongResponse
	}
	return nil
}
