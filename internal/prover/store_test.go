package prover_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"whither/internal/prover"
	"whither/internal/sqlstore/proverstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/internal/storetest/pgtest"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// stores are the implementations that the contract is tested on.
var stores = map[string]func(testing.TB) prover.Store{
	"memory": func(t testing.TB) prover.Store { return newMemory(t.Errorf) },
	"sql":    func(t testing.TB) prover.Store { return openSQL(t, t.TempDir(), nil) },
}

// openSQL opens the durable store in a folder.
func openSQL(t testing.TB, dir string, fault func(string) sqldb.Fault) *proverstore.Store {
	t.Helper()
	return openAt(t, dir, sealed.Options{Path: filepath.Join(dir, "prover.db"), Fault: fault})
}

// openAt opens a durable store with the keys of a folder.
func openAt(t testing.TB, dir string, o sealed.Options) *proverstore.Store {
	t.Helper()
	keys, err := vault.LoadKeys(dir)
	if err != nil {
		if keys, err = vault.MakeKeys(dir); err != nil {
			t.Fatal(err)
		}
	}
	o.Keys = keys
	s, err := proverstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, sqldb.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// eachStore runs a test on every implementation.
func eachStore(t *testing.T, test func(*testing.T, prover.Store)) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// TestStoreOnPostgres runs the same tests on PostgreSQL.
func TestStoreOnPostgres(t *testing.T) {
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, prover.Store){
		"Life": storeLife, "Taken": storeTaken, "Unknown": storeUnknown, "Refusals": storeRefusals,
		"DeliveriesDue": storeDeliveriesDue, "StartedSinceAndSweep": storeStartedSinceAndSweep, "OneProof": storeOneProof, "Cancelled": storeCancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, openAt(t, t.TempDir(), sealed.Options{URL: pgtest.Schema(t, server)})) })
	}
}

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// sample returns a new challenge whose random parts come from a name.
func sample(t testing.TB, name string, started time.Time) prover.Challenge {
	t.Helper()
	id, box, nonce := sha256.Sum256([]byte("id "+name)), sha256.Sum256([]byte("box "+name)), sha256.Sum256([]byte("nonce "+name))
	return prover.Challenge{
		ID: prover.ID(id[:16]), Mailbox: prover.Mailbox(box[:16]), Kind: possession.MailReply, Purpose: possession.PurposeReprove,
		CSI: worldtest.CSI(t, "mailto:alice@example.org"), Holder: worldtest.Key(t, "holder").Public(),
		Nonce:   [possession.NonceSize]byte(append(nonce[:], nonce[:16]...)),
		Started: started, Expires: started.Add(prover.Life), State: prover.Waiting, Next: started.Add(time.Minute),
		Memo: "memo of " + name, Incumbent: id[0]%2 == 0,
	}
}

// diff compares challenges by what they say.
func diff(want, got prover.Challenge) string { return cmp.Diff(fields(want), fields(got)) }

// fields lists a challenge for a comparison; a challenge itself prints nothing.
func fields(c prover.Challenge) string {
	return fmt.Sprintf("%x %x %d %d %s %x %x %d %d state %d problem %q tries %d delivered %t attempts %d next %d %x %x sim %q memo %q incumbent %t",
		c.ID, c.Mailbox, c.Kind, c.Purpose, c.CSI.Canonical(), c.Holder.Bytes(), c.Nonce, c.Started.UnixMilli(), c.Expires.UnixMilli(),
		c.State, c.Problem, c.Tries, c.Delivered, c.Attempts, c.Next.UnixMilli(), c.Receipt, c.Artefact, c.SIM, c.Memo, c.Incumbent)
}

// check fails the test unless the store holds want.
func check(t testing.TB, s prover.Store, want prover.Challenge) {
	t.Helper()
	byID, err := s.ByID(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(want, byID); d != "" {
		t.Errorf("by id (-want +got):\n%s", d)
	}
	byMailbox, err := s.ByMailbox(t.Context(), want.Mailbox)
	if err != nil || diff(want, byMailbox) != "" {
		t.Errorf("by mailbox: %v, %s", err, diff(want, byMailbox))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreLife(t *testing.T) { eachStore(t, storeLife) }

func storeLife(t *testing.T, s prover.Store) {
	ctx, c := t.Context(), sample(t, "one", epoch)
	if _, err := s.ByID(ctx, c.ID); !errors.Is(err, prover.ErrUnknown) {
		t.Errorf("before: %v", err)
	}
	must(t, s.Start(ctx, c))
	check(t, s, c)
	other := sample(t, "two", epoch)
	if _, err := s.ByMailbox(ctx, other.Mailbox); !errors.Is(err, prover.ErrUnknown) {
		t.Errorf("another mailbox: %v", err)
	}
	must(t, s.Postpone(ctx, c.ID, problem.CannotDeliver, epoch.Add(2*time.Minute)))
	must(t, c.Postpone(problem.CannotDeliver, epoch.Add(2*time.Minute)))
	check(t, s, c)
	must(t, s.Delivered(ctx, c.ID))
	c.MarkDelivered()
	if c.Problem != "" {
		t.Error("delivered, and still a problem")
	}
	check(t, s, c)
	must(t, s.Refuse(ctx, c.ID, prover.Refusal{Problem: problem.MailContent, Effect: prover.Counted}))
	must(t, c.Refuse(prover.Refusal{Problem: problem.MailContent, Effect: prover.Counted}))
	check(t, s, c)
	p := prover.Proof{Receipt: []byte("receipt"), Artefact: bytes.Repeat([]byte("reply\r\n"), 5000)}
	must(t, s.Prove(ctx, c.ID, p))
	must(t, c.Prove(p))
	if c.State != prover.Proved || c.Problem != "" || c.Tries != 1 {
		t.Errorf("proved as %s", fields(c))
	}
	check(t, s, c)

	// The same artefact again changes nothing; all else is too late.
	must(t, s.Prove(ctx, c.ID, prover.Proof{Receipt: []byte("a later receipt"), Artefact: p.Artefact}))
	for name, err := range map[string]error{
		"proved by another": s.Prove(ctx, c.ID, prover.Proof{Receipt: []byte("r"), Artefact: []byte("another reply")}),
		"refused":           s.Refuse(ctx, c.ID, prover.Refusal{Problem: problem.MailContent, Effect: prover.Counted}),
		"postponed":         s.Postpone(ctx, c.ID, problem.CannotDeliver, epoch),
	} {
		if !errors.Is(err, prover.ErrDecided) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, s.Delivered(ctx, c.ID))
	check(t, s, c)
}

func TestStoreTaken(t *testing.T) { eachStore(t, storeTaken) }

func storeTaken(t *testing.T, s prover.Store) {
	ctx, c, sameID, sameBox := t.Context(), sample(t, "one", epoch), sample(t, "two", epoch), sample(t, "three", epoch)
	must(t, s.Start(ctx, c))
	sameID.ID, sameBox.Mailbox = c.ID, c.Mailbox
	for name, other := range map[string]prover.Challenge{"id": sameID, "mailbox": sameBox, "both": c} {
		if err := s.Start(ctx, other); !errors.Is(err, prover.ErrTaken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, s, c)
}

func TestStoreUnknown(t *testing.T) { eachStore(t, storeUnknown) }

func storeUnknown(t *testing.T, s prover.Store) {
	ctx, id := t.Context(), prover.ID{1}
	for name, err := range map[string]error{
		"delivered": s.Delivered(ctx, id),
		"postpone":  s.Postpone(ctx, id, problem.CannotDeliver, epoch),
		"refuse":    s.Refuse(ctx, id, prover.Refusal{Problem: problem.MailContent, Effect: prover.Noted}),
		"prove":     s.Prove(ctx, id, prover.Proof{Receipt: []byte("r"), Artefact: []byte("a")}),
	} {
		if !errors.Is(err, prover.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreRefusals(t *testing.T) { eachStore(t, storeRefusals) }

func storeRefusals(t *testing.T, s prover.Store) {
	ctx, c := t.Context(), sample(t, "tries", epoch)
	must(t, s.Start(ctx, c))
	for range 2 * prover.MaxTries {
		must(t, s.Refuse(ctx, c.ID, prover.Refusal{Problem: problem.MailDNS, Effect: prover.Noted}))
	}
	for i := range prover.MaxTries {
		got, err := s.ByID(ctx, c.ID)
		if err != nil || got.State != prover.Waiting || got.Tries != i {
			t.Fatalf("after %d: %s, %v", i, fields(got), err)
		}
		must(t, s.Refuse(ctx, c.ID, prover.Refusal{Problem: problem.MailContent, Effect: prover.Counted}))
	}
	got, err := s.ByID(ctx, c.ID)
	if err != nil || got.State != prover.Failed || got.Problem != problem.MailContent {
		t.Errorf("after all: %s, %v", fields(got), err)
	}
	if err := s.Prove(ctx, c.ID, prover.Proof{Receipt: []byte("r"), Artefact: []byte("a")}); !errors.Is(err, prover.ErrDecided) {
		t.Errorf("proved after all: %v", err)
	}

	ended := sample(t, "ending", epoch)
	must(t, s.Start(ctx, ended))
	must(t, s.Refuse(ctx, ended.ID, prover.Refusal{Problem: problem.CannotDeliver, Effect: prover.Ending}))
	if got, err := s.ByID(ctx, ended.ID); err != nil || got.State != prover.Failed || got.Tries != 0 {
		t.Errorf("ended: %s, %v", fields(got), err)
	}
}

// names tells challenges apart by their id.
func names(t testing.TB, found []prover.Challenge, of ...string) []string {
	t.Helper()
	var out []string
	for _, c := range found {
		i := slices.IndexFunc(of, func(name string) bool { return sample(t, name, epoch).ID == c.ID })
		if i < 0 {
			t.Fatal("a challenge from nowhere")
		}
		out = append(out, of[i])
	}
	return out
}

func TestStoreDeliveriesDue(t *testing.T) { eachStore(t, storeDeliveriesDue) }

func storeDeliveriesDue(t *testing.T, s prover.Store) {
	ctx, all := t.Context(), []string{"soon", "now", "early", "delivered", "failed", "proved", "expired"}
	for i, name := range all {
		c := sample(t, name, epoch)
		c.Next = epoch.Add(time.Duration(10-i) * time.Second)
		if name == "soon" {
			c.Next = epoch.Add(time.Hour)
		}
		if name == "expired" {
			c = sample(t, name, epoch.Add(-prover.Life))
		}
		must(t, s.Start(ctx, c))
	}
	must(t, s.Delivered(ctx, sample(t, "delivered", epoch).ID))
	must(t, s.Refuse(ctx, sample(t, "failed", epoch).ID, prover.Refusal{Problem: problem.CannotDeliver, Effect: prover.Ending}))
	must(t, s.Prove(ctx, sample(t, "proved", epoch).ID, prover.Proof{Receipt: []byte("r"), Artefact: []byte("a")}))
	for _, want := range []struct {
		at    time.Time
		max   int
		names []string
	}{
		{epoch.Add(time.Minute), 10, []string{"early", "now"}},
		{epoch.Add(time.Minute), 1, []string{"early"}},
		{epoch.Add(time.Minute), 0, nil},
		{epoch.Add(8 * time.Second), 10, []string{"early"}},
		{epoch.Add(8*time.Second - time.Millisecond), 10, nil},
		{epoch.Add(time.Hour), 10, []string{"early", "now", "soon"}},
		{epoch.Add(prover.Life), 10, nil},
	} {
		found, err := s.DeliveriesDue(ctx, want.at, want.max)
		if got := names(t, found, all...); err != nil || !slices.Equal(got, want.names) {
			t.Errorf("at %s at most %d: %v, %v; want %v", want.at.Sub(epoch), want.max, got, err, want.names)
		}
	}
	must(t, s.Postpone(ctx, sample(t, "early", epoch).ID, problem.CannotDeliver, epoch.Add(30*time.Second)))
	found, err := s.DeliveriesDue(ctx, epoch.Add(time.Minute), 10)
	if got := names(t, found, all...); err != nil || !slices.Equal(got, []string{"now", "early"}) {
		t.Errorf("postponed: %v, %v", got, err)
	}
}

func TestStoreStartedSinceAndSweep(t *testing.T) { eachStore(t, storeStartedSinceAndSweep) }

func storeStartedSinceAndSweep(t *testing.T, s prover.Store) {
	ctx, all := t.Context(), []string{"a", "b", "c"}
	for i, name := range all {
		must(t, s.Start(ctx, sample(t, name, epoch.Add(time.Duration(i)*time.Minute))))
	}
	must(t, s.Prove(ctx, sample(t, "b", epoch).ID, prover.Proof{Receipt: []byte("r"), Artefact: []byte("a")}))
	for _, want := range []struct {
		since time.Time
		max   int
		names []string
	}{
		{epoch, 10, []string{"c", "b", "a"}},
		{epoch.Add(time.Minute), 10, []string{"c", "b"}},
		{epoch.Add(time.Minute + 1), 10, []string{"c"}},
		{epoch, 2, []string{"c", "b"}},
		{epoch.Add(time.Hour), 10, nil},
	} {
		found, err := s.StartedSince(ctx, want.since, want.max)
		if got := names(t, found, all...); err != nil || !slices.Equal(got, want.names) {
			t.Errorf("since %s: %v, %v; want %v", want.since.Sub(epoch), got, err, want.names)
		}
		for _, c := range found {
			if len(c.Receipt)+len(c.Artefact) != 0 {
				t.Error("a list carries proofs")
			}
		}
	}
	for _, step := range []struct {
		at   time.Time
		max  int
		went int
	}{
		{epoch.Add(prover.Life - time.Millisecond), 10, 0},
		{epoch.Add(prover.Life), 10, 1},
		{epoch.Add(2 * prover.Life), 1, 1},
		{epoch.Add(2 * prover.Life), 10, 1},
		{epoch.Add(2 * prover.Life), 10, 0},
	} {
		if n, err := s.Sweep(ctx, step.at, step.max); err != nil || n != step.went {
			t.Errorf("sweep at %s: %d, %v; want %d", step.at.Sub(epoch), n, err, step.went)
		}
	}
	if _, err := s.ByID(ctx, sample(t, "b", epoch).ID); !errors.Is(err, prover.ErrUnknown) {
		t.Errorf("swept, and found: %v", err)
	}
}

// TestStoreOneProof: of many replies at once, one proves.
func TestStoreOneProof(t *testing.T) { eachStore(t, storeOneProof) }

func storeOneProof(t *testing.T, s prover.Store) {
	ctx, c := t.Context(), sample(t, "race", epoch)
	must(t, s.Start(ctx, c))
	var wg sync.WaitGroup
	won := make(chan byte, 20)
	for i := range byte(20) {
		wg.Go(func() {
			switch err := s.Prove(ctx, c.ID, prover.Proof{Receipt: []byte{i}, Artefact: []byte{i}}); {
			case err == nil:
				won <- i
			case !errors.Is(err, prover.ErrDecided):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d proofs", len(won))
	}
	winner := <-won
	if got, err := s.ByID(ctx, c.ID); err != nil || !bytes.Equal(got.Artefact, []byte{winner}) {
		t.Errorf("%x, %v; %d was told that it won", got.Artefact, err, winner)
	}
}

func TestStoreCancelled(t *testing.T) { eachStore(t, storeCancelled) }

func storeCancelled(t *testing.T, s prover.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := sample(t, "late", epoch)
	if err := s.Start(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
	if _, err := s.ByID(t.Context(), c.ID); !errors.Is(err, prover.ErrUnknown) {
		t.Errorf("a write that was given up was made: %v", err)
	}
}

// TestStoreSurvives: what was answered is there after a restart, and nothing of
// a person stands in the file.
func TestStoreSurvives(t *testing.T) {
	dir := t.TempDir()
	s := openSQL(t, dir, nil)
	c := sample(t, "durable", epoch)
	must(t, s.Start(t.Context(), c))
	p := prover.Proof{Receipt: []byte("receipt"), Artefact: []byte("From: alice@example.org"), SIM: wire.SIMUnchanged}
	must(t, s.Prove(t.Context(), c.ID, p))
	must(t, c.Prove(p))
	must(t, s.Close())
	check(t, openSQL(t, dir, nil), c)
	files, err := filepath.Glob(filepath.Join(dir, "prover.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database: %v", err)
	}
	for _, name := range files {
		b := read(t, name)
		for what, secret := range map[string]string{
			"an address": "alice", "a domain": "example.org", "an id": string(c.ID[:]), "a mailbox": string(c.Mailbox[:]),
			"a nonce": string(c.Nonce[:]), "a memo": c.Memo, "a key": string(c.Holder.Bytes()),
		} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s holds %s in clear", filepath.Base(name), what)
			}
		}
	}
}

// TestStoresAgree runs random histories on both implementations.
func TestStoresAgree(t *testing.T) {
	dir := t.TempDir()
	durable := openSQL(t, dir, nil)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		model := newMemory(t.Errorf)
		ctx := t.Context()
		var ids []prover.ID
		now := epoch
		both := func(what string, f func(prover.Store) error) {
			a, b := f(model), f(durable)
			for _, kind := range []error{nil, prover.ErrUnknown, prover.ErrDecided, prover.ErrTaken} {
				if errors.Is(a, kind) != errors.Is(b, kind) {
					rt.Fatalf("%s: %v and %v", what, a, b)
				}
			}
		}
		pick := func() prover.ID {
			if len(ids) == 0 {
				return prover.ID{9}
			}
			return rapid.SampledFrom(ids).Draw(rt, "challenge")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"start": func(*rapid.T) {
				c := sample(t, fmt.Sprintf("%d/%d", run, len(ids)), now.Truncate(time.Second))
				ids = append(ids, c.ID)
				both("start", func(s prover.Store) error { return s.Start(ctx, c) })
			},
			"deliver": func(*rapid.T) {
				id := pick()
				both("deliver", func(s prover.Store) error { return s.Delivered(ctx, id) })
			},
			"postpone": func(*rapid.T) {
				id := pick()
				both("postpone", func(s prover.Store) error {
					return s.Postpone(ctx, id, problem.CannotDeliver, now.Add(1234567*time.Microsecond))
				})
			},
			"refuse": func(rt *rapid.T) {
				id, r := pick(), prover.Refusal{
					Problem: problem.MailToken,
					Effect:  rapid.SampledFrom([]prover.Effect{prover.Noted, prover.Counted, prover.Ending}).Draw(rt, "effect"),
				}
				both("refuse", func(s prover.Store) error { return s.Refuse(ctx, id, r) })
			},
			"prove": func(rt *rapid.T) {
				id, p := pick(), prover.Proof{Receipt: []byte("r"), Artefact: []byte{rapid.Byte().Draw(rt, "artefact")}}
				both("prove", func(s prover.Store) error { return s.Prove(ctx, id, p) })
			},
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 40000).Draw(rt, "seconds")) * time.Second)
			},
			"sweep": func(*rapid.T) {
				both("sweep", func(s prover.Store) error { _, err := s.Sweep(ctx, now, 1000); return err })
			},
			"": func(rt *rapid.T) {
				for _, id := range ids {
					a, errA := model.ByID(ctx, id)
					b, errB := durable.ByID(ctx, id)
					if (errA == nil) != (errB == nil) || errA == nil && fields(a) != fields(b) {
						rt.Fatalf("they disagree: %v, %v\n%s\n%s", errA, errB, fields(a), fields(b))
					}
				}
				a, _ := model.DeliveriesDue(ctx, now, 1000)
				b, err := durable.DeliveriesDue(ctx, now, 1000)
				if err != nil || dueIDs(a, ids) != dueIDs(b, ids) {
					rt.Fatalf("due: %s and %s, %v", dueIDs(a, ids), dueIDs(b, ids), err)
				}
			},
		})
		if _, err := durable.Sweep(ctx, now.Add(2*prover.Life), 1000); err != nil {
			rt.Fatal(err)
		}
	})
}

// dueIDs lists which of the ids are among found; order within one time differs.
func dueIDs(found []prover.Challenge, ids []prover.ID) string {
	var b strings.Builder
	for _, id := range ids {
		if slices.ContainsFunc(found, func(c prover.Challenge) bool { return c.ID == id }) {
			fmt.Fprintf(&b, "%x ", id[:2])
		}
	}
	return b.String()
}

// TestChallengePrintsNothing: a challenge holds a CSI and a nonce.
func TestChallengePrintsNothing(t *testing.T) {
	c := sample(t, "secret", epoch)
	text := fmt.Sprintf("%v %+v %#v %s %x %v", c, c, c, c, c, struct{ C prover.Challenge }{c})
	if strings.Contains(text, "alice") || !strings.Contains(text, "redacted") || strings.Contains(text, fmt.Sprintf("%x", c.Nonce[:4])) {
		t.Errorf("a challenge prints: %s", text)
	}
}
