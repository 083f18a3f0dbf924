package mail

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"whither/internal/dkim"
)

// Notice is a mail that tells the holder of an address something and asks for
// no answer by mail.
type Notice struct {
	From   string // address in the prover's domain that takes no mail
	To     string
	Prover string // the prover's id
	Name   string // the same notice has the same name, and becomes a duplicate; nobody else knows it
	Text   string // ASCII, lines of at most 76 characters, line feeds
	Date   time.Time
}

// Message returns the notice as a signed message in raw bytes, to be sent with
// the empty reverse-path.
func (n Notice) Message(s Signing) ([]byte, error) {
	switch {
	case !validAddress(n.From):
		return nil, fmt.Errorf("%w: From", ErrChallenge)
	case !validAddress(lowerASCII(n.To)):
		return nil, fmt.Errorf("%w: To", ErrChallenge)
	case !dkim.ValidDomain(n.Prover):
		return nil, fmt.Errorf("%w: Prover", ErrChallenge)
	case n.Date.IsZero() || n.Text == "" || strings.ContainsFunc(n.Text, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }):
		return nil, fmt.Errorf("%w: Date or Text", ErrChallenge)
	}
	_, domain, _ := strings.Cut(n.From, "@")
	id := sha256.Sum256([]byte("Notice-ID\x00" + n.Name))
	head := []string{
		"From: \"" + n.Prover + "\" <" + n.From + ">",
		"To: " + n.To,
		"Subject: About your address in messaging discovery",
		"Date: " + n.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"Message-ID: <" + base64.RawURLEncoding.EncodeToString(id[:16]) + "@" + domain + ">",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=us-ascii",
		"Content-Transfer-Encoding: 7bit",
		"",
		strings.ReplaceAll(n.Text, "\n", "\r\n"),
	}
	signed, err := dkim.Sign([]byte(strings.Join(head, "\r\n")), dkim.SignOptions{Domain: domain, Selector: s.Selector, Key: s.Key, Time: n.Date})
	if err != nil {
		return nil, fmt.Errorf("mail: sign notice: %w", err)
	}
	return signed, nil
}
