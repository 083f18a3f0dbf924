package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"whither/problem"
)

func TestCatalogue(t *testing.T) {
	rows := problem.Catalogue()
	if len(rows) < 50 {
		t.Fatalf("only %d rows", len(rows))
	}
	seen := make(map[problem.Kind]bool)
	for _, r := range rows {
		if seen[r.Kind] {
			t.Errorf("%s is listed twice", r.Kind)
		}
		seen[r.Kind] = true
		if strings.Trim(string(r.Kind), "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%s is not a plain name", r.Kind)
		}
		if r.Status < 400 || r.Status > 599 || r.Title == "" || r.Do == "" || r.Retry == "" {
			t.Errorf("%s: incomplete row %+v", r.Kind, r)
		}
		if r.Retry == problem.RetryLater && r.Status == 400 {
			t.Errorf("%s: a malformed request does not heal", r.Kind)
		}
	}
}

func TestDocument(t *testing.T) {
	d := problem.New(problem.OfferUsed, "offer")
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	back, err := problem.Read(strings.NewReader(string(b)))
	if err != nil || back != d {
		t.Fatalf("%+v, %v", back, err)
	}
	wrapped := fmt.Errorf("submit: %w", back)
	if !errors.Is(wrapped, problem.Error(problem.OfferUsed)) || errors.Is(wrapped, problem.Error(problem.OfferExpired)) {
		t.Error("errors.Is")
	}
	if problem.KindOf(wrapped) != problem.OfferUsed || problem.KindOf(errors.New("x")) != "" {
		t.Error("KindOf")
	}
	if !strings.Contains(d.Error(), "ask for a new offer") {
		t.Errorf("%q does not say what to do", d.Error())
	}
	if got := problem.Kind("nonsense").Row().Kind; got != problem.Internal {
		t.Errorf("unknown kind becomes %s", got)
	}
}

func TestReadBounded(t *testing.T) {
	if _, err := problem.Read(strings.NewReader(strings.Repeat(" ", problem.MaxSize+2))); err == nil {
		t.Error("an endless document was read")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"type":"urn:whither:problem:internal","title":"x","status":500}`)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := problem.Read(strings.NewReader(s)); err == nil && strings.Contains(string(d.Kind()), problem.Prefix+problem.Prefix) {
			t.Error("prefix kept")
		}
	})
}
