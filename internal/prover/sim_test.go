package prover_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"whither/internal/camara"
	"whither/internal/limit"
	"whither/internal/prover"
	"whither/internal/world/phonenet"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/possession/stir"
	"whither/problem"
	"whither/wire"
)

// metrics returns what a prover counts.
func (m *member) metrics(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.listen[2].Addr().String()+"/metrics", nil)
	must(t, err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(b)
}

// code begins a challenge by message at prover a and returns it with its code.
func (p *phones) code(t *testing.T) (wire.Challenge, string) {
	t.Helper()
	ch, err := p.begin(p.a.id, possession.CodeMessage, number, "bob", nil)
	must(t, err)
	return ch, p.newest(p.a.id, phonenet.Message)
}

// TestR01SIMSwapperGetsNoReceipt: who has a number's new card gets its codes, and
// no receipt for them, until the card has been in use for ten days. A wrong
// answer does not tell whether the card was changed.
func TestR01SIMSwapperGetsNoReceipt(t *testing.T) {
	p := startPhones(t, generous)
	ch, code := p.code(t)
	s, err := p.answer(p.a.id, ch.ID, code)
	must(t, err)
	if s.SIM != wire.SIMUnchanged {
		t.Errorf("the client is told %q", s.SIM)
	}
	p.clock.add(time.Hour)
	p.net.ChangeSIM(number)
	ch, code = p.code(t)
	_, err = p.answer(p.a.id, ch.ID, "0000000")
	wantKind(t, "a wrong code", err, problem.CodeWrong)
	_, err = p.answer(p.a.id, ch.ID, code)
	wantKind(t, "the right code", err, problem.SIMChanged)
	_, err = p.answer(p.a.id, ch.ID, code)
	wantKind(t, "once more", err, problem.ChallengeFailed)
	p.clock.add(prover.DefaultSIMAge + time.Second)
	ch, code = p.code(t)
	if s, err := p.answer(p.a.id, ch.ID, code); err != nil || s.State != wire.ChallengeProved {
		t.Errorf("ten days later: %v", err)
	}
	metrics := p.a.metrics(t)
	for _, want := range []string{
		`whither_prover_sim_checks_total{outcome="changed"} 1`, `whither_prover_sim_checks_total{outcome="unchanged"} 2`,
		`whither_prover_verdicts_total{kind="code-message",outcome="sim-changed"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(metrics, "79123") || strings.Contains(p.logs.String(), "79123") {
		t.Error("a number is in the metrics or the logs")
	}
}

// TestSIMUnknown: where nobody says, evidence counts, and the client is told so.
func TestSIMUnknown(t *testing.T) {
	p := startPhones(t, generous)
	p.operator.Silence(number)
	p.net.ChangeSIM(number)
	ch, code := p.code(t)
	if s, err := p.answer(p.a.id, ch.ID, code); err != nil || s.SIM != wire.SIMUnknown {
		t.Errorf("an operator that does not offer it: %q, %v", s.SIM, err)
	}
	if !strings.Contains(p.a.metrics(t), `whither_prover_sim_checks_total{outcome="not-offered"} 1`) {
		t.Error("not counted")
	}
}

// TestSIMOperatorDown: while an operator that should say does not answer, nothing
// counts and no try is lost.
func TestSIMOperatorDown(t *testing.T) {
	p := startPhones(t, generous)
	p.operator.SetDown(true)
	ch, code := p.code(t)
	for range prover.MaxTries + 1 {
		_, err := p.answer(p.a.id, ch.ID, code)
		wantKind(t, "down", err, problem.Unavailable)
	}
	p.operator.SetDown(false)
	if s, err := p.answer(p.a.id, ch.ID, code); err != nil || s.State != wire.ChallengeProved {
		t.Errorf("up again: %v", err)
	}
}

// TestSIMAskedSparingly: answering many times does not have an operator asked
// many times.
func TestSIMAskedSparingly(t *testing.T) {
	p := startPhones(t, generous)
	for range 5 {
		ch, _ := p.code(t)
		for range 3 {
			_, err := p.answer(p.a.id, ch.ID, "0000000")
			wantKind(t, "wrong", err, problem.CodeWrong)
		}
	}
	if n := p.operator.Asked(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	p.clock.add(time.Minute)
	ch, code := p.code(t)
	_, err := p.answer(p.a.id, ch.ID, code)
	must(t, err)
	if n := p.operator.Asked(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestR01SIMGateOfSignatures: what a carrier signed goes through the same gate, at
// the prover that asked and at the witness.
func TestR01SIMGateOfSignatures(t *testing.T) {
	net := phonenet.New(func() time.Time { return worldtest.New(t).Now })
	t.Cleanup(func() { must(t, net.Close()) })
	net.Connect(number)
	operator, err := net.AddOperator(t.Context(), "+4179")
	must(t, err)
	sim, err := camara.NewSIM(operator.URL(), operator.Token())
	must(t, err)
	w := startCarriers(t, func(c *prover.Config) { c.SIM = sim })
	u := w.mustAsk(possession.PassportKey, "tel:"+number, "bob")
	raw := w.artefact(stir.FormKey, w.passport(u, w.carrier, nil), w.carrier)
	net.ChangeSIM(number)
	_, err = u.bring(raw)
	wantKind(t, "brought", err, problem.SIMChanged)
	_, err = u.witness(possession.STIRWitness, raw)
	wantKind(t, "to the witness", err, problem.SIMChanged)
}

// TestR22QuietKindsSpendNothingOfOthers: kinds that send nothing to a number
// are bounded by key and in all, over restarts; strangers who ask for them
// without end leave the holder her codes, and her own evidence.
func TestR22QuietKindsSpendNothingOfOthers(t *testing.T) {
	w := startCarriers(t, func(c *prover.Config) {
		c.Limits = limit.Bounds{PerCSI: 2, PerDomain: 2, PerCountry: 2, PerKey: 3, Total: 8}
	})
	kinds := []possession.Kind{possession.PassportKey, possession.Delegate, possession.TNToken}
	for _, k := range kinds {
		w.mustAsk(k, "tel:+41791234567", "mallory")
	}
	_, err := w.ask(possession.TNToken, "tel:+41315550000", "mallory")
	wantKind(t, "one key", err, problem.Limited)
	for i, k := range kinds {
		w.mustAsk(k, "tel:+41791234567", fmt.Sprint("mallory ", i))
	}
	w.mustAsk(possession.PassportKey, "tel:+41791234567", "bob")
	w.restart(w.a)
	w.mustAsk(possession.PassportKey, "tel:+41791234500", "bob")
	_, err = w.ask(possession.PassportKey, "tel:+41791234501", "bob")
	wantKind(t, "in all", err, problem.Limited)
	metrics := w.a.metrics(t)
	if want := `whither_prover_limited_total{cap="total"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("no %s", want)
	}
	// By mail, which goes out, there is as much left as ever.
	if _, err := w.begin(alice, "alice"); err != nil {
		t.Errorf("a mail: %v", err)
	}
}

// TestIncumbentsBudgetOutlivesARestart: what holders who showed their mappings
// asked for counts towards their own budget also when the prover comes back, and
// what strangers asked for does not.
func TestIncumbentsBudgetOutlivesARestart(t *testing.T) {
	p := startPhones(t, func(c *prover.Config) {
		c.Limits = limit.Bounds{PerCSI: 2, PerDomain: 100, PerCountry: 100, PerKey: 100, Total: 100}
	})
	id, bob := worldtest.CSI(t, "tel:"+number), worldtest.Key(t, "bob")
	v := p.Finish(p.Propose(p.Claims(id, bob.Public(), "incumbent", worldtest.MSPA), bob,
		p.CodeReceipts(id, bob.Public(), p.Now, worldtest.ProverA, worldtest.ProverB)), mapping.FoundFirst)
	shown := wire.BundleOf(v.Bundle())
	ask := func(holder string, incumbent *wire.Bundle) error {
		_, err := p.begin(p.a.id, possession.CodeMessage, number, holder, incumbent)
		return err
	}
	must(t, ask("bob", &shown))
	must(t, ask("bob", &shown))
	must(t, ask("mallory", nil))
	p.restart(p.a)
	wantKind(t, "a third of hers", ask("bob", &shown), problem.Limited)
	must(t, ask("mallory", nil))
	wantKind(t, "a third of a stranger's", ask("mallory", nil), problem.Limited)
	p.restart(p.a)
	wantKind(t, "hers, after another restart", ask("bob", &shown), problem.Limited)
	wantKind(t, "a stranger's, after another restart", ask("mallory", nil), problem.Limited)
}
