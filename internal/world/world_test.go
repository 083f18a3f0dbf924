package world_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/client"
	"whither/csi"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// clock is a world's time: the real one, moved by what a test adds.
type clock struct {
	mu    sync.Mutex
	moved time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.moved)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}

// lockedBuffer collects the logs of all parties.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// scene is a running world with a holder at MSP A and an asker at MSP B.
type scene struct {
	*world.World
	*clock
	logs   *lockedBuffer
	holder person
	asker  person
	config world.Config
}

// people of the scene.
var people = []world.Person{{Name: "bob", Number: "+41791234567"}, {Name: "alice"}}

// person is somebody with a mailbox, an account and a key.
type person struct {
	csi   csi.ID
	msp   registry.PartyID
	token string
	key   key.Private
}

func newScene(t *testing.T, fault func(string) sqldb.Fault) *scene {
	t.Helper()
	return newSceneWith(t, func(c *world.Config) { c.Fault = fault })
}

// newSceneWith is newScene in a world that is configured otherwise.
func newSceneWith(t *testing.T, change func(c *world.Config)) *scene {
	t.Helper()
	s := &scene{clock: &clock{}, logs: &lockedBuffer{}}
	s.config = world.Config{
		Dir: t.TempDir(), Now: s.now, Log: slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		People: people, Tick: time.Hour,
	}
	change(&s.config)
	s.start(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *scene) start(t *testing.T) {
	t.Helper()
	var err error
	if s.World, err = world.Start(t.Context(), s.config); err != nil {
		t.Fatal(err)
	}
	s.holder = s.person(t, people[0], world.MSPA, s.holder.key)
	s.asker = s.person(t, people[1], world.MSPB, s.asker.key)
}

func (s *scene) person(t *testing.T, p world.Person, msp string, k key.Private) person {
	t.Helper()
	dir, err := s.Settle(t.Context(), p, msp)
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(dir, "keys", msp+".token"))
	if err != nil {
		t.Fatal(err)
	}
	if k.IsZero() {
		if k, err = key.Generate(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	return person{
		csi: worldtest.CSI(t, "mailto:"+p.Address()), msp: worldtest.Party(t, msp),
		token: strings.TrimSpace(string(token)), key: k,
	}
}

// snapshot returns the registry as it stands.
func (s *scene) snapshot(t *testing.T) *registry.Snapshot {
	t.Helper()
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	return source.Snapshot()
}

// client returns a client that works from the registry as it stands.
func (s *scene) client(t *testing.T) *client.Client {
	t.Helper()
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	web, err := s.Web().Config("", s.now)
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Config{Registry: source.Snapshot, Now: s.now, Web: client.Web{
		Resolver: web.Resolver, Roots: web.Roots, Port: web.Port, Allow: web.Allow,
	}})
	t.Cleanup(c.Close)
	return c
}

func (s *scene) wish(t *testing.T, p person) client.Wish {
	return client.Wish{
		CSI: p.csi, Key: p.key, DP: worldtest.Party(t, world.DP), MSPs: []registry.PartyID{p.msp},
		Tokens: map[registry.PartyID]string{p.msp: p.token}, Tags: []string{mapping.TagDefault},
	}
}

func (s *scene) enrol(t *testing.T, p person, e *client.Enrolment) (mapping.Verified, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done, err := s.client(t).Enrol(ctx, s.wish(t, p), desk.NewPerson(s.Desk, p.csi), e, func(string) {})
	return done.Mapping, err
}

func (s *scene) ask(t *testing.T, about csi.ID) client.Answer {
	t.Helper()
	answers, err := s.client(t).Lookup(t.Context(), s.asker.msp, s.asker.token, client.Query{CSIs: []csi.ID{about}})
	if err != nil {
		t.Fatal(err)
	}
	return answers.Answers[0]
}

// TestR14DPSeesAtMostOneEnd reads everything that the DP was sent while one
// person enrolled and another asked about her.
func TestR14DPSeesAtMostOneEnd(t *testing.T) {
	s := newScene(t, nil)
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeOne {
		t.Fatal(got.Outcome)
	}
	questions := 0
	for _, m := range s.Seen(world.DP) {
		if m.Token {
			t.Errorf("a message to %s carried an account's token", m.Path)
		}
		for _, secret := range []string{s.asker.token, "alice", s.holder.token} {
			if bytes.Contains(m.Body, []byte(secret)) {
				t.Errorf("a message to %s says who somebody is", m.Path)
			}
		}
		if m.Path == wire.PathLookups {
			questions++
			if m.Party != s.asker.msp {
				t.Errorf("the question came from %s", m.Party)
			}
		}
	}
	if questions != 1 {
		t.Errorf("the DP saw %d questions; is the tap broken?", questions)
	}
}

// TestLogsNameNobody: with everything logged, no party writes an address, a
// token or a key down.
func TestLogsNameNobody(t *testing.T) {
	s := newScene(t, nil)
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err != nil {
		t.Fatal(err)
	}
	s.ask(t, s.holder.csi)
	// Refusals are where names slip out.
	wrong := s.asker
	wrong.csi = s.holder.csi
	if _, err := s.enrol(t, wrong, &client.Enrolment{}); !errors.Is(err, problem.Error(problem.AccountCSI)) {
		t.Errorf("another's address: %v", err)
	}
	if err := s.Step(t.Context()); err != nil {
		t.Error(err)
	}
	logs := s.logs.String()
	for _, secret := range []string{"bob", "alice", "4179", "@" + world.MailDomain, s.holder.token, s.asker.token, "127.0.0.1"} {
		if i := strings.Index(logs, secret); i >= 0 {
			t.Errorf("the logs hold %q: …%s…", secret, logs[max(0, i-100):min(len(logs), i+100)])
		}
	}
}

// TestR01NumberByCodes enrols a telephone number: the outside world's gateways
// send two codes, and the mapping that comes of it is found and verified.
func TestR01NumberByCodes(t *testing.T) {
	s := newScene(t, nil)
	p := s.holder
	p.csi = worldtest.CSI(t, "tel:"+people[0].Number)
	v, err := s.enrol(t, p, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	if v.Evidence().Level != possession.Level2 {
		t.Errorf("level %d", v.Evidence().Level)
	}
	if got := s.ask(t, p.csi); got.Outcome != wire.OutcomeOne || got.Mappings[0].Digest() != v.Digest() {
		t.Errorf("found: %s", got.Outcome)
	}
	if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeNone {
		t.Errorf("the address, which was not enrolled: %s", got.Outcome)
	}
}

// TestR19EnrolmentSurvivesFailedWrites lets the DP's writes fail, before they
// are made and after they were persisted; going on with the same state ends
// with one mapping.
func TestR19EnrolmentSurvivesFailedWrites(t *testing.T) {
	for _, fault := range []sqldb.Fault{sqldb.FailBefore, sqldb.FailAfter} {
		var mu sync.Mutex
		failures := 2
		s := newScene(t, func(write string) sqldb.Fault {
			mu.Lock()
			defer mu.Unlock()
			if write != "admit" || failures == 0 {
				return sqldb.NoFault
			}
			failures--
			return fault
		})
		var e client.Enrolment
		v, err := s.enrol(t, s.holder, &e)
		for err != nil && problem.KindOf(err).Row().Retry == problem.RetryLater {
			v, err = s.enrol(t, s.holder, &e)
		}
		if err != nil {
			t.Fatalf("fault %d: %v", fault, err)
		}
		mu.Lock()
		if failures == 2 {
			t.Errorf("fault %d: nothing failed", fault)
		}
		mu.Unlock()
		if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeOne || got.Mappings[0].Claims().ID != v.Claims().ID {
			t.Errorf("fault %d: %s", fault, got.Outcome)
		}
	}
}

// TestDaysPass: DP signatures are renewed while the DP works, and run out when
// it does not.
func TestDaysPass(t *testing.T) {
	s := newScene(t, nil)
	v, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		s.add(4 * 24 * time.Hour)
		if err := s.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := s.ask(t, s.holder.csi)
	if got.Outcome != wire.OutcomeOne || !got.Mappings[0].Admitted().Equal(v.Admitted()) || !got.Mappings[0].Until().After(v.Until()) {
		t.Fatalf("renewed: %s", got.Outcome)
	}
	s.add(8 * 24 * time.Hour)
	if got := s.ask(t, s.holder.csi); len(got.Mappings) != 0 || len(got.Refused) != 1 || !errors.Is(got.Refused[0].Reason, mapping.ErrStale) {
		t.Errorf("a week without the DP's work: %+v", got)
	}
	// The client can have it renewed by its id.
	fresh, err := s.client(t).Refresh(t.Context(), worldtest.Party(t, world.DP), v.Claims().ID)
	if err != nil || fresh.Digest() != v.Digest() {
		t.Errorf("refresh: %v", err)
	}
}

// TestR21ExpelledMSPStopsCounting: once an MSP is expelled, what it confirmed
// leads nowhere, and it can neither confirm nor ask.
func TestR21ExpelledMSPStopsCounting(t *testing.T) {
	s := newScene(t, nil)
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err != nil {
		t.Fatal(err)
	}
	since := s.now().Add(-time.Hour)
	if err := s.SetStanding(world.MSPA, registry.Standing{State: registry.Expelled, Since: since.Unix()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.ask(t, s.holder.csi)
	if len(got.Mappings) != 0 || len(got.Refused) != 1 || !errors.Is(got.Refused[0].Reason, mapping.ErrStanding) {
		t.Errorf("%+v", got)
	}
	if _, err := s.enrol(t, s.holder, &client.Enrolment{}); err == nil {
		t.Error("an expelled MSP confirmed an account")
	}
}

// TestRestart: a world that is started again in its folder has what it had.
func TestRestart(t *testing.T) {
	s := newScene(t, nil)
	v, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	got := s.ask(t, s.holder.csi)
	if got.Outcome != wire.OutcomeOne || got.Mappings[0].Digest() != v.Digest() {
		t.Errorf("after a restart: %s", got.Outcome)
	}
	if err := s.client(t).Withdraw(t.Context(), v, s.holder.key); err != nil {
		t.Error(err)
	}
	if err := s.client(t).Withdraw(t.Context(), v, s.holder.key); err != nil {
		t.Errorf("withdrawn again: %v", err)
	}
	if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeNone {
		t.Errorf("withdrawn: %s", got.Outcome)
	}
}
