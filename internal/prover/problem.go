package prover

import (
	"errors"

	"whither/internal/camara"
	"whither/internal/endpoint"
	"whither/internal/limit"
	"whither/internal/smtpout"
	"whither/possession/mail"
	"whither/problem"
)

// table is the one table from a prover's errors to problem kinds; the first
// row that matches counts. A test walks every exported error of the packages
// named here and fails on one without a row.
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
	{ErrKind, problem.EvidenceKind},
	{ErrStale, problem.EvidenceStale},
	{ErrChallenger, problem.ChallengerUnknown},
	{ErrOwnOperator, problem.ChallengerDependent},
	{ErrUnlisted, problem.Unavailable},
	{endpoint.ErrRegistryStale, problem.Registry},
	{ErrBounce, problem.MailAutomatic},
	{ErrCode, problem.CodeWrong},
	{ErrIncumbent, problem.ReceiptForeign},

	{camara.ErrCode, problem.CodeWrong},
	{camara.ErrExpired, problem.ChallengeExpired},
	{camara.ErrTries, problem.ChallengeFailed},
	{camara.ErrNotAllowed, problem.CannotDeliver},
	{camara.ErrUnavailable, problem.Unavailable},

	{smtpout.ErrPermanent, problem.CannotDeliver},
	{smtpout.ErrTemporary, problem.CannotDeliver},
	{smtpout.ErrMessage, problem.CannotDeliver},
	{smtpout.ErrConfig, problem.Internal},

	{mail.ErrTooLarge, problem.TooLarge},
	{mail.ErrMalformed, problem.MailMalformed},
	{mail.ErrSecondFrom, problem.MailSecondFrom},
	{mail.ErrWrongSender, problem.MailSender},
	{mail.ErrWrongRecipient, problem.MailRecipient},
	{mail.ErrRepeatedHeader, problem.MailHeaderRepeated},
	{mail.ErrAutomatic, problem.MailAutomatic},
	{mail.ErrWrongToken, problem.MailToken},
	{mail.ErrContentType, problem.MailContent},
	{mail.ErrQuoted, problem.MailContent},
	{mail.ErrExtraContent, problem.MailContent},
	{mail.ErrNoResponse, problem.MailResponse},
	{mail.ErrWrongResponse, problem.MailResponse},
	{mail.ErrNoSignature, problem.MailSignatureMissing},
	{mail.ErrTooManySignatures, problem.MailSignatureBad},
	{mail.ErrBadSignature, problem.MailSignatureBad},
	{mail.ErrBodyLength, problem.MailSignatureBad},
	{mail.ErrMisaligned, problem.MailMisaligned},
	{mail.ErrUnsignedHeader, problem.MailHeaderUnsigned},
	{mail.ErrWeakKey, problem.MailKey},
	{mail.ErrKeyRecord, problem.MailKey},
	{mail.ErrKeyLookup, problem.MailDNS},
	{mail.ErrExpired, problem.MailExpired},
	{mail.ErrFuture, problem.MailExpired},
	{mail.ErrWant, problem.Internal},
	{mail.ErrChallenge, problem.Internal},
}

// Kind is the prover's table from errors to problem kinds, "" for an error
// that it does not know.
func Kind(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
