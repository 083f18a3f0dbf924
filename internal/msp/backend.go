package msp

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/endpoint"
	"whither/internal/pinned"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Errors of look-ups. Refusals by the DP come through as they are.
var (
	ErrBothEnds = errors.New("msp: the DP is of the MSP's own operator and would see both who asks and about whom")
	ErrQuery    = errors.New("msp: a member of the look-up is out of bounds")
	ErrBudget   = errors.New("msp: the account has used its look-ups for now")
	ErrNoDP     = errors.New("msp: the registry lists no active DP of this name")
	ErrDP       = errors.New("msp: the DP does not answer as it should")
)

// table is the one table from the back-end's errors to problem kinds.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrBothEnds, problem.BothEnds},
	{ErrQuery, problem.Malformed},
	{ErrBudget, problem.Limited},
	{ErrNoDP, problem.Registry},
	{pinned.ErrSplitView, problem.Registry},
	{ErrDP, problem.Unavailable},
	{cosigner.ErrNoToken, problem.Unauthenticated},
	{cosigner.ErrNoAccount, problem.AccountUnknown},
}

// backend asks a DP for the MSP's users.
type backend struct {
	party, dp registry.PartyID
	accounts  *Accounts
	snapshot  func() *registry.Snapshot
	now       func() time.Time
	dps       *pinned.Client
	budget    *budget
	asked     prometheus.Counter
}

// checkDP refuses a DP that must not be asked. The registry may change at any
// time, so it is called for each request.
func (b *backend) checkDP() error {
	s := b.snapshot()
	dp, ok := s.Party(b.dp)
	own, listed := s.Party(b.party)
	switch {
	case !ok || !listed || !dp.Has(registry.RoleDP) || dp.Standing.State != registry.Active:
		return ErrNoDP
	case dp.Operator == own.Operator:
		return ErrBothEnds
	default:
		return nil
	}
}

func (b *backend) lookup(ctx context.Context, who endpoint.Caller, r wire.LookupRequest) (wire.LookupAnswer, error) {
	if who.Token == "" {
		return wire.LookupAnswer{}, cosigner.ErrNoToken
	}
	account, ok := b.accounts.account(who.Token)
	if !ok {
		return wire.LookupAnswer{}, cosigner.ErrNoAccount
	}
	if len(r.CSIs) == 0 || len(r.CSIs) > wire.MaxLookup {
		return wire.LookupAnswer{}, fmt.Errorf("%w: 1 to %d CSIs", ErrQuery, wire.MaxLookup)
	}
	if err := b.checkDP(); err != nil {
		return wire.LookupAnswer{}, err
	}
	if !b.budget.take(account, len(r.CSIs), b.now()) {
		return wire.LookupAnswer{}, fmt.Errorf("%w: %d CSIs an hour", ErrBudget, b.budget.perHour)
	}
	unnamed, order, err := unname(r)
	if err != nil {
		return wire.LookupAnswer{}, err
	}
	answer, err := b.ask(ctx, unnamed)
	if errors.Is(err, pinned.ErrUnreachable) {
		b.budget.giveBack(account, len(r.CSIs), b.now())
	}
	if err != nil {
		return wire.LookupAnswer{}, err
	}
	answer.Answers = restore(answer.Answers, order)
	return answer, nil
}

// ask sends r to the DP. Its refusals stay problem documents; what else goes
// wrong is the DP's doing or the network's, not the user's.
func (b *backend) ask(ctx context.Context, r wire.LookupRequest) (wire.LookupAnswer, error) {
	b.asked.Add(float64(len(r.CSIs)))
	var answer wire.LookupAnswer
	err := b.dps.Call(ctx, b.dp, wire.PathLookups, "", r, &answer)
	switch {
	case errors.Is(err, pinned.ErrUnreachable):
		return wire.LookupAnswer{}, fmt.Errorf("%w: %w", ErrDP, err)
	case problem.KindOf(err) != "", errors.Is(err, pinned.ErrSplitView):
		return wire.LookupAnswer{}, err
	case err != nil:
		return wire.LookupAnswer{}, fmt.Errorf("%w: %v", ErrDP, err) //nolint:errorlint // a malformed answer is no malformed request
	case len(answer.Answers) != len(r.CSIs):
		return wire.LookupAnswer{}, fmt.Errorf("%w: %d answers to %d questions", ErrDP, len(answer.Answers), len(r.CSIs))
	default:
		return answer, nil
	}
}

// unname returns r as it goes to the DP, made of nothing but what is asked:
// CSIs in random order, lists of parties sorted and without repetition, since
// an order is a mark of whoever wrote it. order[i] is the place in r of what
// stands at i.
func unname(r wire.LookupRequest) (unnamed wire.LookupRequest, order []int, err error) {
	order = make([]int, len(r.CSIs))
	for i := range order {
		order[i] = i
	}
	if err := shuffle(order); err != nil {
		return wire.LookupRequest{}, nil, err
	}
	csis := make([]csi.Clear, len(order))
	for i, from := range order {
		csis[i] = r.CSIs[from]
	}
	return wire.LookupRequest{
		CSIs: csis, MSPs: sorted(r.MSPs), Federation: r.Federation, DPs: sorted(r.DPs), Format: r.Format,
	}, order, nil
}

func sorted(ids []registry.PartyID) []registry.PartyID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b registry.PartyID) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(ids)
}

// shuffle is that of Fisher and Yates over crypto/rand.
func shuffle(order []int) error {
	for i := len(order) - 1; i > 0; i-- {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			return fmt.Errorf("msp: shuffle: %w", err)
		}
		j := int(n.Int64())
		order[i], order[j] = order[j], order[i]
	}
	return nil
}

// restore puts answers into the order of the user's request.
func restore(answers []wire.Answer, order []int) []wire.Answer {
	out := make([]wire.Answer, len(answers))
	for i, to := range order {
		out[to] = answers[i]
	}
	return out
}
