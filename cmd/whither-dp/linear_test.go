package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"whither/csi"
	"whither/internal/storetest/pgtest"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/problem"
	"whither/wire"
)

// action is what a client does with one CSI.
type action struct {
	csi  int
	what string // admit, withdraw or lookup
	who  string // whose mapping; nobody's in a lookup
}

// The ends of actions, beside the names that a look-up finds.
const (
	done    = "done"
	held    = "held"
	refused = "refused"
	unheard = "unheard" // nobody knows whether it was done
)

// live is what is true of one CSI.
type live struct {
	who   string // whose mapping lives; nobody's: ""
	dead  names  // whose mappings have lived, and were withdrawn
	held  names  // who claims it, and waits
	spent names  // whose claims have ended
}

// names is a set of them, in order, each with a comma behind it.
type names string

func (n names) has(name string) bool { return strings.Contains(string(n), name+",") }

func (n names) with(name string) names {
	return names(strings.Join(slices.Sorted(slices.Values(append(strings.SplitAfter(string(n), ","), name+","))), ""))
}

func (n names) without(name string) names { return names(strings.Replace(string(n), name+",", "", 1)) }

// oneHolder is the rule that the histories are held against: of mappings of
// rivals one lives at a time, until it is withdrawn, and is then gone for ever;
// who comes meanwhile waits, and one of those who wait comes next.
var oneHolder = porcupine.NondeterministicModel{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		parts := make(map[int][]porcupine.Operation)
		for _, o := range all {
			c := o.Input.(action).csi
			parts[c] = append(parts[c], o)
		}
		var list [][]porcupine.Operation
		for _, p := range parts {
			list = append(list, p)
		}
		return list
	},
	Init: func() []any { return []any{live{}} },
	Step: func(state, input, output any) []any {
		var all []any
		for _, s := range settled(state.(live)) {
			for _, next := range after(s, input.(action), output.(string)) {
				all = append(all, next)
			}
		}
		return all
	},
	Equal: func(a, b any) bool { return a == b },
}

// settled returns what a state may have become by itself: one who waited lives.
func settled(s live) []live {
	all := []live{s}
	if s.who != "" {
		return all
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(s.held), ","), ",") {
		if name != "" {
			all = append(all, live{who: name, dead: s.dead, held: s.held.without(name), spent: s.spent})
		}
	}
	return all
}

// after returns the states in which a CSI may be after an action with this end;
// none means that it cannot have ended so.
func after(s live, a action, end string) []live {
	if end == unheard { // perhaps it never came, perhaps the answer was lost
		all := []live{s}
		for _, end := range []string{done, held, refused} {
			all = append(all, after(s, a, end)...)
		}
		return all
	}
	switch a.what {
	case "admit":
		return s.admit(a.who, end)
	case "withdraw":
		return s.withdraw(a.who, end)
	default:
		return when(end == s.who, s)
	}
}

func when(can bool, next live) []live {
	if can {
		return []live{next}
	}
	return nil
}

func (s live) admit(who, end string) []live {
	won, waits, ended := s, s, s
	won.who, won.held, won.spent = who, s.held.without(who), s.spent.without(who)
	waits.held, waits.spent = s.held.without(who).with(who), s.spent.without(who)
	ended.held, ended.spent = s.held.without(who), s.spent.without(who).with(who)
	fresh := !s.held.has(who) && !s.spent.has(who)
	switch {
	case s.who == who:
		return when(end == done, s)
	case s.dead.has(who):
		return when(end == refused, s)
	case end == done:
		return when(s.who == "", won)
	case end == held:
		return when(s.who != "" || s.held != "", waits)
	case fresh:
		return when(s.who != "", s) // there are bounds on how many wait
	default:
		return []live{ended}
	}
}

func (s live) withdraw(who, end string) []live {
	next := s
	switch {
	case s.who == who:
		next.who, next.dead = "", s.dead.with(who)
		return when(end == done, next)
	case s.held.has(who): // it ends the claim
		next.held, next.spent = s.held.without(who), s.spent.with(who)
		return when(end == done, next)
	default:
		return when(end == refused, s)
	}
}

// history is a run of clients against DPs, written down.
type history struct {
	*several
	people [][]*person // by CSI, of rivals
	begun  time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
}

const (
	historyCSIs    = 6
	historyRivals  = 20 // for one CSI
	historyClients = 9
	historyActions = 80 // of a client
)

// TestHistoriesOnPostgres records what clients see of three DP processes on one
// PostgreSQL, one of which is killed half way, and has a checker find an order
// in which it could have happened one after the other, each action between its
// call and its answer.
func TestHistoriesOnPostgres(t *testing.T) {
	h := newHistory(t, 3, pgtest.Schema(t, pgtest.Start(t)))
	h.run(func() {
		h.processes[0].kill()
		<-h.processes[0].ended
	})
	h.judge()
}

// TestHistoriesOnSQLite does the same with one process on a file.
func TestHistoriesOnSQLite(t *testing.T) {
	h := newHistory(t, 1, "file:dp.db")
	h.run(func() {})
	h.judge()
}

func newHistory(t *testing.T, processes int, store string) *history {
	t.Helper()
	h := &history{several: newSeveral(t, processes, store)}
	for c := range historyCSIs {
		var rivals []*person
		for r := range historyRivals {
			rivals = append(rivals, h.rival(fmt.Sprintf("history-%d", c), fmt.Sprintf("rival-%d-%d", c, r)))
		}
		h.people = append(h.people, rivals)
	}
	return h
}

// run has the clients act at random, and does something to the DPs half way.
func (h *history) run(halfWay func()) {
	seed := uint64(time.Now().UnixNano())
	h.t.Logf("seed %d", seed)
	h.begun = time.Now()
	var clients, half sync.WaitGroup
	for i := range historyClients {
		half.Add(1)
		clients.Go(func() {
			random, client := rand.New(rand.NewPCG(seed, uint64(i))), h.client()
			for n := range historyActions {
				if n == historyActions/2 {
					half.Done()
				}
				h.act(client, i, random)
			}
		})
	}
	half.Wait()
	halfWay()
	clients.Wait()
}

// act does one thing and writes it down.
func (h *history) act(s *stage, client int, random *rand.Rand) {
	c := random.IntN(historyCSIs)
	p := h.people[c][random.IntN(historyRivals)]
	a := action{csi: c, who: p.name, what: []string{"lookup", "admit", "withdraw"}[random.IntN(3)]}
	if a.what == "withdraw" { // of one that lives, as far as anybody can know
		if who, err := s.look(h.people[c][0].csi); err == nil && who != "" {
			a.who = who
			p = h.people[c][slices.IndexFunc(h.people[c], func(p *person) bool { return p.name == who })]
		}
	}
	call := time.Since(h.begun).Nanoseconds()
	end := s.end(a, p)
	back := time.Since(h.begun).Nanoseconds()
	if end == unheard {
		if a.what == "lookup" {
			return // it changes nothing and says nothing
		}
		back = time.Hour.Nanoseconds() // it may still happen
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: a, Output: end, Call: call, Return: back})
}

// end does an action and says how it ended.
func (s *stage) end(a action, p *person) string {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var err error
	switch a.what {
	case "lookup":
		who, err := s.look(p.csi)
		if err != nil {
			return unheard
		}
		return who
	case "admit":
		var answer wire.SubmitAnswer
		if err = s.holder.Call(ctx, s.dp, wire.PathMappings, "", p.request, &answer); err == nil && answer.State != wire.StateAdmitted {
			return held
		}
	case "withdraw":
		err = s.withdraw(ctx, p)
	}
	var d problem.Document
	switch {
	case err == nil:
		return done
	case errors.As(err, &d) && d.Kind() != problem.Internal && d.Kind() != problem.Unavailable:
		return refused
	default:
		return unheard
	}
}

// look says whose mapping of a CSI lives; its lineage is named after him.
func (s *stage) look(id csi.ID) (string, error) {
	r := wire.LookupRequest{CSIs: []csi.Clear{{ID: id}}, Federation: wire.FederationNone, Format: wire.FormatVerbose}
	var a wire.LookupAnswer
	if err := s.asker.Call(s.t.Context(), s.dp, wire.PathLookups, "", r, &a); err != nil {
		return "", err
	}
	var names []string
	for _, m := range a.Answers[0].Mappings {
		v, err := s.verify(&m.Bundle)
		if err != nil {
			return "", err
		}
		names = append(names, lineageName(v.Claims().Lineage))
	}
	return strings.Join(names, " and "), nil
}

// rival prepares a mapping of a CSI by one of several who claim it.
func (s *stage) rival(address, name string) *person {
	s.t.Helper()
	p := &person{name: name, csi: worldtest.CSI(s.t, "mailto:"+address+"@example.org"), key: worldtest.Key(s.t, name)}
	s.prepare(p, name, func(c *mapping.Claims) { copy(c.Lineage[:], fmt.Sprintf("%-16s", name)) })
	return p
}

func lineageName(l mapping.Lineage) string { return strings.TrimSpace(string(l[:])) }

// judge has the history checked, and then two falsified ones, which must not pass.
func (h *history) judge() {
	h.t.Helper()
	counts := make(map[string]int)
	for _, o := range h.operations {
		end := o.Output.(string)
		if o.Input.(action).what == "lookup" && end != "" {
			end = "found"
		}
		counts[o.Input.(action).what+" "+end]++
	}
	h.t.Logf("%d actions in %.1f s: %v", len(h.operations), time.Since(h.begun).Seconds(), counts)
	if counts["admit done"] < 5 || counts["withdraw done"] < 5 || counts["lookup found"] < 5 || counts["admit held"] < 5 {
		h.t.Error("the history says too little")
	}
	model := oneHolder.ToModel()
	if got := porcupine.CheckOperationsTimeout(model, h.operations, patience); got != porcupine.Ok {
		h.t.Errorf("the history is %s", got)
		h.explain(model)
	}
	found := slices.IndexFunc(h.operations, func(o porcupine.Operation) bool { return o.Input.(action).what == "lookup" && o.Output != "" })
	stranger := slices.Clone(h.operations)
	stranger[found].Output = "somebody else"
	ended := slices.IndexFunc(h.operations, func(o porcupine.Operation) bool { return o.Input.(action).what == "withdraw" && o.Output == done })
	late := h.operations[ended]
	input := late.Input.(action)
	input.what = "lookup"
	late.Input, late.Output, late.Call, late.Return = input, input.who, late.Return+1, late.Return+2
	for name, lie := range map[string][]porcupine.Operation{
		"a look-up finds somebody else": stranger, "a look-up finds what was withdrawn before": append(slices.Clone(h.operations), late),
	} {
		if got := porcupine.CheckOperationsTimeout(model, lie, patience); got != porcupine.Illegal {
			h.t.Errorf("a history in which %s is %s", name, got)
		}
	}
}

// explain prints what happened to a CSI whose history cannot be.
func (h *history) explain(model porcupine.Model) {
	h.t.Helper()
	for _, part := range oneHolder.Partition(h.operations) {
		if porcupine.CheckOperationsTimeout(model, part, patience) == porcupine.Ok {
			continue
		}
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		for _, o := range part {
			a := o.Input.(action)
			h.t.Logf("%8.2f to %8.2f ms, client %d: %s %s: %s", float64(o.Call)/1e6, float64(o.Return)/1e6, o.ClientId, a.what, a.who, o.Output)
		}
		return
	}
}
