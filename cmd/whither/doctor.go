package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"whither/internal/console"
	"whither/internal/doctor"
	"whither/internal/person"
)

type doctorCommand struct {
	Folder   string        `arg:"" optional:"" help:"The folder of a DP, an MSP, a prover, an observer or a person." type:"existingdir"`
	Target   string        `help:"Look from outside at a server, as https://dp.example:8443." placeholder:"URL"`
	Registry string        `help:"The registry to hold the server against." type:"existingfile" placeholder:"FILE"`
	Root     string        `help:"Who may sign that." type:"existingfile" placeholder:"FILE"`
	Wait     time.Duration `help:"How long to look again until the server is well."`
}

// Run says what is wrong and how to mend it.
func (c doctorCommand) Run(ctx context.Context, s *session) error {
	r, err := c.look(ctx, s)
	for until := s.Now().Add(c.Wait); err == nil && !r.Sound() && s.Now().Before(until) && ctx.Err() == nil; {
		time.Sleep(100 * time.Millisecond)
		r, err = c.look(ctx, s)
	}
	if err != nil {
		return err
	}
	rows := [][]string{}
	for _, f := range r {
		rows = append(rows, []string{string(f.Verdict), f.Check, f.What})
		if f.Mend != "" {
			rows = append(rows, []string{"", "", "→ " + f.Mend})
		}
	}
	if err := s.Table(map[string]any{"sound": r.Sound(), "findings": r}, rows); err != nil {
		return err
	}
	if !r.Sound() {
		return errors.New("something is wrong")
	}
	return nil
}

func (c doctorCommand) look(ctx context.Context, s *session) (doctor.Report, error) {
	if (c.Target == "") == (c.Folder == "") || (c.Target == "") != (c.Registry == "") || (c.Target == "") != (c.Root == "") {
		return nil, fmt.Errorf("%w: give a folder, or --target with --registry and --root", console.ErrUsage)
	}
	if c.Target != "" {
		return doctor.Target(ctx, c.Target, c.Registry, c.Root, s.Now())
	}
	path := filepath.Join(c.Folder, "client.toml")
	if _, err := os.Stat(path); err != nil {
		return doctor.Folder(ctx, c.Folder, s.Now())
	}
	var v person.Settings
	md, err := toml.DecodeFile(path, &v)
	if err == nil && len(md.Undecoded()) > 0 {
		err = fmt.Errorf("unknown key %s", md.Undecoded()[0])
	}
	p := doctor.Person{Dir: c.Folder, DP: v.DP, Settings: err}
	for _, a := range v.Accounts {
		p.MSPs, p.Tokens = append(p.MSPs, a.MSP), append(p.Tokens, a.Token)
	}
	return p.Examine(s.Now()), nil
}
