package camara_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"whither/internal/camara"
	"whither/internal/world/worldtest"
)

// TestSIMAnswers: what operators answer about SIM cards, well-formed and not.
func TestSIMAnswers(t *testing.T) {
	number := worldtest.CSI(t, "tel:+41791234567")
	for name, test := range map[string]struct {
		status         int
		body           string
		changed, known bool
		fails          bool
	}{
		"changed":     {status: 200, body: `{"swapped":true}`, changed: true, known: true},
		"not changed": {status: 200, body: `{"swapped":false}`, known: true},
		"not its own": {status: 404, body: `{"status":404,"code":"IDENTIFIER_NOT_FOUND","message":"+41791234567"}`},
		"not offered": {status: 422, body: `{"code":"SERVICE_NOT_APPLICABLE"}`},
		"too long":    {status: 400, body: `{"code":"OUT_OF_RANGE","message":"+41791234567"}`, fails: true},
		"not allowed": {status: 403, body: `{"code":"PERMISSION_DENIED"}`, fails: true},
		"says nothing": {
			status: 200, body: `{}`, fails: true,
		},
		"null":     {status: 200, body: `{"swapped":null}`, fails: true},
		"a word":   {status: 200, body: `{"swapped":"no"}`, fails: true},
		"no JSON":  {status: 200, body: `<html>`, fails: true},
		"down":     {status: 503, body: ``, fails: true},
		"404 page": {status: 404, body: `<html>not here`, fails: true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var in map[string]any
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["phoneNumber"] != "+41791234567" || in["maxAge"] != 240.0 || r.URL.Path != "/check" {
				t.Errorf("%s: asked %v at %s, %v", name, in, r.URL.Path, err)
			}
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		sim, err := camara.NewSIM(server.URL, "t")
		if err != nil {
			t.Fatal(err)
		}
		changed, known, err := sim.Changed(t.Context(), number, 240*time.Hour)
		if changed != test.changed || known != test.known || errors.Is(err, camara.ErrUnavailable) != test.fails || (err == nil) == test.fails {
			t.Errorf("%s: %t, %t, %v", name, changed, known, err)
		}
		if err != nil && strings.Contains(err.Error(), "4179") {
			t.Errorf("%s: the error holds the number: %v", name, err)
		}
		server.Close()
	}
}

// TestOperators: the longest prefix decides who is asked; a number of nobody's is
// not known.
func TestOperators(t *testing.T) {
	operator := func(changed bool) *camara.SIM {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]bool{"swapped": changed})
		}))
		t.Cleanup(server.Close)
		sim, err := camara.NewSIM(server.URL, "t")
		if err != nil {
			t.Fatal(err)
		}
		return sim
	}
	all := camara.Operators{{Prefix: "+41", SIM: operator(false)}, {Prefix: "+4179", SIM: operator(true)}, {Prefix: "+4", SIM: operator(false)}}
	for number, want := range map[string][2]bool{
		"tel:+41791234567": {true, true}, "tel:+41781234567": {false, true}, "tel:+493012345678": {false, true}, "tel:+14085550123": {false, false},
	} {
		changed, known, err := all.Changed(t.Context(), worldtest.CSI(t, number), time.Hour)
		if err != nil || changed != want[0] || known != want[1] {
			t.Errorf("%s: %t, %t, %v", number, changed, known, err)
		}
	}
	for _, within := range []time.Duration{0, time.Minute, 2401 * time.Hour} {
		if _, _, err := all.Changed(t.Context(), worldtest.CSI(t, "tel:+41791234567"), within); err == nil || errors.Is(err, camara.ErrUnavailable) {
			t.Errorf("within %s: %v", within, err)
		}
	}
	for _, base := range []string{"http://op.example", "ftp://127.0.0.1", "https://u@op.example", "https://op.example?a", "x"} {
		if _, err := camara.NewSIM(base, "t"); err == nil {
			t.Errorf("%s is taken", base)
		}
	}
	if _, err := camara.NewSIM("https://op.example", ""); err == nil {
		t.Error("no token is taken")
	}
}
