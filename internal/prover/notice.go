package prover

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"whither/csi"
	"whither/internal/endpoint"
	"whither/registry"
	"whither/wire"
)

// Errors of notices.
var (
	ErrNotADP = errors.New("prover: notices come from a DP of another operator only")
	// ErrNoTeller: nothing here sends a message to such a CSI.
	ErrNoTeller = errors.New("prover: nothing here sends a message to this kind of CSI")
)

// Notice is a message to whoever has a CSI: it tells, and asks for no answer.
type Notice struct {
	Name  string // the same for the same notice; the message says nothing of it
	Kind  string // wire.Notice…
	Until time.Time
	Date  time.Time
}

// Teller sends notices to CSIs of one scheme.
type Teller interface {
	// Tell sends n once. An error that wraps ErrLater may pass.
	Tell(ctx context.Context, id csi.ID, n Notice) error
}

// Bounds of notices: to one CSI within a day, and of all within an hour. A DP
// that wants more is no DP that has so many claims.
const (
	noticesPerCSI = 4
	noticesInAll  = 500
)

// told counts notices, in memory: after a restart a few more may go out.
type told struct {
	mu     sync.Mutex
	recent []toldOnce // oldest first, of the last day
}

type toldOnce struct {
	id   csi.ID
	name string
	at   time.Time
}

// take counts a notice: whether it may go out, and whether it has already.
func (t *told) take(id csi.ID, name string, now time.Time) (ok, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.recent) > 0 && !t.recent[0].at.After(now.Add(-24*time.Hour)) {
		t.recent = t.recent[1:]
	}
	same, hour := 0, 0
	for _, one := range t.recent {
		if one.id == id && one.name == name {
			return true, true
		}
		if one.id == id {
			same++
		}
		if one.at.After(now.Add(-time.Hour)) {
			hour++
		}
	}
	if same >= noticesPerCSI || hour >= noticesInAll {
		return false, false
	}
	t.recent = append(t.recent, toldOnce{id, name, now})
	return true, false
}

// drop forgets a notice that could not be sent.
func (t *told) drop(id csi.ID, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent = slices.DeleteFunc(t.recent, func(one toldOnce) bool { return one.id == id && one.name == name })
}

// notice sends a DP's notice to a CSI.
func (p *Prover) notice(ctx context.Context, who endpoint.Caller, r wire.NoticeRequest) (wire.NoticeAnswer, error) {
	own, ok := p.config.Registry.Snapshot().Party(p.config.Party)
	if !ok || !who.IsParty || !who.Party.Has(registry.RoleDP) || who.Party.Operator == own.Operator {
		return wire.NoticeAnswer{}, ErrNotADP
	}
	now := p.config.Now()
	n := r.Notice
	if n.Kind != wire.NoticeClaim && n.Kind != wire.NoticeExpiry || len(n.Mapping) != 16 || n.Until <= now.Unix() || r.CSI.IsZero() {
		return wire.NoticeAnswer{}, fmt.Errorf("%w: notice", ErrRequest)
	}
	teller := p.tellers[string(r.CSI.Scheme())]
	if teller == nil {
		return wire.NoticeAnswer{}, ErrNoTeller
	}
	name := who.Party.ID.String() + " " + n.Kind + " " + hex.EncodeToString(n.Mapping) + fmt.Sprint(" ", n.Since)
	may, again := p.told.take(r.CSI.ID, name, now)
	if !may || again {
		return wire.NoticeAnswer{Taken: again}, nil
	}
	if err := teller.Tell(ctx, r.CSI.ID, Notice{Name: name, Kind: n.Kind, Until: time.Unix(n.Until, 0), Date: now}); err != nil {
		p.told.drop(r.CSI.ID, name)
		return wire.NoticeAnswer{}, err
	}
	return wire.NoticeAnswer{Taken: true}, nil
}
