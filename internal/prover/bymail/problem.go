package bymail

import (
	"errors"

	"whither/internal/smtpout"
	"whither/possession/mail"
	"whither/problem"
)

// table is the table from this method's errors to problem kinds; the first row
// that matches counts.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrBounce, problem.MailAutomatic},

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

// Problem is the method's table, "" for an error that it does not know.
func Problem(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
