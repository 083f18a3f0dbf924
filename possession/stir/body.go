package stir

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// The lines around a response, the same as in mail.
const (
	beginLine = "-----BEGIN WHITHER RESPONSE-----"
	endLine   = "-----END WHITHER RESPONSE-----"
)

const (
	sentenceStart = "I let key "
	sentenceEnd   = " answer for this number."
)

// Sentence returns the plain sentence that a message begins with, so that nobody
// sends one without having been told what it says.
func Sentence(fingerprint string) string { return sentenceStart + fingerprint + sentenceEnd }

// Response returns the exact text of a message: the sentence, an empty line, one
// block with the digest in base64url. fingerprint is what the person is shown of
// her key: the text of its ID.
func Response(digest [sha256.Size]byte, fingerprint string) string {
	return Sentence(fingerprint) + "\n\n" + beginLine + "\n" +
		base64.RawURLEncoding.EncodeToString(digest[:]) + "\n" + endLine + "\n"
}

// checkBody checks that a message is what Response returns. Lines end in LF or
// CRLF, the last one may have no end: senders differ there, and nothing else
// does. Unlike mail, no program wraps or pads a message on its way.
func checkBody(body []byte, response [sha256.Size]byte, fingerprint string) error {
	text := strings.TrimSuffix(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[1] != "" || lines[2] != beginLine || lines[4] != endLine {
		return ErrContent
	}
	if lines[0] != Sentence(fingerprint) {
		if strings.HasPrefix(lines[0], sentenceStart) && strings.HasSuffix(lines[0], sentenceEnd) {
			return ErrWrongResponse
		}
		return ErrContent
	}
	digest, err := base64.RawURLEncoding.Strict().DecodeString(lines[3])
	if err != nil || len(digest) != sha256.Size || strings.Contains(lines[3], "\r") {
		return ErrContent
	}
	if !bytes.Equal(digest, response[:]) {
		return ErrWrongResponse
	}
	return nil
}

// CodeDigits is how many digits the code of a call has.
const CodeDigits = 8

// CallCode is what a caller enters by keypad: the response, cut down to what a
// person can enter. It is the first eight bytes as a number, modulo 10^8.
func CallCode(response [sha256.Size]byte) string {
	return fmt.Sprintf("%0*d", CodeDigits, binary.BigEndian.Uint64(response[:8])%100_000_000)
}
