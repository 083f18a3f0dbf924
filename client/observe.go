package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"whither/csi"
	"whither/internal/jws"
	"whither/possession"
	"whither/possession/mail"
	"whither/possession/observe"
	"whither/possession/openid"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// ErrObserver: no observer of another operator says that the key was published.
var ErrObserver = errors.New("client: no independent observer saw the key under which the evidence is signed; make the evidence again")

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

// sighting is an observer's word on a key and what it found published.
type sighting struct {
	word      wire.Bytes
	published wire.Bytes
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
	if !c.counts(s, e.Word, c.barred(s, w, e), first.Claims()) { // none yet, or that of an earlier attempt
		if err := c.observe(ctx, w, e, first.Claims(), say); err != nil {
			return err
		}
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

// observe asks observers for the key under which the artefact is signed, judges the
// artefact by what they found, and keeps the first word that counts.
func (c *Client) observe(ctx context.Context, w Wish, e *Enrolment, first possession.Receipt, say Progress) error {
	s := c.registry()
	barred := c.barred(s, w, e)
	reason := ErrObserver
	observers, err := shuffled(s.Parties(registry.RoleObserver))
	if err != nil {
		return err
	}
	for _, o := range observers {
		if o.Standing.State != registry.Active || slices.Contains(barred, o.Operator) {
			continue
		}
		var seen []sighting
		used, err := c.judge(w, e, first.Kind, func(kind, name, label string) ([]byte, error) {
			found, err := c.sightings(ctx, o.ID, wire.KeyRequest{Kind: kind, Name: name, Label: label})
			seen = append(seen, found...)
			if err != nil || len(found) == 0 {
				return nil, err
			}
			return found[0].published, nil
		})
		if err != nil {
			reason = fmt.Errorf("%w: %s: %w", ErrObserver, o.ID, err)
			continue
		}
		for _, one := range seen {
			if used == first.KeySeen && c.counts(s, one.word, barred, first) {
				e.Word, e.Published = one.word, one.published
				say(fmt.Sprintf("%s says that the key was published", o.ID))
				return nil
			}
		}
	}
	return reason
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

// shuffled puts parties into random order, so that not all people ask the same
// one, which would learn of every domain.
func shuffled(parties []registry.Party) ([]registry.Party, error) {
	out := slices.Clone(parties)
	for i := len(out) - 1; i > 0; i-- {
		j, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		k := j.Int64()
		out[i], out[k] = out[k], out[i]
	}
	return out, nil
}

// sightings asks one observer for a key. A key that is not published is no error.
func (c *Client) sightings(ctx context.Context, at registry.PartyID, r wire.KeyRequest) ([]sighting, error) {
	var a wire.KeyAnswer
	err := c.parties.Call(ctx, at, wire.PathKeys, "", r, &a)
	if errors.Is(err, problem.Error(problem.KeyUnpublished)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []sighting
	for _, word := range a.Observations {
		u, err := observe.ParseWord(word)
		if err != nil || u.Key().Name != r.Name || u.Key().Label != r.Label {
			return nil, fmt.Errorf("%w: %s observed something else", ErrAnswer, at)
		}
		out = append(out, sighting{word: word, published: a.Published})
	}
	return out, nil
}

// counts checks a word offline as every verifier will: by an observer that counts,
// for the key that the first prover saw, at the time of its evidence.
func (c *Client) counts(s *registry.Snapshot, word []byte, barred []registry.Operator, first possession.Receipt) bool {
	u, err := observe.ParseWord(word)
	if err != nil {
		return false
	}
	v, err := u.Verify(s, observe.Question{Barred: barred, Now: c.now()})
	return err == nil && v.Covers(first.KeySeen, first.Evidence)
}

// judge judges the artefact by keys that look finds, and returns the digest of the
// key that it verified under. A look that finds nothing returns nothing.
func (c *Client) judge(w Wish, e *Enrolment, kind possession.Kind, look func(kind, name, label string) ([]byte, error)) ([sha256.Size]byte, error) {
	if len(e.Nonce) != possession.NonceSize {
		return [sha256.Size]byte{}, fmt.Errorf("%w: nonce of a challenge", ErrAnswer)
	}
	nonce, holder := [possession.NonceSize]byte(e.Nonce), w.Key.Public()
	response := possession.Response(w.CSI, holder, nonce)
	if kind == possession.OpenIDToken {
		return c.judgeToken(w, e, response, look)
	}
	if len(e.Challenges) == 0 {
		return [sha256.Size]byte{}, fmt.Errorf("%w: no challenge", ErrAnswer)
	}
	report, err := mail.Verify(e.Artefact, mail.Want{
		Address: w.CSI.Address(), ReplyTo: e.Challenges[0].From, Part1: mail.Token([mail.TokenSize]byte(nonce[:mail.TokenSize])),
		Response: response, Fingerprint: holder.ID().String(), Now: c.now(),
	}, func(domain, selector string) ([]string, error) {
		published, err := look(wire.KeysOfDKIM, domain, selector)
		if err != nil || published == nil {
			return nil, err
		}
		return []string{string(published)}, nil
	})
	return report.KeyDigest, err
}

// judgeToken judges an ID token.
func (c *Client) judgeToken(w Wish, e *Enrolment, response [sha256.Size]byte, look func(kind, name, label string) ([]byte, error)) ([sha256.Size]byte, error) {
	m, err := jws.Parse(e.Artefact, openid.MaxSize)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	s := c.registry()
	var trouble error
	report, err := openid.Verify(e.Artefact, openid.Want{CSI: w.CSI, Response: response, Now: c.now()}, func(name string) (openid.Issuer, bool) {
		named, ok := s.Issuer(name)
		if !ok {
			return openid.Issuer{}, false
		}
		var set []byte
		set, trouble = look(wire.KeysOfJWKS, name, m.KID)
		return openid.IssuerOf(named, set), trouble == nil
	})
	if trouble != nil {
		return [sha256.Size]byte{}, trouble
	}
	return report.KeyDigest, err
}
