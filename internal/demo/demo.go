// Package demo tells the story of a discovery in a running world, with the very
// commands that a person would type, and checks what each one says.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"whither/internal/world"
	"whither/internal/world/mailnet"
	"whither/wire"
)

// Config is what a demonstration needs.
type Config struct {
	// Command carries out a command line of whither and returns its exit code.
	Command func(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int
	Dir     string // of the world; empty: a temporary one, removed at the end
	Once    bool   // leave when the story is told
	Log     *slog.Logger
	Out     io.Writer
	Now     func() time.Time
}

// The people of the demo.
const (
	holder  = "bob"
	asker   = "alice"
	address = holder + "@" + world.MailDomain
	number  = "+41791234567"
	handle  = "acct:" + holder + "@" + world.IdentityHost
	nobody  = "nobody@" + world.MailDomain
	// The asker's number is with another carrier.
	second = "+41765550123"
)

// demo is a running demonstration: a world and the commands that are tried in it.
type demo struct {
	Config
	world     *world.World
	holderDir string
	askerDir  string
}

// Run starts a world, tells the story in it, and stays up until ctx ends unless
// told not to.
func Run(ctx context.Context, c Config) (err error) {
	began := time.Now() //nolint:forbidigo // how long it really takes
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "whither-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
	} else if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	d := &demo{Config: c}
	people := []world.Person{{Name: holder, Number: number}, {Name: asker, Number: second}}
	d.world, err = world.Start(ctx, world.Config{Dir: c.Dir, Now: c.Now, Log: c.Log, Tick: time.Second, People: people})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.world.Close()) }()
	if d.holderDir, err = d.world.Settle(ctx, people[0], world.MSPA, world.MSPC); err != nil {
		return err
	}
	if d.askerDir, err = d.world.Settle(ctx, people[1], world.MSPB); err != nil {
		return err
	}
	if err := d.tell(ctx); err != nil {
		return err
	}
	if c.Once {
		d.say("\nAll of it was checked, in %s.", time.Since(began).Round(100*time.Millisecond)) //nolint:forbidigo // likewise
		return nil
	}
	d.invite()
	<-ctx.Done()
	d.say("\nStopping.")
	return nil
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.Out, format+"\n", args...) }

// tell tells the story, step by step, with the very commands that a person
// would type, and checks what each one says.
func (d *demo) tell(ctx context.Context) error {
	d.say("A federation runs on this machine: %s, %s, %s,\n%s, %s, %s, %s, %s; and beside it a mail provider for %s,\nan OpenID provider at %s, a DNS server, and a telephone network with two carriers.\nAll sockets are real.",
		world.DP, world.MSPA, world.MSPB, world.MSPC, world.ProverA, world.ProverB, world.ObserverA, world.ObserverB, world.MailDomain, world.IdentityHost)
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"Nobody has enrolled yet. The asker, who is at another provider, asks in vain", d.askInVain},
		{"The holder of the address makes a key, proves possession by mail, and enrols", func(ctx context.Context) error { return d.enrol(ctx) }},
		{"The same person enrols a phone number elsewhere: the phone sends a message by SIP, which its carrier signs", d.enrolPhone},
		{"… and a handle, by signing in at the OpenID provider that gave it out", d.enrolHandle},
		{"The asker enrols too: a code by message, and a call by SIP, which another carrier attests, with a code by keypad", d.enrolAsker},
		{"The asker asks again, about all at once", d.ask},
		{"Anyone can verify the mappings offline, with the registry's root alone", d.verify},
		{"A changed mapping is not believed", d.verifyChanged},
		{"The holder replaces the mapping: registered, and not to be found", d.unlist},
		{"… and withdraws it", d.withdraw},
		{"For what follows the holder enrols again; an observer says that the domain's key is published", d.enrolAgain},
		{"Keys come and go: the domain takes that one out of the DNS. The mapping verifies all the same", d.keyLeaves},
	}
	for i, step := range steps {
		d.say("\n%d. %s", i+1, step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.title, err)
		}
	}
	d.say("\nWhat each party saw")
	return d.whatEachSaw()
}

// command carries out one command line as a person would and shows it. For a
// command that only reads it returns what --json prints, else nothing.
func (d *demo) command(ctx context.Context, dir string, want int, args ...string) (fields map[string]any, text string, err error) {
	d.say("   $ whither --dir %s %s", d.short(dir), strings.Join(d.shorten(args), " "))
	var out bytes.Buffer
	code := d.Command(ctx, append([]string{"--dir", dir}, args...), strings.NewReader(""), &out, &out)
	for line := range strings.Lines(out.String()) {
		d.say("     %s", strings.TrimRight(line, "\n"))
	}
	if code != want {
		return nil, "", fmt.Errorf("the command exits with %d, not %d", code, want)
	}
	if want != 0 || (args[0] != "lookup" && args[0] != "verify") {
		return nil, out.String(), nil
	}
	var data bytes.Buffer
	if code := d.Command(ctx, append([]string{"--dir", dir, "--json"}, args...), strings.NewReader(""), &data, io.Discard); code != 0 {
		return nil, "", fmt.Errorf("with --json the command exits with %d", code)
	}
	if err := json.Unmarshal(data.Bytes(), &fields); err != nil {
		return nil, "", fmt.Errorf("--json printed no JSON: %w", err)
	}
	return fields, out.String(), nil
}

// short shows a path of the world without the temporary folder's name.
func (d *demo) short(path string) string {
	if rel, err := filepath.Rel(d.world.Path(), path); err == nil && !strings.HasPrefix(rel, "..") {
		return filepath.Join("DEMO", rel)
	}
	return path
}

func (d *demo) shorten(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if filepath.IsAbs(a) {
			out[i] = d.short(a)
		}
	}
	return out
}

// outcome asks about an address and returns the outcome and its mappings.
func (d *demo) outcome(ctx context.Context, address string) (string, []any, error) {
	fields, _, err := d.command(ctx, d.askerDir, 0, "lookup", address)
	if err != nil {
		return "", nil, err
	}
	answers, _ := fields["answers"].([]any)
	if len(answers) != 1 {
		return "", nil, fmt.Errorf("%d answers to one question", len(answers))
	}
	answer, _ := answers[0].(map[string]any)
	outcome, _ := answer["outcome"].(string)
	mappings, _ := answer["mappings"].([]any)
	return outcome, mappings, nil
}

// expect asks about the holder's address and checks the outcome.
func (d *demo) expect(ctx context.Context, want string) error {
	got, _, err := d.outcome(ctx, address)
	if err == nil && got != want {
		err = fmt.Errorf("the answer is %q, not %q", got, want)
	}
	return err
}

func (d *demo) askInVain(ctx context.Context) error {
	// A world that is started again has what the last one left.
	for _, dir := range []string{d.holderDir, d.askerDir} {
		left, err := d.list(ctx, dir)
		if err != nil {
			return err
		}
		for _, m := range left {
			if _, _, err := d.command(ctx, dir, 0, "withdraw", m.ID); err != nil {
				return err
			}
		}
	}
	return d.expect(ctx, wire.OutcomeNone)
}

// keygen makes a person's key, if there is none yet.
func (d *demo) keygen(ctx context.Context, dir string) error {
	_, err := os.Stat(filepath.Join(dir, "keys", "holder.pem"))
	if errors.Is(err, os.ErrNotExist) {
		_, _, err = d.command(ctx, dir, 0, "keygen")
	}
	return err
}

func (d *demo) enrol(ctx context.Context, more ...string) error {
	if err := d.keygen(ctx, d.holderDir); err != nil {
		return err
	}
	args := append([]string{"enrol", address, "--msp", world.MSPA, "--tag", "Default", "--desk", d.world.Desk}, more...)
	_, text, err := d.command(ctx, d.holderDir, 0, args...)
	if err == nil && !strings.Contains(text, "evidence level 4") {
		err = errors.New("it does not say that the evidence reaches level 4")
	}
	return err
}

func (d *demo) enrolPhone(ctx context.Context) error {
	_, text, err := d.command(ctx, d.holderDir, 0, "enrol", number, "--msp", world.MSPC, "--tag", "Personal", "--evidence", "sip-message", "--desk", d.world.Desk)
	if err == nil && !strings.Contains(text, "evidence level 4") {
		err = errors.New("it does not say that the evidence reaches level 4")
	}
	return err
}

func (d *demo) enrolAsker(ctx context.Context) error {
	if err := d.keygen(ctx, d.askerDir); err != nil {
		return err
	}
	_, text, err := d.command(ctx, d.askerDir, 0, "enrol", second, "--msp", world.MSPB, "--tag", "Default", "--evidence", "signed-call", "--desk", d.world.Desk)
	if err == nil && !strings.Contains(text, "evidence level 2") {
		err = errors.New("it does not say that the evidence reaches level 2")
	}
	return err
}

func (d *demo) enrolHandle(ctx context.Context) error {
	_, text, err := d.command(ctx, d.holderDir, 0, "enrol", handle, "--msp", world.MSPC, "--tag", "Business", "--desk", d.world.Desk)
	if err == nil && !strings.Contains(text, "evidence level 3") {
		err = errors.New("it does not say that the evidence reaches level 3")
	}
	return err
}

func (d *demo) enrolAgain(ctx context.Context) error {
	if err := d.enrol(ctx, "--second", "observer"); err != nil {
		return err
	}
	return d.expect(ctx, wire.OutcomeOne)
}

// keyLeaves has the mail provider sign with another key and take the old one away.
func (d *demo) keyLeaves(ctx context.Context) error {
	old := d.world.Provider.Selector()
	selector, err := d.world.Provider.Rotate(mailnet.RSA2048)
	if err != nil {
		return err
	}
	d.world.Provider.Withdraw(old)
	if _, err := d.world.Mail.LookupKey(ctx, world.MailDomain, old); err == nil {
		return errors.New("the key is still there")
	}
	d.say("   %s._domainkey.%s is gone; from now on %s._domainkey.%s", old, world.MailDomain, selector, world.MailDomain)
	if _, _, err := d.command(ctx, d.askerDir, 0, "lookup", address, "--save", d.export()); err != nil {
		return err
	}
	return d.verifyExport(ctx, d.export())
}

// ask looks up the address, the number and the handle, and checks each answer.
func (d *demo) ask(ctx context.Context) error {
	fields, _, err := d.command(ctx, d.askerDir, 0, "lookup", address, number, handle, second)
	if err != nil {
		return err
	}
	answers, _ := fields["answers"].([]any)
	if len(answers) != 4 {
		return fmt.Errorf("%d answers to four questions", len(answers))
	}
	for i, want := range []struct {
		csi, msp string
		level    float64
	}{{"mailto:" + address, world.MSPA, 4}, {"tel:" + number, world.MSPC, 4}, {handle, world.MSPC, 3}, {"tel:" + second, world.MSPB, 2}} {
		answer, _ := answers[i].(map[string]any)
		mappings, _ := answer["mappings"].([]any)
		if answer["outcome"] != wire.OutcomeOne || len(mappings) != 1 {
			return fmt.Errorf("answer %d is %q with %d mappings", i+1, answer["outcome"], len(mappings))
		}
		found, _ := mappings[0].(map[string]any)
		entries, _ := found["entries"].([]any)
		if len(entries) != 1 {
			return fmt.Errorf("mapping %d lists %d MSPs", i+1, len(entries))
		}
		entry, _ := entries[0].(map[string]any)
		if found["csi"] != want.csi || entry["uri"] != "mimi://"+want.msp || found["level"] != want.level {
			return fmt.Errorf("mapping %d is another than the one made", i+1)
		}
	}
	return nil
}

func (d *demo) export() string { return d.world.Path("people", "found.mapping") }

func (d *demo) verify(ctx context.Context) error {
	if _, _, err := d.command(ctx, d.askerDir, 0, "lookup", address, "--save", d.export()); err != nil {
		return err
	}
	if err := d.verifyExport(ctx, d.export()); err != nil {
		return err
	}
	byToken := d.world.Path("people", "handle.mapping")
	if _, _, err := d.command(ctx, d.askerDir, 0, "lookup", handle, "--save", byToken); err != nil {
		return err
	}
	return d.verifyExport(ctx, byToken)
}

func (d *demo) verifyExport(ctx context.Context, path string) error {
	fields, _, err := d.command(ctx, d.askerDir, 0, "verify", path, "--root", d.world.RootPath())
	if err == nil && fields["verified"] != true {
		err = errors.New("it does not say so")
	}
	return err
}

func (d *demo) verifyChanged(ctx context.Context) error {
	b, err := os.ReadFile(d.export())
	if err != nil {
		return err
	}
	// The same mapping for another address, as a DP might like to make it.
	other := append([]byte("r"), address[1:]...)
	if !bytes.Contains(b, []byte(address)) {
		return errors.New("the address is not in the export")
	}
	b = bytes.Replace(b, []byte(address), other, 1)
	changed := d.world.Path("people", "changed.mapping")
	if err := os.WriteFile(changed, b, 0o600); err != nil { //nolint:gosec // below the demo's own folder
		return err
	}
	_, text, err := d.command(ctx, d.askerDir, 1, "verify", changed, "--root", d.world.RootPath())
	if err == nil && !strings.Contains(text, "NOT TRUE") {
		err = errors.New("it does not say so")
	}
	return err
}

// listed is a mapping as whither list --json shows it.
type listed struct{ ID, CSI string }

// list returns a person's mappings.
func (d *demo) list(ctx context.Context, dir string) ([]listed, error) {
	var out bytes.Buffer
	if code := d.Command(ctx, []string{"--dir", dir, "--json", "list"}, strings.NewReader(""), &out, io.Discard); code != 0 {
		return nil, fmt.Errorf("list exits with %d", code)
	}
	var all []listed
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		return nil, fmt.Errorf("list printed no JSON: %w", err)
	}
	return all, nil
}

// ownID returns the id of the holder's mapping of the mail address.
func (d *demo) ownID(ctx context.Context) (string, error) {
	all, err := d.list(ctx, d.holderDir)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(m listed) bool { return m.CSI == "mailto:"+address })
	if i < 0 {
		return "", errors.New("the holder has no mapping of the mail address")
	}
	return all[i].ID, nil
}

func (d *demo) unlist(ctx context.Context) error {
	id, err := d.ownID(ctx)
	if err != nil {
		return err
	}
	if _, _, err := d.command(ctx, d.holderDir, 0, "replace", id[:8], "--unlisted"); err != nil {
		return err
	}
	return d.expect(ctx, wire.OutcomeUnlisted)
}

func (d *demo) withdraw(ctx context.Context) error {
	id, err := d.ownID(ctx)
	if err != nil {
		return err
	}
	if _, _, err := d.command(ctx, d.holderDir, 0, "withdraw", id[:8]); err != nil {
		return err
	}
	return d.expect(ctx, wire.OutcomeNone)
}

// sight is what one party can know from all the messages that it got.
type sight struct {
	messages  int
	address   bool // the holder's address was in one
	askedFor  bool // in a question
	askerName bool // such a question named the asker
	askedBy   string
}

// whatEachSaw reads every message that each party got, prints what is in them,
// and checks that nobody but the asker's own provider saw both ends.
func (d *demo) whatEachSaw() error {
	token, err := os.ReadFile(filepath.Join(d.askerDir, "keys", world.MSPB+".token"))
	if err != nil {
		return err
	}
	token = bytes.TrimSpace(token)
	w := tabwriter.NewWriter(d.Out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "   PARTY\tMESSAGES\tTHE ADDRESS\tA QUESTION ABOUT IT\tWHO ASKS")
	for _, name := range []string{world.DP, world.ProverA, world.ProverB, world.ObserverA, world.ObserverB, world.MSPA, world.MSPB, world.MSPC} {
		s := d.look(name, token)
		_, _ = fmt.Fprintf(w, "   %s\t%d\t%s\t%s\t%s\n", name, s.messages, yes(s.address), yes(s.askedFor), s.askedBy)
		if s.askedFor && s.askerName && name != world.MSPB {
			err = errors.Join(err, fmt.Errorf("%s saw both who asks and about whom", name))
		}
		if name == world.DP && !s.askedFor {
			err = errors.Join(err, errors.New("the DP saw no question: nothing was watched"))
		}
	}
	return errors.Join(err, w.Flush())
}

func (d *demo) look(name string, token []byte) sight {
	s := sight{askedBy: "-"}
	for _, m := range d.world.Seen(name) {
		s.messages++
		about := bytes.Contains(m.Body, []byte(address))
		s.address = s.address || about
		if m.Path != wire.PathLookups || !about {
			continue
		}
		s.askedFor = true
		named := m.Token || bytes.Contains(m.Body, token) || bytes.Contains(m.Body, []byte(asker))
		s.askerName = s.askerName || named
		switch {
		case named:
			s.askedBy = "its own user, signed in"
		case m.Party.IsZero():
			s.askedBy = "somebody without a name"
		default:
			s.askedBy = "a user of " + m.Party.String() + ", without a name"
		}
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// invite prints commands to try by hand.
func (d *demo) invite() {
	whither := "go run ./cmd/whither"
	if exe, err := os.Executable(); err == nil && !strings.Contains(exe, "go-build") {
		whither = exe
	}
	d.say("\nThe federation stays up; stop it with Ctrl-C. In another terminal, try by hand:")
	d.say("\n  # ask, as the asker")
	d.say("  %s --dir %s lookup %s %s", whither, d.askerDir, address, nobody)
	d.say("  %s --dir %s lookup %s --compact --json", whither, d.askerDir, address)
	d.say("\n  # verify offline")
	d.say("  %s verify %s --root %s", whither, d.export(), d.world.RootPath())
	d.say("\n  # the holder's own mappings; enrol the asker by hand, with the mailboxes and phones at %s", d.world.Desk)
	d.say("  %s --dir %s list", whither, d.holderDir)
	d.say("  %s --dir %s enrol %s@%s --msp %s", whither, d.askerDir, asker, world.MailDomain, world.MSPB)
	d.say("  %s --dir %s enrol %s --msp %s --evidence sip-message", whither, d.askerDir, second, world.MSPB)
	d.say("\n  # or a handle: sign in with a browser, with the password that stands at %s", d.world.Desk)
	d.say("  %s --dir %s enrol acct:%s@%s --msp %s", whither, d.askerDir, asker, world.IdentityHost, world.MSPB)
}
