// Package server is a DP's HTTP face: paths, who may ask, and one table from
// errors to problem documents. It decides nothing about mappings.
//
// No handler here but [Push] sees an *http.Request, and none an address: package
// endpoint hands over decoded messages. A lookup in clear is taken only from the back-end of
// an MSP of another operator, which asks for users that it does not name;
// anything else would show both who asks and about whom, and is refused (R14).
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"whither/csi"
	"whither/disclosure"
	"whither/internal/dp/directory"
	"whither/internal/dp/retract"
	"whither/internal/endpoint"
	"whither/internal/offer"
	"whither/internal/refusal"
	"whither/key"
	"whither/mapping"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Errors of requests that are well formed and not allowed.
var (
	ErrBothEnds   = errors.New("server: lookups in clear come from an MSP of another operator only")
	ErrNotAnMSP   = errors.New("server: the caller is not an MSP of the registry")
	ErrQuery      = errors.New("server: a member of the lookup is out of bounds")
	ErrKey        = errors.New("server: the holder's key is not an Ed25519 key")
	ErrIdentifier = errors.New("server: a mapping id has 16 bytes")
)

// Server answers a DP's messages.
type Server struct {
	party     registry.PartyID
	directory *directory.Directory
	snapshot  func() *registry.Snapshot
	now       func() time.Time
	lookups   Lookups
}

// New returns the server of a DP. Lookups may be the zero value.
func New(party registry.PartyID, d *directory.Directory, snapshot func() *registry.Snapshot, now func() time.Time, l Lookups) *Server {
	return &Server{party: party, directory: d, snapshot: snapshot, now: now, lookups: l.withDefaults()}
}

// Routes returns the handlers by path.
func (s *Server) Routes(c endpoint.Config) map[string]http.Handler {
	c.MaxBody = s.lookups.Body
	return map[string]http.Handler{
		disclosure.Path:      endpoint.Publish(c, disclosure.Path, s.disclose),
		wire.PathOffers:      endpoint.Handle(c, wire.PathOffers, s.offer),
		wire.PathMappings:    endpoint.Handle(c, wire.PathMappings, s.submit),
		wire.PathRenewals:    endpoint.Handle(c, wire.PathRenewals, s.renew),
		wire.PathWithdrawals: endpoint.Handle(c, wire.PathWithdrawals, s.withdraw),
		wire.PathEnds:        endpoint.Handle(c, wire.PathEnds, s.end),
		wire.PathLookups:     endpoint.Handle(c, wire.PathLookups, s.lookup),
		wire.PathStandings:   endpoint.Handle(c, wire.PathStandings, s.standing),
		wire.PathReproofs:    endpoint.Handle(c, wire.PathReproofs, s.reprove),
	}
}

func (s *Server) offer(_ context.Context, _ endpoint.Caller, r wire.OfferRequest) (wire.DPOffer, error) {
	holder, err := key.PublicFromBytes(r.Key)
	if err != nil {
		return wire.DPOffer{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	t, err := s.directory.Offer(r.CSI.ID, holder, s.now())
	if err != nil {
		return wire.DPOffer{}, err
	}
	nonce := offer.Nonce(t.Offer)
	answer := wire.DPOffer{
		DP: s.party, Nonce: nonce[:], Offer: t.Offer, Expires: offer.Expires(t.Offer).Unix(), Level: uint8(t.Level),
		Kinds: make([]string, 0, len(t.Kinds)), Provers: append([]registry.PartyID{}, t.Provers...), Residency: t.Residency,
		MaxLife: int64(mapping.MaxLife / time.Second),
	}
	for _, k := range t.Kinds {
		answer.Kinds = append(answer.Kinds, k.String())
	}
	return answer, nil
}

func (s *Server) submit(ctx context.Context, _ endpoint.Caller, r wire.SubmitRequest) (wire.SubmitAnswer, error) {
	submit := s.directory.Submit
	if r.Appeal {
		submit = s.directory.Appeal
	}
	result, err := submit(ctx, r.Offer, r.Bundle.Unpack(), s.now())
	if err != nil {
		return wire.SubmitAnswer{}, err
	}
	stamp := endpoint.StampOf(s.snapshot())
	switch {
	case result.Held:
		return wire.SubmitAnswer{State: wire.StateHeld, Reason: result.Reason, Until: result.Until.Unix(), Stamp: stamp}, nil
	case result.Review:
		return wire.SubmitAnswer{State: wire.StateReview, Reason: result.Reason, Until: result.Until.Unix(), Stamp: stamp}, nil
	}
	b := wire.BundleOf(result.Bundle)
	return wire.SubmitAnswer{State: wire.StateAdmitted, Bundle: &b, Stamp: stamp}, nil
}

func (s *Server) standing(ctx context.Context, _ endpoint.Caller, r wire.StandingRequest) (wire.StandingAnswer, error) {
	a, err := s.directory.Standing(ctx, r.Question, s.now())
	if err != nil {
		return wire.StandingAnswer{}, err
	}
	a.Stamp = endpoint.StampOf(s.snapshot())
	return a, nil
}

func (s *Server) reprove(ctx context.Context, _ endpoint.Caller, r wire.ReproofRequest) (wire.ReproofAnswer, error) {
	receipts := make([][]byte, 0, len(r.Receipts))
	for _, one := range r.Receipts {
		receipts = append(receipts, one)
	}
	level, answered, err := s.directory.Reprove(ctx, r.Statement, receipts, s.now())
	if err != nil {
		return wire.ReproofAnswer{}, err
	}
	return wire.ReproofAnswer{Level: uint8(level), Answered: answered, Stamp: endpoint.StampOf(s.snapshot())}, nil
}

func (s *Server) renew(ctx context.Context, _ endpoint.Caller, r wire.RenewalRequest) (wire.RenewalAnswer, error) {
	if len(r.ID) != len(mapping.ID{}) {
		return wire.RenewalAnswer{}, ErrIdentifier
	}
	b, err := s.directory.Renewed(ctx, mapping.ID(r.ID), s.now())
	if err != nil {
		return wire.RenewalAnswer{}, err
	}
	return wire.RenewalAnswer{Bundle: wire.BundleOf(b), Stamp: endpoint.StampOf(s.snapshot())}, nil
}

func (s *Server) withdraw(ctx context.Context, _ endpoint.Caller, r wire.WithdrawalRequest) (wire.WithdrawalAnswer, error) {
	now := s.now()
	if err := s.directory.Withdraw(ctx, r.Statement, now); err != nil {
		return wire.WithdrawalAnswer{}, err
	}
	return wire.WithdrawalAnswer{Ended: now.Unix(), Stamp: endpoint.StampOf(s.snapshot())}, nil
}

func (s *Server) end(ctx context.Context, _ endpoint.Caller, r wire.EndRequest) (wire.EndAnswer, error) {
	at, err := retract.Take(ctx, s.directory, r.Statement, s.now())
	if err != nil {
		return wire.EndAnswer{}, err
	}
	return wire.EndAnswer{Ended: at.Unix(), Stamp: endpoint.StampOf(s.snapshot())}, nil
}

func (s *Server) lookup(ctx context.Context, who endpoint.Caller, r wire.LookupRequest) (wire.LookupAnswer, error) {
	if err := s.mayAsk(who); err != nil {
		return wire.LookupAnswer{}, err
	}
	r.Federation = cmp.Or(r.Federation, defaultFederation)
	if err := s.checkQuery(r); err != nil {
		return wire.LookupAnswer{}, err
	}
	q := directory.Query{MSPs: r.MSPs, Compact: r.Format == wire.FormatCompact, CSIs: make([]csi.ID, len(r.CSIs))}
	for i, c := range r.CSIs {
		q.CSIs[i] = c.ID
	}
	answers, err := s.directory.Lookup(ctx, q, s.now())
	if err != nil {
		return wire.LookupAnswer{}, err
	}
	snapshot := s.snapshot()
	out := wire.LookupAnswer{Answers: answers, Asked: s.asked(snapshot, r), Stamp: endpoint.StampOf(snapshot)}
	if q.Compact {
		out.Bits = &wire.BitTable{Version: snapshot.Version(), Length: snapshot.BitLength()}
	}
	return out, nil
}

// mayAsk admits the back-ends of MSPs that another operator runs.
func (s *Server) mayAsk(who endpoint.Caller) error {
	if !who.IsParty {
		return ErrBothEnds
	}
	if !who.Party.Has(registry.RoleMSP) {
		return ErrNotAnMSP
	}
	if own, ok := s.snapshot().Party(s.party); !ok || own.Operator == who.Party.Operator {
		return ErrBothEnds
	}
	return nil
}

func (s *Server) checkQuery(r wire.LookupRequest) error {
	switch {
	case len(r.CSIs) == 0 || len(r.CSIs) > s.lookups.CSIs:
		return fmt.Errorf("%w: 1 to %d CSIs", ErrQuery, s.lookups.CSIs)
	case !slices.Contains(s.lookups.Formats, r.Format):
		return fmt.Errorf("%w: format", ErrQuery)
	case (r.Federation == wire.FederationSelected) != (len(r.DPs) > 0):
		return fmt.Errorf("%w: a list of DPs goes with federation %q and with nothing else", ErrQuery, wire.FederationSelected)
	}
	switch r.Federation {
	case wire.FederationNone, wire.FederationPreferred, wire.FederationSelected, wire.FederationAll:
		return nil
	default:
		return fmt.Errorf("%w: federation", ErrQuery)
	}
}

// asked lists every DP that the request meant and what became of asking it.
// "Nobody has it" is never confused with "not everybody was asked".
func (s *Server) asked(snapshot *registry.Snapshot, r wire.LookupRequest) []wire.AskedDP {
	out := []wire.AskedDP{{DP: s.party, Outcome: wire.AskedAnswered}}
	var others []registry.PartyID
	switch r.Federation {
	case wire.FederationSelected:
		others = r.DPs
	case wire.FederationAll:
		for _, p := range snapshot.Parties(registry.RoleDP) {
			others = append(others, p.ID)
		}
	}
	for _, id := range others {
		if id != s.party {
			out = append(out, wire.AskedDP{DP: id, Outcome: wire.AskedNot, Why: "this DP does not ask peers"})
		}
	}
	return out
}

// Kind is the DP's table from errors to problem kinds.
func Kind(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return refusal.Kind(err)
}
