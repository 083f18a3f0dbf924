package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"whither/client"
	"whither/csi"
	"whither/registry/update"
	"whither/wire"
)

type lookupCommand struct {
	Address    []string `arg:"" help:"Addresses, as bob@example.org."`
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
	for _, a := range c.Address {
		id, err := parseCSI(a)
		if err != nil {
			return err
		}
		q.CSIs = append(q.CSIs, id)
	}
	if q.MSPs, err = parseParties(c.MSP); err != nil {
		return err
	}
	if q.DPs, err = parseParties(c.DPs); err != nil {
		return err
	}
	msp, token, err := f.account(c.Via)
	if err != nil {
		return err
	}
	cl, err := f.client(ctx)
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
	return s.printAnswers(answers)
}

// saveFirst writes the first mapping of the answers as an export file.
func (f *folder) saveFirst(path string, answers client.Answers) error {
	i := slices.IndexFunc(answers.Answers, func(a client.Answer) bool { return len(a.Mappings) > 0 })
	if i < 0 {
		return errors.New("nothing to save: no mapping was found")
	}
	b, err := client.NewExport(answers.Answers[i].Mappings[0].Verified, f.source.File()).Encode()
	if err != nil {
		return err
	}
	return writeFile(path, b)
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
	if err := s.table(map[string]any{"answers": list, "asked": answers.Asked, "registry_version": answers.Stamp.Version}, rows); err != nil || s.json {
		return err
	}
	for _, d := range answers.Asked {
		if d.Outcome != wire.AskedAnswered {
			if _, err := fmt.Fprintf(s.out, "not answered by %s: %s %s\n", d.DP, d.Outcome, d.Why); err != nil {
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
		rows = append(rows, []string{address, meaning[a.Outcome], providers(m.Claims()), fmt.Sprint(m.Evidence().Level), strings.Join(at, ", ")})
	}
	for _, r := range a.Refused {
		rows = append(rows, []string{address, "refused", r.Reason.Error(), "-", "-"})
	}
	if len(rows) == 0 {
		rows = append(rows, []string{address, meaning[a.Outcome], "-", "-", "-"})
	}
	return rows
}

// display is an address as its owner writes it.
func display(id csi.ID) string {
	_, rest, _ := strings.Cut(id.Canonical(), ":")
	return rest
}

type verifyCommand struct {
	File string    `arg:"" help:"A file written by whither lookup --save." type:"existingfile"`
	Root string    `help:"Who may sign the registry; by default root.toml in the folder." type:"path" placeholder:"FILE"`
	At   time.Time `help:"Verify as of this time (RFC 3339); by default now." placeholder:"TIME"`
}

// Run verifies offline.
func (c verifyCommand) Run(s *session) error {
	if c.Root == "" {
		c.Root = (&folder{dir: s.dir}).path("root.toml")
	}
	b, err := os.ReadFile(c.Root)
	if err != nil {
		return fmt.Errorf("who may sign the registry? give --root: %w", err)
	}
	root, err := update.ParseRoot(b)
	if err != nil {
		return err
	}
	file, err := readBounded(c.File)
	if err != nil {
		return err
	}
	at := c.At
	if at.IsZero() {
		at = s.now()
	}
	v, snapshot, err := client.VerifyExport(file, root, at)
	if err != nil {
		return fmt.Errorf("NOT TRUE: %w", err)
	}
	claims, d := v.Claims(), describe(v)
	d["verified"], d["registry_version"] = true, snapshot.Version()
	text := fmt.Sprintf("TRUE: %s can be reached at %s\n  proved %s with evidence of level %d, by key %s\n  signed by the holder, %d MSP(s) and %s; good until %s; registry version %d",
		display(claims.CSI), providers(claims), v.Evidence().Newest.UTC().Format(time.RFC3339), v.Evidence().Level, claims.Holder.ID(),
		len(claims.Entries), claims.DP, v.Until().UTC().Format(time.RFC3339), snapshot.Version())
	return s.print(d, text)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, client.MaxExport+1))
}

// print writes data as JSON, or text for people.
func (s *session) print(data any, text string) error {
	if s.json {
		e := json.NewEncoder(s.out)
		e.SetEscapeHTML(false)
		return e.Encode(data)
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}

// table writes data as JSON, or rows for people; the first row is the head.
func (s *session) table(data any, rows [][]string) error {
	if s.json {
		return s.print(data, "")
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
