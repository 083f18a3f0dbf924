package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"whither/internal/sqlstore"
	"whither/wire"
)

// long reports whether there is time for the whole of what is sampled otherwise.
func long() bool { return os.Getenv("WHITHER_LONG") == "1" }

// submitters send at the same time, so that several writes share a commit.
const submitters = 4

// TestCrashKill kills the DP at random moments while mappings are submitted
// over HTTPS: 40 of them, 200 with WHITHER_LONG=1. What was acknowledged is
// there after each kill and verifies; what was not is sent again, and admitted
// once in all. WHITHER_TEST_SEED repeats the moments.
func TestCrashKill(t *testing.T) {
	t.Parallel()
	people, between := 40, 4
	if long() {
		people = 200
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WHITHER_TEST_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		check(t, err)
	}
	t.Logf("WHITHER_TEST_SEED=%d", seed)
	k := &killing{stage: newStage(t), program: whither(t), random: rand.New(rand.NewPCG(seed, 0))}
	p := k.start(wholeProgram)
	if !p.up(t) {
		t.Fatal(p.said())
	}
	for i := range people {
		k.waiting = append(k.waiting, k.person(fmt.Sprintf("user%d", i)))
	}
	p.stop(t)
	k.measure(between)

	begun := time.Now()
	for round := 0; len(k.waiting) > 0; round++ {
		if round == 10*people/between {
			t.Fatalf("after %d rounds %d mappings are not admitted", round, len(k.waiting))
		}
		k.round(round, between)
		if t.Failed() {
			return
		}
	}
	took := time.Since(begun)
	k.last()
	t.Logf("%d enrolments, %d kills (%d before the DP served), %d submissions unanswered, of which %d were admitted: %.1f s",
		people, k.kills, k.early, k.unanswered, k.silent, took.Seconds())
}

// killing is a run of kills.
type killing struct {
	*stage
	program string // whither
	random  *rand.Rand
	startup time.Duration // of a DP
	span    time.Duration // a moment in this time after the start is drawn

	done, waiting                    []*person
	kills, early, unanswered, silent int
}

// measure finds how long a start takes, and as many submissions as shall lie
// between two kills. It uses up some of those that wait.
func (k *killing) measure(between int) {
	k.t.Helper()
	begun := time.Now()
	p := k.start(wholeProgram)
	if !p.up(k.t) {
		k.t.Fatal(p.said())
	}
	k.startup = time.Since(begun)
	begun = time.Now()
	some := k.waiting[:between]
	k.waiting = k.waiting[between:]
	if left := k.send(some); len(left) != 0 {
		k.t.Fatal("the DP does not admit: ", p.said())
	}
	k.span = time.Since(begun)
	k.done = append(k.done, some...)
	p.stop(k.t)
	k.hangUp()
}

// round looks at what the last kill left, submits, and kills again.
func (k *killing) round(n, between int) {
	if k.random.IntN(4) == 0 { // one that likely does not even serve yet
		p := k.start(wholeProgram)
		time.Sleep(time.Duration(k.random.Float64() * float64(k.startup)))
		k.kill(p)
	}
	p := k.look(n%2 == 0)
	sent := make(chan []*person, 1)
	go func() { sent <- k.send(k.waiting) }()
	time.Sleep(time.Duration(k.random.Float64() * float64(k.span)))
	k.kill(p)
	left := <-sent
	k.hangUp()
	for _, one := range k.waiting {
		if one.answer != nil {
			k.done = append(k.done, one)
		}
	}
	// A machine is faster or slower than it was when it was measured.
	switch answered := len(k.waiting) - len(left); {
	case answered > between:
		k.span = k.span * 3 / 4
	case answered == 0:
		k.span = k.span * 5 / 4
	}
	k.waiting = left
}

func (k *killing) kill(p *process) {
	p.kill()
	<-p.ended
	k.kills++
	select {
	case <-p.serving:
	default:
		k.early++
	}
}

// send submits from several sides at once and returns those that were not
// acknowledged.
func (k *killing) send(people []*person) (left []*person) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan *person, len(people))
	for _, p := range people {
		next <- p
	}
	close(next)
	for range submitters {
		wg.Go(func() {
			broken := false
			for p := range next {
				if !broken {
					if err := k.submit(k.t.Context(), p); err == nil {
						continue
					}
					broken = true // the DP is gone, and the rest need not try
					mu.Lock()
					k.unanswered++
					mu.Unlock()
				}
				mu.Lock()
				left = append(left, p)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return left
}

// look starts a DP and judges what the last one left: by fsck first, over the
// log as the kill left it, or by the new DP first, with fsck beside it.
func (k *killing) look(fsckFirst bool) *process {
	k.t.Helper()
	var r sqlstore.Report
	if fsckFirst {
		r = k.fsck(k.program)
	}
	p := k.start(wholeProgram)
	if !p.up(k.t) {
		k.t.Fatal("the DP does not start again: ", p.said())
	}
	for i, v := range k.found(k.done...) {
		if v.IsZero() {
			k.t.Errorf("acknowledged, and not there: %v", k.done[i].claims.ID)
		}
	}
	admitted := len(k.done)
	for i, v := range k.found(k.waiting...) {
		if v.IsZero() {
			continue
		}
		admitted++
		if one := k.waiting[i]; one.unheard == nil {
			b := wire.BundleOf(v.Bundle())
			one.unheard = &b
			k.silent++
		}
	}
	if !fsckFirst {
		r = k.fsck(k.program)
	}
	if r.Mappings != admitted || r.Changes != admitted || r.Nonces != admitted || r.Tombstones != 0 {
		k.t.Errorf("%d acknowledged, %d admitted in all; fsck says %+v", len(k.done), admitted, r)
	}
	return p
}

// last sends every submission once more: each has the answer that it had.
func (k *killing) last() {
	k.t.Helper()
	p := k.look(true)
	if left := k.send(k.done); len(left) != 0 {
		k.t.Errorf("%d submissions sent again fail: %s", len(left), p.said())
	}
	p.stop(k.t)
	if r := k.fsck(k.program); r.Mappings != len(k.done) || r.Changes != r.Mappings {
		k.t.Errorf("%d mappings; fsck says %+v", len(k.done), r)
	}
}
