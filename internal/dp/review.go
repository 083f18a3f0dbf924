package dp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/keyfile"
	"whither/key"
	"whither/mapping"
	"whither/wire"
)

// ReviewSettings say who decides cases in which both sides have valid evidence:
// the table [review] of dp.toml.
type ReviewSettings struct {
	// Reviewers are public keys, 64 hexadecimal digits each, as "review key" prints
	// them.
	Reviewers []string `toml:"reviewers"`
	// Quorum is how many of them have to agree; zero: one. Two is the two-person rule.
	Quorum int `toml:"quorum"`
}

func (s ReviewSettings) reviewers() ([]key.Public, error) {
	var out []key.Public
	for _, text := range s.Reviewers {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("dp: %s: review.reviewers: %q is not hexadecimal", SettingsFile, text)
		}
		k, err := key.PublicFromBytes(b)
		if err != nil {
			return nil, fmt.Errorf("dp: %s: review.reviewers: %w", SettingsFile, err)
		}
		out = append(out, k)
	}
	if s.Quorum < 0 || s.Quorum > max(1, len(out)) {
		return nil, fmt.Errorf("dp: %s: review.quorum is 1 to the number of reviewers", SettingsFile)
	}
	return out, nil
}

// Review is the desk at which reviewers sit: it works on the DP's store, beside
// the DP.
type Review struct {
	directory *directory.Directory
	now       func() time.Time
	out       io.Writer
	close     func() error
}

// OpenReview opens the desk of a DP's folder. Its answers go to out.
func OpenReview(ctx context.Context, settingsPath string, o Options, out io.Writer) (*Review, error) {
	s, err := ReadSettings(settingsPath)
	if err != nil {
		return nil, err
	}
	d, closeStore, err := Open(ctx, filepath.Dir(settingsPath), s, o)
	if err != nil {
		return nil, err
	}
	return &Review{directory: d.directory, now: o.Now, out: out, close: closeStore}, nil
}

// Close closes the desk.
func (r *Review) Close() error { return r.close() }

// caseLine is a case in a list.
type caseLine struct {
	ID     string    `json:"id"`
	Row    uint8     `json:"row"`
	Round  int       `json:"round"`
	Opened time.Time `json:"opened"`
	Until  time.Time `json:"until"`
	Voices int       `json:"voices"`
}

type casePage struct {
	caseLine
	Phase     string     `json:"phase"`
	Newcomer  sidePage   `json:"newcomer"`
	Incumbent []sidePage `json:"incumbents"`
	Events    []any      `json:"events"`
	Decisions []voice    `json:"decisions"`
}

type sidePage struct {
	Lineage string        `json:"lineage"`
	Proofs  []proofLine   `json:"proofs"`
	Bundles []wire.Bundle `json:"bundles"`
}

type proofLine struct {
	Level uint8     `json:"level"`
	At    time.Time `json:"at"`
}

type eventLine struct {
	Kind     uint8     `json:"kind"`
	At       time.Time `json:"at"`
	Believed bool      `json:"believed"`
}

type voice struct {
	Reviewer string    `json:"reviewer"`
	Newcomer bool      `json:"for_newcomer"`
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
}

func lineOf(f directory.CaseFile) caseLine {
	return caseLine{ID: f.ID.String(), Row: uint8(f.Row), Round: f.Round, Opened: f.Opened, Until: f.Until, Voices: len(f.Decisions)}
}

func sideOf(s directory.Side) sidePage {
	out := sidePage{Lineage: s.Lineage.String(), Proofs: []proofLine{}, Bundles: append([]wire.Bundle{}, s.Bundles...)}
	for _, p := range s.Proofs {
		out.Proofs = append(out.Proofs, proofLine{uint8(p.Level), p.At})
	}
	return out
}

// List prints the cases that wait, one a line.
func (r *Review) List(ctx context.Context) error {
	files, err := r.directory.Reviews(ctx, r.now())
	if err != nil {
		return err
	}
	e := json.NewEncoder(r.out)
	for _, f := range files {
		if err := e.Encode(lineOf(f)); err != nil {
			return err
		}
	}
	return nil
}

// Show prints a case with all its evidence. The bundles hold the CSI: what is
// printed is for reviewers only.
func (r *Review) Show(ctx context.Context, id string) error {
	parsed, err := parseCase(id)
	if err != nil {
		return err
	}
	f, err := r.directory.CaseFile(ctx, parsed, r.now())
	if err != nil {
		return err
	}
	p := casePage{caseLine: lineOf(f), Phase: f.Phase.String(), Newcomer: sideOf(f.Newcomer), Incumbent: []sidePage{}, Events: []any{}, Decisions: []voice{}}
	for _, s := range f.Incumbent {
		p.Incumbent = append(p.Incumbent, sideOf(s))
	}
	for _, e := range f.Events {
		p.Events = append(p.Events, eventLine{uint8(e.Kind), e.At, e.Believed})
	}
	for _, d := range f.Decisions {
		p.Decisions = append(p.Decisions, voice{d.Reviewer.String(), d.Newcomer, d.Reason, d.Time})
	}
	e := json.NewEncoder(r.out)
	e.SetIndent("", "  ")
	return e.Encode(p)
}

// Decide signs a decision with a reviewer's key and puts it on record.
func (r *Review) Decide(ctx context.Context, id, side, keyPath, reason string) error {
	parsed, err := parseCase(id)
	if err != nil {
		return err
	}
	reviewer, err := keyfile.Signing(keyPath)
	if err != nil {
		return err
	}
	now := r.now()
	statement, err := docket.Decision{Case: parsed, Newcomer: side == SideNewcomer, Reason: reason}.Sign(reviewer, now)
	if err != nil {
		return err
	}
	decided, err := r.directory.Judge(ctx, statement, now)
	if err != nil {
		return err
	}
	said := "on record; others have to agree"
	if decided {
		said = "decided"
	}
	_, err = fmt.Fprintln(r.out, said)
	return err
}

// Sides of a case.
const (
	SideNewcomer  = "newcomer"
	SideIncumbent = "incumbent"
)

func parseCase(text string) (mapping.ID, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(mapping.ID{}) {
		return mapping.ID{}, fmt.Errorf("dp: %q is not the id of a case", text)
	}
	return mapping.ID(b), nil
}
