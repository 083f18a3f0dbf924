package possession_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/possession/observe"
	"whither/registry"
)

const (
	address = "mailto:alice@example.org"
	handle  = "acct:alice@op.example.org"
	phone   = "tel:+14085550123"
)

// by is a statement of full strength about artefact 1 and key 1.
func by(prover string, kind possession.Kind) statement {
	return statement{prover: prover, kind: kind, level: kind.Best(), artefact: 1, keySeen: 1}
}

func (x statement) with(bend func(*statement)) statement { bend(&x); return x }

// setOf makes statements about a CSI.
func setOf(id string, all ...statement) func(*scene, *possession.Question) [][]byte {
	return func(s *scene, q *possession.Question) [][]byte {
		s.id = worldtest.CSI(s.t, id)
		q.CSI = s.id
		var out [][]byte
		for _, x := range all {
			if x.word != 0 {
				out = append(out, s.wordOf(x))
				continue
			}
			out = append(out, s.receipt(x.kind, x.prover, func(r *possession.Receipt) {
				r.Level, r.Artefact, r.KeySeen = x.level, [32]byte{x.artefact}, [32]byte{x.keySeen}
			}))
		}
		return out
	}
}

// where changes the federation before a set is made in it.
func where(edit func(*scene, *possession.Question), set func(*scene, *possession.Question) [][]byte) func(*scene, *possession.Question) [][]byte {
	return func(s *scene, q *possession.Question) [][]byte {
		edit(s, q)
		return set(s, q)
	}
}

// familyCases are sets of the families that have one form each: what holds, and
// what reaches less than it could.
func familyCases() []assessCase {
	const a, b = worldtest.ProverA, worldtest.ProverB
	other := func(x *statement) { x.artefact = 2 }
	otherKey := func(x *statement) { x.keySeen = 2 }
	noKey := func(x *statement) { x.keySeen = 0 }
	var all []assessCase
	one := func(name string, set func(*scene, *possession.Question) [][]byte) {
		all = append(all, assessCase{name, set, nil})
	}
	for _, f := range []struct {
		id                     string
		asked, witness         possession.Kind
		best, twoKeys, keyless int // levels: as it should be; under two keys; under none that is named
	}{
		{phone, possession.SIPMessage, possession.STIRWitness, 4, 1, 1},
		{phone, possession.PassportKey, possession.STIRWitness, 4, 1, 1},
		{phone, possession.Delegate, possession.STIRWitness, 4, 1, 1},
		{phone, possession.TNToken, possession.STIRWitness, 4, 1, 1},
		{address, possession.OpenIDToken, possession.OpenIDWitness, 3, 2, 2},
		{address, possession.SMIME, possession.SMIMEWitness, 3, 1, 3},
	} {
		first, second := by(a, f.asked), by(b, f.witness)
		one(fmt.Sprintf("%s and its witness: %d", f.asked, f.best), setOf(f.id, first, second))
		one(fmt.Sprintf("%s, declared weaker: 2", f.asked), setOf(f.id, first.with(func(x *statement) { x.level = 2 }), second))
		one(fmt.Sprintf("%s of one operator: 1", f.asked), setOf(f.id, by(proverB2, f.asked), second))
		one(fmt.Sprintf("%s and a witness of another: 1", f.asked), setOf(f.id, first, second.with(other)))
		one(fmt.Sprintf("%s alone: 1", f.asked), setOf(f.id, first))
		one(fmt.Sprintf("%s under two keys: %d", f.asked, f.twoKeys), setOf(f.id, first, second.with(otherKey)))
		one(fmt.Sprintf("%s under keys that nobody names: %d", f.asked, f.keyless), setOf(f.id, first.with(noKey), second.with(noKey)))
	}
	one("two provers who got one token: 4", setOf(phone, by(a, possession.TNToken), by(b, possession.TNToken)))
	one("one artefact as a message and as a key: 1", setOf(phone, by(a, possession.SIPMessage), by(b, possession.PassportKey)))
	one("two witnesses of STIR: 1", setOf(phone, by(a, possession.STIRWitness), by(b, possession.STIRWitness)))
	one("handle at an OpenID provider: 3", setOf(handle, by(a, possession.OpenIDToken), by(b, possession.OpenIDWitness)))
	one("a code by message and a signed call: 2", setOf(phone, by(a, possession.CodeMessage), by(b, possession.SignedCall).with(other)))
	one("a code by call and a signed call, one channel: 1", setOf(phone, by(a, possession.CodeCall), by(b, possession.SignedCall).with(other)))
	one("a signed call and its carrier's message, two families: 1", setOf(phone, by(a, possession.SignedCall), by(b, possession.SIPMessage)))
	one("codes and a carrier's message, the best family counts: 4", setOf(phone,
		by(a, possession.CodeMessage), by(b, possession.CodeCall).with(other), by(a, possession.SIPMessage), by(b, possession.STIRWitness)))
	one("a token and a certificate, two families: 1", setOf(address, by(a, possession.OpenIDToken), by(b, possession.SMIME)))
	return all
}

// wordBy is an observer's word about key 1.
func wordBy(observer string, place observe.Kind) statement {
	return statement{prover: observer, word: place, keySeen: 1}
}

// wordCases are sets with words of observers: the DNS has lost the key before the
// second prover looked, or never had it.
func wordCases() []assessCase {
	const a, b = worldtest.ProverA, worldtest.ProverB
	reply, recheck := by(a, possession.MailReply), by(b, possession.MailRecheck)
	token, again := by(a, possession.OpenIDToken), by(b, possession.OpenIDRecheck)
	dns, jwks := wordBy(observerC, observe.DKIM), wordBy(observerC, observe.JWKS)
	late := func(x *statement) { x.late = true }
	barred := func(s *scene, q *possession.Question) { q.Barred = []registry.Operator{s.Grant(observerC).Operator} }
	excerpt := func(s *scene, q *possession.Question) [][]byte {
		return append(setOf(address, reply, recheck)(s, q), s.excerpt(observerC, 1))
	}
	return []assessCase{
		{"a recheck under a key that an observer saw: 4", setOf(address, reply, recheck, dns), nil},
		{"a recheck under a key of an observer's list: 4", excerpt, nil},
		{"a recheck under a key that the second prover's own observer saw: 4", setOf(address, reply, recheck, wordBy(observerB, observe.DKIM)), nil},
		{"a recheck of a token: 3", setOf(address, token, again, jwks), nil},
		{"a recheck of a handle's token: 3", setOf(handle, token, again, jwks), nil},
		{"a recheck under a key that nobody else saw: 1", setOf(address, reply, recheck), nil},
		{"a recheck under a key that an observer saw before: 1", setOf(address, reply, recheck, dns.with(late)), nil},
		{"a recheck under another key than the observer saw: 1", setOf(address, reply, recheck, dns.with(func(x *statement) { x.keySeen = 2 })), nil},
		{"a recheck under a key that the challenger's own observer saw: 1", where(func(s *scene, _ *possession.Question) {
			s.Grant(observerC).Operator = s.Grant(a).Operator
		}, setOf(address, reply, recheck, dns)), nil},
		{"a recheck of a token and nobody who asked: 1", setOf(address, again, jwks), nil},
		{"a recheck of a token, with a word on the DNS: 1", setOf(address, token, again, dns), nil},
		{"a witness needs no observer: 4", setOf(address, reply, by(b, possession.MailWitness), dns.with(late)), nil},
		{"a reply and an observer who has not seen it: 1", setOf(address, reply, dns), nil},
		{"a recheck and an observer, and nobody who asked: 1", setOf(address, recheck, dns), nil},
		{"an observer that has closed since: 4", where(func(s *scene, _ *possession.Question) {
			s.Grant(observerC).Standing = registry.Standing{State: registry.Closed, Since: s.Now.Unix() + 1}
		}, setOf(address, reply, recheck, dns)), nil},

		{"observers alone", setOf(address, dns, wordBy(observerB, observe.DKIM)), possession.ErrNoReceipts},
		{"an observer twice", setOf(address, reply, recheck, dns, dns), possession.ErrRepeated},
		{"an observer of a barred operator", where(barred, setOf(address, reply, recheck, dns)), possession.ErrDependent},
		{"an observer's list of a barred operator", where(barred, excerpt), possession.ErrDependent},
		{"an observer of another domain", setOf("mailto:alice@example.net", reply, recheck, dns), possession.ErrForeign},
		{"an observer of a domain, for a handle", setOf(handle, token, again, dns), possession.ErrForeign},
		{"an observer for a number", setOf(phone, by(a, possession.SIPMessage), by(b, possession.STIRWitness), dns), possession.ErrUnfitKind},
		{"a prover as observer", setOf(address, reply, recheck, wordBy(a, observe.DKIM)), possession.ErrUnknown},
		{"an observer whose role was taken", where(func(s *scene, _ *possession.Question) {
			s.Grant(observerC).Roles = []registry.Role{registry.RoleWitness}
		}, setOf(address, reply, recheck, dns)), possession.ErrUnknown},
		{"an observer expelled before", where(func(s *scene, _ *possession.Question) {
			s.Grant(observerC).Standing = registry.Standing{State: registry.Expelled, Since: s.Now.Unix() - 1}
		}, setOf(address, reply, recheck, dns)), possession.ErrStanding},
		{"an observer after the holder", where(func(s *scene, q *possession.Question) {
			q.Before = s.Now.Add(-time.Second)
		}, func(s *scene, q *possession.Question) [][]byte {
			earlier := func(r *possession.Receipt) { r.Evidence, r.Signed = q.Before, q.Before }
			return [][]byte{
				s.receipt(possession.MailReply, a, earlier), s.receipt(possession.MailRecheck, b, earlier), s.wordOf(dns),
			}
		}), possession.ErrOrder},
		{"an observer's signature broken", func(s *scene, q *possession.Question) [][]byte {
			set := setOf(address, reply, recheck, dns)(s, q)
			set[2][len(set[2])-1] ^= 1
			return set
		}, possession.ErrSignature},
		{"an observer's list with another entry", func(s *scene, q *possession.Question) [][]byte {
			set := excerpt(s, q)
			set[2][len(set[2])-1] ^= 1 // in the last hash of the path
			return set
		}, possession.ErrReceipt},
	}
}

// excerpt cuts a key out of an observer's list of the day.
func (s *scene) excerpt(observer string, seen byte) []byte {
	s.t.Helper()
	l := observe.List{Day: observe.DayOf(s.Now), Signed: s.Now}
	for _, name := range []string{"a.example", "example.org", "z.example"} {
		l.Entries = append(l.Entries, observe.Entry{Key: observe.Key{Kind: observe.DKIM, Name: name, Label: "s1", Digest: [32]byte{seen}}})
	}
	raw, err := l.Sign(worldtest.Key(s.t, observer))
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := observe.ParseList(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	v, err := u.Verify(s.Snapshot(), observe.Question{Now: s.Now})
	if err != nil {
		s.t.Fatal(err)
	}
	b, ok := v.Excerpt(observe.DKIM, "example.org", [32]byte{seen})
	if !ok {
		s.t.Fatal("no excerpt")
	}
	return b
}

// policyCases are sets in federations that agreed on something.
func policyCases() []assessCase {
	const a, b = worldtest.ProverA, worldtest.ProverB
	mail := []statement{by(a, possession.MailReply), by(b, possession.MailWitness)}
	token := []statement{by(a, possession.OpenIDToken), by(b, possession.OpenIDWitness)}
	refused := func(names ...string) func(*scene, *possession.Question) {
		return func(s *scene, _ *possession.Question) { s.Record.Policy.Evidence.Refused = names }
	}
	issuers := func(all ...registry.Issuer) func(*scene, *possession.Question) {
		return func(s *scene, _ *possession.Question) { s.Record.Policy.Evidence.Issuers = all }
	}
	op := registry.Issuer{URL: issuerURL, Clients: []string{"whither"}, Domains: []string{"example.org"}}
	return []assessCase{
		{"a refused kind beside one that counts: 4", where(refused("openid-token"), setOf(address, slices.Concat(mail, token)...)), nil},
		{"a refused witness: 1", where(refused("mail-witness"), setOf(address, mail...)), nil},
		{"a refused kind that nobody knows: 4", where(refused("seance"), setOf(address, mail...)), nil},
		{"all of refused kinds", where(refused("mail-reply", "mail-witness"), setOf(address, mail...)), possession.ErrRefusedKind},
		{"tokens where no issuer is named", where(issuers(), setOf(address, token...)), possession.ErrNoIssuer},
		{"tokens of another domain's issuer", setOf("mailto:alice@mail.example.org", token...), possession.ErrNoIssuer},
		{"tokens for a handle at another host", setOf("acct:alice@example.org", token...), possession.ErrNoIssuer},
		{"tokens for a handle at an issuer without handles", where(issuers(op), setOf(handle, token...)), possession.ErrNoIssuer},
		{"tokens for a handle at an issuer on a port", where(issuers(registry.Issuer{
			URL: "https://op.example.org:8443", Clients: []string{"whither"}, Handle: "handle",
		}), setOf(handle, token...)), possession.ErrNoIssuer},
		{"an observer of an issuer that is not named: 4", where(issuers(), setOf(address, append(mail, wordBy(observerC, observe.JWKS))...)), nil},
	}
}

// TestR05EachKindHasSets: every kind stands in a set that reaches more than one
// party's word, and in one that does not.
func TestR05EachKindHasSets(t *testing.T) {
	stronger, weaker := make(map[string]int), make(map[string]int)
	for _, c := range slices.Concat(levelCases(), familyCases(), wordCases(), policyCases()) {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, address)
			q := s.question()
			set := c.bend(s, &q)
			a, err := judge(s.Snapshot(), q, set)
			if kindOf(t, err) != kindOf(t, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			if want := fmt.Sprintf(": %d", a.Level); c.name[len(c.name)-len(want):] != want {
				t.Errorf("level %d", a.Level)
			}
			into := stronger
			if a.Level == possession.Level1 {
				into = weaker
			}
			for _, v := range a.Vouchers {
				into[v.Kind.String()]++
			}
		})
	}
	for k := range possession.Kind(64) {
		if _, known := possession.ParseKind(k.String()); known && (stronger[k.String()] == 0 || weaker[k.String()] == 0) {
			t.Errorf("%s stands in %d sets that hold and %d that do not", k, stronger[k.String()], weaker[k.String()])
		}
	}
}

// TestPolicyIsNeverLaxer: whatever a DP demands, what its federation asks stays.
func TestPolicyIsNeverLaxer(t *testing.T) {
	s := newScene(t, address)
	s.Record.Policy.Evidence.Refused = []string{"smime"}
	p := possession.PolicyOf(s.Snapshot())
	for l := range possession.Level(6) {
		d := possession.Demands{Levels: map[string]possession.Level{"tel": l, "mailto": l, "acct": l}, Refused: []possession.Kind{possession.CodeCall}}
		strict := p.Stricter(d)
		for _, scheme := range []string{"tel", "mailto", "acct", "nonsense"} {
			if strict.Level(scheme) < p.Level(scheme) || strict.Level(scheme) < possession.Level2 {
				t.Errorf("%s: level %d", scheme, strict.Level(scheme))
			}
		}
		for _, id := range []string{address, handle, phone} {
			csi := worldtest.CSI(t, id)
			for _, k := range strict.Kinds(csi) {
				if !slices.Contains(p.Kinds(csi), k) || k == possession.CodeCall || k == possession.SMIME || k.Best() < strict.Level(string(csi.Scheme())) {
					t.Errorf("%s offers %s at level %d", id, k, strict.Level(string(csi.Scheme())))
				}
			}
		}
	}
	// A federation of a version without policy on evidence has it for no scheme.
	if got := (possession.Policy{}).Level("tel"); got != possession.Level4 {
		t.Errorf("without policy: level %d", got)
	}
}

// TestR08KindsOfACSI: what can be enough for a CSI, by the policy.
func TestR08KindsOfACSI(t *testing.T) {
	s := newScene(t, address)
	s.Record.Policy.Levels = map[string]uint8{"mailto": 3, "tel": 4, "acct": 3}
	for id, want := range map[string][]possession.Kind{
		address: {
			possession.MailReply, possession.MailWitness, possession.OpenIDToken, possession.OpenIDWitness,
			possession.SMIME, possession.SMIMEWitness, possession.MailRecheck, possession.OpenIDRecheck,
		},
		"mailto:alice@example.net": {possession.MailReply, possession.MailWitness, possession.SMIME, possession.SMIMEWitness, possession.MailRecheck},
		handle:                     {possession.OpenIDToken, possession.OpenIDWitness, possession.OpenIDRecheck},
		"acct:alice@example.org":   nil,
		phone:                      {possession.SIPMessage, possession.PassportKey, possession.Delegate, possession.TNToken, possession.STIRWitness},
	} {
		if got := possession.PolicyOf(s.Snapshot()).Kinds(worldtest.CSI(t, id)); !slices.Equal(got, want) {
			t.Errorf("%s: %v", id, got)
		}
	}
}

// TestWitnesses: each kind that asks has its witness, and codes have none.
func TestWitnesses(t *testing.T) {
	for k, want := range map[possession.Kind]possession.Kind{
		possession.MailReply: possession.MailWitness, possession.SIPMessage: possession.STIRWitness, possession.PassportKey: possession.STIRWitness,
		possession.Delegate: possession.STIRWitness, possession.TNToken: possession.STIRWitness, possession.OpenIDToken: possession.OpenIDWitness,
		possession.SMIME: possession.SMIMEWitness, possession.CodeCall: 0, possession.CodeMessage: 0, possession.SignedCall: 0, 0: 0, 99: 0,
	} {
		got, ok := k.Witness()
		if got != want || ok != (want != 0) || ok && (got.Asked() || !k.Asked()) {
			t.Errorf("%s: witness %s", k, got)
		}
	}
}

// TestWordIsNoReceipt: no bytes are both, and each says when it was signed.
func TestWordIsNoReceipt(t *testing.T) {
	s := newScene(t, address)
	for name, b := range map[string][]byte{"observation": s.wordOf(wordBy(observerC, observe.DKIM)), "excerpt": s.excerpt(observerC, 1)} {
		u := parse(t, b)[0]
		w, ok := u.Word()
		if !ok || u.Claims() != (possession.Receipt{}) || !u.Signed().Equal(s.Now) || w.Key().Name != "example.org" || u.Digest() != sha256.Sum256(b) {
			t.Errorf("%s is read as %+v", name, u.Claims())
		}
	}
	u := parse(t, s.pair()[0])[0]
	if _, ok := u.Word(); ok || !u.Signed().Equal(s.Now) {
		t.Error("a receipt is read as a word")
	}
}
