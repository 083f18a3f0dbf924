package client

import (
	"context"
	"fmt"
	"slices"

	"whither/client/sighting"
	"whither/csi"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// ErrObserver: no observer of another operator says that the key was published.
var ErrObserver = sighting.ErrNone

// published reports whether the key of evidence that a witness judges is looked up
// where it is published.
func published(witness possession.Kind) bool {
	_, ok := witness.Recheck()
	return ok
}

// gone reports whether a witness refused because it did not find the key.
func gone(err error) bool {
	return slices.Contains([]problem.Kind{problem.MailKey, problem.MailDNS, problem.OpenIDKey, problem.OpenIDProvider}, problem.KindOf(err))
}

// recheck has the second prover judge the first one's artefact under the key that
// an observer saw, and takes both words over: for keys that the second prover does
// not find itself any more. One prover and observers are not enough: nobody but
// the prover would have seen the artefact (ADR 0027).
func (c *Client) recheck(ctx context.Context, w Wish, e *Enrolment, say Progress) error {
	first, err := possession.Parse(e.Receipts[0])
	if err != nil {
		return err
	}
	s := c.registry()
	q := sighting.Question{
		Parties: c.parties, Registry: s, Now: c.now(), Barred: c.barred(s, w, e),
		CSI: w.CSI, Holder: w.Key.Public(), Nonce: e.Nonce, Artefact: e.Artefact, First: first.Claims(),
	}
	if len(e.Challenges) > 0 {
		q.ReplyTo = e.Challenges[0].From
	}
	if !q.Counts(e.Word) { // none yet, or that of an earlier attempt
		found, err := q.Find(ctx)
		if err != nil {
			return err
		}
		e.Word, e.Published = found.Statement, found.Published
		say(fmt.Sprintf("%s says that the key was published", found.By))
	}
	kind, ok := first.Claims().Kind.Recheck()
	if !ok {
		return fmt.Errorf("%w: no key of it is published", ErrKinds)
	}
	by := e.Provers[1]
	var o wire.Observation
	err = c.parties.Call(ctx, by, wire.PathObservations, "", wire.ObservationRequest{
		CSI: csi.Clear{ID: w.CSI}, Key: w.Key.Public().Bytes(), Kind: kind.String(), Purpose: w.purpose(),
		Challenger: e.Provers[0], Nonce: e.Nonce, Artefact: e.Artefact, Published: e.Published,
	}, &o)
	if err != nil {
		return fmt.Errorf("recheck by %s: %w", by, err)
	}
	e.Receipts = append(e.Receipts, o.Receipt, e.Word)
	say(fmt.Sprintf("%s checked the same evidence under the key that the observer saw", by))
	return nil
}

// barred are the operators whose word on the key does not count: those that no
// verifier counts, and the first prover's, which would say the same twice.
func (c *Client) barred(s *registry.Snapshot, w Wish, e *Enrolment) []registry.Operator {
	var out []registry.Operator
	for _, id := range append([]registry.PartyID{w.DP, e.Provers[0]}, w.MSPs...) {
		if p, ok := s.Party(id); ok {
			out = append(out, p.Operator)
		}
	}
	return out
}
