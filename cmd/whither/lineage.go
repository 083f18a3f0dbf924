package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"whither/client"
	"whither/internal/console"
	"whither/internal/keyfile"
	"whither/internal/person"
	"whither/internal/person/terminal"
	"whither/internal/world/desk"
	"whither/possession"
	"whither/wire"
)

// parseKind reads what a person wants to prove with; nothing leaves it to the DP.
func parseKind(name string) (possession.Kind, error) {
	if name == "" {
		return 0, nil
	}
	k, _ := possession.ParseKind(name)
	if !slices.Contains(client.Kinds(), k) {
		return 0, fmt.Errorf("%w: --evidence: want one of %v", console.ErrUsage, client.Kinds())
	}
	return k, nil
}

// by is who does what only the person can do.
func (f *folder) by(s *session, w client.Wish, deskURL, signed string) client.Holder {
	if deskURL != "" {
		return desk.NewPerson(deskURL, w.CSI)
	}
	byHand := terminal.New(s.in, s.ErrOut, f.Folder)
	byHand.Signed = signed
	return byHand
}

// tell prints the steps of what is under way.
func (s *session) tell(step string) { _, _ = fmt.Fprintln(s.ErrOut, " ·", step) }

type recoverCommand struct {
	Address   string        `arg:"" help:"The address or number whose key is lost."`
	MSP       []string      `help:"MSP where you can be reached." name:"msp" required:"" placeholder:"NAME"`
	Tag       []string      `help:"Default alone, or Business, Personal, or the MSP's name." placeholder:"WORD"`
	Residency []string      `help:"Countries where the mapping may be kept." placeholder:"CC"`
	Evidence  string        `help:"How to prove it; stricter evidence than the lost key's shortens the hold." placeholder:"KIND"`
	Desk      string        `help:"The desk of a whither demo, which answers challenges by itself." placeholder:"URL"`
	Timeout   time.Duration `help:"How long to wait for the reply to arrive." default:"15m"`
}

// Run proves possession under a new key. Nobody can tell a lost key from a silent
// one: the DP asks it, and waits.
func (c recoverCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	if _, err := keyfile.MakeSigning(f.Path("keys", "holder.pem")); err == nil {
		s.tell("made a new key")
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	wish, err := f.wish(c.Address, c.MSP, c.Tag, c.Residency)
	if err != nil {
		return err
	}
	if wish.Evidence, err = parseKind(c.Evidence); err != nil {
		return err
	}
	return f.enrol(ctx, s, wish, c.Desk, "", c.Timeout)
}

// held tells of a mapping that is held, and keeps the claim.
func (f *folder) held(s *session, w client.Wish, h *client.Held, artefact []byte) error {
	if err := f.SaveClaim(h, w, artefact); err != nil {
		return err
	}
	what := "held"
	if h.Review {
		what = "under review"
	}
	return s.Print(map[string]any{
		"id": h.ID.String(), "state": what, "reason": h.Reason, "until": h.Until.UTC(),
	}, fmt.Sprintf("%s: somebody has this address already and is asked whether it is still theirs (%s).\nDecided by %s at the latest; whither status tells how it stands.",
		what, h.Reason, h.Until.UTC().Format(time.RFC3339)))
}

type rotateCommand struct{}

// Run hands everything over to a new key.
func (rotateCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	dp, err := f.DP()
	if err != nil {
		return err
	}
	c, err := f.Client(ctx, dp)
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := f.Rotate(ctx, c, s.tell)
	if err != nil {
		return fmt.Errorf("%w; whither rotate goes on where it stopped", err)
	}
	k, err := f.HolderKey()
	if err != nil {
		return err
	}
	list := []map[string]any{}
	for _, v := range done {
		list = append(list, describe(v))
	}
	id := k.Public().ID().String()
	return s.Print(map[string]any{"key": id, "mappings": list}, fmt.Sprintf("handed over: key %s holds %d mappings; the old key holds nothing any more", id, len(done)))
}

type joinCommand struct {
	Text    string   `arg:"" optional:"" help:"What the other device shows; none: begin, on the newer device."`
	Mapping string   `help:"On the older device, for the first text: which mapping of yours, by its id." placeholder:"ID"`
	Code    string   `help:"On the older device, for the second text: the code that the newer one shows." placeholder:"DIGITS"`
	MSP     []string `help:"On the newer device, for the last text: MSP where you can be reached besides." name:"msp" placeholder:"NAME"`
	Tag     []string `help:"Default alone, or Business, Personal, or the MSP's name." placeholder:"WORD"`
}

// Run does the next step of a join on this device.
func (c joinCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	k, err := f.HolderKey()
	if err != nil {
		return err
	}
	if c.Text == "" {
		out, err := f.StartJoin(k)
		if err != nil {
			return err
		}
		return s.next(out, "", "on your other device: whither join --mapping ID "+out)
	}
	step, err := person.StepOf(c.Text)
	if err != nil {
		return err
	}
	switch step {
	case person.StepStart:
		out, err := f.AnswerJoin(c.Text, c.Mapping)
		if err != nil {
			return err
		}
		return s.next(out, "", "on the newer device: whither join "+out)
	case person.StepAnswer:
		out, code, err := f.OpenJoin(c.Text, k)
		if err != nil {
			return err
		}
		return s.next(out, code, fmt.Sprintf("the code is %s\non the older device: whither join --code %s %s", code, code, out))
	case person.StepOpen:
		out, err := f.GrantJoin(c.Text, c.Code, k)
		if err != nil {
			return err
		}
		return s.next(out, c.Code, "the codes are the same; on the newer device: whither join --msp NAME "+out)
	default:
		return c.take(ctx, s, f)
	}
}

func (s *session) next(text, code, said string) error {
	return s.Print(map[string]string{"text": text, "code": code}, said)
}

// take makes the newer device's mapping beside the older one's.
func (c joinCommand) take(ctx context.Context, s *session, f *folder) error {
	if len(c.MSP) == 0 {
		return fmt.Errorf("%w: name an --msp", console.ErrUsage)
	}
	k, err := f.HolderKey()
	if err != nil {
		return err
	}
	older, statement, err := f.TakeJoin(c.Text, k)
	if err != nil {
		return err
	}
	w, err := f.wish(older.Claims().CSI.Canonical(), c.MSP, c.Tag, older.Claims().Residency)
	if err != nil {
		return err
	}
	w.DP, w.Beside, w.Statement = older.Claims().DP, &older, statement
	if err := f.enrol(ctx, s, w, "", "", time.Minute); err != nil {
		return err
	}
	return f.EndJoin()
}

type reproveCommand struct {
	ID       string        `arg:"" help:"The mapping's id, or the beginning of it."`
	Evidence string        `help:"How to prove it; none: what the DP names first." placeholder:"KIND"`
	Signed   string        `help:"The file with what you had signed." type:"path" placeholder:"FILE"`
	Desk     string        `help:"The desk of a whither demo, which answers challenges by itself." placeholder:"URL"`
	Timeout  time.Duration `help:"How long to wait for the reply to arrive." default:"15m"`
}

// Run proves again: whoever claims the address is not the holder.
func (c reproveCommand) Run(ctx context.Context, s *session) error {
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
	kind, err := parseKind(c.Evidence)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	cl, err := f.Client(ctx, v.Claims().DP)
	if err != nil {
		return err
	}
	defer cl.Close()
	h := f.by(s, client.Wish{CSI: v.Claims().CSI}, c.Desk, c.Signed)
	r, err := cl.Reprove(ctx, v, k, kind, h, &client.Enrolment{}, s.tell)
	if err != nil {
		return err
	}
	if err := f.SaveReproof(v, r); err != nil {
		return err
	}
	return s.Print(map[string]any{"id": v.Claims().ID.String(), "level": r.Level, "answered": r.Answered},
		fmt.Sprintf("proved again at level %d; that answers %d claims", r.Level, r.Answered))
}

type statusCommand struct{}

// Run asks the DPs how everything of the person's stands.
func (statusCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	dp, err := f.DP()
	if err != nil {
		return err
	}
	c, err := f.Client(ctx, dp)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := f.Status(ctx, c)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "ADDRESS", "DP", "STATE", "WHAT TO DO"}}
	for _, one := range all {
		rows = append(rows, []string{one.ID, one.CSI, one.DP, one.State, advice(one)})
	}
	return s.Table(all, rows)
}

// advice says what a state asks of the person.
func advice(one person.Status) string {
	var out []string
	for _, c := range one.Claims {
		if !c.Answered {
			out = append(out, fmt.Sprintf("somebody else says that this is theirs. If it is you: whither join. If not: whither reprove %s, at level %d or above, by %s",
				one.ID[:8], c.Level, time.Unix(c.Until, 0).UTC().Format(time.RFC3339)))
		}
	}
	switch {
	case one.Problem != "":
		out = append(out, one.Problem)
	case one.State == wire.StateHeld || one.State == wire.StateReview:
		out = append(out, "wait; decided by "+one.Until.UTC().Format(time.RFC3339)+" at the latest")
	case one.Prove:
		out = append(out, "it expires soon: enrol again")
	}
	return strings.Join(out, "; ")
}

type whereCommand struct{}

// Run asks, as anybody can, what is found under the person's own addresses.
func (whereCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	msp, token, err := f.Account("")
	if err != nil {
		return err
	}
	c, err := f.Client(ctx, msp)
	if err != nil {
		return err
	}
	defer c.Close()
	found, asked, err := f.Where(ctx, c, msp, token)
	if err != nil {
		return err
	}
	rows := [][]string{{"ADDRESS", "DP", "AT", "WHOSE"}}
	for _, one := range found {
		rows = append(rows, []string{one.CSI, one.DP, one.At, one.Whose})
	}
	for _, a := range asked {
		if a.Outcome != wire.AskedAnswered {
			rows = append(rows, []string{"-", a.DP.String(), a.Outcome, a.Why})
		}
	}
	return s.Table(map[string]any{"found": found, "asked": asked}, rows)
}
