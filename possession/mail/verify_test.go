package mail_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"

	"whither/internal/dkim"
	"whither/possession/mail"
)

// TestWant: nothing is verified against half a question.
func TestWant(t *testing.T) {
	d := vectorCase{}.build(t)
	for name, edit := range map[string]func(*mail.Want){
		"no address":             func(w *mail.Want) { w.Address = "" },
		"address not canonical":  func(w *mail.Want) { w.Address = "Alice@example.org" },
		"address with name":      func(w *mail.Want) { w.Address = "Alice <alice@example.org>" },
		"address of a top level": func(w *mail.Want) { w.Address = "alice@org" },
		"no reply address":       func(w *mail.Want) { w.ReplyTo = "" },
		"no token":               func(w *mail.Want) { w.Part1 = "" },
		"token too short":        func(w *mail.Want) { w.Part1 = w.Part1[:31] },
		"no response":            func(w *mail.Want) { w.Response = [32]byte{} },
		"no fingerprint":         func(w *mail.Want) { w.Fingerprint = "" },
		"fingerprint of words":   func(w *mail.Want) { w.Fingerprint = "a b" },
		"no time":                func(w *mail.Want) { w.Now = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			want := d.want
			edit(&want)
			if _, err := mail.Verify([]byte(d.raw), want, lookup(d.records)); !errors.Is(err, mail.ErrWant) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := mail.Verify([]byte(d.raw), d.want, nil); !errors.Is(err, mail.ErrWant) {
		t.Errorf("without a lookup: %v", err)
	}
}

// TestR05ReplyAnswersOneQuestion: a reply answers the question that was asked and no other.
func TestR05ReplyAnswersOneQuestion(t *testing.T) {
	d := vectorCase{}.build(t)
	for name, c := range map[string]struct {
		edit   func(*mail.Want)
		expect error
	}{
		"address":     {func(w *mail.Want) { w.Address = "bob@example.org" }, mail.ErrWrongSender},
		"reply to":    {func(w *mail.Want) { w.ReplyTo = "check@other.example" }, mail.ErrWrongRecipient},
		"token":       {func(w *mail.Want) { w.Part1 = mail.Token([mail.TokenSize]byte{}) }, mail.ErrWrongToken},
		"response":    {func(w *mail.Want) { w.Response[0]++ }, mail.ErrWrongResponse},
		"fingerprint": {func(w *mail.Want) { w.Fingerprint += "0" }, mail.ErrWrongResponse},
		"time":        {func(w *mail.Want) { w.Now = w.Now.Add(-time.Hour) }, mail.ErrFuture},
	} {
		t.Run(name, func(t *testing.T) {
			want := d.want
			c.edit(&want)
			if _, err := mail.Verify([]byte(d.raw), want, lookup(d.records)); !errors.Is(err, c.expect) {
				t.Errorf("got %v, want %v", err, c.expect)
			}
		})
	}
}

// TestLookup: a mail that is refused anyway costs no lookup, and no mail makes
// us ask for names of a domain that is not the address's.
func TestLookup(t *testing.T) {
	for _, c := range append(accepted(), refused()...) {
		d := c.build(t)
		asked := 0
		_, err := mail.Verify([]byte(d.raw), d.want, func(name, selector string) ([]string, error) {
			asked++
			if _, ours, _ := strings.Cut(d.want.Address, "@"); name != ours {
				t.Errorf("%s: lookup in %s", c.name, name)
			}
			return lookup(d.records)(name, selector)
		})
		early := !slices.ContainsFunc([]error{nil, mail.ErrBadSignature, mail.ErrWeakKey, mail.ErrKeyRecord, mail.ErrKeyLookup}, func(kind error) bool {
			return errors.Is(err, kind)
		})
		if early && asked > 0 || asked > mail.MaxSignatures {
			t.Errorf("%s: %d lookups", c.name, asked)
		}
	}
	cause := errors.New("no such host alice.example")
	_, err := mail.Verify([]byte(vectorCase{}.build(t).raw), newDraft(t).want, func(string, string) ([]string, error) { return nil, cause })
	if !errors.Is(err, mail.ErrKeyLookup) || !errors.Is(err, cause) || strings.Contains(err.Error(), "alice") {
		t.Errorf("got %v", err)
	}
}

// TestR05NoByteCanBeChanged tries, under simple canonicalization, every change
// of one bit, every loss and every doubling of a byte.
func TestR05NoByteCanBeChanged(t *testing.T) {
	d := vectorCase{edit: func(d *draft) {
		d.signers[0].canonical, d.signers[0].key, d.signers[0].selector = "simple", "ed25519", "e1"
		d.remove("User-Agent")
		d.signers[0].fields = append(d.signers[0].fields, "MIME-Version")
	}}.build(t)
	raw := []byte(d.raw)
	accept := func(raw []byte) bool {
		_, err := mail.Verify(raw, d.want, lookup(d.records))
		if err != nil {
			checkError(t, err)
		}
		return err == nil
	}
	if !accept(raw) {
		t.Fatal("the reply itself is refused")
	}
	// Empty lines at the end are not signed, and mean nothing.
	for i := range len(raw) - 2 {
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			if accept(changed) {
				t.Errorf("accepted with bit %d of byte %d changed: %q", bit, i, changed[max(0, i-10):i+1])
			}
		}
		if accept(slices.Delete(bytes.Clone(raw), i, i+1)) {
			t.Errorf("accepted without byte %d, %q", i, raw[i])
		}
		if accept(slices.Insert(bytes.Clone(raw), i, raw[i])) {
			t.Errorf("accepted with byte %d, %q, twice", i, raw[i])
		}
	}
}

// TestTokens: the prover finds its challenge by the subject alone.
func TestTokens(t *testing.T) {
	d := vectorCase{}.build(t)
	token, err := mail.SubjectToken([]byte(d.raw))
	if err != nil || token != part1 {
		t.Errorf("got %q, %v", token, err)
	}
	if _, err := mail.SubjectToken([]byte("Subject: Hello\r\n\r\n")); !errors.Is(err, mail.ErrWrongToken) {
		t.Errorf("another subject: %v", err)
	}
	if _, err := mail.SubjectToken([]byte("From: a\r\n\r\n")); !errors.Is(err, mail.ErrRepeatedHeader) {
		t.Errorf("no subject: %v", err)
	}
	if _, err := mail.SubjectToken(make([]byte, mail.MaxSize+1)); !errors.Is(err, mail.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestKeyDigest(t *testing.T) {
	txt := txtRecord(t, "rsa2048")
	d := vectorCase{}.build(t)
	report, err := mail.Verify([]byte(d.raw), d.want, lookup(d.records))
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{txt, strings.Replace(txt, "p=", "n=x; p= ", 1)} {
		if got, err := mail.KeyDigest([]string{same}); err != nil || got != report.KeyDigest {
			t.Errorf("got %x, %v", got, err)
		}
	}
	if _, err := mail.KeyDigest([]string{txtRecord(t, "rsa1024")}); !errors.Is(err, mail.ErrWeakKey) {
		t.Errorf("weak key: %v", err)
	}
	if _, err := mail.KeyDigest([]string{"v=DKIM1; p="}); !errors.Is(err, mail.ErrKeyRecord) {
		t.Errorf("revoked key: %v", err)
	}
}

func challenge() mail.Challenge {
	return mail.Challenge{
		From: replyTo, To: "Alice@example.org", Prover: "prover.example", Part1: part1, Fingerprint: fingerprint,
		Date: now, Expires: now.Add(24 * time.Hour),
	}
}

func signingOf(t testing.TB) mail.Signing {
	t.Helper()
	k, err := dkim.RSA(loadRSA(t))
	if err != nil {
		t.Fatal(err)
	}
	return mail.Signing{Selector: "p1", Key: k}
}

func TestChallenge(t *testing.T) {
	raw, err := challenge().Message(signingOf(t))
	if err != nil {
		t.Fatal(err)
	}
	again, err := challenge().Message(signingOf(t))
	if err != nil || !bytes.Equal(raw, again) {
		t.Error("the same challenge gives other bytes")
	}
	verified, err := oracle.VerifyWithOptions(bytes.NewReader(raw), &oracle.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "p1._domainkey.prover.example" {
				t.Errorf("key looked for at %s", name)
			}
			return []string{txtRecord(t, "rsa2048")}, nil
		},
	})
	if err != nil || len(verified) != 1 || verified[0].Err != nil {
		t.Fatalf("signature: %v, %+v", err, verified)
	}
	m, err := dkim.ParseMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From":           `"prover.example" <check@prover.example>`,
		"To":             "Alice@example.org",
		"Subject":        "Whither: " + part1,
		"Date":           "Fri, 15 Jan 2027 08:00:00 +0000",
		"Auto-Submitted": "auto-generated; type=whither",
	} {
		if f := m.All(name); len(f) != 1 || f[0].Value() != want {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for _, said := range []string{mail.Sentence(fingerprint), "do nothing", "16 January 2027 at 08:00 UTC"} {
		if !bytes.Contains(m.Body, []byte(said)) {
			t.Errorf("the text does not say %q", said)
		}
	}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 78 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	// A reply that quotes the whole challenge must not pass for the answer.
	if bytes.Contains(raw, []byte("BEGIN WHITHER")) {
		t.Error("the challenge carries a block")
	}
}

func TestChallengeRefuses(t *testing.T) {
	for name, edit := range map[string]func(*mail.Challenge){
		"no sender":              func(c *mail.Challenge) { c.From = "" },
		"sender in capitals":     func(c *mail.Challenge) { c.From = "Check@prover.example" },
		"header in recipient":    func(c *mail.Challenge) { c.To = "alice@example.org\r\nBcc: bob@example.net" },
		"two recipients":         func(c *mail.Challenge) { c.To = "alice@example.org, bob@example.net" },
		"name in recipient":      func(c *mail.Challenge) { c.To = "Alice <alice@example.org>" },
		"header in prover":       func(c *mail.Challenge) { c.Prover = "prover.example\r\nX: 1" },
		"quote in prover":        func(c *mail.Challenge) { c.Prover = `prover".example` },
		"header in token":        func(c *mail.Challenge) { c.Part1 = part1[:28] + "\r\nX:" },
		"short token":            func(c *mail.Challenge) { c.Part1 = part1[:28] },
		"lines in fingerprint":   func(c *mail.Challenge) { c.Fingerprint = "a\nb" },
		"no date":                func(c *mail.Challenge) { c.Date = time.Time{} },
		"expired before it went": func(c *mail.Challenge) { c.Expires = c.Date },
	} {
		t.Run(name, func(t *testing.T) {
			c := challenge()
			edit(&c)
			if _, err := c.Message(signingOf(t)); !errors.Is(err, mail.ErrChallenge) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := challenge().Message(mail.Signing{Selector: "p1"}); err == nil {
		t.Error("signed without a key")
	}
}

// FuzzVerify looks for a panic, for an error that tells something of a person,
// and for a message that we accept and another implementation of DKIM refuses.
func FuzzVerify(f *testing.F) {
	vectors := readVectors(f)
	records := newDraft(f).records
	for _, v := range vectors {
		if raw := v.message(f); len(raw) < 8<<10 { // large seeds only cost time
			f.Add(raw)
		}
	}
	want := newDraft(f).want
	f.Fuzz(func(t *testing.T, raw []byte) {
		report, err := mail.Verify(raw, want, lookup(records))
		if err != nil {
			of := 0
			for name, kind := range kinds() {
				if name != "accept" && errors.Is(err, kind) {
					of++
				}
			}
			if of != 1 || strings.Contains(err.Error(), "@") {
				t.Errorf("error of %d kinds: %v", of, err)
			}
			return
		}
		if bytes.Contains(raw, []byte("x=")) {
			return // the other implementation judges x= by the clock of the machine
		}
		verified, err := oracle.VerifyWithOptions(bytes.NewReader(raw), &oracle.VerifyOptions{
			LookupTXT: func(name string) ([]string, error) {
				selector, _, _ := strings.Cut(name, ".")
				return lookup(records)("", selector)
			},
		})
		if err != nil || !slices.ContainsFunc(verified, func(v *oracle.Verification) bool {
			return v.Err == nil && strings.EqualFold(v.Domain, report.Domain)
		}) {
			t.Errorf("accepted what another implementation refuses: %v", err)
		}
	})
}
