package prover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"whither/possession"
	"whither/possession/mail"
	"whither/problem"
)

// lookupTimeout bounds one look-up of a DKIM key; a mail causes at most
// mail.MaxSignatures of them.
const lookupTimeout = 5 * time.Second

// open returns the challenge that mail to a mailbox may still be about.
func (p *Prover) open(ctx context.Context, m Mailbox) (Challenge, error) {
	c, err := p.config.Store.ByMailbox(ctx, m)
	if err != nil {
		return Challenge{}, err
	}
	if !p.config.Now().Before(c.Expires) {
		return Challenge{}, ErrExpired
	}
	if c.State == Failed {
		return Challenge{}, ErrFailed
	}
	return c, nil
}

// reply judges a mail to a mailbox and stores the verdict. It returns nil when
// the challenge is proved by this very mail, which may come twice if an answer
// of ours was lost.
func (p *Prover) reply(ctx context.Context, m Mailbox, bounce bool, raw []byte) error {
	c, err := p.open(ctx, m)
	if err != nil {
		return err
	}
	if c.State == Proved {
		if !bytes.Equal(c.Artefact, raw) {
			return ErrDecided
		}
		return nil
	}
	receipt, err := p.judge(ctx, c, bounce, raw)
	if err != nil {
		return p.refuse(ctx, c, err)
	}
	// From here on the reply is evidence; the commit point is in the store.
	return p.config.Store.Prove(ctx, c.ID, Proof{Receipt: receipt, Artefact: raw})
}

// judge verifies a reply and returns the receipt for it.
func (p *Prover) judge(ctx context.Context, c Challenge, bounce bool, raw []byte) ([]byte, error) {
	now := p.config.Now()
	if bounce {
		return nil, ErrBounce
	}
	if err := p.listed(now); err != nil {
		return nil, err
	}
	report, err := mail.Verify(raw, mail.Want{
		Address: c.CSI.Address(), ReplyTo: p.address(c.Mailbox), Part1: token(c.Nonce),
		Response: possession.Response(c.CSI, c.Holder, c.Nonce), Fingerprint: c.Holder.ID().String(), Now: now,
	}, p.record(ctx))
	if err != nil {
		return nil, err
	}
	return possession.Receipt{
		Purpose: c.Purpose, Subject: possession.SubjectOf(c.CSI, c.Holder), Kind: possession.MailReply, Level: possession.Level4,
		Artefact: report.ArtefactDigest, KeySeen: report.KeyDigest,
		Evidence: evidenceTime(report.SignedAt, c.Started, now), Signed: now,
	}.Sign(p.config.Key)
}

// evidenceTime is the time inside the CSIP's signature where it can be true,
// else when we saw it: a domain whose clock is wrong must not make evidence that
// is older than the question or newer than the receipt.
func evidenceTime(signed, earliest, now time.Time) time.Time {
	if signed.IsZero() || signed.Before(earliest) || signed.After(now) {
		return now
	}
	return signed
}

// record returns the look-up of DKIM keys for one mail. What is not published
// is an empty record, which nobody's signature verifies under; only trouble on
// the way is an error, which may pass.
func (p *Prover) record(ctx context.Context) func(domain, selector string) ([]string, error) {
	return func(domain, selector string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		// The last dot keeps the search list of the machine out of it.
		txt, err := p.config.Mail.Resolver.LookupTXT(ctx, selector+"._domainkey."+domain+".")
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
			return nil, nil
		}
		return txt, err
	}
}

// refuse records why a reply was refused and returns that reason, or the
// trouble of recording it.
func (p *Prover) refuse(ctx context.Context, c Challenge, why error) error {
	kind := Kind(why)
	if kind == "" || kind == problem.Internal {
		return why // ours, not the reply's
	}
	r := Refusal{Problem: kind, Effect: Counted}
	if passing(kind) {
		r.Effect = Noted
		if c.Problem == kind {
			return why // a mail server may try for days
		}
	}
	switch err := p.config.Store.Refuse(ctx, c.ID, r); {
	case err == nil, errors.Is(err, ErrDecided):
		return why
	case errors.Is(err, ErrUnknown):
		return ErrUnknown
	default: // says nothing of the reason, so that the mail server tries again
		return fmt.Errorf("prover: verdict not stored: %w", err)
	}
}

// passing reports whether the same mail may be right later.
func passing(k problem.Kind) bool { return k == "" || k.Row().Retry == problem.RetryLater }
