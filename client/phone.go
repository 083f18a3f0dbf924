package client

import (
	"context"
	"fmt"
	"time"

	"whither/possession"
	"whither/possession/stir"
	"whither/problem"
	"whither/wire"
)

// proveByText has the person's phone send the response to the first prover,
// signed by her carrier, and the second prover check the same message.
func (c *Client) proveByText(ctx context.Context, w Wish, h Holder, e *Enrolment, say Progress) error {
	if len(e.Receipts) == 0 {
		err := c.byPhone(ctx, w, e, phoneAnswer{
			kind: possession.SIPMessage, did: "took the message, signed by the carrier",
			send: func(ch wire.Challenge, response [32]byte) error {
				return h.SendText(ctx, ch.To, stir.Response(response, w.Key.Public().ID().String()))
			},
		}, say)
		if err != nil {
			return err
		}
	}
	return c.witness(ctx, w, e, possession.STIRWitness, "the same message and its certificates", say)
}

// proveByCall has the person's phone call prover i and enter the code, which the
// client computes: it is the response, cut down.
func (c *Client) proveByCall(ctx context.Context, w Wish, h Holder, e *Enrolment, i int, say Progress) error {
	return c.byPhone(ctx, w, e, phoneAnswer{
		i: i, kind: possession.SignedCall, did: "took the call, attested by the carrier, and its code",
		send: func(ch wire.Challenge, response [32]byte) error {
			return h.Call(ctx, ch.To, stir.Sentence(w.Key.Public().ID().String()), stir.CallCode(response))
		},
	}, say)
}

// phoneAnswer is an answer that goes from the person's phone to prover i.
type phoneAnswer struct {
	i    int
	kind possession.Kind
	did  string // what the prover did that took it
	send func(ch wire.Challenge, response [32]byte) error
}

// byPhone starts a challenge, has it answered by phone, and waits for the
// verdict. Going on after an interruption asks first whether the answer arrived,
// and has it sent again if not.
func (c *Client) byPhone(ctx context.Context, w Wish, e *Enrolment, a phoneAnswer, say Progress) error {
	if len(e.Challenges) > a.i && !c.now().Before(time.Unix(e.Challenges[a.i].Expires, 0)) {
		e.Challenges = e.Challenges[:a.i]
	}
	over := func(err error) error {
		if err != nil && problem.KindOf(err).Row().Retry == problem.RetryFresh {
			e.Challenges = e.Challenges[:a.i] // going on starts a new one
		}
		return err
	}
	if len(e.Challenges) > a.i {
		if done, err := c.settled(ctx, e, a.i, a.did, say); done || err != nil {
			return over(err)
		}
	} else {
		ch, err := c.start(ctx, w, e.Provers[a.i], a.kind)
		if err != nil {
			return err
		}
		if len(ch.Nonce) != possession.NonceSize || ch.To == "" {
			return fmt.Errorf("%w: a challenge without nonce or destination", ErrAnswer)
		}
		e.Challenges = append(e.Challenges, ch)
		say(fmt.Sprintf("%s waits at %s", e.Provers[a.i], ch.To))
	}
	ch := e.Challenges[a.i]
	if err := a.send(ch, possession.Response(w.CSI, w.Key.Public(), [possession.NonceSize]byte(ch.Nonce))); err != nil {
		return err
	}
	return over(c.await(ctx, e, a.i, a.did, say))
}
