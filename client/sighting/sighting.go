// Package sighting asks observers which key was published, for a client whose
// evidence is signed under a key that its second prover does not find any more
// (docs/spec/observation.md). It promises a word that every verifier will count,
// on the very key under which the evidence verifies here.
package sighting

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/jws"
	"whither/internal/pinned"
	"whither/key"
	"whither/possession"
	"whither/possession/mail"
	"whither/possession/observe"
	"whither/possession/openid"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Errors, which are package client's as well.
var (
	ErrNone   = errors.New("client: no independent observer saw the key under which the evidence is signed; make the evidence again")
	ErrAnswer = errors.New("client: the answer does not fit the question; keep it and tell the federation")
)

// Question is about the key of one piece of evidence.
type Question struct {
	Parties  *pinned.Client
	Registry *registry.Snapshot
	Now      time.Time
	// Barred are the operators whose word on the key does not count.
	Barred []registry.Operator

	CSI      csi.ID
	Holder   key.Public
	Nonce    []byte             // the whole challenge nonce
	Artefact []byte             // the raw evidence
	ReplyTo  string             // mail: where the challenge came from
	First    possession.Receipt // of the first prover
}

// Word is an observer's word on the key, and what it found published.
type Word struct {
	By        registry.PartyID
	Statement wire.Bytes
	Published wire.Bytes
}

// seen is one key that an observer saw.
type seen struct {
	word      wire.Bytes
	published wire.Bytes
}

// Find asks observers for the key under which the artefact is signed, judges the
// artefact by what they found, and returns the first word that counts.
func (q Question) Find(ctx context.Context) (Word, error) {
	reason := ErrNone
	observers, err := shuffled(q.Registry.Parties(registry.RoleObserver))
	if err != nil {
		return Word{}, err
	}
	for _, o := range observers {
		if o.Standing.State != registry.Active || slices.Contains(q.Barred, o.Operator) {
			continue
		}
		var all []seen
		used, err := q.judge(func(kind, name, label string) ([]byte, error) {
			found, err := q.ask(ctx, o.ID, wire.KeyRequest{Kind: kind, Name: name, Label: label})
			all = append(all, found...)
			if err != nil || len(found) == 0 {
				return nil, err
			}
			return found[0].published, nil
		})
		if err != nil {
			reason = fmt.Errorf("%w: %s: %w", ErrNone, o.ID, err)
			continue
		}
		for _, one := range all {
			if used == q.First.KeySeen && q.Counts(one.word) {
				return Word{By: o.ID, Statement: one.word, Published: one.published}, nil
			}
		}
	}
	return Word{}, reason
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

// ask asks one observer for a key. A key that is not published is no error.
func (q Question) ask(ctx context.Context, at registry.PartyID, r wire.KeyRequest) ([]seen, error) {
	var a wire.KeyAnswer
	err := q.Parties.Call(ctx, at, wire.PathKeys, "", r, &a)
	if errors.Is(err, problem.Error(problem.KeyUnpublished)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []seen
	for _, word := range a.Observations {
		u, err := observe.ParseWord(word)
		if err != nil || u.Key().Name != r.Name || u.Key().Label != r.Label {
			return nil, fmt.Errorf("%w: %s observed something else", ErrAnswer, at)
		}
		out = append(out, seen{word: word, published: a.Published})
	}
	return out, nil
}

// Counts checks a word offline as every verifier will: by an observer that counts,
// for the key that the first prover saw, at the time of its evidence.
func (q Question) Counts(word []byte) bool {
	u, err := observe.ParseWord(word)
	if err != nil {
		return false
	}
	v, err := u.Verify(q.Registry, observe.Question{Barred: q.Barred, Now: q.Now})
	return err == nil && v.Covers(q.First.KeySeen, q.First.Evidence)
}

// judge judges the artefact by keys that look finds, and returns the digest of the
// key that it verified under. A look that finds nothing returns nothing.
func (q Question) judge(look func(kind, name, label string) ([]byte, error)) ([sha256.Size]byte, error) {
	if len(q.Nonce) != possession.NonceSize {
		return [sha256.Size]byte{}, fmt.Errorf("%w: nonce of a challenge", ErrAnswer)
	}
	nonce, holder := [possession.NonceSize]byte(q.Nonce), q.Holder
	response := possession.Response(q.CSI, holder, nonce)
	if q.First.Kind == possession.OpenIDToken {
		return q.judgeToken(response, look)
	}
	if q.ReplyTo == "" {
		return [sha256.Size]byte{}, fmt.Errorf("%w: no challenge", ErrAnswer)
	}
	report, err := mail.Verify(q.Artefact, mail.Want{
		Address: q.CSI.Address(), ReplyTo: q.ReplyTo, Part1: mail.Token([mail.TokenSize]byte(nonce[:mail.TokenSize])),
		Response: response, Fingerprint: holder.ID().String(), Now: q.Now,
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
func (q Question) judgeToken(response [sha256.Size]byte, look func(kind, name, label string) ([]byte, error)) ([sha256.Size]byte, error) {
	m, err := jws.Parse(q.Artefact, openid.MaxSize)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	var trouble error
	report, err := openid.Verify(q.Artefact, openid.Want{CSI: q.CSI, Response: response, Now: q.Now}, func(name string) (openid.Issuer, bool) {
		named, ok := q.Registry.Issuer(name)
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
