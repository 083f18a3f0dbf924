package client

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"whither/csi"
	"whither/possession"
	"whither/possession/mail"
	"whither/problem"
	"whither/wire"
)

// proveByMail has the first prover challenge the mailbox and the second one
// check the same reply.
func (c *Client) proveByMail(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
	if len(e.Receipts) == 0 {
		if err := c.challengeByMail(ctx, w, h, e, say); err != nil {
			return err
		}
	}
	return c.witness(ctx, w, e, possession.MailWitness, "the same reply against the key that it saw published itself", say)
}

// witness has the second prover check what the first one got, and takes its
// receipt over.
func (c *Client) witness(ctx context.Context, w Wish, e *Enrolment, kind possession.Kind, checked string, say Progress) error {
	if w.ByObserver && published(kind) {
		return c.recheck(ctx, w, e, say)
	}
	by := e.Provers[1]
	var o wire.Observation
	err := c.parties.Call(ctx, by, wire.PathObservations, "", wire.ObservationRequest{
		CSI: csi.Clear{ID: w.CSI}, Key: w.Key.Public().Bytes(), Kind: kind.String(),
		Purpose: w.purpose(), Challenger: e.Provers[0], Nonce: e.Nonce, Artefact: e.Artefact,
	}, &o)
	if err != nil {
		if published(kind) && gone(err) {
			say(fmt.Sprintf("%s does not find the key: asking observers", by))
			if again := c.recheck(ctx, w, e, say); again == nil {
				return nil
			}
		}
		return fmt.Errorf("witness %s: %w", by, err)
	}
	e.Receipts = append(e.Receipts, o.Receipt)
	sayOfSIM(o.SIM, say)
	say(fmt.Sprintf("%s checked %s", by, checked))
	return nil
}

// challengeByMail starts the mail challenge, has the person answer it, and
// waits for the verdict.
func (c *Client) challengeByMail(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
	if len(e.Challenges) == 0 {
		ch, err := c.start(ctx, w, e.Provers[0], possession.MailReply)
		if err != nil {
			return err
		}
		e.Challenges = []wire.Challenge{ch}
		say(fmt.Sprintf("%s sends a mail from %s", e.Provers[0], ch.From))
	}
	if e.Token != "" { // interrupted: the reply may have arrived meanwhile
		if done, err := c.settled(ctx, e, 0, sawReply, say); done || err != nil {
			return err
		}
	}
	if err := c.reply(ctx, w, h, e); err != nil {
		return err
	}
	say("waiting for the reply to arrive")
	return c.await(ctx, e, 0, sawReply, say)
}

// sawReply is what a prover did that took a mail.
const sawReply = "saw the reply with the domain's signature"

// reply computes the response and has the person send it. Going on after an
// interruption has it sent again: nobody knows whether it was.
func (c *Client) reply(ctx context.Context, w Wish, h Holder, e *Enrolment) error {
	token := e.Token
	if token == "" {
		var err error
		if token, err = h.SubjectToken(ctx, e.Challenges[0].From); err != nil {
			return err
		}
	}
	part1, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(part1)+len(e.Challenges[0].Nonce) != possession.NonceSize {
		return fmt.Errorf("%w: the token is not the one in the subject", ErrAnswer)
	}
	nonce := [possession.NonceSize]byte(append(part1, e.Challenges[0].Nonce...))
	e.Token = token
	body := mail.Response(possession.Response(w.CSI, w.Key.Public(), nonce), w.Key.Public().ID().String())
	return h.SendReply(ctx, e.Challenges[0].From, token, body)
}

// await polls until challenge i is decided, or ctx ends; did is what its prover
// then has done.
func (c *Client) await(ctx context.Context, e *Enrolment, i int, did string, say Progress) error {
	for {
		if done, err := c.settled(ctx, e, i, did, say); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// settled asks once how challenge i stands, and takes over the receipt, and what
// a witness needs: it is the first challenge's.
func (c *Client) settled(ctx context.Context, e *Enrolment, i int, did string, say Progress) (bool, error) {
	var s wire.ChallengeStatus
	if err := c.parties.Call(ctx, e.Provers[i], wire.PathStatus, "", wire.StatusRequest{ID: e.Challenges[i].ID}, &s); err != nil {
		return false, fmt.Errorf("status at %s: %w", e.Provers[i], err)
	}
	refusal := problem.New((problem.Document{Type: s.Problem}).Kind(), "")
	switch s.State {
	case wire.ChallengeProved:
		e.Receipts = append(e.Receipts[:i:i], s.Receipt)
		if i == 0 {
			e.Artefact, e.Nonce = s.Artefact, s.Nonce
		}
		sayOfSIM(s.SIM, say)
		say(fmt.Sprintf("%s %s", e.Provers[i], did))
		return true, nil
	case wire.ChallengeFailed:
		return false, refusal
	case wire.ChallengeWaiting:
		if s.Problem != e.Refused {
			e.Refused = s.Problem
			say("an answer was refused: " + refusal.Error())
		}
		return false, nil
	default:
		return false, fmt.Errorf("%w: challenge state %q", ErrAnswer, s.State)
	}
}
