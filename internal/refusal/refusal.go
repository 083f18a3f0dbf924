// Package refusal says which problem each error of a mapping and of its evidence
// is: the part of the table from errors to problem kinds that DPs and MSPs
// share, since both judge proposals.
package refusal

import (
	"errors"

	"whither/mapping"
	"whither/mapping/ending"
	"whither/possession"
	"whither/problem"
)

// table is searched in its order. A test walks every exported error of both
// packages and fails on one without a row.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
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
	{possession.ErrRefusedKind, problem.EvidenceKind},
	{possession.ErrNoIssuer, problem.EvidenceKind},
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
	{ending.ErrMalformed, problem.MappingMalformed},
	{ending.ErrForeign, problem.EndForeign},
	{ending.ErrFuture, problem.TimeFuture},
	{ending.ErrEnded, problem.EntryEnded},
	{mapping.ErrLineage, problem.LineageStatement},
	{mapping.ErrStatement, problem.LineageStatement},
	{mapping.ErrReproof, problem.ReproofForeign},
	{mapping.ErrQuestion, problem.StatusForeign},
	{mapping.ErrClaims, problem.MappingClaims},
	{mapping.ErrMalformed, problem.MappingMalformed},
}

// Kind returns the problem kind of an error of a mapping or of its evidence, ""
// for any other.
func Kind(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
