package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"whither/client/signin"
	"whither/possession"
	"whither/possession/mail"
	"whither/possession/smime"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// artefactTries is how often a person is asked for one artefact before the
// enrolment gives up; provers bound it as well.
const artefactTries = 3

// artefact is a kind of evidence that the client itself brings: the first prover
// gives a nonce, and takes what the person makes of it.
type artefact struct {
	kind, witness possession.Kind
	// what it is called, and what the prover waits for.
	what, waits string
	// checked is what a witness checks it against.
	checked string
	// again names problems after which the person is asked once more: their names
	// begin so.
	again string
	// make has the person make it, for a challenge and its response.
	make func(ctx context.Context, prover registry.PartyID, ch wire.Challenge, response [sha256.Size]byte) ([]byte, error)
}

// repeats reports whether the person can do better at once.
func (a artefact) repeats(err error) bool {
	k := problem.KindOf(err)
	return a.again != "" && strings.HasPrefix(string(k), a.again) && k.Row().Retry != problem.RetryLater
}

// byToken is a sign-in at the person's OpenID provider.
func (c *Client) byToken(w Wish, h Holder) artefact {
	return artefact{
		kind: possession.OpenIDToken, witness: possession.OpenIDWitness, what: "token",
		waits: "a sign-in at the provider of this address or handle", checked: "the key that it saw published itself",
		make: func(ctx context.Context, prover registry.PartyID, _ wire.Challenge, response [sha256.Size]byte) ([]byte, error) {
			return signin.Token(ctx, c.providers, c.registry(), signin.Request{
				CSI: w.CSI, Now: c.now, Response: response, Show: func(ctx context.Context, url string) error {
					return h.SignIn(ctx, prover, mail.Sentence(w.Key.Public().ID().String()), url)
				},
			})
		},
	}
}

// byCertificate is a signature with the key of the person's S/MIME certificate.
func byCertificate(w Wish, h Holder) artefact {
	return artefact{
		kind: possession.SMIME, witness: possession.SMIMEWitness, what: "signature",
		waits: "a signature by a certificate for this address", checked: "the authorities and revocation lists that it has itself",
		again: "smime-",
		make: func(ctx context.Context, prover registry.PartyID, _ wire.Challenge, response [sha256.Size]byte) ([]byte, error) {
			return h.Sign(ctx, prover, smime.Content(response, w.Key.Public().ID().String()))
		},
	}
}

// proveByArtefact has the person make an artefact for the first prover's
// challenge, and the second prover check the same one.
func (c *Client) proveByArtefact(ctx context.Context, w Wish, e *Enrolment, a artefact, say Progress) error {
	err := c.challengeByArtefact(ctx, w, e, a, say)
	if err == nil {
		err = c.witness(ctx, w, e, a.witness, fmt.Sprintf("the same %s against %s", a.what, a.checked), say)
	}
	if problem.KindOf(err) != "" && problem.KindOf(err).Row().Retry == problem.RetryFresh {
		// Challenge or artefact are no good any more; going on begins again.
		e.Challenges, e.Receipts, e.Artefact = nil, nil, nil
	}
	return err
}

// challengeByArtefact starts the challenge and answers it. Going on after an
// interruption has the person make the artefact again.
func (c *Client) challengeByArtefact(ctx context.Context, w Wish, e *Enrolment, a artefact, say Progress) error {
	if len(e.Receipts) > 0 {
		return nil
	}
	prover := e.Provers[0]
	if len(e.Challenges) > 0 && !c.now().Before(time.Unix(e.Challenges[0].Expires, 0)) {
		e.Challenges = nil
	}
	if len(e.Challenges) == 0 {
		ch, err := c.start(ctx, w, prover, a.kind)
		if err != nil {
			return err
		}
		if len(ch.Nonce) != possession.NonceSize {
			return fmt.Errorf("%w: nonce of a challenge", ErrAnswer)
		}
		e.Challenges = []wire.Challenge{ch}
		say(fmt.Sprintf("%s waits for %s", prover, a.waits))
	}
	ch := e.Challenges[0]
	response := possession.Response(w.CSI, w.Key.Public(), [possession.NonceSize]byte(ch.Nonce))
	for try := 1; ; try++ {
		made, err := a.make(ctx, prover, ch, response)
		if err != nil {
			return err
		}
		var s wire.ChallengeStatus
		err = c.parties.Call(ctx, prover, wire.PathAnswers, "", wire.AnswerRequest{ID: ch.ID, Artefact: made}, &s)
		switch {
		case err == nil && s.State == wire.ChallengeProved:
			e.Receipts, e.Artefact, e.Nonce = []wire.Bytes{s.Receipt}, s.Artefact, s.Nonce
			sayOfSIM(s.SIM, say)
			say(fmt.Sprintf("%s took the %s", prover, a.what))
			return nil
		case err == nil:
			return fmt.Errorf("%w: challenge state %q after an answer", ErrAnswer, s.State)
		case !a.repeats(err) || try == artefactTries:
			return fmt.Errorf("answer to %s: %w", prover, err)
		}
		say(err.Error())
	}
}
