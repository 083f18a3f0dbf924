package attack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"whither/internal/world/attack"
	"whither/internal/world/attack/cast"
)

// results are what all strategies achieved for all coalitions.
type results struct {
	coalitions []cast.Set
	strategies []attack.Strategy
	outcomes   [][]attack.Outcome // by strategy, by coalition
}

// achieved returns the effects that a coalition has, each once.
func (r results) achieved(coalition int) []attack.Effect {
	var out []attack.Effect
	for i, s := range r.strategies {
		e := s.Effect()
		if r.outcomes[i][coalition].Done && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// run tries every strategy for every one of some coalitions.
func run(t *attack.Trial, coalitions []cast.Set) (results, error) {
	r := results{coalitions: coalitions, strategies: attack.Strategies()}
	for _, s := range r.strategies {
		row := make([]attack.Outcome, len(r.coalitions))
		for i, owned := range r.coalitions {
			var err error
			if row[i], err = t.Try(s, owned); err != nil {
				return results{}, err
			}
		}
		r.outcomes = append(r.outcomes, row)
	}
	return r, nil
}

// table returns both tables of docs/trust.md: who can do what, and what became of
// each strategy.
func (r results) table() string {
	var b strings.Builder
	b.WriteString("| who | can | what notices it |\n| --- | --- | --- |\n")
	for _, e := range attack.Exceptions() {
		if e.Who != "" {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", e.Who, e.Can, e.Notices)
		}
	}
	some := 0
	for i := range r.coalitions {
		if len(r.achieved(i)) > 0 {
			some++
		}
	}
	fmt.Fprintf(&b, "\n%d coalitions were tried: every one of up to three of the ten ordinary parties, and the special ones among them. %d of them have\n"+
		"one of the above in them and achieve that and no more; the other %d achieve nothing with any of the %d strategies:\n\n",
		len(r.coalitions), some, len(r.coalitions)-some, len(r.strategies))
	b.WriteString("| strategy | succeeds with | otherwise refused by |\n| --- | --- | --- |\n")
	for _, name := range r.names() {
		needs, checks := r.row(name)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, needs, checks)
	}
	return b.String()
}

// names lists the strategies' names, each once, in their order.
func (r results) names() []string {
	var out []string
	for _, s := range r.strategies {
		if !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// row sums up the variants of a strategy: with what the easiest of them succeeds,
// and all that refused any.
func (r results) row(name string) (needs, checks string) {
	var sets []cast.Set
	refused := make(map[string]bool)
	for i, s := range r.strategies {
		if s.Name != name {
			continue
		}
		sets = append(sets, s.Needs...)
		for _, o := range r.outcomes[i] {
			for _, c := range o.Checks {
				refused[c] = true
			}
		}
	}
	var words []string
	sets = cast.Minimal(sets)
	slices.SortStableFunc(sets, func(a, b cast.Set) int { return a.Len() - b.Len() })
	for _, s := range sets {
		words = append(words, s.String())
	}
	all := slices.Sorted(maps.Keys(refused))
	for i, c := range all {
		if !strings.Contains(c, " ") {
			all[i] = "`" + c + "`"
		}
	}
	return strings.Join(words, "; or "), strings.Join(all, ", ")
}

// expected returns what the trust rule concedes to a coalition.
func expected(owned cast.Set) []attack.Effect {
	var out []attack.Effect
	for _, e := range attack.Exceptions() {
		if !cast.AnyWithin(e.Sets, owned) {
			continue
		}
		for _, f := range e.Effects {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}
