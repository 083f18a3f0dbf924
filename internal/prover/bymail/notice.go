package bymail

import (
	"context"
	"errors"
	"fmt"

	"whither/csi"
	"whither/internal/prover"
	"whither/internal/smtpout"
	"whither/possession/mail"
	"whither/wire"
)

// noticeFrom is the local part of an address that takes no mail.
const noticeFrom = "no-reply"

// claimed and expiring are what the holder of an address reads. They name
// nobody, and no link: whoever wants to mislead her has nothing to imitate.
const (
	claimed = `Hello,

somebody else says that this mail address is theirs, and asks that people
who look for it find them instead of you.

If the address is yours: open the messaging app that you registered it with
before %s, and prove there that it is still yours.
If that was you, with another app: join the two there.
If you do nothing, the address is given to the other person.

There is no need to answer this mail, and nobody will ask you for a code by
mail.
`
	expiring = `Hello,

this mail address is registered, so that people who know it can find you.
The registration ends on %s.

To keep it, open the messaging app that you registered it with, and prove
there that it is still yours. There is no need to answer this mail.
`
)

var _ prover.Teller = (*Mail)(nil)

// Tell implements [prover.Teller].
func (m *Mail) Tell(ctx context.Context, id csi.ID, n prover.Notice) error {
	text := claimed
	if n.Kind == wire.NoticeExpiry {
		text = expiring
	}
	raw, err := mail.Notice{
		From: noticeFrom + "@" + m.config.Party.String(), To: id.Address(), Prover: m.config.Party.String(), Name: n.Name,
		Text: fmt.Sprintf(text, n.Until.UTC().Format("2 January 2006, 15:04 UTC")), Date: n.Date,
	}.Message(m.config.Signing)
	if err != nil {
		return err
	}
	err = m.config.Out.Send(ctx, "", id.Address(), raw)
	if errors.Is(err, smtpout.ErrTemporary) {
		return fmt.Errorf("%w: %w", prover.ErrLater, err)
	}
	return err
}
