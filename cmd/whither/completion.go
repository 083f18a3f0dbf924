package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"whither/internal/completion"
)

type completionCommand struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Run prints the shell's script, made from the command line itself.
func (c completionCommand) Run(s *session, k *kong.Kong) error {
	script, err := completion.Script(c.Shell, describeCommand(k.Model.Node))
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.Out, script)
	return err
}

// describeCommand is what completion needs to know of a command.
func describeCommand(n *kong.Node) completion.Command {
	c := completion.Command{Name: n.Name, Help: n.Help}
	for _, f := range n.Flags {
		flag := completion.Flag{Name: f.Name, Help: f.Help, Value: !f.IsBool()}
		if f.Enum != "" {
			flag.Words = f.EnumSlice()
		}
		c.Flags = append(c.Flags, flag)
	}
	for _, arg := range n.Positional {
		if arg.Enum != "" {
			c.Words = arg.EnumSlice()
		}
	}
	for _, below := range n.Children {
		c.Below = append(c.Below, describeCommand(below))
	}
	return c
}
