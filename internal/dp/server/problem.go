package server

import (
	"whither/internal/dp/directory"
	"whither/internal/dp/docket"
	"whither/internal/offer"
	"whither/problem"
)

// table is the DP's own part of the table from errors to problem kinds; what a
// mapping and its evidence can be refused for is in package refusal. The first
// row that matches counts. A test walks every exported error of the packages
// below and fails on one without a row.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrBothEnds, problem.BothEnds},
	{ErrNotAnMSP, problem.NotAParty},
	{ErrQuery, problem.Malformed},
	{ErrKey, problem.Malformed},
	{ErrIdentifier, problem.Malformed},

	{offer.ErrUnknown, problem.OfferUnknown},
	{offer.ErrExpired, problem.OfferExpired},
	{offer.ErrNonce, problem.OfferForeign},

	{directory.ErrUnknown, problem.MappingUnknown},
	{docket.ErrConflict, problem.SequenceConflict},
	{docket.ErrRetired, problem.KeyRetired},
	{docket.ErrDecision, problem.Internal}, // reviewers do not come over the network
	{docket.ErrClosed, problem.Internal},
	{docket.ErrRepeated, problem.Internal}, // is answered with the mapping that lives
	{directory.ErrIDTaken, problem.MappingConflict},
	{directory.ErrOfferUsed, problem.OfferUsed},
	{directory.ErrStale, problem.EvidenceStale},
	{directory.ErrBarred, problem.EvidenceBarred},
	{directory.ErrWeaker, problem.EvidenceWeaker},
	{directory.ErrTooMany, problem.ClaimLimit},
	{directory.ErrFutureEvent, problem.TimeFuture},
	{directory.ErrRaced, problem.Unavailable},
	{directory.ErrResidency, problem.Residency},
	{directory.ErrForeignDP, problem.DPForeign},
	{directory.ErrFull, problem.CSIFull},
	{directory.ErrUnassigned, problem.ReceiptUnassigned},
}
