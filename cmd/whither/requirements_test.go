package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/client/disclosed"
	"whither/client/offline"
	"whither/csi"
	"whither/disclosure"
	"whither/internal/cose"
	"whither/internal/person"
	"whither/internal/pinned"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// The tests in this file act from outside the federation's process: over its
// sockets, through the command line, and with whatever keys an attacker has
// stolen. The demo has left bob@example.org enrolled at MSP A.

// mallory is a claimant with a key of her own and no mailbox.
func mallory(t *testing.T) key.Private {
	t.Helper()
	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// dpOffer asks the DP for an offer.
func dpOffer(t *testing.T, c *pinned.Client, address string, holder key.Public) wire.DPOffer {
	t.Helper()
	var o wire.DPOffer
	r := wire.OfferRequest{CSI: csi.Clear{ID: parse(t, address)}, Key: holder.Bytes()}
	if err := c.Call(t.Context(), id(t, world.DP), wire.PathOffers, "", r, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// claims composes a first mapping at MSP A from an offer.
func claims(t *testing.T, address string, holder key.Public, o wire.DPOffer) mapping.Claims {
	t.Helper()
	c := mapping.Claims{
		CSI: parse(t, address), DP: id(t, world.DP), Holder: holder, First: true, ReproveDays: mapping.MinReprove,
		Expires: time.Now().Add(24 * time.Hour), DPNonce: mapping.Nonce(o.Nonce),
		Entries: []mapping.Entry{{Provider: id(t, world.MSPA), URI: "mimi://" + world.MSPA, Tags: []string{mapping.TagDefault}}},
	}
	for _, b := range [][]byte{c.ID[:], c.Lineage[:], c.Entries[0].Nonce[:]} {
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// receipts signs the pair of mail receipts with the given keys.
func receipts(t *testing.T, address string, holder key.Public, signers ...key.Private) [][]byte {
	t.Helper()
	now := time.Unix(time.Now().Unix(), 0)
	var out [][]byte
	for i, k := range signers {
		r := possession.Receipt{
			Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(parse(t, address), holder), Kind: possession.Kind(i + 1),
			Level: possession.Level4, Artefact: [32]byte{1}, KeySeen: [32]byte{2}, Evidence: now, Signed: now,
		}
		b, err := r.Sign(k)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func submit(t *testing.T, c *pinned.Client, o wire.DPOffer, b mapping.Bundle) error {
	t.Helper()
	var a wire.SubmitAnswer
	err := c.Call(t.Context(), id(t, world.DP), wire.PathMappings, "", wire.SubmitRequest{Offer: o.Offer, Bundle: wire.BundleOf(b)}, &a)
	if err == nil && a.State == wire.StateHeld {
		return client.ErrHeld
	}
	return err
}

func wantKind(t *testing.T, err error, k problem.Kind) {
	t.Helper()
	if !errors.Is(err, problem.Error(k)) {
		t.Errorf("got %v, want problem %s", err, k)
	}
}

// TestR01NoMappingWithoutProof: a claimant who never answers a challenge gets
// no receipt, and receipts of his own making admit nothing.
func TestR01NoMappingWithoutProof(t *testing.T) {
	f := start(t)
	c, k := f.as(t, ""), mallory(t)
	victim := "victim@" + world.MailDomain
	o := dpOffer(t, c, victim, k.Public())
	var ch wire.Challenge
	r := wire.ChallengeRequest{
		CSI: csi.Clear{ID: parse(t, address)}, Key: k.Public().Bytes(), Kind: possession.MailReply.String(), Purpose: uint8(possession.PurposeEnrol),
	}
	if err := c.Call(t.Context(), o.Provers[0], wire.PathChallenges, "", r, &ch); err != nil {
		t.Fatal(err)
	}
	var s wire.ChallengeStatus
	if err := c.Call(t.Context(), o.Provers[0], wire.PathStatus, "", wire.StatusRequest{ID: ch.ID}, &s); err != nil {
		t.Fatal(err)
	}
	if s.State != wire.ChallengeWaiting || len(s.Receipt) != 0 {
		t.Errorf("without an answer the challenge is %q, with a receipt of %d bytes", s.State, len(s.Receipt))
	}
	u, err := claims(t, victim, k.Public(), o).Sign(k, receipts(t, victim, k.Public(), k, mallory(t)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.AddMSP(f.stolen(t, world.MSPA).Sign, time.Now()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, submit(t, c, o, u.Bundle()), problem.ReceiptSigner)
	if got := f.answers(t, victim); got[0]["outcome"] != wire.OutcomeNone {
		t.Errorf("the victim's address: %v", got[0]["outcome"])
	}
}

// TestR02MSPConfirms: nothing is admitted at an MSP without its signature, and
// the MSP signs for nobody whose account lacks the address.
func TestR02MSPConfirms(t *testing.T) {
	f := start(t)
	c, k := f.as(t, ""), mallory(t)
	o := dpOffer(t, c, address, k.Public())
	rs := receipts(t, address, k.Public(), f.stolen(t, world.ProverA).Sign, f.stolen(t, world.ProverB).Sign)
	u, err := claims(t, address, k.Public(), o).Sign(k, rs, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, submit(t, c, o, u.Bundle()), problem.MSPMissing)
	token, err := os.ReadFile(filepath.Join(f.dir, "people", asker, "keys", world.MSPB+".token"))
	if err != nil {
		t.Fatal(err)
	}
	var mo wire.MSPOffer
	r := wire.OfferRequest{CSI: csi.Clear{ID: parse(t, address)}, Key: k.Public().Bytes()}
	wantKind(t, c.Call(t.Context(), id(t, world.MSPB), wire.PathOffers, strings.TrimSpace(string(token)), r, &mo), problem.AccountCSI)
	wantKind(t, c.Call(t.Context(), id(t, world.MSPB), wire.PathOffers, "nonsense", r, &mo), problem.AccountUnknown)
}

// TestR03JointStatement: holder, MSP and DP each contribute to the content of
// the mapping that an asker gets, and each signs it.
func TestR03JointStatement(t *testing.T) {
	f := start(t)
	v := f.found(t)
	c := v.Claims()
	if c.Holder.IsZero() || c.DPNonce == (mapping.Nonce{}) || len(c.Entries) != 1 || c.Entries[0].Nonce == (mapping.Nonce{}) {
		t.Errorf("somebody contributed nothing: %+v", c)
	}
	m, err := cose.Parse(v.Bundle().Mapping, mapping.MaxSize)
	if err != nil || len(m.Signatures) != 3 {
		t.Fatalf("%d signatures, %v", len(m.Signatures), err)
	}
	for i, k := range []key.Public{c.Holder, f.stolen(t, world.MSPA).Sign.Public(), f.stolen(t, world.DP).Sign.Public()} {
		if err := m.Verify(i, key.LabelMapping, k); err != nil {
			t.Errorf("signature %d: %v", i, err)
		}
	}
}

// found looks the holder's address up and returns the verified mapping.
func (f *federation) found(t *testing.T) mapping.Verified {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(f.dir, "people", asker, "keys", world.MSPB+".token"))
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Config{Registry: f.snapshot(t), Now: time.Now})
	defer c.Close()
	answers, err := c.Lookup(t.Context(), id(t, world.MSPB), strings.TrimSpace(string(token)), client.Query{CSIs: []csi.ID{parse(t, address)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(answers.Answers) != 1 || len(answers.Answers[0].Mappings) != 1 {
		t.Fatalf("%+v", answers)
	}
	return answers.Answers[0].Mappings[0].Verified
}

// TestR04MaliciousDPCannotMakeMapping plays the owner of the DP, with all of
// its keys, who wants a mapping for an address that nobody enrolled; no client
// believes what he makes.
func TestR04MaliciousDPCannotMakeMapping(t *testing.T) {
	f := start(t)
	dp, k := f.stolen(t, world.DP), mallory(t)
	victim := "victim@" + world.MailDomain
	o := dpOffer(t, f.as(t, ""), victim, k.Public())
	for name, signers := range map[string][]key.Private{
		"receipts by the DP":          {dp.Sign, dp.Operator},
		"receipts by a stranger":      {k, mallory(t)},
		"one true prover and himself": {f.stolen(t, world.ProverA).Sign, dp.Sign},
	} {
		u, err := claims(t, victim, k.Public(), o).Sign(k, receipts(t, victim, k.Public(), signers...), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		m, err := cose.Parse(u.Bundle().Mapping, mapping.MaxSize)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Unix()
		for _, p := range []cose.Params{{Role: 2, Time: at}, {Role: 3, Time: at, Until: at + 86400, Found: 1}} {
			if m, err = m.With(key.LabelMapping, dp.Sign, true, p); err != nil {
				t.Fatal(err)
			}
		}
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		f.notTrue(t, mapping.Bundle{Mapping: b, Receipts: u.Bundle().Receipts}, name)
	}
	// A genuine mapping with another address does not verify either.
	v := f.found(t)
	changed := bytes.Replace(v.Bundle().Mapping, []byte(address), []byte("rob@"+world.MailDomain), 1)
	f.notTrue(t, mapping.Bundle{Mapping: changed, Receipts: v.Bundle().Receipts}, "address changed")
}

// notTrue writes a bundle as an export and has the command line refuse it.
func (f *federation) notTrue(t *testing.T, b mapping.Bundle, name string) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(f.dir, "registry", "registry.set"))
	if err != nil {
		t.Fatal(err)
	}
	export, err := offline.Export{Bundle: wire.BundleOf(b), Registry: file}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "forged.mapping")
	if err := os.WriteFile(path, export, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr := f.run(t, t.TempDir(), 1, "verify", path, "--root", f.root()); !strings.Contains(stderr, "NOT TRUE") {
		t.Errorf("%s: %s", name, stderr)
	}
}

// TestR05DPCannotClaimThatTheChallengeWasDone: with everybody's help but the
// provers', a DP that vouches for itself is refused by name.
func TestR05DPCannotClaimThatTheChallengeWasDone(t *testing.T) {
	f := start(t)
	dp, k := f.stolen(t, world.DP), mallory(t)
	c := f.as(t, "")
	o := dpOffer(t, c, address, k.Public())
	for _, signers := range [][]key.Private{{dp.Sign, dp.Sign}, {f.stolen(t, world.ProverA).Sign, dp.Sign}} {
		u, err := claims(t, address, k.Public(), o).Sign(k, receipts(t, address, k.Public(), signers...), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if u, err = u.AddMSP(f.stolen(t, world.MSPA).Sign, time.Now()); err != nil {
			t.Fatal(err)
		}
		wantKind(t, submit(t, c, o, u.Bundle()), problem.ReceiptSigner)
	}
	// One prover alone, however true, is one party's word.
	u, err := claims(t, address, k.Public(), o).Sign(k, receipts(t, address, k.Public(), f.stolen(t, world.ProverA).Sign), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.AddMSP(f.stolen(t, world.MSPA).Sign, time.Now()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, submit(t, c, o, u.Bundle()), problem.EvidenceLevel)
}

// TestR06VerifyOffline verifies a mapping in a process that has one file and
// the registry's root, and no federation to ask.
func TestR06VerifyOffline(t *testing.T) {
	f := start(t)
	path := filepath.Join(t.TempDir(), "found.mapping")
	f.run(t, filepath.Join(f.dir, "people", asker), 0, "lookup", address, "--save", path)
	stdout, _ := f.run(t, t.TempDir(), 0, "--json", "verify", path, "--root", f.root())
	if !strings.Contains(stdout, `"verified":true`) || !strings.Contains(stdout, `"csi":"mailto:`+address+`"`) {
		t.Errorf("verify says %s", stdout)
	}
	later := time.Now().Add(8 * 24 * time.Hour).UTC().Format(time.RFC3339)
	if _, stderr := f.run(t, t.TempDir(), 1, "verify", path, "--root", f.root(), "--at", later); !strings.Contains(stderr, "run out") {
		t.Errorf("after the DP's signature: %s", stderr)
	}
}

// TestR09Outcomes sees the outcomes that one person's journeys give.
func TestR09Outcomes(t *testing.T) {
	f := start(t)
	got := f.answers(t, address, nobody, "missing@"+world.MailDomain)
	for i, want := range []string{wire.OutcomeOne, wire.OutcomeNone, wire.OutcomeNone} {
		if got[i]["outcome"] != want {
			t.Errorf("answer %d is %v, want %s", i, got[i]["outcome"], want)
		}
	}
	if got := f.answers(t, address, "--msp", world.MSPB); got[0]["outcome"] != wire.OutcomeNone {
		t.Errorf("filtered by another MSP: %v", got[0]["outcome"])
	}
	if got := f.answers(t, address, "--msp", world.MSPA); got[0]["outcome"] != wire.OutcomeOne {
		t.Errorf("filtered by its MSP: %v", got[0]["outcome"])
	}
}

// TestR09SeveralMappingsOfOnePerson enrols the holder's number at a second MSP
// and then puts a set of both into one mapping.
func TestR09SeveralMappingsOfOnePerson(t *testing.T) {
	f := start(t)
	dir, number := filepath.Join(f.dir, "people", "bob"), "+41791234567"
	mine := func() (ids []string) {
		t.Helper()
		out, _ := f.run(t, dir, 0, "--json", "list")
		var list []struct{ ID, CSI string }
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if m.CSI == "tel:"+number {
				ids = append(ids, m.ID)
			}
		}
		return ids
	}
	first := mine()
	if _, stderr := f.run(t, dir, 1, "enrol", number, "--msp", world.MSPC, "--desk", f.page); !strings.Contains(stderr, "whither replace "+first[0][:8]) {
		t.Errorf("enrolled twice at one MSP: %s", stderr)
	}
	f.run(t, dir, 0, "enrol", number, "--msp", world.MSPA, "--tag", "Business", "--desk", f.page)
	if got := f.answers(t, number); got[0]["outcome"] != wire.OutcomeMany {
		t.Errorf("two mappings: %v", got[0]["outcome"])
	}
	for _, id := range mine() {
		if id != first[0] {
			f.run(t, dir, 0, "withdraw", id)
		}
	}
	f.run(t, dir, 0, "replace", first[0], "--msp", world.MSPA, "--msp", world.MSPC)
	if got := f.answers(t, number); got[0]["outcome"] != wire.OutcomeSeveral {
		t.Errorf("a set: %v", got[0]["outcome"])
	}
	f.run(t, dir, 0, "replace", first[0], "--msp", world.MSPC)
	if got := f.answers(t, number); got[0]["outcome"] != wire.OutcomeOne {
		t.Errorf("one again: %v", got[0]["outcome"])
	}
}

// TestR10NotAskedIsSaid: a DP that asks no peers says so of each.
func TestR10NotAskedIsSaid(t *testing.T) {
	f := start(t)
	out, _ := f.run(t, filepath.Join(f.dir, "people", asker), 0, "lookup", nobody, "--federation", "selected", "--at", "dp-2.example")
	if !strings.Contains(out, "not answered by dp-2.example: not-asked") {
		t.Errorf("lookup says %s", out)
	}
}

// TestR11BehaviourEqualsDisclosure: the DP shows the document that the registry
// names; what it answers fits; another document, and an answer that does not fit,
// are refused.
func TestR11BehaviourEqualsDisclosure(t *testing.T) {
	f := start(t)
	snapshot, dp, msp := f.snapshot(t), id(t, world.DP), f.as(t, world.MSPA)
	reader := disclosed.New(snapshot, time.Now)
	defer reader.Close()
	d, err := reader.Of(t.Context(), dp)
	if err != nil {
		t.Fatal(err)
	}
	o := disclosure.Offered{CSI: parse(t, address), Answer: dpOffer(t, msp, address, mallory(t).Public()), Now: time.Now()}
	r := wire.LookupRequest{CSIs: []csi.Clear{{ID: parse(t, address)}}, Format: wire.FormatVerbose}
	q := disclosure.Asked{Request: r}
	if err := msp.Call(t.Context(), dp, wire.PathLookups, "", r, &q.Answer); err != nil {
		t.Fatal(err)
	}
	m := disclosure.Admitted{Mapping: f.found(t), Snapshot: snapshot(), Now: time.Now()}
	for name, a := range map[string]disclosure.Answer{"offer": {Offer: &o}, "look-up": {Lookup: &q}, "mapping": {Admitted: &m}} {
		if err := reader.Check(t.Context(), dp, a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(q.Answer.Asked) != 1 || d.Lookups.Default != wire.FederationNone {
		t.Errorf("the default is %q, and %d DPs were asked", d.Lookups.Default, len(q.Answer.Asked))
	}
	for len(r.CSIs) <= d.Limits.CSIs {
		r.CSIs = append(r.CSIs, r.CSIs[0])
	}
	wantKind(t, msp.Call(t.Context(), dp, wire.PathLookups, "", r, &wire.LookupAnswer{}), problem.Malformed)
	lie := o
	lie.Answer.Residency = []string{"DE"}
	if err := reader.Check(t.Context(), dp, disclosure.Answer{Offer: &lie}); !errors.Is(err, disclosure.ErrContradicts) {
		t.Errorf("an answer that contradicts: %v", err)
	}
	document, err := msp.Get(t.Context(), dp, disclosure.Path)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := snapshot().Party(dp)
	other := bytes.Replace(document, []byte(`"CH"`), []byte(`"DE"`), 1)
	if _, err := disclosure.Of(p, other); !errors.Is(err, disclosure.ErrDigest) {
		t.Errorf("a document that is not the one of the registry: %v", err)
	}
	if out, _ := f.run(t, f.dir, 0, "doctor", "--target", p.Self.Endpoint, "--registry", filepath.Join(f.dir, "registry", "registry.set"), "--root", f.root()); !strings.Contains(out, "disclosure") {
		t.Errorf("doctor says %s", out)
	}
}

// TestR15VerboseAndCompact: the verbose answer verifies, the compact one is a
// hint of fixed length.
func TestR15VerboseAndCompact(t *testing.T) {
	f := start(t)
	verbose := f.answers(t, address)
	if list, _ := verbose[0]["mappings"].([]any); len(list) != 1 {
		t.Errorf("verbose: %v", verbose[0])
	}
	compact := f.answers(t, address, nobody, "--compact")
	hint, _ := compact[0]["hint"].([]any)
	if list, _ := compact[0]["mappings"].([]any); len(list) != 0 || len(hint) != 1 || hint[0] != world.MSPA {
		t.Errorf("compact: %v", compact[0])
	}
	if hint, _ := compact[1]["hint"].([]any); len(hint) != 0 {
		t.Errorf("compact, nobody: %v", compact[1])
	}
}

// TestR19HolderReplacesAndWithdraws goes from enrolment to withdrawal with the
// command line alone, and has a second claim on the address held meanwhile.
func TestR19HolderReplacesAndWithdraws(t *testing.T) {
	f := start(t)
	dir, own := filepath.Join(f.dir, "people", asker), asker+"@"+world.MailDomain
	f.keygen(t, dir)
	before, err := person.At(dir, time.Now).IDs() // the demo has enrolled her number
	if err != nil {
		t.Fatal(err)
	}
	f.run(t, dir, 0, "enrol", own, "--msp", world.MSPB, "--desk", f.page)
	if got := f.answers(t, own); got[0]["outcome"] != wire.OutcomeOne {
		t.Fatalf("enrolled: %v", got[0]["outcome"])
	}
	ids, err := person.At(dir, time.Now).IDs()
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(before, id) })
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	f.secondClaimIsHeld(t, own)
	f.run(t, dir, 0, "replace", ids[0], "--unlisted")
	if got := f.answers(t, own); got[0]["outcome"] != wire.OutcomeUnlisted {
		t.Errorf("replaced: %v", got[0]["outcome"])
	}
	f.run(t, dir, 0, "withdraw", ids[0])
	// What was held against the mapping that is gone takes its place: the other
	// one has proved possession, and nobody is left who could object.
	if got := f.answers(t, own); got[0]["outcome"] != wire.OutcomeOne {
		t.Errorf("withdrawn, with a claim held: %v", got[0]["outcome"])
	}
	if _, stderr := f.run(t, dir, 1, "withdraw", ids[0]); !strings.Contains(stderr, "no mapping of that id") {
		t.Errorf("again: %s", stderr)
	}
}

// secondClaimIsHeld enrols the address under another key, with true evidence.
func (f *federation) secondClaimIsHeld(t *testing.T, address string) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(f.dir, "people", asker, "keys", world.MSPB+".token"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := client.New(client.Config{Registry: f.snapshot(t), Now: time.Now})
	defer c.Close()
	w := client.Wish{
		CSI: parse(t, address), Key: mallory(t), DP: id(t, world.DP), MSPs: []registry.PartyID{id(t, world.MSPB)},
		Tokens: map[registry.PartyID]string{id(t, world.MSPB): strings.TrimSpace(string(token))},
	}
	_, err = c.Enrol(ctx, w, desk.NewPerson(f.page, w.CSI), &client.Enrolment{}, func(string) {})
	if !errors.Is(err, client.ErrHeld) {
		t.Errorf("a second claim: %v", err)
	}
}

// TestR14DPRefusesToSeeBothEnds: a person who asks the DP directly, and an MSP
// of the DP's own operator, are refused.
func TestR14DPRefusesToSeeBothEnds(t *testing.T) {
	f := start(t)
	r := wire.LookupRequest{CSIs: []csi.Clear{{ID: parse(t, address)}}, Federation: wire.FederationNone, Format: wire.FormatVerbose}
	var a wire.LookupAnswer
	wantKind(t, f.as(t, "").Call(t.Context(), id(t, world.DP), wire.PathLookups, "", r, &a), problem.BothEnds)
	wantKind(t, f.as(t, world.ProverA).Call(t.Context(), id(t, world.DP), wire.PathLookups, "", r, &a), problem.NotAParty)
	if err := f.as(t, world.MSPB).Call(t.Context(), id(t, world.DP), wire.PathLookups, "", r, &a); err != nil {
		t.Errorf("an MSP's back-end: %v", err)
	}
}

// TestR23EverythingEncryptedAndAuthenticated: plaintext, old TLS, and a server
// with another key than the registry's are all refused.
func TestR23EverythingEncryptedAndAuthenticated(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, name := range []string{world.DP, world.MSPA, world.MSPB, world.ProverA, world.ProverB} {
		p, ok := f.snapshot(t)().Party(id(t, name))
		if !ok {
			t.Fatalf("%s is not in the registry", name)
		}
		host := strings.TrimPrefix(p.Self.Endpoint, "https://")
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+wire.PathRegistry, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 400 {
				t.Errorf("%s answers plain HTTP with %d", name, resp.StatusCode)
			}
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			d := tls.Dialer{Config: &tls.Config{MaxVersion: version, MinVersion: version, InsecureSkipVerify: true}}
			conn, err := d.DialContext(ctx, "tcp", host)
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != (version == tls.VersionTLS13) {
				t.Errorf("%s with TLS %x: %v", name, version, err)
			}
		}
	}
	// A client whose registry pins another key does not speak to the server.
	forged := f.forgedRegistry(t)
	var a wire.DPOffer
	c := pinned.NewClient(func() *registry.Snapshot { return forged }, nil, time.Now)
	defer c.Close()
	r := wire.OfferRequest{CSI: csi.Clear{ID: parse(t, address)}, Key: mallory(t).Public().Bytes()}
	if err := c.Call(ctx, id(t, world.DP), wire.PathOffers, "", r, &a); !errors.Is(err, pinned.ErrPin) {
		t.Errorf("a server with another key: %v", err)
	}
}

// forgedRegistry is a registry in which the DP has another TLS key.
func (f *federation) forgedRegistry(t *testing.T) *registry.Snapshot {
	t.Helper()
	dp, ok := f.snapshot(t)().Party(id(t, world.DP))
	if !ok {
		t.Fatal("no DP")
	}
	operator, now := mallory(t), time.Now()
	self := dp.Self
	self.Issued, self.Pins = now.Unix(), [][]byte{bytes.Repeat([]byte{1}, 32)}
	signed, err := registry.SignSelf(self, operator)
	if err != nil {
		t.Fatal(err)
	}
	dp.OperatorKey = operator.Public()
	s, err := registry.Assemble(registry.Record{
		Version: 1, Federation: "forged.example", Issued: now, Expires: now.Add(time.Hour),
		Policy: registry.Policy{Levels: map[string]uint8{"mailto": 4}}, Parties: []registry.Entry{{Grant: dp.Grant, Self: signed}},
	}, [32]byte{1}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestR09AddressBook asks about a whole address book, in two requests.
func TestR09AddressBook(t *testing.T) {
	f := start(t)
	var book strings.Builder
	book.WriteString("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Somebody\r\nEMAIL:" + address + "\r\nTEL:079 123 45 67\r\nTEL:nonsense\r\nEND:VCARD\r\n")
	for i := range 1100 {
		fmt.Fprintf(&book, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Nobody\r\nEMAIL:nobody-%d@%s\r\nEND:VCARD\r\n", i, world.MailDomain)
	}
	path := filepath.Join(t.TempDir(), "book.vcf")
	if err := os.WriteFile(path, []byte(book.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, progress := f.run(t, filepath.Join(f.dir, "people", asker), 0, "lookup", "--contacts", path, "--region", "CH")
	for _, want := range []string{"mimi://" + world.MSPA, "mimi://" + world.MSPC, "2 of 1102 found"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
	for _, want := range []string{"1102 of 1102", "1101 contacts: 1102 addresses and numbers, 0 repeated, 1 not readable", "line 6"} {
		if !strings.Contains(progress, want) {
			t.Errorf("%q is missing in %s", want, progress)
		}
	}
	if _, stderr := f.run(t, filepath.Join(f.dir, "people", asker), 2, "lookup", "079 123 45 67"); !strings.Contains(stderr, "country") {
		t.Errorf("a number without region: %s", stderr)
	}
}

// TestR07ChoiceIsRemembered: the command line picks one place for a contact,
// stays with it, and changes it on the asker's word alone.
func TestR07ChoiceIsRemembered(t *testing.T) {
	f := start(t)
	dir := filepath.Join(f.dir, "people", asker)
	choose := func(args ...string) string {
		t.Helper()
		out, _ := f.run(t, dir, 0, append([]string{"choose"}, args...)...)
		return out
	}
	if got := choose(address); !strings.Contains(got, "write to mimi://"+world.MSPA+" (default)") {
		t.Errorf("by the contact's tag: %s", got)
	}
	if got := choose(address); !strings.Contains(got, "write to mimi://"+world.MSPA) {
		t.Errorf("again: %s", got)
	}
	if got := choose(nobody); !strings.Contains(got, "nowhere (no-mapping)") {
		t.Errorf("nobody: %s", got)
	}
	if _, stderr := f.run(t, dir, 1, "choose", address, "--at", world.MSPB); !strings.Contains(stderr, "not at "+world.MSPB) {
		t.Errorf("where the contact is not: %s", stderr)
	}
	if got := choose(address, "--at", world.MSPA); !strings.Contains(got, "(user)") {
		t.Errorf("on the asker's word: %s", got)
	}
}
