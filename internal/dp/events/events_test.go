package events_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/internal/dp/events"
	"whither/internal/dp/precedence"
	"whither/internal/world/worldtest"
	"whither/registry"
)

const (
	carrier  = "carrier-a.example"
	number   = "tel:+41791234567"
	audience = "https://" + worldtest.DP
)

// ear is a directory that notes what it hears.
type ear struct {
	heard  []precedence.Event
	names  []string
	ported bool
	broken error
}

func (e *ear) Hear(_ context.Context, _ csi.ID, event precedence.Event, name []byte, _ string, _ time.Time) error {
	if e.broken != nil {
		return e.broken
	}
	e.heard, e.names = append(e.heard, event), append(e.names, string(name))
	return nil
}

func (e *ear) Ported(context.Context, csi.ID, time.Time) (bool, error) { return e.ported, e.broken }

// stage is a federation with a carrier of numbers that begin with +4179.
type stage struct {
	*worldtest.Federation
	*ear
	receiver events.Receiver
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{Federation: worldtest.New(t), ear: &ear{}}
	s.Add(carrier, registry.RoleCSIP, nil)
	g := s.Grant(carrier)
	g.Schemes, g.Ranges = []string{"tel"}, []string{"+4179"}
	s.receiver = events.Receiver{Audience: audience, Snapshot: s.Snapshot, Directory: s.ear, Now: func() time.Time { return s.Now }}
	return s
}

// announce is a carrier's word, bent.
func (s *stage) announce(bend func(*events.Announcement)) []byte {
	s.T.Helper()
	a := events.Announcement{
		Issuer: "https://" + carrier, Audience: audience, ID: "1", Type: events.Recycled, Issued: s.Now, About: worldtest.CSI(s.T, number),
	}
	if bend != nil {
		bend(&a)
	}
	b, err := a.Sign(worldtest.Key(s.T, carrier))
	if err != nil {
		s.T.Fatal(err)
	}
	return b
}

// TestR16EventsByType: each type of event reaches the directory as what it is, at
// the time when it happened, under a name that is the same each time.
func TestR16EventsByType(t *testing.T) {
	for typ, kind := range map[string]precedence.EventKind{
		events.Recycled: precedence.ChangedHands, events.Changed: precedence.Released, events.Released: precedence.Released, events.Ported: precedence.Ported,
	} {
		s := newStage(t)
		at := s.Now.Add(-48 * time.Hour)
		raw := s.announce(func(a *events.Announcement) { a.Type, a.At = typ, at })
		for range 2 {
			if err := s.receiver.Receive(t.Context(), raw); err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
		}
		want := precedence.Event{Kind: kind, At: time.Unix(at.Unix(), 0).UTC(), Believed: true}
		for i := range s.heard {
			s.heard[i].At = s.heard[i].At.UTC()
		}
		if diff := cmp.Diff([]precedence.Event{want, want}, s.heard); diff != "" || s.names[0] != s.names[1] {
			t.Errorf("%s: %s", typ, diff)
		}
	}
}

// TestR16Authority: what ends mappings is said by who has the word on the
// identifier; what anybody else of the federation says is heard and not believed.
func TestR16Authority(t *testing.T) {
	for name, c := range map[string]struct {
		bend     func(*stage)
		about    string
		typ      string
		believed bool
		unheard  bool
	}{
		"its own range":            {about: number, believed: true},
		"another range":            {about: "tel:+41761234567"},
		"a mail address":           {about: "mailto:bob@example.org"},
		"a grant without ranges":   {bend: func(s *stage) { s.Grant(carrier).Ranges = nil }, about: number},
		"a grant without schemes":  {bend: func(s *stage) { s.Grant(carrier).Schemes = nil }, about: number},
		"a number ported away":     {bend: func(s *stage) { s.ported = true }, about: number},
		"ported, of another range": {about: "tel:+41761234567", typ: events.Ported, unheard: true},
	} {
		s := newStage(t)
		if c.bend != nil {
			c.bend(s)
		}
		err := s.receiver.Receive(t.Context(), s.announce(func(a *events.Announcement) {
			a.About = worldtest.CSI(t, c.about)
			if c.typ != "" {
				a.Type = c.typ
			}
		}))
		if err != nil || (len(s.heard) == 0) != c.unheard || !c.unheard && s.heard[0].Believed != c.believed {
			t.Errorf("%s: %+v, %v", name, s.heard, err)
		}
	}
	if events.Covers(registry.Grant{Schemes: []string{"mailto"}, Ranges: []string{"example.org"}}, worldtest.CSI(t, "mailto:bob@a.example.org")) {
		t.Error("a domain below is covered")
	}
	if !events.Covers(registry.Grant{Schemes: []string{"mailto"}, Ranges: []string{"example.org"}}, worldtest.CSI(t, "mailto:bob@example.org")) {
		t.Error("a domain is not covered")
	}
}

// TestR16EventsRefused: forged, stale, foreign and malformed tokens are refused,
// each for its own reason, and nothing is heard of them.
func TestR16EventsRefused(t *testing.T) {
	resign := func(s *stage, payload string) []byte { // a token under the carrier's key with another content
		head, _, _ := strings.Cut(string(s.announce(nil)), ".")
		input := head + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		return []byte(input + "." + base64.RawURLEncoding.EncodeToString(worldtest.Key(s.T, carrier).Sign([]byte(input))))
	}
	content := func(s *stage) string {
		parts := strings.Split(string(s.announce(nil)), ".")
		b, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			s.T.Fatal(err)
		}
		return string(b)
	}
	swap := func(from, to string) func(*stage) []byte {
		return func(s *stage) []byte {
			before := content(s)
			after := strings.Replace(before, from, to, 1)
			if before == after {
				s.T.Fatalf("%q is not in %s", from, before)
			}
			return resign(s, after)
		}
	}
	bent := func(bend func(*events.Announcement)) func(*stage) []byte {
		return func(s *stage) []byte { return s.announce(bend) }
	}
	for name, c := range map[string]struct {
		make func(*stage) []byte
		want error
	}{
		"nothing":             {func(*stage) []byte { return nil }, events.ErrToken},
		"too large":           {func(*stage) []byte { return []byte(strings.Repeat("a", events.MaxSize+1)) }, events.ErrToken},
		"a changed payload":   {func(s *stage) []byte { return flip(s.announce(nil)) }, events.ErrSigned},
		"another audience":    {bent(func(a *events.Announcement) { a.Audience = "https://dp-b.example" }), events.ErrAudience},
		"no party":            {bent(func(a *events.Announcement) { a.Issuer = "https://nobody.example" }), events.ErrIssuer},
		"a party, no CSIP":    {bent(func(a *events.Announcement) { a.Issuer = "https://" + worldtest.MSPA }), events.ErrIssuer},
		"the future":          {bent(func(a *events.Announcement) { a.Issued = a.Issued.Add(time.Hour) }), events.ErrFuture},
		"too old":             {bent(func(a *events.Announcement) { a.Issued = a.Issued.Add(-events.MaxAge - time.Hour) }), events.ErrStale},
		"about long ago":      {bent(func(a *events.Announcement) { a.At = a.Issued.Add(-events.MaxPast - time.Hour) }), events.ErrStale},
		"before it happened":  {bent(func(a *events.Announcement) { a.At = a.Issued.Add(time.Hour) }), events.ErrToken},
		"an unknown type":     {bent(func(a *events.Announcement) { a.Type = "urn:whither:event:nothing" }), events.ErrKind},
		"no jti":              {bent(func(a *events.Announcement) { a.ID = "" }), events.ErrToken},
		"an exp":              {swap(`{`, `{"exp":9999999999,`), events.ErrToken},
		"a sub":               {swap(`{`, `{"sub":"x",`), events.ErrToken},
		"a member twice":      {swap(`{`, `{"iss":"x",`), events.ErrToken},
		"iat as text":         {swap(`"iat":`, `"iat":"","x":`), events.ErrToken},
		"two events":          {swap(`"events":{`, `"events":{"`+events.Released+`":{},`), events.ErrToken},
		"an event's members":  {swap(`recycled":{`, `recycled":{"reason":"x"`), events.ErrToken},
		"a subject's members": {swap(`"sub_id":{`, `"sub_id":{"x":"y",`), events.ErrToken},
		"format of old":       {swap(`"format":"phone_number"`, `"format":"phone"`), events.ErrToken},
		"no such number":      {swap(`+41791234567`, `12`), events.ErrToken},
		"a closed CSIP": {func(s *stage) []byte {
			s.Grant(carrier).Standing = registry.Standing{State: registry.Closed, Since: s.Now.Add(-time.Hour).Unix()}
			return s.announce(nil)
		}, events.ErrIssuer},
		"a key out of use": {func(s *stage) []byte {
			s.Selfs[carrier].Keys[0].Until = s.Now.Add(-time.Hour).Unix()
			return s.announce(func(a *events.Announcement) { a.Issued = a.Issued.Add(-2 * time.Hour) })
		}, events.ErrKey},
		"another party's key": {func(s *stage) []byte {
			a := events.Announcement{
				Issuer: "https://" + carrier, Audience: audience, ID: "1", Type: events.Recycled, Issued: s.Now, About: worldtest.CSI(s.T, number),
			}
			b, err := a.Sign(worldtest.Key(s.T, worldtest.MSPA))
			if err != nil {
				s.T.Fatal(err)
			}
			return b
		}, events.ErrKey},
	} {
		s := newStage(t)
		err := s.receiver.Receive(t.Context(), c.make(s))
		if !errors.Is(err, c.want) || len(s.heard) != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "4179") {
			t.Errorf("%s: the error names the number", name)
		}
	}
}

// flip changes the time in a token's payload.
func flip(raw []byte) []byte {
	parts := strings.Split(string(raw), ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	b = []byte(strings.Replace(string(b), `"jti":"1"`, `"jti":"2"`, 1))
	parts[1] = base64.RawURLEncoding.EncodeToString(b)
	return []byte(strings.Join(parts, "."))
}

// TestDirectoryOutOfOrder: what could not be stored is refused, so that it is
// pushed again.
func TestDirectoryOutOfOrder(t *testing.T) {
	s := newStage(t)
	s.broken = errors.New("no store")
	if err := s.receiver.Receive(t.Context(), s.announce(nil)); !errors.Is(err, s.broken) {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: what is parsed is about one identifier, and never more than was signed.
func FuzzParse(f *testing.F) {
	a := events.Announcement{
		Issuer: "https://" + carrier, Audience: audience, ID: "1", Type: events.Recycled,
		Issued: time.Unix(1_800_000_000, 0), About: worldtest.CSI(f, number),
	}
	raw, err := a.Sign(worldtest.Key(f, carrier))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("e30.e30."))
	f.Fuzz(func(t *testing.T, raw []byte) {
		token, err := events.Parse(raw)
		if err != nil {
			return
		}
		if token.Issuer == "" || token.ID == "" || len(token.Audience) == 0 || token.At.After(token.Issued) ||
			token.About.IsZero() && token.Type != events.Verification || !slices.Equal(token.Bytes(), raw) {
			t.Errorf("%+v", token)
		}
	})
}
