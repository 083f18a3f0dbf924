package prover_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/prover"
	"whither/internal/prover/bysmime"
	"whither/internal/prover/bystir"
	"whither/internal/world/mailca"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/smime"
	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// upload is a try to prove possession by an artefact that the client brings.
type upload struct {
	f         *federation
	kind      possession.Kind
	csi       csi.ID
	holder    key.Private
	challenge wire.Challenge
}

func (f *federation) ask(kind possession.Kind, id, holder string) (*upload, error) {
	u := &upload{f: f, kind: kind, csi: worldtest.CSI(f.t, id), holder: worldtest.Key(f.t, holder)}
	err := f.client.Call(f.within(), f.a.id, wire.PathChallenges, "", wire.ChallengeRequest{
		CSI: csi.Clear{ID: u.csi}, Key: u.holder.Public().Bytes(), Kind: kind.String(), Purpose: uint8(possession.PurposeEnrol),
	}, &u.challenge)
	return u, err
}

func (f *federation) mustAsk(kind possession.Kind, id, holder string) *upload {
	f.t.Helper()
	u, err := f.ask(kind, id, holder)
	must(f.t, err)
	return u
}

// response is what is to be signed.
func (u *upload) response() [32]byte {
	return possession.Response(u.csi, u.holder.Public(), [possession.NonceSize]byte(u.challenge.Nonce))
}

func (u *upload) bring(artefact []byte) (wire.ChallengeStatus, error) {
	var s wire.ChallengeStatus
	err := u.f.client.Call(u.f.within(), u.f.a.id, wire.PathAnswers, "", wire.AnswerRequest{ID: u.challenge.ID, Artefact: artefact}, &s)
	return s, err
}

// witness asks prover b about an artefact.
func (u *upload) witness(kind possession.Kind, artefact []byte) ([]byte, error) {
	return u.f.observe(u.f.b, wire.ObservationRequest{
		CSI: csi.Clear{ID: u.csi}, Key: u.holder.Public().Bytes(), Kind: kind.String(), Purpose: uint8(possession.PurposeEnrol),
		Challenger: u.f.a.id, Nonce: u.challenge.Nonce, Artefact: artefact,
	})
}

// prove brings an artefact to both provers and returns the level that they
// reach together.
func (u *upload) prove(artefact []byte, by possession.Kind) possession.Level {
	u.f.t.Helper()
	s, err := u.bring(artefact)
	must(u.f.t, err)
	if s.State != wire.ChallengeProved || !bytes.Equal(s.Artefact, artefact) || !bytes.Equal(s.Nonce, u.challenge.Nonce) {
		u.f.t.Fatalf("state %s, problem %s", s.State, s.Problem)
	}
	again, err := u.bring(artefact)
	if err != nil || !bytes.Equal(again.Receipt, s.Receipt) {
		u.f.t.Errorf("a lost answer, asked for again: %v", err)
	}
	w, err := u.witness(by, artefact)
	must(u.f.t, err)
	a := attempt{f: u.f, csi: u.csi, holder: u.holder}
	got, err := a.assess(s.Receipt, w)
	must(u.f.t, err)
	if alone, err := a.assess(s.Receipt); err != nil || alone.Level != possession.Level1 {
		u.f.t.Errorf("alone: level %d, %v", alone.Level, err)
	}
	return got.Level
}

// startMails starts a federation that trusts a mail authority. lists is what its
// provers know of revocations.
func startMails(t *testing.T, lists func(*mailca.Authority) ([][]byte, error)) (*federation, *mailca.Authority) {
	t.Helper()
	var ca *mailca.Authority
	f := start(t, func(c *prover.Config) {
		generous(c)
		if ca == nil {
			var err error
			ca, err = mailca.New("Example Mail CA", c.Now)
			must(t, err)
		}
		c.Methods = append(c.Methods, bysmime.Method(bysmime.Config{
			Snapshot: c.Registry.Snapshot, Authorities: []*x509.Certificate{ca.Certificate},
			Lists: func() ([][]byte, error) { return lists(ca) },
		}))
	})
	f.Record.Policy.Evidence.Mail = []registry.Anchor{{Digest: ca.Digest()}}
	f.publish()
	return f, ca
}

// current is the authority's list of this moment.
func current(ca *mailca.Authority) ([][]byte, error) {
	l, err := ca.List()
	return [][]byte{l}, err
}

// sign has a person sign the text of a challenge.
func (u *upload) sign(p *mailca.Person) []byte {
	u.f.t.Helper()
	raw, err := p.Sign(smime.Content(u.response(), u.holder.Public().ID().String()))
	must(u.f.t, err)
	return raw
}

func certified(t *testing.T, ca *mailca.Authority, address string) *mailca.Person {
	t.Helper()
	p, err := ca.Certify(address)
	must(t, err)
	return p
}

// TestR01CertificateProvesPossession: an S/MIME signature over the response,
// judged by two provers, reaches level 3.
func TestR01CertificateProvesPossession(t *testing.T) {
	f, ca := startMails(t, current)
	u := f.mustAsk(possession.SMIME, "mailto:"+alice, "holder")
	if level := u.prove(u.sign(certified(t, ca, alice)), possession.SMIMEWitness); level != possession.Level3 {
		t.Errorf("level %d", level)
	}
	f.checkSilence()
}

// TestR01BadCertificates: what does not answer this challenge, for this address
// and this key, under a certificate that is good now, proves nothing.
func TestR01BadCertificates(t *testing.T) {
	f, ca := startMails(t, current)
	other, err := mailca.New("Other CA", f.clock.now)
	must(t, err)
	person, revoked := certified(t, ca, alice), certified(t, ca, alice)
	ca.Revoke(revoked)
	foreign := f.mustAsk(possession.SMIME, "mailto:"+alice, "mallory")
	before := f.mustAsk(possession.SMIME, "mailto:"+alice, "holder")
	for name, c := range map[string]struct {
		artefact func(*upload) []byte
		want     problem.Kind
	}{
		"no signature":              {func(*upload) []byte { return []byte("I let") }, problem.SMIMEMalformed},
		"of another challenge":      {func(*upload) []byte { return before.sign(person) }, problem.SMIMEContent},
		"for another key":           {func(*upload) []byte { return foreign.sign(person) }, problem.SMIMEContent},
		"by somebody else":          {func(u *upload) []byte { return u.sign(certified(t, ca, bob)) }, problem.SMIMEAddress},
		"of an unknown authority":   {func(u *upload) []byte { return u.sign(certified(t, other, alice)) }, problem.SMIMEChain},
		"of a revoked certificate":  {func(u *upload) []byte { return u.sign(revoked) }, problem.SMIMERevoked},
		"too large":                 {func(*upload) []byte { return make([]byte, prover.MaxArtefact+1) }, problem.TooLarge},
		"larger than they are read": {func(*upload) []byte { return make([]byte, prover.MaxArtefact) }, problem.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			f.in(t)
			u := f.mustAsk(possession.SMIME, "mailto:"+alice, "holder")
			artefact := c.artefact(u)
			_, err := u.bring(artefact)
			wantKind(t, "brought", err, c.want)
			_, err = u.witness(possession.SMIMEWitness, artefact)
			wantKind(t, "to the witness", err, c.want)
			if s, err := u.bring(u.sign(person)); err != nil || s.State != wire.ChallengeProved {
				t.Errorf("the right one, after it: %v", err)
			}
		})
	}
	f.checkSilence()
}

// TestRevocationUnknown: without a current list nothing counts, and no try is
// lost.
func TestRevocationUnknown(t *testing.T) {
	var old []byte
	f, ca := startMails(t, func(ca *mailca.Authority) ([][]byte, error) {
		if old == nil {
			return nil, errors.New("the disk is gone")
		}
		return [][]byte{old}, nil
	})
	person := certified(t, ca, alice)
	u := f.mustAsk(possession.SMIME, "mailto:"+alice, "holder")
	raw := u.sign(person)
	for range prover.MaxTries + 1 {
		_, err := u.bring(raw)
		wantKind(t, "no list", err, problem.SMIMEStatus)
	}
	var err error
	old, err = ca.List()
	must(t, err)
	if s, err := u.bring(raw); err != nil || s.State != wire.ChallengeProved {
		t.Errorf("with a list: %v", err)
	}
}

// TestFederationDecidesOnRoots: a root that a prover was given counts only while
// the registry names it.
func TestFederationDecidesOnRoots(t *testing.T) {
	f, ca := startMails(t, current)
	u := f.mustAsk(possession.SMIME, "mailto:"+alice, "holder")
	raw := u.sign(certified(t, ca, alice))
	f.Record.Policy.Evidence.Mail = nil
	f.publish()
	_, err := f.ask(possession.SMIME, "mailto:"+alice, "holder")
	wantKind(t, "a challenge", err, problem.EvidenceKind)
	_, err = u.bring(raw)
	wantKind(t, "an answer", err, problem.EvidenceKind)
	_, err = u.witness(possession.SMIMEWitness, raw)
	wantKind(t, "a witness", err, problem.EvidenceKind)
}

// TestAnswersOfTheWrongForm: each kind takes the one form of answer that it asks
// for, and a mistake there costs no try.
func TestAnswersOfTheWrongForm(t *testing.T) {
	f, ca := startMails(t, current)
	u := f.mustAsk(possession.SMIME, "mailto:"+alice, "holder")
	mail := f.mustBegin(alice, "holder")
	raw := u.sign(certified(t, ca, alice))
	for name, c := range map[string]struct {
		r    wire.AnswerRequest
		want problem.Kind
	}{
		"nothing":                 {wire.AnswerRequest{ID: u.challenge.ID}, problem.Malformed},
		"code and artefact":       {wire.AnswerRequest{ID: u.challenge.ID, Code: "1", Artefact: raw}, problem.Malformed},
		"code for an artefact":    {wire.AnswerRequest{ID: u.challenge.ID, Code: "123456"}, problem.Malformed},
		"artefact for a mail":     {wire.AnswerRequest{ID: mail.challenge.ID, Artefact: raw}, problem.EvidenceKind},
		"code for a mail":         {wire.AnswerRequest{ID: mail.challenge.ID, Code: "123456"}, problem.EvidenceKind},
		"no such challenge":       {wire.AnswerRequest{ID: make([]byte, 16), Artefact: raw}, problem.ChallengeUnknown},
		"an id of another length": {wire.AnswerRequest{ID: make([]byte, 15), Artefact: raw}, problem.Malformed},
	} {
		var s wire.ChallengeStatus
		wantKind(t, name, f.client.Call(f.within(), f.a.id, wire.PathAnswers, "", c.r, &s), c.want)
	}
	for _, c := range f.a.store.all() {
		if c.Tries != 0 {
			t.Errorf("%d tries", c.Tries)
		}
	}
	_, err := f.ask(possession.SMIME, "tel:"+number, "holder")
	wantKind(t, "a certificate for a number", err, problem.EvidenceKind)
	_, err = f.ask(possession.SMIMEWitness, "mailto:"+alice, "holder")
	wantKind(t, "a witness as challenger", err, problem.EvidenceKind)
	f.clock.add(prover.Life)
	_, err = u.bring(raw)
	wantKind(t, "late", err, problem.ChallengeExpired)
}

// carriers is a small telephone world, and a federation that trusts it.
type carriers struct {
	*federation
	carrier, carrierCA, delegate, authority *stirtest.Party
}

func startCarriers(t *testing.T, bend func(*prover.Config)) *carriers {
	t.Helper()
	w := &carriers{}
	var root, authorityRoot *stirtest.Party
	w.federation = start(t, func(c *prover.Config) {
		generous(c)
		if root == nil {
			make := func(by *stirtest.Party, name string, ca bool, list tnauth.List) *stirtest.Party {
				issue := stirtest.Root
				if by != nil {
					issue = by.Issue
				}
				p, err := issue(stirtest.Profile{
					Name: name, Key: stirtest.FixedKey("prover " + name), CA: ca, List: list,
					From: c.Now().AddDate(0, -1, 0), Until: c.Now().AddDate(0, 1, 0),
				})
				must(t, err)
				return p
			}
			root, authorityRoot = make(nil, "root", true, nil), make(nil, "authority root", true, nil)
			w.carrier = make(root, "carrier", false, tnauth.List{{Code: "7381"}})
			w.carrierCA = make(root, "carrier CA", true, tnauth.List{{Code: "7381"}})
			w.delegate = make(w.carrierCA, "delegate", false, tnauth.List{{Number: number[1:]}})
			w.authority = make(authorityRoot, "authority", false, nil)
		}
		c.Methods = append(c.Methods, bystir.Method(bystir.Config{Party: c.Party, Trust: bystir.Trust{
			Snapshot: c.Registry.Snapshot, Certificates: [][]byte{root.Certificate.Raw, authorityRoot.Certificate.Raw},
		}}))
		if bend != nil {
			bend(c)
		}
	})
	anchor := func(p *stirtest.Party, prefixes ...string) []registry.Anchor {
		d := sha256.Sum256(p.Certificate.Raw)
		return []registry.Anchor{{Digest: d[:], Prefixes: prefixes}}
	}
	w.Record.Policy.Evidence.Carriers, w.Record.Policy.Evidence.Authorities = anchor(root, "41"), anchor(authorityRoot)
	w.Add("carrier.example", registry.RoleCSIP, nil)
	grant := w.Grant("carrier.example")
	grant.Codes, grant.Schemes, grant.Ranges = []string{"7381"}, []string{"tel"}, []string{"+4179"}
	w.publish()
	return w
}

// passport makes what a carrier signs of a challenge; change may bend it.
func (w *carriers) passport(u *upload, by *stirtest.Party, change func(*passport.Claims)) string {
	w.t.Helper()
	c := passport.Claims{
		IssuedAt: w.clock.now().Truncate(time.Second), Orig: passport.Party{TN: number[1:]},
		Dest: passport.Destinations{URI: []string{u.challenge.To}}, MediaKeys: []passport.MediaKey{passport.SHA256Key(u.response())},
	}
	if change != nil {
		change(&c)
	}
	text, err := c.Sign(passport.Signing{X5U: "https://cert.example.org/chain.pem", Key: by.Key})
	must(w.t, err)
	return text
}

// artefact completes what was signed.
func (w *carriers) artefact(form stir.Form, token string, by *stirtest.Party) []byte {
	w.t.Helper()
	a, err := stir.Collect(form, token, nil, by.PEM())
	must(w.t, err)
	b, err := a.Marshal()
	must(w.t, err)
	return b
}

// token is an authority token for a key.
func (w *carriers) token(holder key.Public, numbers tnauth.List) string {
	w.t.Helper()
	now := w.clock.now().Truncate(time.Second)
	text, err := stir.Token{
		ID: "1", Issued: now.Add(-time.Hour), Expires: now.Add(time.Hour), Numbers: numbers, Fingerprint: stir.Fingerprint(holder),
	}.Sign("https://cert.example.org/authority.pem", w.authority.Key)
	must(w.t, err)
	return text
}

// TestR01CarrierSignaturesProvePossession: each form that a client can bring,
// judged by two provers, reaches level 4, and its evidence is as old as the
// signature.
func TestR01CarrierSignaturesProvePossession(t *testing.T) {
	w := startCarriers(t, nil)
	for kind, artefact := range map[possession.Kind]func(*upload) []byte{
		possession.PassportKey: func(u *upload) []byte { return w.artefact(stir.FormKey, w.passport(u, w.carrier, nil), w.carrier) },
		possession.Delegate: func(u *upload) []byte {
			return w.artefact(stir.FormDelegate, w.passport(u, w.delegate, nil), w.delegate)
		},
		possession.TNToken: func(u *upload) []byte {
			return w.artefact(stir.FormToken, w.token(u.holder.Public(), tnauth.List{{Number: number[1:]}}), w.authority)
		},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			w.in(t)
			u := w.mustAsk(kind, "tel:"+number, "bob")
			raw := artefact(u)
			if level := u.prove(raw, possession.STIRWitness); level != possession.Level4 {
				t.Errorf("level %d", level)
			}
			s, err := u.bring(raw)
			must(t, err)
			r, err := possession.Parse(s.Receipt)
			must(t, err)
			age := w.clock.now().Sub(r.Claims().Evidence)
			if want := map[bool]time.Duration{true: time.Hour}[kind == possession.TNToken]; age != want {
				t.Errorf("evidence is %s old, want %s", age, want)
			}
		})
	}
	w.checkSilence()
}

// TestR01BadCarrierSignatures: what is signed for another number, key, challenge
// or prover, or by somebody who does not speak for the number, proves nothing.
func TestR01BadCarrierSignatures(t *testing.T) {
	w := startCarriers(t, nil)
	other := w.mustAsk(possession.PassportKey, "tel:"+number, "bob")
	bent := func(change func(*passport.Claims)) func(*upload) []byte {
		return func(u *upload) []byte { return w.artefact(stir.FormKey, w.passport(u, w.carrier, change), w.carrier) }
	}
	for _, c := range []struct {
		name     string
		artefact func(*upload) []byte
		want     problem.Kind
		witness  problem.Kind // if it is another
	}{
		{name: "no artefact", artefact: func(*upload) []byte { return []byte{1} }, want: problem.STIRArtefact},
		{name: "a call", artefact: func(u *upload) []byte {
			return w.artefact(stir.FormCall, w.passport(u, w.carrier, nil), w.carrier)
		}, want: problem.STIRArtefact},
		{name: "another form", artefact: func(u *upload) []byte {
			return w.artefact(stir.FormDelegate, w.passport(u, w.carrier, nil), w.carrier)
		}, want: problem.STIRArtefact, witness: problem.STIRCertificate},
		{name: "another challenge", artefact: func(u *upload) []byte {
			return w.artefact(stir.FormKey, w.passport(other, w.carrier, func(c *passport.Claims) {
				c.Dest.URI[0] = u.challenge.To
			}), w.carrier)
		}, want: problem.STIRResponse},
		{name: "another number", artefact: bent(func(c *passport.Claims) { c.Orig.TN = "41791234568" }), want: problem.STIRNumber},
		{name: "another prover", artefact: bent(func(c *passport.Claims) {
			c.Dest.URI[0] = "sip:" + prover.Mailbox{7}.Local() + "@" + worldtest.ProverB
		}), want: problem.STIRDestination},
		{name: "a number as destination", artefact: bent(func(c *passport.Claims) {
			c.Dest = passport.Destinations{TN: []string{"41790000000"}}
		}), want: problem.STIRDestination},
		{name: "two destinations", artefact: bent(func(c *passport.Claims) { c.Dest.TN = []string{"41790000000"} }), want: problem.STIRDestination},
		{name: "a day and more ago", artefact: bent(func(c *passport.Claims) { c.IssuedAt = c.IssuedAt.Add(-24*time.Hour - time.Second) }), want: problem.STIRTime},
		{name: "in the future", artefact: bent(func(c *passport.Claims) { c.IssuedAt = c.IssuedAt.Add(time.Hour) }), want: problem.STIRTime},
		{name: "by whom the key is not", artefact: func(u *upload) []byte {
			return w.artefact(stir.FormKey, w.passport(u, w.delegate, nil), w.carrier)
		}, want: problem.STIRSignature},
		{name: "by a stranger", artefact: func(u *upload) []byte {
			stranger, err := stirtest.Root(stirtest.Profile{
				Name: "stranger", Key: stirtest.FixedKey("stranger"), CA: true, From: w.Now.AddDate(0, -1, 0), Until: w.Now.AddDate(0, 1, 0),
			})
			must(t, err)
			leaf, err := stranger.Issue(stirtest.Profile{
				Name: "leaf", Key: stirtest.FixedKey("leaf"), List: tnauth.List{{Number: number[1:]}},
				From: w.Now.AddDate(0, -1, 0), Until: w.Now.AddDate(0, 1, 0),
			})
			must(t, err)
			return w.artefact(stir.FormKey, w.passport(u, leaf, nil), leaf)
		}, want: problem.STIRCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.in(t)
			u := w.mustAsk(possession.PassportKey, "tel:"+number, "bob")
			raw := c.artefact(u)
			_, err := u.bring(raw)
			wantKind(t, "brought", err, c.want)
			_, err = u.witness(possession.STIRWitness, raw)
			if c.witness == "" {
				c.witness = c.want
			}
			wantKind(t, "to the witness", err, c.witness)
			if s, err := u.bring(bent(nil)(u)); err != nil || s.State != wire.ChallengeProved {
				t.Errorf("the right one, after it: %v", err)
			}
		})
	}
	w.checkSilence()
}

// TestR01TokensAreForOneKey: a token for another key or another number is none.
func TestR01TokensAreForOneKey(t *testing.T) {
	w := startCarriers(t, nil)
	for name, c := range map[string]struct {
		holder, number string
		want           problem.Kind
	}{
		"another key":    {"mallory", number[1:], problem.STIRResponse},
		"another number": {"bob", "41791234568", problem.STIRNumber},
	} {
		u := w.mustAsk(possession.TNToken, "tel:"+number, "bob")
		raw := w.artefact(stir.FormToken, w.token(worldtest.Key(t, c.holder).Public(), tnauth.List{{Number: c.number}}), w.authority)
		_, err := u.bring(raw)
		wantKind(t, name, err, c.want)
		_, err = u.witness(possession.STIRWitness, raw)
		wantKind(t, name+", to the witness", err, c.want)
	}
}

// TestR01CodesCountByGrants: a carrier whose grant has gone speaks for nobody.
func TestR01CodesCountByGrants(t *testing.T) {
	w := startCarriers(t, nil)
	u := w.mustAsk(possession.PassportKey, "tel:"+number, "bob")
	raw := w.artefact(stir.FormKey, w.passport(u, w.carrier, nil), w.carrier)
	grant := w.Grant("carrier.example")
	ranges := slices.Clone(grant.Ranges)
	grant.Ranges = []string{"+4178"}
	w.publish()
	_, err := u.bring(raw)
	wantKind(t, "without the range", err, problem.STIRAuthority)
	grant.Ranges = ranges
	w.publish()
	if s, err := u.bring(raw); err != nil || s.State != wire.ChallengeProved {
		t.Errorf("with it: %v", err)
	}
}
