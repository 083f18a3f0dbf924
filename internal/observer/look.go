package observer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"whither/internal/endpoint"
	"whither/internal/observer/resolver"
	"whither/possession/observe"
	"whither/wire"
)

// lookTimeout bounds one look.
const lookTimeout = 12 * time.Second

// keys looks at a place and signs what is there (POST /v1/keys).
func (o *Observer) keys(ctx context.Context, who endpoint.Caller, r wire.KeyRequest) (wire.KeyAnswer, error) {
	if err := o.listed(o.config.Now()); err != nil {
		return wire.KeyAnswer{}, err
	}
	p, err := o.place(r)
	if err != nil {
		return wire.KeyAnswer{}, err
	}
	if err := o.caps.take(who, o.config.Now()); err != nil {
		return wire.KeyAnswer{}, err
	}
	select {
	case o.looking <- struct{}{}:
		defer func() { <-o.looking }()
	default:
		return wire.KeyAnswer{}, ErrBusy
	}
	runs, published, err := o.look(ctx, p, true)
	if err != nil {
		return wire.KeyAnswer{}, err
	}
	answer := wire.KeyAnswer{Published: published}
	signed := o.config.Now()
	for _, run := range runs {
		if run.Label != r.Label {
			continue
		}
		b, err := observe.Observation{
			Key:   observe.Key{Kind: p.Kind, Name: p.Name, Label: run.Label, Digest: run.Digest},
			First: run.First, Last: run.Last, DNSSEC: run.DNSSEC, Signed: signed,
		}.Sign(o.config.Key)
		if err != nil {
			return wire.KeyAnswer{}, fmt.Errorf("observer: sign: %w", err)
		}
		answer.Observations = append(answer.Observations, b)
	}
	if len(answer.Observations) == 0 {
		return wire.KeyAnswer{}, ErrUnpublished
	}
	return answer, nil
}

// place reads a request.
func (o *Observer) place(r wire.KeyRequest) (Place, error) {
	var p Place
	switch r.Kind {
	case wire.KeysOfDKIM:
		p = Place{Kind: observe.DKIM, Name: r.Name, Selector: r.Label}
	case wire.KeysOfJWKS:
		p = Place{Kind: observe.JWKS, Name: r.Name}
	}
	if !p.Valid() || p.Kind == observe.JWKS && o.config.Sets == nil {
		return Place{}, ErrKind
	}
	return p, nil
}

// look looks at a place now, and remembers what it saw before it returns it.
// published is what is there, as it is.
func (o *Observer) look(ctx context.Context, p Place, asked bool) (runs []Run, published []byte, err error) {
	// Whoever asked may hang up; what was seen is remembered all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	done, err := o.alone(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	seen, published, err := o.find(ctx, p)
	o.metrics.look(p.Kind, err)
	at := o.config.Now()
	if errors.Is(err, ErrLookup) {
		return nil, nil, errors.Join(err, o.config.Store.Failed(ctx, p, at.Add(RetryInterval)))
	}
	l := Look{
		Place: p, At: at, Seen: seen, Next: at.Add(Interval), Room: o.config.Bounds.Places, Listed: o.popular[p.name()],
	}
	if asked || l.Listed {
		// In whole days, so that it does not tell when somebody asked.
		l.Forget = (observe.DayOf(at) + 1 + Remembered).Begin()
	}
	runs, storeErr := o.config.Store.See(ctx, l)
	if err != nil || storeErr != nil {
		return nil, nil, errors.Join(err, storeErr)
	}
	return runs, published, nil
}

// alone waits until nobody else looks at a place: looks are taken over in the
// order in which they are made, or one that found nothing could be forgotten over
// an older one that did.
func (o *Observer) alone(ctx context.Context, p Place) (done func(), err error) {
	mine := make(chan struct{})
	for {
		o.mu.Lock()
		other, busy := o.looks[p]
		if !busy {
			o.looks[p] = mine
		}
		o.mu.Unlock()
		if !busy {
			return func() {
				o.mu.Lock()
				delete(o.looks, p)
				o.mu.Unlock()
				close(mine)
			}, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ErrBusy
		}
	}
}

// find returns the keys at a place, and what is there as it is.
func (o *Observer) find(ctx context.Context, p Place) ([]Sight, []byte, error) {
	if p.Kind == observe.JWKS {
		return o.findJWKS(ctx, p)
	}
	a, err := o.config.DNS.TXT(ctx, p.record())
	switch {
	case errors.Is(err, resolver.ErrNoRecord):
		return nil, nil, ErrUnpublished
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrLookup, err)
	}
	k, err := observe.FromDKIM(p.Name, p.Selector, a.Texts)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	// A record that names a key is the only one.
	return []Sight{{Label: k.Label, Digest: k.Digest, DNSSEC: o.word(a)}}, []byte(a.Texts[0]), nil
}

// word is what the resolver says of an answer. Without AD from one that does not
// validate, it says nothing.
func (o *Observer) word(a resolver.Answer) observe.DNSSEC {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case a.Authentic:
		return observe.Secure
	case o.validating:
		return observe.Insecure
	default:
		return observe.NotAsked
	}
}

// findJWKS returns the keys of an issuer.
func (o *Observer) findJWKS(ctx context.Context, p Place) ([]Sight, []byte, error) {
	set, err := o.config.Sets(ctx, p.Name)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrLookup, err)
	}
	keys, err := observe.FromJWKS(p.Name, set)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	var seen []Sight
	for _, k := range keys {
		if s := (Sight{Label: k.Label, Digest: k.Digest}); !slices.Contains(seen, s) {
			seen = append(seen, s)
		}
	}
	if len(seen) == 0 {
		return nil, nil, ErrUnusable
	}
	return seen, set, nil
}

// probeInterval is how often the resolver is probed.
const probeInterval = time.Hour

// Validates asks the resolver whether it validates, and can be believed.
func (o *Observer) Validates(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return o.config.DNS.Validates(ctx, o.config.Signed)
}

// probeResolver finds out whether the resolver validates. One that does not, or
// does not answer, has said nothing about DNSSEC.
func (o *Observer) probeResolver(ctx context.Context, now time.Time) {
	o.mu.Lock()
	due := !now.Before(o.probe)
	o.mu.Unlock()
	if !due {
		return
	}
	ok, err := o.Validates(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.probe.IsZero() || ok != o.validating {
		o.config.Log.InfoContext(ctx, "resolver probed", slog.Bool("validates", ok), slog.Any("error", err))
	}
	o.validating, o.probe = ok, now.Add(probeInterval)
	o.metrics.validating.Set(0)
	if ok {
		o.metrics.validating.Set(1)
	}
}

// Looks of one Step, and how many at once.
const (
	batch    = 100
	parallel = 8
)

// lookAgain looks at the places that are due.
func (o *Observer) lookAgain(ctx context.Context, now time.Time) error {
	due := o.popularDue(now)
	rest, err := o.config.Store.Due(ctx, now, batch)
	if err != nil {
		return fmt.Errorf("places due: %w", err)
	}
	for _, p := range rest {
		if !o.pinned[p] {
			due = append(due, p)
		}
	}
	if err := o.listed(now); err != nil {
		return err
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	for _, p := range due {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return ctx.Err()
		}
		wg.Go(func() {
			defer func() { <-free }()
			_, _, err := o.look(ctx, p, false)
			o.looked(ctx, p, now, err)
		})
	}
	wg.Wait()
	return nil
}

// popularDue returns the places of the configuration that are due, at most batch.
func (o *Observer) popularDue(now time.Time) []Place {
	o.mu.Lock()
	defer o.mu.Unlock()
	var due []Place
	for p, next := range o.next {
		if !now.Before(next) && len(due) < batch {
			due = append(due, p)
		}
	}
	return due
}

// looked plans the next look at a place of the configuration.
func (o *Observer) looked(ctx context.Context, p Place, now time.Time, err error) {
	if err != nil && Kind(err) == "" { // not the place's fault
		o.config.Log.ErrorContext(ctx, "look not remembered", slog.Any("error", err))
	}
	if !o.pinned[p] {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next[p] = now.Add(Interval)
	if errors.Is(err, ErrLookup) || err != nil && Kind(err) == "" {
		o.next[p] = now.Add(RetryInterval)
	}
}

// forget drops what need not be remembered any more.
func (o *Observer) forget(ctx context.Context, now time.Time) error {
	n, err := o.config.Store.Forget(ctx, now, batch)
	o.metrics.forgotten.Add(float64(n))
	return err
}
