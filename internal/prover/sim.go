package prover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"whither/csi"
	"whither/wire"
)

// DefaultSIMAge is how long a number must have been with its SIM card: CAMARA's
// own default, ten days. Who lost a number to a thief has noticed by then.
const DefaultSIMAge = 240 * time.Hour

// SIM is the word of operators on changes of SIM cards: the gate through which
// every kind of evidence for a telephone number goes (design section 4).
// camara.Operators is one.
type SIM interface {
	// Changed reports whether a number came to another SIM card within some time
	// before now, and whether that is known: not every operator says.
	Changed(ctx context.Context, number csi.ID, within time.Duration) (changed, known bool, err error)
}

// Errors of the gate.
var (
	ErrSIMChanged = errors.New("prover: the number's SIM card was changed not long ago")
	ErrSIMSilent  = errors.New("prover: the number's operator does not answer whether its SIM card was changed")
)

// simTimeout bounds one question; answers serve for simMemory, so that nobody
// can have an operator asked, at the prover's cost, as often as he likes.
const (
	simTimeout = 5 * time.Second
	simMemory  = time.Minute
	maxSIMs    = 10_000
)

// sims remembers for a moment what operators said.
type sims struct {
	mu   sync.Mutex
	said map[csi.ID]simWord
}

// simWord is what an operator said, and when.
type simWord struct {
	changed, known bool
	at             time.Time
}

// recall returns what was said of a number not long ago.
func (s *sims) recall(number csi.ID, now time.Time) (simWord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.said[number]
	return w, ok && now.Sub(w.at) < simMemory
}

// keep remembers a word, and forgets what is old, or one of the others if there
// are too many.
func (s *sims) keep(number csi.ID, w simWord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, old := range s.said {
		if w.at.Sub(old.at) >= simMemory || len(s.said) >= maxSIMs {
			delete(s.said, other)
		}
	}
	s.said[number] = w
}

// simOf asks what is known of a number's SIM card. A CSI that is no number has
// none.
func (p *Prover) simOf(ctx context.Context, id csi.ID, now time.Time) (simWord, error) {
	if id.CAMARA() == "" {
		return simWord{}, nil
	}
	if p.config.SIM == nil {
		p.metrics.sims.WithLabelValues("not-asked").Inc()
		return simWord{}, nil
	}
	if w, ok := p.sims.recall(id, now); ok {
		return w, nil
	}
	ctx, cancel := context.WithTimeout(ctx, simTimeout)
	defer cancel()
	w := simWord{at: now}
	var err error
	w.changed, w.known, err = p.config.SIM.Changed(ctx, id, p.config.SIMAge)
	switch {
	case err != nil:
		p.metrics.sims.WithLabelValues("unavailable").Inc()
		p.config.Log.WarnContext(ctx, "operator does not answer about a SIM card", slog.Any("error", err))
		return simWord{}, fmt.Errorf("%w: %w", ErrSIMSilent, err)
	case !w.known:
		p.metrics.sims.WithLabelValues("not-offered").Inc()
	case w.changed:
		p.metrics.sims.WithLabelValues("changed").Inc()
	default:
		p.metrics.sims.WithLabelValues("unchanged").Inc()
	}
	p.sims.keep(id, w)
	return w, nil
}

// text says to the client what an operator said before a proof.
func (w simWord) text(id csi.ID) string {
	switch {
	case id.CAMARA() == "":
		return ""
	case w.known:
		return wire.SIMUnchanged
	default:
		return wire.SIMUnknown
	}
}
