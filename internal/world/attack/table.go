package attack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"whither/internal/world/attack/cast"
)

// Results are what all strategies achieved for all coalitions.
type Results struct {
	Coalitions []cast.Set
	Strategies []Strategy
	Outcomes   [][]Outcome // by strategy, by coalition
}

// Achieved returns the effects that a coalition has, each once.
func (r Results) Achieved(coalition int) []Effect {
	var out []Effect
	for i, s := range r.Strategies {
		e := s.Effect()
		if r.Outcomes[i][coalition].Done && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// Run tries every strategy for every coalition.
func (t *Trial) Run() (Results, error) {
	r := Results{Coalitions: cast.Coalitions(), Strategies: Strategies()}
	for _, s := range r.Strategies {
		row := make([]Outcome, len(r.Coalitions))
		for i, owned := range r.Coalitions {
			var err error
			if row[i], err = t.Try(s, owned); err != nil {
				return Results{}, err
			}
		}
		r.Outcomes = append(r.Outcomes, row)
	}
	return r, nil
}

// Table returns both tables of docs/trust.md: who can do what, and what became of
// each strategy.
func (r Results) Table() string {
	var b strings.Builder
	b.WriteString("| who | can | what notices it |\n| --- | --- | --- |\n")
	for _, e := range Exceptions() {
		if e.Who != "" {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", e.Who, e.Can, e.Notices)
		}
	}
	some := 0
	for i := range r.Coalitions {
		if len(r.Achieved(i)) > 0 {
			some++
		}
	}
	fmt.Fprintf(&b, "\n%d coalitions were tried: every one of up to three of the ten ordinary parties, and the special ones among them. %d of them have\n"+
		"one of the above in them and achieve that and no more; the other %d achieve nothing with any of the %d strategies:\n\n",
		len(r.Coalitions), some, len(r.Coalitions)-some, len(r.Strategies))
	b.WriteString("| strategy | succeeds with | otherwise refused by |\n| --- | --- | --- |\n")
	for _, name := range r.names() {
		needs, checks := r.row(name)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, needs, checks)
	}
	return b.String()
}

// names lists the strategies' names, each once, in their order.
func (r Results) names() []string {
	var out []string
	for _, s := range r.Strategies {
		if !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// row sums up the variants of a strategy: with what the easiest of them succeeds,
// and all that refused any.
func (r Results) row(name string) (needs, checks string) {
	var sets []cast.Set
	refused := make(map[string]bool)
	for i, s := range r.Strategies {
		if s.Name != name {
			continue
		}
		sets = append(sets, s.Needs...)
		for _, o := range r.Outcomes[i] {
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
