// Package client is the SDK for people's software: enrolment, withdrawal and
// replacement for holders ([Client.Enrol], [Client.Withdraw]), look-ups for
// askers ([Client.Lookup]).
//
// It promises that whatever it returns as a mapping has been verified here,
// against the registry alone, whoever delivered it ([mapping.Verified]); that
// an answer about one CSI is never taken for another; and that "nobody has it"
// is never confused with "not everybody was asked". It never asks a DP about a
// CSI itself: a DP that saw a person's address beside the CSI that she asks
// for would know both ends (R14). Look-ups go through the back-end of the
// asker's own MSP, which does not name her.
//
// Compact answers are hints ([Answer.Hint]); nothing is sent on a hint.
package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"whither/client/sighting"
	"whither/csi"
	"whither/internal/fetch"
	"whither/internal/oidc"
	"whither/internal/pinned"
	"whither/mapping"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Errors.
var (
	ErrAnswer  = sighting.ErrAnswer
	ErrProvers = errors.New("client: the DP offers too few provers that are independent of the MSP")
	ErrKinds   = errors.New("client: the DP counts no kind of evidence that this client can give")
	ErrHeld    = errors.New("client: the mapping is held")
)

// Config is what a client needs.
type Config struct {
	// Registry gives the registry of the moment, verified against the root
	// that the user's software ships.
	Registry func() *registry.Snapshot
	Now      func() time.Time
	// Web is how OpenID providers are reached; empty, as on the Internet: by the
	// system's name servers and authorities.
	Web Web
}

// Web is another world than the Internet: its name server, the authorities of
// its servers, the port of https URLs that name none, and the networks in which
// its servers may be though they are not public.
type Web struct {
	Resolver *net.Resolver
	Roots    *x509.CertPool
	Port     int
	Allow    []netip.Prefix
}

// Client talks to the parties of one federation. It is safe for concurrent use.
type Client struct {
	registry  func() *registry.Snapshot
	now       func() time.Time
	parties   *pinned.Client
	providers *oidc.Client
}

// New returns a client.
func New(c Config) *Client {
	web := fetch.New(fetch.Config{Resolver: c.Web.Resolver, Roots: c.Web.Roots, Port: c.Web.Port, Allow: c.Web.Allow, Now: c.Now})
	return &Client{
		registry: c.Registry, now: c.Now, parties: pinned.NewClient(c.Registry, nil, c.Now),
		providers: oidc.New(oidc.Config{Fetch: web, Now: c.Now, Known: func(issuer string) bool {
			_, ok := c.Registry().Issuer(issuer)
			return ok
		}}),
	}
}

// Close drops idle connections.
func (c *Client) Close() {
	c.parties.Close()
	c.providers.Close()
}

// RegistryFile fetches the registry file that a party works from. It is for the
// caller to verify, and to refuse when it is older than his own.
func (c *Client) RegistryFile(ctx context.Context, from registry.PartyID) ([]byte, error) {
	return c.parties.Get(ctx, from, wire.PathRegistry)
}

// Query is a question about CSIs.
type Query struct {
	CSIs       []csi.ID
	MSPs       []registry.PartyID // only these; none = all
	Federation string             // wire.Federation…; empty: none
	DPs        []registry.PartyID // for wire.FederationSelected
	Compact    bool
	// Progress, if not nil, is told how many CSIs are answered.
	Progress func(done, all int)
}

// Located is a verified mapping and where it was found.
type Located struct {
	mapping.Verified
	At []registry.PartyID
}

// Refusal is a mapping that an answer held and that is not true.
type Refusal struct {
	Bundle mapping.Bundle
	Reason error
}

// Answer is what is known of one CSI.
type Answer struct {
	CSI      csi.ID
	Outcome  string    // wire.Outcome…, for what verified
	Mappings []Located // verbose
	Refused  []Refusal // evidence against whoever answered
	Hint     []registry.PartyID
}

// Answers are the answers to a query, in its order, with every DP's outcome.
type Answers struct {
	Answers []Answer
	Asked   []wire.AskedDP
	Stamp   wire.Stamp
}

// Lookup asks through the back-end of msp, at which token signs the asker in,
// and verifies everything that comes back. Many CSIs go in several requests,
// as few as fit.
func (c *Client) Lookup(ctx context.Context, msp registry.PartyID, token string, q Query) (Answers, error) {
	if q.Federation == "" {
		q.Federation = wire.FederationNone
	}
	var out Answers
	for part := range batches(q.CSIs) {
		some := q
		some.CSIs = part
		answers, err := c.split(ctx, msp, token, some)
		if err != nil {
			return Answers{}, err
		}
		out.Answers = append(out.Answers, answers.Answers...)
		out.Asked, out.Stamp = mergeAsked(out.Asked, answers.Asked), answers.Stamp
		if q.Progress != nil {
			q.Progress(len(out.Answers), len(q.CSIs))
		}
	}
	return out, nil
}

// split asks in halves where one answer would be too large.
func (c *Client) split(ctx context.Context, msp registry.PartyID, token string, q Query) (Answers, error) {
	answers, err := c.lookup(ctx, msp, token, q)
	if len(q.CSIs) == 1 || !errors.Is(err, problem.Error(problem.TooLarge)) {
		return answers, err
	}
	half := q
	half.CSIs = q.CSIs[:len(q.CSIs)/2]
	first, err := c.split(ctx, msp, token, half)
	if err != nil {
		return Answers{}, err
	}
	half.CSIs = q.CSIs[len(q.CSIs)/2:]
	second, err := c.split(ctx, msp, token, half)
	if err != nil {
		return Answers{}, err
	}
	second.Answers = append(first.Answers, second.Answers...)
	second.Asked = mergeAsked(first.Asked, second.Asked)
	return second, nil
}

// maxQuestion keeps a request of CSIs below wire.MaxBody, with room for the rest.
const maxQuestion = wire.MaxBody - 8<<10

// batches yields ids in parts that fit one request each.
func batches(ids []csi.ID) func(yield func([]csi.ID) bool) {
	return func(yield func([]csi.ID) bool) {
		size, from := 0, 0
		for i, id := range ids {
			n := len(id.Canonical()) + 3 // with the head of a CBOR text
			if i > from && (i-from == wire.MaxLookup || size+n > maxQuestion) {
				if !yield(ids[from:i]) {
					return
				}
				size, from = 0, i
			}
			size += n
		}
		if from < len(ids) {
			yield(ids[from:])
		}
	}
}

// mergeAsked keeps, for each DP, the worst that became of asking it: who
// answered one part of a question and not the other has not answered it.
func mergeAsked(all, more []wire.AskedDP) []wire.AskedDP {
	for _, a := range more {
		i := slices.IndexFunc(all, func(b wire.AskedDP) bool { return b.DP == a.DP })
		switch {
		case i < 0:
			all = append(all, a)
		case all[i].Outcome == wire.AskedAnswered:
			all[i] = a
		}
	}
	return all
}

// lookup asks one request.
func (c *Client) lookup(ctx context.Context, msp registry.PartyID, token string, q Query) (Answers, error) {
	r := wire.LookupRequest{MSPs: q.MSPs, Federation: q.Federation, DPs: q.DPs, Format: wire.FormatVerbose}
	if q.Compact {
		r.Format = wire.FormatCompact
	}
	for _, id := range q.CSIs {
		r.CSIs = append(r.CSIs, csi.Clear{ID: id})
	}
	var raw wire.LookupAnswer
	if err := c.parties.Call(ctx, msp, wire.PathLookups, token, r, &raw); err != nil {
		return Answers{}, err
	}
	if len(raw.Answers) != len(q.CSIs) {
		return Answers{}, fmt.Errorf("%w: %d answers to %d questions", ErrAnswer, len(raw.Answers), len(q.CSIs))
	}
	s := c.registry()
	if own := s.Digest(); raw.Stamp.Version == s.Version() && !slices.Equal(raw.Stamp.Digest, own[:]) {
		return Answers{}, pinned.ErrSplitView
	}
	out := Answers{Asked: raw.Asked, Stamp: raw.Stamp}
	policy := mapping.PolicyAt(s, c.now())
	for i, a := range raw.Answers {
		one, err := c.read(s, policy, q, q.CSIs[i], a, raw.Bits)
		if err != nil {
			return Answers{}, err
		}
		out.Answers = append(out.Answers, one)
	}
	return out, nil
}

// read verifies one answer.
func (c *Client) read(s *registry.Snapshot, policy mapping.Policy, q Query, id csi.ID, a wire.Answer, table *wire.BitTable) (Answer, error) {
	out := Answer{CSI: id, Outcome: a.Outcome}
	if q.Compact {
		if len(a.Mappings) > 0 || table == nil {
			return Answer{}, fmt.Errorf("%w: not the compact format", ErrAnswer)
		}
		var err error
		out.Hint, err = readBits(s, a.Bits, *table)
		return out, err
	}
	for _, f := range a.Mappings {
		b := f.Bundle.Unpack()
		v, err := verifyFor(policy, q, id, b)
		if err != nil {
			out.Refused = append(out.Refused, Refusal{Bundle: b, Reason: err})
			continue
		}
		out.Mappings = append(out.Mappings, Located{Verified: v, At: f.At})
	}
	if got := outcomeOf(s, out.Mappings); got != a.Outcome {
		if len(out.Refused) == 0 {
			return Answer{}, fmt.Errorf("%w: it says %q and shows %q", ErrAnswer, a.Outcome, got)
		}
		out.Outcome = got
	}
	return out, nil
}

// verifyFor verifies a mapping as an answer about id.
func verifyFor(policy mapping.Policy, q Query, id csi.ID, b mapping.Bundle) (mapping.Verified, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return mapping.Verified{}, err
	}
	v, err := policy.Verify(u)
	if err != nil {
		return mapping.Verified{}, err
	}
	switch claims := v.Claims(); {
	case claims.CSI != id:
		return mapping.Verified{}, fmt.Errorf("%w: a mapping of another CSI", ErrAnswer)
	case claims.Audience:
		return mapping.Verified{}, fmt.Errorf("%w: an audience mapping in a general answer", ErrAnswer)
	case len(q.MSPs) > 0 && len(claims.Entries) > 0 &&
		!slices.ContainsFunc(claims.Entries, func(e mapping.Entry) bool { return slices.Contains(q.MSPs, e.Provider) }):
		return mapping.Verified{}, fmt.Errorf("%w: a mapping that the filter excludes", ErrAnswer)
	}
	return v, nil
}

// outcomeOf names the outcome that verified mappings show (R9).
func outcomeOf(s *registry.Snapshot, found []Located) string {
	var set []wire.Reach
	for _, l := range found {
		r := wire.Reach{Listed: len(l.Claims().Entries)}
		for _, e := range l.Living() {
			if s.Reachable(e.Provider) {
				r.Reachable++
			}
		}
		set = append(set, r)
	}
	return wire.OutcomeOf(set)
}

// readBits maps a bit string to MSPs with the table of our own registry. A
// string for another version is not read with this one's table.
func readBits(s *registry.Snapshot, bits []byte, t wire.BitTable) ([]registry.PartyID, error) {
	if t.Version != s.Version() {
		return nil, fmt.Errorf("%w: bits of registry version %d, ours is %d; fetch that one or ask for the verbose format", ErrAnswer, t.Version, s.Version())
	}
	if t.Length != s.BitLength() || len(bits) != (t.Length+7)/8 {
		return nil, fmt.Errorf("%w: bit string of another length than the table", ErrAnswer)
	}
	var out []registry.PartyID
	for i := range len(bits) * 8 {
		if bits[i/8]>>(i%8)&1 == 0 {
			continue
		}
		id, ok := s.Bit(uint16(i))
		if !ok {
			return nil, fmt.Errorf("%w: a bit that is nobody's", ErrAnswer)
		}
		out = append(out, id)
	}
	return out, nil
}
