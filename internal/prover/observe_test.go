package prover_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/dkim"
	"whither/internal/prover"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession"
	possessionmail "whither/possession/mail"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// TestR05ObservationRefused: the second prover believes neither the client nor
// the challenger. What it did not see itself, it does not sign.
func TestR05ObservationRefused(t *testing.T) {
	f := start(t, nil)
	f.Add("prover-c.example", registry.RoleProver, nil)
	f.Grant("prover-c.example").Operator = f.Grant(worldtest.ProverB).Operator
	f.Add("prover-d.example", registry.RoleProver, nil)
	f.Grant("prover-d.example").Standing = registry.Standing{State: registry.Closed, Since: f.Now.Unix()}
	f.publish()
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	unpublish := func() { f.provider.Withdraw(f.provider.Selector()) }
	republish := func() { must(t, f.provider.Publish(f.provider.Selector())) }
	name := f.provider.Selector() + "._domainkey.example.org"
	for _, c := range []struct {
		name   string
		edit   func(*wire.ObservationRequest)
		before func()
		after  func()
		want   problem.Kind
	}{
		{name: "another CSI", edit: func(r *wire.ObservationRequest) { r.CSI = csi.Clear{ID: worldtest.CSI(t, "mailto:"+bob)} }, want: problem.MailSender},
		{name: "a telephone number", edit: func(r *wire.ObservationRequest) { r.CSI = csi.Clear{ID: worldtest.CSI(t, "tel:+14085550123")} }, want: problem.EvidenceKind},
		{name: "another key", edit: func(r *wire.ObservationRequest) { r.Key = worldtest.Key(t, "mallory").Public().Bytes() }, want: problem.MailResponse},
		{name: "no key", edit: func(r *wire.ObservationRequest) { r.Key = nil }, want: problem.Malformed},
		{name: "kind of a challenge", edit: func(r *wire.ObservationRequest) { r.Kind = "mail-reply" }, want: problem.EvidenceKind},
		{name: "purpose", edit: func(r *wire.ObservationRequest) { r.Purpose = 9 }, want: problem.Malformed},
		{name: "half a nonce", edit: func(r *wire.ObservationRequest) { r.Nonce = r.Nonce[:24] }, want: problem.Malformed},
		{name: "another part 1", edit: func(r *wire.ObservationRequest) { r.Nonce[0]++ }, want: problem.MailToken},
		{name: "another part 2", edit: func(r *wire.ObservationRequest) { r.Nonce[47]++ }, want: problem.MailResponse},
		{name: "challenger unknown", edit: func(r *wire.ObservationRequest) { r.Challenger = worldtest.Party(t, "nobody.example") }, want: problem.ChallengerUnknown},
		{name: "challenger is a DP", edit: func(r *wire.ObservationRequest) { r.Challenger = worldtest.Party(t, worldtest.DP) }, want: problem.ChallengerUnknown},
		{name: "challenger is closed", edit: func(r *wire.ObservationRequest) { r.Challenger = worldtest.Party(t, "prover-d.example") }, want: problem.ChallengerUnknown},
		{name: "challenger is itself", edit: func(r *wire.ObservationRequest) { r.Challenger = f.b.id }, want: problem.ChallengerDependent},
		{name: "challenger of the same operator", edit: func(r *wire.ObservationRequest) { r.Challenger = worldtest.Party(t, "prover-c.example") }, want: problem.ChallengerDependent},
		{name: "no artefact", edit: func(r *wire.ObservationRequest) { r.Artefact = nil }, want: problem.MailMalformed},
		{name: "artefact cut", edit: func(r *wire.ObservationRequest) { r.Artefact = r.Artefact[:len(r.Artefact)-40] }, want: problem.MailResponse},
		{name: "artefact changed", edit: func(r *wire.ObservationRequest) {
			r.Artefact = bytes.Replace(r.Artefact, []byte("Ordinary Mail"), []byte("Extraordinary"), 1)
			r.Artefact = bytes.Replace(r.Artefact, []byte("\r\nDate: "), []byte("\r\nDate: x"), 1)
		}, want: problem.MailSignatureBad},
		{name: "key withdrawn", before: unpublish, after: republish, want: problem.MailKey},
		{name: "another key published", before: func() {
			record, err := dkim.Ed25519(worldtest.Key(t, "other")).Record()
			must(t, err)
			f.net.DNS.SetTXT(name, record)
		}, after: republish, want: problem.MailSignatureBad},
		{
			name: "DNS fails", before: func() { f.net.DNS.SetFault(name, mailnet.Fault{ServFail: true}) },
			after: func() { f.net.DNS.SetFault(name, mailnet.Fault{}) }, want: problem.MailDNS,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.in(t)
			r := a.observation(s)
			r.Nonce, r.Artefact = bytes.Clone(r.Nonce), bytes.Clone(r.Artefact)
			if c.edit != nil {
				c.edit(&r)
			}
			if c.before != nil {
				c.before()
			}
			got, err := f.observe(f.b, r)
			if c.after != nil {
				c.after()
			}
			if !errors.Is(err, problem.Error(c.want)) || len(got) != 0 {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, err := f.observe(f.b, a.observation(s)); err != nil {
		t.Errorf("the right request: %v", err)
	}
	if n := len(f.b.store.all()); n != 0 {
		t.Errorf("a witness keeps %d challenges", n)
	}
	f.checkSilence()
}

// TestR05ReplyToAnotherAddress: an artefact made for an address that no prover
// gives out is not witnessed, even if it answers rightly.
func TestR05ReplyToAnotherAddress(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	nonce := [possession.NonceSize]byte{1, 2, 3}
	text := possessionmail.Response(possession.Response(a.csi, a.holder.Public(), nonce), a.holder.Public().ID().String())
	for name, to := range map[string]string{
		"of somebody else":  "abcdefghijklmnopqrstuvwxyz@other.example",
		"of itself":         "aaaaaaaaaaaaaaaaaaaaaaaaaa@prover-b.example",
		"of a person there": "postmaster@prover-a.example",
	} {
		t.Run(name, func(t *testing.T) {
			f.in(t)
			original := []byte("From: <" + to + ">\r\nSubject: Whither: " + possessionmail.Token([24]byte(nonce[:24])) + "\r\nMessage-ID: <1@x.example>\r\n\r\nhello\r\n")
			_, raw, err := f.provider.ComposeReply(alice, original, text)
			must(t, err)
			r := a.observation(wire.ChallengeStatus{Nonce: nonce[:], Artefact: resign(func(*dkim.SignOptions) {})(a, raw)})
			if _, err := f.observe(f.b, r); !errors.Is(err, problem.Error(problem.MailRecipient)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestObservationAge: evidence is witnessed within a day of the domain's
// signature.
func TestObservationAge(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	request := a.observation(s)
	f.clock.add(24 * time.Hour)
	b, err := f.observe(f.b, request)
	must(t, err)
	u, err := possession.Parse(b)
	must(t, err)
	if got := u.Claims(); !got.Evidence.Equal(f.Now) || !got.Signed.Equal(f.clock.now()) {
		t.Errorf("evidence %s, signed %s", got.Evidence, got.Signed)
	}
	f.clock.add(time.Second)
	if _, err := f.observe(f.b, request); !errors.Is(err, problem.Error(problem.EvidenceStale)) {
		t.Errorf("a day and a second: %v", err)
	}
}

// TestObservationAgain: the same request again gives an equivalent receipt.
func TestObservationAgain(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	request := a.observation(a.prove())
	var claims []possession.Receipt
	for range 2 {
		b, err := f.observe(f.b, request)
		must(t, err)
		u, err := possession.Parse(b)
		must(t, err)
		c := u.Claims()
		c.Signed = time.Time{}
		claims = append(claims, c)
		f.clock.add(time.Minute)
	}
	if claims[0] != claims[1] {
		t.Errorf("%+v and %+v", claims[0], claims[1])
	}
}

// TestR01SplitDNS: a domain (or whoever answers in its place) that shows the two
// provers different keys reaches no more than level 2.
func TestR01SplitDNS(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	// Prover B sees the same signing key in a record of its own making: here the
	// receipts are bent, since one key cannot verify under two digests.
	u, err := possession.Parse(s.Receipt)
	must(t, err)
	other := u.Claims()
	other.Kind, other.KeySeen = possession.MailWitness, [32]byte{1}
	got, err := a.assess(s.Receipt, f.SignReceipt(other, worldtest.ProverB))
	if err != nil || got.Level != possession.Level2 {
		t.Errorf("level %d, %v", got.Level, err)
	}
}

// TestLargestReplyTravels: the largest reply that is taken can be witnessed, in
// either encoding of messages.
func TestLargestReplyTravels(t *testing.T) {
	r := wire.ObservationRequest{
		CSI: csi.Clear{ID: worldtest.CSI(t, "mailto:"+alice)}, Key: make([]byte, 32), Kind: "mail-witness", Purpose: 1,
		Challenger: worldtest.Party(t, worldtest.ProverA), Nonce: make([]byte, 48), Artefact: make([]byte, prover.MaxArtefact),
	}
	for _, encoding := range []string{wire.TypeCBOR, wire.TypeJSON} {
		b, err := wire.Encode(encoding, r)
		if err != nil || len(b) > wire.MaxBody {
			t.Errorf("%s: %d bytes, at most %d; %v", encoding, len(b), wire.MaxBody, err)
		}
	}
}
