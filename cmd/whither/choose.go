package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"whither/client"
	"whither/client/choice"
	"whither/csi"
	"whither/internal/console"
	"whither/registry"
)

type chooseCommand struct {
	Address string `arg:"" help:"The address or number."`
	Region  string `help:"The country of a number without +, as CH." placeholder:"CC"`
	Purpose string `help:"What the message is for: a tag, as Business." placeholder:"WORD"`
	At      string `help:"Your own word: from now on at this MSP." placeholder:"NAME"`
	Via     string `help:"The MSP whose back-end asks; by default your first account's." placeholder:"NAME"`
}

// Run says at which one MSP to write to a contact, and remembers it.
func (c chooseCommand) Run(ctx context.Context, s *session) error {
	f, err := openFolder(s)
	if err != nil {
		return err
	}
	id, err := parseCSI(c.Address, c.Region)
	if err != nil {
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
	answers, err := cl.Lookup(ctx, msp, token, client.Query{CSIs: []csi.ID{id}})
	if err != nil {
		return err
	}
	a := answers.Answers[0]
	ask := choice.Ask{Question: choice.Question{
		CSI: id, Purpose: c.Purpose, Own: msp, Heard: choice.Hear(answers.Asked, nil, len(a.Refused)),
	}}
	snapshot, _ := f.Registry()
	for _, m := range a.Mappings {
		ask.Mappings = append(ask.Mappings, choice.From(m.Verified, snapshot))
	}
	memory, err := choice.OpenFolder(f.Path("choices"))
	if err != nil {
		return err
	}
	d, err := c.decide(choice.Chooser{Memory: memory}, ask)
	if err != nil {
		return err
	}
	return s.printDecision(id, d)
}

// decide follows the person's word, or the rules.
func (c chooseCommand) decide(chooser choice.Chooser, ask choice.Ask) (choice.Decision, error) {
	if c.At == "" {
		all, err := chooser.Decide(ask)
		if err != nil {
			return choice.Decision{}, err
		}
		return all[0], nil
	}
	at, err := registry.ParsePartyID(c.At)
	if err != nil {
		return choice.Decision{}, fmt.Errorf("%w: --at: %w", console.ErrUsage, err)
	}
	options := choice.Options(ask.Question, ask.Mappings)
	i := slices.IndexFunc(options, func(p choice.Place) bool { return p.Provider == at })
	if i < 0 {
		return choice.Decision{}, fmt.Errorf("the contact is not at %s; see whither lookup", at)
	}
	return chooser.Choose(ask, options[i])
}

// printDecision says where to write, why, and whatever the person should know.
func (s *session) printDecision(id csi.ID, d choice.Decision) error {
	data := map[string]any{"csi": id.Canonical(), "reason": d.Reason, "tentative": d.Tentative, "contested": d.Contested}
	text := fmt.Sprintf("%s: nowhere (%s)", display(id), d.Reason)
	if d.Found() {
		data["provider"], data["uri"] = d.Place.Provider, d.Place.URI
		text = fmt.Sprintf("%s: write to %s (%s)", display(id), d.Place.URI, d.Reason)
	}
	var notes []string
	if d.Changed != choice.Same {
		data["changed"], data["was"] = d.Changed, d.Was
		notes = append(notes, fmt.Sprintf("it was %s before: %s", d.Was, d.Changed))
	}
	if d.Preferred != nil {
		data["preferred"] = d.Preferred.URI
		notes = append(notes, fmt.Sprintf("the contact would now rather be at %s; say --at %s to follow", d.Preferred.URI, d.Preferred.Provider))
	}
	if d.Contested {
		notes = append(notes, "several people claim this address; make sure who you write to")
	}
	if d.Tentative {
		notes = append(notes, "not remembered: not everybody has answered")
	}
	return s.Print(data, strings.Join(append([]string{text}, notes...), "\n  "))
}
