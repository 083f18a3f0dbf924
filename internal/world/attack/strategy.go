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

// attempt is what came of a strategy in one style.
type attempt struct {
	asked, owned   cast.Set // the parties that it asked for, and which of them it had
	done           bool
	checks         []string
	lacked, spoken bool // see Adversary
}

// try runs a strategy in one style.
func try(w *stage.Stage, s Strategy, style Style, owned cast.Set) (attempt, error) {
	v := w.Victim(s.Scheme, s.State)
	if s.Expelled {
		defer w.Expel()()
	}
	a := newAdversary(w, owned, style, v)
	b, err := s.Run(a)
	if err == nil {
		err = achieved(w, b, s.Goal, v)
	}
	if restoreErr := w.Restore(v); restoreErr != nil {
		return attempt{}, restoreErr
	}
	if errors.Is(err, errBroken) {
		return attempt{}, fmt.Errorf("%s by %s: %w", s, owned, err)
	}
	out := attempt{done: err == nil, checks: a.refusals, lacked: a.lacked, spoken: a.spoken}
	if err != nil {
		out.checks = append(out.checks, check(err))
	}
	for p, has := range a.asked {
		out.asked |= cast.Of(p)
		if has {
			out.owned |= cast.Of(p)
		}
	}
	return out, nil
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

// Trial tries strategies and remembers what came of them. A strategy sees of a
// coalition only the parties that it asks for; so what it did for one coalition it
// does for every other that answers these questions alike.
type Trial struct {
	Stage *stage.Stage
	Whole bool // remember nothing
	seen  map[string][]attempt
}

// Try returns the outcome of a strategy in the hands of a coalition, in every
// style that makes a difference.
func (t *Trial) Try(s Strategy, owned cast.Set) (Outcome, error) {
	checks := make(map[string]bool)
	spoken := true
	for i := range styles {
		style := Style(i)
		if !spoken && (style == Again || style == Sister) {
			continue // no prover is missing, so that these are the first style
		}
		a, err := t.attempt(s, style, owned)
		if err != nil {
			return Outcome{}, err
		}
		if a.done {
			return Outcome{Done: true}, nil
		}
		for _, c := range a.checks {
			checks[c] = true
		}
		if !a.lacked {
			break
		}
		if style == OwnKey {
			spoken = a.spoken
		}
	}
	return Outcome{Checks: slices.Sorted(maps.Keys(checks))}, nil
}

func (t *Trial) attempt(s Strategy, style Style, owned cast.Set) (attempt, error) {
	name := fmt.Sprint(s, style)
	for _, a := range t.seen[name] {
		if !t.Whole && owned&a.asked == a.owned {
			return a, nil
		}
	}
	a, err := try(t.Stage, s, style, owned)
	if err == nil {
		if t.seen == nil {
			t.seen = make(map[string][]attempt)
		}
		t.seen[name] = append(t.seen[name], a)
	}
	return a, err
}

// Strategies lists all.
func Strategies() []Strategy {
	var out []Strategy
	for _, e := range evidences() {
		out = append(out, e.strategies()...)
	}
	return append(out, statements()...)
}
