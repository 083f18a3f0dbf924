package mapping_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/possession/observe"
	"whither/registry"
)

const (
	observerA = "observer-a.example"
	observerB = "observer-b.example"
	issuerURL = "https://op.example.org"
)

// evidence is a federation with two observers, and receipts of provers about a
// reply under one published key.
type evidence struct {
	*worldtest.Federation
	t      *testing.T
	id     csi.ID
	holder key.Private
	dns    map[string][]string // what is published now
}

// record is a key that a domain publishes, of RFC 8463 appendix A.2.
const record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

func newEvidence(t *testing.T, id string) *evidence {
	f := worldtest.New(t)
	f.Add(observerA, registry.RoleObserver, nil)
	f.Add(observerB, registry.RoleObserver, nil)
	return &evidence{
		Federation: f, t: t, id: worldtest.CSI(t, id), holder: worldtest.Key(t, "bob"),
		dns: map[string][]string{"s1._domainkey.example.org": {record}},
	}
}

// published looks the domain's key up.
func (e *evidence) published() (observe.Key, error) {
	return observe.FromDKIM("example.org", "s1", e.dns["s1._domainkey.example.org"])
}

// receipt is by a prover, about the reply under the key.
func (e *evidence) receipt(kind possession.Kind, prover string, seen [32]byte) []byte {
	r := e.Receipt(e.id, e.holder.Public(), kind, e.Now)
	r.KeySeen = seen
	return e.SignReceipt(r, prover)
}

// observation is an observer's, of a key that was there until now.
func (e *evidence) observation(observer string, k observe.Key) []byte {
	b, err := observe.Observation{Key: k, First: e.Now.Add(-time.Hour), Last: e.Now, Signed: e.Now}.Sign(worldtest.Key(e.t, observer))
	if err != nil {
		e.t.Fatal(err)
	}
	return b
}

// excerpt is of an observer's list of the day.
func (e *evidence) excerpt(observer string, k observe.Key) []byte {
	l := observe.List{Day: observe.DayOf(e.Now), Signed: e.Now, Entries: []observe.Entry{{Key: k}}}
	for _, name := range []string{"a.example", "b.example", "zebra.example"} {
		l.Entries = append(l.Entries, observe.Entry{Key: observe.Key{Kind: observe.DKIM, Name: name, Label: "s", Digest: sha256.Sum256([]byte(name))}})
	}
	l.Sort()
	b, err := l.Sign(worldtest.Key(e.t, observer))
	if err != nil {
		e.t.Fatal(err)
	}
	u, err := observe.ParseList(b)
	if err != nil {
		e.t.Fatal(err)
	}
	v, err := u.Verify(e.Snapshot(), observe.Question{Now: e.Now})
	if err != nil {
		e.t.Fatal(err)
	}
	cut, ok := v.Excerpt(k.Kind, k.Name, k.Digest)
	if !ok {
		e.t.Fatal("the list does not have its key")
	}
	return cut
}

// propose verifies a proposal over these receipts, at one MSP.
func (e *evidence) propose(receipts ...[]byte) (mapping.Proposal, error) {
	e.t.Helper()
	c := e.Claims(e.id, e.holder.Public(), "evidence", worldtest.MSPA)
	u, err := mapping.Parse(e.Propose(c, e.holder, receipts).Bundle())
	if err != nil {
		return mapping.Proposal{}, err
	}
	return mapping.PolicyAt(e.Snapshot(), e.Now).VerifyProposal(u)
}

// TestR06VerifiesAfterTheKeyLeftTheDNS: the domain's key is gone before the
// second prover looks, and stays gone. Whoever gets the mapping months later
// verifies it all the same, with the registry's keys and nothing else.
func TestR06VerifiesAfterTheKeyLeftTheDNS(t *testing.T) {
	for name, word := range map[string]func(*evidence, string, observe.Key) []byte{
		"by an observation": (*evidence).observation, "by an excerpt of a list": (*evidence).excerpt,
	} {
		t.Run(name, func(t *testing.T) {
			e := newEvidence(t, "mailto:"+address)
			seen, err := e.published()
			if err != nil {
				t.Fatal(err)
			}
			reply := e.receipt(possession.MailReply, worldtest.ProverA, seen.Digest)
			observed := word(e, observerA, seen)
			e.dns = nil
			if k, err := e.published(); err == nil {
				t.Fatalf("%v is still there", k)
			}
			recheck := e.receipt(possession.MailRecheck, worldtest.ProverB, seen.Digest)
			p, err := e.propose(reply, recheck, observed)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Evidence(); got.Level != possession.Level4 || len(got.Observers) != 1 || got.Observers[0].String() != observerA {
				t.Errorf("level %d, observers %v", got.Level, got.Observers)
			}
			v, err := p.Finish(worldtest.Key(t, worldtest.DP), e.Now, e.Now.Add(mapping.MaxDPLife), mapping.FoundFirst)
			if err != nil {
				t.Fatal(err)
			}
			later := e.Now.Add(290 * 24 * time.Hour)
			if v, err = v.Renew(worldtest.Key(t, worldtest.DP), later, later.Add(mapping.MaxDPLife)); err != nil {
				t.Fatal(err)
			}
			if _, err := verify(e.Federation, v.Bundle(), later); err != nil {
				t.Error(err)
			}
			// An observer that was expelled in the meantime had spoken before.
			e.Grant(observerA).Standing = registry.Standing{State: registry.Expelled, Since: later.Add(-time.Hour).Unix()}
			if _, err := verify(e.Federation, v.Bundle(), later); err != nil {
				t.Errorf("observer expelled since: %v", err)
			}
			t.Logf("%d bytes", v.Bundle().Size())
		})
	}
}

// TestR05OneWordIsNotEnough: neither one prover with whatever observers publish,
// nor the word of one operator on the key, makes a mapping.
func TestR05OneWordIsNotEnough(t *testing.T) {
	reply, witness, recheck := possession.MailReply, possession.MailWitness, possession.MailRecheck
	for name, test := range map[string]struct {
		set  func(*evidence, observe.Key) [][]byte
		bend func(*evidence)
		want error
	}{
		"a prover and a witness": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(witness, worldtest.ProverB, k.Digest)}
		}},
		"a prover alone": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest)}
		}, want: mapping.ErrLevel},
		"a prover and an observer, who has not seen the reply": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.observation(observerA, k)}
		}, want: mapping.ErrLevel},
		"a prover and two observers": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.observation(observerA, k), e.excerpt(observerB, k)}
		}, want: mapping.ErrLevel},
		"observers alone": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.observation(observerA, k), e.observation(observerB, k)}
		}, want: possession.ErrNoReceipts},
		"a key that one prover saw": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest)}
		}, want: mapping.ErrLevel},
		"a key that one prover and its own operator's observer saw": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest), e.observation(observerA, k)}
		}, bend: func(e *evidence) { e.Grant(observerA).Operator = e.Grant(worldtest.ProverA).Operator }, want: mapping.ErrLevel},
		"one operator's two provers, and an observer": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest), e.observation(observerA, k)}
		}, bend: func(e *evidence) { e.Grant(worldtest.ProverB).Operator = e.Grant(worldtest.ProverA).Operator }, want: mapping.ErrLevel},
		"an observer of the DP's operator": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest), e.observation(observerA, k)}
		}, bend: func(e *evidence) { e.Grant(observerA).Operator = e.Grant(worldtest.DP).Operator }, want: possession.ErrDependent},
		"an observer of the MSP's operator": {set: func(e *evidence, k observe.Key) [][]byte {
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest), e.excerpt(observerA, k)}
		}, bend: func(e *evidence) { e.Grant(observerA).Operator = e.Grant(worldtest.MSPA).Operator }, want: possession.ErrDependent},
		"an observer of another key": {set: func(e *evidence, k observe.Key) [][]byte {
			other := k
			other.Digest[0]++
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest), e.observation(observerA, other)}
		}, want: mapping.ErrLevel},
		"an observer of another domain": {set: func(e *evidence, k observe.Key) [][]byte {
			other := k
			other.Name = "mail.example.org"
			return [][]byte{e.receipt(reply, worldtest.ProverA, k.Digest), e.receipt(recheck, worldtest.ProverB, k.Digest), e.observation(observerA, other)}
		}, want: possession.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEvidence(t, "mailto:"+address)
			if test.bend != nil {
				test.bend(e)
			}
			k, err := e.published()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.propose(test.set(e, k)...); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestR08EachSchemeHasItsEvidence: a number by its carrier's signature, a handle
// by its OpenID provider, an address by either of two ways: one table says what
// each needs, and the federation's registry what is enough.
func TestR08EachSchemeHasItsEvidence(t *testing.T) {
	op := registry.Issuer{URL: issuerURL, Clients: []string{"whither"}, Domains: []string{"example.org"}, Handle: "handle"}
	for _, test := range []struct {
		name, id string
		kinds    []possession.Kind
		levels   map[string]uint8
		issuers  []registry.Issuer
		level    possession.Level
		want     error
	}{
		{"message of a carrier", "tel:+41791234567", []possession.Kind{possession.SIPMessage, possession.STIRWitness}, nil, nil, 4, nil},
		{"message and call with a code", "tel:+41791234567", []possession.Kind{possession.CodeMessage, possession.SignedCall}, nil, nil, 2, nil},
		{"codes where carriers sign", "tel:+41791234567", []possession.Kind{possession.CodeMessage, possession.SignedCall}, map[string]uint8{"tel": 4}, nil, 0, mapping.ErrLevel},
		{"OpenID for an address", "mailto:bob@example.org", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, map[string]uint8{"mailto": 3}, []registry.Issuer{op}, 3, nil},
		{"OpenID where mail is asked for", "mailto:bob@example.org", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, nil, []registry.Issuer{op}, 0, mapping.ErrLevel},
		{"OpenID of an issuer that nobody named", "mailto:bob@example.org", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, map[string]uint8{"mailto": 3}, nil, 0, possession.ErrNoIssuer},
		{"OpenID of another domain's issuer", "mailto:bob@example.net", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, map[string]uint8{"mailto": 3}, []registry.Issuer{op}, 0, possession.ErrNoIssuer},
		{"handle", "acct:bob@op.example.org", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, map[string]uint8{"acct": 3}, []registry.Issuer{op}, 3, nil},
		{"handle at another host", "acct:bob@example.org", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, map[string]uint8{"acct": 3}, []registry.Issuer{op}, 0, possession.ErrNoIssuer},
		{"handle in a federation that has not agreed on any", "acct:bob@op.example.org", []possession.Kind{possession.OpenIDToken, possession.OpenIDWitness}, nil, []registry.Issuer{op}, 0, mapping.ErrLevel},
		{"certificate", "mailto:bob@example.org", []possession.Kind{possession.SMIME, possession.SMIMEWitness}, map[string]uint8{"mailto": 3}, nil, 3, nil},
		{"a number by mail", "tel:+41791234567", []possession.Kind{possession.MailReply, possession.MailWitness}, nil, nil, 0, possession.ErrUnfitKind},
		{"a token and a certificate", "mailto:bob@example.org", []possession.Kind{possession.OpenIDToken, possession.SMIME}, map[string]uint8{"mailto": 2}, []registry.Issuer{op}, 0, mapping.ErrLevel},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEvidence(t, test.id)
			for scheme, l := range test.levels {
				e.Record.Policy.Levels[scheme] = l
			}
			e.Record.Policy.Evidence.Issuers = test.issuers
			var set [][]byte
			for i, k := range test.kinds {
				set = append(set, e.receipt(k, []string{worldtest.ProverA, worldtest.ProverB}[i], sha256.Sum256([]byte("key"))))
			}
			p, err := e.propose(set...)
			if !errors.Is(err, test.want) || err == nil && p.Evidence().Level != test.level {
				t.Errorf("level %d, %v; want %d, %v", p.Evidence().Level, err, test.level, test.want)
			}
		})
	}
}

// TestR16OneProverDoesNotExtendALife: a fresh receipt by one party beside an old
// pair says nothing, so that the mapping ends a year after the pair.
func TestR16OneProverDoesNotExtendALife(t *testing.T) {
	e := newEvidence(t, "mailto:"+address)
	k, err := e.published()
	if err != nil {
		t.Fatal(err)
	}
	old := func(kind possession.Kind, prover string) []byte {
		r := e.Receipt(e.id, e.holder.Public(), kind, e.Now)
		r.KeySeen, r.Evidence = k.Digest, e.Now.Add(-100*24*time.Hour)
		return e.SignReceipt(r, prover)
	}
	pair := [][]byte{old(possession.MailReply, worldtest.ProverA), old(possession.MailWitness, worldtest.ProverB)}
	if _, err := e.propose(pair...); !errors.Is(err, mapping.ErrLife) {
		t.Errorf("a pair of a hundred days ago: %v", err)
	}
	if _, err := e.propose(append(pair, e.receipt(possession.MailReply, worldtest.ProverA, k.Digest))...); !errors.Is(err, mapping.ErrLife) {
		t.Errorf("… and one fresh receipt: %v", err)
	}
	fresh := [][]byte{e.receipt(possession.MailReply, worldtest.ProverA, k.Digest), e.receipt(possession.MailWitness, worldtest.ProverB, k.Digest)}
	if _, err := e.propose(append(pair, fresh...)...); err != nil {
		t.Errorf("… and a fresh pair: %v", err)
	}
}
