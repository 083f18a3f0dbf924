package prover_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"whither/internal/dkim"
	"whither/internal/limit"
	"whither/internal/prover"
	"whither/internal/smtpout"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// generous lifts the caps for tests that are about something else.
func generous(c *prover.Config) {
	c.Limits = limit.Bounds{PerCSI: 1000, PerDomain: 1000, PerKey: 1000, Total: 1000}
}

// badReply is a reply with something wrong about it.
type badReply struct {
	name    string
	text    func(string) string           // what is typed
	raw     func(*attempt, []byte) []byte // the whole message before it is signed
	signed  func(*attempt, []byte) []byte // and after; the provider does not sign then
	signing mailnet.Signing
	sender  string // mailbox; empty: alice's
	bounce  bool   // with the empty return path
	world   func(*federation) (undo func())
	want    problem.Kind
}

// header puts a field before a message.
func header(line string) func(*attempt, []byte) []byte {
	return func(_ *attempt, raw []byte) []byte { return append([]byte(line+"\r\n"), raw...) }
}

// swap replaces the one occurrence of something.
func swap(old, with string) func(*attempt, []byte) []byte {
	return func(a *attempt, raw []byte) []byte {
		if bytes.Count(raw, []byte(old)) != 1 {
			a.f.t.Fatalf("%q is not in the message once", old)
		}
		return bytes.Replace(raw, []byte(old), []byte(with), 1)
	}
}

// resign signs with the provider's own key, otherwise than it would.
func resign(change func(*dkim.SignOptions)) func(*attempt, []byte) []byte {
	return func(a *attempt, raw []byte) []byte {
		k, err := a.f.provider.Key(a.f.provider.Selector())
		must(a.f.t, err)
		o := dkim.SignOptions{Domain: "example.org", Selector: a.f.provider.Selector(), Key: k, Time: a.f.clock.now()}
		change(&o)
		out, err := dkim.Sign(raw, o)
		must(a.f.t, err)
		return out
	}
}

func badReplies(t testing.TB) []badReply {
	without := func(name string) mailnet.Signing {
		var fields []string
		for _, f := range dkim.DefaultFields() {
			if f != name {
				fields = append(fields, f)
			}
		}
		return mailnet.Signing{Fields: fields}
	}
	tail := func(more string) func(string) string { return func(s string) string { return s + more } }
	front := func(more string) func(string) string { return func(s string) string { return more + s } }
	return []badReply{
		{name: "no signature", signing: mailnet.Signing{Off: true}, want: problem.MailSignatureMissing},
		{name: "broken signature, body", signed: func(a *attempt, raw []byte) []byte {
			return bytes.Replace(resign(func(*dkim.SignOptions) {})(a, raw), []byte("answer for this"), []byte("answer for  this"), 1)
		}, want: problem.MailContent},
		{name: "broken signature, date", signed: func(a *attempt, raw []byte) []byte {
			return bytes.Replace(resign(func(*dkim.SignOptions) {})(a, raw), []byte("\r\nDate: "), []byte("\r\nDate: x"), 1)
		}, want: problem.MailSignatureBad},
		{name: "broken signature, value", signed: func(a *attempt, raw []byte) []byte {
			out := resign(func(*dkim.SignOptions) {})(a, raw)
			i := bytes.Index(out, []byte("\tb=")) + 3
			out[i] = 'A' + (out[i]-'A'+1)%26
			return out
		}, want: problem.MailSignatureBad},
		{name: "signature of another key", signed: func(a *attempt, raw []byte) []byte {
			return resign(func(o *dkim.SignOptions) { o.Key = dkim.Ed25519(worldtest.Key(a.f.t, "another")) })(a, raw)
		}, want: problem.MailSignatureBad},
		{name: "misaligned signature", signing: mailnet.Signing{Domain: "other.example"}, want: problem.MailMisaligned},
		{name: "signature of a parent domain", signing: mailnet.Signing{Domain: "mail.example.org"}, want: problem.MailMisaligned},
		{name: "From not signed", signing: without("From"), want: problem.MailHeaderUnsigned},
		{name: "To not signed", signing: without("To"), want: problem.MailHeaderUnsigned},
		{name: "Subject not signed", signing: without("Subject"), want: problem.MailHeaderUnsigned},
		{name: "Date not signed", signing: without("Date"), want: problem.MailHeaderUnsigned},
		{name: "Message-ID not signed", signing: without("Message-ID"), want: problem.MailHeaderUnsigned},
		{name: "In-Reply-To not signed", signing: without("In-Reply-To"), want: problem.MailHeaderUnsigned},
		{name: "Content-Type not signed", signing: without("Content-Type"), want: problem.MailHeaderUnsigned},
		{name: "signature has expired", signed: resign(func(o *dkim.SignOptions) {
			o.Expires = o.Time.Add(-time.Minute)
			o.Time = o.Time.Add(-time.Hour)
		}), want: problem.MailExpired},
		{name: "signature from the future", signed: resign(func(o *dkim.SignOptions) { o.Time = o.Time.Add(time.Hour) }), want: problem.MailExpired},

		{name: "second From field", raw: header("From: mallory@other.example"), signing: mailnet.Signing{AnyFrom: true}, want: problem.MailSecondFrom},
		{name: "second address in From", raw: swap("From: "+alice, "From: "+alice+", mallory@other.example"), signing: mailnet.Signing{AnyFrom: true}, want: problem.MailSecondFrom},
		{name: "another person of the domain", sender: bob, want: problem.MailSender},
		{name: "another person in From, in alice's session", raw: swap("From: "+alice, "From: "+bob), signing: mailnet.Signing{AnyFrom: true}, want: problem.MailSender},
		{name: "another domain", sender: "alice@other.example", want: problem.MailSender},
		{name: "Sender is somebody else", raw: header("Sender: " + bob), want: problem.MailSender},
		{name: "to others too", raw: func(a *attempt, raw []byte) []byte {
			return bytes.Replace(raw, []byte("\r\nTo: "), []byte("\r\nTo: bob@example.org, "), 1)
		}, want: problem.MailRecipient},
		{name: "second Subject", raw: header("Subject: Hello"), want: problem.MailHeaderRepeated},
		{name: "no Message-ID", raw: func(_ *attempt, raw []byte) []byte {
			return bytes.Replace(raw, []byte("\r\nMessage-ID: "), []byte("\r\nX-Message-ID: "), 1)
		}, want: problem.MailHeaderRepeated},

		{name: "quoted", text: func(s string) string { return "> " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n> ") + "\n" }, want: problem.MailContent},
		{name: "challenge quoted below", text: tail("\n> Did you start this, just now?\n"), want: problem.MailContent},
		{name: "signature below", text: tail("\n-- \nAlice\n"), want: problem.MailContent},
		{name: "greeting above", text: front("Hello,\n\n"), want: problem.MailContent},
		{name: "no sentence", text: func(s string) string { return s[strings.Index(s, "-----BEGIN"):] }, want: problem.MailContent},
		{name: "HTML", raw: swap("Content-Type: text/plain", "Content-Type: text/html"), want: problem.MailContent},
		{name: "no response", text: func(s string) string { return s[:strings.Index(s, "-----BEGIN")] }, want: problem.MailResponse},
		{name: "sentence about another key", text: func(s string) string {
			return strings.Replace(s, worldtest.Key(t, "holder").Public().ID().String(), worldtest.Key(t, "mallory").Public().ID().String(), 1)
		}, want: problem.MailResponse},
		{name: "subject of no challenge", raw: swap("Subject: Re: Whither: ", "Subject: Re: "), want: problem.MailToken},

		{name: "vacation", raw: header("Auto-Submitted: auto-replied"), want: problem.MailAutomatic},
		{name: "list", raw: header("List-Id: <list.example.org>"), want: problem.MailAutomatic},
		{name: "bulk", raw: header("Precedence: bulk"), want: problem.MailAutomatic},
		{name: "delivery report", raw: swap("Content-Type: text/plain", "Content-Type: multipart/report"), want: problem.MailAutomatic},
		{name: "empty return path", bounce: true, want: problem.MailAutomatic},

		{name: "key withdrawn", world: func(f *federation) func() {
			f.provider.Withdraw(f.provider.Selector())
			return func() { must(f.t, f.provider.Publish(f.provider.Selector())) }
		}, want: problem.MailKey},
		{name: "key of a test", world: func(f *federation) func() {
			f.net.DNS.SetTXT(f.provider.Selector()+"._domainkey.example.org", "v=DKIM1; t=y; k=ed25519; p=AAAA")
			return func() { must(f.t, f.provider.Publish(f.provider.Selector())) }
		}, want: problem.MailKey},
		{name: "two key records", world: func(f *federation) func() {
			f.net.DNS.SetTXT(f.provider.Selector()+"._domainkey.example.org", "v=DKIM1; p=AAAA", "v=DKIM1; p=AAAB")
			return func() { must(f.t, f.provider.Publish(f.provider.Selector())) }
		}, want: problem.MailKey},
		{
			name: "no header", raw: func(*attempt, []byte) []byte { return []byte("no header at all\r\n\r\nno body\r\n") },
			signing: mailnet.Signing{Off: true, AnyFrom: true}, want: problem.MailMalformed,
		},
		{name: "too large", text: tail(strings.Repeat("\n", prover.MaxArtefact)), want: problem.TooLarge},
	}
}

// send sends the reply of a case.
func (c badReply) send(a *attempt) error {
	f, text := a.f, a.text()
	if c.text != nil {
		text = c.text(text)
	}
	sender, provider := alice, f.provider
	if c.sender != "" {
		sender = c.sender
		_, domain, _ := strings.Cut(sender, "@")
		provider = f.net.Provider(domain)
	}
	to, raw, err := provider.ComposeReply(sender, a.mail(), text)
	must(f.t, err)
	if c.raw != nil {
		raw = c.raw(a, raw)
	}
	signing := c.signing
	if c.signed != nil {
		raw, signing.Off = c.signed(a, raw), true
	}
	if c.bounce {
		return f.net.Client("mx.example.org").Send(f.within(), "", to, resign(func(*dkim.SignOptions) {})(a, raw))
	}
	provider.SetSigning(signing)
	defer provider.SetSigning(mailnet.Signing{})
	if c.world != nil {
		defer c.world(f)()
	}
	return provider.Send(f.within(), sender, to, raw)
}

// TestR01BadReplyProvesNothing sends each bad reply over SMTP. It is refused
// for good, the client is told why, nothing is proved, and the right reply
// still is taken.
func TestR01BadReplyProvesNothing(t *testing.T) {
	f := start(t, generous)
	if _, err := f.net.AddProvider("other.example", mailnet.Ed25519, "alice@other.example"); err != nil {
		t.Fatal(err)
	}
	seen := make(map[problem.Kind]bool)
	for _, c := range badReplies(t) {
		t.Run(c.name, func(t *testing.T) {
			f.in(t)
			a := f.mustBegin(alice, "holder")
			if err := c.send(a); !errors.Is(err, smtpout.ErrPermanent) {
				t.Errorf("sent: %v", err)
			}
			s := a.mustStatus()
			if s.State != wire.ChallengeWaiting || s.Problem != c.want.URI() || len(s.Receipt)+len(s.Artefact)+len(s.Nonce) != 0 {
				t.Errorf("state %s, problem %s, want %s", s.State, s.Problem, c.want)
			}
			stored, err := f.a.store.ByID(t.Context(), prover.ID(a.challenge.ID))
			if err != nil || stored.Tries != 1 {
				t.Errorf("%d tries, %v", stored.Tries, err)
			}
			seen[c.want] = true
			a.prove()
		})
	}
	if len(seen) < 14 {
		t.Errorf("only %d kinds of problem were seen", len(seen))
	}
	f.checkSilence()
}

// TestR05ReplyOfAnotherChallenge: a reply is for one challenge, one key and one
// CSI; sent anywhere else, it proves nothing.
func TestR05ReplyOfAnotherChallenge(t *testing.T) {
	f := start(t, generous)
	mine := f.mustBegin(alice, "holder")
	text := mine.text()
	for name, c := range map[string]struct {
		other *attempt
		want  problem.Kind
	}{
		"of the same key":    {f.mustBegin(alice, "holder"), problem.MailResponse},
		"of another key":     {f.mustBegin(alice, "mallory"), problem.MailResponse},
		"of another address": {f.mustBegin(bob, "holder"), problem.MailResponse},
	} {
		t.Run(name, func(t *testing.T) {
			f.in(t)
			err := f.provider.Reply(f.within(), c.other.csi.Address(), c.other.mail(), text)
			if !errors.Is(err, smtpout.ErrPermanent) {
				t.Errorf("sent: %v", err)
			}
			if s := c.other.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != c.want.URI() {
				t.Errorf("state %s, problem %s", s.State, s.Problem)
			}
		})
	}
	// The raw reply of one challenge, delivered to the address of another.
	s := mine.prove()
	other := f.mustBegin(alice, "holder")
	if err := f.net.Client("mx.example.org").Send(f.within(), alice, other.challenge.From, s.Artefact); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("replayed: %v", err)
	}
	if s := other.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != problem.MailRecipient.URI() {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
}

// TestReplyOnce: the same mail may come twice, since an answer can be lost; a
// second reply is refused and changes nothing.
func TestReplyOnce(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	s := a.prove()
	f.clock.add(time.Minute)
	if err := f.net.Client("mx.example.org").Send(f.within(), alice, a.challenge.From, s.Artefact); err != nil {
		t.Errorf("the same mail again: %v", err)
	}
	if err := a.answer(); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("a second reply: %v", err)
	}
	again := a.mustStatus()
	if !bytes.Equal(again.Receipt, s.Receipt) || !bytes.Equal(again.Artefact, s.Artefact) {
		t.Error("the proof changed")
	}
}

// TestTries: a challenge can be answered wrongly so many times and no more.
func TestTries(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	for range prover.MaxTries {
		if s := a.mustStatus(); s.State != wire.ChallengeWaiting {
			t.Fatalf("state %s", s.State)
		}
		if err := f.provider.Reply(f.within(), alice, a.mail(), "no\n"); !errors.Is(err, smtpout.ErrPermanent) {
			t.Errorf("sent: %v", err)
		}
	}
	if s := a.mustStatus(); s.State != wire.ChallengeFailed || s.Problem != problem.MailContent.URI() {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
	if err := a.answer(); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("the right answer, too late: %v", err)
	}
	if s := a.mustStatus(); s.State != wire.ChallengeFailed || len(s.Receipt) != 0 {
		t.Errorf("state %s", s.State)
	}
}

// TestDNSFails: while the domain's DNS does not answer, the mail server is told
// to try again, and no try is lost.
func TestDNSFails(t *testing.T) {
	f := start(t, nil)
	a := f.mustBegin(alice, "holder")
	name := f.provider.Selector() + "._domainkey.example.org"
	f.net.DNS.SetFault(name, mailnet.Fault{ServFail: true})
	for range prover.MaxTries + 1 {
		if err := a.answer(); !errors.Is(err, smtpout.ErrTemporary) {
			t.Fatalf("sent: %v", err)
		}
	}
	if s := a.mustStatus(); s.State != wire.ChallengeWaiting || s.Problem != problem.MailDNS.URI() {
		t.Errorf("state %s, problem %s", s.State, s.Problem)
	}
	f.net.DNS.SetFault(name, mailnet.Fault{})
	if s := a.prove(); s.Problem != "" {
		t.Errorf("proved, with problem %s", s.Problem)
	}
	f.checkSilence()
}

// TestR01Expiry: a challenge ends after a day, for the client and for the
// mailbox; the proof of one goes with it.
func TestR01Expiry(t *testing.T) {
	f := start(t, nil)
	late, proved := f.mustBegin(alice, "holder"), f.mustBegin(bob, "holder")
	proved.prove()
	text, original := late.text(), late.mail()
	f.clock.add(prover.Life - time.Second)
	if s := late.mustStatus(); s.State != wire.ChallengeWaiting {
		t.Errorf("state %s", s.State)
	}
	must(t, f.a.Step(t.Context(), f.clock.now()))
	proved.mustStatus()

	f.clock.add(time.Second)
	if err := f.provider.Reply(f.within(), alice, original, text); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("sent: %v", err)
	}
	for name, a := range map[string]*attempt{"waiting": late, "proved": proved} {
		if s, err := a.status(); !errors.Is(err, problem.Error(problem.ChallengeExpired)) || len(s.Receipt) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, f.a.Step(t.Context(), f.clock.now()))
	for name, a := range map[string]*attempt{"waiting": late, "proved": proved} {
		if _, err := a.status(); !errors.Is(err, problem.Error(problem.ChallengeUnknown)) {
			t.Errorf("%s, swept: %v", name, err)
		}
	}
	if err := f.provider.Reply(f.within(), alice, original, text); !errors.Is(err, smtpout.ErrPermanent) {
		t.Errorf("sent after the sweep: %v", err)
	}
}

// TestEvidenceTime: the time of the evidence is the domain's where it can be
// true, and ours elsewhere.
func TestEvidenceTime(t *testing.T) {
	f := start(t, generous)
	for name, c := range map[string]struct{ signed, want time.Duration }{ // since the challenge; replies arrive after ten minutes
		"when it was sent":      {5 * time.Minute, 5 * time.Minute},
		"a little in advance":   {11 * time.Minute, 10 * time.Minute},
		"before the challenge":  {-time.Hour, 10 * time.Minute},
		"when it was delivered": {10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			f.in(t)
			a := f.mustBegin(alice, "holder")
			began := f.clock.now()
			text, original := a.text(), a.mail()
			f.clock.add(10 * time.Minute)
			to, raw, err := f.provider.ComposeReply(alice, original, text)
			must(t, err)
			raw = resign(func(o *dkim.SignOptions) { o.Time = began.Add(c.signed) })(a, raw)
			must(t, f.net.Client("mx.example.org").Send(f.within(), alice, to, raw))
			s := a.mustStatus()
			u, err := possession.Parse(s.Receipt)
			must(t, err)
			if got := u.Claims().Evidence.Sub(began); got != c.want {
				t.Errorf("evidence %s after the challenge, want %s", got, c.want)
			}
			if got := u.Claims().Signed; !got.Equal(f.clock.now()) {
				t.Errorf("signed at %s", got)
			}
		})
	}
}
