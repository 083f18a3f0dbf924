package bysip_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/internal/prover"
	"whither/internal/prover/bysip"
	"whither/internal/world/phonenet"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/chain"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
	"whither/problem"
)

// text is what the person sends for a challenge.
func text(c challenge) string {
	return stir.Response(possession.Response(c.CSI, c.Holder, c.Nonce), c.Holder.ID().String())
}

// code is what the person enters for a challenge.
func code(c challenge) string { return stir.CallCode(possession.Response(c.CSI, c.Holder, c.Nonce)) }

// TestR01MessageProvesPossession: a phone's message is answered with success
// once the receipt is stored, and so is its repetition; a second prover finds the
// same in it, without asking anybody; and nothing else can be sent for it.
func TestR01MessageProvesPossession(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SIPMessage, bob, "bob's app")
	for range 2 { // at the same second it is signed with the same bytes
		if err := s.phones.Send(t.Context(), bob, c.to, text(c)); err != nil {
			t.Fatal(err)
		}
	}
	// Later it is another artefact, and a challenge is proved by one.
	s.wait(time.Second)
	var again *phonenet.Refused
	if err := s.phones.Send(t.Context(), bob, c.to, text(c)); !errors.As(err, &again) || again.Code != 403 {
		t.Errorf("a second message: %v", err)
	}
	got := s.state(c)
	if got.State != prover.Proved || len(got.Receipt) == 0 {
		t.Fatalf("the challenge is in state %d", got.State)
	}
	u, err := possession.Parse(got.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	r := u.Claims()
	if r.Kind != possession.SIPMessage || r.Level != possession.Level4 || r.Artefact != possession.Digest(got.Artefact) || r.KeySeen == [32]byte{} {
		t.Errorf("the receipt says %+v", r)
	}
	f, err := s.witness.Witness(t.Context(), prover.Testimony{
		CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Challenger: worldtest.Party(t, worldtest.ProverA), Artefact: got.Artefact, Now: s.clock(),
	})
	if err != nil || f.KeySeen != r.KeySeen || f.Level != possession.Level4 {
		t.Errorf("the witness found %+v, %v", f, err)
	}
	s.quiet()
}

// TestR01CallProvesAShare: a call with full attestation, and the code.
func TestR01CallProvesAShare(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SignedCall, bob, "bob's app")
	if !c.Expires.Equal(c.Started.Add(bysip.CallLife)) {
		t.Errorf("good until %s", c.Expires)
	}
	if err := s.phones.Call(t.Context(), bob, c.to, "12*"+code(c)); err != nil {
		t.Fatal(err)
	}
	got := s.state(c)
	if got.State != prover.Proved {
		t.Fatalf("the challenge is in state %d", got.State)
	}
	u, err := possession.Parse(got.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	if r := u.Claims(); r.Kind != possession.SignedCall || r.Level != possession.Level2 {
		t.Errorf("the receipt says %+v", r)
	}
	// A call says nothing of the key, so it is nothing for a witness.
	if _, err := s.witness.Witness(t.Context(), prover.Testimony{
		CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Challenger: worldtest.Party(t, worldtest.ProverA), Artefact: got.Artefact, Now: s.clock(),
	}); err == nil {
		t.Error("a call was witnessed")
	}
	s.quiet()
}

// TestR01CallToANumber: a prover with a block of numbers gives each call one of its
// own, which people dial, and which has to be the destination.
func TestR01CallToANumber(t *testing.T) {
	s := newSceneWith(t, "+41445551xxxxxx")
	c := s.begin(possession.SignedCall, bob, "bob's app")
	number, ok := strings.CutPrefix(c.to, "tel:")
	if !ok || len(number) != 15 || !strings.HasPrefix(number, "+41445551") {
		t.Fatalf("called is %s", c.to)
	}
	var r *phonenet.Refused
	for name, fault := range map[string]phonenet.Fault{
		"another number": claims(func(c *passport.Claims) { c.Dest.TN = []string{"41445551000000"} }),
		"an address": claims(func(d *passport.Claims) {
			d.Dest = passport.Destinations{URI: []string{"sip:" + c.Mailbox.Local() + "@" + worldtest.ProverA}}
		}),
	} {
		s.bobs.Misbehave(fault)
		if err := s.phones.Call(t.Context(), bob, c.to, code(c)); !errors.As(err, &r) || s.state(c).Problem != problem.STIRDestination {
			t.Errorf("signed for %s: %v", name, err)
		}
	}
	s.bobs.Misbehave(phonenet.Fault{})
	for name, to := range map[string]string{
		"nobody's number":      "tel:+41445551" + strings.Repeat("0", 6),
		"a longer one":         c.to + "1",
		"one before the block": "tel:+41445550123456",
	} {
		if to == c.to {
			continue // one time in a million
		}
		if err := s.phones.Call(t.Context(), bob, to, code(c)); !errors.As(err, &r) || r.Code != 404 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.phones.Send(t.Context(), bob, c.to, text(c)); !errors.As(err, &r) || r.Code != 404 {
		t.Errorf("a message to the number of a call: %v", err)
	}
	if err := s.phones.Call(t.Context(), bob, c.to, code(c)); err != nil || s.state(c).State != prover.Proved {
		t.Errorf("state %d, %v", s.state(c).State, err)
	}
	message := s.begin(possession.SIPMessage, bob, "bob's app")
	if err := s.phones.Send(t.Context(), bob, message.to, text(message)); err != nil {
		t.Errorf("messages still go to an address: %v", err)
	}
	s.quiet()
}

// TestNumbers: what is a block of numbers.
func TestNumbers(t *testing.T) {
	s := newScene(t)
	for _, block := range []string{
		"4144555xxxxxx", "+4144555", "+4144555xxxxx", "+4144555xxxxxxxxx", "+0144555xxxxxx", "+4xxxxxx", "+41x44555xxxxxx", "+41-44xxxxxx", "xxxxxxx",
	} {
		c := bysip.Config{Party: worldtest.Party(t, worldtest.ProverA), Trust: s.trust, Certificates: nowhere{}, Numbers: block, Now: s.clock, Log: slog.New(slog.DiscardHandler)}
		if _, err := bysip.New(c); !errors.Is(err, bysip.ErrNumbers) {
			t.Errorf("%s: %v", block, err)
		}
	}
}

// nowhere has no certificates.
type nowhere struct{}

func (nowhere) Chain(context.Context, string) ([]byte, error) { return nil, errors.New("nowhere") }

// refusal is a way to break a message or a call, and what becomes of it.
type refusal struct {
	name  string
	fault phonenet.Fault
	code  int
	kind  problem.Kind // noted with the challenge
}

func claims(f func(*passport.Claims)) phonenet.Fault { return phonenet.Fault{Claims: f} }

func identity(f func(string) []string) phonenet.Fault {
	return phonenet.Fault{Identity: func(v []string) []string { return f(v[0]) }}
}

// payload replaces texts in the claims after they were signed.
func payload(pairs ...string) phonenet.Fault {
	return identity(func(v string) []string {
		parts := strings.SplitN(v, ".", 3)
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			return nil
		}
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.NewReplacer(pairs...).Replace(string(claims))))
		return []string{strings.Join(parts, ".")}
	})
}

// published changes the certificates in the repository, where nobody has been yet.
func (s *scene) published(change func([]byte) []byte) phonenet.Fault {
	s.places++
	query := fmt.Sprintf("?%d", s.places)
	return phonenet.Fault{Published: change, Signing: func(g *passport.Signing) { g.X5U += query }}
}

// under has the carrier sign under another certificate of the same root.
func (s *scene) under(edit func(*stirtest.Profile)) phonenet.Fault {
	s.t.Helper()
	p := stirtest.Profile{
		Name: "carrier", Key: stirtest.FixedKey("carrier"), From: s.Now.AddDate(-1, 0, 0), Until: s.Now.AddDate(1, 0, 0), List: tnauth.List{{Code: "4101"}},
	}
	edit(&p)
	party, err := s.carriers.Issue(p)
	if err != nil {
		s.t.Fatal(err)
	}
	f := s.published(func([]byte) []byte { return party.PEM() })
	place := f.Signing
	f.Signing = func(g *passport.Signing) {
		place(g)
		g.Key = party.Key
	}
	return f
}

// broken are the ways that messages and calls have in common.
func (s *scene) broken() []refusal {
	return []refusal{
		{"no Identity", identity(func(string) []string { return nil }), 428, problem.STIRPassport},
		{"of another extension", identity(func(v string) []string {
			return []string{strings.NewReplacer("ppt=msg", "ppt=div", "ppt=shaken", "ppt=div").Replace(v)}
		}), 428, problem.STIRPassport},
		{"two of one extension", identity(func(v string) []string { return []string{v, v} }), 438, problem.STIRPassport},
		{"malformed Identity", identity(func(v string) []string { return []string{v, "x"} }), 438, problem.STIRPassport},
		{"Identity says another place", identity(func(v string) []string {
			return []string{strings.Replace(v, "info=<https", "info=<https://other.example/?", 1)}
		}), 438, problem.STIRPassport},
		{"no token", identity(func(v string) []string { return []string{"..." + v[strings.Index(v, ";"):]} }), 438, problem.STIRPassport},
		{"alg none", identity(func(v string) []string {
			// {"alg":"none","ppt":"msg","typ":"passport","x5u":"https://a.example/"} without a signature
			parts := strings.SplitN(v, ".", 3)
			return []string{"eyJhbGciOiJub25lIiwicHB0IjoibXNnIiwidHlwIjoicGFzc3BvcnQiLCJ4NXUiOiJodHRwczovL2EuZXhhbXBsZS8ifQ." + parts[1] + "." + parts[2][strings.Index(parts[2], ";"):]}
		}), 438, problem.STIRPassport},
		{"signature of another", identity(func(v string) []string {
			i := strings.Index(v, ";")
			return []string{v[:i-20] + strings.Repeat("A", 20) + v[i:]}
		}), 438, problem.STIRSignature},
		{"another number of the carrier", claims(func(c *passport.Claims) { c.Orig.TN = "41791234568" }), 403, problem.STIRNumber},
		{"another prover", claims(func(c *passport.Claims) {
			c.Dest.URI = []string{strings.Replace(c.Dest.URI[0], "prover-a", "prover-b", 1)}
		}), 403, problem.STIRDestination},
		{"another challenge", claims(func(c *passport.Claims) { c.Dest.URI = []string{"sip:aaaaaaaaaaaaaaaaaaaaaaaaaa@" + worldtest.ProverA} }), 403, problem.STIRDestination},
		{"a number for destination", claims(func(c *passport.Claims) { c.Dest = passport.Destinations{TN: []string{"41441234567"}} }), 403, problem.STIRDestination},
		{"two destinations", claims(func(c *passport.Claims) { c.Dest.URI = append([]string{"sip:a@a.example"}, c.Dest.URI...) }), 403, problem.STIRDestination},
		{"attestation B", claims(func(c *passport.Claims) { c.Attest, c.OrigID = "B", "123e4567-e89b-12d3-a456-426655440000" }), 403, problem.STIRAttestation},
		{"from the future", claims(func(c *passport.Claims) { c.IssuedAt = c.IssuedAt.Add(10 * time.Minute) }), 403, problem.STIRTime},
		{"from long ago", claims(func(c *passport.Claims) { c.IssuedAt = c.IssuedAt.Add(-25 * time.Hour) }), 403, problem.STIRTime},
		{"certificates nowhere", phonenet.Fault{Signing: func(g *passport.Signing) { g.X5U = "https://nowhere.example/a.pem" }}, 436, problem.STIRFetch},
		{"certificates not there", phonenet.Fault{Signing: func(g *passport.Signing) { g.X5U += "x" }}, 436, problem.STIRFetch},
		{"certificates inside the prover's network", phonenet.Fault{Signing: func(g *passport.Signing) { g.X5U = "https://10.0.0.1/a.pem" }}, 436, problem.STIRFetch},
		{"a string for an array in dest", payload(`{"uri":["`, `{"uri":"`, `"]}`, `"}`), 438, problem.STIRPassport},
		{"a number with plus", payload(`"tn":"`, `"tn":"+`), 438, problem.STIRPassport},
		{"a number with separators", payload(`"tn":"4179`, `"tn":"41-79`), 438, problem.STIRPassport},
		{"claims out of order", payload(`"iat":`, `"zat":`), 438, problem.STIRPassport},
		{"oversized Identity", identity(func(v string) []string { return []string{v + ";x=" + strings.Repeat("a", passport.MaxIdentity)} }), 438, problem.STIRPassport},
		{"certificates out of order", s.published(func(b []byte) []byte {
			certificates, err := chain.ParsePEM(b)
			if err != nil {
				s.t.Error(err)
			}
			slices.Reverse(certificates)
			return chain.FormatPEM(certificates)
		}), 437, problem.STIRCertificate},
		{"words beside the certificates", s.published(func(b []byte) []byte { return append([]byte("Here:\n"), b...) }), 436, problem.STIRFetch},
		{"a certificate that had run out", s.under(func(p *stirtest.Profile) { p.From, p.Until = s.Now.AddDate(-2, 0, 0), s.Now.AddDate(-1, 0, 0) }), 437, problem.STIRCertificate},
		{"a certificate of tomorrow", s.under(func(p *stirtest.Profile) { p.From = s.Now.Add(24 * time.Hour) }), 437, problem.STIRCertificate},
		{"a certificate for other numbers", s.under(func(p *stirtest.Profile) { p.List = tnauth.List{{Number: "41791234568"}} }), 437, problem.STIRAuthority},
		{"a certificate for no numbers", s.under(func(p *stirtest.Profile) { p.List = nil }), 437, problem.STIRAuthority},
		{"certificates of another carrier", phonenet.Fault{Signing: func(g *passport.Signing) { g.X5U = s.mallorys.CertificatesURL() }}, 437, problem.STIRAuthority},
	}
}

// TestR05MessageRefused: each refusal has the code of RFC 8224, words for a
// person, and leaves its reason with the challenge; nothing names a number.
func TestR05MessageRefused(t *testing.T) {
	s := newScene(t)
	for _, test := range append(s.broken(),
		refusal{"signed as a call", phonenet.Fault{Claims: func(c *passport.Claims) {
			c.MessageHash, c.Attest, c.OrigID = "", "A", "123e4567-e89b-12d3-a456-426655440000"
		}, Signing: func(g *passport.Signing) { g.Extension = passport.Shaken }}, 428, problem.STIRPassport},
		refusal{"changed on its way", phonenet.Fault{Body: func(b string) string { return b + "\n" }}, 438, problem.STIRSignature},
		refusal{"no hash of the text", claims(func(c *passport.Claims) { c.MessageHash = "" }), 438, problem.STIRSignature},
	) {
		t.Run(test.name, func(t *testing.T) {
			c := s.begin(possession.SIPMessage, bob, "bob's app")
			s.bobs.Misbehave(test.fault)
			err := s.phones.Send(t.Context(), bob, c.to, text(c))
			s.refused(t, c, err, test)
		})
	}
	s.bobs.Misbehave(phonenet.Fault{})
	for name, body := range map[string]func(challenge) string{
		"words around it":        func(c challenge) string { return "Hello\n" + text(c) },
		"quoted":                 func(c challenge) string { return "> " + strings.ReplaceAll(text(c), "\n", "\n> ") },
		"another key's sentence": func(c challenge) string { return strings.Replace(text(c), "key ", "key 0", 1) },
		"another response":       func(c challenge) string { return stir.Response([32]byte{1}, c.Holder.ID().String()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.begin(possession.SIPMessage, bob, "bob's app")
			var r *phonenet.Refused
			if err := s.phones.Send(t.Context(), bob, c.to, body(c)); !errors.As(err, &r) || r.Code != 403 || r.Advice == "" {
				t.Error(err)
			}
		})
	}
	s.quiet()
}

// refused checks how a refusal was answered and what it left.
func (s *scene) refused(t *testing.T, c challenge, err error, want refusal) {
	t.Helper()
	var r *phonenet.Refused
	if !errors.As(err, &r) || r.Code != want.code || r.Reason == "" || r.Advice == "" {
		t.Errorf("answered %v, want %d", err, want.code)
		return
	}
	if got := s.state(c); got.State != prover.Waiting || got.Problem != want.kind {
		t.Errorf("the challenge has state %d and problem %q, want %q", got.State, got.Problem, want.kind)
	}
	s.quiet(err.Error())
}

// TestR05CallRefused: a call that is not attested is not even answered.
func TestR05CallRefused(t *testing.T) {
	s := newScene(t)
	for _, test := range append(s.broken(),
		refusal{"attestation C", claims(func(c *passport.Claims) { c.Attest = "C" }), 403, problem.STIRAttestation},
		refusal{"more than a minute old", claims(func(c *passport.Claims) { c.IssuedAt = c.IssuedAt.Add(-61 * time.Second) }), 403, problem.STIRTime},
	) {
		t.Run(test.name, func(t *testing.T) {
			c := s.begin(possession.SignedCall, bob, "bob's app")
			s.bobs.Misbehave(test.fault)
			err := s.phones.Call(t.Context(), bob, c.to, code(c))
			s.refused(t, c, err, test)
		})
	}
	s.quiet()
}

// TestR05LuredCaller: what a person can be made to do without knowing it. She
// calls back a number, or the address of somebody's challenge; without the code
// that is nothing. What her carrier signed is of no use for another challenge or
// in another call.
func TestR05LuredCaller(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SignedCall, bob, "mallory's app")
	heard := ""
	s.bobs.Misbehave(phonenet.Fault{Tap: func(v string) { heard = v }})
	if err := s.phones.Call(t.Context(), bob, c.to, ""); err != nil {
		t.Fatal(err)
	}
	if s.state(c).State != prover.Waiting {
		t.Error("a bare call decided something")
	}
	// Mallory has the code, and what was on the way: a call of his with it, at
	// once and with its twin by the other value of s.
	var r *phonenet.Refused
	for _, v := range []string{heard, twin(t, heard)} {
		s.mallorys.Misbehave(identity(func(string) []string { return []string{v} }))
		if err := s.phones.Call(t.Context(), mallory, c.to, code(c)); !errors.As(err, &r) || r.Code != 403 || r.Reason != "Stale Date" {
			t.Errorf("the same PASSporT in another call: %v", err)
		}
	}
	other := s.begin(possession.SignedCall, bob, "mallory's app")
	if err := s.phones.Call(t.Context(), mallory, other.to, code(other)); !errors.As(err, &r) || s.state(other).Problem != problem.STIRDestination {
		t.Errorf("the same PASSporT for another challenge: %v", err)
	}
	// A number that is mallory's own does not speak for bob's.
	s.mallorys.Misbehave(phonenet.Fault{})
	if err := s.phones.Call(t.Context(), mallory, other.to, code(other)); !errors.As(err, &r) || s.state(other).Problem != problem.STIRNumber {
		t.Errorf("a call of his own: %v", err)
	}
	if err := s.phones.Send(t.Context(), mallory, other.to, text(other)); !errors.As(err, &r) || r.Code != 404 {
		t.Errorf("a message to the address of a call: %v", err)
	}
}

// twin changes the signature (r, s) of an Identity field into (r, n-s), which
// verifies as well.
func twin(t *testing.T, value string) string {
	t.Helper()
	token, rest, _ := strings.Cut(value, ";")
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil || len(signature) != 64 {
		t.Fatalf("signature of %d bytes, %v", len(signature), err)
	}
	n := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
	n.FillBytes(signature[32:])
	return token[:i+1] + base64.RawURLEncoding.EncodeToString(signature) + ";" + rest
}

// TestR05WrongCodes: guessing ends the challenge.
func TestR05WrongCodes(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SignedCall, bob, "bob's app")
	for try := 1; try <= prover.MaxTries; try++ {
		var r *phonenet.Refused
		if err := s.phones.Call(t.Context(), bob, c.to, "00000000"); !errors.As(err, &r) || !strings.Contains(r.Reason, problem.CodeWrong.Row().Title) {
			t.Fatalf("try %d: %v", try, err)
		}
		s.wait(time.Second) // or the carrier signs the same again
		if got := s.state(c); got.Tries != try || (got.State == prover.Failed) != (try == prover.MaxTries) {
			t.Fatalf("after try %d: %d counted, state %d", try, got.Tries, got.State)
		}
	}
	var r *phonenet.Refused
	if err := s.phones.Call(t.Context(), bob, c.to, code(c)); !errors.As(err, &r) || r.Code != 403 {
		t.Errorf("the right code afterwards: %v", err)
	}
}

// TestFetchesAreBounded: one challenge has the prover knock at five doors.
func TestFetchesAreBounded(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SIPMessage, bob, "bob's app")
	for try := range prover.MaxTries + 1 {
		s.bobs.Misbehave(phonenet.Fault{Signing: func(g *passport.Signing) { g.X5U += fmt.Sprint(try) }})
		var r *phonenet.Refused
		want := 436
		if try == prover.MaxTries {
			want = 403
		}
		if err := s.phones.Send(t.Context(), bob, c.to, text(c)); !errors.As(err, &r) || r.Code != want {
			t.Errorf("try %d: %v", try, err)
		}
	}
}

// TestAddresses: who sends where no challenge is learns that, and no more.
func TestAddresses(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SIPMessage, bob, "bob's app")
	host := "@" + worldtest.ProverA
	var r *phonenet.Refused
	for name, to := range map[string]string{
		"nobody's": "sip:aaaaaaaaaaaaaaaaaaaaaaaaaa" + host, "no box": "sip:bob" + host, "another spelling": strings.ToUpper(c.to[:30]) + c.to[30:],
	} {
		if err := s.phones.Send(t.Context(), bob, strings.Replace(to, "SIP:", "sip:", 1), text(c)); !errors.As(err, &r) || r.Code != 404 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.phones.Call(t.Context(), bob, c.to, code(c)); !errors.As(err, &r) || r.Code != 404 {
		t.Errorf("a call to the address of a message: %v", err)
	}
	s.wait(prover.Life)
	if err := s.phones.Send(t.Context(), bob, c.to, text(c)); !errors.As(err, &r) || r.Code != 410 {
		t.Errorf("too late: %v", err)
	}
}

// TestR01CodesCountOnlyWhereGranted: when the registry no longer ties the code to
// the range, or no longer names the root, the carrier's word is none.
func TestR01CodesCountOnlyWhereGranted(t *testing.T) {
	s := newScene(t)
	c := s.begin(possession.SIPMessage, bob, "bob's app")
	s.Grant("carrier-a.example").Ranges = []string{"+4177"}
	s.mu.Lock()
	s.snapshot = s.Federation.Snapshot()
	s.mu.Unlock()
	var r *phonenet.Refused
	if err := s.phones.Send(t.Context(), bob, c.to, text(c)); !errors.As(err, &r) || r.Code != 437 || s.state(c).Problem != problem.STIRAuthority {
		t.Errorf("a code without the range: %v", err)
	}
	s.Record.Policy.Evidence.Carriers = nil
	s.mu.Lock()
	s.snapshot = s.Federation.Snapshot()
	s.mu.Unlock()
	if err := s.phones.Send(t.Context(), bob, c.to, text(c)); !errors.As(err, &r) || s.state(c).State != prover.Waiting {
		t.Errorf("a root that nobody names: %v", err)
	}
	if _, err := s.method.Challengers[possession.SIPMessage].Begin(t.Context(), &c.Challenge); !errors.Is(err, prover.ErrKind) {
		t.Errorf("a challenge that nobody could answer: %v", err)
	}
}

// TestEveryErrorHasAKind holds the table against every error of the method.
func TestEveryErrorHasAKind(t *testing.T) {
	rows := make(map[string]bool)
	for _, err := range bysip.Errors() {
		rows[err.Error()] = true
		if k := bysip.Problem(fmt.Errorf("wrapped: %w", err)); k == "" || k.Row().Kind != k {
			t.Errorf("%v has no kind of the catalogue: %q", err, k)
		}
	}
	for name, text := range worldtest.Sentinels(t, ".", "../../certfetch") {
		if !rows[text] {
			t.Errorf("%s has no row in the table", name)
		}
	}
}
