package prover_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/internal/dkim"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/possession/observe"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

const observerA = "observer-a.example"

// TestR05Recheck: a key has left the DNS before the second prover looks. Handed
// the key, it judges the reply and says that it was handed; with an observer who
// saw the key that is as good as a witness, and without as good as one word on
// the key.
func TestR05Recheck(t *testing.T) {
	f := start(t, nil)
	f.Add(observerA, registry.RoleObserver, nil)
	f.publish()
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	selector := f.provider.Selector()
	texts, err := f.net.LookupKey(f.within(), "example.org", selector)
	must(t, err)
	seen, err := observe.FromDKIM("example.org", selector, texts)
	must(t, err)
	word, err := observe.Observation{Key: seen, First: f.clock.now(), Last: f.clock.now(), Signed: f.clock.now()}.Sign(worldtest.Key(t, observerA))
	must(t, err)
	f.provider.Withdraw(selector)
	_, err = f.observe(f.b, a.observation(s))
	refused(t, "witness", err, problem.MailKey)

	handed := a.observation(s)
	handed.Kind, handed.Published = possession.MailRecheck.String(), []byte(texts[0])
	recheck, err := f.observe(f.b, handed)
	must(t, err)
	u, err := possession.Parse(recheck)
	must(t, err)
	if r := u.Claims(); r.Kind != possession.MailRecheck || r.KeySeen != seen.Digest || r.Level != possession.Level4 {
		t.Errorf("receipt %+v", r)
	}
	for name, c := range map[string]struct {
		set  [][]byte
		want possession.Level
	}{
		"with an observer's word":           {[][]byte{s.Receipt, recheck, word}, possession.Level4},
		"without":                           {[][]byte{s.Receipt, recheck}, possession.Level1},
		"the first prover and the observer": {[][]byte{s.Receipt, word}, possession.Level1},
	} {
		if got, err := a.assess(c.set...); err != nil || got.Level != c.want {
			t.Errorf("%s: level %d, %v", name, got.Level, err)
		}
	}

	other, err := dkim.Ed25519(worldtest.Key(t, "other")).Record()
	must(t, err)
	for name, c := range map[string]struct {
		edit func(*wire.ObservationRequest)
		want problem.Kind
	}{
		"another key":            {func(r *wire.ObservationRequest) { r.Published = []byte(other) }, problem.MailSignatureBad},
		"no record":              {func(r *wire.ObservationRequest) { r.Published = []byte("v=spf1 -all") }, problem.MailKey},
		"a record for testing":   {func(r *wire.ObservationRequest) { r.Published = append(bytes.Clone(r.Published), "; t=y"...) }, problem.MailKey},
		"no key for a recheck":   {func(r *wire.ObservationRequest) { r.Published = nil }, problem.Malformed},
		"a key for a witness":    {func(r *wire.ObservationRequest) { r.Kind = possession.MailWitness.String() }, problem.Malformed},
		"another nonce":          {func(r *wire.ObservationRequest) { r.Nonce[47]++ }, problem.MailResponse},
		"of its own operator":    {func(r *wire.ObservationRequest) { r.Challenger = f.b.id }, problem.ChallengerDependent},
		"a recheck of no family": {func(r *wire.ObservationRequest) { r.Kind = possession.OpenIDRecheck.String() }, problem.EvidenceKind},
	} {
		r := handed
		r.Nonce = bytes.Clone(r.Nonce)
		c.edit(&r)
		_, err := f.observe(f.b, r)
		refused(t, name, err, c.want)
	}
	f.clock.add(25 * time.Hour)
	_, err = f.observe(f.b, handed)
	refused(t, "a day later", err, problem.EvidenceStale)
	f.checkSilence()
}

// refused fails the test unless an error is a problem of this kind.
func refused(t *testing.T, what string, err error, want problem.Kind) {
	t.Helper()
	if !errors.Is(err, problem.Error(want)) {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}
