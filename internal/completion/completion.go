// Package completion writes the scripts by which bash, zsh and fish complete a
// command line. They hold the whole tree of commands and start no program, so
// that a key stroke costs nothing; where a value is asked for they offer files.
//
// It promises scripts that are safe to source: a name with any byte that means
// something to a shell is refused, and help is stripped of it.
package completion

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrName refuses a name that a shell could read as something else.
var ErrName = errors.New("completion: a name has a byte that means something to a shell")

// Shells are those that Script knows.
var Shells = []string{"bash", "zsh", "fish"}

// Command is a command with the commands below it.
type Command struct {
	Name  string
	Help  string
	Flags []Flag
	Below []Command
	Words []string // the values of its argument, if they are known
}

// Flag is a flag of a command, and of all below it.
type Flag struct {
	Name  string // without dashes
	Help  string
	Value bool     // takes a value
	Words []string // the values that there are, if they are known
}

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Script returns the script of a shell for a program.
func Script(shell string, program Command) (string, error) {
	if err := check(program); err != nil {
		return "", err
	}
	switch shell {
	case "bash":
		return bash(program), nil
	case "zsh":
		// zsh runs bash's completions.
		return "#compdef " + program.Name + "\nautoload -U +X bashcompinit && bashcompinit\n" + bash(program), nil
	case "fish":
		return fish(program), nil
	}
	return "", fmt.Errorf("completion: no shell %q; there are %s", shell, strings.Join(Shells, ", "))
}

func check(c Command) error {
	names := append([]string{c.Name}, c.Words...)
	for _, f := range c.Flags {
		names = append(append(names, f.Name), f.Words...)
	}
	for _, n := range names {
		if !plain.MatchString(n) {
			return fmt.Errorf("%w: %q", ErrName, n)
		}
	}
	for _, below := range c.Below {
		if err := check(below); err != nil {
			return err
		}
	}
	return nil
}

// walk visits the tree; path is the names below the program, flags are those
// that count there.
func walk(c Command, path []string, flags []Flag, visit func(c Command, path []string, flags []Flag)) {
	flags = append(slices.Clone(flags), c.Flags...)
	visit(c, path, flags)
	for _, below := range c.Below {
		walk(below, append(slices.Clone(path), below.Name), flags, visit)
	}
}

// bash writes one function with two tables: what can follow a path of commands,
// and what can follow a flag.
func bash(program Command) string {
	var words, values strings.Builder
	seen := make(map[string]bool)
	walk(program, nil, nil, func(c Command, path []string, flags []Flag) {
		next := slices.Clone(c.Words)
		for _, below := range c.Below {
			next = append(next, below.Name)
		}
		for _, f := range flags {
			next = append(next, "--"+f.Name)
			at := strings.Join(append(slices.Clone(path), "--"+f.Name), " ")
			if f.Value && !seen[at] {
				seen[at] = true
				fmt.Fprintf(&values, "\t\t'%s') value='%s' ;;\n", at, strings.Join(append([]string{"?"}, f.Words...), " "))
			}
		}
		fmt.Fprintf(&words, "\t\t'%s') words='%s' ;;\n", strings.Join(path, " "), strings.Join(next, " "))
	})
	r := strings.NewReplacer("@NAME@", program.Name, "@WORDS@", words.String(), "@VALUES@", values.String())
	return r.Replace(bashScript)
}

// bashScript goes through the words before the cursor: a command leads down the
// path, a flag that takes a value eats the next word.
const bashScript = `_@NAME@_words() {
	words=
	case $1 in
@WORDS@	esac
}
_@NAME@_value() {
	value=
	case $1 in
@VALUES@	esac
}
_@NAME@() {
	local words value path='' i word eats=
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -n $eats ]]; then eats=; continue; fi
		_@NAME@_value "${path:+$path }$word"
		if [[ -n $value ]]; then eats=$value; continue; fi
		_@NAME@_words "$path"
		if [[ $word != -* && " $words " == *" $word "* ]]; then path="${path:+$path }$word"; fi
	done
	word=${COMP_WORDS[COMP_CWORD]}
	COMPREPLY=()
	if [[ -n $eats ]]; then
		words=${eats#\?}
		if [[ -z $words ]]; then COMPREPLY=($(compgen -f -- "$word")); return; fi
	else
		_@NAME@_words "$path"
		if [[ $word != -* && " $words " != *" "[a-z]* ]]; then COMPREPLY=($(compgen -f -- "$word")); return; fi
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _@NAME@ @NAME@
`

// fish writes one line a command and a flag.
func fish(program Command) string {
	var b strings.Builder
	walk(program, nil, nil, func(c Command, path []string, _ []Flag) {
		// A line counts where the commands of its path were typed, and for a
		// command, none beside it yet.
		var seen []string
		for _, p := range path {
			seen = append(seen, "__fish_seen_subcommand_from "+p)
		}
		var beside []string
		for _, below := range c.Below {
			beside = append(beside, below.Name)
		}
		for _, below := range c.Below {
			when := append(slices.Clone(seen), "not __fish_seen_subcommand_from "+strings.Join(beside, " "))
			fmt.Fprintf(&b, "complete -c %s -f -n '%s' -a %s -d '%s'\n", program.Name, strings.Join(when, "; and "), below.Name, quiet(below.Help))
		}
		if len(c.Words) > 0 {
			fmt.Fprintf(&b, "complete -c %s -f -n '%s' -a '%s'\n", program.Name, strings.Join(seen, "; and "), strings.Join(c.Words, " "))
		}
		for _, f := range c.Flags {
			fmt.Fprintf(&b, "complete -c %s", program.Name)
			if len(seen) > 0 {
				fmt.Fprintf(&b, " -n '%s'", strings.Join(seen, "; and "))
			}
			fmt.Fprintf(&b, " -l %s", f.Name)
			switch {
			case len(f.Words) > 0:
				fmt.Fprintf(&b, " -x -a '%s'", strings.Join(f.Words, " "))
			case f.Value:
				b.WriteString(" -r")
			}
			fmt.Fprintf(&b, " -d '%s'\n", quiet(f.Help))
		}
	})
	return b.String()
}

// quiet leaves out what could end or leave a quoted string.
func quiet(help string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune("'\\", r) {
			return -1
		}
		return r
	}, help)
}
