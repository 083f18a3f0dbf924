package world_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/csi"
	"whither/internal/pinned"
	"whither/internal/world"
	"whither/internal/world/idp"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/possession/openid"
	"whither/problem"
	"whither/registry/update"
	"whither/wire"
)

// TestR08HandleIsEnrolled enrols the third kind of CSI, a handle at an OpenID
// provider, by a sign-in there: offer, challenge, token, two provers that fetch
// the keys themselves, mapping, look-up.
func TestR08HandleIsEnrolled(t *testing.T) {
	s := newScene(t, nil)
	p := s.holder
	p.csi = worldtest.CSI(t, "acct:"+people[0].Handle())
	e := &client.Enrolment{}
	v, err := s.enrol(t, p, e)
	if err != nil {
		t.Fatal(err)
	}
	if v.Evidence().Level != possession.Level3 || v.Claims().CSI != p.csi {
		t.Errorf("level %d", v.Evidence().Level)
	}
	if got := s.ask(t, p.csi); got.Outcome != wire.OutcomeOne || got.Mappings[0].Digest() != v.Digest() {
		t.Errorf("found: %s", got.Outcome)
	}
	if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeNone {
		t.Errorf("the address, which was not enrolled: %s", got.Outcome)
	}
	if fetched := s.Identity.Fetched(); fetched < 3 {
		t.Errorf("the key set was fetched %d times: client and both provers look themselves", fetched)
	}
	for _, secret := range []string{"bob", world.IdentityHost, string(e.Artefact[:20])} {
		if strings.Contains(s.logs.String(), secret) {
			t.Errorf("the logs hold %q", secret)
		}
	}
	other := s.asker
	other.csi = p.csi
	if _, err := s.enrol(t, other, &client.Enrolment{}); !errors.Is(err, problem.Error(problem.AccountCSI)) {
		t.Errorf("another's handle: %v", err)
	}
}

// TestR08HandleAfterTrouble: an enrolment that the provider's trouble interrupts
// goes on where it stopped.
func TestR08HandleAfterTrouble(t *testing.T) {
	s := newScene(t, nil)
	p := s.holder
	p.csi = worldtest.CSI(t, "acct:"+people[0].Handle())
	e := &client.Enrolment{}
	s.Identity.Misbehave(idp.Fault{Down: true})
	if _, err := s.enrol(t, p, e); err == nil {
		t.Fatal("enrolled without a provider")
	}
	started := e.Challenges
	s.Identity.Misbehave(idp.Fault{Claims: func(c map[string]any) { delete(c, "auth_time") }})
	if _, err := s.enrol(t, p, e); !errors.Is(err, openid.ErrClaim) {
		t.Fatalf("a token that is no use: %v", err)
	}
	s.Identity.Misbehave(idp.Fault{})
	if _, err := s.enrol(t, p, e); err != nil {
		t.Fatal(err)
	}
	if len(started) != 1 || string(started[0].ID) != string(e.Challenges[0].ID) {
		t.Error("a new challenge was started")
	}
}

// stranger speaks to the provers without the care that a client takes.
type stranger struct {
	*scene
	t       *testing.T
	parties *pinned.Client
	person  person
}

func newStranger(t *testing.T, s *scene, p person) *stranger {
	t.Helper()
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	c := pinned.NewClient(source.Snapshot, nil, s.now)
	t.Cleanup(c.Close)
	return &stranger{scene: s, t: t, parties: c, person: p}
}

// begin starts a challenge by token.
func (s *stranger) begin() wire.Challenge {
	s.t.Helper()
	var ch wire.Challenge
	if err := s.call(world.ProverA, wire.PathChallenges, wire.ChallengeRequest{
		CSI: csi.Clear{ID: s.person.csi}, Key: s.person.key.Public().Bytes(), Kind: possession.OpenIDToken.String(), Purpose: uint8(possession.PurposeEnrol),
	}, &ch); err != nil {
		s.t.Fatal(err)
	}
	return ch
}

func (s *stranger) call(prover, path string, in, out any) error {
	s.t.Helper()
	return s.parties.Call(s.t.Context(), worldtest.Party(s.t, prover), path, "", in, out)
}

// nonce is the one that a token for a challenge must have.
func (s *stranger) nonce(ch wire.Challenge) string {
	return openid.Nonce(possession.Response(s.person.csi, s.person.key.Public(), [possession.NonceSize]byte(ch.Nonce)))
}

// token is what the provider gives a client for a sign-in.
func (s *stranger) token(clientID, nonce, account string) []byte {
	s.t.Helper()
	token, err := s.Identity.Token(clientID, nonce, account)
	if err != nil {
		s.t.Fatal(err)
	}
	return []byte(token)
}

// TestR05BadTokensProveNothing hands provers, over their sockets, tokens that a
// real provider signed and that say something else, and counts the tries.
func TestR05BadTokensProveNothing(t *testing.T) {
	s := newScene(t, nil)
	p := s.holder
	p.csi = worldtest.CSI(t, "acct:"+people[0].Handle())
	me := newStranger(t, s, p)
	s.Identity.Register("shop", "A shop")
	ch := me.begin()
	good := func() []byte { return me.token(world.IdentityClient, me.nonce(ch), "bob") }
	tests := []struct {
		name  string
		fault idp.Fault
		token func() []byte
		want  problem.Kind
	}{
		{"signed in at another relying party", idp.Fault{}, func() []byte { return me.token("shop", me.nonce(ch), "bob") }, problem.OpenIDAudience},
		{"another person", idp.Fault{}, func() []byte { return me.token(world.IdentityClient, me.nonce(ch), "alice") }, problem.OpenIDIdentifier},
		{"another challenge's nonce", idp.Fault{}, func() []byte { return me.token(world.IdentityClient, me.nonce(me.begin()), "bob") }, problem.OpenIDNonce},
		{"no token", idp.Fault{}, func() []byte { return []byte("x") }, problem.OpenIDMalformed},
		{"issuer of nobody", idp.Fault{Claims: func(c map[string]any) { c["iss"] = "https://id.example.net" }}, good, problem.OpenIDIssuer},
	}
	for _, test := range tests {
		s.Identity.Misbehave(test.fault)
		token := test.token()
		var status wire.ChallengeStatus
		if err := me.call(world.ProverA, wire.PathAnswers, wire.AnswerRequest{ID: ch.ID, Artefact: token}, &status); problem.KindOf(err) != test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		var o wire.Observation
		if err := me.call(world.ProverB, wire.PathObservations, wire.ObservationRequest{
			CSI: csi.Clear{ID: p.csi}, Key: p.key.Public().Bytes(), Kind: possession.OpenIDWitness.String(), Purpose: uint8(possession.PurposeEnrol),
			Challenger: worldtest.Party(t, world.ProverA), Nonce: ch.Nonce, Artefact: token,
		}, &o); problem.KindOf(err) != test.want {
			t.Errorf("%s, at the witness: %v, want %s", test.name, err, test.want)
		}
	}
	s.Identity.Misbehave(idp.Fault{})
	if err := me.call(world.ProverA, wire.PathAnswers, wire.AnswerRequest{ID: ch.ID, Artefact: good()}, nil); problem.KindOf(err) != problem.ChallengeFailed {
		t.Errorf("after five wrong ones: %v", err)
	}
	// A provider that does not answer costs nothing.
	s.add(20 * time.Minute) // so that keys are fetched again
	ch = me.begin()
	token := good()
	s.Identity.Misbehave(idp.Fault{Down: true})
	if err := me.call(world.ProverA, wire.PathAnswers, wire.AnswerRequest{ID: ch.ID, Artefact: token}, nil); problem.KindOf(err) != problem.OpenIDProvider {
		t.Errorf("out of order: %v", err)
	}
	s.Identity.Misbehave(idp.Fault{})
	s.add(10 * time.Second)
	var status wire.ChallengeStatus
	for range 2 { // what was right stays right
		if err := me.call(world.ProverA, wire.PathAnswers, wire.AnswerRequest{ID: ch.ID, Artefact: token}, &status); err != nil || status.State != wire.ChallengeProved {
			t.Errorf("back in order: %v, state %q", err, status.State)
		}
	}
	// Somebody else's key, with what the first one left.
	other := me.person
	other.key = worldtest.Key(t, "mallory's app")
	var o wire.Observation
	if err := me.call(world.ProverB, wire.PathObservations, wire.ObservationRequest{
		CSI: csi.Clear{ID: p.csi}, Key: other.key.Public().Bytes(), Kind: possession.OpenIDWitness.String(), Purpose: uint8(possession.PurposeEnrol),
		Challenger: worldtest.Party(t, world.ProverA), Nonce: ch.Nonce, Artefact: token,
	}, &o); problem.KindOf(err) != problem.OpenIDNonce {
		t.Errorf("under another key: %v", err)
	}
}

// TestTokenForForeignDomain: no challenge is started for an address whose domain
// no provider of the registry gives out.
func TestTokenForForeignDomain(t *testing.T) {
	s := newScene(t, nil)
	me := newStranger(t, s, s.holder)
	for _, uri := range []string{"acct:bob@id.example.net", "mailto:bob@example.net", "mailto:bob@sub.example.org"} {
		var ch wire.Challenge
		err := me.call(world.ProverA, wire.PathChallenges, wire.ChallengeRequest{
			CSI: csi.Clear{ID: worldtest.CSI(t, uri)}, Key: s.holder.key.Public().Bytes(), Kind: possession.OpenIDToken.String(), Purpose: uint8(possession.PurposeEnrol),
		}, &ch)
		if problem.KindOf(err) != problem.EvidenceKind {
			t.Errorf("%s: %v", uri, err)
		}
	}
}
