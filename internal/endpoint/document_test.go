package endpoint_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"whither/internal/endpoint"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// TestPublish: what is read by GET has an ETag and a stamp, is answered once, and
// is refused as everything is.
func TestPublish(t *testing.T) {
	f := worldtest.New(t)
	s := f.Snapshot()
	now := f.Now
	var seen []string
	c := endpoint.Config{
		Snapshot: func() *registry.Snapshot { return s }, Now: func() time.Time { return now },
		Kind: func(err error) problem.Kind {
			if errors.Is(err, http.ErrNoLocation) {
				return problem.ListUnknown
			}
			return ""
		},
		Observe: func(path, outcome string, _ time.Duration) { seen = append(seen, path+" "+outcome) },
	}
	h := endpoint.Mux(c, f.File, map[string]http.Handler{
		wire.PathLists + "/{name}": endpoint.Publish(c, wire.PathLists, func(_ context.Context, r endpoint.Read) (endpoint.Document, error) {
			if r.Name != "1" {
				return endpoint.Document{}, http.ErrNoLocation
			}
			return endpoint.Document{Type: r.Encoding, Body: []byte("a list"), Cache: "public, immutable"}, nil
		}),
	})
	send := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Header().Get(wire.HeaderRegistry) == "" {
			t.Errorf("%s %s: no stamp", method, path)
		}
		return w
	}
	w := send("GET", "/v1/lists/1", "Accept", wire.TypeJSON)
	tag := w.Header().Get("ETag")
	if w.Code != http.StatusOK || w.Body.String() != "a list" || w.Header().Get("Content-Type") != wire.TypeJSON ||
		w.Header().Get("Cache-Control") != "public, immutable" || len(tag) != 66 {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := send("GET", "/v1/lists/1", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("again: %d", w.Code)
	}
	if w := send("HEAD", "/v1/lists/1"); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Type") != wire.TypeCBOR {
		t.Errorf("head: %d %v", w.Code, w.Header())
	}
	for path, want := range map[string]problem.Kind{"/v1/lists/2": problem.ListUnknown, "/v1/lists/1/1": problem.NotFound} {
		if d, err := problem.Read(send("GET", path).Body); err != nil || d.Kind() != want {
			t.Errorf("%s: %v, %v", path, d, err)
		}
	}
	w = send("POST", "/v1/lists/1")
	if d, err := problem.Read(w.Body); err != nil || d.Kind() != problem.Method || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %v, %v", d, err)
	}
	now = s.Expires()
	if d, err := problem.Read(send("GET", "/v1/lists/1").Body); err != nil || d.Kind() != problem.Registry {
		t.Errorf("registry expired: %v, %v", d, err)
	}
	if got := strings.Join(seen, ", "); got != "/v1/lists ok, /v1/lists ok, /v1/lists ok, /v1/lists list-unknown, /v1/lists method, /v1/lists registry" {
		t.Errorf("observed %s", got)
	}
}
