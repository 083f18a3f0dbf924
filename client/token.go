package client

import (
	"context"
	"fmt"
	"time"

	"whither/client/signin"
	"whither/possession"
	"whither/possession/mail"
	"whither/problem"
	"whither/wire"
)

// proveByToken has the person sign in at her OpenID provider for the first
// prover's challenge, and the second one check the same token.
func (c *Client) proveByToken(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
	err := c.challengeByToken(ctx, w, h, e, say)
	if err == nil {
		err = c.witness(ctx, w, e, possession.OpenIDWitness, "token", say)
	}
	if err != nil && problem.KindOf(err).Row().Retry == problem.RetryFresh {
		// Challenge or token are no good any more; going on begins again.
		e.Challenges, e.Receipts, e.Artefact = nil, nil, nil
	}
	return err
}

// challengeByToken starts the challenge and answers it with the token that a
// sign-in gives. Going on after an interruption has the person sign in again.
func (c *Client) challengeByToken(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
	if len(e.Receipts) > 0 {
		return nil
	}
	prover := e.Provers[0]
	if len(e.Challenges) > 0 && !c.now().Before(time.Unix(e.Challenges[0].Expires, 0)) {
		e.Challenges = nil
	}
	if len(e.Challenges) == 0 {
		ch, err := c.start(ctx, w, prover, possession.OpenIDToken)
		if err != nil {
			return err
		}
		if len(ch.Nonce) != possession.NonceSize {
			return fmt.Errorf("%w: nonce of a challenge", ErrAnswer)
		}
		e.Challenges = []wire.Challenge{ch}
		say(fmt.Sprintf("%s waits for a sign-in at the provider of this address or handle", prover))
	}
	ch := e.Challenges[0]
	token, err := signin.Token(ctx, c.providers, c.registry(), signin.Request{
		CSI: w.CSI, Now: c.now,
		Response: possession.Response(w.CSI, w.Key.Public(), [possession.NonceSize]byte(ch.Nonce)),
		Show: func(ctx context.Context, url string) error {
			return h.SignIn(ctx, prover, mail.Sentence(w.Key.Public().ID().String()), url)
		},
	})
	if err != nil {
		return err
	}
	var s wire.ChallengeStatus
	if err := c.parties.Call(ctx, prover, wire.PathAnswers, "", wire.AnswerRequest{ID: ch.ID, Artefact: token}, &s); err != nil {
		return fmt.Errorf("answer to %s: %w", prover, err)
	}
	if s.State != wire.ChallengeProved {
		return fmt.Errorf("%w: challenge state %q after an answer", ErrAnswer, s.State)
	}
	e.Receipts, e.Artefact, e.Nonce = []wire.Bytes{s.Receipt}, s.Artefact, s.Nonce
	say(fmt.Sprintf("%s took the token, signed by the provider", prover))
	return nil
}
