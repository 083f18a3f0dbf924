package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"whither/csi"
	"whither/internal/prover"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/problem"
)

// OpenProver opens an empty store, which is closed by end. fault is asked
// before each write for what shall go wrong with it.
type OpenProver func(t testing.TB, fault func(write string) sqldb.Fault) (store prover.Store, end func())

// Prover runs the suite of a prover's store.
func Prover(t *testing.T, open OpenProver) {
	for _, one := range []struct {
		name string
		run  func(*proof)
	}{
		{"Start", testStart},
		{"Delivered", testDelivered},
		{"Postpone", testPostpone},
		{"Refuse", testRefuse},
		{"Prove", testProve},
		{"Due", testDue},
		{"Since", testSince},
		{"Sweep", testSweepChallenges},
		{"Faults", testProverFaults},
		{"RaceToProve", testRaceToProve},
	} {
		t.Run(one.name, func(t *testing.T) { one.run(newProof(t, open)) })
	}
}

// proof is one test's store with shorthands that fail the test.
type proof struct {
	t     *testing.T
	open  OpenProver
	store prover.Store
	fault sqldb.Fault
	now   time.Time
}

func newProof(t *testing.T, open OpenProver) *proof {
	p := &proof{t: t, open: open, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	store, end := open(t, func(string) sqldb.Fault { return p.fault })
	t.Cleanup(end)
	p.store = store
	return p
}

func (p *proof) check(what string, err, want error) {
	p.t.Helper()
	if !errors.Is(err, want) {
		p.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// challenge makes a new challenge; name seeds its random parts.
func (p *proof) challenge(name string) prover.Challenge {
	a, b := sha256.Sum256([]byte("a "+name)), sha256.Sum256([]byte("b "+name))
	return prover.Challenge{
		ID: prover.ID(a[:16]), Mailbox: prover.Mailbox(a[16:]), Kind: possession.MailReply, Purpose: possession.PurposeEnrol,
		CSI: worldtest.CSI(p.t, "mailto:"+name+"@example.org"), Holder: worldtest.Key(p.t, name).Public(),
		Nonce: [possession.NonceSize]byte(append(b[:], a[:16]...)), Started: p.now, Expires: p.now.Add(24 * time.Hour),
		Courier: "courier " + name, State: prover.Waiting, Next: p.now.Add(1500 * time.Millisecond),
	}
}

func (p *proof) start(cs ...prover.Challenge) {
	p.t.Helper()
	for _, c := range cs {
		if err := p.store.Start(p.t.Context(), c); err != nil {
			p.t.Fatal(err)
		}
	}
}

// holds checks a challenge, by both of its names.
func (p *proof) holds(want prover.Challenge) {
	p.t.Helper()
	got, err := p.store.ByID(p.t.Context(), want.ID)
	if err == nil {
		p.same(want, got)
		got, err = p.store.ByMailbox(p.t.Context(), want.Mailbox)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.same(want, got)
}

// same compares challenges field by field, since they print as redactions.
func (p *proof) same(want, got prover.Challenge) {
	p.t.Helper()
	type plain prover.Challenge
	options := cmp.Options{cmpopts.EquateComparable(csi.ID{}, key.Public{}), cmp.Comparer(bytes.Equal)}
	if d := cmp.Diff(plain(want), plain(got), options); d != "" {
		p.t.Errorf("challenge (-want +got):\n%s", d)
	}
}

func (p *proof) gone(c prover.Challenge) {
	p.t.Helper()
	_, err := p.store.ByID(p.t.Context(), c.ID)
	p.check("by id", err, prover.ErrUnknown)
	_, err = p.store.ByMailbox(p.t.Context(), c.Mailbox)
	p.check("by mailbox", err, prover.ErrUnknown)
}

func (p *proof) refuse(c prover.Challenge, effect prover.Effect) error {
	return p.store.Refuse(p.t.Context(), c.ID, prover.Refusal{Problem: problem.CannotDeliver, Effect: effect})
}

func testStart(p *proof) {
	a, b := p.challenge("alice"), p.challenge("bob")
	p.gone(a)
	p.start(a, b)
	p.holds(a)
	p.holds(b)
	sameID, sameBox := p.challenge("carol"), p.challenge("dave")
	sameID.ID, sameBox.Mailbox = a.ID, a.Mailbox
	for _, c := range []prover.Challenge{a, sameID, sameBox} {
		p.check("again", p.store.Start(p.t.Context(), c), prover.ErrTaken)
	}
	p.holds(a)
	if _, err := p.store.ByMailbox(p.t.Context(), prover.Mailbox(a.ID)); !errors.Is(err, prover.ErrUnknown) {
		p.t.Errorf("an id is taken for a mailbox: %v", err)
	}
}

func testDelivered(p *proof) {
	c, ctx := p.challenge("alice"), p.t.Context()
	p.check("unknown", p.store.Delivered(ctx, c.ID), prover.ErrUnknown)
	p.start(c)
	p.check("postpone", p.store.Postpone(ctx, c.ID, problem.CannotDeliver, p.now.Add(time.Minute)), nil)
	p.check("delivered", p.store.Delivered(ctx, c.ID), nil)
	c.Delivered, c.Attempts, c.Next = true, 1, p.now.Add(time.Minute)
	p.holds(c) // the trouble of delivering is over
	p.check("ending", p.refuse(c, prover.Ending), nil)
	p.check("after its end", p.store.Delivered(ctx, c.ID), nil)
}

func testPostpone(p *proof) {
	c, ctx := p.challenge("alice"), p.t.Context()
	next := p.now.Add(90*time.Second + 250*time.Millisecond)
	p.check("unknown", p.store.Postpone(ctx, c.ID, problem.CannotDeliver, next), prover.ErrUnknown)
	p.start(c)
	p.check("postpone", p.store.Postpone(ctx, c.ID, problem.CannotDeliver, next), nil)
	p.check("postpone", p.store.Postpone(ctx, c.ID, problem.CannotDeliver, next.Add(time.Minute)), nil)
	c.Attempts, c.Next, c.Problem = 2, next.Add(time.Minute), problem.CannotDeliver
	p.holds(c)
	p.check("ending", p.refuse(c, prover.Ending), nil)
	p.check("after its end", p.store.Postpone(ctx, c.ID, problem.CannotDeliver, next), prover.ErrDecided)
}

func testRefuse(p *proof) {
	c, other := p.challenge("alice"), p.challenge("bob")
	p.check("unknown", p.refuse(c, prover.Noted), prover.ErrUnknown)
	p.start(c, other)
	p.check("noted", p.refuse(c, prover.Noted), nil)
	c.Problem = problem.CannotDeliver
	p.holds(c)
	for c.Tries = 1; c.Tries < prover.MaxTries; c.Tries++ {
		p.check("counted", p.refuse(c, prover.Counted), nil)
		p.holds(c)
	}
	p.check("the last try", p.refuse(c, prover.Counted), nil)
	c.State = prover.Failed
	p.holds(c)
	p.check("after its end", p.refuse(c, prover.Counted), prover.ErrDecided)
	p.check("after its end", p.store.Prove(p.t.Context(), c.ID, prover.Proof{Receipt: []byte{1}, Artefact: []byte{2}}), prover.ErrDecided)
	p.holds(c)
	p.holds(other)
	p.check("ending", p.refuse(other, prover.Ending), nil)
	other.State, other.Problem = prover.Failed, problem.CannotDeliver
	p.holds(other)
}

func testProve(p *proof) {
	c, ctx := p.challenge("alice"), p.t.Context()
	first := prover.Proof{Receipt: []byte("receipt"), Artefact: bytes.Repeat([]byte("raw mail "), prover.MaxReply/9)}
	p.check("unknown", p.store.Prove(ctx, c.ID, first), prover.ErrUnknown)
	p.start(c)
	p.check("noted", p.refuse(c, prover.Noted), nil)
	p.check("prove", p.store.Prove(ctx, c.ID, first), nil)
	c.State, c.Proof = prover.Proved, first
	p.holds(c)
	p.check("the same mail", p.store.Prove(ctx, c.ID, prover.Proof{Receipt: []byte("another receipt"), Artefact: first.Artefact}), nil)
	p.check("another mail", p.store.Prove(ctx, c.ID, prover.Proof{Receipt: first.Receipt, Artefact: []byte("other")}), prover.ErrDecided)
	p.check("a refusal", p.refuse(c, prover.Ending), prover.ErrDecided)
	p.holds(c)
}

func names(cs []prover.Challenge) []string {
	var out []string
	for _, c := range cs {
		out = append(out, c.CSI.Address())
	}
	return out
}

func (p *proof) lists(what string, got []prover.Challenge, err error, want ...string) {
	p.t.Helper()
	for i := range want {
		want[i] += "@example.org"
	}
	if err != nil || !slices.Equal(names(got), want) {
		p.t.Errorf("%s: %v, %v, want %v", what, names(got), err, want)
	}
}

func testDue(p *proof) {
	ctx := p.t.Context()
	at := func(name string, seconds int) prover.Challenge {
		c := p.challenge(name)
		c.Next = p.now.Add(time.Duration(seconds) * time.Second)
		return c
	}
	late, soon, done, failed, later := at("late", 30), at("soon", 10), at("done", 5), at("failed", 5), at("later", 60)
	short := at("short", 10)
	short.Expires = p.now.Add(20 * time.Second)
	p.start(late, soon, done, failed, later, short)
	p.check("delivered", p.store.Delivered(ctx, done.ID), nil)
	p.check("ending", p.refuse(failed, prover.Ending), nil)
	p.check("postpone", p.store.Postpone(ctx, soon.ID, problem.CannotDeliver, p.now.Add(40*time.Second)), nil)

	due, err := p.store.DeliveriesDue(ctx, p.now.Add(10*time.Second-time.Millisecond), 10)
	p.lists("too early", due, err)
	due, err = p.store.DeliveriesDue(ctx, p.now.Add(10*time.Second), 10)
	p.lists("the first", due, err, "short")
	due, err = p.store.DeliveriesDue(ctx, p.now.Add(40*time.Second), 10)
	p.lists("one expired", due, err, "late", "soon")
	due, err = p.store.DeliveriesDue(ctx, p.now.Add(time.Hour), 2)
	p.lists("at most two", due, err, "late", "soon")
	due, err = p.store.DeliveriesDue(ctx, p.now.Add(time.Hour), 0)
	p.lists("none", due, err)
}

func testSince(p *proof) {
	for i, name := range []string{"first", "second", "third"} {
		c := p.challenge(name)
		c.Started = p.now.Add(time.Duration(i) * time.Minute)
		p.start(c)
		p.check("prove", p.store.Prove(p.t.Context(), c.ID, prover.Proof{Receipt: []byte{1}, Artefact: []byte{2}}), nil)
	}
	found, err := p.store.StartedSince(p.t.Context(), p.now.Add(time.Minute), 10)
	p.lists("since the second", found, err, "third", "second")
	for _, c := range found {
		if len(c.Receipt)+len(c.Artefact) != 0 {
			p.t.Error("with its proof")
		}
	}
	found, err = p.store.StartedSince(p.t.Context(), p.now, 1)
	p.lists("at most one", found, err, "third")
	found, err = p.store.StartedSince(p.t.Context(), p.now.Add(time.Hour), 10)
	p.lists("none", found, err)
}

func testSweepChallenges(p *proof) {
	var all []prover.Challenge
	for i := range 4 {
		c := p.challenge(fmt.Sprint("user-", i))
		c.Expires = p.now.Add(time.Duration(i+1) * time.Hour)
		p.start(c)
		all = append(all, c)
	}
	sweep := func(after time.Duration, max, want int) {
		p.t.Helper()
		if n, err := p.store.Sweep(p.t.Context(), p.now.Add(after), max); n != want || err != nil {
			p.t.Errorf("swept %d, %v, want %d", n, err, want)
		}
	}
	sweep(time.Hour-time.Millisecond, 10, 0)
	p.holds(all[0])
	sweep(time.Hour, 10, 1)
	sweep(3*time.Hour, 0, 0)
	sweep(3*time.Hour, 1, 1)
	p.gone(all[0])
	p.gone(all[1])
	p.holds(all[2])
	sweep(3*time.Hour, 10, 1)
	p.holds(all[3])
	p.check("a swept one's names are free", p.store.Start(p.t.Context(), all[0]), nil)
}

// testProverFaults lets each write fail before it is made, and after, and runs
// each twice.
func testProverFaults(p *proof) {
	proved := prover.Proof{Receipt: []byte{1}, Artefact: []byte{2}}
	for _, w := range []struct {
		name  string
		do    func(p *proof, c prover.Challenge) error
		after func(p *proof, c *prover.Challenge)
		again error
	}{
		{"delivered", func(p *proof, c prover.Challenge) error { return p.store.Delivered(p.t.Context(), c.ID) },
			func(_ *proof, c *prover.Challenge) { c.Delivered = true }, nil},
		{"refuse", func(p *proof, c prover.Challenge) error { return p.refuse(c, prover.Ending) },
			func(_ *proof, c *prover.Challenge) { c.State, c.Problem = prover.Failed, problem.CannotDeliver }, prover.ErrDecided},
		{"postpone", func(p *proof, c prover.Challenge) error {
			return p.store.Postpone(p.t.Context(), c.ID, problem.CannotDeliver, p.now.Add(time.Minute))
		}, func(p *proof, c *prover.Challenge) {
			c.Attempts, c.Problem, c.Next = c.Attempts+1, problem.CannotDeliver, p.now.Add(time.Minute)
		}, nil},
		{"prove", func(p *proof, c prover.Challenge) error { return p.store.Prove(p.t.Context(), c.ID, proved) },
			func(_ *proof, c *prover.Challenge) { c.State, c.Proof = prover.Proved, proved }, nil},
	} {
		p.t.Run(w.name, func(t *testing.T) {
			for _, fault := range []sqldb.Fault{sqldb.FailAfter, sqldb.RunTwice} {
				p := newProof(t, p.open)
				c := p.challenge("alice")
				p.start(c)
				p.fault = sqldb.FailBefore
				p.check("fails before", w.do(p, c), sqldb.ErrInjected)
				p.holds(c)
				want := error(nil)
				if p.fault = fault; fault == sqldb.FailAfter {
					want = sqldb.ErrInjected
				}
				p.check("with a fault", w.do(p, c), want)
				w.after(p, &c)
				p.holds(c)
				p.fault = sqldb.NoFault
				p.check("again", w.do(p, c), w.again)
			}
		})
	}
}

// testRaceToProve has a mail come in many copies, and other mails with it.
func testRaceToProve(p *proof) {
	c := p.challenge("alice")
	p.start(c)
	ends := together(racers, func(i int) error {
		err := p.store.Prove(p.t.Context(), c.ID, prover.Proof{Receipt: []byte{byte(i + 1)}, Artefact: []byte{byte(i % 2)}})
		if errors.Is(err, prover.ErrDecided) {
			return prover.ErrDecided
		}
		return err
	})
	if ends[nil] != racers/2 || ends[prover.ErrDecided] != racers/2 {
		p.t.Errorf("ends: %v", ends)
	}
	got, err := p.store.ByID(p.t.Context(), c.ID)
	if err != nil || got.State != prover.Proved || len(got.Receipt) != 1 || (got.Receipt[0]-1)%2 != got.Artefact[0] {
		p.t.Errorf("receipt %x with artefact %x, %v", got.Receipt, got.Artefact, err)
	}
}
