package world_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/client/offline"
	"whither/csi"
	"whither/internal/dkim"
	"whither/internal/jws"
	"whither/internal/keyfile"
	"whither/internal/pinned"
	"whither/internal/prover"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/possession/mail"
	"whither/possession/observe"
	"whither/problem"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// enrolWatched enrols, and has a test look at each step.
func (s *scene) enrolWatched(t *testing.T, p person, byObserver bool, e *client.Enrolment, say client.Progress) (mapping.Verified, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w := s.wish(t, p)
	w.ByObserver = byObserver
	done, err := s.client(t).Enrol(ctx, w, desk.NewPerson(s.Desk, p.csi), e, say)
	return done.Mapping, err
}

// parties speaks to the world's parties as anybody can.
func (s *scene) parties(t *testing.T) *pinned.Client {
	t.Helper()
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	c := pinned.NewClient(source.Snapshot, nil, s.now)
	t.Cleanup(c.Close)
	return c
}

// look asks an observer for a key.
func (s *scene) look(t *testing.T, observer string, r wire.KeyRequest) (wire.KeyAnswer, error) {
	t.Helper()
	var a wire.KeyAnswer
	err := s.parties(t).Call(t.Context(), worldtest.Party(t, observer), wire.PathKeys, "", r, &a)
	return a, err
}

// verifyAlone verifies a mapping from its export file and the root alone.
func (s *scene) verifyAlone(t *testing.T, v mapping.Verified) error {
	t.Helper()
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	file, err := offline.New(v, read(s.RegistryPath())).Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = offline.Verify(file, read(s.RootPath()), s.now())
	return err
}

// TestR06VerifiesAfterTheKeyLeftTheDNS: the domain takes its key away before the
// second prover looks. With the key and the word of an observer the second prover
// judges the reply all the same, and whoever has the mapping verifies it without
// any network.
func TestR06VerifiesAfterTheKeyLeftTheDNS(t *testing.T) {
	s := newScene(t, nil)
	old := s.Provider.Selector()
	v, err := s.enrolWatched(t, s.holder, true, &client.Enrolment{}, func(step string) {
		if strings.Contains(step, "says that the key was published") {
			if _, err := s.Provider.Rotate(mailnet.Ed25519); err != nil {
				t.Error(err)
			}
			s.Provider.Withdraw(old)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got := v.Evidence()
	if got.Level != possession.Level4 || len(got.Observers) != 1 || len(got.Vouchers) != 2 || got.Vouchers[1].Kind != possession.MailRecheck {
		t.Errorf("%+v", got)
	}
	for _, o := range []string{world.ObserverA, world.ObserverB} {
		_, err := s.look(t, o, wire.KeyRequest{Kind: wire.KeysOfDKIM, Name: world.MailDomain, Label: old})
		if !errors.Is(err, problem.Error(problem.KeyUnpublished)) {
			t.Errorf("%s: %v", o, err)
		}
	}
	if err := s.verifyAlone(t, v); err != nil {
		t.Error(err)
	}
	if found := s.ask(t, s.holder.csi); found.Outcome != wire.OutcomeOne || found.Mappings[0].Digest() != v.Digest() {
		t.Errorf("found: %s", found.Outcome)
	}
	// An observer learns the domain, and nobody of it.
	for _, m := range s.Seen(got.Observers[0].String()) {
		if strings.Contains(string(m.Body), "bob") || m.Token || m.Party != (registry.PartyID{}) {
			t.Errorf("the observer saw %s with %q", m.Path, m.Body)
		}
	}
	if strings.Contains(s.logs.String(), world.MailDomain) {
		t.Error("a domain is in the logs")
	}
}

// TestSecondProverDoesNotFindTheKey: observers are asked only where the second
// prover's own look fails, and with two provers who see the key not at all.
func TestSecondProverDoesNotFindTheKey(t *testing.T) {
	s := newScene(t, nil)
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []string{world.ObserverA, world.ObserverB} {
		if seen := s.Seen(o); len(seen) != 0 {
			t.Errorf("%s was asked for %s", o, seen[0].Path)
		}
	}
	name := s.Provider.Selector() + "._domainkey." + world.MailDomain
	other := s.person(t, people[1], world.MSPB, key.Private{})
	v, err := s.enrolWatched(t, other, false, &client.Enrolment{}, func(step string) {
		switch {
		case strings.Contains(step, "saw the reply"):
			s.Mail.DNS.SetFault(name, mailnet.Fault{ServFail: true})
		case strings.Contains(step, "asking observers"):
			s.Mail.DNS.SetFault(name, mailnet.Fault{})
		}
	})
	if err != nil || len(v.Evidence().Observers) != 1 {
		t.Errorf("%+v, %v", v.Evidence(), err)
	}
}

// TestR06HandleAfterTheKeyLeftTheSet: likewise the key of an OpenID provider.
func TestR06HandleAfterTheKeyLeftTheSet(t *testing.T) {
	s := newScene(t, nil)
	p := s.holder
	p.csi = worldtest.CSI(t, "acct:"+people[0].Handle())
	v, err := s.enrolWatched(t, p, true, &client.Enrolment{}, func(step string) {
		if strings.Contains(step, "says that the key was published") {
			if err := s.Identity.Rotate(jws.ES256); err != nil {
				t.Error(err)
			}
			s.Identity.Retire()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Evidence(); got.Level != possession.Level3 || len(got.Observers) != 1 || got.Vouchers[1].Kind != possession.OpenIDRecheck {
		t.Errorf("%+v", got)
	}
	if err := s.verifyAlone(t, v); err != nil {
		t.Error(err)
	}
}

// TestR05OneProverAndAnObserver is one party's word: nobody but the prover says
// that there is a reply.
func TestR05OneProverAndAnObserver(t *testing.T) {
	s := newScene(t, nil)
	var e client.Enrolment
	if _, err := s.enrolWatched(t, s.holder, true, &e, func(string) {}); err != nil {
		t.Fatal(err)
	}
	first, word := e.Receipts[0], e.Receipts[2]
	for name, receipts := range map[string][]wire.Bytes{
		"prover and observer":        {first, word},
		"prover, rechecked, no word": {first, e.Receipts[1]},
	} {
		_, err := s.enrolWatched(t, s.holder, false, &client.Enrolment{Receipts: receipts}, func(string) {})
		if !errors.Is(err, problem.Error(problem.EvidenceLevel)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// keeper has a key that the domain has retired, and a prover who lies for him. He
// wants a mapping of bob's address under a key of his own.
type keeper struct {
	*scene
	t       *testing.T
	retired dkim.PrivateKey
	seen    observe.Key
	key     key.Private
	nonce   [possession.NonceSize]byte
}

const retiredSelector = "retired"

// artefact is bob's reply, as the keeper writes it.
func (k *keeper) artefact() []byte {
	k.t.Helper()
	prove := prover.Mailbox{1}.Local() + "@" + world.ProverA
	address, fingerprint := k.holder.csi.Address(), k.key.Public().ID().String()
	token := mail.Token([mail.TokenSize]byte(k.nonce[:mail.TokenSize]))
	challenge, err := mail.Challenge{
		From: prove, To: address, Prover: world.ProverA, Part1: token, Fingerprint: fingerprint, Date: k.now(), Expires: k.now().Add(time.Hour),
	}.Message(mail.Signing{Selector: "x", Key: k.retired})
	if err != nil {
		k.t.Fatal(err)
	}
	_, raw, err := k.Provider.ComposeReply(address, challenge, mail.Response(possession.Response(k.holder.csi, k.key.Public(), k.nonce), fingerprint))
	if err != nil {
		k.t.Fatal(err)
	}
	signed, err := dkim.Sign(raw, dkim.SignOptions{Domain: world.MailDomain, Selector: retiredSelector, Key: k.retired, Time: k.now()})
	if err != nil {
		k.t.Fatal(err)
	}
	return signed
}

// receipt is the lying prover's.
func (k *keeper) receipt(artefact []byte, at time.Time) wire.Bytes {
	k.t.Helper()
	sign, err := keyfile.Signing(k.Path(world.ProverA, "keys", "sign.pem"))
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := possession.Receipt{
		Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(k.holder.csi, k.key.Public()), Kind: possession.MailReply, Level: possession.Level4,
		Artefact: sha256.Sum256(artefact), KeySeen: k.seen.Digest, Evidence: at, Signed: k.now(),
	}.Sign(sign)
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// TestR05KeeperOfRetiredKeys: who keeps the private half of a key that a domain
// has retired makes any reply, and has one prover who lies for him. The honest
// prover finds no such key; handed it, it judges the reply, and says that it was
// handed; and no observer says that the key is there. What they said while it was
// there does not speak for now.
func TestR05KeeperOfRetiredKeys(t *testing.T) {
	s := newScene(t, nil)
	k := &keeper{scene: s, t: t, retired: dkim.Ed25519(worldtest.Key(t, "retired")), key: worldtest.Key(t, "keeper"), nonce: [possession.NonceSize]byte{7}}
	record, err := k.retired.Record()
	if err != nil {
		t.Fatal(err)
	}
	name := retiredSelector + "._domainkey." + world.MailDomain
	s.Mail.DNS.SetTXT(name, record)
	if k.seen, err = observe.FromDKIM(world.MailDomain, retiredSelector, []string{record}); err != nil {
		t.Fatal(err)
	}
	r := wire.KeyRequest{Kind: wire.KeysOfDKIM, Name: world.MailDomain, Label: retiredSelector}
	before, err := s.look(t, world.ObserverB, r)
	if err != nil {
		t.Fatal(err)
	}
	s.Mail.DNS.Remove(name)
	then := s.now()
	s.add(30 * time.Hour)
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}

	for _, o := range []string{world.ObserverA, world.ObserverB} {
		if _, err := s.look(t, o, r); !errors.Is(err, problem.Error(problem.KeyUnpublished)) {
			t.Errorf("%s on the retired key: %v", o, err)
		}
	}
	artefact := k.artefact()
	request := wire.ObservationRequest{
		CSI: csi.Clear{ID: s.holder.csi}, Key: k.key.Public().Bytes(), Kind: possession.MailWitness.String(), Purpose: uint8(possession.PurposeEnrol),
		Challenger: worldtest.Party(t, world.ProverA), Nonce: k.nonce[:], Artefact: artefact,
	}
	var o wire.Observation
	err = s.parties(t).Call(t.Context(), worldtest.Party(t, world.ProverB), wire.PathObservations, "", request, &o)
	if !errors.Is(err, problem.Error(problem.MailKey)) {
		t.Errorf("the honest prover: %v", err)
	}
	request.Kind, request.Published = possession.MailRecheck.String(), []byte(record)
	if err := s.parties(t).Call(t.Context(), worldtest.Party(t, world.ProverB), wire.PathObservations, "", request, &o); err != nil {
		t.Fatalf("the artefact is good under the retired key: %v", err)
	}
	p := s.holder
	p.key = k.key
	old := before.Observations[0]
	for what, c := range map[string]struct {
		receipts []wire.Bytes
		want     problem.Kind
	}{
		"his prover alone":           {[]wire.Bytes{k.receipt(artefact, s.now())}, problem.EvidenceLevel},
		"without a word":             {[]wire.Bytes{k.receipt(artefact, s.now()), o.Receipt}, problem.EvidenceLevel},
		"with a word of before":      {[]wire.Bytes{k.receipt(artefact, s.now()), o.Receipt, old}, problem.EvidenceLevel},
		"… and a lie about the time": {[]wire.Bytes{k.receipt(artefact, then), o.Receipt, old}, problem.EvidenceStale},
	} {
		e := &client.Enrolment{Receipts: c.receipts}
		if len(c.receipts) == 1 {
			e.Receipts = append(e.Receipts, old)
		}
		v, err := s.enrolWatched(t, p, false, e, func(string) {})
		if !errors.Is(err, problem.Error(c.want)) {
			t.Errorf("%s: %v, %s", what, err, fmt.Sprint(v.Evidence().Level))
		}
	}
}

// TestDailyListsOfTheWorld: the observers' lists have the keys of the world's
// provider, and everybody can cut a word out of them.
func TestDailyListsOfTheWorld(t *testing.T) {
	s := newScene(t, nil)
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	day, at := observe.DayOf(s.now()), s.now()
	s.add((day + 1).Begin().Add(10 * time.Minute).Sub(s.now()))
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	texts, err := s.Mail.LookupKey(t.Context(), world.MailDomain, s.Provider.Selector())
	if err != nil {
		t.Fatal(err)
	}
	k, err := observe.FromDKIM(world.MailDomain, s.Provider.Selector(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []string{world.ObserverA, world.ObserverB} {
		b, err := s.parties(t).Get(t.Context(), worldtest.Party(t, o), fmt.Sprintf("%s/%d", wire.PathLists, day))
		if err != nil {
			t.Fatal(err)
		}
		u, err := observe.ParseList(b)
		if err != nil {
			t.Fatal(err)
		}
		v, err := u.Verify(source.Snapshot(), observe.Question{Now: s.now()})
		if err != nil {
			t.Fatal(err)
		}
		if v.Observer().String() != o || !v.Saw(observe.DKIM, world.MailDomain, k.Digest, at) {
			t.Errorf("%s: the list of %s", o, v.Observer())
		}
		excerpt, ok := v.Excerpt(observe.DKIM, world.MailDomain, k.Digest)
		w, err := observe.ParseWord(excerpt)
		if !ok || err != nil {
			t.Fatal(err)
		}
		word, err := w.Verify(source.Snapshot(), observe.Question{Now: s.now()})
		if err != nil || !word.Covers(k.Digest, at) {
			t.Errorf("%s: the excerpt: %v", o, err)
		}
		if n := len(u.Claims().Entries); n != 2 { // the domain's key and the OpenID provider's
			t.Errorf("%s: %d keys", o, n)
		}
	}
}
