package dp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
	"whither/internal/pinned"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// errNobody: no prover sends a message to the CSI now.
var errNobody = errors.New("dp: no prover takes the notice")

// teller carries notices over mutual TLS: to an MSP for its user, or to a prover
// that sends a message to the CSI itself.
type teller struct {
	party    registry.PartyID
	snapshot func() *registry.Snapshot
	now      func() time.Time
	parties  *pinned.Client
}

// Tell implements [directory.Teller].
func (t *teller) Tell(ctx context.Context, n docket.Notice) error {
	r := wire.NoticeRequest{CSI: csi.Clear{ID: n.CSI}, Notice: wire.Notice{
		Kind: n.Kind, Mapping: n.Mapping[:], Since: n.Since.Unix(), Until: n.Until.Unix(),
	}}
	if !n.To.IsZero() {
		_, err := t.send(ctx, n.To, r)
		return err // that there were too many is the MSP's word
	}
	err := errNobody
	for _, p := range t.provers(n.CSI) {
		taken, failed := t.send(ctx, p.ID, r)
		if taken {
			return nil
		}
		err = errors.Join(err, failed)
	}
	return err
}

func (t *teller) send(ctx context.Context, to registry.PartyID, r wire.NoticeRequest) (bool, error) {
	var a wire.NoticeAnswer
	if err := t.parties.Call(ctx, to, wire.PathNotices, "", r, &a); err != nil {
		return false, fmt.Errorf("notice to %s: %w", to, err)
	}
	return a.Taken, nil
}

// provers are those that are assigned to a CSI and not of this DP's operator.
func (t *teller) provers(id csi.ID) []registry.Party {
	s := t.snapshot()
	own, _ := s.Party(t.party)
	var out []registry.Party
	for _, p := range possession.Assigned(s, id, t.now()) {
		if p.Operator != own.Operator && len(out) < 2+possession.Spares {
			out = append(out, p)
		}
	}
	return out
}

// reachable reports whether provers of two operators answer: with fewer nobody
// can prove again, whatever he is asked.
func (t *teller) reachable(ctx context.Context) bool {
	s := t.snapshot()
	own, _ := s.Party(t.party)
	answering := make(map[registry.Operator]bool)
	for _, p := range s.Parties(registry.RoleProver) {
		if p.Operator == own.Operator || answering[p.Operator] {
			continue
		}
		if _, err := t.parties.Get(ctx, p.ID, wire.PathRegistry); err == nil {
			answering[p.Operator] = true
		}
		if len(answering) == 2 {
			return true
		}
	}
	return false
}
