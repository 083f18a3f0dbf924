package msp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/endpoint"
	"whither/internal/msp"
	"whither/internal/pinned"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// fakeDP answers look-ups and keeps the requests as they came. It holds every
// request against the contract: from the MSP's TLS key, and naming nobody.
type fakeDP struct {
	s      *scene
	answer func(wire.LookupRequest) wire.LookupAnswer
	// instead, if not nil, writes the whole answer.
	instead func(http.ResponseWriter)

	mu   sync.Mutex
	seen []wire.LookupRequest
	raw  [][]byte
}

func (s *scene) startDP() *fakeDP {
	f := &fakeDP{s: s, answer: func(r wire.LookupRequest) wire.LookupAnswer {
		a := wire.LookupAnswer{
			Answers: []wire.Answer{}, Asked: []wire.AskedDP{{DP: s.party(worldtest.DP), Outcome: wire.AskedAnswered}},
			Stamp: endpoint.StampOf(s.source.Snapshot()),
		}
		for _, c := range r.CSIs {
			a.Answers = append(a.Answers, outcomeOf(c.ID))
		}
		return a
	}}
	tls := pinned.ServerConfig(s.identities[worldtest.DP], s.clock.now)
	s.run(func(ctx context.Context) error { return endpoint.Serve(ctx, s.listeners[worldtest.DP], tls, f) })
	return f
}

// outcomeOf derives an answer from a CSI, so that a mixed-up order shows.
func outcomeOf(id csi.ID) wire.Answer {
	return wire.Answer{Outcome: wire.OutcomeOne, Bits: []byte(id.Canonical())}
}

// headers that a request may have: those of HTTP and of the message's form.
var headers = map[string]string{
	"Content-Type": wire.TypeCBOR, "Accept": wire.TypeCBOR, "Accept-Encoding": "gzip", "User-Agent": "Go-http-client/2.0", "Content-Length": "",
}

func (f *fakeDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := f.s.T
	p, ok := pinned.CallerOf(r.TLS, f.s.source.Snapshot(), f.s.clock.now())
	if !ok || p.ID != f.s.party(worldtest.MSPA) {
		t.Errorf("the DP is not asked with the MSP's TLS key")
	}
	for name, values := range r.Header {
		if want, ok := headers[name]; !ok || len(values) != 1 || want != "" && values[0] != want {
			t.Errorf("the DP is told %s: %s", name, values)
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var in wire.LookupRequest
	if r.URL.Path != wire.PathLookups || r.URL.RawQuery != "" || r.Method != http.MethodPost {
		t.Errorf("%s %s", r.Method, r.URL)
	}
	if err := wire.Decode(wire.TypeCBOR, body, wire.MaxBody, &in); err != nil {
		t.Error(err)
	}
	f.mu.Lock()
	f.seen, f.raw = append(f.seen, in), append(f.raw, body)
	f.mu.Unlock()
	snapshot := f.s.source.Snapshot()
	w.Header().Set(wire.HeaderRegistry, fmt.Sprintf("%d; %x", snapshot.Version(), snapshot.Digest()))
	if f.instead != nil {
		f.instead(w)
		return
	}
	out, err := wire.Encode(wire.TypeCBOR, f.answer(in))
	if err != nil {
		t.Error(err)
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	_, _ = w.Write(out)
}

func (f *fakeDP) requests() []wire.LookupRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]wire.LookupRequest(nil), f.seen...)
}

func (s *scene) lookup(token string, r wire.LookupRequest) (wire.LookupAnswer, error) {
	var answer wire.LookupAnswer
	err := s.client().Call(s.ctx(), s.party(worldtest.MSPA), wire.PathLookups, token, r, &answer)
	return answer, err
}

// query asks for n people.
func query(t *testing.T, n int) wire.LookupRequest {
	r := wire.LookupRequest{CSIs: []csi.Clear{}, Federation: wire.FederationNone, Format: wire.FormatVerbose}
	for i := range n {
		r.CSIs = append(r.CSIs, csi.Clear{ID: worldtest.CSI(t, fmt.Sprintf("mailto:person-%d@example.org", i))})
	}
	return r
}

func TestR14LookupNamesNobody(t *testing.T) {
	s := newScene(t)
	token := s.account("alice", worldtest.CSI(t, "mailto:alice@example.org"))
	dp := s.startDP()
	s.start(s.config())
	r := query(t, 50)
	r.MSPs = []registry.PartyID{s.party(worldtest.MSPB), s.party(worldtest.MSPA), s.party(worldtest.MSPB)}
	answer, err := s.lookup(token, r)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answer.Answers {
		if want := outcomeOf(r.CSIs[i].ID); !bytes.Equal(a.Bits, want.Bits) {
			t.Fatalf("answer %d is another CSI's", i)
		}
	}
	seen := dp.requests()
	if len(seen) != 1 || len(seen[0].CSIs) != len(r.CSIs) {
		t.Fatalf("%d requests", len(seen))
	}
	moved := 0
	for i := range seen[0].CSIs {
		if !seen[0].CSIs[i].Equal(r.CSIs[i].ID) {
			moved++
		}
	}
	if moved < 25 { // of 50, one stays in its place on average
		t.Errorf("only %d of %d CSIs moved: the order is the user's", moved, len(r.CSIs))
	}
	if len(seen[0].MSPs) != 2 || seen[0].MSPs[0] != s.party(worldtest.MSPA) {
		t.Errorf("the list of MSPs is as the user wrote it: %v", seen[0].MSPs)
	}
	if bytes.Contains(dp.raw[0], []byte(token)) || bytes.Contains(dp.raw[0], []byte("alice")) {
		t.Error("the request names the account")
	}
}

// TestR14TwoUsersLookAlike: the requests of two users for one CSI are equal
// byte for byte.
func TestR14TwoUsersLookAlike(t *testing.T) {
	s := newScene(t)
	alice, bob := s.account("alice"), s.account("bob")
	dp := s.startDP()
	s.start(s.config())
	for _, token := range []string{alice, bob} {
		if _, err := s.lookup(token, query(t, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(dp.raw) != 2 || !bytes.Equal(dp.raw[0], dp.raw[1]) {
		t.Errorf("%x", dp.raw)
	}
}

// TestR14OwnOperatorsDPIsRefused: at the start and when the registry changes.
func TestR14OwnOperatorsDPIsRefused(t *testing.T) {
	s := newScene(t)
	token := s.account("alice")
	dp := s.startDP()
	s.start(s.config())
	if _, err := s.lookup(token, query(t, 1)); err != nil {
		t.Fatal(err)
	}
	s.Grant(worldtest.DP).Operator = s.Grant(worldtest.MSPA).Operator
	s.Record.Version++
	s.publish()
	if _, err := s.source.Step(t.Context(), s.clock.now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.lookup(token, query(t, 1)); problem.KindOf(err) != problem.BothEnds {
		t.Errorf("got %v", err)
	}
	if n := len(dp.requests()); n != 1 {
		t.Errorf("the DP was asked %d times", n)
	}
	if _, err := msp.New(s.config()); !errors.Is(err, msp.ErrBothEnds) {
		t.Errorf("a new start: %v", err)
	}
}

func TestR14UnfitDPIsNotAsked(t *testing.T) {
	for name, bend := range map[string]func(*scene){
		"closed":       func(s *scene) { s.Grant(worldtest.DP).Standing.State = registry.Closed },
		"expelled":     func(s *scene) { s.Grant(worldtest.DP).Standing.State = registry.Expelled },
		"another role": func(s *scene) { s.Grant(worldtest.DP).Roles = []registry.Role{registry.RoleProver} },
	} {
		s := newScene(t)
		token := s.account("alice")
		dp := s.startDP()
		s.start(s.config())
		bend(s)
		s.Record.Version++
		s.publish()
		if _, err := s.source.Step(t.Context(), s.clock.now()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.lookup(token, query(t, 1)); problem.KindOf(err) != problem.Registry {
			t.Errorf("%s: got %v", name, err)
		}
		if len(dp.requests()) != 0 {
			t.Errorf("%s: the DP was asked", name)
		}
	}
}

// TestR23DPWithAnotherKeyIsNotAsked: the back-end pins the DP, too.
func TestR23DPWithAnotherKeyIsNotAsked(t *testing.T) {
	s := newScene(t)
	token := s.account("alice")
	stranger, err := pinned.Generate(s.party(worldtest.DP), s.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.identities[worldtest.DP] = stranger // the name is right, the key is not in the registry
	dp := s.startDP()
	s.start(s.config())
	if _, err := s.lookup(token, query(t, 1)); problem.KindOf(err) != problem.Unavailable {
		t.Errorf("got %v", err)
	}
	if len(dp.requests()) != 0 {
		t.Error("the DP was asked")
	}
}

func TestLookupRefused(t *testing.T) {
	s := newScene(t)
	token := s.account("alice")
	dp := s.startDP()
	s.start(s.config())
	for _, test := range []struct {
		name, token string
		n           int
		want        problem.Kind
	}{
		{"nobody signed in", "", 1, problem.Unauthenticated},
		{"unknown token", "guess", 1, problem.AccountUnknown},
		{"no CSI", token, 0, problem.Malformed},
		{"more than a thousand", token, wire.MaxLookup + 1, problem.Malformed},
	} {
		if _, err := s.lookup(test.token, query(t, test.n)); problem.KindOf(err) != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if len(dp.requests()) != 0 {
		t.Error("the DP was asked")
	}
	if answer, err := s.lookup(token, query(t, wire.MaxLookup)); err != nil || len(answer.Answers) != wire.MaxLookup {
		t.Errorf("a thousand: %v", err)
	}
}

// TestR22AccountHasABudget: CSIs are counted by account; what never reached
// the DP is given back.
func TestR22AccountHasABudget(t *testing.T) {
	s := newScene(t)
	alice, bob := s.account("alice"), s.account("bob")
	dp := s.startDP()
	c := s.config()
	c.Budget = 100
	s.start(c)
	ask := func(token string, n int) problem.Kind {
		_, err := s.lookup(token, query(t, n))
		if err != nil && problem.KindOf(err) == "" {
			t.Error(err)
		}
		return problem.KindOf(err)
	}
	steps := []struct {
		wait  time.Duration
		token string
		n     int
		want  problem.Kind
	}{
		{0, alice, 60, ""},
		{0, alice, 41, problem.Limited},
		{0, alice, 40, ""},
		{0, alice, 1, problem.Limited},
		{0, bob, 100, ""},
		{6 * time.Minute, alice, 11, problem.Limited},
		{0, alice, 10, ""},
		{2 * time.Hour, alice, 101, problem.Limited},
		{0, alice, 100, ""},
	}
	for i, step := range steps {
		s.clock.advance(step.wait)
		if got := ask(step.token, step.n); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	if n := len(dp.requests()); n != 5 {
		t.Errorf("the DP was asked %d times", n)
	}
	s.clock.advance(2 * time.Hour)
	dp.instead = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) } // no answer of a DP
	for range 3 {
		if got := ask(alice, 100); got != problem.Unavailable {
			t.Errorf("DP out of reach: %q", got)
		}
	}
	dp.instead = nil
	if got := ask(alice, 100); got != "" {
		t.Errorf("the budget was not given back: %q", got)
	}
}

// TestDPsAnswersPassThrough: what the DP says arrives, whatever it is; what is
// no answer is the DP's fault and not the user's.
func TestDPsAnswersPassThrough(t *testing.T) {
	s := newScene(t)
	token := s.account("alice")
	dp := s.startDP()
	c := s.config()
	c.Budget = 1_000_000
	s.start(c)
	whole := dp.answer
	dp.answer = func(r wire.LookupRequest) wire.LookupAnswer {
		a := whole(r)
		a.Asked = append(a.Asked, wire.AskedDP{DP: s.party("dp-2.example"), Outcome: wire.AskedTimedOut, Why: "why"})
		a.Bits = &wire.BitTable{Version: 7, Length: 9}
		return a
	}
	r := query(t, 3)
	r.Federation, r.Format, r.DPs = wire.FederationSelected, wire.FormatCompact, []registry.PartyID{s.party("dp-2.example"), s.party("dp-1.example")}
	answer, err := s.lookup(token, r)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Asked) != 2 || answer.Asked[1].Why != "why" || answer.Bits == nil || answer.Bits.Length != 9 ||
		answer.Stamp.Version != s.source.Snapshot().Version() {
		t.Errorf("%+v", answer)
	}
	if got := dp.requests()[0]; got.Federation != r.Federation || got.Format != r.Format || len(got.DPs) != 2 {
		t.Errorf("asked %s %s %v", got.Federation, got.Format, got.DPs)
	}
	for _, test := range []struct {
		name    string
		instead func(http.ResponseWriter)
		want    problem.Kind
	}{
		{"limited", func(w http.ResponseWriter) { endpoint.WriteProblem(w, problem.Limited, "") }, problem.Limited},
		{"malformed query", func(w http.ResponseWriter) { endpoint.WriteProblem(w, problem.Malformed, "") }, problem.Malformed},
		{"no CBOR", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "hello") }, problem.Unavailable},
		{"empty", func(http.ResponseWriter) {}, problem.Unavailable},
		{"too few answers", func(w http.ResponseWriter) {
			b, err := wire.Encode(wire.TypeCBOR, whole(query(t, 2)))
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(b)
		}, problem.Unavailable},
		{"another registry of the same version", func(w http.ResponseWriter) {
			w.Header().Set(wire.HeaderRegistry, fmt.Sprintf("%d; %064x", s.source.Snapshot().Version(), 1))
		}, problem.Registry},
		{"a redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, problem.Unavailable},
	} {
		dp.instead = test.instead
		if _, err := s.lookup(token, query(t, 3)); problem.KindOf(err) != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if log := s.log.String(); strings.Contains(log, "example.org") || strings.Contains(log, "alice") || strings.Contains(log, token) || strings.Contains(log, "127.0.0.1") {
		t.Errorf("log: %s", log)
	}
}

func (s *scene) get(url string) (int, string) {
	s.T.Helper()
	r, err := http.NewRequestWithContext(s.ctx(), http.MethodGet, url, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestOperationsSayNothingOfPeople: metrics count, and name nobody.
func TestOperationsSayNothingOfPeople(t *testing.T) {
	s := newScene(t)
	id := worldtest.CSI(t, "mailto:alice@example.org")
	token := s.account("alice", id)
	s.startDP()
	s.start(s.config())
	if _, err := s.enrol(token, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.lookup(token, query(t, 3)); err != nil {
		t.Fatal(err)
	}
	status, metrics := s.get(s.operations + "/metrics")
	if status != http.StatusOK || !strings.Contains(metrics, "whither_msp_csis_asked_total 3") ||
		!strings.Contains(metrics, `whither_msp_answers_total{outcome="ok",path="/v1/signatures"} 1`) {
		t.Errorf("status %d:\n%s", status, metrics)
	}
	for _, secret := range []string{"example.org", "alice", "person", token, "mailto", "127.0.0.1"} {
		if strings.Contains(metrics, secret) {
			t.Errorf("metrics hold %q", secret)
		}
	}
	if status, body := s.get(s.operations + "/readyz"); status != http.StatusOK {
		t.Errorf("ready: %d %s", status, body)
	}
	s.clock.advance(20 * 365 * 24 * time.Hour)
	if status, body := s.get(s.operations + "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "expired") {
		t.Errorf("ready with an expired registry: %d %s", status, body)
	}
	if status, _ := s.get(s.operations + "/healthz"); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
}
