package mail

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"whither/internal/dkim"
)

// ErrChallenge is returned for a [Challenge] that cannot be written.
var ErrChallenge = errors.New("mail: incomplete challenge")

// Challenge is a mail that asks a mailbox to answer.
type Challenge struct {
	// From is the prover's address, which the reply will go to.
	From string
	// To is the address in question, as its holder writes it.
	To string
	// Prover is the prover's name as shown to the person: its DNS name.
	Prover string
	// Part1 is the token of the subject, see [Token]: fresh, and unguessable
	// for whoever does not read the mailbox.
	Part1 string
	// Fingerprint is the key in question as the person's app displays it.
	Fingerprint string
	// Date is the time of the mail.
	Date time.Time
	// Expires is when a reply is too late.
	Expires time.Time
}

// Signing says with which key a challenge is signed. RFC 8823 asks for a
// signature of the From address's domain.
type Signing struct {
	Selector string
	Key      dkim.PrivateKey
}

// Message returns the challenge as a signed message in raw bytes, to be sent to
// c.To with the empty reverse-path (RFC 3834 section 5): nobody wants the
// bounce of a challenge that somebody else asked for.
//
// The same challenge gives the same bytes, its Message-ID included, so that one
// that is sent again after a crash is a duplicate and not a second challenge.
func (c Challenge) Message(s Signing) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(c.From, "@")
	id := sha256.Sum256([]byte("Message-ID\x00" + c.Part1))
	var b strings.Builder
	for _, line := range []string{
		"From: \"" + c.Prover + "\" <" + c.From + ">",
		"To: " + c.To,
		"Subject: " + subjectPrefix + c.Part1,
		"Date: " + c.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"Message-ID: <" + base64.RawURLEncoding.EncodeToString(id[:16]) + "@" + domain + ">",
		"Auto-Submitted: auto-generated; type=whither",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=us-ascii",
		"Content-Transfer-Encoding: 7bit",
		"",
	} {
		b.WriteString(line + "\r\n")
	}
	b.WriteString(strings.ReplaceAll(c.text(), "\n", "\r\n"))
	signed, err := dkim.Sign([]byte(b.String()), dkim.SignOptions{
		Domain: domain, Selector: s.Selector, Key: s.Key, Time: c.Date,
	})
	if err != nil {
		return nil, fmt.Errorf("mail: sign challenge: %w", err)
	}
	return signed, nil
}

// check lets nothing into the header that is not of the form it should have: a
// line end in an address would be a header field of the asker's choice.
func (c Challenge) check() error {
	switch {
	case !validAddress(c.From):
		return fmt.Errorf("%w: From", ErrChallenge)
	case !validAddress(lowerASCII(c.To)):
		return fmt.Errorf("%w: To", ErrChallenge)
	case !dkim.ValidDomain(c.Prover):
		return fmt.Errorf("%w: Prover", ErrChallenge)
	case !validToken(c.Part1):
		return fmt.Errorf("%w: Part1", ErrChallenge)
	case !validFingerprint(c.Fingerprint):
		return fmt.Errorf("%w: Fingerprint", ErrChallenge)
	case c.Date.IsZero() || !c.Expires.After(c.Date):
		return fmt.Errorf("%w: Date or Expires", ErrChallenge)
	}
	return nil
}

// text is what the person reads. It names what an answer does before how to
// answer, and does not carry the response: that comes from her app, so that a
// reply made without the app is worth nothing.
func (c Challenge) text() string {
	return `Hello,

an app asked us to check that this mail address is yours, so that people
who know the address can find you there. The app holds this key:

    ` + c.Fingerprint + `

Did you start this, just now, and does your app show the same key?

NO, or not sure: do nothing and delete this mail. Nothing happens
without your answer. Do not answer because somebody asks you to.

YES: reply to this mail, from this address, with the text that your app
shows and with nothing else: no greeting, no signature, and not the text
of this mail below it. It begins with the sentence

    ` + Sentence(c.Fingerprint) + `

and that is what your reply says: whoever holds this key may state where
the address can be reached. Your mail provider's own signature on the
reply is the proof. We keep the reply as evidence; it is shown to you, and
to those who have to decide a dispute about the address.

The request ends by itself on ` + c.Expires.UTC().Format("2 January 2006 at 15:04") + ` UTC.

-- ` + `
` + c.Prover + `, which checks addresses for a federation of
messaging providers. No person reads mail sent to this address.
`
}
