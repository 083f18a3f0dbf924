package world_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/csi"
	"whither/internal/pinned"
	"whither/internal/world"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/registry/update"
	"whither/wire"
)

// TestR17IncumbentIsToldThreeWays: somebody else proves that he has bob's
// address. bob hears it from his MSP, by a mail to the address, and when his
// client asks how his mapping stands; and not a word on who it is. When bob
// withdraws, the newcomer lives.
func TestR17IncumbentIsToldThreeWays(t *testing.T) {
	s := newScene(t, nil)
	v, err := s.enrol(t, s.holder, &client.Enrolment{})
	if err != nil {
		t.Fatal(err)
	}
	newcomer := s.holder
	if newcomer.key, err = key.Generate(rand.Reader); err != nil {
		t.Fatal(err)
	}
	var e client.Enrolment
	if _, err := s.enrol(t, newcomer, &e); !errors.Is(err, client.ErrHeld) {
		t.Fatalf("a second claim: %v", err)
	}
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	source, err := update.OpenFiles(s.RegistryPath(), s.RootPath(), s.now())
	if err != nil {
		t.Fatal(err)
	}
	people := pinned.NewClient(source.Snapshot, nil, s.now)
	defer people.Close()

	question, err := mapping.Ask(v.Claims().ID, s.holder.key, s.now())
	if err != nil {
		t.Fatal(err)
	}
	var standing wire.StandingAnswer
	if err := people.Call(t.Context(), worldtest.Party(t, world.DP), wire.PathStandings, "", wire.StandingRequest{Question: question}, &standing); err != nil {
		t.Fatal(err)
	}
	if len(standing.Claims) != 1 || standing.State != wire.StateAdmitted {
		t.Errorf("by its status: %+v", standing)
	}
	var inbox wire.InboxAnswer
	if err := people.Call(t.Context(), s.holder.msp, wire.PathInbox, s.holder.token, wire.InboxRequest{CSI: csi.Clear{ID: s.holder.csi}}, &inbox); err != nil {
		t.Fatal(err)
	}
	id := v.Claims().ID
	if len(inbox.Notices) != 1 || inbox.Notices[0].Kind != wire.NoticeClaim || !slices.Equal(inbox.Notices[0].Mapping, id[:]) {
		t.Errorf("by its MSP: %+v", inbox)
	}
	if n := len(s.mails(t, "somebody else says")); n != 1 {
		t.Errorf("by mail: %d", n)
	}
	fingerprint := newcomer.key.Public().ID().String()
	for _, mail := range s.mails(t, "") {
		if strings.Contains(mail, "somebody else says") && strings.Contains(mail, fingerprint) {
			t.Error("the mail tells who claims")
		}
	}
	if strings.Contains(s.logs.String(), base64.StdEncoding.EncodeToString([]byte(s.holder.csi.Address()))) || strings.Contains(s.logs.String(), s.holder.csi.Address()) {
		t.Error("a log names the person")
	}
	if err := s.Step(t.Context()); err != nil { // once more: nothing is told twice
		t.Fatal(err)
	}
	if n := len(s.mails(t, "somebody else says")); n != 1 {
		t.Errorf("by mail, later: %d", n)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.client(t).Withdraw(ctx, v, s.holder.key); err != nil {
		t.Fatal(err)
	}
	found := s.ask(t, s.holder.csi)
	if len(found.Mappings) != 1 || found.Mappings[0].Claims().Holder != newcomer.key.Public() || found.Mappings[0].Found() != mapping.FoundSilent {
		t.Errorf("after the withdrawal: %+v", found)
	}
}

// mails are the mails in bob's mailbox that have a text.
func (s *scene) mails(t *testing.T, text string) []string {
	t.Helper()
	var out []string
	all, err := s.Provider.Inbox(s.holder.csi.Address())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if strings.Contains(string(m.Raw), text) {
			out = append(out, string(m.Raw))
		}
	}
	return out
}
