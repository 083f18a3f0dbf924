package forge

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/dkim"
	"whither/internal/prover"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/possession"
	"whither/possession/mail"
	"whither/possession/observe"
)

// Misled are the sets in which provers that ask the adversary's DNS find the key
// with which a forged mail is signed, and in which the others lie.
func Misled() []cast.Set {
	return []cast.Set{
		cast.Of(cast.DNSA, cast.DNSB), cast.Of(cast.ProverB, cast.DNSA), cast.Of(cast.ProverX, cast.DNSA),
		cast.Of(cast.ProverA, cast.DNSB), cast.Of(cast.ProverX, cast.DNSB),
	}
}

// byMail are replies that the victim has not sent.
func byMail() []Forgery {
	mended := func(p cast.Party) []cast.Set { return []cast.Set{cast.Of(p)} }
	of := func(name string, needs []cast.Set, write func(h *Hand, c Challenge) ([]byte, dkim.PrivateKey, error)) Forgery {
		return Forgery{
			Name: name, Scheme: csi.Mailto, Kind: possession.MailReply, Witness: possession.MailWitness, Needs: needs, Judge: judgeMail,
			Make: func(h *Hand, c Challenge) (Artefact, error) {
				raw, k, err := write(h, c)
				if err != nil {
					return Artefact{}, err
				}
				h.signedWith = k
				record, err := k.Record()
				if err != nil {
					return Artefact{}, err
				}
				place, err := observe.FromDKIM(stage.MailDomain, stage.ForgedSelector, []string{record})
				return Artefact{raw, place.Digest, place}, err
			},
		}
	}
	retired := of("mail under a retired key of the domain", append(Misled(), cast.Of(cast.CSIP)), retiredKey)
	retired.Recheck = recheckMail
	retired.Today = func(h *Hand) observe.Key {
		place := stage.LiveSelector + "._domainkey." + stage.MailDomain
		k, _ := observe.FromDKIM(stage.MailDomain, stage.LiveSelector, []string{h.Outside.Mail.Published[place]}) // a good record
		return k
	}
	return []Forgery{
		retired,
		of("mail under a key of another domain", mended(cast.CSIP), foreignDomain),
		of("mail from the neighbour's mailbox", mended(cast.VictimWord), neighbourMail),
		of("a lured answer that quotes the response", mended(cast.VictimWord), quoted),
		of("the holder's own reply for another key", mended(cast.VictimWord), replayed),
	}
}

// retiredKey signs with the domain's key of last year, if no better one is owned.
func retiredKey(h *Hand, c Challenge) ([]byte, dkim.PrivateKey, error) {
	selector, k := stage.ForgedSelector, h.Outside.Mail.Forged
	switch {
	case h.Owns(cast.CSIP):
		selector, k = stage.LiveSelector, h.Outside.Mail.Live
	case h.Owns(cast.Archive):
		selector, k = stage.OldSelector, h.Outside.Mail.Old
	}
	raw, err := c.reply(h.CSI.Address()).signed(stage.MailDomain, selector, k, h.Now)
	return raw, k, err
}

// foreignDomain signs with a domain of the adversary's own.
func foreignDomain(h *Hand, c Challenge) ([]byte, dkim.PrivateKey, error) {
	domain, k := stage.OwnDomain, h.Outside.Mail.Own
	if h.Owns(cast.CSIP) {
		domain, k = stage.MailDomain, h.Outside.Mail.Live
	}
	raw, err := c.reply(h.CSI.Address()).signed(domain, stage.LiveSelector, k, h.Now)
	return raw, k, err
}

// neighbourMail is sent by another mailbox of the domain, whose provider signs
// for it, with the victim's address where the provider does not look.
func neighbourMail(h *Hand, c Challenge) ([]byte, dkim.PrivateKey, error) {
	l, k := c.reply(stage.Neighbour), h.Outside.Mail.Live
	switch {
	case h.Owns(cast.VictimWord):
		l = c.reply(h.CSI.Address())
	case h.Owns(cast.Neighbour):
		l.extra = []string{"Sender: " + h.CSI.Address()}
	default:
		k = h.Outside.Mail.Forged
	}
	raw, err := l.signed(stage.MailDomain, stage.LiveSelector, k, h.Now)
	return raw, k, err
}

// quoted is what a person's program sends who answers a mail that has the
// response in it.
func quoted(h *Hand, c Challenge) ([]byte, dkim.PrivateKey, error) {
	l, k := c.reply(h.CSI.Address()), h.Outside.Mail.Live
	switch {
	case h.Owns(cast.VictimWord):
	case h.Owns(cast.LuredReply):
		l.text = "No, I am not interested.\n\nOn Sunday somebody wrote:\n> " + strings.ReplaceAll(strings.TrimSpace(l.text), "\n", "\n> ") + "\n"
	default:
		k = h.Outside.Mail.Forged
	}
	raw, err := l.signed(stage.MailDomain, stage.LiveSelector, k, h.Now)
	return raw, k, err
}

// replayed is a reply that the holder has sent for a key of her own.
func replayed(h *Hand, c Challenge) ([]byte, dkim.PrivateKey, error) {
	k := h.Outside.Mail.Live
	if !h.Owns(cast.VictimWord) {
		c.holder = h.Key("holder of " + h.CSI.Canonical()).Public()
		if !h.Owns(cast.Archive) {
			k = h.Outside.Mail.Forged
		}
	}
	raw, err := c.reply(h.CSI.Address()).signed(stage.MailDomain, stage.LiveSelector, k, h.Now)
	return raw, k, err
}

// letter is a mail to a prover, as its author's program writes it.
type letter struct {
	from, to, subject, text string
	extra                   []string // further header fields
}

// reply is the letter that would answer a challenge, if its author sent it.
func (c Challenge) reply(author string) letter {
	return letter{
		from: author, to: c.address(), subject: "Re: Whither: " + mail.Token([mail.TokenSize]byte(c.known[:mail.TokenSize])),
		text: mail.Response(c.response(), c.holder.ID().String()),
	}
}

func (c Challenge) address() string { return c.box.Local() + "@" + c.prover.String() }

func (l letter) bytes(now time.Time) []byte {
	id := sha256.Sum256([]byte(l.from + l.to + l.text))
	head := append([]string{
		"From: " + l.from, "To: " + l.to, "Subject: " + l.subject, "Date: " + now.Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		fmt.Sprintf("Message-ID: <%s@%s>", base64.RawURLEncoding.EncodeToString(id[:12]), stage.MailDomain),
		"Content-Type: text/plain; charset=utf-8",
	}, l.extra...)
	return []byte(strings.Join(head, "\r\n") + "\r\n\r\n" + strings.ReplaceAll(l.text, "\n", "\r\n"))
}

// signed returns the letter under a DKIM signature of the given time.
func (l letter) signed(domain, selector string, k dkim.PrivateKey, now time.Time) ([]byte, error) {
	return dkim.Sign(l.bytes(now), dkim.SignOptions{Domain: domain, Selector: selector, Key: k, Time: now})
}

// dns is what a prover finds for the selector of a domain.
func (h *Hand) dns(by cast.Party) func(domain, selector string) ([]string, error) {
	return func(domain, selector string) ([]string, error) {
		record, ok := h.Outside.Mail.Published[selector+"._domainkey."+domain]
		if h.Misleads(by) && !h.signedWith.IsZero() {
			var err error
			if record, err = h.signedWith.Record(); err != nil {
				return nil, err
			}
			ok = true
		}
		if !ok {
			return nil, nil
		}
		return []string{record}, nil
	}
}

// judgeMail is what an honest prover makes of a mail. The method by mail has
// sockets of its own; its verdict is that of package possession/mail.
func judgeMail(h *Hand, by cast.Party, c Challenge, raw []byte) (prover.Finding, error) {
	return verdict(h, c, c.seenBy(by), raw, h.dns(by))
}

// recheckMail is what one makes of it under the record that it is handed.
func recheckMail(h *Hand, c Challenge, raw []byte) (prover.Finding, error) {
	return verdict(h, c, c.known, raw, func(string, string) ([]string, error) {
		record, err := h.signedWith.Record()
		return []string{record}, err
	})
}

func verdict(h *Hand, c Challenge, nonce [possession.NonceSize]byte, raw []byte, record func(domain, selector string) ([]string, error)) (prover.Finding, error) {
	report, err := mail.Verify(raw, mail.Want{
		Address: c.csi.Address(), ReplyTo: c.address(), Part1: mail.Token([mail.TokenSize]byte(nonce[:mail.TokenSize])),
		Response: possession.Response(c.csi, c.holder, nonce), Fingerprint: c.holder.ID().String(), Now: h.Now,
	}, record)
	return prover.Finding{Artefact: raw, Level: possession.Level4, KeySeen: report.KeyDigest, Evidence: report.SignedAt}, err
}
