package server

import (
	"whither/internal/dp/directory"
	"whither/internal/offer"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
)

// table is the one table from a DP's errors to problem kinds; the first row
// that matches counts. A test walks every exported error of the packages below
// and fails on one without a row.
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
	{directory.ErrConflict, problem.SequenceConflict},
	{directory.ErrIDTaken, problem.MappingConflict},
	{directory.ErrOfferUsed, problem.OfferUsed},
	{directory.ErrStale, problem.EvidenceStale},
	{directory.ErrRaced, problem.Unavailable},
	{directory.ErrResidency, problem.Residency},
	{directory.ErrForeignDP, problem.DPForeign},
	{directory.ErrFull, problem.CSIFull},
	{directory.ErrUnassigned, problem.ReceiptUnassigned},

	{possession.ErrReceipt, problem.ReceiptMalformed},
	{possession.ErrForeign, problem.ReceiptForeign},
	{possession.ErrUnknown, problem.ReceiptSigner},
	{possession.ErrSignature, problem.ReceiptSigner},
	{possession.ErrStanding, problem.ReceiptStanding},
	{possession.ErrDependent, problem.ReceiptDependent},
	{possession.ErrOrder, problem.ReceiptOrder},
	{possession.ErrRepeated, problem.ReceiptRepeated},
	{possession.ErrUnfitKind, problem.EvidenceKind},
	{possession.ErrKindUnknown, problem.EvidenceKind},
	{possession.ErrNoReceipts, problem.ReceiptSet},
	{possession.ErrTooMany, problem.ReceiptSet},

	{mapping.ErrHolderSig, problem.HolderSignature},
	{mapping.ErrMSPMissing, problem.MSPMissing},
	{mapping.ErrMSPSig, problem.MSPSignature},
	{mapping.ErrMSPForeign, problem.MSPForeign},
	{mapping.ErrDPMissing, problem.DPMissing},
	{mapping.ErrDPSig, problem.DPSignature},
	{mapping.ErrDPForeign, problem.DPForeign},
	{mapping.ErrRole, problem.SignatureRole},
	{mapping.ErrSigner, problem.SignerUnknown},
	{mapping.ErrStanding, problem.SignerStanding},
	{mapping.ErrTimeOrder, problem.TimeOrder},
	{mapping.ErrFuture, problem.TimeFuture},
	{mapping.ErrExpired, problem.MappingExpired},
	{mapping.ErrLife, problem.MappingLife},
	{mapping.ErrStale, problem.MappingStale},
	{mapping.ErrReceiptSet, problem.ReceiptSet},
	{mapping.ErrLevel, problem.EvidenceLevel},
	{mapping.ErrNotProposal, problem.AlreadySigned},
	{mapping.ErrWithdrawal, problem.WithdrawalForeign},
	{mapping.ErrClaims, problem.MappingClaims},
	{mapping.ErrMalformed, problem.MappingMalformed},
}
