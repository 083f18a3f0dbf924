package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"whither/client"
	"whither/internal/console"
	"whither/internal/keyfile"
	"whither/internal/person"
	"whither/mapping"
	"whither/registry"
)

type initCommand struct {
	Registry string `help:"The federation's signed registry." type:"existingfile" required:"" placeholder:"FILE"`
	Root     string `help:"Who may sign it; get this by a way that you trust." type:"existingfile" required:"" placeholder:"FILE"`
	DP       string `help:"The DP to enrol at." name:"dp" required:"" placeholder:"NAME"`
	MSP      string `help:"An MSP where you have an account." name:"msp" placeholder:"NAME"`
	Token    string `help:"File with the token that signs you in there." type:"existingfile" placeholder:"FILE"`
}

// Run makes the folder.
func (c initCommand) Run(s *session) error {
	f := person.At(s.dir, s.Now)
	if _, err := os.Stat(f.Path("client.toml")); err == nil {
		return fmt.Errorf("%s is a folder of whither already", s.dir)
	}
	if (c.MSP == "") != (c.Token == "") {
		return fmt.Errorf("%w: --msp and --token go together", console.ErrUsage)
	}
	settings := person.Settings{DP: c.DP}
	if _, err := registry.ParsePartyID(c.DP); err != nil {
		return fmt.Errorf("%w: --dp: %w", console.ErrUsage, err)
	}
	files := map[string]string{c.Registry: "registry.set", c.Root: "root.json"}
	if c.MSP != "" {
		settings.Accounts = []person.Account{{MSP: c.MSP, Token: "keys/account.token"}}
		files[c.Token] = "keys/account.token"
	}
	for from, to := range files {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := person.WriteFile(f.Path(to), b); err != nil {
			return err
		}
	}
	var text strings.Builder
	if err := toml.NewEncoder(&text).Encode(settings); err != nil {
		return err
	}
	if err := person.WriteFile(f.Path("client.toml"), []byte(text.String())); err != nil {
		return err
	}
	if _, err := openFolder(s); err != nil {
		return err
	}
	return s.Print(map[string]string{"folder": s.dir}, "made "+s.dir+"; next: whither keygen")
}

type keygenCommand struct{}

// Run makes the holder's key, once.
func (keygenCommand) Run(s *session) error {
	f := person.At(s.dir, s.Now)
	k, err := keyfile.MakeSigning(f.Path("keys", "holder.pem"))
	if errors.Is(err, os.ErrExist) {
		return errors.New("there is a key already; a new one would make you somebody else")
	}
	if err != nil {
		return err
	}
	id := k.Public().ID().String()
	return s.Print(map[string]string{"key": id}, "made key "+id)
}

type enrolCommand struct {
	Address   string        `arg:"" help:"The address or number, as bob@example.org or +41791234567."`
	MSP       []string      `help:"MSP where you can be reached; none: registered, and not to be found." name:"msp" placeholder:"NAME"`
	Tag       []string      `help:"Default alone, or Business, Personal, or the MSP's name." placeholder:"WORD"`
	Residency []string      `help:"Countries where the mapping may be kept, as CH; none: your address's home." placeholder:"CC"`
	Unlisted  bool          `help:"Say that you are registered and do not want to be found."`
	Evidence  string        `help:"How to prove it: mail-reply, openid-token or smime; code-message, signed-call, sip-message, passport-key, delegate or tn-token; none: what the DP names first." placeholder:"KIND"`
	Second    string        `help:"Who says besides the first prover that your provider's key is published: the second prover, or an observer, who learns the domain." enum:"prover,observer" default:"prover"`
	Signed    string        `help:"The file with what you had signed, for smime, passport-key, delegate and tn-token; none: it is asked for." type:"path" placeholder:"FILE"`
	Desk      string        `help:"The desk of a whither demo, which answers challenges by itself." placeholder:"URL"`
	Timeout   time.Duration `help:"How long to wait for the reply to arrive." default:"15m"`
}

// Run enrols, or goes on with an enrolment that was interrupted.
func (c enrolCommand) Run(ctx context.Context, s *session) error {
	if c.Unlisted != (len(c.MSP) == 0) {
		return fmt.Errorf("%w: name an --msp, or say --unlisted", console.ErrUsage)
	}
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	wish, err := f.wish(c.Address, c.MSP, c.Tag, c.Residency)
	if err != nil {
		return err
	}
	if wish.Evidence, err = parseKind(c.Evidence); err != nil {
		return err
	}
	wish.ByObserver = c.Second == "observer"
	if wish.Beside, err = f.beside(wish); err != nil {
		return err
	}
	return f.enrol(ctx, s, wish, c.Desk, c.Signed, c.Timeout)
}

// beside returns a mapping that the person has of the same CSI, so that a
// second one joins its lineage; nil if there is none.
func (f *folder) beside(w client.Wish) (*mapping.Verified, error) {
	ids, err := f.IDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		v, _, err := f.Load(id)
		if err != nil || v.Claims().CSI != w.CSI || v.Claims().Holder != w.Key.Public() {
			continue // a mapping that does not hold any more holds nothing up
		}
		for _, e := range v.Living() {
			if slices.Contains(w.MSPs, e.Provider) {
				return nil, fmt.Errorf("you are enrolled at %s already; see whither list, and use whither replace %s", e.Provider, id[:8])
			}
		}
		return &v, nil
	}
	return nil, nil
}

// wish collects what an enrolment needs from the folder.
func (f *folder) wish(address string, msps, tags, residency []string) (client.Wish, error) {
	id, err := parseCSI(address, "")
	if err != nil {
		return client.Wish{}, err
	}
	dp, err := f.DP()
	if err != nil {
		return client.Wish{}, err
	}
	k, err := f.HolderKey()
	if err != nil {
		return client.Wish{}, err
	}
	w := client.Wish{CSI: id, Key: k, DP: dp, Tags: tags, Residency: residency, Tokens: make(map[registry.PartyID]string)}
	for _, name := range msps {
		id, token, err := f.Account(name)
		if err != nil {
			return client.Wish{}, err
		}
		w.MSPs = append(w.MSPs, id)
		w.Tokens[id] = token
	}
	return w, nil
}

// enrol runs an enrolment and keeps what comes of it.
func (f *folder) enrol(ctx context.Context, s *session, w client.Wish, deskURL, signed string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := f.Client(ctx, w.DP)
	if err != nil {
		return err
	}
	defer c.Close()
	e, finish, err := f.Journal(w)
	if err != nil {
		return err
	}
	done, err := c.Enrol(ctx, w, f.by(s, w, deskURL, signed), e, s.tell)
	var held *client.Held
	if errors.As(err, &held) {
		artefact := e.Artefact
		if err := finish(nil); err != nil {
			return err
		}
		return f.held(s, w, held, artefact)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no good reply arrived within %s: %w", timeout, err)
	}
	if err := finish(err); err != nil {
		return err
	}
	if err := f.Save(done.Mapping, done.Artefact); err != nil {
		return err
	}
	claims := done.Mapping.Claims()
	return s.Print(map[string]any{
		"id": claims.ID.String(), "lineage": claims.Lineage.String(), "sequence": claims.Sequence,
		"level": done.Mapping.Evidence().Level, "until": done.Mapping.Until().UTC(), "expires": claims.Expires.UTC(),
		"bytes": done.Mapping.Bundle().Size(),
	}, fmt.Sprintf("enrolled: mapping %s, evidence level %d, expires %s", claims.ID, done.Mapping.Evidence().Level, claims.Expires.UTC().Format(time.DateOnly)))
}

type listCommand struct{}

// Run lists the person's mappings.
func (listCommand) Run(s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	ids, err := f.IDs()
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "ADDRESS", "AT", "SEQUENCE", "EXPIRES"}}
	list := []map[string]any{}
	for _, id := range ids {
		v, _, err := f.Load(id)
		if err != nil {
			rows = append(rows, []string{id, "-", err.Error(), "", ""})
			list = append(list, map[string]any{"id": id, "problem": err.Error()})
			continue
		}
		c := v.Claims()
		rows = append(rows, []string{id, c.CSI.Canonical(), providers(v), fmt.Sprint(c.Sequence), c.Expires.UTC().Format(time.DateOnly)})
		list = append(list, describe(v))
	}
	return s.Table(list, rows)
}

type replaceCommand struct {
	ID        string   `arg:"" help:"The mapping's id, or the beginning of it."`
	MSP       []string `help:"MSP where you can be reached from now on." name:"msp" placeholder:"NAME"`
	Tag       []string `help:"Default alone, or Business, Personal, or the MSP's name." placeholder:"WORD"`
	Residency []string `help:"Countries where the mapping may be kept." placeholder:"CC"`
	Unlisted  bool     `help:"Say that you are registered and do not want to be found."`
}

// Run replaces a mapping; the evidence is used again.
func (c replaceCommand) Run(ctx context.Context, s *session) error {
	if c.Unlisted != (len(c.MSP) == 0) {
		return fmt.Errorf("%w: name an --msp, or say --unlisted", console.ErrUsage)
	}
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	old, o, err := f.Load(c.ID)
	if err != nil {
		return err
	}
	w, err := f.wish(old.Claims().CSI.Canonical(), c.MSP, c.Tag, c.Residency)
	if err != nil {
		return err
	}
	w.Replaces = &old
	cl, err := f.Client(ctx, w.DP)
	if err != nil {
		return err
	}
	defer cl.Close()
	done, err := cl.Enrol(ctx, w, nil, &client.Enrolment{}, s.tell)
	if err != nil {
		return err
	}
	if err := f.Save(done.Mapping, o.Artefact); err != nil {
		return err
	}
	return s.Print(describe(done.Mapping), fmt.Sprintf("replaced: mapping %s is at sequence %d", done.Mapping.Claims().ID, done.Mapping.Claims().Sequence))
}

type withdrawCommand struct {
	ID string `arg:"" help:"The mapping's id, or the beginning of it."`
}

// Run withdraws a mapping.
func (c withdrawCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	v, _, err := f.Load(c.ID)
	if err != nil {
		return err
	}
	k, err := f.HolderKey()
	if err != nil {
		return err
	}
	cl, err := f.Client(ctx, v.Claims().DP)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.Withdraw(ctx, v, k); err != nil {
		return err
	}
	id := v.Claims().ID.String()
	if err := f.End(id); err != nil {
		return err
	}
	return s.Print(map[string]string{"withdrawn": id}, "withdrawn: mapping "+id+"; nobody can verify it after "+v.Until().UTC().Format(time.RFC3339))
}

// providers names the MSPs of a mapping for people, without those that have ended
// their entries.
func providers(v mapping.Verified) string {
	living := v.Living()
	switch {
	case len(v.Claims().Entries) == 0:
		return "nowhere (registered, not to be found)"
	case len(living) == 0:
		return "nowhere any more (every MSP has ended its entry)"
	}
	var out []string
	for _, e := range living {
		text := e.URI
		if len(e.Tags) > 0 {
			text += " (" + strings.Join(e.Tags, ", ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// describe is a mapping in JSON for machines.
func describe(v mapping.Verified) map[string]any {
	c := v.Claims()
	entries := []map[string]any{}
	for _, e := range v.Living() {
		entries = append(entries, map[string]any{"provider": e.Provider, "uri": e.URI, "tags": append([]string{}, e.Tags...)})
	}
	return map[string]any{
		"id": c.ID.String(), "csi": c.CSI.Canonical(), "dp": c.DP, "holder": c.Holder.ID().String(), "entries": entries, "ended": len(c.Entries) - len(entries),
		"sequence": c.Sequence, "level": v.Evidence().Level, "issued": c.Issued.UTC(), "expires": c.Expires.UTC(),
		"good_until": v.Until().UTC(), "bytes": v.Bundle().Size(),
	}
}
