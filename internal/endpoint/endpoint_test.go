package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/endpoint"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

var errRole = errors.New("an error that the role knows")

// rig is one endpoint that echoes an id, or does what a test wants.
type rig struct {
	h       http.Handler
	logs    bytes.Buffer
	seen    []string
	now     time.Time
	do      func() error
	who     endpoint.Caller
	expires time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	f := worldtest.New(t)
	r := &rig{now: f.Now, do: func() error { return nil }}
	s := f.Snapshot()
	r.expires = s.Expires()
	c := endpoint.Config{
		Snapshot: func() *registry.Snapshot { return s }, Now: func() time.Time { return r.now },
		Log: slog.New(slog.NewTextHandler(&r.logs, nil)),
		Kind: func(err error) problem.Kind {
			if errors.Is(err, errRole) {
				return problem.OfferUsed
			}
			return ""
		},
		Observe: func(path, outcome string, _ time.Duration) { r.seen = append(r.seen, path+" "+outcome) },
	}
	echo := func(_ context.Context, who endpoint.Caller, in wire.RenewalRequest) (wire.RenewalRequest, error) {
		r.who = who
		return in, r.do()
	}
	r.h = endpoint.Mux(c, f.File, map[string]http.Handler{wire.PathRenewals: endpoint.Handle(c, wire.PathRenewals, echo)})
	return r
}

func (r *rig) send(method, path, mediaType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Authorization", "Bearer token-of-somebody")
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	return w
}

func TestEveryAnswerIsStampedAndOneKind(t *testing.T) {
	const good = `{"id":"AQI"}`
	tests := []struct {
		name, method, path, mediaType, body string
		do                                  func() error
		late                                bool
		want                                problem.Kind
	}{
		{"good", "POST", wire.PathRenewals, wire.TypeJSON, good, nil, false, ""},
		{"good in CBOR", "POST", wire.PathRenewals, wire.TypeCBOR, "\xa1\x62id\x42\x01\x02", nil, false, ""},
		{"other method", "GET", wire.PathRenewals, wire.TypeJSON, good, nil, false, problem.Method},
		{"other path", "POST", "/v1/nothing", wire.TypeJSON, good, nil, false, problem.NotFound},
		{"doubled slash", "POST", "/v1//renewals", wire.TypeJSON, good, nil, false, problem.NotFound},
		{"other type", "POST", wire.PathRenewals, "text/plain", good, nil, false, problem.UnsupportedMedia},
		{"no JSON", "POST", wire.PathRenewals, wire.TypeJSON, "{", nil, false, problem.Malformed},
		{"JSON called CBOR", "POST", wire.PathRenewals, wire.TypeCBOR, good, nil, false, problem.Malformed},
		{"too large", "POST", wire.PathRenewals, wire.TypeJSON, strings.Repeat(" ", wire.MaxBody+1), nil, false, problem.TooLarge},
		{"the role's error", "POST", wire.PathRenewals, wire.TypeJSON, good, func() error { return fmt.Errorf("x: %w", errRole) }, false, problem.OfferUsed},
		{"a problem as it is", "POST", wire.PathRenewals, wire.TypeJSON, good, func() error { return problem.New(problem.Limited, "") }, false, problem.Limited},
		{"out of time", "POST", wire.PathRenewals, wire.TypeJSON, good, func() error { return context.DeadlineExceeded }, false, problem.Unavailable},
		{"an error that nobody knows", "POST", wire.PathRenewals, wire.TypeJSON, good, func() error { return errors.New("secret of the house") }, false, problem.Internal},
		{"own registry expired", "POST", wire.PathRenewals, wire.TypeJSON, good, nil, true, problem.Registry},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			if test.do != nil {
				r.do = test.do
			}
			if test.late {
				r.now = r.expires
			}
			w := r.send(test.method, test.path, test.mediaType, test.body)
			if w.Header().Get(wire.HeaderRegistry) == "" {
				t.Error("no stamp")
			}
			if test.want == "" {
				if w.Code != http.StatusOK || w.Header().Get("Content-Type") != test.mediaType || w.Body.String() != test.body {
					t.Errorf("status %d, %q", w.Code, w.Body)
				}
				return
			}
			d, err := problem.Read(w.Body)
			if err != nil || d.Kind() != test.want || w.Code != test.want.Row().Status || w.Header().Get("Content-Type") != problem.MediaType {
				t.Errorf("status %d, %+v, %v", w.Code, d, err)
			}
			if strings.Contains(fmt.Sprint(d), "secret of the house") {
				t.Error("an unknown error's words were sent")
			}
			if strings.Contains(r.logs.String(), "token-of-somebody") || strings.Contains(r.logs.String(), "192.0.2.1") {
				t.Errorf("the log names somebody: %s", r.logs.String())
			}
		})
	}
}

func TestHeadersOfRefusals(t *testing.T) {
	for kind, want := range map[problem.Kind]map[string]string{
		problem.Limited:         {"Retry-After": "600"},
		problem.Unavailable:     {"Retry-After": "5"},
		problem.Unauthenticated: {"Www-Authenticate": "Bearer"},
		problem.Malformed:       {"Retry-After": ""},
	} {
		w := httptest.NewRecorder()
		endpoint.WriteProblem(w, kind, "")
		for name, value := range want {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %s is %q, not %q", kind, name, got, value)
			}
		}
	}
}

func TestCallerAndObserver(t *testing.T) {
	r := newRig(t)
	r.send("POST", wire.PathRenewals, wire.TypeJSON, `{"id":"AQI"}`)
	r.send("POST", wire.PathRenewals, wire.TypeJSON, `{`)
	if r.who.Token != "token-of-somebody" || r.who.IsParty {
		t.Errorf("%+v", r.who.IsParty)
	}
	if got := strings.Join(r.seen, ", "); got != wire.PathRenewals+" ok, "+wire.PathRenewals+" malformed" {
		t.Errorf("observed %s", got)
	}
}

// TestServeEndsGracefully: a request under way is finished, a new one refused.
func TestServeEndsGracefully(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began, finish := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- endpoint.Serve(ctx, l, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(began)
			<-finish
			_, _ = io.WriteString(w, "done")
		}))
	}()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		answer <- string(b)
	}()
	<-began
	stop()
	time.Sleep(20 * time.Millisecond)
	close(finish)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way: %s", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if resp, err := http.Get("http://" + l.Addr().String()); err == nil {
		_ = resp.Body.Close()
		t.Error("still listening")
	}
}

func TestOperations(t *testing.T) {
	m := endpoint.NewMetrics("test")
	m.Observe("/v1/x", "ok", time.Millisecond)
	g := prometheus.NewRegistry()
	for _, c := range m.Metrics() {
		g.MustRegister(c)
	}
	ready := errors.New("the registry has expired")
	h := endpoint.Operations(func() error { return ready }, g)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("health %d", code)
	}
	if code, text := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "expired") {
		t.Errorf("not ready: %d %s", code, text)
	}
	ready = nil
	if code, _ := get("/readyz"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	if _, text := get("/metrics"); !strings.Contains(text, `whither_test_answers_total{outcome="ok",path="/v1/x"} 1`) {
		t.Errorf("metrics: %s", text)
	}
}
