package prover

import (
	"errors"

	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/problem"
)

// table is the core's own table from errors to problem kinds; the first row that
// matches counts. Each method has one for its own. A test walks every exported
// error of the packages concerned and fails on one without a row.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrUnknown, problem.ChallengeUnknown},
	{ErrExpired, problem.ChallengeExpired},
	{ErrFailed, problem.ChallengeFailed},
	{ErrDecided, problem.ChallengeUsed},
	{ErrTaken, problem.Unavailable},
	{limit.ErrReached, problem.Limited},
	{ErrBusy, problem.Limited},
	{ErrRequest, problem.Malformed},
	{ErrTooLarge, problem.TooLarge},
	{ErrKind, problem.EvidenceKind},
	{ErrStale, problem.EvidenceStale},
	{ErrLater, problem.CannotDeliver},
	{ErrChallenger, problem.ChallengerUnknown},
	{ErrOwnOperator, problem.ChallengerDependent},
	{ErrUnlisted, problem.Unavailable},
	{ErrMethod, problem.Internal},
	{ErrSIMChanged, problem.SIMChanged},
	{ErrSIMSilent, problem.Unavailable},
	{endpoint.ErrRegistryStale, problem.Registry},
	{ErrIncumbent, problem.ReceiptForeign},
	{ErrNotADP, problem.NotAParty},
	{ErrNoTeller, problem.CannotDeliver},
}

// Problem is the core's table from errors to problem kinds, "" for an error that
// it does not know.
func Problem(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}

// Problem returns the kind of problem that an error of this prover or of one of
// its methods is, "" for an error that none of them knows.
func (p *Prover) Problem(err error) problem.Kind {
	if k := Problem(err); k != "" {
		return k
	}
	for _, m := range p.config.Methods {
		if m.Problem == nil {
			continue
		}
		if k := m.Problem(err); k != "" {
			return k
		}
	}
	return ""
}
