package attack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/mapping"
	"whither/possession"
)

// Goal is what an adversary is after.
type Goal uint8

// The goals.
const (
	// Block: a mapping under the adversary's key that says "not to be found".
	Block Goal = iota
	// Steal: one that leads to an MSP.
	Steal
	// Alter: one under the holder's key that she has not signed.
	Alter
	// Revive: one that she has ended.
	Revive
	// Outlive: one under the key of somebody who has lost the CSI, for longer than
	// a year after the last evidence that he had it.
	Outlive
	goals
)

var goalNames = [goals]string{"block", "steal", "alter", "revive", "outlive"}

// String returns the goal's name in the table.
func (g Goal) String() string { return goalNames[g] }

// Strategy is a program with which an adversary tries to reach a goal.
type Strategy struct {
	Name   string
	Goal   Goal
	Scheme csi.Scheme
	State  stage.State
	// Needs are the smallest sets with which it succeeds: its controls.
	Needs []cast.Set
	Run   func(a *Adversary) (mapping.Bundle, error)
	// Expelled: the federation has put out the provers in question, yesterday.
	Expelled bool
}

// String names the strategy with its variant.
func (s Strategy) String() string {
	return fmt.Sprintf("%s, to %s %s %s", s.Name, s.Goal, [stage.States]string{"an unlisted", "a listed", "an ended"}[s.State], s.Scheme)
}

// Effect is what it achieves if it succeeds.
func (s Strategy) Effect() Effect { return Effect{s.Goal, s.State, s.Scheme} }

// Outcome is what came of a strategy.
type Outcome struct {
	Done   bool
	Checks []string // that refused it, at honest parties and at clients, sorted
}

// try runs a strategy once, in every style that makes a difference.
func try(w *stage.Stage, s Strategy, owned cast.Set) (Outcome, map[cast.Party]bool, error) {
	v := w.Victim(s.Scheme, s.State)
	asked := make(map[cast.Party]bool)
	checks := make(map[string]bool)
	if s.Expelled {
		defer w.Expel()()
	}
	plain := &Adversary{spoken: true}
	for i := range styles {
		style := Style(i)
		if !plain.spoken && (style == Again || style == Sister) {
			continue // no prover is missing, so that these are the first style
		}
		a := newAdversary(w, owned, style, v)
		b, err := s.Run(a)
		maps.Copy(asked, a.asked)
		for _, c := range a.refusals {
			checks[c] = true
		}
		if err == nil {
			err = achieved(w, b, s.Goal, v)
		}
		if restoreErr := w.Restore(v); restoreErr != nil {
			return Outcome{}, nil, restoreErr
		}
		if err == nil {
			return Outcome{Done: true}, asked, nil
		}
		if errors.Is(err, errBroken) {
			return Outcome{}, nil, fmt.Errorf("%s by %s: %w", s, owned, err)
		}
		checks[check(err)] = true
		if !a.lacked {
			break
		}
		if style == OwnKey {
			plain = a
		}
	}
	return Outcome{Checks: slices.Sorted(maps.Keys(checks))}, asked, nil
}

// errBroken is a fault of the suite and no refusal.
var errBroken = errors.New("attack: a mapping is believed that reaches another goal than its strategy's")

// achieved returns nil if a client believes b and so the goal is reached, else
// what refused it.
func achieved(w *stage.Stage, b mapping.Bundle, g Goal, v stage.Victim) error {
	got, err := w.Believes(b)
	if err != nil {
		return err
	}
	c := got.Claims()
	reached := Steal
	honest, parseErr := mapping.Parse(v.Honest)
	switch {
	case c.CSI != v.CSI:
		return fmt.Errorf("%w: of another CSI", errBroken)
	case parseErr == nil && got.Digest() == honest.Digest() && v.State == stage.Ended:
		reached = Revive
	case parseErr == nil && got.Digest() == honest.Digest():
		return errHonest
	case c.Holder == v.Key.Public() && c.Expires.After(evidenceOf(w, v).Add(mapping.MaxLife)):
		reached = Outlive
	case c.Holder == v.Key.Public():
		reached = Alter
	case len(c.Entries) == 0:
		reached = Block
	}
	if reached != g {
		return fmt.Errorf("%w: %s", errBroken, reached)
	}
	return nil
}

// evidence is when a victim's possession was shown last.
func evidenceOf(w *stage.Stage, v stage.Victim) time.Time {
	newest := w.Now.Add(-mapping.MaxLife)
	for _, b := range v.Honest.Receipts {
		if u, err := possession.Parse(b); err == nil && u.Claims().Evidence.After(newest) {
			newest = u.Claims().Evidence
		}
	}
	return newest
}

// errHonest: what is believed is the holder's own mapping.
var errHonest = errors.New("only the holder's own mapping")

// Trial remembers outcomes. A strategy sees of a coalition only the parties that
// it asks for; so what it did for one coalition it does for every other that
// answers these questions alike.
type Trial struct {
	Stage *stage.Stage
	Whole bool // remember nothing
	seen  map[string][]remembered
}

type remembered struct {
	asked   map[cast.Party]bool
	outcome Outcome
}

// Try returns the outcome of a strategy in the hands of a coalition.
func (t *Trial) Try(s Strategy, owned cast.Set) (Outcome, error) {
	for _, r := range t.seen[s.String()] {
		same := true
		for p, has := range r.asked {
			same = same && owned.Has(p) == has
		}
		if same && !t.Whole {
			return r.outcome, nil
		}
	}
	o, asked, err := try(t.Stage, s, owned)
	if err != nil {
		return Outcome{}, err
	}
	if t.seen == nil {
		t.seen = make(map[string][]remembered)
	}
	t.seen[s.String()] = append(t.seen[s.String()], remembered{asked, o})
	return o, nil
}

// Strategies lists all.
func Strategies() []Strategy {
	var out []Strategy
	for _, e := range evidences() {
		out = append(out, e.strategies()...)
	}
	return append(out, statements()...)
}
