package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"whither/client"
	"whither/client/contacts"
	"whither/client/offline"
	"whither/csi"
	"whither/csi/national"
	"whither/internal/console"
	"whither/internal/person"
	"whither/wire"
)

type lookupCommand struct {
	Address    []string `arg:"" optional:"" help:"Addresses and numbers, as bob@example.org or +41791234567."`
	Contacts   string   `help:"Ask about everybody in an address book: vCard, CSV, or one address a line." type:"existingfile" placeholder:"FILE"`
	Region     string   `help:"The country of numbers without +, as CH." placeholder:"CC"`
	Via        string   `help:"The MSP whose back-end asks; by default your first account's." placeholder:"NAME"`
	MSP        []string `help:"Only where reachable at this MSP." name:"msp" placeholder:"NAME"`
	Federation string   `help:"Which other DPs to ask: none, preferred, selected, all." enum:"none,preferred,selected,all" default:"none"`
	DPs        []string `help:"The DPs to ask, with --federation selected." name:"at" placeholder:"NAME"`
	Compact    bool     `help:"Ask for one bit an MSP: a hint, without proof."`
	Save       string   `help:"Write the first mapping found to a file for whither verify." type:"path" placeholder:"FILE"`
}

// Run asks and prints what verified.
func (c lookupCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	q := client.Query{Federation: c.Federation, Compact: c.Compact}
	if q.CSIs, err = c.questions(s); err != nil {
		return err
	}
	if len(q.CSIs) > many {
		q.Progress = func(done, all int) { _, _ = fmt.Fprintf(s.ErrOut, " · %d of %d\n", done, all) }
	}
	if q.MSPs, err = parseParties(c.MSP); err != nil {
		return err
	}
	if q.DPs, err = parseParties(c.DPs); err != nil {
		return err
	}
	msp, token, err := f.Account(c.Via)
	if err != nil {
		return err
	}
	cl, err := f.Client(ctx, msp)
	if err != nil {
		return err
	}
	defer cl.Close()
	answers, err := cl.Lookup(ctx, msp, token, q)
	if err != nil {
		return err
	}
	if c.Save != "" {
		if err := f.saveFirst(c.Save, answers); err != nil {
			return err
		}
	}
	if len(q.CSIs) > many {
		return s.printMany(answers)
	}
	return s.printAnswers(answers)
}

// many is from how many CSIs on progress is shown and only those who were found
// are listed.
const many = 20

// questions collects the CSIs of the command line and the address book.
func (c lookupCommand) questions(s *session) ([]csi.ID, error) {
	var ids []csi.ID
	for _, a := range c.Address {
		id, err := parseCSI(a, c.Region)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if c.Contacts == "" {
		if len(ids) == 0 {
			return nil, fmt.Errorf("%w: name an address, or give --contacts", console.ErrUsage)
		}
		return ids, nil
	}
	file, err := os.Open(c.Contacts)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	r, err := contacts.NewReader(file, national.Region(c.Region))
	if err != nil {
		return nil, fmt.Errorf("%w: --region: %w", console.ErrUsage, err)
	}
	for {
		contact, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, p := range contact.Problems {
			_, _ = fmt.Fprintf(s.ErrOut, "%s: %v\n", filepath.Base(c.Contacts), p)
		}
		ids = append(ids, contact.IDs...)
	}
	n := r.Counts()
	_, _ = fmt.Fprintf(s.ErrOut, "%d contacts: %d addresses and numbers, %d repeated, %d not readable\n", n.Contacts, n.Identifiers, n.Repeated, n.Refused)
	if len(ids) == 0 {
		return nil, errors.New("the address book has nothing to ask about")
	}
	return ids, nil
}

// printMany lists who was found, and counts the rest.
func (s *session) printMany(answers client.Answers) error {
	if s.JSON {
		return s.printAnswers(answers)
	}
	found := answers
	found.Answers = slices.DeleteFunc(slices.Clone(answers.Answers), func(a client.Answer) bool {
		return a.Outcome == wire.OutcomeNone && len(a.Refused) == 0
	})
	if err := s.printAnswers(found); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.Out, "%d of %d found\n", len(found.Answers), len(answers.Answers))
	return err
}

// saveFirst writes the first mapping of the answers as an export file.
func (f *folder) saveFirst(path string, answers client.Answers) error {
	i := slices.IndexFunc(answers.Answers, func(a client.Answer) bool { return len(a.Mappings) > 0 })
	if i < 0 {
		return errors.New("nothing to save: no mapping was found")
	}
	_, file := f.Registry()
	b, err := offline.New(answers.Answers[i].Mappings[0].Verified, file).Encode()
	if err != nil {
		return err
	}
	return person.WriteFile(path, b)
}

// meaning of each outcome, for people.
var meaning = map[string]string{
	wire.OutcomeNone:     "no mapping",
	wire.OutcomeUnlisted: "registered, and does not want to be found",
	wire.OutcomeOne:      "one mapping",
	wire.OutcomeSeveral:  "one mapping at several providers",
	wire.OutcomeMany:     "several mappings",
	wire.OutcomeEnded:    "a mapping whose providers have all gone",
}

func (s *session) printAnswers(answers client.Answers) error {
	rows := [][]string{{"ADDRESS", "OUTCOME", "AT", "LEVEL", "FOUND AT"}}
	list := []map[string]any{}
	for _, a := range answers.Answers {
		one := map[string]any{"csi": a.CSI.Canonical(), "outcome": a.Outcome}
		rows = append(rows, answerRows(a)...)
		mappings := []map[string]any{}
		for _, m := range a.Mappings {
			d := describe(m.Verified)
			d["found_at"] = m.At
			mappings = append(mappings, d)
		}
		one["mappings"] = mappings
		if a.Hint != nil {
			one["hint"] = a.Hint
		}
		if len(a.Refused) > 0 {
			one["refused"] = len(a.Refused)
		}
		list = append(list, one)
	}
	if err := s.Table(map[string]any{"answers": list, "asked": answers.Asked, "registry_version": answers.Stamp.Version}, rows); err != nil || s.JSON {
		return err
	}
	for _, d := range answers.Asked {
		if d.Outcome != wire.AskedAnswered {
			if _, err := fmt.Fprintf(s.Out, "not answered by %s: %s %s\n", d.DP, d.Outcome, d.Why); err != nil {
				return err
			}
		}
	}
	return nil
}

func answerRows(a client.Answer) [][]string {
	address := display(a.CSI)
	if a.Hint != nil {
		names := make([]string, len(a.Hint))
		for i, id := range a.Hint {
			names[i] = id.String()
		}
		return [][]string{{address, meaning[a.Outcome], "hint: " + strings.Join(names, ", "), "-", "-"}}
	}
	var rows [][]string
	for _, m := range a.Mappings {
		var at []string
		for _, id := range m.At {
			at = append(at, id.String())
		}
		rows = append(rows, []string{address, meaning[a.Outcome], providers(m.Verified), fmt.Sprint(m.Evidence().Level), strings.Join(at, ", ")})
	}
	for _, r := range a.Refused {
		rows = append(rows, []string{address, "refused", r.Reason.Error(), "-", "-"})
	}
	if len(rows) == 0 {
		rows = append(rows, []string{address, meaning[a.Outcome], "-", "-", "-"})
	}
	return rows
}

// display is an address as its owner writes it. A handle looks like an address
// and is none, so its scheme stays.
func display(id csi.ID) string {
	if id.Scheme() == csi.Acct {
		return id.Canonical()
	}
	_, rest, _ := strings.Cut(id.Canonical(), ":")
	return rest
}

type verifyCommand struct {
	File string    `arg:"" help:"A file written by whither lookup --save." type:"existingfile"`
	Root string    `help:"Who may sign the registry; by default root.json in the folder." type:"path" placeholder:"FILE"`
	At   time.Time `help:"Verify as of this time (RFC 3339); by default now." placeholder:"TIME"`
}

// Run verifies offline.
func (c verifyCommand) Run(s *session) error {
	if c.Root == "" {
		c.Root = person.At(s.dir, s.Now).Path("root.json")
	}
	root, err := readBounded(c.Root)
	if err != nil {
		return fmt.Errorf("who may sign the registry? give --root: %w", err)
	}
	file, err := readBounded(c.File)
	if err != nil {
		return err
	}
	at := c.At
	if at.IsZero() {
		at = s.Now()
	}
	v, snapshot, err := offline.Verify(file, root, at)
	if err != nil {
		return fmt.Errorf("NOT TRUE: %w", err)
	}
	claims, d := v.Claims(), describe(v)
	d["verified"], d["registry_version"] = true, snapshot.Version()
	text := fmt.Sprintf("TRUE: %s can be reached at %s\n  proved %s with evidence of level %d, by key %s\n  signed by the holder, %d MSP(s) and %s; good until %s; registry version %d",
		display(claims.CSI), providers(v), v.Evidence().Newest.UTC().Format(time.RFC3339), v.Evidence().Level, claims.Holder.ID(),
		len(claims.Entries), claims.DP, v.Until().UTC().Format(time.RFC3339), snapshot.Version())
	return s.Print(d, text)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, offline.MaxSize+1))
}
