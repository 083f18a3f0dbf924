package mailnet

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"mime"
	"net/mail"
	"strings"
)

// wrapAt is the column at which ordinary mail programs break lines.
const wrapAt = 72

// Reply answers a message as a person does with an ordinary mail program: from
// her mailbox to whoever asked, with the text that she typed and nothing of the
// original, and lets the provider send it.
func (p *Provider) Reply(ctx context.Context, mailbox string, original []byte, text string) error {
	to, raw, err := p.ComposeReply(mailbox, original, text)
	if err != nil {
		return err
	}
	return p.Send(ctx, mailbox, to, raw)
}

// ComposeReply returns the recipient and the unsigned message of [Provider.Reply],
// for tests that change it before they send it.
func (p *Provider) ComposeReply(mailbox string, original []byte, text string) (to string, raw []byte, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(original))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	author := m.Header.Get("Reply-To")
	if author == "" {
		author = m.Header.Get("From")
	}
	recipient, err := mail.ParseAddress(author)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if len(subject) < 3 || !strings.EqualFold(subject[:3], "Re:") {
		subject = "Re: " + subject
	}
	fields := []string{
		"Date: " + p.net.now().Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"MIME-Version: 1.0",
		"User-Agent: Ordinary Mail 1.0",
		"Subject: " + mime.QEncoding.Encode("utf-8", subject),
		"To: " + recipient.String(),
		"Message-ID: <" + strings.ToLower(rand.Text()) + "@" + p.domain + ">",
		"From: " + mailbox,
		"Content-Type: text/plain; charset=UTF-8; format=flowed",
		"Content-Transfer-Encoding: " + transferEncoding(text),
	}
	if id := m.Header.Get("Message-ID"); id != "" {
		fields = append(fields, "In-Reply-To: "+id, "References: "+strings.TrimSpace(m.Header.Get("References")+" "+id))
	}
	return recipient.Address, []byte(strings.Join(fields, "\r\n") + "\r\n\r\n" + flow(text)), nil
}

func transferEncoding(text string) string {
	for i := range len(text) {
		if text[i] > 0x7f {
			return "8bit"
		}
	}
	return "7bit"
}

// flow breaks long lines as format=flowed does (RFC 3676 section 4.2): after a
// space, so that the reader can join them again.
func flow(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n") {
		for len(line) > wrapAt {
			space := strings.LastIndexByte(line[:wrapAt], ' ')
			if space < 1 {
				break
			}
			b.WriteString(line[:space+1] + "\r\n")
			line = line[space+1:]
		}
		b.WriteString(line + "\r\n")
	}
	return b.String()
}
