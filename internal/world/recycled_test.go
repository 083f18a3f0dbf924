package world_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"whither/client"
	"whither/internal/dp/events"
	"whither/internal/party"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// announce is a carrier's word on bob's number, and when it was true.
func (s *scene) announce(t *testing.T, carrier, typ string, at time.Time) []byte {
	t.Helper()
	keys, err := party.Load(s.Path(carrier))
	if err != nil {
		t.Fatal(err)
	}
	var jti [8]byte
	if _, err := rand.Read(jti[:]); err != nil {
		t.Fatal(err)
	}
	raw, err := events.Announcement{
		Issuer: "https://" + carrier, Audience: "https://" + world.DP, ID: hex.EncodeToString(jti[:]), Type: typ,
		Issued: s.now(), At: at, About: s.byNumber(t).csi,
	}.Sign(keys.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// push delivers a token, and returns the status and RFC 8935's error code.
func (s *scene) push(t *testing.T, contentType string, raw []byte) (int, string) {
	t.Helper()
	dp, ok := s.snapshot(t).Party(worldtest.Party(t, world.DP))
	if !ok {
		t.Fatal("no DP")
	}
	h := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, // who answers is another test's subject
	}}
	defer h.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, dp.Self.Endpoint+wire.PathEvents, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := h.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var refusal struct {
		Err string `json:"err"`
	}
	if answer.StatusCode == http.StatusBadRequest {
		if err := json.NewDecoder(answer.Body).Decode(&refusal); err != nil {
			t.Fatal(err)
		}
	}
	return answer.StatusCode, refusal.Err
}

const secevent = "application/secevent+jwt"

func (s *scene) wantTaken(t *testing.T, raw []byte) {
	t.Helper()
	if status, code := s.push(t, secevent, raw); status != http.StatusAccepted {
		t.Fatalf("pushed: %d, %s", status, code)
	}
}

const (
	carrierA = "carrier-a.example" // has bob's number
	carrierB = "carrier-b.example" // has not
)

// byCodes enrols the number for whoever has the phone with it.
func (s *scene) byCodes(t *testing.T, p person) (mapping.Verified, error) {
	t.Helper()
	done, err := s.client(t).Enrol(t.Context(), s.codes(t, p), desk.NewPerson(s.Desk, p.csi), &client.Enrolment{}, silent)
	return done.Mapping, err
}

func (s *scene) codes(t *testing.T, p person) client.Wish {
	w := s.wish(t, p)
	w.Evidence = possession.CodeMessage
	return w
}

// newHolder is somebody else who got bob's number.
func (s *scene) newHolder(t *testing.T) person {
	t.Helper()
	p := s.byNumber(t)
	p.key = newKey(t)
	return p
}

// TestR16TimelineWithFeed is the source's timeline: a number is given back and
// inactive, given out again, old and new holder stand side by side, and the carrier
// tells. It converges within a minute: at once.
func TestR16TimelineWithFeed(t *testing.T) {
	s := newStory(t)
	old := s.byNumber(t)
	v, err := s.byCodes(t, old)
	if err != nil {
		t.Fatal(err)
	}
	s.pass(t, 3)
	released := s.now()
	s.wantTaken(t, s.announce(t, carrierA, events.Released, released)) // t: inactive
	s.wantFound(t, "inactive", old)
	if st, err := s.client(t).Standing(t.Context(), worldtest.Party(t, world.DP), v.Claims().ID, old.key); problem.KindOf(err) != problem.MappingUnknown {
		t.Errorf("the old holder's mapping: %+v, %v", st.State, err)
	}
	s.pass(t, 2)
	next := s.newHolder(t) // reassigned
	if _, err := s.byCodes(t, next); err != nil {
		t.Fatalf("the new holder: %v", err)
	}
	s.wantFound(t, "reassigned", old, next)
	// The carrier's reports arrive late, again, and out of order: they touch nobody
	// who proved after what they tell of.
	for range 2 {
		s.wantTaken(t, s.announce(t, carrierA, events.Recycled, released.Add(time.Hour)))
	}
	s.wantFound(t, "told again", old, next)
}

// TestR16TimelineOldAndNew: the number was given out again before anybody was told;
// the new holder is held, and lives within a minute of the carrier's word.
func TestR16TimelineOldAndNew(t *testing.T) {
	s := newStory(t)
	old := s.byNumber(t)
	if _, err := s.byCodes(t, old); err != nil {
		t.Fatal(err)
	}
	s.pass(t, 3)
	reassigned := s.now()
	s.add(time.Hour)
	next := s.newHolder(t)
	if _, err := s.byCodes(t, next); err == nil {
		t.Fatal("two holders at once")
	}
	s.wantFound(t, "old and new together", old, old)
	began := time.Now()
	raw := s.announce(t, carrierA, events.Recycled, reassigned)
	s.wantTaken(t, raw)
	s.wantFound(t, "converged", old, next)
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %s", d)
	}
	s.wantTaken(t, raw) // replayed
	s.wantFound(t, "replayed", old, next)
}

// TestR16TimelineWithoutFeed: nobody tells. The new holder's first mapping takes
// the place of the old one's when the hold is over.
func TestR16TimelineWithoutFeed(t *testing.T) {
	s := newStory(t)
	old := s.byNumber(t)
	if _, err := s.byCodes(t, old); err != nil {
		t.Fatal(err)
	}
	s.pass(t, 3)
	next := s.newHolder(t)
	if _, err := s.byCodes(t, next); err == nil {
		t.Fatal("two holders at once")
	}
	s.pass(t, 6)
	s.wantFound(t, "old and new together", old, old)
	s.pass(t, 2)
	s.wantFound(t, "converged", old, next)
}

// TestR16StrangersWord: a carrier that has not the number ends nothing with its
// word; it asks the holder, who proves again. Forged tokens are not taken at all.
func TestR16StrangersWord(t *testing.T) {
	s := newStory(t)
	old := s.byNumber(t)
	v, err := s.byCodes(t, old)
	if err != nil {
		t.Fatal(err)
	}
	s.pass(t, 1)
	s.wantTaken(t, s.announce(t, carrierB, events.Recycled, s.now()))
	s.wantFound(t, "told by a stranger", old, old)
	st := s.standing(t, old, v.Claims().ID)
	if len(st.Claims) != 1 || st.Claims[0].Answered {
		t.Fatalf("asked: %+v", st.Claims)
	}
	s.pass(t, 1)
	if r, err := s.client(t).Reprove(t.Context(), v, old.key, possession.CodeMessage, desk.NewPerson(s.Desk, old.csi), &client.Enrolment{}, silent); err != nil || r.Answered != 1 {
		t.Fatalf("proved again: %+v, %v", r.Answered, err)
	}
	s.pass(t, 10)
	s.wantFound(t, "later", old, old)

	raw := s.announce(t, carrierA, events.Recycled, s.now())
	for name, c := range map[string]struct {
		kind, code string
		raw        []byte
	}{
		"forged":           {secevent, "authentication_failed", append(raw[:len(raw)-4:len(raw)-4], "AAAA"...)},
		"no token":         {secevent, "invalid_request", []byte("x")},
		"oversized":        {secevent, "invalid_request", bytes.Repeat([]byte("a"), events.MaxSize+1)},
		"another type":     {"application/json", "invalid_request", raw},
		"an unknown party": {secevent, "invalid_issuer", s.unknown(t)},
	} {
		if status, code := s.push(t, c.kind, c.raw); status != http.StatusBadRequest || code != c.code {
			t.Errorf("%s: %d, %s", name, status, code)
		}
	}
	s.wantFound(t, "forged", old, old)
}

// unknown is a token of somebody who is not in the registry.
func (s *scene) unknown(t *testing.T) []byte {
	t.Helper()
	raw, err := events.Announcement{
		Issuer: "https://nobody.example", Audience: "https://" + world.DP, ID: "1", Type: events.Recycled, Issued: s.now(), About: s.byNumber(t).csi,
	}.Sign(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestR16PortedNumberKeepsItsMapping: bob takes his number to another provider. His
// mapping stays, and the word of the carrier that he left ends nothing any more.
func TestR16PortedNumberKeepsItsMapping(t *testing.T) {
	s := newStory(t)
	old := s.byNumber(t)
	if _, err := s.byCodes(t, old); err != nil {
		t.Fatal(err)
	}
	s.pass(t, 1)
	s.wantTaken(t, s.announce(t, carrierA, events.Ported, s.now()))
	s.wantFound(t, "ported", old, old)
	s.pass(t, 1)
	s.wantTaken(t, s.announce(t, carrierA, events.Released, s.now()))
	s.wantFound(t, "released by the one that he left", old, old)
}
