package client

import (
	"context"
	"fmt"

	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// codeTries is how often a person is asked for one code before the enrolment
// gives up; provers bound it as well.
const codeTries = 3

// proveByCodes has the first prover send a code by message and the second one
// by call, and answers each with what the person types; or, where second is
// SignedCall, she calls the second one.
func (c *Client) proveByCodes(ctx context.Context, w Wish, h Holder, e *Enrolment, second possession.Kind, say Progress) error {
	kinds := []possession.Kind{possession.CodeMessage, second}
	for i := len(e.Receipts); i < len(kinds); i++ {
		if kinds[i] == possession.SignedCall {
			return c.proveByCall(ctx, w, h, e, i, say)
		}
		if len(e.Challenges) == i {
			ch, err := c.start(ctx, w, e.Provers[i], kinds[i])
			if err != nil {
				return err
			}
			e.Challenges = append(e.Challenges, ch)
			say(fmt.Sprintf("%s sends a code (%s)", e.Provers[i], kinds[i]))
		}
		receipt, err := c.answer(ctx, h, e, i, kinds[i], say)
		if err != nil {
			if problem.KindOf(err).Row().Retry == problem.RetryFresh {
				e.Challenges = e.Challenges[:i] // over; going on starts a new one
			}
			return err
		}
		e.Receipts = append(e.Receipts, receipt)
		say(fmt.Sprintf("%s got its code back", e.Provers[i]))
	}
	return nil
}

// answer asks the person for code i until it is right, or not worth asking.
func (c *Client) answer(ctx context.Context, h Holder, e *Enrolment, i int, kind possession.Kind, say Progress) (wire.Bytes, error) {
	for try := 1; ; try++ {
		code, err := h.Code(ctx, e.Provers[i], kind)
		if err != nil {
			return nil, err
		}
		var s wire.ChallengeStatus
		err = c.parties.Call(ctx, e.Provers[i], wire.PathAnswers, "", wire.AnswerRequest{ID: e.Challenges[i].ID, Code: code}, &s)
		switch {
		case err == nil && s.State == wire.ChallengeProved:
			sayOfSIM(s.SIM, say)
			return s.Receipt, nil
		case err == nil:
			return nil, fmt.Errorf("%w: challenge state %q after an answer", ErrAnswer, s.State)
		case problem.KindOf(err) != problem.CodeWrong || try == codeTries:
			return nil, fmt.Errorf("answer to %s: %w", e.Provers[i], err)
		}
		say(err.Error())
	}
}
