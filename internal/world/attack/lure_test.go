package attack_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	files "whither/registry/update"
)

// lured is a person whom the adversary has do something for a reason of hers. She
// has the challenge, and lets the adversary read it: the best that he can hope for.
type lured struct {
	*desk.Person
	reply func(body string) string // what she sends instead of the response; nil: the response
	keys  func(code string) string // what she enters in the call
	text  func(text string) string // what her phone sends
}

func (l lured) SendReply(ctx context.Context, from, token, body string) error {
	if l.reply != nil {
		_ = l.Person.SendReply(ctx, from, token, l.reply(body)) // refused to her, and she does not care
		return nil
	}
	return l.Person.SendReply(ctx, from, token, body)
}

func (l lured) Call(ctx context.Context, to, sentence, code string) error {
	if l.keys != nil {
		_ = l.Person.Call(ctx, to, sentence, l.keys(code))
		return nil
	}
	return l.Person.Call(ctx, to, sentence, code)
}

func (l lured) SendText(ctx context.Context, to, text string) error {
	if l.text != nil {
		_ = l.Person.SendText(ctx, to, l.text(text))
		return nil
	}
	return l.Person.SendText(ctx, to, text)
}

// TestR05LuresAtProvers lures a person, over the sockets of real provers: by mail,
// which her program answers with a quotation; by a call back without a code; by a
// text. Nothing comes of it. The same program with the true answer succeeds.
func TestR05LuresAtProvers(t *testing.T) {
	victim := world.Person{Name: "bob", Number: "+41791234567"}
	w, err := world.Start(t.Context(), world.Config{
		Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler), People: []world.Person{victim}, Tick: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	quote := func(body string) string {
		return "Who is this?\n\nOn Sunday somebody wrote:\n> " + strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n> ") + "\n"
	}
	say := func(s string) func(string) string { return func(string) string { return s } }
	mail, phone := "mailto:"+victim.Address(), "tel:"+victim.Number
	for _, c := range []struct {
		name, csi string
		evidence  possession.Kind
		bend      lured
		refused   string // by which check the prover refused it
		done      bool
	}{
		{"a reply that quotes the response", mail, possession.MailReply, lured{reply: quote}, "mail-content", false},
		{"a reply below the response", mail, possession.MailReply, lured{reply: func(b string) string { return b + "\nIs that what you wanted?\n" }}, "mail-content", false},
		{"a reply with other words", mail, possession.MailReply, lured{reply: say("Yes, I am Bob.\n")}, "mail-content", false},
		{"a reply with the response", mail, possession.MailReply, lured{}, "", true},
		{"a text with other words", phone, possession.SIPMessage, lured{text: say("Yes, I am Bob.")}, "stir-content", false},
		{"a call back, and next to nothing entered", phone, possession.SignedCall, lured{keys: say("1")}, "", false},
		{"a call back, and something entered", phone, possession.SignedCall, lured{keys: say("12345678")}, "code-wrong", false},
		{"a text with the response", phone, possession.SIPMessage, lured{}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := lure(t, w, c.csi, c.evidence, c.bend, c.done)
			if got := strings.TrimPrefix(e.Refused, "urn:whither:problem:"); got != c.refused {
				t.Errorf("refused by %q, want %q", got, c.refused)
			}
			if done := err == nil; done != c.done {
				t.Errorf("enrolled: %t, %v", done, err)
			}
		})
	}
}

// lure has somebody enrol a CSI that is not his, with a key of his own and for no
// MSP, so that all depends on the provers.
func lure(t *testing.T, w *world.World, name string, evidence possession.Kind, person lured, isTrue bool) (client.Enrolment, error) {
	t.Helper()
	id := worldtest.CSI(t, name)
	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	source, err := files.OpenFiles(w.RegistryPath(), w.RootPath(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(client.Config{Registry: source.Snapshot, Now: time.Now})
	t.Cleanup(c.Close)
	patience := time.Second // in which a prover that will refuse has done so
	if isTrue {
		patience = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	person.Person = desk.NewPerson(w.Desk, id)
	var e client.Enrolment
	_, err = c.Enrol(ctx, client.Wish{CSI: id, Key: k, DP: worldtest.Party(t, world.DP), Evidence: evidence}, person, &e, func(string) {})
	return e, err
}
