package bench

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	"whither/csi"
	"whither/internal/bench/cast"
	"whither/internal/endpoint"
	"whither/internal/pinned"
	"whither/mapping"
	"whither/wire"
)

// ErrWrong means that what was measured does not do what it should.
var ErrWrong = errors.New("bench: a wrong answer")

// Sizes of the measurement direct.
const (
	directRows = 100_000
	smallRows  = 10_000 // of the store that a large one is compared with
	perRequest = 100    // CSIs of a request
)

// question is a look-up, as the store and as the DP get it.
type question struct {
	ids     []csi.ID
	message []byte
}

// ask makes n questions about so many CSIs each, spread over the people from
// first on, of whom there are rows.
func ask(n, csis, first, rows int) ([]question, error) {
	const stride = 7919 // a prime: neighbours in a question are not neighbours in the store
	all := make([]question, n)
	for i := range all {
		q := &all[i]
		clear := make([]csi.Clear, csis)
		for j := range clear {
			id, err := cast.Person(first + (i*csis+j)*stride%rows)
			if err != nil {
				return nil, err
			}
			q.ids, clear[j].ID = append(q.ids, id), id
		}
		var err error
		q.message, err = wire.Encode(wire.TypeCBOR, wire.LookupRequest{
			CSIs: clear, Federation: wire.FederationNone, Format: wire.FormatVerbose,
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// lookup sends a question over HTTPS and reads the answer.
func (p *people) lookup(all []question) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		_, err := p.post(ctx, wire.PathLookups, all[i%len(all)].message)
		return err
	}
}

// find asks the store alone.
func (p *people) find(all []question) func(context.Context, int) error {
	now := time.Now()
	return func(ctx context.Context, i int) error {
		_, err := p.store.Find(ctx, all[i%len(all)].ids, now)
		return err
	}
}

// check has one question answered, and verifies every mapping in the answer.
func (p *people) check(ctx context.Context, q question, found bool) ([]byte, error) {
	b, err := p.post(ctx, wire.PathLookups, q.message)
	if err != nil {
		return nil, err
	}
	var answer wire.LookupAnswer
	if err := wire.Decode(wire.TypeCBOR, b, wire.MaxAnswer, &answer); err != nil {
		return nil, err
	}
	policy := mapping.PolicyAt(p.source.Snapshot(), p.clock())
	if len(answer.Answers) != len(q.ids) {
		return nil, fmt.Errorf("%w: %d answers to %d questions", ErrWrong, len(answer.Answers), len(q.ids))
	}
	for i, a := range answer.Answers {
		if found != (len(a.Mappings) == 1) {
			return nil, fmt.Errorf("%w: outcome %s", ErrWrong, a.Outcome)
		}
		for _, m := range a.Mappings {
			u, err := mapping.Parse(m.Bundle.Unpack())
			if err != nil {
				return nil, err
			}
			v, err := policy.Verify(u)
			if err != nil {
				return nil, err
			}
			if v.Claims().CSI != q.ids[i] {
				return nil, fmt.Errorf("%w: the mapping of somebody else", ErrWrong)
			}
		}
	}
	return b, nil
}

// newEcho starts a server that reads a message and answers with the same bytes
// whatever it says: the least that an answer of this size can cost.
func (r *run) newEcho(ctx context.Context, f *federation, answer []byte) (*stage, error) {
	return r.newStage(ctx, f, "echo", func(_ context.Context, s *stage) (serveFunc, error) {
		snapshot := s.source.Snapshot()
		digest := snapshot.Digest()
		stamp := fmt.Sprintf("%d; %s", snapshot.Version(), hex.EncodeToString(digest[:]))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxBody)); err != nil {
				return // the client will notice
			}
			w.Header().Set(wire.HeaderRegistry, stamp)
			w.Header().Set("Content-Type", wire.TypeCBOR)
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write(answer)
		})
		return func(ctx context.Context, l net.Listener) error {
			return endpoint.Serve(ctx, l, pinned.ServerConfig(f.Parties[cast.DP].TLS, time.Now), h)
		}, nil
	})
}

// direct measures look-ups in clear by an MSP's back-end.
func direct(ctx context.Context, r *run) (err error) {
	rows := r.Rows
	if rows == 0 {
		rows = directRows
	}
	f, err := newFederation(time.Now())
	if err != nil {
		return err
	}
	large, err := r.newPeople(ctx, f, "large")
	defer func() { err = errors.Join(err, large.close()) }()
	if err != nil {
		return err
	}
	small, err := r.newPeople(ctx, f, "small")
	defer func() { err = errors.Join(err, small.close()) }()
	if err != nil {
		return err
	}
	if err := r.fill(ctx, large, rows, small, min(rows, smallRows)); err != nil {
		return err
	}
	return r.direct(ctx, large, small)
}

// questions of the measurement direct: many and one at a time, of people who
// are there and of people who are not.
type questions struct {
	hits, misses, single, few, absent []question
}

func (r *run) direct(ctx context.Context, large, small *people) (err error) {
	var q questions
	for _, one := range []struct {
		to                   *[]question
		n, csis, first, rows int
	}{
		{&q.hits, 200, perRequest, 0, large.rows},
		{&q.misses, 200, perRequest, large.rows, large.rows},
		{&q.single, 5000, 1, 0, large.rows},
		{&q.few, 5000, 1, 0, small.rows},
		{&q.absent, 5000, 1, large.rows, large.rows},
	} {
		if *one.to, err = ask(one.n, one.csis, one.first, one.rows); err != nil {
			return err
		}
	}
	for _, one := range []struct {
		p     *people
		q     question
		found bool
	}{{large, q.hits[0], true}, {large, q.misses[0], false}, {small, q.few[0], true}, {large, q.absent[0], false}} {
		if _, err := one.p.check(ctx, one.q, one.found); err != nil {
			return err
		}
	}
	answer, err := large.check(ctx, q.single[0], true)
	if err != nil {
		return err
	}
	echo, err := r.newEcho(ctx, large.federation, answer)
	defer func() { err = errors.Join(err, echo.close()) }()
	if err != nil {
		return err
	}
	r.note("answer", float64(len(answer)))
	r.reportDirect(large.rows)
	return r.rounds(ctx, r.directSides(large, small, echo, q)...)
}

// directSides are what is measured in turn.
func (r *run) directSides(large, small *people, echo *stage, q questions) []side {
	clients := 2 * runtime.GOMAXPROCS(0)
	under := func(name string, op func(context.Context, int) error) side {
		return func(ctx context.Context) error { return r.load(ctx, name, clients, op) }
	}
	alone := func(name string, op func(context.Context, int) error) side {
		return func(ctx context.Context) error { return r.times(ctx, name, op) }
	}
	return []side{
		under("find", large.find(q.hits)),
		under("lookup", large.lookup(q.hits)),
		under("decoded", large.decoded(q.hits)),
		under("find_miss", large.find(q.misses)),
		under("lookup_miss", large.lookup(q.misses)),
		under("echo", func(ctx context.Context, i int) error {
			_, err := echo.post(ctx, wire.PathLookups, q.single[i%len(q.single)].message)
			return err
		}),
		under("single", large.lookup(q.single)),
		under("single_miss", large.lookup(q.absent)),
		alone("small", small.lookup(q.few)),
		alone("large", large.lookup(q.single)),
	}
}

// decoded is lookup, with the answer decoded as a client decodes it.
func (p *people) decoded(all []question) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		b, err := p.post(ctx, wire.PathLookups, all[i%len(all)].message)
		if err != nil {
			return err
		}
		var answer wire.LookupAnswer
		return wire.Decode(wire.TypeCBOR, b, wire.MaxAnswer, &answer)
	}
}

func (r *run) reportDirect(rows int) {
	r.ratio("lookup_over_store", "lookup", "find")
	r.ratio("lookup_over_store_decoded", "decoded", "find")
	r.ratio("lookup_over_store_misses", "lookup_miss", "find_miss")
	r.ratio("single_over_echo", "single", "echo")
	r.ratio("single_over_echo_misses", "single_miss", "echo")
	r.ratio(fmt.Sprintf("p50_%s_over_10k", short(rows)), "large_p50", "small_p50")
	r.note("rows", float64(rows))
	r.figure("rows", "rows", 1)
	r.figure("answer_bytes", "answer", 1)
	r.figure("store_csis_per_s", "find", perRequest)
	r.figure("store_misses_per_s", "find_miss", perRequest)
	r.figure("lookup_csis_per_s", "lookup", perRequest)
	r.figure("lookup_misses_per_s", "lookup_miss", perRequest)
	r.figure("lookup_decoded_csis_per_s", "decoded", perRequest)
	r.figure("echo_per_s", "echo", 1)
	r.figure("single_per_s", "single", 1)
	r.figure("single_misses_per_s", "single_miss", 1)
	for _, of := range []string{"large", "small"} {
		r.figure(of+"_p50_us", of+"_p50", 1e6)
		r.figure(of+"_p99_us", of+"_p99", 1e6)
	}
}

// short writes a number of rows: 100k, 1m.
func short(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dm", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	default:
		return fmt.Sprint(n)
	}
}
