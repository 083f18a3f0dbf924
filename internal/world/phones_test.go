package world_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/phonenet"
	"whither/internal/world/worldtest"
	"whither/possession"
	"whither/possession/stir/passport"
	"whither/problem"
	"whither/wire"
)

// phone is the person with the number of the scene's holder, whose app dies at
// times, just after her phone has sent or called.
type phone struct {
	*desk.Person
	used int
	dies bool
}

var errDied = errors.New("the app died")

func (p *phone) after(err error) error {
	p.used++
	if err == nil && p.dies {
		p.dies = false
		return errDied
	}
	return err
}

func (p *phone) SendText(ctx context.Context, to, text string) error {
	return p.after(p.Person.SendText(ctx, to, text))
}

func (p *phone) Call(ctx context.Context, to, sentence, code string) error {
	return p.after(p.Person.Call(ctx, to, sentence, code))
}

// enrolPhone enrols the number of the scene's holder by a kind of evidence.
func (s *scene) enrolPhone(t *testing.T, kind possession.Kind, h client.Holder, e *client.Enrolment) (client.Enrolled, error) {
	t.Helper()
	p := s.holder
	p.csi = worldtest.CSI(t, "tel:"+people[0].Number)
	w := s.wish(t, p)
	w.Evidence = kind
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return s.client(t).Enrol(ctx, w, h, e, func(string) {})
}

func (s *scene) phone(t *testing.T) *phone {
	return &phone{Person: desk.NewPerson(s.Desk, worldtest.CSI(t, "tel:"+people[0].Number))}
}

// TestR01NumberBySIP enrols a number by a message of its phone, and by a code and
// a call of its phone: the carrier signs, both provers see real SIP, and the logs
// of all parties name nobody.
func TestR01NumberBySIP(t *testing.T) {
	for kind, level := range map[possession.Kind]possession.Level{possession.SIPMessage: possession.Level4, possession.SignedCall: possession.Level2} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newScene(t, nil)
			done, err := s.enrolPhone(t, kind, s.phone(t), &client.Enrolment{})
			if err != nil {
				t.Fatal(err)
			}
			if got := done.Mapping.Evidence().Level; got != level {
				t.Errorf("level %d", got)
			}
			if got := s.ask(t, done.Mapping.Claims().CSI); got.Outcome != wire.OutcomeOne || got.Mappings[0].Digest() != done.Mapping.Digest() {
				t.Errorf("found: %s", got.Outcome)
			}
			for _, secret := range []string{people[0].Number[1:], "sip:", "eyJ", "127.0.0.1"} {
				if strings.Contains(s.logs.String(), secret) {
					t.Errorf("the logs hold %q", secret)
				}
			}
		})
	}
}

// TestR01NumberAfterTrouble: an app that died after the phone had done its part
// goes on with the receipt that was made meanwhile, and the phone is not used
// again; what the carrier got wrong is said, and can be done again.
func TestR01NumberAfterTrouble(t *testing.T) {
	for _, kind := range []possession.Kind{possession.SIPMessage, possession.SignedCall} {
		s := newScene(t, nil)
		carrier, err := s.Carriers.Of(people[0].Number)
		if err != nil {
			t.Fatal(err)
		}
		p, e := s.phone(t), &client.Enrolment{}
		carrier.Misbehave(phonenet.Fault{Claims: func(c *passport.Claims) {
			c.Attest, c.OrigID = "B", "123e4567-e89b-12d3-a456-426655440000"
		}})
		_, err = s.enrolPhone(t, kind, p, e)
		if err == nil || !strings.Contains(err.Error(), problem.STIRAttestation.Row().Do) {
			t.Fatalf("%s, not attested fully: %v", kind, err)
		}
		carrier.Misbehave(phonenet.Fault{})
		p.dies = true
		if _, err := s.enrolPhone(t, kind, p, e); !errors.Is(err, errDied) {
			t.Fatalf("%s: %v", kind, err)
		}
		before := len(s.Seen(world.ProverA)) + len(s.Seen(world.ProverB))
		if _, err := s.enrolPhone(t, kind, p, e); err != nil {
			t.Fatalf("%s, going on: %v", kind, err)
		}
		if p.used != 2 {
			t.Errorf("%s: the phone was used %d times", kind, p.used)
		}
		if after := len(s.Seen(world.ProverA)) + len(s.Seen(world.ProverB)); after == before {
			t.Errorf("%s: no prover was asked", kind)
		}
	}
}

// typist is a person who types what her app shows into the page of the desk.
type typist struct {
	*desk.Person
	page string
}

func (p typist) SendText(ctx context.Context, to, text string) error {
	return p.fill(ctx, url.Values{"number": {people[0].Number}, "to": {to}, "text": {strings.ReplaceAll(text, "\n", "\r\n")}})
}

func (p typist) Call(ctx context.Context, to, _, code string) error {
	return p.fill(ctx, url.Values{"number": {people[0].Number}, "to": {to}, "keys": {code}})
}

func (p typist) fill(ctx context.Context, form url.Values) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.page+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(b), "Done.") {
		err = errors.New("the page does not say that it is done")
	}
	return err
}

// TestPhonesByHand: the desk's page sends and calls as its programs do, and says
// what the other side refused.
func TestPhonesByHand(t *testing.T) {
	for _, kind := range []possession.Kind{possession.SIPMessage, possession.SignedCall} {
		s := newScene(t, nil)
		p := typist{desk.NewPerson(s.Desk, worldtest.CSI(t, "tel:"+people[0].Number)), s.Desk}
		if _, err := s.enrolPhone(t, kind, p, &client.Enrolment{}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := p.SendText(t.Context(), "sip:aaaaaaaaaaaaaaaaaaaaaaaaaa@"+world.ProverA, "hello"); err == nil {
			t.Error("a message to nobody is done")
		}
	}
}
