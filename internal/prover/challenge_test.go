package prover_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/dkim"
	"whither/internal/limit"
	"whither/internal/prover"
	"whither/internal/prover/bymail"
	"whither/internal/smtpout"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession"
	possessionmail "whither/possession/mail"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// TestChallengeMail looks at the mail that a mailbox gets.
func TestChallengeMail(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	raw := a.mail()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	must(t, err)
	local, domain, _ := strings.Cut(a.challenge.From, "@")
	if domain != worldtest.ProverA || len(local) != 26 || strings.ToLower(local) != local {
		t.Errorf("reply address %s", a.challenge.From)
	}
	if from, err := mail.ParseAddress(m.Header.Get("From")); err != nil || from.Address != a.challenge.From {
		t.Errorf("From %q", m.Header.Get("From"))
	}
	if got := m.Header.Get("Return-Path"); got != "<>" {
		t.Errorf("return path %s: bounces of challenges would come back", got)
	}
	if want := f.Now.Add(prover.Life).Unix(); a.challenge.Expires != want {
		t.Errorf("expires %d, want %d", a.challenge.Expires, want)
	}
	for part, secret := range map[string][]byte{"id": a.challenge.ID, "part 2": a.challenge.Nonce} {
		if len(secret) < 16 || bytes.Contains(raw, secret) || bytes.Contains(raw, fmt.Appendf(nil, "%x", secret)) {
			t.Errorf("%s: %d bytes, or in the mail", part, len(secret))
		}
	}
	// Below the trace fields of the last hop stand the signed bytes.
	signed := raw[bytes.Index(raw, []byte(dkim.SignatureField)):]
	parsed, err := dkim.ParseMessage(signed)
	must(t, err)
	s, err := dkim.ParseSignature(parsed.All(dkim.SignatureField)[0])
	must(t, err)
	txt, err := f.net.LookupKey(t.Context(), s.Domain, s.Selector)
	must(t, err)
	k, err := dkim.ParseKey(txt)
	must(t, err)
	if err := s.Verify(parsed, k); err != nil || s.Domain != worldtest.ProverA {
		t.Errorf("signature of %s: %v", s.Domain, err)
	}
	if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != "" || len(s.Nonce) != 0 {
		t.Errorf("status %+v", s)
	}
	other := f.mustBegin(alice, "holder")
	if other.challenge.From == a.challenge.From || bytes.Equal(other.challenge.ID, a.challenge.ID) || bytes.Equal(other.challenge.Nonce, a.challenge.Nonce) {
		t.Error("two challenges share something random")
	}
}

// TestReceipt looks at what the prover signs.
func TestReceipt(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	u, err := possession.Parse(s.Receipt)
	must(t, err)
	txt, err := f.net.LookupKey(t.Context(), "example.org", f.provider.Selector())
	must(t, err)
	keySeen, err := possessionmail.KeyDigest(txt)
	must(t, err)
	want := possession.Receipt{
		Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(a.csi, a.holder.Public()), Kind: possession.MailReply,
		Level: possession.Level4, Artefact: possession.Digest(s.Artefact), KeySeen: keySeen, Evidence: f.Now, Signed: f.Now,
	}
	if got := u.Claims(); fmt.Sprint(got.Evidence.Unix(), got.Signed.Unix()) != fmt.Sprint(f.Now.Unix(), f.Now.Unix()) ||
		got.Purpose != want.Purpose || got.Subject != want.Subject || got.Kind != want.Kind || got.Level != want.Level ||
		got.Artefact != want.Artefact || got.KeySeen != want.KeySeen {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if nonce := a.nonce(); !bytes.Equal(s.Nonce, nonce[:]) {
		t.Error("another nonce")
	}
}

// TestR05OneProverIsNotEnough: what one prover says, however often, counts for
// nothing, and what a prover of the DP's operator says spoils the set.
func TestR05OneProverIsNotEnough(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	if got, err := a.assess(s.Receipt); err != nil || got.Level != possession.Level1 {
		t.Errorf("alone: level %d, %v", got.Level, err)
	}
	witness, err := f.observe(f.b, a.observation(s))
	must(t, err)
	if got, err := a.assess(witness); err != nil || got.Level != possession.Level1 {
		t.Errorf("the witness alone: level %d, %v", got.Level, err)
	}
	f.Grant(worldtest.ProverB).Operator = f.Grant(worldtest.DP).Operator
	f.publish()
	dp, _ := f.source.Snapshot().Party(worldtest.Party(t, worldtest.DP))
	var set []possession.Unverified
	for _, b := range [][]byte{s.Receipt, witness} {
		u, err := possession.Parse(b)
		must(t, err)
		set = append(set, u)
	}
	now := f.clock.now()
	_, err = possession.Assess(f.source.Snapshot(), set, possession.Question{
		CSI: a.csi, Holder: a.holder.Public(), Before: now, Now: now, Barred: []registry.Operator{dp.Operator},
	})
	if !errors.Is(err, possession.ErrDependent) {
		t.Errorf("a witness of the DP's operator: %v", err)
	}
}

// TestR19ReproofIsMarked: the purpose that was asked for is what is signed.
func TestR19ReproofIsMarked(t *testing.T) {
	f := start(t, nil)
	a := &attempt{f: f, csi: worldtest.CSI(t, "mailto:"+alice), holder: worldtest.Key(t, "holder")}
	must(t, f.client.Call(f.within(), f.a.id, wire.PathChallenges, "", wire.ChallengeRequest{
		CSI: csi.Clear{ID: a.csi}, Key: a.holder.Public().Bytes(), Kind: "mail-reply", Purpose: uint8(possession.PurposeReprove),
	}, &a.challenge))
	s := a.prove()
	r := a.observation(s)
	r.Purpose = uint8(possession.PurposeReprove)
	witness, err := f.observe(f.b, r)
	must(t, err)
	for _, b := range [][]byte{s.Receipt, witness} {
		if u, err := possession.Parse(b); err != nil || u.Claims().Purpose != possession.PurposeReprove {
			t.Errorf("purpose %d, %v", u.Claims().Purpose, err)
		}
	}
}

func TestChallengeRefuses(t *testing.T) {
	f := start(t, nil)
	good := wire.ChallengeRequest{
		CSI: csi.Clear{ID: worldtest.CSI(t, "mailto:"+alice)}, Key: worldtest.Key(t, "holder").Public().Bytes(), Kind: "mail-reply", Purpose: 1,
	}
	for name, c := range map[string]struct {
		edit func(*wire.ChallengeRequest)
		want problem.Kind
	}{
		"telephone number":   {func(r *wire.ChallengeRequest) { r.CSI = csi.Clear{ID: worldtest.CSI(t, "tel:+14085550123")} }, problem.EvidenceKind},
		"unknown kind":       {func(r *wire.ChallengeRequest) { r.Kind = "call" }, problem.EvidenceKind},
		"kind of a witness":  {func(r *wire.ChallengeRequest) { r.Kind = "mail-witness" }, problem.EvidenceKind},
		"no key":             {func(r *wire.ChallengeRequest) { r.Key = nil }, problem.Malformed},
		"short key":          {func(r *wire.ChallengeRequest) { r.Key = r.Key[:31] }, problem.Malformed},
		"key of small order": {func(r *wire.ChallengeRequest) { r.Key = make([]byte, 32) }, problem.Malformed},
		"no purpose":         {func(r *wire.ChallengeRequest) { r.Purpose = 0 }, problem.Malformed},
		"unknown purpose":    {func(r *wire.ChallengeRequest) { r.Purpose = 3 }, problem.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.edit(&r)
			var answer wire.Challenge
			if err := f.client.Call(f.within(), f.a.id, wire.PathChallenges, "", r, &answer); !errors.Is(err, problem.Error(c.want)) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if n := len(f.a.store.all()); n != 0 {
		t.Errorf("%d challenges are stored", n)
	}
	for name, id := range map[string]wire.Bytes{"unknown": make([]byte, 16), "short": make([]byte, 15), "none": nil} {
		var s wire.ChallengeStatus
		err := f.client.Call(f.within(), f.a.id, wire.PathStatus, "", wire.StatusRequest{ID: id}, &s)
		want := problem.Malformed
		if name == "unknown" {
			want = problem.ChallengeUnknown
		}
		if !errors.Is(err, problem.Error(want)) {
			t.Errorf("status of id %s: %v", name, err)
		}
	}
}

// TestUndeliverable: a mailbox that is not there is told at once.
func TestUndeliverable(t *testing.T) {
	f := start(t, nil)
	if _, err := f.begin("nobody@example.org", "holder"); !errors.Is(err, problem.Error(problem.CannotDeliver)) {
		t.Errorf("no mailbox: %v", err)
	}
	f.net.DNS.SetMX("null.example", ".")
	if _, err := f.begin("alice@null.example", "holder"); !errors.Is(err, problem.Error(problem.CannotDeliver)) {
		t.Errorf("a domain without mail: %v", err)
	}
	for _, c := range f.a.store.all() {
		if c.State != prover.Failed || c.Problem != problem.CannotDeliver {
			t.Errorf("stored as %s", fields(c))
		}
	}
	f.clock.add(2 * time.Hour)
	must(t, f.a.Step(t.Context(), f.clock.now()))
	f.checkSilence()
}

// TestGreylisting: a mail server that asks for patience gets it, and the mail
// that it gets later is the same.
func TestGreylisting(t *testing.T) {
	f := start(t, nil)
	f.provider.PutOff(2)
	a := f.mustBegin(alice, "holder")
	if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != problem.CannotDeliver.URI() {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
	step := func(after time.Duration) {
		t.Helper()
		f.clock.add(after)
		must(t, f.a.Step(t.Context(), f.clock.now()))
	}
	step(time.Minute - time.Millisecond)
	step(time.Millisecond) // the second attempt, put off as well
	if c, err := f.a.store.ByID(t.Context(), prover.ID(a.challenge.ID)); err != nil || c.Attempts != 2 || c.Delivered {
		t.Errorf("%s, %v", fields(c), err)
	}
	step(time.Minute)
	if inbox, err := f.provider.Inbox(alice); err != nil || len(inbox) != 0 {
		t.Errorf("%d mails before the pause of two minutes has ended, %v", len(inbox), err)
	}
	step(time.Minute)
	if s := a.mustStatus(); s.Problem != "" {
		t.Errorf("delivered, with problem %s", s.Problem)
	}
	step(10 * time.Hour)
	if inbox, err := f.provider.Inbox(alice); err != nil || len(inbox) != 1 {
		t.Errorf("%d mails, %v", len(inbox), err)
	}
	a.prove()
}

// TestMailServersDown: with its DNS gone, a domain's mail waits too.
func TestMailServersDown(t *testing.T) {
	f := start(t, nil)
	f.net.DNS.SetFault("example.org", mailnet.Fault{ServFail: true})
	a := f.mustBegin(alice, "holder")
	f.net.DNS.SetFault("example.org", mailnet.Fault{})
	f.clock.add(time.Minute)
	must(t, f.a.Step(t.Context(), f.clock.now()))
	a.prove()
}

// TestCaps: each cap refuses by itself, and only for an hour.
func TestCaps(t *testing.T) {
	limited := problem.Error(problem.Limited)
	t.Run("per CSI", func(t *testing.T) {
		f := start(t, func(c *prover.Config) { c.Limits = limit.Bounds{PerCSI: 2, PerDomain: 100, PerKey: 100, Total: 100} })
		for i := range 3 {
			if _, err := f.begin(alice, fmt.Sprint("key ", i)); (i == 2) != errors.Is(err, limited) || i < 2 && err != nil {
				t.Errorf("challenge %d: %v", i, err)
			}
		}
		f.mustBegin(bob, "key 1")
		f.clock.add(time.Hour - time.Second)
		if _, err := f.begin(alice, "key 4"); !errors.Is(err, limited) {
			t.Errorf("within the hour: %v", err)
		}
		f.clock.add(time.Second)
		f.mustBegin(alice, "key 5")
	})
	t.Run("per domain", func(t *testing.T) {
		f := start(t, func(c *prover.Config) { c.Limits = limit.Bounds{PerCSI: 100, PerDomain: 2, PerKey: 100, Total: 100} })
		_, err := f.net.AddProvider("other.example", mailnet.Ed25519, "alice@other.example")
		must(t, err)
		f.mustBegin(alice, "one")
		f.mustBegin(bob, "two")
		if _, err := f.begin(alice, "three"); !errors.Is(err, limited) {
			t.Errorf("third: %v", err)
		}
		_, err = f.begin("alice@other.example", "one")
		must(t, err)
	})
	t.Run("per key", func(t *testing.T) {
		f := start(t, func(c *prover.Config) { c.Limits = limit.Bounds{PerCSI: 100, PerDomain: 100, PerKey: 2, Total: 100} })
		f.mustBegin(alice, "one")
		f.mustBegin(bob, "one")
		if _, err := f.begin(alice, "one"); !errors.Is(err, limited) {
			t.Errorf("third: %v", err)
		}
		f.mustBegin(alice, "two")
	})
	t.Run("in all, over a restart", func(t *testing.T) {
		f := start(t, func(c *prover.Config) { c.Limits = limit.Bounds{PerCSI: 100, PerDomain: 100, PerKey: 100, Total: 3} })
		f.mustBegin(alice, "one")
		f.clock.add(30 * time.Minute)
		f.mustBegin(bob, "two")
		f.restart(f.a)
		f.mustBegin(alice, "three")
		if _, err := f.begin(bob, "four"); !errors.Is(err, limited) {
			t.Errorf("fourth: %v", err)
		}
		if n := len(f.a.store.all()); n != 3 {
			t.Errorf("%d challenges are stored", n)
		}
		f.clock.add(30 * time.Minute)
		f.mustBegin(bob, "five")
		if _, err := f.begin(bob, "six"); !errors.Is(err, limited) {
			t.Errorf("sixth: %v", err)
		}
	})
}

// once lets one write of a name fail, before or after it was made.
func once(name string, after bool) func(string) (bool, bool) {
	left := 1
	return func(write string) (bool, bool) {
		if write != name || left == 0 {
			return false, false
		}
		left--
		return !after, after
	}
}

// inbox counts alice's mails.
func (f *federation) inbox() int {
	f.t.Helper()
	m, err := f.provider.Inbox(alice)
	must(f.t, err)
	return len(m)
}

// TestCrashAtStart: a challenge whose storing failed is no challenge; one whose
// storing succeeded unnoticed sends a mail that nobody can use.
func TestCrashAtStart(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("persisted ", after), func(t *testing.T) {
			f := start(t, nil)
			f.a.store.failing(once("start", after))
			if _, err := f.begin(alice, "holder"); !errors.Is(err, problem.Error(problem.Internal)) {
				t.Errorf("got %v", err)
			}
			if f.inbox() != 0 {
				t.Error("a mail went out before the challenge was stored")
			}
			f.clock.add(time.Minute)
			must(t, f.a.Step(t.Context(), f.clock.now()))
			if want := map[bool]int{true: 1}[after]; f.inbox() != want {
				t.Errorf("%d mails, want %d", f.inbox(), want)
			}
			f.mustBegin(alice, "holder").prove()
		})
	}
}

// TestCrashAfterSending: a mail whose sending was not recorded is sent again,
// with the same bytes, and the challenge is the same.
func TestCrashAfterSending(t *testing.T) {
	f := start(t, nil)
	f.a.store.failing(once("delivered", false))
	a := f.mustBegin(alice, "holder")
	first := a.mail()
	f.restart(f.a)
	f.clock.add(time.Minute)
	must(t, f.a.Step(t.Context(), f.clock.now()))
	m, err := f.provider.Inbox(alice)
	must(t, err)
	if len(m) != 2 {
		t.Fatalf("%d mails", len(m))
	}
	below := func(raw []byte) []byte { return raw[bytes.Index(raw, []byte(dkim.SignatureField)):] }
	if !bytes.Equal(below(first), below(m[1].Raw)) {
		t.Error("the second mail is another")
	}
	a.prove()
}

// TestCrashAtVerdict: a mail server hears success when the verdict is stored,
// and not before; its second try comes to the same end.
func TestCrashAtVerdict(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("proof, persisted ", after), func(t *testing.T) {
			f := start(t, nil)
			a := f.mustBegin(alice, "holder")
			to, raw, err := f.provider.ComposeReply(alice, a.mail(), a.text())
			must(t, err)
			raw = resign(func(*dkim.SignOptions) {})(a, raw)
			send := func() error { return f.net.Client("mx.example.org").Send(f.within(), alice, to, raw) }
			f.a.store.failing(once("prove", after))
			if err := send(); !errors.Is(err, smtpout.ErrTemporary) {
				t.Errorf("first try: %v", err)
			}
			if s := a.mustStatus(); (s.State == wire.ChallengeProved) != after || s.Problem != "" {
				t.Errorf("state %s, problem %s", s.State, s.Problem)
			}
			f.restart(f.a)
			f.clock.add(time.Minute)
			must(t, send())
			if s := a.mustStatus(); s.State != wire.ChallengeProved || !bytes.Equal(s.Artefact, raw) {
				t.Errorf("state %s", s.State)
			}
		})
		t.Run(fmt.Sprint("refusal, persisted ", after), func(t *testing.T) {
			f := start(t, nil)
			a := f.mustBegin(alice, "holder")
			f.a.store.failing(once("refuse", after))
			reply := func() error { return f.provider.Reply(f.within(), alice, a.mail(), "no\n") }
			if err := reply(); !errors.Is(err, smtpout.ErrTemporary) {
				t.Errorf("first try: %v", err)
			}
			if err := reply(); !errors.Is(err, smtpout.ErrPermanent) {
				t.Errorf("second try: %v", err)
			}
			if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != problem.MailContent.URI() {
				t.Errorf("state %s, problem %s", s.State, s.Problem)
			}
			a.prove()
		})
	}
}

// TestRestart: a challenge outlives the process that sent it, and so does its
// proof, in the durable store.
func TestRestart(t *testing.T) {
	f := start(t, nil)
	dir := t.TempDir()
	f.a.config.Store = openSQL(t, dir, nil)
	f.restart(f.a)
	a := f.mustBegin(alice, "holder")
	again := func() {
		f.a.stop()
		must(t, f.a.config.Store.(interface{ Close() error }).Close())
		f.a.config.Store = openSQL(t, dir, nil)
		f.restart(f.a)
	}
	again()
	s := a.prove()
	again()
	if kept := a.mustStatus(); !bytes.Equal(kept.Receipt, s.Receipt) || !bytes.Equal(kept.Artefact, s.Artefact) {
		t.Error("the proof did not survive")
	}
	must(t, f.a.Step(t.Context(), f.clock.now().Add(prover.Life)))
	if _, err := a.status(); !errors.Is(err, problem.Error(problem.ChallengeUnknown)) {
		t.Errorf("after its end: %v", err)
	}
}

// TestStanding: a prover that the registry no longer lists signs nothing and
// judges nothing, and says so.
func TestStanding(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	must(t, f.a.Ready())
	f.Grant(worldtest.ProverA).Standing = registry.Standing{State: registry.Closed, Since: f.Now.Unix()}
	f.publish()
	if err := f.a.Ready(); !errors.Is(err, prover.ErrUnlisted) {
		t.Errorf("ready: %v", err)
	}
	if _, err := f.begin(bob, "holder"); !errors.Is(err, problem.Error(problem.Unavailable)) {
		t.Errorf("begin: %v", err)
	}
	if err := a.answer(); !errors.Is(err, smtpout.ErrTemporary) {
		t.Errorf("answer: %v", err)
	}
	f.Grant(worldtest.ProverA).Standing = registry.Standing{State: registry.Active, Since: f.Now.Unix()}
	f.publish()
	a.prove()

	b := f.mustBegin(bob, "holder")
	text, original := b.text(), b.mail()
	f.Record.Expires = f.Now.Add(time.Hour)
	f.publish()
	f.clock.add(time.Hour)
	if err := f.a.Ready(); err == nil {
		t.Error("ready with an expired registry")
	}
	if _, err := f.begin(bob, "holder"); !errors.Is(err, problem.Error(problem.Registry)) {
		t.Errorf("begin: %v", err)
	}
	if err := f.provider.Reply(f.within(), bob, original, text); !errors.Is(err, smtpout.ErrTemporary) {
		t.Errorf("answer: %v", err)
	}
}

// TestNew: what is missing or not listed is refused before anything listens.
func TestNew(t *testing.T) {
	f := start(t, nil)
	for name, edit := range map[string]func(*prover.Config){
		"no store":     func(c *prover.Config) { c.Store = nil },
		"no registry":  func(c *prover.Config) { c.Registry = nil },
		"no clock":     func(c *prover.Config) { c.Now = nil },
		"no log":       func(c *prover.Config) { c.Log = nil },
		"no TLS":       func(c *prover.Config) { c.TLS = nil },
		"no method":    func(c *prover.Config) { c.Methods = nil },
		"a kind twice": func(c *prover.Config) { c.Methods = append(c.Methods[:1:1], c.Methods[0]) },
		"a kind of none": func(c *prover.Config) {
			c.Methods = []prover.Method{{Challengers: map[possession.Kind]prover.Challenger{99: f.a.mail}}}
		},
		"half a limit":  func(c *prover.Config) { c.Limits = limit.Bounds{PerCSI: 1} },
		"another key":   func(c *prover.Config) { c.Key = worldtest.Key(t, "stranger") },
		"a DP's key":    func(c *prover.Config) { c.Key = worldtest.Key(t, worldtest.DP) },
		"another party": func(c *prover.Config) { c.Party = f.b.id },
	} {
		t.Run(name, func(t *testing.T) {
			c := f.a.config
			edit(&c)
			if _, err := prover.New(t.Context(), c); err == nil {
				t.Error("made")
			}
		})
	}
}

// TestNewMail: so is what the mail needs.
func TestNewMail(t *testing.T) {
	f := start(t, nil)
	for name, edit := range map[string]func(*bymail.Config){
		"no DKIM key":    func(c *bymail.Config) { c.Signing.Key = dkim.PrivateKey{} },
		"no mail client": func(c *bymail.Config) { c.Out = nil },
		"no host":        func(c *bymail.Config) { c.Host = "" },
		"no certificate": func(c *bymail.Config) { c.Certificate = nil },
		"no clock":       func(c *bymail.Config) { c.Now = nil },
		"no log":         func(c *bymail.Config) { c.Log = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := f.a.mailConfig
			edit(&c)
			if _, err := bymail.New(c); err == nil {
				t.Error("made")
			}
		})
	}
}
