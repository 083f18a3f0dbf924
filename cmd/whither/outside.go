package main

import (
	"context"
	"fmt"

	"whither/internal/console"
	"whither/internal/world/around"
)

type outsideCommand struct {
	Address string            `help:"The address of loopback where all of it listens." default:"127.0.0.1" placeholder:"IP"`
	Domain  string            `help:"The domain of the mail provider." default:"example.org" placeholder:"NAME"`
	Person  []string          `help:"Who has a mailbox there and, maybe, a phone, as bob=+41791234567." placeholder:"NAME[=NUMBER]"`
	Records []string          `help:"What whither-prover records printed." type:"existingfile" placeholder:"FILE"`
	Host    map[string]string `help:"Where a prover's mail host listens, as mx.prover.example=127.0.0.4:2525." placeholder:"NAME=ADDR"`
}

// Run starts the world around a federation that is tried out by hand, and stays
// up. See docs/operate.md.
func (c outsideCommand) Run(ctx context.Context, s *session) error {
	if !s.dirGiven {
		return fmt.Errorf("%w: give --dir, a folder for what the provers are given", console.ErrUsage)
	}
	w, err := around.Start(ctx, around.Config{
		Dir: s.dir, Address: c.Address, Domain: c.Domain, People: c.Person, Records: c.Records, Hosts: c.Host, Now: s.Now,
	})
	if err != nil {
		return err
	}
	if err := s.Print(w.Facts(), w.Text()); err != nil {
		return err
	}
	return w.Run(ctx)
}
