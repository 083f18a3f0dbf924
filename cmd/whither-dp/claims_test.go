package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// dispute is a mapping, a claim on its CSI by somebody else, and the incumbent's
// re-proof, with what was acknowledged of them.
type dispute struct {
	incumbent, newcomer *person
	held, answered      bool
}

// TestCrashClaims kills the DP at random moments while claims are submitted and
// answered. A claim that was acknowledged is there after the kill, and decided by
// the answer that was; what was not is sent again, and counts once.
func TestCrashClaims(t *testing.T) {
	t.Parallel()
	rounds := 6
	if long() {
		rounds = 100
	}
	s := newStage(t)
	p := s.start(wholeProgram)
	if !p.up(t) {
		t.Fatal(p.said())
	}
	var all []*dispute
	for i := range rounds {
		d := &dispute{incumbent: s.person(fmt.Sprintf("holder%d", i))}
		check(t, s.submit(t.Context(), d.incumbent))
		d.newcomer = &person{name: "newcomer", csi: d.incumbent.csi, key: worldtest.Key(t, fmt.Sprintf("newcomer%d", i))}
		s.prepare(d.newcomer, fmt.Sprintf("claim%d", i), func(*mapping.Claims) {})
		all = append(all, d)
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for i, d := range all {
		done := make(chan struct{})
		go func() { defer close(done); s.quarrel(d) }()
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		p.kill()
		<-p.ended
		<-done
		s.hangUp()
		if p = s.start(wholeProgram); !p.up(t) {
			t.Fatal("the DP does not start again: ", p.said())
		}
		s.judge(i, d)
		s.quarrel(d) // again, and this time to its end
		if !d.held || !d.answered {
			t.Fatalf("round %d: held %v, answered %v: %s", i, d.held, d.answered, p.said())
		}
		s.judge(i, d)
	}
	for i, d := range all {
		s.judge(i, d)
	}
	p.stop(t)
	if r := s.fsck(whither(t)); r.Mappings != rounds || r.Changes != rounds || r.Records < 2*rounds {
		t.Errorf("fsck says %+v", r)
	}
}

// quarrel claims, and answers the claim, as far as the DP lives.
func (s *stage) quarrel(d *dispute) {
	var a wire.SubmitAnswer
	switch err := s.holder.Call(s.t.Context(), s.dp, wire.PathMappings, "", d.newcomer.request, &a); {
	case err == nil && a.State == wire.StateHeld:
		d.held = true
	case err == nil:
		s.t.Errorf("a claim is %s", a.State)
	case isProblem(err):
		d.held, d.answered = true, true // it was, and nobody heard: the claim has ended
		return
	default:
		return
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // evidence has whole seconds
	statement, receipts := s.reproof(d.incumbent)
	var r wire.ReproofAnswer
	if err := s.holder.Call(s.t.Context(), s.dp, wire.PathReproofs, "", wire.ReproofRequest{Statement: statement, Receipts: receipts}, &r); err == nil {
		d.answered = r.Answered == 1
	}
}

// isProblem reports whether the DP itself refused.
func isProblem(err error) bool {
	var d problem.Document
	return errors.As(err, &d) && d.Kind() == problem.MappingConflict
}

// judge compares how the claim stands with what was acknowledged.
func (s *stage) judge(round int, d *dispute) {
	s.t.Helper()
	question, err := mapping.Ask(d.newcomer.claims.ID, d.newcomer.key, time.Now())
	check(s.t, err)
	var a wire.StandingAnswer
	err = s.holder.Call(s.t.Context(), s.dp, wire.PathStandings, "", wire.StandingRequest{Question: question}, &a)
	switch {
	case gone(err) && !d.held:
	case err != nil:
		s.t.Errorf("round %d: held %v, answered %v: %v", round, d.held, d.answered, err)
	case d.answered && a.State != wire.StateRefused, a.State != wire.StateHeld && a.State != wire.StateRefused:
		s.t.Errorf("round %d: held %v, answered %v: stands %s", round, d.held, d.answered, a.State)
	default:
		d.held = true
	}
	if v := s.found(d.incumbent); v[0].IsZero() {
		s.t.Errorf("round %d: the incumbent is gone", round)
	}
}

// reproof makes a re-proof of now.
func (s *stage) reproof(p *person) ([]byte, []wire.Bytes) {
	s.t.Helper()
	u, err := mapping.Parse(p.answer.Unpack())
	check(s.t, err)
	now := time.Now()
	var receipts [][]byte
	var out []wire.Bytes
	for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
		r := s.federation.Receipt(p.csi, p.key.Public(), kind, now.Truncate(time.Second))
		r.Purpose = possession.PurposeReprove
		b := s.federation.SignReceipt(r, []string{worldtest.ProverA, worldtest.ProverB}[i])
		receipts, out = append(receipts, b), append(out, b)
	}
	statement, err := u.Reprove(p.key, receipts, now)
	check(s.t, err)
	return statement, out
}
