package phonenet_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"whither/internal/world/phonenet"
)

// TestOperatorHoldsItsContract: the operator answers what CAMARA's SIM Swap says
// that it answers, and refuses callers who do not keep to it.
func TestOperatorHoldsItsContract(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	net := phonenet.New(func() time.Time { return now })
	t.Cleanup(func() {
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, n := range []string{"+41791234567", "+41791234568", "+41791234569", "+14085550123"} {
		net.Connect(n)
	}
	o, err := net.AddOperator(t.Context(), "+41")
	if err != nil {
		t.Fatal(err)
	}
	net.ChangeSIM("+41791234567")
	o.Silence("+41791234569")
	now = now.Add(24 * time.Hour)
	for _, c := range []struct {
		name, body, token, mediaType string
		status                       int
		want                         string
	}{
		{name: "changed", body: `{"phoneNumber":"+41791234567","maxAge":24}`, status: 200, want: `{"swapped":true}`},
		{name: "by default ten days", body: `{"phoneNumber":"+41791234567"}`, status: 200, want: `{"swapped":true}`},
		{name: "before that", body: `{"phoneNumber":"+41791234567","maxAge":23}`, status: 200, want: `{"swapped":false}`},
		{name: "never", body: `{"phoneNumber":"+41791234568","maxAge":2400}`, status: 200, want: `{"swapped":false}`},
		{name: "not offered", body: `{"phoneNumber":"+41791234569"}`, status: 422, want: "SERVICE_NOT_APPLICABLE"},
		{name: "another operator's", body: `{"phoneNumber":"+14085550123"}`, status: 404, want: "IDENTIFIER_NOT_FOUND"},
		{name: "nobody's", body: `{"phoneNumber":"+41790000000"}`, status: 404, want: "IDENTIFIER_NOT_FOUND"},
		{name: "not a number", body: `{"phoneNumber":"tel:+41791234567"}`, status: 400, want: "INVALID_ARGUMENT"},
		{name: "no number", body: `{}`, status: 400, want: "INVALID_ARGUMENT"},
		{name: "unknown member", body: `{"phoneNumber":"+41791234567","age":1}`, status: 400, want: "INVALID_ARGUMENT"},
		{name: "too long", body: `{"phoneNumber":"+41791234567","maxAge":2401}`, status: 400, want: "OUT_OF_RANGE"},
		{name: "no time", body: `{"phoneNumber":"+41791234567","maxAge":0}`, status: 400, want: "OUT_OF_RANGE"},
		{name: "no JSON type", body: `{"phoneNumber":"+41791234567"}`, mediaType: "text/plain", status: 400, want: "INVALID_ARGUMENT"},
		{name: "a stranger", body: `{"phoneNumber":"+41791234567"}`, token: "x", status: 401, want: "UNAUTHENTICATED"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.URL()+"/check", bytes.NewReader([]byte(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		if c.token == "" {
			c.token = o.Token()
		}
		if c.mediaType == "" {
			c.mediaType = "application/json"
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Content-Type", c.mediaType)
		resp, err := new(http.Client).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%s: %d %s, %v", c.name, resp.StatusCode, b, err)
		}
	}
	if n := o.Asked(); n != 7 {
		t.Errorf("asked %d times", n)
	}
}
