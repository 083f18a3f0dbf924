package prover_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/camara"
	"whither/internal/limit"
	"whither/internal/prover"
	"whither/internal/prover/bycode"
	"whither/internal/world/phonenet"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

const number = "+41791234567"

var digits = regexp.MustCompile(`[0-9]{8}`)

// phones is a network of phones with gateways of its own for each prover, as
// distinct operators have.
type phones struct {
	*federation
	net      *phonenet.Network
	operator *phonenet.Operator // of numbers in Switzerland
}

func startPhones(t *testing.T, bend func(*prover.Config)) *phones {
	t.Helper()
	p := &phones{}
	p.net = phonenet.New(func() time.Time { return p.clock.now() })
	t.Cleanup(func() { must(t, p.net.Close()) })
	p.net.Connect(number)
	var err error
	p.operator, err = p.net.AddOperator(t.Context(), "+41")
	must(t, err)
	sim, err := camara.NewSIM(p.operator.URL(), p.operator.Token())
	must(t, err)
	p.federation = start(t, func(c *prover.Config) {
		couriers := make(map[possession.Kind]bycode.Courier)
		for kind, channel := range map[possession.Kind]phonenet.Channel{
			possession.CodeMessage: phonenet.Message, possession.CodeCall: phonenet.Call,
		} {
			g, err := p.net.AddGateway(t.Context(), c.Party.String(), channel)
			must(t, err)
			otp, err := camara.NewOTP(g.URL(), g.Token())
			must(t, err)
			couriers[kind] = otp
		}
		c.Methods = append(c.Methods, bycode.Method(couriers))
		c.SIM = camara.Operators{{Prefix: "+41", SIM: sim}}
		if bend != nil {
			bend(c)
		}
	})
	return p
}

func (p *phones) begin(at registry.PartyID, kind possession.Kind, to, holder string, incumbent *wire.Bundle) (wire.Challenge, error) {
	var ch wire.Challenge
	err := p.client.Call(p.t.Context(), at, wire.PathChallenges, "", wire.ChallengeRequest{
		CSI: csi.Clear{ID: worldtest.CSI(p.t, "tel:"+to)}, Key: worldtest.Key(p.t, holder).Public().Bytes(), Kind: kind.String(),
		Purpose: uint8(possession.PurposeEnrol), Incumbent: incumbent,
	}, &ch)
	return ch, err
}

func (p *phones) answer(at registry.PartyID, id wire.Bytes, code string) (wire.ChallengeStatus, error) {
	var s wire.ChallengeStatus
	err := p.client.Call(p.t.Context(), at, wire.PathAnswers, "", wire.AnswerRequest{ID: id, Code: code}, &s)
	return s, err
}

// newest is the code of the newest item of a channel from a prover.
func (p *phones) newest(from registry.PartyID, c phonenet.Channel) string {
	p.t.Helper()
	item, err := p.net.Wait(p.t.Context(), number, func(i phonenet.Item) bool { return i.Channel == c && i.From == from.String() })
	must(p.t, err)
	if fingerprint := worldtest.Key(p.t, "bob").Public().ID().String(); !strings.Contains(item.Text, "lets key "+fingerprint+" answer for this number") {
		p.t.Errorf("the holder reads %q", item.Text)
	}
	return digits.FindString(item.Text)
}

// TestR01CodesOfTwoChannels: two provers, two channels, real gateways: the
// receipts reach level 2 together.
func TestR01CodesOfTwoChannels(t *testing.T) {
	p := startPhones(t, nil)
	var receipts [][]byte
	for _, step := range []struct {
		m       *member
		kind    possession.Kind
		channel phonenet.Channel
	}{{p.a, possession.CodeMessage, phonenet.Message}, {p.b, possession.CodeCall, phonenet.Call}} {
		ch, err := p.begin(step.m.id, step.kind, number, "bob", nil)
		must(t, err)
		code := p.newest(step.m.id, step.channel)
		s, err := p.answer(step.m.id, ch.ID, code)
		must(t, err)
		again, err := p.answer(step.m.id, ch.ID, code)
		if err != nil || string(again.Receipt) != string(s.Receipt) {
			t.Errorf("a lost answer, asked for again: %v", err)
		}
		if s.State != wire.ChallengeProved {
			t.Fatalf("state %q", s.State)
		}
		receipts = append(receipts, s.Receipt)
	}
	id, bob := worldtest.CSI(t, "tel:"+number), worldtest.Key(t, "bob")
	c := p.Claims(id, bob.Public(), "codes", worldtest.MSPA)
	u, err := c.Sign(bob, receipts, p.clock.now())
	must(t, err)
	u, err = u.AddMSP(worldtest.Key(t, worldtest.MSPA), p.clock.now())
	must(t, err)
	proposal, err := mapping.PolicyAt(p.source.Snapshot(), p.clock.now()).VerifyProposal(u)
	if err != nil || proposal.Evidence().Level != possession.Level2 {
		t.Errorf("level %d, %v", proposal.Evidence().Level, err)
	}
}

func wantKind(t *testing.T, what string, err error, k problem.Kind) {
	t.Helper()
	if !errors.Is(err, problem.Error(k)) {
		t.Errorf("%s: got %v, want %s", what, err, k)
	}
}

func TestBadCodes(t *testing.T) {
	p := startPhones(t, nil)
	a := p.a.id
	begin := func(kind possession.Kind) wire.Challenge {
		t.Helper()
		ch, err := p.begin(a, kind, number, "bob", nil)
		must(t, err)
		return ch
	}
	byMessage, byCall := begin(possession.CodeMessage), begin(possession.CodeCall)
	_, err := p.answer(a, byMessage.ID, p.newest(a, phonenet.Call))
	wantKind(t, "the other channel's code", err, problem.CodeWrong)
	_, err = p.answer(a, make([]byte, 16), "12345678")
	wantKind(t, "no such challenge", err, problem.ChallengeUnknown)
	_, err = p.answer(a, byMessage.ID, "12345678901")
	wantKind(t, "a long code", err, problem.Malformed)
	_, err = p.answer(a, byMessage.ID, "")
	wantKind(t, "no code", err, problem.Malformed)
	code := p.newest(a, phonenet.Message)
	for range 4 {
		_, err = p.answer(a, byMessage.ID, "0000000")
		wantKind(t, "wrong", err, problem.CodeWrong)
	}
	_, err = p.answer(a, byMessage.ID, code)
	wantKind(t, "right, after five wrong ones", err, problem.ChallengeFailed)
	code = p.newest(a, phonenet.Call)
	p.clock.add(bycode.Life)
	_, err = p.answer(a, byCall.ID, code)
	wantKind(t, "late", err, problem.ChallengeExpired)
	if _, err := p.begin(a, possession.CodeMessage, "+41790000000", "bob", nil); !errors.Is(err, problem.Error(problem.CannotDeliver)) {
		t.Errorf("a number without a phone: %v", err)
	}
	if logs := p.logs.String(); strings.Contains(logs, "79123") {
		t.Error("a number is in the logs")
	}
}

// TestCodeCaps: floods are bounded by number, block and country, and a holder
// who shows her mapping has a budget that claimants cannot spend.
func TestCodeCaps(t *testing.T) {
	p := startPhones(t, func(c *prover.Config) {
		c.Limits = limit.Bounds{PerCSI: 2, PerDomain: 4, PerCountry: 5, PerKey: 100, Total: 100}
	})
	for _, n := range []string{"+41791234568", "+41791234569", "+41795550000", "+41795550001", "+33612345678"} {
		p.net.Connect(n)
	}
	ask := func(to, holder string, incumbent *wire.Bundle) error {
		_, err := p.begin(p.a.id, possession.CodeMessage, to, holder, incumbent)
		return err
	}
	must(t, ask(number, "mallory 1", nil))
	must(t, ask(number, "mallory 2", nil))
	wantKind(t, "a third code to one number", ask(number, "mallory 3", nil), problem.Limited)
	must(t, ask("+41791234568", "mallory", nil))
	must(t, ask("+41791234568", "mallory", nil))
	wantKind(t, "a fifth code to one block", ask("+41791234569", "mallory", nil), problem.Limited)
	must(t, ask("+41795550000", "mallory", nil))
	wantKind(t, "a sixth code to one country", ask("+41795550001", "mallory", nil), problem.Limited)
	must(t, ask("+33612345678", "mallory", nil))

	id, bob := worldtest.CSI(t, "tel:"+number), worldtest.Key(t, "bob")
	v := p.Finish(p.Propose(p.Claims(id, bob.Public(), "incumbent", worldtest.MSPA), bob,
		p.CodeReceipts(id, bob.Public(), p.Now, worldtest.ProverA, worldtest.ProverB)), mapping.FoundFirst)
	shown := wire.BundleOf(v.Bundle())
	must(t, ask(number, "bob", &shown))
	wantKind(t, "somebody else's mapping", ask(number, "mallory", &shown), problem.ReceiptForeign)
	wantKind(t, "a mapping of another number", ask("+33612345678", "bob", &shown), problem.ReceiptForeign)
}
